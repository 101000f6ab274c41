"""Write melodies of a trained agent, or of opponents that search instead of learning.

Each as MIDI, MusicXML, ABC with remarks, score picture, piano roll and sound.

python -m agents.compose runs/rltuner-v0-ppo-1 -n 20 --out melodies

python -m agents.compose --method beam --reward rl_tuner=1 --width 10000

python -m agents.compose --key "F# dorian" --meter 6/8 --bars 8 --range D4-G5 \
    --must in_key leap_recovery final_tonic
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from agents import commands
from agents.config import TrainConfig, parse_term
from agents.locks import as_words, with_locks
from agents.wishes import AGENT, MELODY, PRIOR, RANGE, STYLE, WISHES, asked, merged, wished
from envs.theory import did_you_mean

if TYPE_CHECKING:
    from agents.search import Found
    from envs.score import Score
    from envs.task import Task
    from rewards.total import RewardSum, Term

METHODS = ("sample", "prior", "best-of-n", "masked", "beam", "guided-beam", "best-known")
OF_A_RUN = ("sample", "guided-beam")  # methods that need a trained policy, a run's or the shipped
BEAMS = ("beam", "guided-beam")
# Of the reward's terms those that are masked unless others are named: what they count against a
# piece shows at the token itself, and there is always a token without it.
MASKS = ("key", "in_key", "penalize_repeating", "leap_recovery")


@dataclass(frozen=True)
class ComposeConfig:
    """What to compose, and how.

    Attributes:
        run: run directory. Without one the agent that ships composes what is asked for in words, by
            key, meter, bars, range, pickup, chords, phrases, lock or rewrite.
        n: number of melodies.
        out: folder to write to, new or empty.
        seed: of the draw; the same seed gives the same melodies. A beam draws nothing.
        temperature: of the draw; 1 draws as trained, lower is more cautious.
        primer: notes to begin with, such as "C4 E4:2 G4:2"; a name alone lasts a beat.
        tempo: beats per minute.
        pictures: write score and piano roll of each melody as SVG.
        sound: write a WAV file of each melody.
        soundfont: an .sf2 file, for sound by FluidSynth; a small synthesiser if empty.
        method: sample draws from the run's policy; prior from the prior it began with; best-of-n
            keeps the best of several draws from the prior; masked draws from the prior what
            breaks no rule; beam searches for what the reward pays best; best-known does so
            behind every first note and keeps the best of these pieces; guided-beam lets the
            policy help to choose what is searched.
        best_of: draws from the prior for each melody (best-of-n).
        width: beginnings that are kept (beam, guided-beam, best-known).
        mask: rules to keep (masked), by name as in --reward; of the reward's terms those among
            key, in_key, penalize_repeating and leap_recovery if empty. A term that is not in the
            reward counts against a piece where it is above 0, unless a weight is given.
        key: 'G major', 'F# dorian', 'D blues', 'C 0,2,3,7,8'; this and the next seven as the task
            has it if empty.
        meter: 4/4, 6/8, 7/8, or 3+2+2/8 with groups of your own.
        bars: 1 to 64.
        grid: cells to a quarter note: 4 for 16ths, 2 for eighths, 12 for 16ths and triplets.
        range: lowest and highest note, D4-G5; C4-A5 for the agent that ships if nothing is said.
        pickup: cells before the first bar line.
        chords: 'i VII i v', a bar each, or with bar lines 'C | F G7 | C'. Chord symbols of a file
            that is locked are not read.
        phrases: plan of the form: AABA, 4+4 or 'A4 A4 B8'.
        lock: bars of a file that stay as they are, theme.musicxml:1-2,5; key, metre and length are
            the file's unless asked for.
        rewrite: bars of a file that are written anew, all others stay.
        must: rules that every melody keeps, by name as in --mask; if they cannot be kept nothing
            is written (sample, prior).
        candidates: drawn for each melody that keeps them all; the best are written.
        env: id of the environment; this and the next three as the run has it if empty, without
            a run as python -m agents.train has it.
        task: arguments of the environment as name=value: bars=8 meter=3/4 low=C4
        reward: terms as name=weight.
        prior: name or path of the prior's checkpoint.
        trust: run the code that the run's settings name, such as rewards of its author's own.
    """

    run: tyro.conf.Positional[str] = ""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 8
    out: Path = Path("melodies")
    seed: int = 1
    temperature: float = 1.0
    primer: str = ""
    tempo: float = 80.0
    pictures: bool = True
    sound: bool = True
    soundfont: str = ""
    method: str = "sample"
    best_of: int = 64
    width: int = 1000
    mask: tuple[str, ...] = ()
    key: str = ""
    meter: str = ""
    bars: int | None = None
    grid: int | None = None
    range: str = ""
    pickup: int | None = None
    chords: str = ""
    phrases: str = ""
    lock: str = ""
    rewrite: str = ""
    must: tuple[str, ...] = ()
    candidates: int = 8
    env: str = ""
    task: tuple[str, ...] = ()
    reward: tuple[str, ...] = ()
    prior: str = ""
    trust: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 10_000:
            raise ValueError(f"n={self.n}: expected 1 to 10,000 melodies")
        if not 10 <= self.tempo <= 400:
            raise ValueError(f"tempo={self.tempo}: expected 10 to 400 beats per minute")

    @property
    def in_words(self) -> bool:
        """Whether a melody is asked for in words, rather than a piece of a run's task."""
        words = (*WISHES, "lock", "rewrite")
        return self.env == MELODY or any(map(asked, (getattr(self, name) for name in words)))

    @property
    def policy(self) -> str:
        """Checkpoint of the policy that composes: the run's, or the one that ships."""
        from agents.run import Run

        return str(Run(self.run).saved_policy) if self.run else AGENT

    @property
    def settings(self) -> TrainConfig:
        """Task, reward and prior: the run's or those of a new one, with what is given here.

        Raises:
            ValueError: it is no run directory, or names code and is not trusted.
        """
        from agents.run import Run
        from agents.trust import require_trust

        run = Run(self.run) if self.run else None
        base = run.config if run else TrainConfig()
        file = self.lock or self.rewrite
        wishes = (
            as_words(with_locks(file, bool(self.lock), vars(self))) if file else wished(vars(self))
        )
        new = self.in_words and not self.run
        env = self.env or (MELODY if wishes else "")
        task = merged(RANGE if new and not file else (), () if file else self.task or base.task)
        task = merged(task, wishes)
        reward = self.reward or (STYLE if new else ())
        prior = self.prior or (PRIOR if new else "")
        given = {"env": env, "task": task, "reward": reward, "prior": prior}
        typed = {name: value for name, value in given.items() if value}
        settings = replace(base, **typed)  # type: ignore[arg-type]
        if run is not None:
            require_trust(settings, run.config_file, self.trust, typed)
        return settings


def read_primer(line: str, task: Task) -> Score:
    """A page of one piece that begins with the notes of a line, voices parted by ';'.

    Raises:
        ValueError: no notes, notes outside the range, another number of voices, or no cell left
            to write.
    """
    import numpy as np

    from envs.composition import primed
    from envs.notation import parse_voices

    voices, end = parse_voices(line, task.beat_cells)
    if len(voices) != task.voices:
        raise ValueError(
            f"primer has {len(voices)} voices and the piece {task.voices}; part them by ';'"
        )
    if not 0 < end < task.cells:
        raise ValueError(
            f"primer has {end} cells and the piece {task.cells}; expected notes shorter than the "
            "piece"
        )
    tokens = np.stack([task.codec.encode(notes, end) for notes in voices])
    return primed(task.sample(np.random.default_rng(0), 1), tokens)


def check_method(config: ComposeConfig) -> None:
    """Raise ValueError unless the method is known and has what it needs."""
    if config.candidates < 1:
        raise ValueError(f"candidates={config.candidates}: expected at least 1")
    if config.best_of < 1:
        raise ValueError(f"best_of={config.best_of}: expected at least 1 draw")
    if not config.temperature > 0:
        raise ValueError(f"temperature={config.temperature}: expected a number above 0")
    if config.method not in METHODS:
        raise ValueError(
            f"unknown method {config.method!r}.{did_you_mean(config.method, METHODS)} "
            f"Known: {', '.join(METHODS)}"
        )
    if config.method in OF_A_RUN and not (config.run or config.in_words):
        raise ValueError(
            f"--method {config.method} needs a policy: name a run directory; or ask in words, by "
            "--key, --meter or --bars, for a melody of the agent that ships; or use --method "
            "prior, best-of-n, masked, beam or best-known"
        )
    if config.method in BEAMS and config.n > config.width:
        raise ValueError(
            f"width={config.width}: expected at least n={config.n}, as a beam ends with no more "
            "melodies than its width"
        )
    if config.must and config.method not in ("sample", "prior"):
        raise ValueError(f"--must is kept by --method sample and prior, not by {config.method}")
    if config.task and (config.lock or config.rewrite):
        raise ValueError("--lock and --rewrite take the task from the file; leave --task out")
    if config.lock and config.rewrite:
        raise ValueError("--lock and --rewrite both say what stays; leave one out")


def read_masks(words: Sequence[str], reward: RewardSum) -> RewardSum:
    """Terms that are to be hard masks, from their names.

    Args:
        words: name, or name=weight,parameter=value,... as a reward is written. Without a weight
            it is the reward's own term, and any other counts against a piece where it is above 0.
        reward: the terms of MASKS that it has, if there are no words.

    Raises:
        ValueError: an unknown term, one that is not cell-wise, one named twice, or no words and
            none of MASKS.
    """
    from rewards.rule import require_cellwise
    from rewards.total import RewardSum, find, make_term

    words = words or [name for name in MASKS if name in reward.terms]
    if not words:
        raise ValueError(
            f"the reward has none of {', '.join(MASKS)}; say what to mask, such as --mask in_key"
        )
    terms = []
    for word in words:
        name, setting = parse_term(word)
        if "=" in word.split(",")[0]:
            terms.append(make_term(name, setting))
        elif name in reward.terms and not isinstance(setting, dict):
            terms.append(reward.terms[name])
        else:
            weight = 1.0 if getattr(find(name), "violation", False) else -1.0
            parameters = setting if isinstance(setting, dict) else {}
            terms.append(make_term(name, {**parameters, "weight": weight}))
    for term in terms:
        require_cellwise(term.fn)
        if not term.weight:
            raise ValueError(
                f"mask {term.name!r} has weight 0 and would forbid nothing; give one, such as "
                f"{term.name}=-1"
            )
    return RewardSum(terms)


def read_demands(words: Sequence[str], reward: RewardSum) -> dict[str, Term]:
    """The rules of --must, by name.

    Raises:
        ValueError: as `read_masks`, or a term that pays and so cannot be broken.
    """
    terms = dict(read_masks(words, reward).terms) if words else {}
    for name, term in terms.items():
        if term.factor > 0:
            raise ValueError(
                f"{name} pays and cannot be broken, so it is nothing to demand; expected a rule, "
                "such as in_key, or what has a negative weight"
            )
    return terms


def make_search(
    config: ComposeConfig, settings: TrainConfig, task: Task, reward: RewardSum
) -> Callable[[Score], Found]:
    """What fills a page by the method asked for, its networks loaded and its masks read.

    Raises:
        FileNotFoundError, ValueError: a checkpoint or a mask that cannot be used.
    """
    from agents.must import best_kept
    from agents.search import beam, best_known, best_of, masked
    from pretrained.checkpoint import load
    from pretrained.grids import on_grid

    policy = on_grid(load(config.policy), task) if config.method in OF_A_RUN else None
    if config.method in BEAMS:
        width, n = config.width, config.n
        return lambda page: beam(None, page.take([0]), reward, width, n=n, guide=policy)
    if config.method == "best-known":
        return lambda page: best_known(page.take([0]), reward, config.width, config.n)
    network = on_grid(load(settings.prior), task) if policy is None else policy
    seed, temperature = config.seed, config.temperature
    if config.method == "masked":
        rules = read_masks(config.mask, reward)
        return lambda page: masked(network, page, rules, seed, temperature, reward)
    if config.must or (config.in_words and config.method != "best-of-n"):
        demands = read_masks(settings.mask, reward).terms if settings.mask and policy else {}
        demands = {**demands, **read_demands(config.must, reward)}
        draw = config.candidates, seed, temperature
        return lambda page: best_kept(network, page.take([0]), demands, reward, config.n, *draw)
    if config.method == "sample" and settings.mask:  # it learned behind them, and plays behind them
        rules = read_masks(settings.mask, reward)
        return lambda page: masked(network, page, rules, seed, temperature, reward)
    draws = config.best_of if config.method == "best-of-n" else 1
    return lambda page: best_of(network, page, reward, draws, seed, temperature)


def last_c(config: ComposeConfig, settings: TrainConfig) -> float:
    """c of the objective: the settings', or where the controller of a KL budget left it."""
    from agents.run import Run

    turned = Run(config.run).turns() if config.run and settings.kl_budget else []
    return turned[-1][0] if turned else settings.c


def compose(config: ComposeConfig) -> None:
    """Search, write, say where and at what cost."""
    import numpy as np

    from agents.run import Run
    from agents.sheets import Extras, write_pieces
    from agents.vec_env import make_task
    from envs.composition import primed
    from pretrained.checkpoint import locate
    from rewards.total import build

    check_method(config)
    settings = config.settings
    task = make_task(settings)
    reward = build(settings.reward_spec)
    if config.run and settings.reward == Run(config.run).config.reward:
        Run(config.run).restore_reward(reward)
        commands.tell_changes(Run(config.run).changed(locate(settings.prior), reward))
    search = make_search(config, settings, task, reward.divided(last_c(config, settings)))
    page = task.sample(np.random.default_rng(config.seed), config.n)
    if config.primer:
        start = read_primer(config.primer, task)
        page = primed(page, start.tokens[0, :, : start.n_written // task.voices])
    reward.prepare(task)
    new = not config.out.exists()
    folder = commands.new_directory(config.out)  # before the search, which may take a while
    try:
        found = search(page)
    except BaseException:
        if new:
            folder.rmdir()
        raise
    extras = Extras(config.pictures, config.sound, config.soundfont, copies=True)
    write_pieces(found.score, folder, reward, config.tempo, extras)
    kinds = ", ".join(
        ["MIDI", "MusicXML", "ABC", *["SVG"] * config.pictures, *["WAV"] * config.sound]
    )
    many = "melody" if found.score.batch == 1 else "melodies"
    print(
        f"wrote {found.score.batch} {many} to {config.out}: {kinds} of each\n"
        f"{config.method}: {found.compute}; mean return {found.returns.mean():.1f}, best "
        f"{found.returns.max():.1f}"
    )


def main() -> None:
    """Command line."""
    commands.run(lambda: compose(commands.parse(ComposeConfig, "compose", __doc__)))


if __name__ == "__main__":
    main()
