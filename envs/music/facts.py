"""Facts: the content and the place of each cell, computed once and read-only.

Facts have shape (B, V, T), or one that broadcasts to it, on a whole score, and (B, 1, 1) on a view
of one cell. They depend on cells written up to theirs and on no later one.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Self

import numpy as np

from envs.music.codec import FIRST_PITCH, HOLD, REST
from envs.music.tape import Array, freeze
from envs.music.view import View


class Facts(View):
    """The musical facts of the cells of a view."""

    # -- where a cell is -------------------------------------------------------------------------

    @cached_property
    def cell(self) -> Array:
        """Time index of each cell."""
        if self._at is None:
            return freeze(np.arange(self.task.cells)[None, None])
        shape = np.shape(self._at) or (1, 1, 1)
        return freeze(np.asarray(self._at // self.task.voices).reshape(shape))

    @cached_property
    def voice(self) -> Array:
        """Index of each cell's voice, from 0."""
        if self._at is None:
            return freeze(np.arange(self.task.voices)[None, :, None])
        shape = np.shape(self._at) or (1, 1, 1)
        return freeze(np.asarray(self._at % self.task.voices).reshape(shape))

    @cached_property
    def bar(self) -> Array:
        """Index of the bar, from 0; -1 in a pickup."""
        return freeze((self.cell - self.task.pickup) // self.task.bar_cells)

    @cached_property
    def cell_in_bar(self) -> Array:
        """Cells since the bar line."""
        return freeze((self.cell - self.task.pickup) % self.task.bar_cells)

    @cached_property
    def beat(self) -> Array:
        """Beat of the bar as a number from 0; 0.5 is half-way to the second beat."""
        return freeze(self.cell_in_bar / self.task.beat_cells)

    @cached_property
    def level(self) -> Array:
        """Metrical weakness: 0 at the bar line, 1 and more at half bars, beats, their halves."""
        levels = np.array(self.task.meter.levels(self.task.grid), np.int16)
        return freeze(levels[self.cell_in_bar])

    @cached_property
    def is_last(self) -> Array:
        """bool: the cell is the last of its voice."""
        return freeze(self.cell == self.task.cells - 1)

    # -- what a cell holds -----------------------------------------------------------------------

    @cached_property
    def tokens(self) -> Array:
        """int16: tokens of the page, -1 where a cell is neither written nor given."""
        if self._at is not None:
            return self._look(self._store.tokens)
        page = self._store.given.copy()
        page[: self.n_written] = self._store.tokens[: self.n_written]
        shape = (self.task.cells, self.task.voices, -1)
        return freeze(page.reshape(shape).transpose(2, 1, 0))

    @cached_property
    def written(self) -> Array:
        """bool: the cell is written."""
        if self._at is not None:
            return freeze(np.ones(self.tokens.shape, bool))
        order = self.cell * self.task.voices + self.voice
        return freeze(np.broadcast_to(order < self.n_written, self.tokens.shape))

    def _where_written(self, fact: Array) -> Array:
        """Return `fact` (bool) with False in the cells that are not written."""
        partial = self._at is None and not self.finished
        return freeze(fact & self.written if partial else fact)

    @cached_property
    def onset(self) -> Array:
        """bool: a note begins here."""
        return self._where_written(self.tokens >= FIRST_PITCH)

    @cached_property
    def hold(self) -> Array:
        """bool: nothing new happens here."""
        return self._where_written(self.tokens == HOLD)

    @cached_property
    def rest(self) -> Array:
        """bool: a note ends here and silence begins."""
        return self._where_written(self.tokens == REST)

    def _followed(self, step: Any, first: tuple[Any, ...]) -> tuple[Array, ...]:
        """Return the two facts of a scan, -1 in cells that are not written."""
        if self.n_written == 0:
            nothing = np.full(self.tokens.shape, -1, np.int16)
            return freeze(nothing), freeze(nothing)
        facts = self.scan(step, first)
        if self._at is not None or self.finished:
            return facts
        return tuple(freeze(np.where(self.written, fact, np.int16(-1))) for fact in facts)

    @cached_property
    def _previous(self) -> tuple[Array, ...]:
        return self._followed(_follow_onsets, (np.int16(-1), np.int16(-1)))

    @property
    def previous_onset(self) -> Array:
        """int16: time index of the last onset before this cell, -1 if there is none."""
        return self._previous[0]

    @property
    def previous_pitch(self) -> Array:
        """int16: MIDI pitch of the last onset before this cell, -1 if there is none."""
        return self._previous[1]

    @cached_property
    def pitch(self) -> Array:
        """int16: MIDI pitch of the last onset up to this cell, -1 before the first note."""
        started = self.tokens + np.int16(self.task.codec.low - FIRST_PITCH)
        return freeze(np.where(self.onset, started, self.previous_pitch))

    @cached_property
    def _sound(self) -> tuple[Array, ...]:
        return self._followed(_follow_sound, (np.int16(-1),))

    @property
    def sounding(self) -> Array:
        """int16: MIDI pitch that sounds in the cell, -1 for silence."""
        return self._sound[0]

    @property
    def sounded(self) -> Array:
        """int16: MIDI pitch that sounds in the cell before, -1 for silence."""
        return self._sound[1]

    @cached_property
    def interval(self) -> Array:
        """int16: semitones from the previous onset, at an onset that has one; elsewhere 0."""
        moves = self.onset & (self.previous_pitch >= 0)
        return freeze(np.where(moves, self.pitch - self.previous_pitch, np.int16(0)))

    @cached_property
    def degree(self) -> Array:
        """int16: semitones of `pitch` above the tonic below it, 0..11; -1 before the first note."""
        above = (self.pitch - np.int16(self.task.key.pitch_class)) % np.int16(12)
        return freeze(np.where(self.pitch >= 0, above, np.int16(-1)))

    @cached_property
    def in_scale(self) -> Array:
        """bool: the cell starts a note of the key's scale, or starts none."""
        outside = [pc not in self.task.key.pitch_classes for pc in range(12)]
        return freeze(~(self.onset & np.array(outside)[self.pitch % 12]))

    @cached_property
    def in_key(self) -> Array:
        """bool: the cell starts a note that belongs to the key, or starts none; `Key.admitted`."""
        outside = [pc not in self.task.key.admitted for pc in range(12)]
        return freeze(~(self.onset & np.array(outside)[self.pitch % 12]))

    @cached_property
    def in_chord(self) -> Array:
        """bool: the cell starts a note of the task's chord at that cell, or starts none."""
        tones = self.task.chord_tones[self.cell, self.pitch % 12]
        return freeze(~self.onset | tones)

    @cached_property
    def phrase_end(self) -> Array:
        """bool: the cell is the last of a phrase."""
        return freeze(self.task.phrase_ends[self.cell])

    # -- looking back ----------------------------------------------------------------------------

    def earlier(self, cells: Array) -> Self:
        """Return the view of other cells of each cell's voice: their facts, in the cells' place.

        Args:
            cells: time indices (B, V, T), or of a shape that broadcasts with this view's; not
                later than the cells that look at them, or the view is no fact of the cells.
        """
        there = np.asarray(cells).astype(np.intp) * self.task.voices + self.voice
        return self._of(self.task, self._store, self.n_written, there)

    def beside(self, voice: int, back: int = 0) -> Self:
        """Return the view of another voice at the time of each cell, (B, 1, T) or (B, 1, 1).

        At its own time a later voice is not written yet: only later voices may ask.

        Args:
            voice: its number, from 0.
            back: cells by which to look back, not further than to the first one.
        """
        time = np.maximum(self.cell.astype(np.intp) - back, 0)
        there = time * self.task.voices + voice
        if isinstance(self._at, int):
            return self._at_cell(there.item())
        return self._of(self.task, self._store, self.n_written, there)

    def prev(self, fact: str | Array) -> Array:
        """Return a fact at the previous onset of each cell; 0 or False where there is none.

        Args:
            fact: name of a fact, or an array (B, V, T) on a whole score.

        Raises:
            TypeError: an array, on a view of one cell.
        """
        onset = self.previous_onset
        if isinstance(fact, str):
            view = self.earlier(np.maximum(onset, 0))
            value = np.broadcast_to(getattr(view, fact), onset.shape)
        elif self._at is None:
            value = np.take_along_axis(
                np.broadcast_to(fact, onset.shape), np.maximum(onset, 0).astype(np.intp), axis=2
            )
        else:
            raise TypeError("seen at one cell, prev() needs the name of a fact, not an array")
        return np.where(onset >= 0, value, np.zeros((), value.dtype))


def _follow_onsets(state: tuple[Array, ...], here: Any) -> tuple[tuple[Array, ...], Any]:
    """Scan the time index and the pitch of the last onset before each cell."""
    onset, pitch = state
    tokens = here.tokens
    began = tokens >= FIRST_PITCH
    cell = np.int16(here._at // here.task.voices)
    now = tokens + np.int16(here.task.codec.low - FIRST_PITCH)
    return (np.where(began, cell, onset), np.where(began, now, pitch)), (onset, pitch)


def _follow_sound(state: tuple[Array, ...], here: Any) -> tuple[tuple[Array, ...], Any]:
    """Scan the pitch that sounds in each cell and in the cell before, -1 for silence."""
    (before,) = state
    now = np.where(here.onset, here.pitch, np.where(here.rest, np.int16(-1), before))
    return (now,), (now, before)
