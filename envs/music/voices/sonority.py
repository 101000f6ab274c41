"""Sonorities: what sounds in a frame, the chord that it is, and its inversion.

A cell knows the voices that are written up to it in its frame; the last voice knows them all.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array, freeze

CLASSES = 12
SILENT_ABOVE = 128  # in place of a pitch that is lower than all
# Semitones above the root: root, third, fifth and seventh. Fifths may be missing where the other
# tones leave no doubt.
KINDS = {
    "major": (0, 4, 7),
    "minor": (0, 3, 7),
    "diminished": (0, 3, 6),
    "augmented": (0, 4, 8),
    "dominant seventh": (0, 4, 7, 10),
    "minor seventh": (0, 3, 7, 10),
    "major seventh": (0, 4, 7, 11),
    "half-diminished seventh": (0, 3, 6, 10),
    "diminished seventh": (0, 3, 6, 9),
}
KIND_NAMES = tuple(KINDS)
WITHOUT_FIFTH = {"major": (0, 4), "minor": (0, 3), "dominant seventh": (0, 4, 10)}
NO_CHORD = -1
# True for sets of equal thirds, augmented triads and diminished sevenths: the bass is their root.
EVEN = np.zeros(2**CLASSES, bool)
EVEN[[sum(1 << tone for tone in range(n, CLASSES, by)) for by in (3, 4) for n in range(by)]] = True


class Sonority(NamedTuple):
    """The sound of the voices up to each cell's, in its frame; arrays as a score's facts."""

    classes: Array  # int16: a bit for each pitch class, C the lowest
    lowest: Array  # int16: the lowest pitch, SILENT_ABOVE for silence
    root: Array  # int8: pitch class of the chord's root, NO_CHORD if it is none
    kind: Array  # int8: number of the chord in KIND_NAMES, NO_CHORD if it is none
    inversion: Array  # int8: 0 for the root in the bass, 1 third, 2 fifth, 3 seventh; NO_CHORD


@cache
def _chords() -> tuple[Array, Array, Array]:
    """Return root and kind (4096,) of each set of pitch classes, and inversions (4096, 12) by bass.

    Sets of equal thirds have several roots, of which the last is taken; see `EVEN`.
    """
    root, kind = np.full((2, 2**CLASSES), NO_CHORD, np.int8)
    inversion = np.full((2**CLASSES, CLASSES), NO_CHORD, np.int8)
    shapes = [*WITHOUT_FIFTH.items(), *KINDS.items()]
    for name, tones in shapes:
        for start in range(CLASSES):
            bits = sum(1 << (start + tone) % CLASSES for tone in tones)
            root[bits], kind[bits] = start, KIND_NAMES.index(name)
            for tone in tones:
                inversion[bits, (start + tone) % CLASSES] = KINDS[name].index(tone)
    return freeze(root), freeze(kind), freeze(inversion)


def _sonority(score: Score, before: bool) -> Sonority:
    """Return what sounds in the frame of each cell, or in the frame before."""
    if before:
        voices = [score.beside(voice, back=1).sounding for voice in range(score.task.voices)]
        pitch = np.where(score.cell > 0, np.concatenate(voices, axis=1), np.int16(-1))
    elif score.is_whole:
        pitch = score.sounding
    else:
        voices = [score.beside(u).sounding for u in range(int(score.voice.item()) + 1)]
        pitch = np.concatenate(voices, axis=1)
    sounds = pitch >= 0
    bits = np.where(sounds, np.int16(1) << (pitch % np.int16(CLASSES)), np.int16(0))
    low = np.where(sounds, pitch, np.int16(SILENT_ABOVE))
    if score.is_whole and not before:
        classes = np.bitwise_or.accumulate(bits, axis=1)
        lowest = np.minimum.accumulate(low, axis=1)
    else:
        classes = np.bitwise_or.reduce(bits, axis=1, keepdims=True)
        lowest = low.min(axis=1, keepdims=True)
    root, kind, inversion = _chords()
    turned = inversion[classes, lowest % CLASSES]
    even = EVEN[classes]
    bass = (lowest % CLASSES).astype(np.int8)
    return Sonority(
        classes,
        lowest,
        np.where(even, bass, root[classes]),
        kind[classes],
        np.where(even, np.int8(0), turned),
    )


def sonority(score: Score) -> Sonority:
    """Return what sounds in the frame of each cell, in the voices up to its own."""
    return score.kept(_sonority, False)


def sonority_before(score: Score) -> Sonority:
    """Return what sounds in the frame before each cell's, in all voices; shapes (B, 1, T)."""
    return score.kept(_sonority, True)
