"""The content of a cell: its pieces, the numbers measured on them, and the pool of its seed."""

import numpy as np
import pytest

from agents.benchmarking import bench as matrix
from agents.benchmarking import measuring
from agents.composing.masks import read_masks
from agents.evaluating.limit import best_of_n_kl
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from rewards.measures.statistics import table_rows
from tests.agents.benchmarking.helpers import PIECES, numbers, pieces
from tests.helpers import random_pieces


def test_a_cell_holds_what_its_pieces_say(benchmarked):
    for name in ("prior", "best-of-4", "ppo", "guided-beam"):
        score, found = pieces(benchmarked, name), numbers(benchmarked.out, name)
        assert found["pieces"] == score.batch == (8 if name == "guided-beam" else PIECES)
        for row, value in table_rows(score).items():
            told = np.nan if found[row] is None else found[row]
            assert told == pytest.approx(value, nan_ok=True), row
        paid = {
            k: float(v.sum(axis=(1, 2)).mean())
            for k, v in benchmarked.reward.breakdown(score).items()
        }
        for term, value in paid.items():
            assert found[f"term/{term}"] == pytest.approx(value, abs=1e-5)
        assert found["reward with log p"] == pytest.approx(sum(paid.values()), abs=1e-4)
        assert found["reward"] == pytest.approx(paid["tonic"] + paid["leap_recovery"], abs=1e-4)
        assert found["log p"] == pytest.approx(paid["prior"] / 0.5 / 32, abs=1e-4)
        assert found["distinct"] == len(np.unique(score.tokens, axis=0)) / score.batch
        assert found["judge"] < 0
        assert "held out/in_key" in found
        assert "held out/leap_recovery" not in found


def test_kl_of_each_kind_of_cell(benchmarked):
    agent = checkpoint.load(benchmarked.folder("ppo", 0) / "run")
    score = pieces(benchmarked, "ppo")
    kl = (agent.log_prob(score) - benchmarked.prior.log_prob(score)).mean()
    assert numbers(benchmarked.out, "ppo")["kl"] == pytest.approx(float(kl), rel=1e-4)
    assert numbers(benchmarked.out, "prior")["kl"] == 0
    assert numbers(benchmarked.out, "best-of-4")["kl"] == pytest.approx((np.log(4) - 3 / 4) / 32)
    assert numbers(benchmarked.out, "best-of-n@kl=0.1")["kl"] == pytest.approx(
        best_of_n_kl(66) / 32
    )
    assert numbers(benchmarked.out, "best-of-n@kl=0.1")["draws"] == 66
    assert numbers(benchmarked.out, "guided-beam")["kl"] is None


def test_best_of_n_chooses_from_the_pool_of_its_seed(benchmarked):
    with np.load(benchmarked.folder("prior", 0) / "pool.npz") as file:
        pool = {name: file[name] for name in file.files}
    assert len(pool["tokens"]) == matrix.pool_size(PIECES) == 128 * PIECES
    assert np.array_equal(pool["tokens"][:PIECES], pieces(benchmarked, "prior").tokens)
    parts, rules = benchmarked.paid(Score(pool["tokens"], benchmarked.task))
    assert np.allclose(pool["returns"], sum(parts.values()))
    assert np.allclose(pool["rules"], rules)
    for name, n, by in (("best-of-4", 4, "returns"), ("best-of-n@kl=0.1", 66, "rules")):
        picks = matrix.best_of_subsets(pool[by], n, PIECES, np.random.default_rng(0))
        assert np.array_equal(pieces(benchmarked, name).tokens, pool["tokens"][picks]), name
    assert numbers(benchmarked.out, "best-of-n@kl=0.1")["independent"] == min(PIECES, 2048 // 66)
    assert numbers(benchmarked.out, "best-of-4")["cells"] == 4 * 32


def test_masked_nats_are_the_prior_over_what_is_permitted(benchmarked):
    score, rules = pieces(benchmarked, "masked"), read_masks((), benchmarked.reward)
    gain = matrix.masked_nats(benchmarked.prior, score, rules) - benchmarked.prior.log_prob(score)
    assert gain.min() > -1e-4  # nothing is less likely than before
    assert gain.max() > 0.01
    assert numbers(benchmarked.out, "masked")["kl"] == pytest.approx(float(gain.mean()), rel=1e-4)
    row, at = np.argwhere(gain[:, 0] > 0.01)[-1]  # where a rule leaves something out
    alike = np.repeat(score.tokens[row : row + 1], 38, axis=0)
    alike[:, 0, at], alike[:, 0, at + 1 :] = np.arange(38), 1  # any token there, then holds
    chances = np.exp(
        matrix.masked_nats(benchmarked.prior, Score(alike, benchmarked.task), rules)[:, 0, at]
    )
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    broken = (
        benchmarked.reward.terms["leap_recovery"].fn(Score(alike, benchmarked.task))[:, 0, at] > 0
    )
    assert np.array_equal(chances == 0, broken)


def test_whole_piece_goals():
    def page(*cells):
        return [*cells, *[1] * (32 - len(cells))]

    plain_frame = [14, *[1] * 27, 14, 1, 1, 0]  # C4 first and a fourth from the end
    late = [14, *[1] * 28, 14, 1, 1]
    other = [16, *[1] * 27, 14, 1, 1, 1]
    motif = [14, 1, 16, 1, 18, 1, 16, 1]
    score = Score(np.array([[plain_frame], [late], [other], [page(*motif, *motif)]]), Task())
    assert measuring.goals(score) == {"tonic frame": 25.0, "repeated motif": 25.0}


def test_diversity_is_that_of_groups(monkeypatch):
    monkeypatch.setattr(measuring, "GROUP", 4)
    score = random_pieces(Task(), 10)  # two groups; the last two pieces are in none
    twice = Score(np.concatenate([score.tokens[:4], np.repeat(score.tokens[:1], 4, 0)]), Task())
    both = [measuring.diversity(twice[:4])["vendi"], 1.0]
    assert measuring.group_diversity(twice)["vendi"] == pytest.approx(np.mean(both))
    assert measuring.group_diversity(score) == measuring.group_diversity(score[:8])
