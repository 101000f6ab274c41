"""Rules as judgements and as messages; transposition leaves them unchanged."""

import numpy as np
import pytest

from envs.contract import cellwise
from envs.notation import score_from_text
from envs.score import Score
from envs.task import Task
from rewards.melody import in_key, leap_recovery
from rewards.rl_tuner import leap_up_back
from rewards.rule import REGISTRY, describe, explain, place, remarks, rule
from rewards.total import build
from tests.helpers import random_pieces

KEYS = ("C major", "Db major", "D major", "Eb major", "E major", "F major", "F# major")
# Rests and holds count as the numbers 0 and 1 in the autocorrelation, so moving the pitches
# moves its value: the reference's quirk.
MOVED_WITH_PITCH = {"penalize_autocorrelation"}


@pytest.mark.parametrize("semitones", range(1, 7))
def test_transposing_piece_and_key_together_changes_no_rule(semitones):
    low = Task(low="C3", high="F5")
    score = random_pieces(low, 80, seed=semitones)
    tokens = np.where(score.tokens >= 2, score.tokens + semitones, score.tokens)
    moved = Score(tokens, Task(key=KEYS[semitones]))
    reward = build(dict.fromkeys(REGISTRY, 1.0))
    before, after = reward.breakdown(score), reward.breakdown(moved)
    for name in set(REGISTRY) - MOVED_WITH_PITCH:
        np.testing.assert_array_equal(before[name], after[name], err_msg=name)


@pytest.mark.parametrize("name", [n for n, fn in REGISTRY.items() if fn.violation])
def test_violations_lie_between_0_and_1(name):
    values = REGISTRY[name](random_pieces(Task(bars=4), 100, seed=1))
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize(
    ("line", "marked"),
    [
        ("C4 A4 G4 E4", []),  # a sixth up, a step back
        ("C4 A4 B4 C5", [8]),  # it goes on up
        ("A4 C4 D4 E4", []),
        ("A4 C4 B3 A3", [8]),
        ("C4 A4 A4 G4", [8]),  # a repetition is no recovery
        ("C4 F4 E4 D4", []),  # a fourth counts as a leap here
        ("C4 E4 G4 C5", []),  # thirds do not, and nothing follows the last leap
        ("C4 A4 r G4", []),  # a rest is looked through
        ("C4 A4 F4 E4", [8]),  # back, but by a leap
    ],
)
def test_leap_recovery_marks_the_note_after_a_leap(line, marked):
    assert np.flatnonzero(leap_recovery(score_from_text(line))).tolist() == marked


@pytest.mark.parametrize(
    ("line", "key", "marked"),
    [
        ("C4 D4 E4 F#4", "C major", [12]),
        ("C4 D4 E4 F#4", "G major", []),
        ("D4 F4 B4 C5", "D dorian", []),
        ("D4 F4 Bb4 C5", "D dorian", [8]),
        ("A4 G#4 A4 r", "A minor", [4]),
    ],
)
def test_in_key_marks_foreign_notes(line, key, marked):
    assert np.flatnonzero(in_key(score_from_text(line, key=key))).tolist() == marked


def test_a_reward_is_explained_where_it_costs_not_where_it_pays(capsys):
    explain(leap_up_back, "C4 G4 C4")  # resolved: paid
    assert capsys.readouterr().out == ""
    explain(leap_up_back, "C4 G4 D5")  # doubled
    assert capsys.readouterr().out.startswith("bar 1, beat 3: D5: a further leap")


def test_two_broken_rules_at_one_note_are_two_messages(capsys):
    line = "C4 A4 Bb4 A4"
    explain(in_key, line)
    explain(leap_recovery, line)
    assert capsys.readouterr().out.splitlines() == [
        "bar 1, beat 3: Bb4 is not in C major",
        "bar 1, beat 3: Bb4 does not step back after the leap C4-A4",
    ]
    explain(in_key, "C4 D4 E4")
    assert capsys.readouterr().out == ""


def test_places_are_counted_as_musicians_do():
    score = score_from_text("C4 D4 E4 F4 G4 A4", meter="3/4")
    assert place(score, 0) == "bar 1, beat 1"
    assert place(score, 14) == "bar 2, beat 1.5"
    compound = score_from_text("C4 D4 E4", meter="6/8")
    assert place(compound, 6) == "bar 1, beat 2"


def test_remarks_follow_the_sign_of_the_weight():
    score = score_from_text("C4 G4:2 D5:2 C4:2 D4:2 E4 D4")  # leaps up twice, then comes back
    values = leap_up_back(score)
    costs = remarks(leap_up_back, score, sign=5.0)
    assert [remark.cell for remark in costs] == np.flatnonzero(values == -1).tolist()
    assert len(remarks(leap_up_back, score, sign=-5.0)) == int((values == 1).sum())
    assert "a further leap" in str(costs[0])


def test_words_for_the_notes_around_a_cell():
    score = score_from_text("C4 G4 E4")
    says = "{before} {previous} {note} {interval} {key}"
    assert describe(score, 0, 0, 8, says) == "C4 G4 E4 minor third C major"
    assert describe(score, 0, 0, 0, says) == "silence silence C4 unison C major"


def test_a_rule_of_one_s_own_is_registered_and_counts_against():
    @rule(source="nobody", says="{note} is high")
    def not_high(score):
        return (score.onset & (score.pitch > 72)) * 1.0

    try:
        score = score_from_text("C4 D5 C4")
        assert build({"not_high": 2.0})(score).sum() == -2.0
        assert not_high.cellwise
        assert cellwise(not_high) is not_high
    finally:
        del REGISTRY["not_high"]
