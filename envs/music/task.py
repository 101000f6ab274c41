"""Task: the page to fill, with its key, metre, bars, range, voices and given cells."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from envs import old_names
from envs.errors import quoted
from envs.music.chords import Chord, parse_chords
from envs.music.codec import FIRST_PITCH, HOLD, MAX_GRID, UNWRITTEN, Codec
from envs.music.key import C_MAJOR, Key
from envs.music.meter import Meter
from envs.music.phrases import Phrase, parse_phrases, returning_cells
from envs.music.pitch import parse_pitch, parse_ranges
from envs.music.tape import freeze

MAX_BARS = 64
MAX_CELLS = 4096  # of one voice
MAX_VOICES = 8
BARS_TO_A_NUMBER = 16
# Meaning of each number of an observation's "context"; all are counts or MIDI numbers.
CONTEXT = (
    "cell",  # time index of the cell to be written next
    "cells",  # cells of the piece, per voice
    "cell_in_bar",
    "bar_cells",
    "beat_cells",
    "voice",
    "voices",
    "tonic",  # pitch class
    "low",
    "high",
    "home",  # pitch class of the major key that has the key signature
    # One bit for each bar, set if the bar ends a phrase; 16 bars a number, bit 0 is the first.
    *(f"phrase_ends_{first}" for first in range(0, MAX_BARS, BARS_TO_A_NUMBER)),
)


@dataclass(frozen=True)
class Task:
    """A page to fill. The default is the reference episode: two bars of 4/4 in sixteenths.

    Attributes:
        key: a key such as 'C major'; text is parsed, here and in the next fields.
        meter: a metre such as '4/4' or '6/8'.
        bars: number of bars, 1..64.
        low: lowest pitch, inclusive, a MIDI number or a note name.
        high: highest pitch, inclusive.
        grid: cells per quarter note.
        voices: number of voices.
        given: tokens (voices, cells) that are fixed in advance, -1 where a cell is free;
            () for none.
        pickup: cells before the first bar line, less than a bar; the last bar is shorter by them.
        chords: harmony, see `envs.music.chords.parse_chords`; '' for none.
        phrases: plan of the form, see `envs.music.phrases.parse_phrases`; '' for one phrase.
        ranges: range of each voice, see `envs.music.pitch.parse_ranges`; `low` and `high` are then
            the lowest and highest of all. '' for low to high in every voice.
    """

    key: Key = field(default_factory=lambda: Key("C"))
    meter: Meter = field(default_factory=lambda: Meter(4, 4))
    bars: int = 2
    low: int = 48
    high: int = 83
    grid: int = 4
    voices: int = 1
    given: tuple[tuple[int, ...], ...] = ()
    pickup: int = 0
    chords: str = ""
    phrases: str = ""
    ranges: str = ""

    def __post_init__(self) -> None:
        put = object.__setattr__  # the class is frozen; text is parsed here, once
        put(self, "key", Key.parse(self.key))
        put(self, "meter", Meter.parse(self.meter))
        put(self, "low", parse_pitch(self.low))
        put(self, "high", parse_pitch(self.high))
        for name, most in (("bars", MAX_BARS), ("voices", MAX_VOICES), ("grid", MAX_GRID)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise TypeError(f"{name}: expected a whole number, got {quoted(value)}")
            if not 1 <= value <= most:
                raise ValueError(f"{name}={quoted(value)}: expected 1..{most}")
        self._read_ranges()
        if self.low > self.high:
            low, high = (self.key.pitch_name(pitch) for pitch in (self.low, self.high))
            raise ValueError(f"range: the lowest pitch {low} is above the highest, {high}")
        if self.bars * self.meter.bar_cells(self.grid) > MAX_CELLS:
            raise ValueError(f"the piece has {self.cells} cells, expected at most {MAX_CELLS}")
        if not 0 <= self.pickup < self.bar_cells:
            raise ValueError(
                f"pickup={quoted(self.pickup)}: expected 0 to {self.bar_cells - 1} cells, "
                "less than a bar"
            )
        _ = self.phrase_plan, self.harmony  # parsed now, so that wrong text is refused here
        if len(self.given):
            try:
                page = np.array([[int(token) for token in voice] for voice in self.given])
            except (TypeError, ValueError):
                raise ValueError(
                    "given cells: expected a row of tokens for each voice, all of one length"
                ) from None
            put(self, "given", tuple(tuple(row) for row in page.tolist()))
            if page.shape != (self.voices, self.cells):
                raise ValueError(
                    f"given cells have shape {page.shape}, expected {(self.voices, self.cells)}: "
                    "a row of tokens for each voice, -1 where a cell is free"
                )
            for voice, row in enumerate(page):
                self.check_tokens(row, "given cells", voice)
            begun = np.maximum.accumulate(page >= FIRST_PITCH, axis=1)
            if ((page == HOLD) & ~begun).any():
                raise ValueError("given cells: a hold (1) needs a given note before it")

    def _read_ranges(self) -> None:
        """Set `ranges` to its plain form, and `low` and `high` to the lowest and highest of all."""
        if not isinstance(self.ranges, str):
            raise TypeError(f"ranges={quoted(self.ranges)}: expected text, such as 'C4-A5 E2-D4'")
        if not self.ranges:
            return
        spans = parse_ranges(self.ranges.strip())
        if len(spans) != self.voices:
            raise ValueError(
                f"ranges={quoted(self.ranges)}: {len(spans)} ranges and voices={self.voices}; "
                "expected a range for each voice"
            )
        words = [f"{C_MAJOR.pitch_name(low)}-{C_MAJOR.pitch_name(high)}" for low, high in spans]
        for word, (low, high) in zip(words, spans, strict=True):
            if low > high:
                raise ValueError(f"ranges: {word} begins above its end; expected lowest-highest")
        whole = min(low for low, _ in spans), max(high for _, high in spans)
        if (self.low, self.high) not in (whole, (Task.low, Task.high)):
            raise ValueError(
                "range and ranges contradict each other; leave low and high out, or ranges"
            )
        for name, value in zip(("ranges", "low", "high"), (" ".join(words), *whole), strict=True):
            object.__setattr__(self, name, value)

    def changed(self, **fields: Any) -> Task:
        """Return this task with some fields replaced.

        A range for each voice takes the place of one for all, and the other way round; it says the
        number of voices.

        Raises:
            ValueError, TypeError: as the class.
        """
        if fields.get("ranges"):
            voices = len(parse_ranges(str(fields["ranges"]).strip()))
            fields = {"low": Task.low, "high": Task.high, "voices": voices} | fields
        elif self.ranges and (
            {"low", "high"} & fields.keys() or fields.get("voices", self.voices) != self.voices
        ):
            fields = {"ranges": ""} | fields
        return replace(self, **fields)

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Lowest and highest MIDI pitch of each voice."""
        return parse_ranges(self.ranges) if self.ranges else ((self.low, self.high),) * self.voices

    @cached_property
    def codec(self) -> Codec:
        """The vocabulary, see `Codec.around`."""
        return Codec.around(self.low, self.high, self.grid)

    @cached_property
    def bar_cells(self) -> int:
        """Number of cells in a bar."""
        return self.meter.bar_cells(self.grid)

    @cached_property
    def beat_cells(self) -> int:
        """Number of cells in a beat."""
        return self.meter.beat_cells(self.grid)

    @cached_property
    def cells(self) -> int:
        """Number of cells in a voice."""
        return self.bars * self.bar_cells

    @cached_property
    def bar_lines(self) -> tuple[int, ...]:
        """Cells at which a bar begins, the pickup included."""
        first = (0,) if self.pickup else ()
        return (*first, *range(self.pickup, self.cells, self.bar_cells))

    def place_in_bar(self, cell: int) -> int:
        """Return the cells since the bar line before a time index; a pickup is a bar's end."""
        return (cell - self.pickup) % self.bar_cells

    @cached_property
    def phrase_plan(self) -> tuple[Phrase, ...]:
        """Phrases of the piece; a single one if `phrases` is empty."""
        return parse_phrases(self.phrases or f"A{self.bars}", self.bars)

    @cached_property
    def phrase_ends(self) -> npt.NDArray[np.bool_]:
        """(cells,) bool: the cell is the last of a phrase.

        With a pickup, a phrase ends that many cells before the bar line: the next one has a pickup.
        """
        ends = [(p.first_bar + p.bars) * self.bar_cells for p in self.phrase_plan]
        last = np.zeros(self.cells, bool)
        last[[end - 1 for end in ends]] = True
        return freeze(last)

    @cached_property
    def returning_cells(self) -> npt.NDArray[np.int64]:
        """(cells,): the earlier cell that comes back in each cell by the plan, -1 for none."""
        return freeze(np.array(returning_cells(self.phrase_plan, self.bar_cells)))

    @cached_property
    def _phrase_bits(self) -> tuple[int, ...]:
        bits = sum(1 << (phrase.first_bar + phrase.bars - 1) for phrase in self.phrase_plan)
        firsts = range(0, MAX_BARS, BARS_TO_A_NUMBER)
        return tuple(bits >> first & (1 << BARS_TO_A_NUMBER) - 1 for first in firsts)

    @cached_property
    def harmony(self) -> tuple[tuple[Chord, ...], ...]:
        """Chords of each bar; () if `chords` is empty."""
        return parse_chords(self.chords, self.key, self.bars) if self.chords else ()

    @cached_property
    def chord_starts(self) -> tuple[tuple[int, Chord], ...]:
        """First cell of each chord, and the chord; () if `chords` is empty.

        The chords of a bar share its cells evenly; a remainder goes to the first of them.
        """
        places = (
            (self.pickup + bar * self.bar_cells + -(-self.bar_cells * number // len(chords)), chord)
            for bar, chords in enumerate(self.harmony)
            for number, chord in enumerate(chords)
        )
        return tuple(place for place in places if place[0] < self.cells)  # the last bar is shorter

    @cached_property
    def chord_tones(self) -> npt.NDArray[np.bool_]:
        """(cells, 12) bool: the pitch class belongs to the chord of the cell.

        All do where there is no chord, as in a pickup.
        """
        tones = np.ones((self.cells, 12), bool)
        for start, chord in self.chord_starts:
            tones[start:] = [pc in chord.pitch_classes for pc in range(12)]
        return freeze(tones)

    @cached_property
    def steps(self) -> int:
        """Number of cells in all voices: the length of an episode that starts on an empty page."""
        return self.cells * self.voices

    @cached_property
    def page(self) -> npt.NDArray[np.int16]:
        """(voices, cells) int16: the given tokens, -1 where a cell is free."""
        free = np.full((self.voices, self.cells), UNWRITTEN, np.int16)
        return freeze(np.array(self.given, np.int16) if self.given else free)

    @cached_property
    def free(self) -> npt.NDArray[np.bool_]:
        """(voices, cells) bool: the cell is not given."""
        return freeze(self.page == UNWRITTEN)

    @cached_property
    def tonic_pitch(self) -> int:
        """MIDI pitch of the tonic in the octave from middle C, or the nearest one in range."""
        middle = 60 + self.key.pitch_class
        octaves = range(middle % 12, 128, 12)
        return min(octaves, key=lambda p: (not self.low <= p <= self.high, abs(p - middle)))

    def check_tokens(self, tokens: npt.NDArray[np.integer], what: str, voice: int) -> None:
        """Raise unless each token is -1 or in the vocabulary and the range of a voice.

        Args:
            tokens: integers of any shape.
            what: their name, which begins the message.
            voice: its index.

        Raises:
            ValueError: a token outside the range.
            TypeError: tokens that are no integers.
        """
        if not np.issubdtype(tokens.dtype, np.integer):
            raise TypeError(f"{what}: expected whole numbers (tokens), got {tokens.dtype}")
        codec, (low, high) = self.codec, self.spans[voice]
        legal = codec.legal(np.array(True), low, high)
        bad = (tokens < UNWRITTEN) | (tokens >= codec.vocab)
        bad |= ~legal[np.clip(tokens, 0, codec.vocab - 1)] & (tokens != UNWRITTEN)
        if bad.any():
            token = int(tokens[bad][0])
            name = self.key.pitch_name
            of_voice = f" of voice {voice + 1}" if self.ranges else ""
            legal_pitches = f"{codec.token(low)}..{codec.token(high)} ({name(low)} to {name(high)})"
            raise ValueError(
                f"{what}: token {token} is outside the range{of_voice}; expected 0 (rest), "
                f"1 (hold) or {legal_pitches}"
            )

    def context(self, cell: int) -> npt.NDArray[np.float32]:
        """Return the numbers named in CONTEXT, (len(CONTEXT),), at a cell in writing order."""
        time, voice = divmod(min(cell, self.steps - 1), self.voices)
        values = (
            time,
            self.cells,
            self.place_in_bar(time),
            self.bar_cells,
            self.beat_cells,
            voice,
            self.voices,
            self.key.pitch_class,
            self.low,
            self.high,
            self.key.home,
            *self._phrase_bits,
        )
        return np.array(values, np.float32)

    def sample(self, rng: object, n: int) -> Any:
        """Return `Score.page(self, n)`, of which this is the old name."""
        return old_names.page(self, n)
