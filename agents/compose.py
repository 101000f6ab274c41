"""Write melodies of a trained agent, or of opponents that search instead of learning.

Each as MIDI, MusicXML, ABC with remarks, score picture, piano roll and sound.

python -m agents.compose runs/rltuner-v0-ppo-1 -n 20 --out melodies

python -m agents.compose --method beam --reward rl_tuner=1 --width 10000

python -m agents.compose --key "F# dorian" --meter 6/8 --bars 8 --range D4-G5 \
    --must leap_recovery final_tonic

python -m agents.compose --phrases "A4 A'4" --chords "C F G C" --key C --wish chords

python -m agents.compose --restyle theme.abc --prior folk --keep rhythm --edit 0.3

python -m agents.compose --harmonise soprano.musicxml --voices SATB --style chorale

python -m agents.compose --counterpoint theme.abc --species 3 --above

python -m agents.compose --accompany melody.abc --chords auto
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from agents.settings import commands
from agents.settings.reading_flags import PartFlags

if TYPE_CHECKING:
    from agents.composing import Composer, Request
    from agents.composing.parts.accompany import Accompaniment
    from agents.composing.parts.counterpoint import StrictStyle
    from agents.composing.parts.harmonise import Harmonisation


# What may be asked of a harmonisation, beside what it has of its own.
REQUESTED = ("must", "wish", "n", "seed", "temperature", "candidates")
WRITTEN = ("n", "out", "seed", "temperature", "tempo", "pictures", "sound", "soundfont")
ACCOMPANIED = (
    "accompany",
    "key",
    "chords",
    "phrases",
    "bass",
    "chord_rhythm",
    "must",
    "candidates",
)
# Flags that name a file.
FILES = ("lock", "rewrite", "restyle", "harmonise", "counterpoint", "accompany")


@dataclass(frozen=True)
class ComposeConfig(PartFlags):
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
        key: 'G major', 'F# dorian', 'D blues', 'C 0,2,3,7,8', to which every note belongs; this and
            the next seven as the task has it if empty.
        meter: 4/4, 6/8, 7/8, or 3+2+2/8 with groups of your own.
        bars: 1 to 64.
        grid: cells to a quarter note: 4 for 16ths, 2 for eighths, 12 for 16ths and triplets.
        range: lowest and highest note, D4-G5; C4-A5 for the agent that ships if nothing is said.
        pickup: cells before the first bar line.
        chords: 'i VII i v', a bar each, or with bar lines 'C | F G7 | C'; notes on strong places
            belong to them. Chord symbols of a file that is locked or restyled are not read.
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
        harmonise: a file with one voice or several, to which the other voices of a choir are
            written; key, phrases and chords may be said, and all else is the file's.
        voices: of the choir, letters of SATB in that order; SATB if empty.
        given_voice: the voices that the file has: soprano, alto, tenor, bass; soprano if empty. Of
            a file with all voices those that stay.
        style: chorale for that of Bach's chorales, which are learned from the installed music21
            first; if empty a plain one that ships.
        allow: rules that a harmonisation would keep and may break.
        counterpoint: a cantus firmus, a note in each bar, that gets a second voice by the rules of
            a species: a file, or Fux's fux-D, fux-E, fux-F, fux-G, fux-A or fux-C.
        species: 1 to 5; 1 if nothing is said.
        above: the second voice is the higher one, as it is if nothing is said.
        below: it is the lower one.
        cantus_firmus: write cantus firmi, in --key and of --bars notes, D dorian and 11 if nothing
            is said.
        accompany: a melody, theme.abc or book.abc#7:1-8, that gets a bass and chord symbols: those
            of --chords, or found where that is auto or empty; --phrases says where it closes.
        bass: write a bass; with --no-bass there are chord symbols alone, found in -n ways.
        chord_rhythm: where a chord may begin: bar, half (half bars, and beats of a triple bar) or
            beat; half if empty.
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
    restyle: str = ""
    keep: tuple[str, ...] = ()
    edit: float | None = None
    base: str = ""
    harmonise: str = ""
    voices: str = ""
    given_voice: tuple[str, ...] = ()
    style: str = ""
    allow: tuple[str, ...] = ()
    counterpoint: str = ""
    species: int | None = None
    above: bool = False
    below: bool = False
    cantus_firmus: bool = False
    accompany: str = ""
    bass: bool = True
    chord_rhythm: str = ""
    must: tuple[str, ...] = ()
    wish: tuple[str, ...] = ()
    candidates: int = 8
    env: str = ""
    task: tuple[str, ...] = ()
    reward: tuple[str, ...] = ()
    prior: str = ""
    trust: bool = False

    def __post_init__(self) -> None:
        files = [f"--{name}" for name in FILES if getattr(self, name)]
        if self.task and files:
            raise ValueError(f"{files[0]} takes the task from the file; leave --task out")
        if len(files) > 1:
            raise ValueError(f"{' and '.join(files)} each say what stays; leave all but one out")
        super().__post_init__()
        for name in self.known if not files else ():
            raise ValueError(
                f"--{name} says what is read of a file; add --lock, --rewrite, --restyle, "
                "--harmonise, --counterpoint or --accompany"
            )
        for name in self.choir if not self.harmonise else ():
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} says how a file is harmonised; add --harmonise FILE")
        for name in self.budget if not self.restyle else ():
            raise ValueError(f"--{name} says how a theme is restyled; add --restyle FILE")
        if self.accompany:
            require_unused(self)
        elif self.chord_rhythm or not self.bass:
            name = "chord-rhythm" if self.chord_rhythm else "no-bass"
            raise ValueError(f"--{name} says how a melody is accompanied; add --accompany FILE")
        if self.restyle and self.method not in ("sample", "prior"):
            raise ValueError(
                f"--method {self.method}: --restyle draws from the prior; leave --method out"
            )

        _ = self.strict  # refuses flags that contradict each other

    @property
    def strict(self) -> StrictStyle:
        """What is asked for in strict style."""
        from agents.composing.parts.counterpoint import StrictStyle

        return StrictStyle(
            self.counterpoint, self.cantus_firmus, self.species, self.above, self.below
        )

    @property
    def choir(self) -> dict[str, Any]:
        """The flags of a harmonisation that are set."""
        names = ("voices", "given_voice", "style", "allow")
        return {name: getattr(self, name) for name in names if getattr(self, name)}

    @property
    def budget(self) -> dict[str, Any]:
        """The flags of a theme that are set, as keywords of `Theme`."""
        flags = {"keep": self.keep, "edit": self.edit, "base": self.base}
        return {name: value for name, value in flags.items() if value not in ((), None, "")}


def require_unused(config: ComposeConfig) -> None:
    """Raise ValueError if a flag is set that has no effect on an accompaniment."""
    used = {*WRITTEN, *ACCOMPANIED, *vars(PartFlags())}
    for field in fields(config):
        if field.name not in used and getattr(config, field.name) != field.default:
            flag = "a run" if field.name == "run" else f"--{field.name.replace('_', '-')}"
            raise ValueError(f"{flag} has no effect on --accompany; leave it out")


def read_accompaniment(config: ComposeConfig) -> Accompaniment:
    """Return the melody that is to be accompanied, as the flags say.

    Raises:
        ValueError: as `Accompaniment.read`.
    """
    from agents.composing.parts.accompany import Accompaniment

    key = {"key": config.key} if config.key else {}
    words = {"chords": config.chords, "rhythm": config.chord_rhythm, "phrases": config.phrases}
    words = {name: word for name, word in words.items() if word}
    return Accompaniment.read(config.accompany, **words, **config.known, **key)


def read_request(config: ComposeConfig) -> Request:
    """Return what the flags ask for.

    Raises:
        ValueError, TypeError: as `Request`.
    """
    from agents.composing import Bars, Request, Theme
    from agents.composing.request import ARGUMENTS

    flags = {name: value for name, value in vars(config).items() if name in ARGUMENTS}
    del flags["task"]  # of the composer; what is asked for in words goes before it
    asked = {name: value for name, value in flags.items() if value not in ("", None)}
    if config.harmonise:
        words = {name: value for name, value in asked.items() if name in REQUESTED}
        return read_harmonisation(config).request(**words)
    if config.strict:
        return config.strict.request(config.known, asked)
    if config.restyle:
        asked["method"] = "prior"
        return Request(given=Theme.read(config.restyle, **config.budget, **config.known), **asked)
    file = config.lock or config.rewrite
    given = Bars.read(file, bool(config.rewrite), **config.known) if file else None
    return Request(given=given, **asked)


def read_harmonisation(config: ComposeConfig) -> Harmonisation:
    """Return the voices of a file that the flags give to a choir.

    Raises:
        ValueError: as `Harmonisation`, or a flag that would change what the file has.
    """
    from agents.composing.parts.harmonise import CHANGES, Harmonisation
    from agents.composing.request import ARGUMENTS

    usual = ComposeConfig()
    for name in ARGUMENTS:
        asked = vars(config).get(name, None) != vars(usual).get(name, None)
        if asked and name not in (*CHANGES, *REQUESTED):
            raise ValueError(f"--{name}: that of the file is kept by --harmonise; leave it out")
    changes = {name: getattr(config, name) for name in CHANGES if getattr(config, name)}
    known = {**config.known, "given": config.given_voice, "voices": config.voices}
    asked_for = {name: value for name, value in known.items() if value}
    return Harmonisation.read(config.harmonise, allow=config.allow, changes=changes, **asked_for)


def load_composer(config: ComposeConfig, request: Request) -> Composer:
    """Return the composer of the run, of the agent that ships, or of the flags alone.

    Raises:
        FileNotFoundError, ValueError: as `Composer.load`.
    """
    from agents.composing.composer import MELODY, Composer
    from agents.runs.directory import Run
    from agents.settings.config import TrainConfig
    from agents.settings.tasks import arguments_of

    if config.harmonise:
        from agents.composing.parts.harmonise import choir

        return choir(config.prior or config.style)
    in_words = bool(request.changes) or request.given is not None
    env = config.env or (MELODY if in_words else "")
    task = {**arguments_of(config.task), **request.changes} if config.task else {}
    flags = {"env": env, "task": task, "reward": config.reward, "prior": config.prior}
    changes: dict[str, Any] = {name: value for name, value in flags.items() if value}
    if config.strict and not (config.run or config.env):
        return config.strict.composer(
            config.prior, config.reward and TrainConfig(reward=config.reward).terms
        )
    if config.run:
        return Composer.load(Run(config.run), trust=config.trust, **changes)
    if in_words or env == MELODY:
        return Composer.load(**changes)
    return Composer.of(TrainConfig(**changes))


def compose(config: ComposeConfig) -> None:
    """Compose, write the files, and print where they are and how much compute it took."""
    from agents.composing.melody_files import suffixes, write_melodies

    if config.accompany:
        return accompany(config)
    request = read_request(config)
    for words in request.piece.notices if request.piece else ():
        commands.note(words)
    composer = load_composer(config, request)
    commands.tell_changes(composer.notes)
    commands.check_new_directory(config.out)  # before the search, which takes a while
    melodies = composer.compose(request, tempo=config.tempo or None)
    folder = commands.new_directory(config.out)
    formats = suffixes(config.pictures, config.sound)
    write_melodies(melodies, folder, formats, config.soundfont)
    many = "melody" if len(melodies) == 1 else "melodies"
    returns = [melody.report.searched for melody in melodies]
    kinds = ", ".join(suffix.removeprefix(".") for suffix in formats)
    if melodies[0].report.network:
        print(f"network: {melodies[0].report.network}")
    if melodies[0].report.kept:
        print(f"kept in each: {', '.join(melodies[0].report.kept)}")
    if config.prior and request.method == "sample" and request.given is None:
        print("--prior weighs here; to draw from it, add --method prior")
    print(
        f"wrote {len(melodies)} {many} to {config.out}: {kinds} of each\n"
        f"{request.method}: {melodies[0].report.compute}; mean return "
        f"{sum(returns) / len(returns):.1f}, best {max(returns):.1f}"
    )
    for melody in melodies:
        if melody.report.movement:
            print(f"melody {melody.number}: {melody.report.movement}")


def accompany(config: ComposeConfig) -> None:
    """Write chords for a melody and basses under it, and print the key and the chords."""
    from agents.composing.melody_files import suffixes, write_melodies

    asked = read_accompaniment(config)
    for words in asked.notices:
        commands.note(words)
    commands.check_new_directory(config.out)
    names = ("n", "seed", *(("temperature", "must", "candidates") if config.bass else ()))
    chosen: dict[str, Any] = {name: getattr(config, name) for name in names}
    write = asked.compose if config.bass else asked.lead_sheets
    melodies = write(tempo=config.tempo or None, **chosen)
    formats = suffixes(config.pictures, config.sound)
    folder = commands.new_directory(config.out)
    write_melodies(melodies, folder, formats, config.soundfont, likeness=False)
    print(f"key: {asked.piece.facts}")
    for melody in melodies[:1] if config.bass else melodies:
        print(f"chords: {melody.score.task.chords}")
    if melodies[0].report.kept:
        print(f"kept in each bass: {', '.join(melodies[0].report.kept)}")
    print(f"wrote {len(melodies)} of {asked.source} to {config.out}: {' '.join(formats)}")


def main() -> None:
    """Command line."""
    commands.run(lambda: compose(commands.parse(ComposeConfig, "compose", __doc__)))


if __name__ == "__main__":
    main()
