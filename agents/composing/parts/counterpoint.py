"""Species counterpoint to a cantus firmus, and cantus firmi: requests, and who composes them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from agents.composing.composer import Composer
from agents.composing.request import Request
from envs.music.codec import UNWRITTEN
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.pitch import parse_range
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from envs.music.voices.cantus import FEWEST, HIGHEST, LOWEST, MOST, Cantus, cantus_row
from envs.music.voices.species import require_species
from envs.notation.reading.readers import read_piece
from rewards.build import build, make_term
from rewards.rule import Rule
from rewards.rules.voices import STEP

METER = Meter(4, 4)
USUAL = {"method": "exhaustive"}  # of a request
ROOM = 12  # semitones that the free voice may have beyond the cantus firmus
# Rules of a pack that every solution keeps. Those of one line are kept by the free voice; what is
# given may be as it is.
KEPT = (
    *("species_rhythm", "dissonance", "parallel_fifths", "parallel_octaves", "perfect_approach"),
    *("downbeat_parallels", "unison", "voice_crossing", "voice_spacing", "opening_interval"),
    *("closing_interval", "clausula"),
)
KEPT_BY_LINE = ("modal_notes", "leap_size", "dissonant_leap", "augmented_second", "tessitura")
# What the packs leave open and a teacher does not.
LINE: dict[str, Any] = {
    **{"chromatic_step": 2.0, "unique_climax": 2.0, "leap_recovery": {"weight": 2.0, "min_leap": 7}}
}
# What a teacher likes beside the pack, by which solutions are ranked.
TASTE: dict[str, Any] = {
    "two_leaps": 1.0,
    "step_leap_balance": {"weight": 3.0, "least": 0.55, "most": 0.9, "fewest": 6},
    "late_climax": {"weight": 1.0, "earliest": 0.25},
    "pitch_variety": {"weight": 1.0, "least": 6},
    "aimless_turns": 0.5,
}
CANTUS_FIRMUS = "cantus_firmus"  # the pack
# Rules of it that every cantus firmus keeps.
KEPT_BY_CANTUS = (
    *("in_key", "opening_tonic", "final_tonic", "step_down_close", "unique_climax"),
    *("repeated_notes", "leap_size", "dissonant_leap", "leap_recovery", "tessitura"),
)
BARS = 11  # of a cantus firmus, if nothing is said
BELOW, ABOVE = 5, 12  # semitones of its range from the final
CENTRE = 60  # MIDI number near which its final lies


def pack(species: int) -> str:
    """Return the name of the pack of a species."""
    require_species(species)
    return f"fux_species_{species}"


def demands_of(species: int) -> tuple[Rule, ...]:
    """Return the hard rules of a species, which every solution keeps."""
    terms = build(pack(species)).terms
    once = {"most": 2 if species == 1 else 1}  # times that a note may be struck in a row
    lines = [terms[name].rule for name in KEPT_BY_LINE]
    lines += [make_term(name, setting).rule for name, setting in LINE.items()]
    lines.append(make_term("repeated_notes", {"weight": 1.0, **once}).rule)
    return (
        *(terms[name].rule for name in KEPT if name in terms),
        *map(_of_free_voices, lines),
    )


def _of_free_voices(rule: Rule) -> Rule:
    """Return a rule of lines that judges what is free, and not what is given."""
    return replace(rule, fn=functools.partial(_free, rule=rule), base=None)


def _free(score: Score, *, rule: Rule) -> Array:
    """Return the value of a rule in the cells that are not given, 0 in others."""
    free = score.task.free[score.voice, score.cell]
    return np.where(free, rule(score), np.float32(0))


@dataclass(frozen=True)
class Counterpoint:
    """A counterpoint of two voices that is asked for: a cantus firmus is given, the other is free.

    Attributes:
        cantus: given, a whole note in each bar.
        species: 1 to 5, of the free voice.
        above: True if the free voice is the higher one.

    Raises:
        ValueError: another species, or a cantus firmus that does not come to its final by step.
    """

    cantus: Cantus
    species: int = 1
    above: bool = True

    def __post_init__(self) -> None:
        require_species(self.species)
        before, last = self.cantus.pitches[-2:]
        if not 1 <= abs(last - before) <= STEP:
            name = self.cantus.key.pitch_name
            raise ValueError(
                f"bar {len(self.cantus.pitches)}: the cantus firmus comes to its final by "
                f"{name(before)}-{name(last)}, so no counterpoint has a clausula (both voices come "
                "to it by step); end it by a step"
            )

    @staticmethod
    def read(
        source: str, species: int = 1, above: bool = True, key: str = "", **known: Any
    ) -> Counterpoint:
        """Return the counterpoint to a cantus firmus of a file, or to one of Fux's by its name.

        Args:
            source: a file of music, or fux-D, fux-E, fux-F, fux-G, fux-A or fux-C.
            species, above: as the attributes.
            key: mode of the cantus firmus; that of its last note if empty.
            known: as `read_piece`.

        Raises:
            ValueError: as `Cantus`, `Cantus.of` and `read_piece`.
        """
        cantus = Cantus.named(source)
        if cantus is None:
            mode = Key.parse(key) if key else None
            cantus = Cantus.of(read_piece(source, **known), mode)
        elif key:
            cantus = replace(cantus, key=Key.parse(key))
        return Counterpoint(cantus, species, above)

    @property
    def task(self) -> Task:
        """The page: a bar of 4/4 for each note, the cantus firmus in one of two voices."""
        low, high = min(self.cantus.pitches), max(self.cantus.pitches)
        free = (low, high + ROOM) if self.above else (low - ROOM, high)
        free = max(free[0], LOWEST), min(free[1], HIGHEST)
        name = Key("C").pitch_name
        spans = [f"{name(a)}-{name(b)}" for a, b in (free, (low, high))]
        task = Task(
            key=self.cantus.key,
            meter=METER,
            bars=len(self.cantus.pitches),
            grid=2 if self.species == 5 else 1,
            voices=2,
            ranges=" ".join(spans if self.above else reversed(spans)),
        )
        rows = [[UNWRITTEN] * task.cells, cantus_row(self.cantus.pitches, task)]
        return replace(task, given=tuple(map(tuple, rows if self.above else reversed(rows))))

    def request(self, **keywords: Any) -> Request:
        """Return the request to a composer, with the hard rules of the species as demands.

        Args:
            keywords: those of `Request`, such as n, seed and must; the page is set.
        """
        must = (*demands_of(self.species), *keywords.pop("must", ()))
        wish = (*keywords.pop("wish", ()), "key")  # its cadence may raise a degree
        return Request(self.task, **{**USUAL, **keywords, "must": must, "wish": wish})


def reward_of(species: int) -> Mapping[str, Any]:
    """Return the reward by which solutions are ranked."""
    return {pack(species): 1.0, **TASTE}


def counterpoint_composer(species: int, prior: Any = None, reward: Any = None) -> Composer:
    """Return the composer of a species; without another prior it learned from no music.

    Args:
        species: 1 to 5.
        prior, reward: as `Composer` takes them.
    """
    return Composer(prior or f"species-{species}", reward or reward_of(species))


# -- cantus firmi ----------------------------------------------------------------------------------


def cantus_request(key: str | Key = "D dorian", bars: int = BARS, **keywords: Any) -> Request:
    """Return the request for cantus firmi: whole notes that keep what Fux's have in common.

    Args:
        key: the mode.
        bars: number of notes.
        keywords: those of `Request`, such as n, seed and must; range="D3-D4" stands for low and
            high, which are a fourth below the final and an octave above it else.

    Raises:
        ValueError: too few or too many notes.
    """
    if not FEWEST <= bars <= MOST:
        raise ValueError(f"bars={bars}: a cantus firmus has {FEWEST} to {MOST} notes, a bar each")
    key, terms = Key.parse(key), build(CANTUS_FIRMUS).terms
    final = min(range(key.pitch_class, 128, 12), key=lambda pitch: abs(pitch - CENTRE))
    low, high = final - BELOW, final + ABOVE
    if "range" in keywords:
        low, high = parse_range(keywords.pop("range"))
    must = (*(terms[name].rule for name in KEPT_BY_CANTUS), *keywords.pop("must", ()))
    task = Task(key=key, meter=METER, bars=bars, low=low, high=high, grid=1)
    return Request(task, **{**USUAL, **keywords, "must": must})


def cantus_composer(prior: Any = None, reward: Any = None) -> Composer:
    """Return the composer of cantus firmi; see `counterpoint_composer`."""
    return Composer(prior or "species-1", reward or CANTUS_FIRMUS)


# -- flags -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StrictStyle:
    """What the flags of `python -m agents.compose` ask for: counterpoint, or a cantus firmus.

    Attributes:
        counterpoint: source of a cantus firmus, see `Counterpoint.read`; empty for none.
        cantus_firmus: True if cantus firmi are asked for.
        species, above, below: of the free voice.

    Raises:
        ValueError: flags that contradict each other.
    """

    counterpoint: str = ""
    cantus_firmus: bool = False
    species: int | None = None
    above: bool = False
    below: bool = False

    def __post_init__(self) -> None:
        if self.counterpoint and self.cantus_firmus:
            raise ValueError("--counterpoint needs a cantus firmus and --cantus-firmus writes one")
        if self.above and self.below:
            raise ValueError("--above and --below: expected one of them")
        for name in ("species", "above", "below"):
            if getattr(self, name) and not self.counterpoint:
                raise ValueError(f"--{name} says how a cantus firmus is set; add --counterpoint")

    def __bool__(self) -> bool:
        return bool(self.counterpoint) or self.cantus_firmus

    def request(self, known: Mapping[str, Any], asked: dict[str, Any]) -> Request:
        """Return the request.

        Args:
            known: as `read_piece`.
            asked: keywords of `Request`; of the page's those that may be said.

        Raises:
            ValueError: a keyword that the cantus firmus or the species says already.
        """
        key = asked.pop("key", "")
        if asked.get("method") == "sample":  # the flag's own
            del asked["method"]
        pages = {"meter", "grid", "pickup", "chords", "phrases", "primer"}
        pages |= {"bars", "range"} if self.counterpoint else set()
        for name in sorted(pages & asked.keys()):
            raise ValueError(f"--{name}: the cantus firmus and its species say it; leave it out")
        if self.counterpoint:
            above, species = not self.below, self.species or 1
            return Counterpoint.read(self.counterpoint, species, above, key, **known).request(
                **asked
            )
        return cantus_request(key or "D dorian", asked.pop("bars", BARS), **asked)

    def composer(self, prior: str = "", reward: Any = None) -> Composer:
        """Return the composer of the request."""
        if self.counterpoint:
            return counterpoint_composer(self.species or 1, prior, reward)
        return cantus_composer(prior, reward)
