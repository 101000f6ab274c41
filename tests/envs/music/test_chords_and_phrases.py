"""Chords and phrases of a task, and what they mean for its cells."""

import numpy as np
import pytest

from envs.music.chords import parse_chords
from envs.music.key import Key
from envs.music.phrases import Phrase, parse_phrases, phrase_bars, usual_bars
from envs.music.score import Score
from envs.music.task import Task

C = Key("C")


def names(text, bars, key=C):
    return [[chord.name for chord in bar] for bar in parse_chords(text, key, bars)]


def test_a_chord_is_a_bar_and_bars_begin_again():
    assert names("I IV V", 4) == [["I"], ["IV"], ["V"], ["I"]]
    assert names("| C | F G7 |", 3) == [["C"], ["F", "G7"], ["C"]]


@pytest.mark.parametrize(
    ("word", "key", "root", "tones"),
    [
        ("I", C, 0, {0, 4, 7}),
        ("V7", C, 7, {7, 11, 2, 5}),
        ("ii65", C, 2, {2, 5, 9, 0}),
        ("V7/V", C, 2, {2, 6, 9, 0}),
        ("bVII", C, 10, {10, 2, 5}),
        ("i", Key("F#", "dorian"), 6, {6, 9, 1}),
        ("IV", Key("F#", "dorian"), 11, {11, 3, 6}),  # the dorian sixth makes it major
        ("V", Key("A", "minor"), 4, {4, 8, 11}),
        ("V", Key("A", "harmonic minor"), 4, {4, 8, 11}),
        ("Am", C, 9, {9, 0, 4}),
        ("Bbmaj7", C, 10, {10, 2, 5, 9}),
        ("F#m7b5", C, 6, {6, 9, 0, 4}),
        ("Bb/D", C, 10, {10, 2, 5}),
    ],
)
def test_chords_have_the_tones_that_textbooks_give_them(word, key, root, tones):
    ((chord,),) = parse_chords(word, key, 1)
    assert (chord.root, set(chord.pitch_classes)) == (root, tones)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H7", "H7"),
        ("I | | V", "such as"),
        ("I II III IV V", "5 bars"),
        ("| " + "I " * 300 + "| V", "301"),
        ("xyz", "xyz"),
        ("C%s" % ("9" * 200), "roman"),
    ],
)
def test_words_that_are_no_chords(text, message):
    with pytest.raises(ValueError, match=message):
        Task(bars=4, chords=text)


def test_plans_of_phrases():
    assert parse_phrases("AABA", 8) == (
        *(Phrase("A", 0, 2), Phrase("A", 2, 2), Phrase("B", 4, 2), Phrase("A", 6, 2)),
    )
    assert parse_phrases("4+4", 8) == (Phrase("", 0, 4), Phrase("", 4, 4))
    assert [(p.letter, p.primes) for p in parse_phrases("AA'BA''", 8)] == [
        *(("A", 0), ("A", 1), ("B", 0), ("A", 2))
    ]
    assert parse_phrases("A4 A4 B8", 16)[2] == Phrase("B", 8, 8)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("4+5", "9 bars"),
        ("AAB", "3 equal phrases; ask for a multiple of 3 bars"),
        ("A4 B", "plan"),
        ("A4 B3", "7 bars"),
        ("A'''B", "plan"),
        ("4-4", "plan"),
    ],
)
def test_plans_that_are_none(plan, message):
    with pytest.raises(ValueError, match=message):
        Task(bars=8, phrases=plan)


@pytest.mark.parametrize(
    ("plan", "bars", "returning"),
    [
        ("AABA", 8, {2: 0, 6: 0}),  # of phrases of two bars the first
        ("A4 A'4", 8, {4: 0, 5: 1}),  # half of a variant
        ("ABAC", 16, {8: 0, 9: 1, 10: 2}),
        ("A8 A4", 12, {8: 0, 9: 1, 10: 2}),  # as far as the shorter goes
        ("A8 A8", 16, {bar: bar - 8 for bar in range(8, 14)}),  # all but a quarter
        ("A2 B2 A'2 A'2 A2", 10, {4: 0, 6: 0, 8: 0}),
        ("4+4", 8, {}),
        ("", 8, {}),
    ],
)
def test_bars_that_come_back_and_from_where(plan, bars, returning):
    task = Task(bars=bars, meter="3/4", pickup=4, phrases=plan)
    found = task.returning_cells.reshape(bars, 12)
    for bar in range(bars):
        first = returning.get(bar)
        expected = [-1] * 12 if first is None else list(range(12 * first, 12 * first + 12))
        assert found[bar].tolist() == expected


def test_half_of_a_phrase_of_one_bar_comes_back():
    task = Task(bars=2, phrases="AA'")
    assert task.returning_cells.tolist() == [-1] * 16 + list(range(8)) + [-1] * 8


def test_the_bars_that_a_plan_names():
    plans = {"A4 A'4": 8, "4+4": 8, "AABA": 0, "A4 B": 0, "nonsense": 0, "": 0}
    assert {plan: phrase_bars(plan) for plan in plans} == plans


def test_a_plan_of_letters_has_four_bars_for_each():
    plans = {"AABA": 16, "AA'": 8, "A": 4, "A4 A'4": 0, "4+4": 0, "": 0}
    assert {plan: usual_bars(plan) for plan in plans} == plans


def test_cells_know_their_chord_and_phrase():
    task = Task(bars=2, meter="3/4", grid=2, chords="C | F G", phrases="1+1", pickup=2)
    tones = task.chord_tones
    assert tones[:2].all()  # the pickup has no chord
    assert all(set(np.flatnonzero(tones[cell])) == {0, 4, 7} for cell in range(2, 8))
    assert all(set(np.flatnonzero(tones[cell])) == {5, 9, 0} for cell in range(8, 11))
    assert set(np.flatnonzero(tones[11])) == {7, 11, 2}
    assert np.flatnonzero(task.phrase_ends).tolist() == [5, 11]
    score = Score(np.array([[[14, 1, 16, 1, 18, 1, 1, 1, 19, 1, 1, 20]]]), task)
    assert score.in_chord[0, 0].tolist() == [True, True, False, *[True] * 8, False]
    assert score.bar[0, 0].tolist() == [-1, -1, *[0] * 6, *[1] * 4]
    assert score.cell_in_bar[0, 0].tolist() == [4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3]
    assert score.level[0, 0].tolist() == [1, 2, 0, 2, 1, 2, 1, 2, 0, 2, 1, 2]
    assert task.bar_lines == (0, 2, 8)
    with pytest.raises(ValueError, match="pickup=6"):
        Task(bars=2, meter="3/4", grid=2, pickup=6)
