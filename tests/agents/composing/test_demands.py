"""Demands are kept, the draw is not bent more than they ask, and what fails is told."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from agents import compose
from agents.compose import ComposeConfig
from agents.composing import demands as must
from agents.composing.demands import breaks, keep
from agents.composing.masks import read_demands
from agents.composing.ranking import rank
from agents.composing.request import Request
from agents.composing.search import masked_nats
from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.primer import primed
from pretrained.networks.recurrent import RecurrentPrior
from rewards.build import build
from rewards.functions import cellwise, per_piece
from tests.agents.composing.searches import NARROW, page_of
from tests.agents.helpers import tiny, trained

IN_KEY = build({"in_key": 1.0})


def test_what_is_kept_keeps_every_demand(tiny_prior):
    task = Task(key="E natural minor", meter="6/8", bars=2, low="D4", high="G5")
    demands = build({"in_key": 1.0, "leap_recovery": 1.0, "penalize_repeating": -1.0})
    found = keep(tiny_prior, page_of(task), demands.terms, 40, seed=2)
    assert found.count == 40
    names = {note.pitch % 12 for row in found.pieces.tokens for note in task.codec.decode(row[0])}
    assert names <= {4, 6, 7, 9, 11, 0, 2}
    for term in demands.terms.values():
        assert not breaks(term, found.pieces).any()
    again = keep(tiny_prior, page_of(task), demands.terms, 40, seed=2)
    np.testing.assert_array_equal(found.pieces.tokens, again.pieces.tokens)


def drawn(prior, task, demands, n):
    """Share of each piece among those kept, and what the network and its masked draw say of it."""
    found = keep(prior, page_of(task), demands.terms, n, seed=1, budget=60_000)
    counts = Counter(tuple(row[0]) for row in found.pieces.tokens.tolist())
    legal = np.flatnonzero(task.codec.legal(np.array(True), task.low, task.high)).tolist()
    every = list(product(legal, repeat=task.cells))
    every = [piece for piece in every if 1 not in piece[: next_onset(piece)]]
    pieces = Score(np.array(every)[:, None], task)
    good = ~np.array([breaks(term, pieces) for term in demands.terms.values()]).any(axis=(0, 2, 3))
    pieces = pieces.take(np.flatnonzero(good))
    likely = np.exp(prior.log_prob(pieces).sum(axis=(1, 2), dtype=np.float64))
    masked = np.exp(masked_nats(prior, pieces, demands).sum(axis=(1, 2), dtype=np.float64))
    seen = np.array([counts[tuple(row[0])] for row in pieces.tokens.tolist()])
    assert seen.sum() == n
    return seen / n, likely / likely.sum(), masked / masked.sum()


def next_onset(piece):
    return next((i for i, token in enumerate(piece) if token > 1), len(piece))


def apart(one, other):
    """Total variation distance."""
    return np.abs(one - other).sum() / 2


@pytest.mark.parametrize("demand", ["in_key", "cadence"])
def test_pieces_are_as_likely_as_the_network_has_them_among_those_that_keep_all(
    tiny_prior, demand, monkeypatch
):
    task = Task(bars=2, meter="1/4", grid=2, low="B3", high="C#4")
    task = Task(bars=1, meter="1/4", low="B3", high="C#4") if demand == "in_key" else task
    prior = tiny_prior if demand == "in_key" else RecurrentPrior(tiny_prior.net, Codec(grid=2))
    monkeypatch.setattr(must, "SPARE", 12)  # of which the most bent are left out
    seen, likely, masked = drawn(prior, task, build({demand: 1.0}), 2000)
    noise = apart(likely, np.random.default_rng(0).multinomial(2000, likely) / 2000)
    assert apart(likely, masked) > 0.1
    assert apart(seen, likely) < 0.5 * apart(seen, masked)
    assert apart(seen, likely) < 1.2 * noise  # not much further off than an exact sample


def test_what_cannot_be_kept_is_told_and_costs_no_more_than_the_budget(tiny_prior):
    task = Task(bars=1, meter="2/4", low="C4", high="C#4", given=((-1,) * 4 + (15,) + (-1,) * 3,))
    found = keep(tiny_prior, page_of(task), IN_KEY.terms, 3, budget=50)  # C sharp in the middle
    assert found.pieces is None
    assert found.begun == found.at_given == 50
    assert found.broken == {"in_key": 50}
    stopped = "in_key 50 (most in bar 1)"
    assert str(found) == f"0 of 50 pieces kept all demands; stopped by {stopped}"
    assert keep(tiny_prior, page_of(task), IN_KEY.terms, 3).begun < 6000  # gives up long before
    with pytest.raises(ValueError, match="the primer breaks in_key already"):
        keep(tiny_prior, primed(page_of(replace(task, given=())), [15]), IN_KEY.terms, 3)


def test_each_piece_counts_for_the_first_demand_that_stopped_it(tiny_prior):
    names = ("final_tonic", "unique_climax")
    counts = []
    for order in (names, names[::-1]):
        demands = build(dict.fromkeys(order, 1.0)).terms
        found = keep(tiny_prior, page_of(Task(bars=1)), demands, 5, seed=1, budget=400)
        counts.append(found.broken)
        assert set(found.broken) <= set(names)
        assert sum(found.broken.values()) <= found.begun
    assert counts[0]["final_tonic"] > counts[1]["final_tonic"]
    assert counts[0]["unique_climax"] < counts[1]["unique_climax"]


def test_a_cell_is_judged_once_however_long_the_piece(tiny_prior):
    cells = []

    def step(state, here):
        cells.append(1)
        return state, (here.tokens == 99,)

    @cellwise
    def judged(score):
        return score.scan(step, (0,))[0] * 1.0

    task = Task(bars=4)
    found = keep(tiny_prior, page_of(task), build({judged: -1.0}).terms, 2)
    assert found.count == 2
    assert len(cells) < 4 * task.cells  # the cell before, its children, and the whole piece


@pytest.mark.parametrize("bad", [{"n": 0}, {"budget": 0}, {"temperature": 0.0}])
def test_numbers_out_of_range(tiny_prior, bad):
    with pytest.raises(ValueError, match="expected n and budget from 1"):
        keep(tiny_prior, page_of(NARROW), IN_KEY.terms, **({"n": 1} | bad))


def test_what_pays_cannot_be_demanded(tiny_checkpoint, tmp_path):
    wish = {"reward": ("rl_tuner=1",), "must": ("motif",)}
    with pytest.raises(ValueError, match="motif pays and cannot be broken"):
        compose.compose(small(tmp_path / "a", prior=str(tiny_checkpoint), **wish))


def test_what_judges_whole_pieces_cannot_be_demanded(tiny_prior):
    ends_low = build({per_piece(lambda notes: float(len(notes) > 3)): -1.0})
    with pytest.raises(ValueError, match="cellwise"):
        keep(tiny_prior, page_of(NARROW), ends_low.terms, 1)
    with pytest.raises(ValueError, match="in_key pays and cannot be broken"):
        read_demands(["in_key=-1"], IN_KEY)


def test_a_run_with_a_mask_keeps_demands_too(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, algo="maskable_ppo", mask=("in_key",), samples=0)
    run = trained(replace(base, reward=("in_key=1", "prior=1")))
    out = tmp_path / "out"
    compose.compose(ComposeConfig(str(run.path), out=out, n=3, must=("final_tonic",), candidates=2))
    for number in (1, 2, 3):
        notes = read_piece(out / f"melody-{number:02d}.mid", grid=4).notes
        assert notes[-1].pitch % 12 == 0
        assert {note.pitch % 12 for note in notes} <= {0, 2, 4, 5, 7, 9, 11}


def test_phrases_that_end_well_go_on_in_the_place_of_those_that_do_not(tiny_prior):
    task = Task(bars=4, meter="2/4", low="C4", high="E4", phrases="1+1+1+1")
    demands = build({"cadence": 1.0}).terms
    found = keep(tiny_prior, page_of(task), demands, 10, seed=1, budget=4000)
    assert found.count == 10
    assert not breaks(demands["cadence"], found.pieces).any()
    assert len({tuple(row[0]) for row in found.pieces.tokens.tolist()}) == 10


# -- ranking ---------------------------------------------------------------------------------------


def test_the_best_are_chosen_and_near_copies_passed_over():
    score = Score(np.random.default_rng(4).integers(2, 38, (20, 1, 32)), Task())
    tokens = score.tokens.copy()
    tokens[3] = tokens[7]
    tokens[3, 0, -1] = 5  # one cell apart
    worth = np.arange(20.0)
    worth[[3, 7]] = 100, 101
    assert rank(Score(tokens, Task()), worth, 4) == [7, 19, 18, 17]
    assert rank(Score(tokens, Task()), worth, 20)[-1] == 3
    assert sorted(rank(score, worth, 20)) == list(range(20))
    assert rank(Score(tokens, Task()), worth, 4, refuse=lambda row: row in (7, 18)) == [
        *(3, 19, 17, 16)
    ]
    assert rank(score, worth, 20, refuse=lambda row: row > 4) == [3, 4, 2, 1, 0]
    with pytest.raises(ValueError, match="n=21: expected 1 to 20"):
        rank(score, worth, 21)


def test_only_free_cells_and_what_sounds_in_them_set_candidates_apart():
    slow = np.ones((3, 1, 32), int)
    slow[:, 0, [0, 8, 16, 24]] = [[14, 16, 18, 19], [21, 23, 25, 26], [14, 16, 18, 21]]
    assert rank(Score(slow, Task()), [3.0, 1.0, 2.0], 2) == [0, 2]  # the last eighth but one
    same = slow[[0, 0, 0]]
    same[:, 0, 24] = [19, 20, 21]
    task = Task(given=((*slow[0, 0, :24].tolist(), *[-1] * 8),))
    assert rank(Score(same, task), [1.0, 3.0, 2.0], 2) == [1, 2]


# -- wishes in words -------------------------------------------------------------------------------


def test_wishes_take_the_place_of_the_fields_of_the_task():
    base = Task(bars=4, low="C4", high="A5")
    asked = {"key": "F# dorian", "meter": "6/8", "bars": 8, "grid": None, "range": "D4-G5"}
    task = Request(**asked, chords="i VII").task_on(base)
    assert task == Task(
        key="F# dorian", meter="6/8", bars=8, low=62, high=79, chords="i VII", grid=4
    )
    assert Request(bars=8).task_on(base) == replace(base, bars=8)
    assert Request().task_on(base) == base
    with pytest.raises(ValueError, match="expected lowest-highest"):
        Request(range="D4")
    assert Request(chords="C | F G7 | C").task_on(base).bars == 3
    assert Request(chords="C | F G7 | C", bars=8).task_on(base).bars == 8
    assert Request(chords="C").task_on(base).bars == 4
    for wrong in ({"bars": 0}, {"pickup": -1}):  # a wrong number is told of, not passed over
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Request(**wrong).task_on(base)


def small(out, **more):
    given = {"method": "prior", "n": 2, "candidates": 2, "reward": ("in_key=1",)}
    return ComposeConfig(out=out, **(given | more))


def test_a_wish_is_composed_as_asked(tiny_checkpoint, tmp_path):
    wish = {"key": "Bb major", "meter": "3/4", "bars": 3, "range": "F4-F5", "must": ("in_key",)}
    compose.compose(small(tmp_path / "a", prior=str(tiny_checkpoint), **wish))
    written = (tmp_path / "a" / "melody-01.abc").read_text()
    assert "K:Bb\n" in written
    assert "M:3/4\n" in written
    notes = (tmp_path / "a" / "melodies.txt").read_text()
    assert "#" not in notes.split("return")[0]


def test_demands_that_cannot_be_met_leave_nothing_behind(tiny_checkpoint, tmp_path):
    wish = {"key": "C major", "range": "C#4-C#4", "must": ("in_key", "rest_nowhere")}
    with pytest.raises(ValueError, match="unknown reward 'rest_nowhere'"):
        compose.compose(small(tmp_path / "a", prior=str(tiny_checkpoint), **wish))
    cells = "15," + ",".join(["-1"] * 15)  # C sharp, then as you like
    given = {"task": (f"given=[[{cells}]]",), "bars": 1, "must": ("in_key",)}
    with pytest.raises(ValueError, match=r"0 of \d,\d+ pieces .* stopped by in_key"):
        compose.compose(small(tmp_path / "a", prior=str(tiny_checkpoint), **given))
    assert not list(tmp_path.iterdir())
