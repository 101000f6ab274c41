"""Variations of a theme, and melodies between two, of a small model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.composing import Between, Composer, Request, Variation
from agents.composing.latent.evolving import evolve
from agents.composing.latent.pieces import pieces_at_points, way
from agents.composing.latent.points import Apart, shipped_for, theme_score
from agents.composing.latent.varying import TOLERANCE, Neighbours
from envs.music.codec import HOLD
from envs.music.noise import noise
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.edit_distance import edit_distances
from rewards.build import build
from rewards.functions import cellwise
from tests.pretrained.variational.small import small_vae

RANGE = {"low": 60, "high": 79}


def theme(seed=1, **task):
    task = Task(**{"bars": 2, **RANGE, **task})
    return Piece.of(noise(task, seed, 1, 1.5))


@pytest.fixture(scope="module")
def model():
    return small_vae(2)


@pytest.fixture
def composer():
    return Composer("melody", {"in_key": 1.0})


@pytest.mark.parametrize("distance", [0.1, 0.3])
def test_variations_are_as_far_as_asked_for(composer, model, distance):
    piece = theme()
    given = Variation(piece, model, distance=distance)
    melodies = composer.compose(Request(given=given, n=4, candidates=2, seed=3))
    tokens = np.concatenate([melody.score.tokens for melody in melodies])
    far = edit_distances(tokens, np.repeat(piece.score.tokens, 4, axis=0))
    assert np.abs(far - distance).max() <= TOLERANCE
    assert len(np.unique(tokens, axis=0)) == 4
    paid = [melody.report.searched for melody in melodies]
    assert f"{far[0]:.2f} from the theme ({distance:g} asked for)" in melodies[0].report.lines[-1]
    assert paid[0] >= max(paid) - 1e-6
    assert melodies[0].report.network == "VariationalModel"


@cellwise
def begins_evenly(score):
    """Charge a first note of an odd pitch, which is every second one."""
    return 1.0 * ((score.cell == 0) & score.onset & (score.pitch % 2 == 1))


def test_what_is_demanded_is_kept(composer, model):
    given = Variation(theme(4), model, distance=0.45)
    request = Request(given=given, must=[begins_evenly], n=3, candidates=3)
    melodies = composer.compose(request)
    assert len(melodies) == 3
    for melody in melodies:
        assert (begins_evenly(melody.score) == 0).all()
        assert "begins_evenly" in melody.report.kept


def test_a_distance_that_no_variation_has_is_refused(model):
    piece = theme()
    page, neighbours = Score.page(piece.task, 1), Neighbours(model, piece.score, 5.0)
    with pytest.raises(ValueError, match="are 0.* away"):
        neighbours.fill(page, 1)


def test_held_notes_are_those_of_the_theme(model):
    piece = theme(5)
    page = Score.page(piece.task, 1)
    neighbours = Neighbours(model, piece.score, 0.1)
    rng = torch.Generator().manual_seed(0)
    for share in (0.4, 0.7, 1.0):
        held = neighbours._holding(page, share, rng)
        given = held.task.page[0]
        chosen = given != -1
        assert 0 < chosen.sum() < len(given)
        assert (given[chosen] == piece.score.tokens[0, 0][chosen]).all()
    assert neighbours._holding(page, 0.0, rng) is page


def test_between_goes_in_order_from_one_to_the_other(composer, model):
    one, two = theme(1), theme(2)
    given = Between(one, model, second=two)
    melodies = composer.compose(Request(given=given, n=5))
    assert len(melodies) == 5
    ends = [
        model.decode(model.encode(piece.score), Score.page(one.task, 1), temperature=0.0).tokens
        for piece in (one, two)
    ]
    found = np.concatenate([melody.score.tokens for melody in melodies])
    away, to = (edit_distances(found, np.repeat(end, 5, axis=0)) for end in ends)
    assert (np.diff(away) >= 0).mean() + (np.diff(to) <= 0).mean() > 1.7
    assert away[0] < to[0]
    assert away[-1] > to[-1]
    assert "from the second theme" in str(melodies[0].report.movement)


def test_steps_keep_what_is_demanded(composer, model):
    given = Between(theme(1), model, second=theme(2))
    melodies = composer.compose(Request(given=given, n=8, must=[begins_evenly], candidates=16))
    plain = composer.compose(Request(given=given, n=8))
    assert any((begins_evenly(melody.score) != 0).any() for melody in plain)
    for melody in melodies:
        assert (begins_evenly(melody.score) == 0).all()
    with pytest.raises(ValueError, match=r"step 1 of 2.*leave"):
        composer.compose(Request(given=given, n=2, must=[nothing_goes], candidates=2))


@cellwise
def nothing_goes(score):
    return np.ones(np.broadcast_shapes(score.cell.shape, score.pitch.shape))


def test_the_way_is_straight_and_without_its_ends():
    one, two = torch.zeros(1, 3), torch.tensor([[0.0, 4.0, -4.0]])
    assert way(one, two, 3).tolist() == [[0, 1, -1], [0, 2, -2], [0, 3, -3]]


def test_themes_of_other_keys_meet_in_the_first(composer, model):
    one, two = theme(1), theme(2, key="E major", low=64, high=83)
    given = Between(one, model, second=two)
    (melody,) = composer.compose(Request(given=given, n=1))
    assert str(melody.score.task.key) == "C major"
    moved = theme_score(two, given.task_with({}))
    tokens, other = two.score.tokens[0, 0], moved.tokens[0, 0]
    assert (other == np.where(tokens > HOLD, tokens - 4, tokens)).all()


def test_a_theme_that_is_moved_to_another_octave_is_the_end_there(model):
    # From F sharp a tritone down; read in its own key it would be written an octave higher.
    one, two = theme(1), theme(2, key="F# major", low=66, high=85)
    given, asked = Between(one, model, second=two), []

    class Asked:
        codec, n_latent, require = model.codec, model.n_latent, model.require
        decode = staticmethod(model.decode)

        def encode(self, score):
            asked.append(score)
            return model.encode(score)

    given = replace(given, latent=Asked())
    page = Score.page(given.task_with({}), 1)
    pieces_at_points(given, page, {}, build({"in_key": 1.0}), 1, 1)
    assert [score.task for score in asked] == [page.task] * 2
    ends = theme_score(one, page.task), theme_score(two, page.task)
    for score, end in zip(asked, ends, strict=True):
        assert (score.tokens == end.tokens).all()


def test_all_that_the_model_writes_is_counted(composer, model):
    written = []

    class Counted:
        codec, n_latent, require = model.codec, model.n_latent, model.require

        def encode(self, score):
            written.append(score.batch)
            return model.encode(score)

        def decode(self, z, *rest):
            written.append(len(z))
            return model.decode(z, *rest)

    one, two = theme(1), theme(2)
    for given in (Variation(one, Counted(), distance=0.3), Between(one, Counted(), second=two)):
        written.clear()
        (melody,) = composer.compose(Request(given=given, n=1, candidates=4))
        assert melody.report.compute.tokens == sum(written) * one.task.steps


@pytest.mark.parametrize(
    ("second", "word"),
    [({"meter": "6/8"}, "metre"), ({"bars": 4}, "bars"), ({"pickup": 4}, "pickup")],
)
def test_themes_that_do_not_go_together_are_refused(model, second, word):
    with pytest.raises(ValueError, match=word):
        Between(theme(1), model, second=theme(2, **second))


@pytest.mark.parametrize(
    ("piece", "word"),
    [
        ({"bars": 8}, r"theme.abc:1-2"),
        ({"meter": "9/8"}, "9/8"),
        ({"grid": 2}, "grid"),
    ],
)
def test_themes_that_the_model_does_not_hold_are_refused(composer, model, piece, word):
    with pytest.raises(ValueError, match=word):
        composer.compose(Request(given=Variation(theme(**piece), model), n=1))


def test_a_range_grows_with_the_key_that_is_asked_for(model):
    given, top = Variation(theme(), model), max(note.pitch for note in theme().notes)
    task = given.task_with({"key": "F major", "high": top})
    with pytest.raises(ValueError, match="outside the range"):
        theme_score(given.piece, task)
    wide = given.task_with({"key": "F major"})
    assert wide.high >= top + 5
    assert theme_score(given.piece, wide).pitch.max() == top + 5


def test_bad_requests_are_refused(composer, model):
    piece = theme()
    with pytest.raises(ValueError, match="theme goes from.*C5 to C6.*--range"):
        composer.compose(Request(given=Variation(piece, model), range="C5-C6"))
    for distance, error in ((0.0, ValueError), (1.5, ValueError), ("far", TypeError)):
        with pytest.raises(error, match="distance"):
            Variation(piece, model, distance=distance)
    with pytest.raises(ValueError, match="voices"):
        Variation(theme(voices=2), model)
    with pytest.raises(ValueError, match="no notes"):
        Variation(Piece.of(Score(np.zeros((1, 1, 32), int), Task(bars=2))), model)
    with pytest.raises(ValueError, match="bars"):
        composer.compose(Request(given=Variation(piece, model), bars=3))
    with pytest.raises(ValueError, match="method"):
        composer.compose(Request(given=Variation(piece, model), method="beam"))
    with pytest.raises(ValueError, match="points"):
        composer.compose(Request(given=Variation(piece, "folk")))
    with pytest.raises(ValueError, match="3 bars"):
        shipped_for(3)
    with pytest.raises(ValueError, match="second"):
        Between(piece, model)


def test_distances_in_words():
    assert str(Apart(("a", "b"), (0.25, 0.5))) == "distance 0.25 from a, 0.50 from b"


def test_evolution_finds_what_is_paid_and_counts_its_calls(model):
    page, reward = Score.page(Task(bars=2, **RANGE), 1), build({"in_key": 1.0})
    few = evolve(model, page, reward, 3, 16, population=16)
    many = evolve(model, page, reward, 3, 160, population=16)
    assert many.returns.mean() > few.returns.mean()
    assert many.compute.tokens == 10 * few.compute.tokens == 3 * 160 * 32
    paid = reward(many.score).sum((1, 2))
    assert many.returns == pytest.approx(paid)
    again = evolve(model, page, reward, 3, 160, population=16)
    assert (again.score.tokens == many.score.tokens).all()
    for wrong in ({"calls": 8}, {"n": 0}, {"population": 2}):
        with pytest.raises(ValueError, match="population"):
            evolve(model, page, reward, **wrong)
