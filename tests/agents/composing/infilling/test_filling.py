"""A composer with a network that fills pages, and writes nothing cell by cell."""

import numpy as np
import pytest

from agents.composing import Composer, Request
from agents.composing.composer import PRIOR
from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.families import FAMILIES
from rewards.rules.melody import in_key
from tests.pretrained.random_infiller import RandomInfiller


@pytest.fixture
def composer():
    return Composer(RandomInfiller(Codec()), {"in_key": 1.0, "prior": 0.1})


def test_what_is_demanded_is_kept_and_the_best_come_first(composer):
    request = Request(key="D major", bars=1, meter="2/4", grid=2, n=2, candidates=4, method="prior")
    melodies = composer.compose(request)
    assert len(melodies) == 2
    for melody in melodies:
        assert (in_key.fn(melody.score) == 0).all()
        assert "key D major" in melody.report.kept
    assert melodies[0].report.searched >= melodies[1].report.searched


def test_given_cells_and_the_primer_stay(composer):
    task = Task(bars=2)
    given = np.full((1, task.cells), -1)
    given[0, 16] = 20
    request = Request(given=given.tolist(), bars=2, primer="C4 D4", n=3, method="best-of-n")
    first = composer.compose(request)
    assert len(first) == 3
    for melody in first:
        assert melody.score.tokens[0, 0, 16] == 20
        assert melody.score.pitch[0, 0, [0, 4]].tolist() == [60, 62]
    again = composer.compose(request)
    assert all((a.score.tokens == b.score.tokens).all() for a, b in zip(first, again, strict=True))


def test_likelihood_is_that_of_a_prior(composer):
    reward = composer.objective.reward
    assert reward.terms["prior"].rule.fn.name == PRIOR


def test_demands_that_no_piece_meets_are_named(composer):
    with pytest.raises(ValueError, match=r"--key .*bar") as caught:
        composer.compose(key="D major", bars=8, n=2, method="prior")
    assert "--wish key" in str(caught.value)


@pytest.mark.parametrize("method", ["masked", "exhaustive"])
def test_methods_that_write_cell_by_cell_are_refused(composer, method):
    with pytest.raises(ValueError, match="best-of-n"):
        composer.compose(Request(bars=1, method=method))


def test_it_is_found_by_the_path_of_its_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, RandomInfiller.format, RandomInfiller)
    checkpoint.save(tmp_path / "toy.safetensors", RandomInfiller(Codec()))
    composer = Composer.load(prior=str(tmp_path / "toy.safetensors"), env="composition/Melody-v0")
    for method in ("sample", "prior"):
        (melody,) = composer.compose(bars=1, method=method)
        assert melody.report.network == "toy"
    with pytest.raises(ValueError, match="7/8"):
        composer.compose(bars=1, meter="7/8", method="prior")


def test_a_page_that_is_not_asked_for_anything_is_drawn_once(composer):
    plain = Composer(composer.prior, {"in_key": 1.0}, chooses=False, task=Task(bars=1))
    melodies = plain.compose(n=3, method="prior")
    drawn = composer.prior.fill(Score.page(Task(bars=1), 1), 3, 1)
    assert [m.score.tokens.tolist() for m in melodies] == [
        t.tolist() for t in drawn.tokens[:, None]
    ]
