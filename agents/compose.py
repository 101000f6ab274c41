"""Write melodies of a trained agent, or of opponents that search instead of learning.

Each as MIDI, MusicXML, ABC with remarks, score picture, piano roll and sound.

python -m agents.compose runs/rltuner-v0-ppo-1 -n 20 --out melodies

python -m agents.compose --method beam --reward rl_tuner=1 --width 10000

python -m agents.compose --key "F# dorian" --meter 6/8 --bars 8 --range D4-G5 \
    --must leap_recovery final_tonic

python -m agents.compose --phrases "A4 A'4" --chords "C F G C" --key C --wish chords

python -m agents.compose --restyle theme.abc --prior folk --keep rhythm --edit 0.3

python -m agents.compose --near theme.abc:1-2 --distance .3 -n 100

python -m agents.compose --between a.abc:1-2 b.abc:1-2 -n 5

python -m agents.compose --harmonise soprano.musicxml --voices SATB --style chorale

python -m agents.compose --counterpoint theme.abc --species 3 --above

python -m agents.compose --accompany melody.abc --chords auto
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from agents.settings import commands
from agents.settings.latent_flags import LatentFlags
from agents.settings.voices_flags import VoicesFlags, flag

if TYPE_CHECKING:
    from agents.composing import Composer, Request
    from agents.composing.melody import Melody

FILES = (
    "lock",
    "rewrite",
    "restyle",
    "near",
    "between",
    "harmonise",
    "counterpoint",
    "accompany",
)  # that name a file


@dataclass(frozen=True)
class ComposeConfig(VoicesFlags, LatentFlags):
    """Settings of a composition.

    Attributes:
        run: run directory. Without one the agent that ships composes what is asked for in words, by
            key, meter, bars, range, pickup, chords, phrases, lock, rewrite or restyle.
        n: number of melodies.
        out: folder to write to, new or empty.
        seed: of the draw; the same seed gives the same melodies. A beam draws nothing.
        temperature: of the draw; 1 draws as trained, lower is more cautious.
        primer: notes to begin with, such as "C4 E4:2 G4:2"; a name alone lasts a beat.
        tempo: beats per minute; that of the file of lock, rewrite or restyle, or 80, if 0. The beat
            of 3/8 and 6/8 is a dotted quarter, of 7/8 a quarter.
        pictures: write score and piano roll of each melody as SVG.
        sound: write a WAV file of each melody.
        soundfont: an .sf2 file, for sound by FluidSynth; a small synthesiser if empty.
        method: sample, which is used if nothing is said, draws from the run's policy; prior from
            the prior it began with; best-of-n keeps the best of several draws from the prior;
            masked draws from the prior what breaks no rule; beam searches for what the reward pays
            best; best-known does so behind every first note and keeps the best of these pieces;
            guided-beam lets the policy help to choose what is searched; exhaustive tries all ways
            that the prior permits, and is used for a counterpoint or a cantus firmus if nothing is
            said; guided-infill fills cells in any order, led by the reward, with --prior diffusion.
        best_of: draws from the prior for each melody (best-of-n).
        width: beginnings that are kept (beam, guided-beam, best-known).
        calls: of the network for each candidate (guided-infill).
        mask: rules to keep (masked), by name as in --reward; of the reward's terms those among
            key, in_key, penalize_repeating and leap_recovery if empty. A term that is not in the
            reward counts against a piece where it is above 0, unless a weight is given.
        key: 'G major', 'F# dorian', 'D blues', 'C 0,2,3,7,8', to which every note belongs; this and
            the next seven as the task has it if empty.
        meter: 4/4, 6/8, 7/8, or 3+2+2/8 with groups of your own.
        bars: 1 to 64.
        grid: cells to a quarter note: 4 for 16ths, 2 for eighths, 12 for 16ths and triplets.
        range: lowest and highest note, D4-G5; C4-A5 for the agent that ships if nothing is said.
        pickup: cells before the first bar line.
        chords: 'i VII i v', a bar each, or with bar lines 'C | F G7 | C'; notes on strong places
            belong to them. Chord symbols of a file count in --harmonise alone.
        phrases: plan of the form: AABA, 4+4 or "A4 A'4 B8". A comes back with its notes but for the
            ending, A' begins like A.
        lock: bars of a file that stay as they are, theme.musicxml:1-2,5 or book.abc#7:1-2; key,
            metre, length, title and tempo are the file's unless asked for.
        rewrite: bars of a file that are written anew, all others stay.
        restyle: a theme, theme.abc or book.abc#7:1-8, that is written in the style of the prior.
        keep: what stays of the theme: rhythm; contour, the number of notes and the direction from
            each to the next; chords, notes of chords on strong places. Several may be named.
        edit: the most edits for each note of the theme: notes of another pitch, more or fewer, and
            silences that begin or end elsewhere; 0.3 if nothing is said.
        base: name or path of the prior whose style the theme leaves, for the report; melody if
            empty.
        must: rules that every melody keeps, by name as in --mask; if they cannot be kept nothing
            is written.
        wish: what of key, chords and phrases is weighed only, where it would be kept in every
            melody as it is asked for.
        candidates: drawn for each melody that keeps them all; the best are written.
        env: id of the environment; this and the next three as the run has it if empty, without
            a run as python -m agents.train has it.
        task: arguments of the environment as name=value: bars=8 meter=3/4 low=C4
        reward: terms as name=weight.
        prior: name or path of the prior's checkpoint; of the style to restyle in. With +memory
            behind it, as in folk+memory, it also expects what the piece has done so far.
        trust: run the code that the run's settings name, such as rewards of its author's own.
    """

    run: tyro.conf.Positional[str] = ""
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 8
    out: Path = Path("melodies")
    seed: int = 1
    temperature: float = 1.0
    primer: str = ""
    tempo: float = 0.0
    pictures: bool = True
    sound: bool = True
    soundfont: str = ""
    method: str = ""
    best_of: int = 64
    width: int = 1000
    calls: int = 256
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
    restyle: str = ""
    keep: tuple[str, ...] = ()
    edit: float | None = None
    base: str = ""
    must: tuple[str, ...] = ()
    wish: tuple[str, ...] = ()
    candidates: int = 8
    env: str = ""
    task: tuple[str, ...] = ()
    reward: tuple[str, ...] = ()
    prior: str = ""
    trust: bool = False

    def __post_init__(self) -> None:
        files = [flag(name) for name in FILES if getattr(self, name)]
        if self.task and files:
            raise ValueError(f"{files[0]} takes the task from the file; leave --task out")
        if len(files) > 1:
            raise ValueError(f"{' and '.join(files)} each say what stays; leave all but one out")
        super().__post_init__()
        for name in self.known if not files else ():
            one_of = ", ".join(map(flag, FILES))
            raise ValueError(f"{flag(name)} says what is read of a file; add one of {one_of}")
        for name in self.budget if not self.restyle else ():
            raise ValueError(f"--{name} says how a theme is restyled; add --restyle FILE")
        if self.restyle and self.method not in ("", "sample", "prior"):
            raise ValueError(
                f"--method {self.method}: --restyle draws from the prior; leave --method out"
            )

    @property
    def asked(self) -> dict[str, Any]:
        """The flags that say something to a request, as keywords of `Request`."""
        from agents.composing.request import ARGUMENTS

        names = [name for name in vars(self) if name in ARGUMENTS and name != "task"]
        every = {name: getattr(self, name) for name in names}
        return {name: value for name, value in every.items() if value not in ("", None)}

    @property
    def budget(self) -> dict[str, Any]:
        """The flags of a theme that are set, as keywords of `Theme`."""
        flags = {"keep": self.keep, "edit": self.edit, "base": self.base}
        return {name: value for name, value in flags.items() if value not in ((), None, "")}


def read_request(config: ComposeConfig) -> Request:
    """Return what the flags ask for, of one voice.

    Raises:
        ValueError, TypeError: as `Request`.
    """
    from agents.composing import Bars, Between, Request, Theme, Variation

    asked = config.asked
    if config.restyle:
        asked["method"] = "prior"
        return Request(given=Theme.read(config.restyle, **config.budget, **config.known), **asked)
    if config.near:
        theme = Variation.read(config.near, config.far, config.latent, **config.known)
        return Request(given=theme, **asked)
    if config.between:
        first, second = config.between
        return Request(given=Between.read(first, second, config.latent, **config.known), **asked)
    file = config.lock or config.rewrite
    given = Bars.read(file, bool(config.rewrite), **config.known) if file else None
    return Request(given=given, **asked)


def load_composer(config: ComposeConfig, request: Request) -> Composer:
    """Return the composer of the run, of the agent that ships, or of the flags alone.

    Raises:
        FileNotFoundError, ValueError: as `Composer.load`.
    """
    from agents.composing.composer import MELODY, Composer
    from agents.runs.directory import Run
    from agents.settings.config import TrainConfig
    from agents.settings.tasks import arguments_of

    in_words = bool(request.changes) or request.given is not None
    env = config.env or (MELODY if in_words else "")
    task = {**arguments_of(config.task), **request.changes} if config.task else {}
    flags = {"env": env, "task": task, "reward": config.reward, "prior": config.prior}
    changes: dict[str, Any] = {name: value for name, value in flags.items() if value}
    if config.run:
        return Composer.load(Run(config.run), trust=config.trust, **changes)
    if in_words or env == MELODY:
        return Composer.load(**changes)
    return Composer.of(TrainConfig(**changes))


def several_voices(config: ComposeConfig) -> list[Melody]:
    """Return the pieces of several voices that the flags ask for.

    Raises:
        RefusedError: a file that cannot be read.
        ValueError, TypeError: as `Composer.compose`.
    """
    from agents.composing.parts.accompany import Accompaniment
    from agents.composing.parts.commissions import commission
    from agents.settings.config import TrainConfig

    said = {name: getattr(config, name) for name in ("key", "chords", "phrases")}
    asked = commission(config, bars=config.bars, **said)
    for notice in asked.notices:
        commands.note(notice)
    if isinstance(asked, Accompaniment) and not config.bass:
        return asked.lead_sheets(config.n, config.seed, config.tempo or None)
    of_the_page = {"bars", "voices", *said}
    words = {
        name: value
        for name, value in config.asked.items()
        if name == "n" or (name in config.said and name not in of_the_page)
    }
    request = asked.request(**words)
    if config.run or config.env:
        composer = load_composer(config, request)
        commands.tell_changes(composer.notes)
    else:
        reward = TrainConfig(reward=config.reward).terms if config.reward else None
        prior = config.prior or config.style
        commands.learn_chorales(prior)
        composer = asked.composer(prior, reward)
    return composer.compose(request, tempo=config.tempo or None)


def one_voice(config: ComposeConfig) -> list[Melody]:
    """Return the melodies that the flags ask for.

    Raises:
        RefusedError, ValueError, TypeError: as `several_voices`.
    """
    request = read_request(config)
    for words in request.piece.notices if request.piece else ():
        commands.note(words)
    composer = load_composer(config, request)
    commands.tell_changes(composer.notes)
    return composer.compose(request, tempo=config.tempo or None)


def compose(config: ComposeConfig) -> None:
    """Compose, write the files, and print where they are and how much compute it took."""
    from agents.composing.melody_files import suffixes, write_melodies

    commands.check_new_directory(config.out)  # before the search, which takes a while
    melodies = several_voices(config) if config.several else one_voice(config)
    folder = commands.new_directory(config.out)
    formats = suffixes(config.pictures, config.sound)
    write_melodies(melodies, folder, formats, config.soundfont, likeness=not config.several)
    report(melodies, config)


def report(melodies: list[Melody], config: ComposeConfig) -> None:
    """Print what was composed, by what, and how much compute it took."""
    from agents.composing.melody_files import suffixes

    any_file = config.several or any(getattr(config, name) for name in FILES)
    first = melodies[0].report
    if config.accompany:
        print(f"key: {melodies[0].score.task.key}")
        for melody in melodies[:1] if config.bass else melodies:
            print(f"chords: {melody.score.task.chords}")
    if first.network:
        print(f"{'style' if config.harmonise else 'network'}: {first.network}")
    if first.kept:
        print(f"kept in each: {', '.join(first.kept)}")
    drawn = first.network.partition(",")[0] == Path(config.prior).stem
    if config.prior and config.method in ("", "sample") and not (any_file or drawn):
        print("--prior weighs here; to draw from it, add --method prior")
    many = commands.counted(len(melodies), melodies[0].score.task.voices)
    kinds = ", ".join(suffix[1:] for suffix in suffixes(config.pictures, config.sound))
    print(f"wrote {many} to {config.out}: {kinds} of each")
    if config.bass:
        returns = [melody.report.searched for melody in melodies]
        mean = sum(returns) / len(returns)
        print(f"{first.method}: {first.compute}; mean return {mean:.1f}, best {max(returns):.1f}")
    for melody in melodies:
        if melody.report.movement:
            print(f"melody {melody.number}: {melody.report.movement}")


def main() -> None:
    """Command line."""
    commands.run(lambda: compose(commands.parse(ComposeConfig, "compose", __doc__)))


if __name__ == "__main__":
    main()
