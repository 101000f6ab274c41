"""Flags that ask for several voices: counterpoint, harmony, or chords and a bass for a melody."""

from __future__ import annotations

from dataclasses import dataclass, fields

from agents.settings.reading_flags import PartFlags
from envs.errors import quoted

WRITTEN = ("n", "out", "seed", "temperature", "tempo", "pictures", "sound", "soundfont", "must")
READ = ("part", "voice", "top", "quantize")
SEARCHED = ("candidates", "prior", "reward", "run", "env", "method", "best_of", "width", "mask")
TOLD = ("key", "chords", "phrases")
CHOIR = ("voices", "given_voice", "style", "allow")
# Flags that ask for several voices, and those that say how; WRITTEN go with each.
SEVERAL = {
    "harmonise": (*READ, *CHOIR, *TOLD, "wish", "candidates", "prior"),
    "counterpoint": (*READ, *SEARCHED, "species", "above", "below", "key", "trust"),
    "cantus_firmus": (*SEARCHED, "key", "bars", "range", "trust"),
    "accompany": (*READ, *TOLD, "bass", "chord_rhythm", "candidates"),
}
STYLES = ("plain", "chorale")  # of harmonisations
# Flags that belong to one of them alone.
OWNERS = {
    **dict.fromkeys(CHOIR, "harmonise"),
    **dict.fromkeys(("species", "above", "below"), "counterpoint"),
    **dict.fromkeys(("bass", "chord_rhythm"), "accompany"),
}
# Methods that read a flag of SEARCHED; the others of these flags are read by each.
METHODS_OF = {
    "mask": ("masked",),
    "best_of": ("best-of-n",),
    "width": ("beam", "guided-beam", "best-known"),
}
OF_THE_BASS = ("must", "temperature", "candidates")  # nothing is drawn for chords alone


@dataclass(frozen=True, kw_only=True)
class VoicesFlags(PartFlags):
    """Flags that ask for several voices.

    Attributes:
        harmonise: a file with one voice or several, to which the other voices of a choir are
            written; key, phrases and chords may be said, and all else is the file's, its chord
            symbols too: --wish chords only weighs them, --chords auto leaves them aside.
        voices: of the choir, letters of SATB in that order; SATB if empty.
        given_voice: the voices that the file has: soprano, alto, tenor, bass; soprano if empty. Of
            a file with all voices those that stay.
        style: chorale for that of Bach's chorales, which are learned from the installed music21 at
            first use, in about four minutes; plain, or nothing, for one that ships.
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
    """

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

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = self.several
        for name in self.said:
            owner = OWNERS.get(name, asked)
            if owner != asked:
                raise ValueError(f"{flag(name)} has no effect without {flag(owner)}; add it")
            if asked and name not in (asked, *WRITTEN, *SEVERAL[asked]):
                raise ValueError(f"{flag(name)} has no effect on {flag(asked)}; leave it out")
        if self.style and self.style not in STYLES:
            raise ValueError(
                f"--style {quoted(self.style)}: expected one of {', '.join(STYLES)}; a prior of "
                "your own is named by --prior"
            )
        if self.above and self.below:
            raise ValueError("--above and --below: expected one of them")
        if asked:
            self._require_effect()

    def _require_effect(self) -> None:
        """Raise ValueError if a flag that goes with another has no effect beside a third."""
        method = getattr(self, "method", "")
        for name in self.said:
            methods = METHODS_OF.get(name, (method,))
            if method not in methods:
                raise ValueError(
                    f"{flag(name)} has no effect without --method {methods[0]}; add it"
                )
            if name in OF_THE_BASS and not self.bass:
                raise ValueError(
                    f"{flag(name)} has no effect with --no-bass; leave one of them out"
                )
            if name == "style" and "prior" in self.said:
                raise ValueError("--style and --prior both name what is drawn from; leave one out")

    @property
    def several(self) -> str:
        """Name of the flag of SEVERAL that is set, empty if there is none."""
        return next((name for name in SEVERAL if getattr(self, name)), "")

    @property
    def said(self) -> tuple[str, ...]:
        """Names of the flags that are not as they are by themselves."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != f.default)


def flag(name: str) -> str:
    """Return a flag as it is written on the command line."""
    return "a run" if name == "run" else f"--{name.replace('_', '-')}"
