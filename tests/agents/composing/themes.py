"""Themes for the tests of restyling, and their edits and what is kept counted from notes."""

from itertools import pairwise

import numpy as np

from agents.composing import Theme
from envs.music.piece import Piece, notes_of
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from tests.helpers import small_prior

REWARD = build({"in_key": 1.0})
SMALL = Task(bars=1, meter="5/16", low="C4", high="D4", chords="I")  # five cells of five tokens
PAGE = Task(bars=2, meter="3/4", low="A3", high="E5", chords="C | F G7")
WIDE = 10_000  # more than any search here reaches


def line(score, row=0):
    """(start, end, pitch) of each note."""
    return [(n.start, n.start + n.duration, n.pitch) for n in notes_of(score, row)]


def count_edits(theme, other, cells):
    """Edits by hand, from notes: cell by cell, what begins and what sounds."""

    def heard(notes):
        begins = {start: pitch for start, _, pitch in notes}
        return begins, [any(a <= cell < b for a, b, _ in notes) for cell in range(cells)]

    (a, sounds_a), (b, sounds_b) = heard(theme), heard(other)
    count, agreed = 0, True
    for cell in range(cells):
        if cell in a or cell in b:
            count += a.get(cell) != b.get(cell)
        else:
            count += agreed and sounds_a[cell] != sounds_b[cell]
        agreed = sounds_a[cell] == sounds_b[cell]
    return count


def same_rhythm(theme, other, task):
    return [note[:2] for note in theme] == [note[:2] for note in other]


def same_contour(theme, other, task):
    ways = [
        [(b > a) - (b < a) for a, b in pairwise(pitches)]
        for pitches in ([note[2] for note in notes] for notes in (theme, other))
    ]
    return len(theme) == len(other) and ways[0] == ways[1]


def same_chords(theme, other, task):
    levels, pitches = task.meter.levels(task.grid), {start: pitch for start, _, pitch in other}
    for start, _, pitch in theme:
        chord = [chord for first, chord in task.chord_starts if first <= start][-1].pitch_classes
        counts = levels[start % task.bar_cells] <= 1 and pitch % 12 in chord
        if counts and (start not in pitches or pitches[start] % 12 not in chord):
            return False
    return True


KEPT = {"rhythm": same_rhythm, "contour": same_contour, "chords": same_chords}
ALL = [(), *[(name,) for name in KEPT], ("rhythm", "contour"), ("chords", "contour")]


def dense(task, n, seed):
    """Random pieces: C4, then an onset in every third cell, and a few rests."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, (n, 1, task.cells), p=(0.1, 0.55, 0.35))
    pitch = rng.integers(task.codec.token(task.low), task.codec.token(task.high) + 1, kind.shape)
    tokens = np.where(kind == 2, pitch, kind)
    tokens[..., 0] = task.codec.token(60)
    return Score(tokens, task)


def theme_of(task, seed=0, keep=(), edit=0.3, base=None):
    """A theme of random notes."""
    return Theme(Piece.of(dense(task, 1, seed)), keep, edit, base or small_prior(8))
