"""Write melodies of a trained agent, or of opponents that search instead of learning.

Each as MIDI, MusicXML, ABC with remarks, score picture, piano roll and sound.

python -m agents.compose runs/rltuner-v0-ppo-1 -n 20 --out melodies

python -m agents.compose --method beam --reward rl_tuner=1 --width 10000

python -m agents.compose --key "F# dorian" --meter 6/8 --bars 8 --range D4-G5 \
    --must in_key leap_recovery final_tonic
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from agents.composing.locked_bars import with_locks
from agents.composing.methods import check_method, last_c, make_search, read_primer
from agents.composing.request import (
    AGENT,
    MELODY,
    PRIOR,
    RANGE,
    STYLE,
    WISHES,
    asked,
    wished,
)
from agents.settings import commands
from agents.settings.config import TrainConfig
from agents.settings.tasks import (
    arguments_of,
    changed_fields,
    default_task,
    read_task,
    starting_task,
)
from envs.errors import quoted


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
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={quoted(self.seed)}: expected 0 to {2**63 - 1:,}")
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
        from agents.runs.directory import Run

        return str(Run(self.run).saved_policy) if self.run else AGENT

    @property
    def settings(self) -> TrainConfig:
        """Task, reward and prior: the run's or those of a new one, with what is given here.

        Raises:
            ValueError: it is no run directory, or names code and is not trusted.
        """
        from agents.runs.directory import Run
        from agents.settings.trust import require_trust

        run = Run(self.run) if self.run else None
        base = run.read_config(self.trust) if run else TrainConfig()
        file = self.lock or self.rewrite
        wishes = wished(vars(self))
        new = self.in_words and not self.run
        env = self.env or (MELODY if wishes or file else "")
        reward = self.reward or (STYLE if new else ())
        prior = self.prior or (PRIOR if new else "")
        given = {"env": env, "reward": reward, "prior": prior}
        typed = {name: value for name, value in given.items() if value}
        settings = replace(base, **typed)  # type: ignore[arg-type]
        if run is not None:
            require_trust(settings, run.config_file, self.trust, typed)
        if file:
            return replace(settings, task=with_locks(file, bool(self.lock), vars(self)))
        before = changed_fields(base.task, starting_task(base.env))
        before = arguments_of(self.task) if self.task else before
        fields = {**(RANGE if new else {}), **before, **wishes}
        return replace(settings, task=read_task(fields, default_task(settings.env)))


def compose(config: ComposeConfig) -> None:
    """Search, write, say where and at what cost."""

    from agents.composing.melody_files import Extras, write_pieces
    from agents.runs.directory import Run
    from envs.music.score import Score
    from envs.primer import primed
    from pretrained.checkpoint import locate
    from rewards.build import build
    from rewards.objective import Objective

    check_method(config)
    settings = config.settings
    task = settings.task
    reward = build(settings.reward_spec)
    if config.run and settings.reward == Run(config.run).config.reward:
        Run(config.run).restore_reward(reward)
        commands.tell_changes(Run(config.run).changed(locate(settings.prior), reward))
    search = make_search(config, settings, task, Objective(reward, last_c(config, settings)).scaled)
    page = Score.page(task, config.n)
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
