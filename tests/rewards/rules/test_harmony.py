"""Rules of harmony: textbook examples, and brute force over the notes of random pieces."""

from itertools import pairwise, product

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from rewards.masks import beyond_hope
from rewards.remarks import explain
from rewards.rules.harmony import cadence, chord_tones, non_chord_resolution
from tests.rewards.rules.examples import EXAMPLES
from tests.rewards.rules.lines import check, check_steps, check_unfinished, marks, noise, piece

RULES = ("chord_tones", "non_chord_resolution", "cadence")
TASKS = {
    "4/4": Task(bars=4, chords="I IV V I", phrases="AA"),
    "3/4, pickup": Task(meter="3/4", bars=5, pickup=4, chords="i VII | V", key="A minor"),
    "6/8, two voices": Task(
        meter="6/8", bars=4, voices=2, chords="I | IV V | I", phrases="A1 B2 A1"
    ),
    "triplets": Task(meter="2/4", bars=4, grid=6, pickup=5, chords="Dm7 G7 C", phrases="2+2"),
    "no chords": Task(bars=2, phrases="AB", key="F# dorian"),
    "one cell": Task(meter="1/4", bars=1, grid=1, chords="I"),
}
CHROMATIC = range(12, 26)  # tokens of C#4 to C5
SPREAD = {"tokens": (0, 1, *CHROMATIC), "weights": (2, 30, *(1,) * len(CHROMATIC))}


# -- chord tones -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked", "cells"),
    EXAMPLES["chord_tones"],
)
def test_chord_tones_marks_foreign_notes_on_strong_places(line, asked, cells):
    assert list(marks(chord_tones(piece(line, **asked)))) == cells


def test_which_places_are_strong():
    score = piece("D4 D4 D4 D4:2 D4:2 r:16", chords="I")
    assert list(marks(chord_tones(score, strong=0))) == [0]
    assert list(marks(chord_tones(score))) == [0, 8]
    assert list(marks(chord_tones(score, strong=2))) == [0, 4, 8, 12]
    assert list(marks(chord_tones(score, strong=3))) == [0, 4, 8, 12, 14]
    triple = piece("D4 D4 D4", meter="3/4", bars=1, chords="I")
    assert list(marks(chord_tones(triple))) == [0, 4, 8]
    assert list(marks(chord_tones(triple, strong=0))) == [0]
    compound = piece("D4:2 D4:2 D4:2 D4:2 D4:2 D4:2", meter="6/8", bars=1, chords="I")
    assert list(marks(chord_tones(compound))) == [0, 6]


def test_a_pickup_has_no_chord():
    score = piece("D4 C4:12 D4 D4:12", pickup=4, chords="I")
    assert list(marks(chord_tones(score))) == [20]
    assert not chord_tones(piece("F#4 C4:28", pickup=4, chords="I")).any()
    assert not non_chord_resolution(piece("F#4 C4:28", pickup=4, chords="I")).any()


def test_chords_are_those_of_the_key():
    minor = {"key": "A minor", "chords": "V", "bars": 1}
    assert not chord_tones(piece("E4 A4 G#4 B4", **minor)).any()
    assert list(marks(chord_tones(piece("E4 A4 G4 B4", **minor)))) == [8]
    assert not chord_tones(piece("C4 E4 G4 E4", key="G major", chords="IV")).any()


def test_transposing_line_and_key_changes_nothing():
    low, high = ({"chords": "i V", "phrases": "AB", "key": key} for key in ("A minor", "D minor"))
    score, moved = piece("A3 C4 G#3:8 B3 D4 A3:8", **low), piece("D4 F4 C#4:8 E4 G4 D4:8", **high)
    for rule in (chord_tones, non_chord_resolution, cadence):
        assert marks(rule(score)) == marks(rule(moved)) != {}


@pytest.mark.parametrize(
    ("line", "asked", "cells"),
    EXAMPLES["non_chord_resolution"],
)
def test_foreign_notes_move_on_by_step(line, asked, cells):
    score = piece(line, **({"bars": 1, "chords": "I"} | asked))
    assert list(marks(non_chord_resolution(score))) == cells


def test_how_large_a_step_may_be():
    score = piece("C4 D4 F4 E4", bars=1, chords="I")
    assert list(marks(non_chord_resolution(score))) == [8]
    assert not non_chord_resolution(score, largest=3).any()
    assert list(marks(non_chord_resolution(piece("C4 D4 E4 C4", chords="I"), largest=1))) == [8]


# -- cadences --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked", "expected"),
    EXAMPLES["cadence"],
)
def test_cadence_judges_the_last_note_of_each_phrase(line, asked, expected):
    assert marks(cadence(piece(line, **({"phrases": "AA"} | asked)))) == expected


def test_what_closes_a_phrase_is_a_parameter():
    score = piece("C4 D4 F4:8 E4 D4 E4:8", phrases="AA")
    assert marks(cadence(score)) == {15: 0.5, 31: 0.5}
    assert marks(cadence(score, degrees=[5])) == {31: 0.5}
    assert marks(cadence(score, degrees=(5,), final=(0, 4))) == {}
    weak = piece("C4 D4 E4 G4 E4 D4 E4 C4", phrases="AA")
    assert marks(cadence(weak)) == {15: 0.5, 31: 0.5}
    assert marks(cadence(weak, strong=2)) == {}
    assert marks(cadence(piece("E4 D4 C4:8 E4 D4 C4:8"), strong=0)) == {31: 0.5}
    for wrong in ({"degrees": (12,)}, {"final": [-1]}):
        with pytest.raises(ValueError, match="semitones"):
            cadence(score, **wrong)


# -- against brute force ---------------------------------------------------------------------------


def level_of(cell, task):
    return task.meter.levels(task.grid)[(cell - task.pickup) % task.bar_cells]


def chord_at(cell, task):
    """The chord's pitch classes; None in a pickup and without chords."""
    bar, rest = divmod(cell - task.pickup, task.bar_cells)
    if not task.chords or bar < 0:
        return None
    chords = task.harmony[bar]
    return chords[rest * len(chords) // task.bar_cells].pitch_classes


def is_foreign(note, task):
    chord = chord_at(note.start, task)
    return chord is not None and note.pitch % 12 not in chord


def slow_chord_tones(notes, task, strong=1):
    return {
        n.start: 1.0 for n in notes if is_foreign(n, task) and level_of(n.start, task) <= strong
    }


def slow_resolution(notes, task, largest=2):
    out = {}
    for note, then in pairwise([*notes, None]):
        if is_foreign(note, task):
            if then is None:
                out[task.cells - 1] = 1.0
            elif abs(then.pitch - note.pitch) > largest:
                out[then.start] = 1.0
    return out


def slow_cadence(notes, task, degrees=(0, 7), final=(0,), strong=1):
    out = {}
    for phrase in task.phrase_plan:
        start = phrase.first_bar * task.bar_cells
        end = start + phrase.bars * task.bar_cells
        heard = [n for n in notes if n.start < end and n.start + n.duration > start]
        if heard:
            good = final if phrase == task.phrase_plan[-1] else degrees
            wrong = (heard[-1].pitch - task.key.pitch_class) % 12 not in good
            out[end - 1] = (wrong + (level_of(heard[-1].start, task) > strong)) / 2
    return out


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_rules_of_harmony_agree_with_brute_force(task):
    score = noise(task, 60, **SPREAD)
    chords = [check(chord_tones, slow_chord_tones, score, strong=strong) for strong in (0, 1, 2)]
    chords += [check(non_chord_resolution, slow_resolution, score, largest=n) for n in (1, 2, 5)]
    assert all(chords) or not task.chords or task.cells == 1
    assert check(cadence, slow_cadence, score)
    assert check(cadence, slow_cadence, score, degrees=(2, 5, 7), final=(0, 3, 4), strong=0)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_steps_pay_what_the_whole_pays(task):
    check_steps(RULES, noise(task, 8, seed=3, **SPREAD))


@pytest.mark.parametrize("name", RULES)
def test_nothing_is_said_of_cells_that_are_not_written(name):
    for written in (21, 37):
        check_unfinished(name, noise(TASKS["4/4"], 20, seed=5, **SPREAD), written)
    check_unfinished(name, noise(TASKS["6/8, two voices"], 20, seed=5, **SPREAD), 17)


def test_messages_name_the_notes(capsys):
    explain(non_chord_resolution, piece("C4 D4 G4 E4", bars=1, chords="I"))
    explain(cadence, piece("C4 D4 E4 Bb4", bars=1, key="F major"))
    assert capsys.readouterr().out.splitlines() == [
        "bar 1, beat 3: D4-G4: a note foreign to its chord does not move on by step",
        "bar 1, beat 4.75: the phrase ends on Bb4: no degree of F major to close on, or no strong "
        "place",
    ]


@pytest.mark.parametrize(
    "task",
    [
        Task(bars=1, meter="3/4", grid=1, low="B3", high="D4"),
        Task(bars=2, meter="2/4", grid=1, low="B3", high="D4", phrases="AB", pickup=1),
        Task(bars=1, meter="2+3/8", grid=2, low="B3", high="C4"),
    ],
)
@pytest.mark.parametrize("strong", [0, 1])
def test_a_cadence_is_lost_where_no_continuation_keeps_it(task, strong):
    legal = np.flatnonzero(task.codec.legal(np.array(True), task.low, task.high)).tolist()
    lines = [
        line
        for line in product(legal, repeat=task.cells)
        if 1 not in line[: next((i for i, token in enumerate(line) if token > 1), len(line))]
    ]
    score = Score(np.array(lines)[:, None], task)
    rule = cadence.bind({"strong": strong})
    lost, broken = beyond_hope(rule, score)[:, 0], rule(score)[:, 0] > 0
    for cell in range(task.cells):
        end, hope = cell + int(np.argmax(task.phrase_ends[cell:])), {}
        for line, bad in zip(lines, broken[:, end], strict=True):
            hope[line[: cell + 1]] = hope.get(line[: cell + 1], False) or not bad
        expected = [not hope[line[: cell + 1]] for line in lines]
        np.testing.assert_array_equal(lost[:, cell], expected)
