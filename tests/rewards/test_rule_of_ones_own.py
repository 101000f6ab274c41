"""A rule that is added in one file serves everywhere: nothing else knows of it."""

import copy
import inspect
import pickle
from dataclasses import replace

import numpy as np
import pytest

from agents.composing.masks import read_demands, read_masks
from agents.composing.ranking import best_kept
from agents.composing.search import masked
from agents.explaining.explainer import explain, speaking_rules
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.build import build
from rewards.checking.check_report import examine
from rewards.functions import per_note
from rewards.measures.hacking import held_out_rules, rule_means
from rewards.objective import Objective
from rewards.remarks import remarks
from rewards.rule import REGISTRY, as_rule, rule

TASK = Task(bars=1)


@rule(source="this test", says="{note} is higher than {most} semitones above {first}")
def stays_near(score, *, most=4):
    """No note lies far above the first.

    >>> from rewards.remarks import explain
    >>> explain(stays_near, "C4 E4 F4")
    bar 1, beat 3: F4 is higher than 4 semitones above C4
    """

    def follow(state, here):
        (first,) = state
        first = np.where((first < 0) & here.onset, here.pitch, first)
        return (first,), (here.onset & (here.pitch - first > most),)

    return score.scan(follow, (np.int16(-1),))[0].astype(np.float32)


REGISTRY.pop("stays_near")  # other tests go through the registry; it is there for these alone


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(REGISTRY, "stays_near", stays_near)


def broken(score):
    """Pieces (B,) that have a note too high, by hand."""
    found = []
    for line in score.tokens[:, 0].tolist():
        pitches = [score.task.low + token - 2 for token in line if token >= 2]
        found.append(any(pitch > pitches[0] + 4 for pitch in pitches))
    return np.array(found)


def test_as_a_reward():
    score = score_from_text("C4 F4 C4 A4")
    assert build({"stays_near": 2.0})(score).sum() == -4.0
    wider = {"stays_near": {"weight": 1.0, "most": 5}}
    assert build(wider)(score).sum() == -1.0
    report = examine("stays_near", TASK, panel=False, cost=False)
    assert report.broken == []
    assert Objective(build({"stays_near": 2.0}), c=4.0).scaled(score).sum() == -1.0


def test_as_a_mask_and_as_a_demand(tiny_prior):
    page, reward = Score.page(TASK, 20), build("tonic")
    free = masked(tiny_prior, page, read_masks(["in_key"], reward), seed=1).score
    held = masked(tiny_prior, page, read_masks(["stays_near"], reward), seed=1).score
    assert broken(free).any()
    assert not broken(held).any()
    demands = read_demands(["stays_near,most=4"], reward)
    kept = best_kept(tiny_prior, page.take([0]), demands, reward, n=2, candidates=3)
    assert not broken(kept.score).any()


def test_as_a_remark_and_in_an_explanation():
    score = score_from_text("C4 F4 C4 A4")
    said = [remark.text for remark in remarks(stays_near, score)]
    assert said == [f"{note} is higher than 4 semitones above C4" for note in ("F4", "A4")]
    (term,) = build({"stays_near": {"weight": 1.0, "most": 7}}).terms.values()
    (remark,) = remarks(term.rule, score)
    assert remark.text == "A4 is higher than 7 semitones above C4"
    found = explain(Piece.of(score), speaking_rules())
    told = [message.text for message in found.messages if message.term == "stays_near"]
    assert told == said


def test_as_a_statistic():
    score = score_from_text("C4 F4 C4 A4")
    assert "stays_near" in held_out_rules(build("tonic"))
    assert "stays_near" not in held_out_rules(build({"stays_near": {"most": 2}}))
    assert rule_means(score, ["stays_near"]) == {"stays_near": 2.0}


# -- a Rule is still the function ------------------------------------------------------------------


@per_note
def rising(note, previous, *, least=1):
    """1 for a move up."""
    return float(previous is not None and note.pitch - previous.pitch >= least)


@pytest.mark.parametrize("made", [stays_near, rising], ids=lambda made: made.name)
def test_it_can_be_looked_at_pickled_and_copied(made):
    assert made.__name__ == made.name == made.__qualname__
    assert made.__module__ == __name__
    assert list(inspect.signature(made).parameters)[-1] in ("most", "least")
    assert inspect.getdoc(made) == inspect.getdoc(made.origin)
    assert pickle.loads(pickle.dumps(made)) is made
    assert copy.deepcopy(made) is made
    name = list(inspect.signature(made).parameters)[-1]
    bound = pickle.loads(pickle.dumps(made.bind({name: 3})))
    assert bound.base is made
    assert bound.fn.keywords == {name: 3}
    assert (bound.cellwise, bound.violation, bound.says) == (True, made.violation, made.says)


def test_a_rule_made_within_a_function_cannot_be_pickled():
    @per_note
    def inner(note, previous):
        return 0.0

    with pytest.raises((AttributeError, pickle.PicklingError), match="inner"):
        pickle.dumps(inner)


class Marked:
    """An object that may be asked about a score; what is no mark of a rule is left alone."""

    says, violation, cellwise, lost = "too {note}", True, True, "at sea"

    def __call__(self, score):
        return score.onset * 1.0


def test_a_foreign_callable_says_what_it_is_by_its_attributes():
    made = as_rule(Marked())
    assert (made.name, made.says) == ("Marked", "too {note}")
    assert made.violation
    assert made.cellwise
    assert made.lost is None
    assert build({Marked(): 2.0})(score_from_text("C4 D4")).sum() == -4.0
    assert as_rule(made) is made


@pytest.mark.parametrize("value", [1, 0, np.True_, np.False_, True])
@pytest.mark.parametrize("mark", ["cellwise", "violation", "verdict"])
def test_a_mark_may_be_a_number_or_of_numpy(mark, value):
    def marked(score):
        return score.onset * 1.0

    setattr(marked, mark, value)
    assert getattr(as_rule(marked), mark) is bool(value)
    setattr(marked, mark, None)
    assert getattr(as_rule(marked), mark) is False


@pytest.mark.parametrize("value", ["yes", 1.0, np.array([True])])
def test_a_mark_that_is_neither_true_nor_false_is_refused(value):
    def marked(score):
        return score.onset * 1.0

    marked.cellwise = value
    with pytest.raises(TypeError, match="marked.*cellwise.*expected True or False"):
        as_rule(marked)


@pytest.mark.parametrize("name", ["surprise", "diffusion"])
def test_a_rule_of_the_name_of_a_term_that_ships_is_refused_and_not_passed_over(name, monkeypatch):
    monkeypatch.setitem(REGISTRY, name, replace(REGISTRY["in_key"], name=name))
    with pytest.raises(ValueError, match="give your own another"):
        build({name: 1.0})
