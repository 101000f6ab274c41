"""The first and the last chord of a choir: the tonic in root position, where what is given allows.

A piece with an upbeat may begin on any chord. In minor the last third may be major, and a note that
is held into the last chord, as a suspension, has a beat to resolve.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from envs.music.codec import Note
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from rewards.rule import Rule
from rewards.rules.harmony import DOMINANT, PISTON

NAME = "tonic_ends"
MINOR, MAJOR = 3, 4  # semitones of the thirds


class _Chord(NamedTuple):
    """A tonic chord: cells in which it sounds, where held notes have resolved, its thirds."""

    start: int
    resolved: int
    end: int
    thirds: set[int]


def tonic_ends(task: Task) -> Rule | None:
    """Return the rule of a page, None where given voices and chords allow neither chord.

    Args:
        task: each voice is given as a whole or free.
    """
    numbers = np.flatnonzero(~task.free.any(axis=1)).tolist()
    given = {number: task.codec.decode(task.page[number], number) for number in numbers}
    tonic, bass = task.key.pitch_class, task.voices - 1
    sounds = np.ones((task.voices, task.cells, 12), bool)
    begins = sounds.copy()
    for chord in _chords(task, [note for line in given.values() for note in line]):
        triad = {(tonic + size) % 12 for size in (0, DOMINANT, *chord.thirds)}
        sung = {
            number: note.pitch % 12
            for number, line in given.items()
            for note in line
            if note.start <= chord.start < note.start + note.duration
        }
        asked = (
            set(np.flatnonzero(task.chord_tones[chord.start]).tolist()) if task.chords else triad
        )
        if not set(sung.values()) <= triad or sung.get(bass, tonic) != tonic or not asked <= triad:
            continue
        for number in set(range(task.voices)) - set(given):
            tones = [pc in (triad if number < bass else {tonic}) for pc in range(12)]
            begins[number, chord.start : chord.end] = tones
            resolved = chord.resolved if number < bass else chord.start
            sounds[number, resolved : chord.end] = tones
    if begins.all():
        return None
    return Rule(
        NAME,
        functools.partial(_foreign, begins=begins, sounds=sounds),
        says="{note} is no note of the tonic chord in root position",
        source=f"{PISTON}, cadences",
        cellwise=True,
        violation=True,
    )


def _chords(task: Task, given: list[Note]) -> Iterator[_Chord]:
    """Yield the first chord of a piece without an upbeat, and the last one under the last note."""
    scale = {(pc - task.key.pitch_class) % 12 for pc in task.key.pitch_classes}
    own = {MAJOR} if MAJOR in scale else {MINOR}
    if not task.pickup:
        yield _Chord(0, 0, 1, own)
    last = max(given, key=lambda note: note.start)
    end = last.start + last.duration
    start = max(last.start, end - task.bar_cells)
    resolved = start + task.beat_cells
    yield _Chord(start, resolved if resolved < end else start, end, own | {MAJOR})


def _foreign(score: Score, *, begins: Array, sounds: Array) -> Array:
    """Return the violation: a foreign note begins or sounds, or the bass is silent."""
    place = (score.voice, score.cell)
    silent = (score.sounding < 0) & (score.voice == score.task.voices - 1)
    silent &= score.written & ~sounds[place].all(axis=-1)
    began = score.onset & ~begins[(*place, score.pitch % 12)]
    heard = (score.sounding >= 0) & ~sounds[(*place, score.sounding % 12)]
    found: Array = (began | heard | silent).astype(np.float32)
    return found
