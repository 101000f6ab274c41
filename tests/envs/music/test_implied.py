"""Implied harmony: chords by music21, tunes whose harmony is known, and brute force."""

import numpy as np
import pytest

from envs.music.implied import NUMERALS, chords_of, dominant_degrees, implied, splits_in_halves
from envs.music.key import SCALES, Key
from envs.music.score import Score
from envs.music.task import Task
from tests.rewards.rules.lines import noise, piece
from tests.rewards.rules.slow_plan import bars_of, spelled

TONIC, DOMINANT, SUBDOMINANT = 0, 1, 2
SPREAD = {"tokens": (0, 1, 13, 14, 16, 17, 18, 19, 21, 23), "weights": (1, 12, *(2,) * 8)}


@pytest.mark.parametrize(
    ("key", "numerals"),
    [
        ("C major", ["I", "V", "IV", "ii", "vi", "iii", "viio"]),
        ("Eb major", ["I", "V", "IV", "ii", "vi", "iii", "viio"]),
        ("A minor", ["i", "V", "iv", "iio", "VI", "III", "viio", "v", "VII"]),
        ("F# minor", ["i", "V", "iv", "iio", "VI", "III", "viio", "v", "VII"]),
    ],
)
def test_chords_are_those_of_music21(key, numerals):
    from music21 import key as keys
    from music21 import roman

    parsed = Key.parse(key)
    where = keys.Key(parsed.tonic.replace("b", "-"), parsed.mode)
    for numeral, (triad, _) in zip(numerals, chords_of(parsed), strict=True):
        figure = roman.RomanNumeral(numeral, where)
        classes = {(parsed.pitch_class + step) % 12 for step in triad}
        if numeral in ("VI", "III", "VII"):  # of the natural scale
            assert len(classes & set(figure.pitchClasses)) >= 2
            continue
        assert classes == set(figure.pitchClasses), numeral
    seventh = roman.RomanNumeral("V7", where)
    triad, more = chords_of(parsed)[DOMINANT]
    assert {(parsed.pitch_class + step) % 12 for step in triad | more} == set(seventh.pitchClasses)


@pytest.mark.parametrize("mode", [*SCALES, "0,2,3,7,8"])
def test_every_key_has_seven_chords_or_more(mode):
    key = Key("D", mode)
    chords = chords_of(key)
    assert len(chords) in (7, 9)
    assert all(len(triad) == 3 for triad, _ in chords)
    assert 0 in chords[TONIC][0]
    assert chords[DOMINANT][0] <= set(np.flatnonzero(dominant_degrees(key))) | {3, 4, 10}
    assert not dominant_degrees(key)[12]


def test_the_harmony_of_a_tune_that_everybody_knows():
    # Ah! vous dirai-je, maman: I | IV I | IV I | V I, in half bars from the second bar on.
    line = "C4 C4 G4 G4 A4 A4 G4:8 F4 F4 E4 E4 D4 D4 C4:8"
    chord, share = implied(piece(line, bars=4), halves=True)
    ends = chord[0, 0, 7::8].tolist()
    # One note alone is the first chord that has it.
    assert [NUMERALS[number] for number in ends] == ["I", "I", "IV", "I", "IV", "I", "V", "I"]
    assert share[0, 0, 7::8] == pytest.approx(1)
    assert (chord[0, 0, :7] == -1).all()


def test_bars_of_arpeggios_and_rests():
    line = "C4 E4 G4 E4 G3 B3 D4 F4 F4 A4 C5 A4 r:16"
    chord, share = implied(piece(line, bars=4))
    assert chord[0, 0, 15::16].tolist() == [TONIC, DOMINANT, SUBDOMINANT, -1]
    assert share[0, 0, 15] == 1
    assert share[0, 0, 31] == pytest.approx((4 + 2 + 3 + 2 / 2) / 11)  # the seventh is half
    assert share[0, 0, 63] == 0


@pytest.mark.parametrize(
    ("meter", "expected"),
    [("4/4", True), ("2/4", True), ("6/8", True), ("12/8", True), ("3/4", False), ("9/8", False),
     ("2+2+3/8", False), ("5/8", False), ("3/8", False)],
)  # fmt: skip
def test_which_bars_have_halves(meter, expected):
    assert splits_in_halves(Task(meter=meter)) is expected


TASKS = [
    Task(bars=3),
    Task(meter="3/4", bars=4, pickup=5, key="E minor"),
    Task(meter="6/8", bars=3, voices=2, key="F# phrygian"),
    Task(meter="7/8", bars=3, grid=6, key="D blues"),
]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_bar_spells_what_brute_force_says(task):
    score = noise(task, 40, **SPREAD)
    chord, share = implied(score)
    triads = [set(triad) for triad, _ in chords_of(task.key)]
    for row, voice in np.ndindex(score.tokens.shape[:2]):
        notes = task.codec.decode(score.tokens[row, voice])
        for start, end in bars_of(task):
            expected, part = spelled(notes, task, start, end)
            number = int(chord[row, voice, end - 1])
            assert share[row, voice, end - 1] == pytest.approx(part, abs=1e-6)
            assert (number < 0) == (expected is None)
            assert number < 0 or triads[number] == set(expected[1])


def test_it_is_known_at_the_end_of_the_bar_and_not_before():
    score = noise(Task(bars=2), 10, **SPREAD)
    page = Score.page(score.task, 10)
    whole = implied(score)
    for cell in range(32):
        page = page.write(score.tokens[:, 0, cell])
        for one, all_cells in zip(implied(page.newest), whole, strict=True):
            np.testing.assert_array_equal(one[:, 0, 0], all_cells[:, 0, cell])
    begun = implied(Score(score.tokens, score.task, 20))[0]
    assert (begun[..., 20:] == -1).all()
