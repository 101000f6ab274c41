"""Species counterpoint to a cantus firmus, and cantus firmi: requests, and who composes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from agents.composing.composer import Composer
from agents.composing.parts.strict import (
    CADENCE_SUSPENSION,
    FALLING_SIXTH,
    PERFECT_RUN,
    ROUGH_TRIAD,
    SYNCOPATION,
    can_suspend,
)
from agents.composing.request import Request
from envs.music.codec import UNWRITTEN
from envs.music.key import Key
from envs.music.meter import Meter, beat_quarters
from envs.music.piece import FASTEST, SLOWEST, Piece
from envs.music.pitch import parse_range
from envs.music.score import Score
from envs.music.task import Task
from envs.music.voices.cantus import FEWEST, HIGHEST, LOWEST, MOST, Cantus, cantus_row
from envs.music.voices.species import require_species
from envs.notation.reading.readers import read_piece
from rewards.build import build, make_term
from rewards.rule import Rule, of_free_voices
from rewards.rules.voices import STEP
from rewards.sum import RewardSum
from rewards.term import Term

METER = Meter(4, 4)
USUAL = {"method": "exhaustive"}  # of a request
ROOM = 12  # semitones that the free voice may have beyond the cantus firmus
# Rules of a pack that every solution keeps. Those of one line are kept by the free voice; what is
# given may be as it is.
KEPT = (
    "species_rhythm",
    "dissonance",
    "parallel_fifths",
    "parallel_octaves",
    "perfect_approach",
    "downbeat_parallels",
    "unison",
    "voice_crossing",
    "voice_spacing",
    "opening_interval",
    "closing_interval",
    "clausula",
)
KEPT_BY_LINE = ("modal_notes", "leap_size", "dissonant_leap", "augmented_second", "tessitura")
# What the packs leave open and a teacher does not.
LINE: dict[str, Any] = {"chromatic_step": 2.0, "unique_climax": {"weight": 2.0, "last": False}}
# What a teacher likes beside the pack, by which solutions are ranked.
TASTE: dict[str, Any] = {
    "leap_recovery": {"weight": 1.0, "min_leap": 7},
    "two_leaps": 1.0,
    "step_leap_balance": {"weight": 3.0, "least": 0.55, "most": 0.9, "fewest": 6},
    "late_climax": {"weight": 1.0, "earliest": 0.25},
    "pitch_variety": {"weight": 1.0, "least": 6},
    "aimless_turns": 0.5,
}
# And what Fux says of a species over a cantus firmus that is given, with weights.
STRICT: dict[int, tuple[tuple[Rule, float], ...]] = {
    1: ((PERFECT_RUN, 2.0),),
    2: ((ROUGH_TRIAD, 2.0),),
    3: ((ROUGH_TRIAD, 2.0),),
    4: ((SYNCOPATION, 2.0),),
    5: ((ROUGH_TRIAD, 2.0),),
}
# By the names under which they may be demanded (--must).
STRICT_NAMES: Mapping[Any, Rule] = {
    rule.name: rule
    for rule in (CADENCE_SUSPENSION, SYNCOPATION, PERFECT_RUN, FALLING_SIXTH, ROUGH_TRIAD)
}
CANTUS_FIRMUS = "cantus_firmus"  # the pack
# Rules of it that every cantus firmus keeps.
KEPT_BY_CANTUS = (
    "in_key",
    "opening_tonic",
    "final_tonic",
    "step_down_close",
    "unique_climax",
    "repeated_notes",
    "leap_size",
    "dissonant_leap",
    "leap_recovery",
    "tessitura",
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
        *map(of_free_voices, lines),
        FALLING_SIXTH,
    )


def ranking(species: int) -> RewardSum:
    """Return the reward by which solutions of a species are ranked; lines are the free voice's."""
    terms = dict(build({pack(species): 1.0, **TASTE}).terms)
    for name, term in terms.items():
        if term.rule.against is None and name not in KEPT:
            terms[name] = replace(term, rule=of_free_voices(term.rule))
    strict = [Term(rule.name, rule, weight) for rule, weight in STRICT[species]]
    return RewardSum([*terms.values(), *strict])


@dataclass(frozen=True)
class Counterpoint:
    """A counterpoint of two voices that is asked for: a cantus firmus is given, the other is free.

    Attributes:
        cantus: given, a whole note in each bar.
        species: 1 to 5, of the free voice.
        above: True if the free voice is the higher one.
        notices: remarks on how the cantus firmus was read.
        tempo: quarter notes per minute; as usual if None.

    Raises:
        ValueError: another species, or a cantus firmus that does not come to its final by step.
    """

    cantus: Cantus
    species: int = 1
    above: bool = True
    notices: tuple[str, ...] = ()
    tempo: float | None = None

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
            ValueError: as `Cantus`, `Cantus.of` and `read_piece`; or `known` of one of Fux's.
        """
        cantus = Cantus.named(source)
        if cantus is None:
            piece = read_piece(source, **known)
            cantus = Cantus.of(piece, Key.parse(key) if key else None)
            notices, own = piece.notices, piece.task.meter
            if own != METER:
                notices += (f"{source} is in {own}: each bar is a whole note of {METER} here",)
            tempo = piece.tempo
            if tempo is not None:
                tempo = min(max(tempo * float(beat_quarters(own)), SLOWEST), FASTEST)
            return Counterpoint(cantus, species, above, notices, tempo)
        if known:
            raise ValueError(
                f"{', '.join(known)}: says what is read of a file, and {source} is one of Fux's; "
                "leave it out"
            )
        if key:
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
            keywords: those of `Request`, such as n, seed and must, in which the rules of
                `parts.strict` have their names; the page is set.
        """
        asked = (STRICT_NAMES.get(word, word) for word in keywords.pop("must", ()))
        must = (*demands_of(self.species), *asked)
        if self.species in (4, 5) and can_suspend(self.task):
            must = (*must, CADENCE_SUSPENSION)
        wish = (*keywords.pop("wish", ()), "key")  # its cadence may raise a degree
        request = Request(self.task, **{**USUAL, **keywords, "must": must, "wish": wish})
        line = replace(self.task, voices=1, ranges="", given=())
        row = cantus_row(self.cantus.pitches, line)
        request.piece = Piece(Score([[row]], line), self.cantus.title, tempo=self.tempo)
        return request

    def composer(self, prior: Any = "", reward: Any = None) -> Composer:
        """Return the composer of the species.

        Args:
            prior: as `Composer` takes it; one that learned from no music if empty.
            reward: by which solutions are ranked; the pack of the species and TASTE if None.
        """
        return Composer(prior or f"species-{self.species}", reward or ranking(self.species))


# -- cantus firmi ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CantusFirmus:
    """A cantus firmus that is asked for: whole notes that keep what Fux's have in common.

    Attributes:
        key: the mode; text is parsed.
        bars: number of notes.

    Raises:
        ValueError: too few or too many notes, or a mode that has no step down to its final.
    """

    key: Key | str = "D dorian"
    bars: int = BARS

    def __post_init__(self) -> None:
        if not FEWEST <= self.bars <= MOST:
            raise ValueError(
                f"bars={self.bars}: a cantus firmus has {FEWEST} to {MOST} notes, a bar each"
            )
        key = Key.parse(self.key)
        if not any(1 <= step <= STEP for step in key.steps):
            raise ValueError(
                f"key={key}: has no note a step above {key.tonic}, and a cantus firmus comes down "
                f"to its final by step; expected a mode such as {key.tonic} dorian (key=, --key)"
            )
        object.__setattr__(self, "key", key)

    @property
    def notices(self) -> tuple[str, ...]:
        """No remarks, as nothing is read."""
        return ()

    def request(self, **keywords: Any) -> Request:
        """Return the request to a composer.

        Args:
            keywords: those of `Request`, such as n, seed and must; range="D3-D4" stands for low and
                high, which are a fourth below the final and an octave above it else.
        """
        key, terms = Key.parse(self.key), build(CANTUS_FIRMUS).terms
        final = min(range(key.pitch_class, 128, 12), key=lambda pitch: abs(pitch - CENTRE))
        low, high = final - BELOW, final + ABOVE
        if "range" in keywords:
            low, high = parse_range(keywords.pop("range"))
        must = (*(terms[name].rule for name in KEPT_BY_CANTUS), *keywords.pop("must", ()))
        task = Task(key=key, meter=METER, bars=self.bars, low=low, high=high, grid=1)
        return Request(task, **{**USUAL, **keywords, "must": must})

    def composer(self, prior: Any = "", reward: Any = None) -> Composer:
        """Return the composer, see `Counterpoint.composer`."""
        return Composer(prior or "species-1", reward or CANTUS_FIRMUS)
