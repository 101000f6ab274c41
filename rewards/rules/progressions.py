"""Rules of implied harmony: the chords that the notes of a line spell, their rhythm and closes.

The chords are those of `envs.music.implied`. Where a task gives chords, `chord_tones` judges the
line, and only `early_close` here has violations. Silent bars have none.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from envs.music.implied import BITS, SILENCE, dominant_degrees, implied, span_cells
from envs.music.score import Score
from envs.music.tape import Array
from rewards.rule import rule
from rewards.rules.rhythm import ends_bar, nothing

PERIOD = 8  # bars
HALVES_COST = 0.1  # by which two chords in a bar must be clearer than one
PISTON_RHYTHM = "Piston, Harmony (1941), harmonic rhythm"


def _best_share(state: tuple[Array, ...], here: Score) -> Any:
    """Scan how much of each bar's sound belongs to one chord, or to one in each half; at its end.

    The second output is the chord of the whole bar, -1 for silence.
    """
    chord, whole = implied(here)
    of_half, half = implied(here, halves=True)
    first, known = state
    two = np.where(known & (of_half >= 0), (first + half) / 2 - np.float32(HALVES_COST), whole)
    place, size = int(here.cell_in_bar.item()), span_cells(here.task, halves=True)
    known = known if place else np.zeros(known.shape, bool)
    split = size < here.task.bar_cells and place == size - 1
    following = (half, of_half >= 0) if split else (first, known)
    return following, (np.maximum(whole, two).astype(np.float32), chord)


@rule(
    source="Schoenberg, Fundamentals of Musical Composition (1967), ch. II and III: phrases and "
    "motives made of the tones of a chord; the chords: Pardo and Birmingham (2002), Algorithms "
    "for chordal analysis",
    says="the notes of this bar spell no chord of {key}",
)
def bar_harmony(score: Score, *, least: float = 0.7) -> Array:
    """Each bar spells a chord of the key, or one in each half; the violation is at its last cell.

    It is 0 if a share `least` of the sound belongs to the chord, longer notes and notes on strong
    places counting more, and grows linearly to 1. Two chords must be clearer by a tenth.

    least: share of the sound.

    >>> from rewards.remarks import explain
    >>> explain(bar_harmony, "C4 E4:2 F4:2 G4 E4 D4 B3:2 C4:2 D4 G3")
    >>> explain(bar_harmony, "C4:2 D4:2 E4:2 F4:2 G4:2 A4:2 B4:2 C5:2")
    bar 1, beat 4.75: the notes of this bar spell no chord of C major
    """
    if not 0 < least <= 1:
        raise ValueError(f"least={least}: expected a share above 0, at most 1")
    if score.task.chords:
        return nothing(score)
    share, chord = score.scan(_best_share, (np.float32(0), np.False_))
    value = np.clip((least - share) / least, 0, 1)
    return np.where(ends_bar(score) & (chord >= 0), value, 0).astype(np.float32)


def _follow_changes(state: tuple[Array, ...], here: Score, clear: float) -> Any:
    """Scan whether a chord that came in the middle of the bar before still lasts, clearly."""
    chord, share = implied(here, halves=True)
    task = here.task
    size, place = span_cells(task, halves=True), int(here.cell_in_bar.item())
    none = np.zeros(chord.shape, bool)
    ends = place % size == size - 1
    if size == task.bar_cells or not ends or int(here.bar.item()) < 0:
        return state, (none,)
    first, second = state
    chord = np.where(share >= clear, chord, np.int16(-1))
    if place == size - 1:
        late = (second >= 0) & (first >= 0) & (second != first) & (chord == second)
        return (chord, second), (late,)
    return (first, chord), (none,)


@rule(
    source=f"{PISTON_RHYTHM}: the harmony changes over the bar line, from weak to strong",
    says="the harmony of the half bar before lasts over the bar line",
)
def harmonic_rhythm(score: Score, *, clear: float = 0.75) -> Array:
    """A chord that comes in the middle of a bar gives way at the bar line.

    The violation is at the end of the half bar that still spells it. Metres whose bars do not
    divide in two have none.

    clear: share of the sound in each of the three half bars that belongs to its chord; where it is
        less, no chord is heard.

    >>> from rewards.remarks import explain
    >>> explain(harmonic_rhythm, "C4 E4 D4 G4 E4 C4 D4 B3")
    >>> explain(harmonic_rhythm, "C4 E4 D4 G4 B4 G4 E4 C4")
    bar 2, beat 2.75: the harmony of the half bar before lasts over the bar line
    """
    if score.task.chords:
        return nothing(score)
    (late,) = score.scan(_follow_changes, (np.int16(-1), np.int16(-1)), clear=clear)
    return (late & score.written).astype(np.float32)


def _count_bars_of_chord(state: tuple[Array, ...], here: Score) -> Any:
    """Scan the number of bars in a row that spell the chord of each bar; at its last cell."""
    chord, _ = implied(here)
    before, bars = state
    if int(here.bar.item()) < 0 or not ends_bar(here).any():
        return state, (np.zeros(bars.shape, np.int16),)
    bars = np.where(chord < 0, 0, np.where(chord == before, bars + 1, 1)).astype(np.int16)
    return (chord, bars), (bars,)


@rule(
    source=f"{PISTON_RHYTHM}: a static harmony, and its changes",
    says="the harmony stays the same for more than {longest} bars",
)
def static_harmony(score: Score, *, longest: int = 3) -> Array:
    """Bars in a row spell several chords; the violation is at the end of each bar too many.

    longest: number of bars in a row that may spell the same chord.

    >>> from rewards.remarks import explain
    >>> explain(static_harmony, "C4:8 E4:8 G4:8 E4:8 C5:8 G4:8 D4:8 G4:8")
    >>> explain(static_harmony, "C4:8 E4:8 G4:8 E4:8 C5:8 G4:8 E4:8 C4:8")
    bar 4, beat 4.75: the harmony stays the same for more than 3 bars
    """
    if longest < 1:
        raise ValueError(f"longest={longest}: expected 1 or more bars")
    if score.task.chords:
        return nothing(score)
    (bars,) = score.scan(_count_bars_of_chord, (np.int16(-1), np.int16(0)))
    return (score.written & (bars > longest)).astype(np.float32)


# -- closes ----------------------------------------------------------------------------------------


def _follow_preparation(state: tuple[Array, ...], here: Score, beats: int) -> Any:
    """Scan the sound before the tonic note that sounds last: cells in all, and of the dominant.

    It is that of `beats` beats before the beat in which the tonic was struck first, and what came
    before it in that beat; the last note counts twice. Each word has the counts of four beats, the
    current one lowest.
    """
    degree, now, total, dominant, *prepared = state
    if int(here.cell_in_bar.item()) % here.task.beat_cells == 0:
        total, dominant = (word << np.uint64(BITS) for word in (total, dominant))
    struck = here.onset & (here.degree == 0) & (now != 0)
    last = np.where(degree < SILENCE, here.cell - here.previous_onset, 0).astype(np.uint64)
    last_dominant = last * dominant_degrees(here.task.key)[degree]
    prepared = [
        np.where(struck, total + last, prepared[0]),
        np.where(struck, dominant + last_dominant, prepared[1]),
    ]
    now = np.where(here.onset, here.degree, now)
    degree = np.where(here.onset, here.degree, np.where(here.rest, np.int16(SILENCE), degree))
    total = total + (degree < SILENCE)
    dominant = dominant + dominant_degrees(here.task.key)[degree]
    fields = [np.uint64(BITS * beat) for beat in range(beats + 1)]
    sums = [
        functools.reduce(np.add, (word >> field & np.uint64(2**BITS - 1) for field in fields))
        for word in prepared
    ]
    return (degree, now, total, dominant, *prepared), tuple(each.astype(np.int32) for each in sums)


@rule(
    source="Kostka and Payne, Tonal Harmony, cadences: the tonic of an authentic cadence follows "
    "the dominant; Caplin, Classical Form (1998)",
    says="the close on {note} is not prepared by the dominant",
    verdict=True,
)
def dominant_close(score: Score, *, beats: int = 2, least: float = 0.5) -> Array:
    """The tonic that ends a phrase follows sounds of the dominant: degrees 2, 4, 5 and 7.

    Their share in the sound of the last `beats` beats before that in which the tonic is first
    struck, and before it in that beat, is at least `least`; the note before the tonic counts
    twice, and strokes of the tonic in a row count as one. The violation, at the phrase's last cell,
    grows linearly to 1 for none. A phrase that does not end on the tonic has none.

    beats: 1 to 3.
    least: share of the sound.

    >>> from rewards.remarks import explain
    >>> explain(dominant_close, "E4 C4 D4 B3 C4:16")
    >>> explain(dominant_close, "G4 F4 E4:2 C4:2 E4 C4:16")
    bar 2, beat 4.75: the close on C4 is not prepared by the dominant
    """
    if beats not in (1, 2, 3):
        raise ValueError(f"beats={beats}: expected 1 to 3")
    if not 0 < least <= 1:
        raise ValueError(f"least={least}: expected a share above 0, at most 1")
    if score.task.chords:
        return nothing(score)
    init = (np.int16(SILENCE), np.int16(-1), *(np.uint64(0),) * 4)
    total, dominant = score.scan(_follow_preparation, init, beats=beats)
    value = np.clip((least - dominant / np.maximum(total, 1)) / least, 0, 1)
    judged = score.phrase_end & score.written & (score.degree == 0) & (total > 0)
    return np.where(judged, value, 0).astype(np.float32)


@rule(
    source="Caplin, Classical Form (1998): the antecedent closes weakly, the consequent strongly",
    says="the bar comes to rest on {note}, the tonic: a full close too early",
)
def early_close(score: Score, *, beats: float = 1.0) -> Array:
    """The line does not come to rest on the tonic in the first half of a period of eight bars.

    It rests where a tonic, with the silence after it, lasts `beats` beats or more to the end of a
    bar; the violation is there. Bars 2 to 4 of each eight are judged, and of what is left over
    the first half from its second bar on. The first bar of a period may end on the tonic.

    beats: length of the tonic, above 0.

    >>> from rewards.remarks import explain
    >>> explain(early_close, "C4 E4 G4 E4 D4 E4 D4:8 C4 E4 D4 B3 C4:16")
    >>> explain(early_close, "C4 E4 G4 E4 D4 B3 C4:8 C4 E4 D4 B3 C4:16")
    bar 2, beat 4.75: the bar comes to rest on C4, the tonic: a full close too early
    """
    if not beats > 0:
        raise ValueError(f"beats={beats}: expected more than 0")
    task = score.task
    place = score.bar % PERIOD
    left = np.minimum(task.bars - (score.bar - place), PERIOD)
    judged = ends_bar(score) & (place >= 1) & (2 * (place + 1) <= left)
    begun = np.where(score.onset, score.cell, score.previous_onset)
    rests = (score.degree == 0) & (score.cell + 1 - begun >= beats * task.beat_cells)
    return (judged & rests).astype(np.float32)
