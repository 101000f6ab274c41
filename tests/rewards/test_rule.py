"""Rules as judgements and as messages; transposition leaves them unchanged."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards import masks
from rewards.build import build
from rewards.functions import cellwise, per_piece
from rewards.masks import beyond_hope, children, forbids, permits
from rewards.remarks import describe, explain, place, remarks
from rewards.rule import REGISTRY, rule
from rewards.rules.melody import in_key, leap_recovery
from rewards.rules.rl_tuner import key, leap_up_back, penalize_repeating
from tests.helpers import random_pieces
from tests.rewards.rules.examples import EXAMPLES
from tests.rewards.rules.lines import piece

KEYS = ("C major", "Db major", "D major", "Eb major", "E major", "F major", "F# major")
# Rests and holds count as the numbers 0 and 1 in the autocorrelation, so moving the pitches
# moves its value: the reference's quirk.
MOVED_WITH_PITCH = {name for name in REGISTRY if name.endswith("autocorrelation")}


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
    ("name", "wrong"),
    [
        ("bar_echo", {"full": 0}),
        ("bar_echo", {"longest": 0}),
        ("rhythmic_variety", {"least": 0}),
        ("rhythmic_variety", {"least": 6}),
        ("rhythmic_variety", {"least": 3, "most": 2}),
    ],
)
def test_parameters_that_make_no_sense(name, wrong):
    with pytest.raises(ValueError, match="expected"):
        REGISTRY[name](piece("C4 D4"), **wrong)


@pytest.mark.parametrize(
    ("line", "marked"),
    EXAMPLES["leap_recovery"],
)
def test_leap_recovery_marks_the_note_after_a_leap(line, marked):
    assert np.flatnonzero(leap_recovery(score_from_text(line))).tolist() == marked


@pytest.mark.parametrize(
    ("line", "key", "marked"),
    EXAMPLES["in_key"],
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
    late = piece("G4 C5:12", meter="3/4", bars=2, pickup=4)
    assert [place(late, cell) for cell in (0, 4, 22)] == [
        "bar 0, beat 3",
        "bar 1, beat 1",
        "bar 2, beat 2.5",
    ]


def test_remarks_follow_the_sign_of_the_weight():
    score = score_from_text("C4 G4:2 D5:2 C4:2 D4:2 E4 D4")  # leaps up twice, then comes back
    values = leap_up_back(score)
    costs = remarks(leap_up_back, score, sign=5.0)
    assert [remark.cell for remark in costs] == np.flatnonzero(values == -1).tolist()
    assert len(remarks(leap_up_back, score, sign=-5.0)) == int((values == 1).sum())
    assert "a further leap" in str(costs[0])


def test_a_rule_without_a_source_says_how_a_rule_is_written():
    with pytest.raises(TypeError, match=r"@rule\(source="):
        rule(lambda score: score.onset * 0.0)
    with pytest.raises(TypeError, match=r"@rule\(source="):
        rule()


@pytest.mark.parametrize("says", ["{note} is {bad}", "{note:d}", "{", "{most} {0}"])
def test_a_message_that_cannot_be_filled_in_is_refused_at_once(says):
    def loud(score, *, most=3):
        return score.onset * 0.0

    with pytest.raises(ValueError, match=r"\{note\}.*\{most\}"):
        rule(source="me", says=says)(loud)
    assert "loud" not in REGISTRY


def test_a_rule_of_one_s_own_does_not_take_the_name_of_one_that_ships():
    def in_key(score):
        return score.onset * 1.0

    before = REGISTRY["in_key"]
    with pytest.raises(ValueError, match="rewards.rules.melody"):
        rule(source="me", says="{note}")(in_key)
    assert REGISTRY["in_key"] is before


def test_a_term_without_words_is_told_by_its_name():
    def too_many(score):
        return score.onset * -1.0

    said = [str(remark) for remark in remarks(too_many, score_from_text("C4 E4"), sign=1.0)]
    assert said == ["bar 1, beat 1: C4: too_many", "bar 1, beat 2: E4: too_many"]
    (named, *_) = remarks(too_many, score_from_text("C4"), "mine", sign=1.0)
    assert (named.term, named.text) == ("mine", "C4: mine")


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


# -- looking ahead ---------------------------------------------------------------------------------


def begun(task, n, cells, seed):
    """The first cells of random pieces."""
    whole, score = random_pieces(task, n, seed), Score.page(task, n)
    for step in range(cells):
        time, voice = divmod(step, task.voices)
        score = score.write(whole.tokens[:, voice, time])
    return score


def forbidden_slowly(fn, score, sign):
    """Every token of every piece written alone, and the whole piece so far judged."""
    task, allowed = score.task, score.allowed()
    time, voice = divmod(score.n_written, task.voices)
    out = np.zeros_like(allowed)
    for row, token in np.argwhere(allowed):
        page = score.tokens[row : row + 1].copy()
        page[0, voice, time] = token
        child = Score(page, task, score.n_written + 1)
        hopeless = sign < 0 and beyond_hope(fn, child)[0, voice, time]
        out[row, token] = fn(child)[0, voice, time] * sign < 0 or hopeless
    return out


PAGES = {
    "empty": (Task(bars=1), 0),
    "one cell": (Task(bars=1), 1),
    "a few": (Task(bars=1, low="C4", high="C5"), 11),
    "the last": (Task(bars=1), 15),
    "two voices": (Task(bars=1, voices=2, key="G major"), 13),
    "a given note": (Task(bars=1, given=((-1,) * 9 + (15,) + (-1,) * 6,)), 9),
}


@pytest.mark.parametrize("sign", [-1.0, 0.5])
@pytest.mark.parametrize(("task", "cells"), PAGES.values(), ids=PAGES)
def test_what_a_term_forbids_is_what_it_counts_against_the_piece(task, cells, sign, monkeypatch):
    monkeypatch.setattr(masks, "CHILDREN_PIECES", 50)
    score = begun(task, 4, cells, seed=cells)
    allowed, some = score.allowed(), 0
    for name, fn in REGISTRY.items():
        forbidden = forbids(fn, score, sign)
        np.testing.assert_array_equal(forbidden, forbidden_slowly(fn, score, sign), err_msg=name)
        assert not (forbidden & ~allowed).any()
        some += forbidden.sum()
    assert some or sign > 0


def test_a_mask_looks_and_changes_nothing():
    score = begun(Task(bars=1), 3, 6, seed=1)
    before = score.tokens.copy()
    forbids(key, score)
    np.testing.assert_array_equal(score.tokens, before)
    assert score.n_written == 6
    assert not forbids(key, score)[:, 14].any()
    assert forbids(key, score)[:, 15].all()


def test_children_are_all_ways_to_go_on_in_portions(monkeypatch):
    monkeypatch.setattr(masks, "CHILDREN_PIECES", 4)
    score = begun(Task(bars=1), 3, 5, seed=2)
    wanted = np.zeros((3, 38), bool)
    wanted[0, [0, 20, 21, 30, 37]] = wanted[2, 5] = True
    portions = list(children(score, wanted))
    assert [child.batch for _, _, child in portions] == [4, 2]
    rows, tokens = (np.concatenate([portion[i] for portion in portions]) for i in (0, 1))
    np.testing.assert_array_equal(np.stack([rows, tokens], axis=1), np.argwhere(wanted))
    for row, token, child in portions:
        np.testing.assert_array_equal(child.tokens[:, 0, :5], score.tokens[row, 0, :5])
        np.testing.assert_array_equal(child.tokens[:, 0, 5], token)


@cellwise
def nothing_is_right(score):
    return np.ones(score.tokens.shape)


def test_rules_permit_what_breaks_none_of_them_and_never_nothing():
    score = begun(Task(bars=1), 20, 9, seed=3)
    allowed = score.allowed()
    both = permits([(key, -1.0), (penalize_repeating, -1.0)], score)
    expected = allowed & ~forbids(key, score) & ~forbids(penalize_repeating, score)
    assert expected.any(axis=1).all()
    np.testing.assert_array_equal(both, expected)
    np.testing.assert_array_equal(permits([(nothing_is_right, -1.0)], score), allowed)
    rest = permits([(nothing_is_right, -1.0), (key, -1.0)], score)
    np.testing.assert_array_equal(rest, allowed & ~forbids(key, score))
    given = Task(bars=1, given=((15,) + (-1,) * 15,))  # a given note outside the key
    assert np.flatnonzero(permits([(key, -1.0)], Score.page(given, 1))[0]).tolist() == [15]


def test_the_more_important_rule_is_kept_where_two_exclude_each_other():
    @cellwise
    def only_rests(score):
        return (~score.rest) * 1.0

    @cellwise
    def no_rests(score):
        return score.rest * 1.0

    score = begun(Task(bars=1), 2, 4, seed=1)
    first = permits([(only_rests, -1.0), (no_rests, -1.0)], score)
    assert first.sum(axis=1).tolist() == [1, 1]
    assert first[:, 0].all()
    assert not permits([(no_rests, -1.0), (only_rests, -1.0)], score)[:, 0].any()


def test_what_cannot_be_a_mask():
    @per_piece
    def ends_low(notes):
        return 1.0

    with pytest.raises(ValueError, match="'ends_low'.*cellwise"):
        forbids(ends_low, Score.page(Task(), 1))
    with pytest.raises(ValueError, match="finished"):
        forbids(key, random_pieces(Task(bars=1), 1))
