"""Counts of voice leading against counts by hand and a slow twin."""

from dataclasses import fields

import numpy as np
import pytest

from envs.music.codec import FIRST_PITCH, REST
from envs.music.piece import score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import parse_notes
from rewards.measures.voice_leading import VoiceLeading, table, voice_leading
from tests.helpers import random_pieces

TWO = Task(bars=1, voices=2, low=40, high=81)


def counted(line, task=TWO):
    """Return the counts of a piece that is written as text."""
    return voice_leading(score_of(parse_notes(line), task))


def test_parallels_are_counted_over_the_pairs_that_move():
    """Fifths C-G, D-A, E-B: two parallels and two moves; then an octave that is held."""
    found = counted("G4 A4 B4 C5 ; C4 D4 E4 C4")
    assert (found.fifths, found.octaves, found.moving) == (2, 0, 3)
    assert found.rates()["parallel fifths per 1,000 moving pairs"] == pytest.approx(2000 / 3)
    held = counted("G4 G4 A4:8 ; C4 C4 D4:8")
    assert (held.fifths, held.moving, held.repeats) == (1, 1, 2)
    octaves = counted("C5 D5 E5 F5 ; C4 D4 C4 B3")
    assert (octaves.fifths, octaves.octaves) == (0, 1)


def test_long_notes_and_silence_buy_no_lower_rate():
    """A parallel among few moves has a higher rate, and the rows beside it show why."""
    busy, idle = counted("G4 A4 G4 E4 ; C4 D4 E4 C4"), counted("G4 A4 R:8 ; C4 D4 R:8")
    name, motion = "parallel fifths per 1,000 moving pairs", "moving pairs per 100 bars"
    assert idle.rates()[name] > busy.rates()[name]
    assert idle.rates()[motion] < busy.rates()[motion]
    assert idle.silent == 2 * busy.cells // 4


def test_chords_crossings_and_pitches():
    chord = counted("E5 D5 C5 B4 ; G4 G4 G4 G4 ; C4 C4 C4 C4", Task(bars=1, voices=3))
    assert (chord.beats, chord.chordal, chord.crossings) == (4, 1, 0)  # open fifths are no chord
    assert (chord.windows, chord.pitches) == (3, 4 + 1 + 1)
    assert counted("C4 E4 C4 E4 ; D4 D4 D4 D4").crossings == 2


def test_counts_are_those_of_a_slow_twin_and_add_up():
    rng, task = np.random.default_rng(1), Task(bars=4, voices=4, low=55, high=70)
    shape = (12, 4, task.cells)
    notes = rng.integers(task.codec.token(task.low), task.codec.token(task.high) + 1, shape)
    score = Score(
        np.where(rng.random(shape) < 0.6, rng.integers(REST, FIRST_PITCH, shape), notes), task
    )
    moving = fifths = octaves = 0
    for piece in score.sounding.astype(int):
        for one in range(4):
            for two in range(one + 1, 4):
                for t in range(1, score.task.cells):
                    a, b = piece[one, t - 1 : t + 1], piece[two, t - 1 : t + 1]
                    sounds = min(*a, *b) >= 0
                    if sounds and a[0] != a[1] and b[0] != b[1]:
                        moving += 1
                        before, now = abs(a - b) % 12
                        fifths += before == now == 7
                        octaves += before == now == 0
    found = voice_leading(score)
    assert (found.moving, found.fifths, found.octaves) == (moving, fifths, octaves)
    assert min(moving, fifths, octaves) > 0
    parts = [voice_leading(score[n : n + 4]) for n in (0, 4, 8)]
    total = sum(parts, VoiceLeading())
    for each in fields(VoiceLeading):
        assert getattr(total, each.name) == pytest.approx(getattr(found, each.name))


def test_one_voice_is_refused_and_nothing_counted_is_no_number():
    with pytest.raises(ValueError, match="two voices"):
        voice_leading(random_pieces(Task(bars=1), 2))
    assert np.isnan(VoiceLeading().rates()["chordal beats, %"])
    assert "| Bach |" in table({"Bach": VoiceLeading()})
