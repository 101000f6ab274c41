"""Transposing piece, key, range and chords together changes no rule: 10,000 random cases.

The terms of RL Tuner know one octave of the tonic only; test_rule.py moves them within that.
"""

from dataclasses import replace

import numpy as np
import pytest

from envs.music.key import SCALES, Key
from envs.music.pitch import line_of_fifths_name
from envs.music.score import Score
from envs.music.task import Task
from rewards.remarks import remarks
from rewards.rule import REGISTRY
from tests.rewards.rules.lines import piece

ABSOLUTE = {"voice_range"}  # a choir does not move
RULES = {name: fn for name, fn in REGISTRY.items() if fn.violation and name not in ABSOLUTE}
TASKS, PIECES, PORTIONS = 200, 50, 8
RARE = {"harmonic_rhythm"}  # three clear chords in a row come in most portions only

TONICS = [line_of_fifths_name(place) for place in range(-8, 13)]  # Fb to B#
MODES = [*SCALES, "0,2,3,7,8", "0,1,4,6,8,11"]
METERS = ["2/4", "3/4", "4/4", "6/8", "9/8", "5/8", "2+2+3/8", "3/2"]
NUMERALS = ["I", "ii", "IV", "V7", "vi", "vii°", "i", "iv", "VI", "VII", "bII", "V/V"]
QUALITIES = ["", "m", "7", "m7", "maj7", "dim", "sus4"]


def random_key(rng, pitch_class=None):
    """Any key, or one with a tonic of this pitch class under any of its names."""
    names = [name for name in TONICS if pitch_class in (None, Key(name).pitch_class)]
    return Key.parse(f"{rng.choice(names)} {rng.choice(MODES)}")


def random_chords(rng, bars):
    """Functions of the semitones by which to move them: numerals move with the key, symbols not."""
    several = rng.random() < 0.5  # two chords in a bar
    count = int(rng.integers(1, bars + 1)) * (1 + several)
    numerals = rng.choice(NUMERALS, count)
    roots, kinds = rng.integers(0, 12, count), rng.choice(QUALITIES, count)
    in_numerals, seed = rng.random() < 0.5, int(rng.integers(2**32))

    def words(semitones):
        if in_numerals:
            return list(numerals)
        names = np.random.default_rng(seed + semitones)
        moved = [
            names.choice([n for n in TONICS if Key(n).pitch_class == (root + semitones) % 12])
            for root in roots
        ]
        return [f"{root}{kind}" for root, kind in zip(moved, kinds, strict=True)]

    def text(semitones):
        found = words(semitones)
        bar = 1 + several
        return " | ".join(" ".join(found[i : i + bar]) for i in range(0, count, bar))

    return text if count > 1 + several else lambda semitones: ""


def random_phrases(rng, bars):
    """A plan of the bars, or none."""
    if rng.random() < 0.3:
        return ""
    cuts = rng.choice(np.arange(1, bars), size=rng.integers(1, min(bars, 4)), replace=False)
    sizes = np.diff([0, *sorted(cuts), bars])
    return " ".join(f"{rng.choice(list('AABC'))}{size}" for size in sizes)


def random_case(seed):
    """A task, the same moved, and the pieces of both: half walk, half leap, in all densities."""
    rng = np.random.default_rng(seed)
    bars, grid = int(rng.integers(2, 7)), int(rng.choice([4, 4, 2, 6]))
    shift = int(rng.integers(-11, 12))
    low = int(rng.integers(40, 60))
    key, chords = random_key(rng), random_chords(rng, bars)
    tonics = [n for n in TONICS if Key(n).pitch_class == (key.pitch_class + shift) % 12]
    moved_key = Key.parse(f"{rng.choice(tonics)} {key.mode}")
    asked = {"bars": bars, "meter": str(rng.choice(METERS)), "grid": grid}
    voices = int(rng.choice([1, 1, 1, 1, 1, 2, 3, 4]))
    asked |= {"phrases": random_phrases(rng, bars), "voices": voices}
    asked["pickup"] = int(rng.integers(0, Task(meter=asked["meter"], grid=grid).bar_cells))
    asked["pickup"] *= int(rng.random() < 0.5)
    high = low + int(rng.integers(5, 36))
    task = Task(key, low=low, high=high, chords=chords(0), **asked)
    other = Task(moved_key, low=low + shift, high=high + shift, chords=chords(shift), **asked)
    shape = (PIECES, task.voices, task.cells)
    walk = np.cumsum(rng.integers(-3, 4, shape), axis=2) % (high - low + 1)
    leap = rng.integers(0, high - low + 1, shape)
    pitch = low + np.where(np.arange(PIECES)[:, None, None] % 2, walk, leap)
    note = rng.random(shape) < rng.random((PIECES, 1, 1)) ** 2
    between = rng.random(shape) > 0.1  # mostly holds
    source = np.tile(np.arange(task.cells), (PIECES, task.voices, 1))
    source[::10] %= task.bar_cells  # each tenth piece repeats its first bar
    pitch, note, between = (np.take_along_axis(x, source, axis=2) for x in (pitch, note, between))
    return tuple(
        Score(np.where(note, pitch + by - each.codec.low + 2, between), each)
        for each, by in ((task, 0), (other, shift))
    )


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_transposing_piece_and_key_together_changes_no_rule(portion):
    broken = set()
    for seed in range(portion, TASKS, PORTIONS):
        score, moved = random_case(seed)
        for name, rule in RULES.items():
            before, after = rule(score), rule(moved)
            np.testing.assert_array_equal(before, after, err_msg=f"{name}, seed {seed}")
            broken |= {name} if before.any() else set()
    assert RULES.keys() - broken <= RARE  # no other is quiet throughout


def test_the_cases_are_of_all_kinds():
    tasks = [random_case(seed)[0].task for seed in range(0, TASKS, 4)]
    assert len({task.key.mode for task in tasks}) >= 10
    assert len({str(task.meter) for task in tasks}) >= 7
    for kind in ("pickup", "chords", "phrases"):
        assert 0.2 < np.mean([bool(getattr(task, kind)) for task in tasks]) < 0.9, kind
    numerals = [task.chords[0] in "IiVvb" for task in tasks if task.chords]
    assert 0.2 < np.mean(numerals) < 0.8
    assert TASKS * PIECES == 10_000


def test_what_a_rule_of_the_key_says_changes_if_only_the_piece_is_moved():
    """So the test above is able to fail."""
    score, _ = random_case(3)
    wrong = Score(score.tokens, replace(score.task, key=Key("F#")))
    assert (RULES["in_key"](score) != RULES["in_key"](wrong)).any()


def test_a_remark_names_the_moved_notes():
    low, high = piece("C4 F4 Bb4 A4"), piece("Eb4 Ab4 Db5 C5", key="Eb major")
    told = [remarks(RULES["two_leaps"], score)[0] for score in (low, high)]
    assert [remark.cell for remark in told] == [8, 8]
    assert [remark.text.split(":")[0] for remark in told] == ["C4-F4-Bb4", "Eb4-Ab4-Db5"]
