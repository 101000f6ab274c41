"""Cells: each in a process of its own, those that others need first; and their numbers."""

import signal
import subprocess
import sys

import numpy as np
import pytest

from agents.benchmarking import cells
from agents.benchmarking import methods as matrix
from agents.benchmarking.cells import make_cell
from agents.benchmarking.methods import best_of_n_kl, find_method
from agents.composing.masks import read_masks
from envs.music.score import Score
from pretrained import checkpoint
from rewards.measures.statistics import table_rows
from tests.agents.benchmarking.helpers import PIECES, begin, config, numbers, pieces


def test_a_cell_ends_with_its_benchmark_and_is_begun_anew(tiny_checkpoint, tmp_path):
    bench = begin(config(tiny_checkpoint, tmp_path / "b"), ["prior"])
    module = "agents.benchmarking.cells"
    command = [sys.executable, "-m", module, str(bench.out), "prior", "0"]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)  # at its end at once
    assert ended.returncode == 1
    left = bench.folder("prior", 0) / "run" / "metrics.csv"
    left.parent.mkdir(parents=True)
    left.write_text("left behind")
    make_cell(bench.out, "prior", 0)
    assert not left.exists()
    assert (bench.folder("prior", 0) / "result.json").is_file()


def run_with(monkeypatch, tmp_path, names, failing=(), done=()):
    """Order in which cells are begun, and what failed, with nothing really benchmarked."""
    begun = []

    def make(out, which, end):
        method, folder = find_method(which[0]), out / "cells" / which[0] / str(which[1])
        if method.needs:
            assert (out / "cells" / method.needs / str(which[1]) / "result.json").is_file()
        begun.append(which)
        if which[0] in failing:
            return "broken"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "result.json").write_text("{}")
        return ""

    for name, seed in done:
        make(tmp_path, (name, seed), 0)
    begun.clear()
    monkeypatch.setattr(cells, "_run_cell", make)
    methods = [find_method(name) for name in names]
    return begun, cells.run_cells(tmp_path, methods, 2, 2)


def test_cells_wait_for_those_they_need(monkeypatch, tmp_path):
    names = ["best-of-4", "guided-beam", "ppo", "prior"]
    begun, failed = run_with(monkeypatch, tmp_path, names, done=[("ppo", 1)])
    assert not failed
    assert sorted(begun) == sorted((n, s) for n in names for s in (0, 1) if (n, s) != ("ppo", 1))


def test_a_cell_whose_need_failed_is_not_tried(monkeypatch, tmp_path):
    names = ["prior", "best-of-4", "masked"]
    begun, failed = run_with(monkeypatch, tmp_path, names, failing=("prior",))
    assert sorted(begun) == [("masked", 0), ("masked", 1), ("prior", 0), ("prior", 1)]
    assert failed[("prior", 0)] == "broken"
    assert failed[("best-of-4", 1)] == "its prior cell failed"


def test_a_process_that_dies_says_by_what(monkeypatch, tmp_path):
    done = subprocess.CompletedProcess([], -signal.SIGKILL, "", "")
    monkeypatch.setattr(cells.subprocess, "run", lambda *arguments, **settings: done)
    told = cells._run_cell(tmp_path, ("prior", 0), 0)
    assert told == "killed by signal 9 (out of memory?)"


# -- what is measured ------------------------------------------------------------------------------


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
