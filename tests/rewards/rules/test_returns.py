"""Phrases that come back: examples, and brute force over the notes of random pieces."""

from dataclasses import replace

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from rewards.remarks import remarks
from rewards.rules.returns import phrase_return, phrase_return_forced, phrase_return_lost
from tests.asked_for import departures, phrases_of
from tests.helpers import random_pieces
from tests.rewards.rules.examples import EXAMPLES, PHRASE
from tests.rewards.rules.lines import check, check_steps, check_unfinished, marks, noise, piece

FORMS = {
    "AABA": Task(bars=4, phrases="AABA"),
    "long": Task(bars=16, meter="2/4", phrases="ABA'C"),
    "uneven, pickup": Task(meter="3/4", bars=9, pickup=4, phrases="A2 B1 A3 B1 A'2"),
    "two voices": Task(meter="6/8", bars=3, voices=2, phrases="ABB"),
    "triplets": Task(meter="2/4", bars=6, grid=12, pickup=6, phrases="A2 A2 B2"),
    "one phrase": Task(),
    "one cell": Task(meter="1/4", bars=1, grid=1),
}


@pytest.mark.parametrize(("line", "asked", "marked"), EXAMPLES["phrase_return"])
def test_phrases_return(line, asked, marked):
    asked = {"bars": 2, "phrases": "AA"} | asked
    assert marks(phrase_return(piece(line, **asked))) == dict.fromkeys(marked, 1.0)


def heard(notes, cells):
    """Return the kind of each cell: a note that begins, one that goes on, or silence."""
    line = [""] * cells
    for note in notes:
        line[note.start : note.start + note.duration] = ["goes on"] * note.duration
        line[note.start] = str(note.pitch)
    return line


def slow_return(notes, task):
    """{cell: 1} where a phrase leaves the one it returns to, and where one copies another."""
    found, line = {}, heard(notes, task.cells)
    plan = task.phrases or f"A{task.bars}"
    phrases = phrases_of(plan, task.bars)
    for number, (name, letter, first, size) in enumerate(phrases):
        akin = [other for other in phrases[:number] if other[1] == letter]
        same = [other for other in akin if other[0] == name]
        start = first * task.bar_cells
        for other in (same or akin)[:1]:
            shorter = min(size, other[3])
            bars = shorter - max(1, shorter // 4) if same else shorter // 2
            cells = bars * task.bar_cells if shorter > 1 else task.bar_cells // 2
            there = other[2] * task.bar_cells
            differ = [i for i in range(cells) if line[start + i] != line[there + i]]
            if differ:
                found[start + differ[0]] = 1.0
        firsts = {other[1]: other for other in reversed(phrases[:number])}
        for other in firsts.values() if not akin and task.voices == 1 else ():
            shorter = min(size, other[3])
            bars = shorter - max(1, shorter // 4)
            cells = bars * task.bar_cells if shorter > 1 else task.bar_cells // 2
            begun = [
                [(n.start - at, n.pitch) for n in notes if at <= n.start < at + cells]
                for at in (start, other[2] * task.bar_cells)
            ]
            if begun[0] == begun[1]:
                found[start + cells - 1] = 1.0
    return found


@pytest.mark.parametrize("task", FORMS.values(), ids=FORMS)
def test_returns_agree_with_brute_force(task):
    score = noise(task, 60, weights=(1, 99, 1, 1, 1))
    assert check(phrase_return, slow_return, score) or len(task.phrase_plan) == 1


@pytest.mark.parametrize("task", FORMS.values(), ids=FORMS)
def test_steps_of_returns_are_the_whole(task):
    check_steps(("phrase_return",), noise(task, 6, seed=3))
    if task.cells > 40:
        check_unfinished("phrase_return", noise(task, 10, seed=5), 37)


@pytest.mark.parametrize("name", ["AABA", "long", "uneven, pickup", "two voices", "triplets"])
def test_what_is_forced_keeps_the_form_and_no_other_token_does(name):
    task = FORMS[name]
    drawn, score = random_pieces(task, 20, seed=2).tokens.copy(), Score.page(task, 20)
    drawn[::2, :, :: task.bar_cells] = 14  # nothing is held into these bars
    forced_cells = 0
    while not score.finished:
        time, voice = divmod(score.n_written, task.voices)
        forced = phrase_return_forced(score)
        assert (forced >= 0).all() == (task.returning_cells[time] >= 0) == (forced >= 0).any()
        forced_cells += int((forced >= 0).all())
        if time and forced[0] >= 0:  # another note than the one that comes back
            other = score.write(np.where(forced == 14, 15, 14))
            assert phrase_return(other.newest).all() or phrase_return(other).any(axis=2).all()
        score = score.write(np.where(forced >= 0, forced, drawn[:, voice, time]))
    assert forced_cells == (task.returning_cells >= 0).sum() * task.voices
    held_into = phrase_return_lost(score).any(axis=(1, 2))
    broken = phrase_return(score)
    assert not broken[~held_into][..., task.returning_cells >= 0].any()
    good = np.flatnonzero(~held_into & ~broken.any(axis=(1, 2)))  # the others copy a phrase
    assert len(good)
    for row in good if task.voices == 1 else ():
        notes = [(n.start, n.duration, n.pitch) for n in task.codec.decode(score.tokens[row, 0])]
        if task.grid == 4:
            assert not departures(notes, task.phrases, task.bars, str(task.meter))


def test_only_a_note_held_into_a_phrase_that_comes_back_is_lost():
    task = Task(bars=3, meter="2/4", phrases="B1 A1 A1")
    held = piece("C4:12 E4 C4:2 D4:6", bars=3, meter="2/4", phrases="B1 A1 A1")
    assert np.flatnonzero(phrase_return_lost(held)).tolist() == [8]
    other = Score(held.tokens, replace(task, phrases="B1 A1 C1"))
    assert not phrase_return_lost(other).any()


def test_a_message_says_where_the_phrase_departs():
    (remark,) = remarks(phrase_return, piece(PHRASE + "C4 D4 F4 D4", phrases="AA"))
    assert str(remark).startswith("bar 2, beat 2: the phrase does not go on as its letter")
