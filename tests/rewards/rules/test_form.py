"""Rules of form: examples, and brute force over the notes of random pieces."""

from itertools import pairwise

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards import build
from rewards.remarks import explain
from rewards.rules.form import (
    KINDS,
    bar_echo,
    motif_return,
    phrase_contrast,
    phrase_parallelism,
    whole_autocorrelation,
)
from rewards.rules.rl_tuner import autocorrelation
from tests.helpers import random_pieces
from tests.rewards.rules.examples import EXAMPLES, MOTIF, PHRASE
from tests.rewards.rules.lines import check, check_steps, check_unfinished, marks, noise, piece


def slow_echo(tokens, bar, full, longest):
    run, values = 0, []
    for cell, token in enumerate(tokens):
        run = run + 1 if cell >= bar and token == tokens[cell - bar] else 0
        values.append(min(run, full) / full if run <= longest else 0.0)
    return values


@pytest.mark.parametrize("task", [{}, {"meter": "3/4", "bars": 4}, {"voices": 2, "meter": "2/4"}])
@pytest.mark.parametrize(("full", "longest"), [(8, 12), (1, 3)])
def test_bar_echo_counts_cells_that_repeat_those_of_a_bar_before(task, full, longest):
    task = Task(**task)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 2, (20, task.voices, task.cells))  # many repeats
    found = bar_echo(Score(tokens, task), full=full, longest=longest)
    for row in range(20):
        for voice in range(task.voices):
            expected = slow_echo(tokens[row, voice], task.bar_cells, full, longest)
            assert found[row, voice] == pytest.approx(expected)


def test_an_answer_is_paid_and_a_copy_beyond_its_length_is_not():
    bar = "C4:2 D4:2 E4:2 G4:2 A4:4 G4:4"
    copy = bar_echo(score_from_text(f"{bar} {bar}"), longest=12).sum()
    answer = bar_echo(score_from_text(f"{bar} C4:2 D4:2 E4:2 G4:2 A4:4 F4:4"), longest=12)
    assert copy == answer[..., :28].sum() == pytest.approx(sum(range(1, 8)) / 8 + 5)
    assert answer[0, 0, 28:] == pytest.approx([0, 1 / 8, 2 / 8, 3 / 8])  # its holds


def test_whole_autocorrelation_is_the_reference_s_statistic():
    score = random_pieces(Task(), 30)
    paid = whole_autocorrelation(score)
    last = [np.abs(lag[:, 0, -1]) for lag in autocorrelation(score)]
    assert paid[:, 0, -1] == pytest.approx(sum(last), rel=1e-6)
    assert not paid[:, :, :-1].any()
    constant = Score(np.full((1, 1, 32), 5), Task())
    assert whole_autocorrelation(constant).sum() == 0  # undefined, so nothing to pay for


@pytest.mark.parametrize("name", ["bar_echo", "whole_autocorrelation"])
def test_steps_pay_what_the_whole_pays(name):
    reward, pieces = build(name), random_pieces(Task(bars=3), 12)
    score, steps = Score.page(Task(bars=3), 12), []
    for cell in range(48):
        score = score.write(pieces.tokens[:, 0, cell])
        steps.append(reward.newest(score)[name])
    assert np.stack(steps, axis=1) == pytest.approx(reward(pieces)[:, 0], abs=1e-5)


# -- the motif -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "kinds"),
    EXAMPLES["motif_return"],
)
def test_a_motif_returns_in_several_ways(line, kinds):
    score = piece(line, bars=2)
    for kind in KINDS:
        expected = {} if kind in kinds else {31: 1.0}
        assert marks(motif_return(score, kinds=[kind])) == expected, kind
    assert (not kinds & {"tonal", "transposed"}) == bool(motif_return(score).any())


def test_what_has_no_motif_is_not_judged():
    for line in ("r:32", "C4:32", "C4:2 D4:2 E4:28"):
        assert not motif_return(piece(line)).any()
    assert motif_return(piece("C4:2 D4:2 E4:28"), length=3).any()


def test_steps_of_the_scale_are_those_of_the_key():
    line = "F#4:2 G4:2 A4:2 F#4:2 G4:2 A4:2 B4:2 G4:2"
    assert not motif_return(piece(line, key="D major", bars=1), kinds=["tonal"]).any()
    assert motif_return(piece(line, key="C 0,4,6,9", bars=1), kinds=["tonal"]).any()
    assert not motif_return(piece("B3 C4 D4 C4 D4 E4", bars=2), length=3).any()  # across the octave
    five = piece("A4:2 C5:2 D5:2 G4:2 A4:2 C5:2", key="C major pentatonic", bars=1)
    assert not motif_return(five, length=3).any()


@pytest.mark.parametrize(
    "wrong", [{"length": 1}, {"length": 65}, {"kinds": ()}, {"kinds": "exact"}, {"kinds": ["x"]}]
)
def test_a_motif_that_cannot_be(wrong):
    with pytest.raises(ValueError, match="expected"):
        motif_return(piece(MOTIF), **wrong)


def slow_motif(notes, task, length=4, kinds=("transposed", "tonal")):
    steps, tonic = task.key.steps, task.key.pitch_class

    def step(pitch):
        octave, rest = divmod(pitch - tonic, 12)
        return octave * len(steps) + max(i for i, s in enumerate(steps) if s <= rest)

    def moves(some, kind):
        line = [note.pitch for note in some]
        if kind == "exact":
            return line
        line = [step(pitch) for pitch in line] if kind == "tonal" else line
        line = [note.start for note in some] if kind == "rhythm" else line
        return [b - a for a, b in pairwise(line)]

    if len(notes) < length:
        return {}
    for kind in kinds:
        motif = moves(notes[:length], kind)
        motif = [-move for move in motif] if kind == "inverted" else motif
        for start in range(length, len(notes) - length + 1):
            if moves(notes[start : start + length], kind) == motif:
                return {}
    return {task.cells - 1: 1.0}


FORMS = {
    "AABA": Task(bars=4, phrases="AABA"),
    "uneven, pickup": Task(meter="3/4", bars=7, pickup=4, phrases="A2 B1 A3 B1", key="E minor"),
    "two voices": Task(meter="6/8", bars=3, voices=2, phrases="ABB"),
    "long": Task(meter="2/4", bars=6, grid=24, pickup=7, phrases="A2 A2 B2"),
    "one phrase": Task(),
    "one cell": Task(meter="1/4", bars=1, grid=1),
}


@pytest.mark.parametrize("task", FORMS.values(), ids=FORMS)
def test_motif_return_agrees_with_brute_force(task):
    score, some = noise(task, 60, weights=(1, 3, 2, 1, 1)), 0
    for length in (2, 3, 4):
        for kinds in (*([kind] for kind in KINDS), ("transposed", "tonal"), KINDS):
            some += check(motif_return, slow_motif, score, length=length, kinds=kinds)
    assert some or task.cells == 1


# -- phrases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "asked", "differ", "alike"),
    EXAMPLES["phrases"],
)
def test_phrases_are_compared_by_where_notes_begin_and_which_way_they_go(
    line, asked, differ, alike
):
    same, other = (piece(line, phrases=plan, **asked) for plan in ("AA", "AB"))
    assert marks(phrase_parallelism(same, most=0)) == ({31: differ} if differ else {})
    assert marks(phrase_contrast(other, most=0)) == ({31: alike} if alike else {})
    assert not phrase_parallelism(other, most=0).any()
    assert not phrase_contrast(same, most=0).any()
    beyond = max(0, (differ - 0.25) / 0.75)
    assert marks(phrase_parallelism(same)) == ({31: pytest.approx(beyond)} if beyond else {})


def test_the_first_phrase_of_a_letter_is_the_model():
    other = "G4:8 E4:8 "
    score = piece(PHRASE + other + PHRASE + other, bars=4, phrases="AABA")
    assert marks(phrase_parallelism(score, most=0)) == {31: 1 / 2, 63: 1 / 2}
    assert marks(phrase_contrast(score)) == {47: 1.0}
    # The A that comes back as a B is too much like that.
    back = piece(PHRASE + other + other, bars=3, phrases="ABA")
    assert marks(phrase_contrast(back)) == {47: 1.0}
    many = piece(PHRASE + other + "C4:6 D4:10 " + other, bars=4, phrases="ABCD")
    assert marks(phrase_contrast(many)) == {63: 1.0}


def test_phrases_of_different_lengths_are_compared_as_far_as_the_shorter_goes():
    score = piece(PHRASE + PHRASE + "G4:16", bars=3, phrases="A1 A2")
    assert not phrase_parallelism(score, most=0, part=1).any()
    assert marks(phrase_contrast(piece(PHRASE + PHRASE + "G4:16", bars=3, phrases="A1 B2"))) == {
        47: 1.0
    }


def test_how_much_of_a_phrase_should_be_alike():
    score = piece(PHRASE + "C4 E4 G4 C4", phrases="AA")
    assert marks(phrase_parallelism(score, part=1, most=0)) == {31: 1 / 5}
    assert not phrase_parallelism(score, part=0.5, most=0).any()
    assert not phrase_parallelism(score, part=0.01).any()
    assert phrase_parallelism(piece(PHRASE + "r:4 E4:12", phrases="AA"), part=0.01).any()
    for part in (0, 1.1):
        with pytest.raises(ValueError, match="share"):
            phrase_parallelism(score, part=part)


def test_without_a_plan_phrases_are_not_compared():
    score = random_pieces(Task(), 5)
    for rule in (phrase_parallelism, phrase_contrast):
        assert rule(score).shape == score.tokens.shape
        assert not rule(score).any()


def figure(notes, task, phrase, cells):
    """{place: way} of the notes of a phrase's beginning."""
    start = phrase.first_bar * task.bar_cells
    inside = [n for n in notes if start <= n.start < start + cells]
    ways = [0] + [np.sign(b.pitch - a.pitch) for a, b in pairwise(inside)]
    return {n.start - start: way for n, way in zip(inside, ways, strict=False)}


def shares(notes, task, same_letter, part):
    """Of each phrase that has a model: {last cell: shares of places that are alike}."""
    out, firsts = {}, {}
    for phrase in task.phrase_plan:
        end = (phrase.first_bar + phrase.bars) * task.bar_cells - 1
        for letter, first in firsts.items():
            if (letter == phrase.letter) == same_letter:
                bars = min(phrase.bars, first.bars)
                cells = max(1, int(bars * task.bar_cells * part))
                one, other = (figure(notes, task, p, cells) for p in (phrase, first))
                places = one.keys() | other.keys()
                if places:
                    alike = sum(one.get(at) == other.get(at) for at in places)
                    out.setdefault(end, []).append(alike / len(places))
        firsts.setdefault(phrase.letter, phrase)
    return out


def slow_parallelism(notes, task, part=0.5, most=0.25):
    found = shares(notes, task, True, part)
    return {end: max(0.0, (1 - min(s) - most) / (1 - most)) for end, s in found.items()}


def slow_contrast(notes, task, most=0.75):
    found = shares(notes, task, False, 1)
    return {end: max(0.0, (max(s) - most) / (1 - most)) for end, s in found.items()}


@pytest.mark.parametrize("task", FORMS.values(), ids=FORMS)
def test_phrases_agree_with_brute_force(task):
    score = noise(task, 60, weights=(1, 9, 2, 1, 1))
    parallel = [
        check(phrase_parallelism, slow_parallelism, score, part=part, most=most)
        for part, most in ((0.5, 0.25), (0.3, 0.0), (1.0, 0.0))
    ]
    contrast = [check(phrase_contrast, slow_contrast, score, most=most) for most in (0.0, 0.1)]
    assert all([*parallel, *contrast]) or len(task.phrase_plan) == 1


@pytest.mark.parametrize("task", FORMS.values(), ids=FORMS)
def test_steps_of_motif_and_phrases_are_the_whole(task):
    names = ("motif_return", "phrase_parallelism", "phrase_contrast")
    check_steps(names, noise(task, 6, seed=3))
    if task.cells > 40:
        for name in names:
            check_unfinished(name, noise(task, 10, seed=5), 37)


def test_messages_of_form(capsys):
    explain(motif_return, piece("C4 E4 D4 F4", bars=1))
    explain(phrase_contrast, piece(PHRASE + PHRASE, phrases="AB"))
    assert capsys.readouterr().out.splitlines() == [
        "bar 1, beat 4.75: the first 4 notes of the line do not come back",
        "bar 2, beat 4.75: the phrase is too much like one that it should contrast with",
    ]
