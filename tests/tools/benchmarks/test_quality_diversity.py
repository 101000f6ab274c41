"""The table of quality against diversity: who beats whom, and models of several families."""

import numpy as np
import pytest
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.adversarial.gan import Gan
from pretrained.prior import sample
from tests.helpers import random_pieces, small_prior
from tests.tools.benchmarks import quality_diversity as tool


class FlatJudge:
    """A judge to whom each token is as likely as 1 in e."""

    def log_prob(self, score):
        return np.full(score.tokens.shape, -1.0, np.float32)


@pytest.fixture
def gan():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Gan.build({"vocab": Codec().vocab, "hidden": 4}, Codec())


def row(model, nats, edit, coverage):
    return tool.Row(model, 1.0, {"per token": nats, "edit": edit, "coverage": coverage})


@pytest.mark.parametrize(
    ("other", "beats"),
    [
        ((1.0, 0.5, 0.5), False),  # as good is no better
        ((1.1, 0.5, 0.5), True),
        ((1.0, 0.4, 0.5), True),
        ((1.1, 0.4, 0.6), False),  # it covers more
        ((0.9, 0.1, 0.1), False),  # it is likelier
    ],
)
def test_a_row_beats_another_that_is_nowhere_better(other, beats):
    assert row("a", 1.0, 0.5, 0.5).beats(row("b", *other)) == beats


def test_rows_of_one_model_do_not_beat_each_other():
    rest = dict.fromkeys(tool.HEADS, 0.0)
    good, bad = ({**rest, "per token": nats, "edit": 0.5, "coverage": 0.5} for nats in (1.0, 2.0))
    rows = [tool.Row("tunes", None, good), tool.Row("a", 0.5, good), tool.Row("a", 1.0, bad)]
    assert [line.split()[-1] for line in tool.table(rows).splitlines()[2:]] == ["0", "0"]
    rows.append(tool.Row("b", 1.0, bad))
    assert [line.split()[-1] for line in tool.table(rows).splitlines()[2:]] == ["0", "0", "1"]


def test_nats_of_a_flat_judge_are_those_of_the_onsets():
    real = random_pieces(Task(bars=2), 20, 1)
    found = tool.figures_of(real, real, FlatJudge())
    assert found["per token"] == pytest.approx(1.0)
    assert found["per note"] == pytest.approx(real.tokens.size / real.onset.sum())
    assert found["coverage"] == found["distinct"] == 1
    assert found["overlap"] > 0.8


def test_halves_share_no_piece():
    real = random_pieces(Task(bars=2), 9)
    one, other = tool.halves(real)
    texts = [piece.tobytes() for half in (one, other) for piece in half.tokens]
    assert sorted(texts) == sorted(piece.tobytes() for piece in real.tokens)
    assert (one.batch, other.batch) == (5, 4)


def test_models_of_each_family_are_drawn_as_they_draw(gan):
    task, prior = Task(bars=1), small_prior()
    page = Score.page(task, 3)
    assert (tool.draw(prior, task, 3, 5, 0.7).tokens == sample(prior, page, 5, 0.7).tokens).all()
    made = gan.fill(Score.page(task, 1), 3, 5, 0.7)
    assert (tool.draw(gan, task, 3, 5, 0.7).tokens == made.tokens).all()


def test_models_that_write_nothing_and_rare_tasks_are_refused():
    with pytest.raises(ValueError, match="write"):
        tool.draw(type("Deaf", (), {"format": "deaf/1"})(), Task(), 1, 0, 1.0)
    with pytest.raises(ValueError, match="few"):
        tool.rows_of({}, Task(meter="7/8", bars=8), (1.0,))
