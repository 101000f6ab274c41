"""Histograms against a count by hand, the overlap against closed forms, real parts of tunes."""

import numpy as np
import pytest

from envs.music.piece import score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import parse_notes
from rewards.build import build
from rewards.measures import likeness as lk
from rewards.measures.likeness import divergence, histograms, mean_violations, overlap, real_pieces

TUNE = "G4 A4 B4:2 G4:2 D5:6 G4:2"  # a fifth up, a fifth down


def test_histograms_of_a_line_counted_by_hand():
    found = histograms(score_of(parse_notes(TUNE), Task(key="G major", bars=2, meter="3/4")))
    degree = found["pitch class"][0]
    assert degree[[0, 2, 4, 7]] * 6 == pytest.approx([3, 1, 1, 1])
    interval = found["interval"][0]
    assert {i - 12: round(share * 5) for i, share in enumerate(interval) if share} == {
        2: 2, -4: 1, 7: 1, -7: 1
    }  # fmt: skip
    length = found["note length"][0]
    # The last note is held to the end: 24 cells, less 4 + 4 + 2 + 2 + 6.
    assert {i: round(share * 6) for i, share in enumerate(length) if share} == {4: 2, 2: 2, 6: 2}


def test_silence_has_empty_histograms_and_long_notes_count_as_the_longest():
    tokens = np.zeros((2, 1, 32), int)
    tokens[1, 0] = [14] + [1] * 31
    found = histograms(Score(tokens, Task()))
    for name, rows in found.items():
        assert not rows[0].any(), name
    assert found["note length"][1, 16] == 1
    with pytest.raises(ValueError, match="voice"):
        histograms(Score.page(Task(voices=2), 1))


def test_transposition_changes_nothing():
    low = histograms(score_of(parse_notes("C4 E4 G4 C5"), Task(bars=1)))
    high = histograms(score_of(parse_notes("Eb4 G4 Bb4 Eb5"), Task(bars=1, key="Eb major")))
    for name in low:
        np.testing.assert_array_equal(low[name], high[name])


def test_a_batch_is_counted_piece_by_piece():
    task = Task(bars=1)
    lines = [score_of(parse_notes(line), task) for line in ("C4 E4 G4", "A4:2 B4:2 C5 D5", "r:16")]
    both = histograms(Score(np.concatenate([line.tokens for line in lines]), task))
    for name, wide in {"pitch class": 12, "interval": 25, "note length": 17}.items():
        assert both[name].shape == (3, wide)
        for row, line in enumerate(lines):
            np.testing.assert_array_equal(both[name][row], histograms(line)[name][0])


def test_overlap_of_what_is_alike_and_of_what_is_not():
    rng = np.random.default_rng(0)
    real, same = rng.dirichlet(np.ones(12), 150), rng.dirichlet(np.ones(12), 400)
    far = np.eye(12)[rng.integers(0, 12, 400)]
    assert overlap(same, real) > 0.95
    assert overlap(far, real) < 0.2
    assert overlap(real, real) > 0.95


def test_a_density_is_that_of_its_kernels():
    values = np.random.default_rng(1).gamma(3.0, size=400)
    x = np.linspace(-5, 20, 1000)
    width = 1.06 * values.std() * 400**-0.2
    z = (x[:, None] - values) / width
    exact = np.exp(-0.5 * z**2).mean(axis=1) / (width * np.sqrt(2 * np.pi))
    assert np.abs(lk._density(values, x) - exact).max() < 0.002 * exact.max()


def test_divergence_in_closed_form():
    assert divergence(np.array([[1.0, 0]]), np.array([[0, 1.0]])) == pytest.approx(1)
    assert divergence(np.array([[0.5, 0.5]]), np.array([[0.5, 0.5]])) == 0
    expected = 0.5 * np.log2(4 / 3) + 0.5 * (0.5 * np.log2(2 / 3) + 0.5)
    assert divergence(np.array([[1.0, 0]]), np.array([[0.5, 0.5]])) == pytest.approx(expected)


def test_real_pieces_are_held_out_parts_that_end_at_home():
    task = Task(key="D major", meter="6/8", bars=8)
    real = real_pieces(task)
    assert real.batch > 100
    assert real.task.meter == task.meter
    last = np.array([row[row > 1][-1] for row in real.tokens[:, 0]])
    assert ((last + 46) % 12 == 0).mean() > 0.8  # some tunes do not end on their tonic
    assert (real.tokens[:, 0, 0] != 1).all()
    assert real_pieces(Task(meter="7/8", bars=8)) is None
    assert lk.likeness(Score.page(Task(meter="7/8"), 1)) == {}


def test_real_pieces_of_every_tonic_are_those_of_the_mode():
    minor = [
        real_pieces(Task(key=f"{tonic} minor", meter="6/8", bars=8)) for tonic in ("A", "C", "F#")
    ]
    assert str(minor[0].task.key) == "A minor"
    for other in minor[1:]:
        np.testing.assert_array_equal(other.tokens, minor[0].tokens)


def test_likeness_is_told_in_per_cent():
    real = real_pieces(Task(meter="6/8", bars=8))
    same, half = lk.likeness(real), real[: real.batch // 2]
    names = ("pitch class", "interval", "note length")
    assert list(same) == [f"{n}, {what}" for what in ("overlap", "divergence") for n in names]
    ours, theirs = histograms(half), histograms(real)
    found = lk.likeness(half)
    for name in names:
        assert 90 < same[f"{name}, overlap"] <= 100
        assert same[f"{name}, divergence"] == pytest.approx(0)
        assert found[f"{name}, overlap"] == 100 * overlap(ours[name], theirs[name])
        assert found[f"{name}, divergence"] == 100 * divergence(ours[name], theirs[name]) > 0


def test_violations_are_counted_without_their_weights():
    score = score_of(parse_notes("C4 F#4 G#4 E5"), Task(bars=1))
    rows = mean_violations(score, build({"in_key": 3.0, "leap_size": 1.0, "prior": 1.0}))
    assert rows == {
        "mean cost of broken rules": 6.0,
        "mean violations": 2.0,
        "mean violations, in_key": 2.0,
        "mean violations, leap_size": 0.0,
    }
    assert mean_violations(score, build({"prior": 1.0})) == {}
