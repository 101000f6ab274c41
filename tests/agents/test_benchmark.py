"""The benchmark: what a cell measures, that it goes on, what the report says."""

import csv
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from agents import benchmark
from agents.benchmark import BenchmarkConfig
from agents.benchmarking import benchmark_report as report
from agents.benchmarking import cells
from agents.benchmarking import methods as matrix
from agents.benchmarking.cells import make_cell
from agents.benchmarking.methods import Bench, best_of_n_kl, find_method
from agents.benchmarking.plan import choose, open_folder
from agents.runs.directory import Run
from agents.runs.run_lock import only_one
from agents.settings.algorithm import ALGORITHMS
from envs.music.score import Score
from pretrained import checkpoint
from rewards.measures.statistics import PUBLISHED, table_rows
from tests.agents.helpers import strict

STEPS = 2 * 256 * 32  # two rollouts
PIECES = 16
NAMES = ["prior", "best-of-4", "masked", "ppo", "guided-beam", "ppo@kl=0.2", "best-of-n@kl=0.1"]


def config(tiny_checkpoint, out, **changes):
    reward = ("tonic=1", f"prior=0.5,checkpoint={tiny_checkpoint}", "leap_recovery=2,min_leap=4")
    base = BenchmarkConfig(
        out, seeds=1, n_timesteps=STEPS, pieces=PIECES, reward=reward, prior=str(tiny_checkpoint)
    )
    return replace(base, **changes)


def begin(settings, names):
    """A folder that has begun, without cells."""
    bench = Bench(settings.settings, settings.out)
    methods, _ = choose(names, bench)
    open_folder(bench, methods, settings.seeds)
    return bench


def cell(out, name, seed=0):
    return {
        str(file.relative_to(out)): file.read_bytes()
        for file in (out / "cells" / name / str(seed)).rglob("*")
        if file.name in ("result.json", "pieces.npz", "metrics.csv", "policy.safetensors")
    }


def numbers(out, name):
    return strict(out / "cells" / name / "0" / "result.json")["numbers"]


@pytest.fixture(scope="module")
def made(tiny_checkpoint, tmp_path_factory):
    """A benchmark whose cells were made in this process; look, do not touch."""
    settings = config(tiny_checkpoint, tmp_path_factory.mktemp("made") / "benchmark")
    bench = begin(settings, NAMES)
    for name in NAMES:
        make_cell(settings.out, name, 0)
    report.write(settings.out, NAMES, {("beam", 0): "no luck"}, ["best-of-n@kl=0.2: too many"])
    return bench


def pieces(bench, name):
    with np.load(bench.folder(name, 0) / "pieces.npz") as file:
        return Score(file["tokens"], bench.task)


# -- going on --------------------------------------------------------------------------------------


def wait_for(done, what):
    end = time.monotonic() + 120
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def workers_of(pid):
    """Processes that the threads of a process have started."""
    found = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children")]
    return [worker for workers in found for worker in workers]


def alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_killed_it_goes_on_with_the_same_cells_and_a_failed_one_stops_nothing(
    made, tiny_checkpoint, tmp_path, capsys
):
    out, names = tmp_path / "benchmark", ("prior", "masked", "ppo")
    settings = config(tiny_checkpoint, out, methods=names, jobs=1)
    words = [str(out), "--methods", *names, "--seeds", "1", "-n", str(STEPS), "--jobs", "1"]
    words += ["--pieces", str(PIECES), "--prior", settings.prior, "--reward", *settings.reward]
    process = subprocess.Popen([sys.executable, "-m", "agents.benchmark", *words])
    first = out / "cells" / "prior" / "0" / "result.json"
    wait_for(lambda: (out / "cells" / "ppo" / "0" / "run").exists(), "the training")
    workers = workers_of(process.pid)
    assert workers
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(alive, workers)), "the end of the cells of a killed benchmark")
    assert not (out / "cells" / "ppo" / "0" / "result.json").exists()
    written = first.stat().st_mtime_ns
    shutil.rmtree(out / "cells" / "masked")
    (out / "cells" / "masked").write_text("in the way")  # as a full disk would be

    assert benchmark.benchmark(settings) == 1
    told = capsys.readouterr().out
    assert "1 of 3 cells are finished already" in told
    assert "prior, seed 0" not in told
    assert "masked, seed 0: [Errno" in told
    assert "ppo, seed 0: done" in told
    assert "- masked, seed 0: [Errno" in (out / "report.md").read_text()
    assert first.stat().st_mtime_ns == written
    for name in ("prior", "ppo"):
        assert cell(out, name) == cell(made.out, name)
    assert len(cell(out, "ppo")) == 4

    (out / "cells" / "masked").unlink()
    assert benchmark.benchmark(settings) == 0
    assert cell(out, "masked") == cell(made.out, "masked")
    assert "Failed" not in (out / "report.md").read_text()


def test_a_cell_that_was_interrupted_is_begun_anew(tiny_checkpoint, tmp_path):
    bench = begin(config(tiny_checkpoint, tmp_path / "b"), ["prior"])
    left = bench.folder("prior", 0) / "run" / "metrics.csv"
    left.parent.mkdir(parents=True)
    left.write_text("left behind")
    make_cell(bench.out, "prior", 0)
    assert not left.exists()
    assert (bench.folder("prior", 0) / "result.json").is_file()


def test_ctrl_c_ends_the_cells_and_says_how_to_go_on(made, monkeypatch, capsys):
    monkeypatch.setattr(cells, "run_cells", Mock(side_effect=KeyboardInterrupt))
    settings = config(made.base.prior, made.out, methods=("prior",))
    assert benchmark.benchmark(settings) == 130
    assert "the same command goes on" in capsys.readouterr().err


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pieces": 17}, "begun with pieces 16, not 17"),
        ({"n_timesteps": 5}, f"begun with n_timesteps {STEPS}, not 5"),
        ({"reward": ("tonic=2", "leap_recovery=1")}, "begun with reward tonic=1 "),
        ({"env": "composition/Melody-v0"}, "begun with env composition/RLTuner-v0, not"),
        ({"prior": "folk"}, "begun with prior /"),
    ],
)
def test_a_folder_of_other_settings_is_refused(made, tiny_checkpoint, changes, told):
    settings = config(tiny_checkpoint, made.out, **changes)
    bench = Bench(settings.settings, settings.out)
    with pytest.raises(ValueError, match="is a benchmark begun with") as error:
        open_folder(bench, [], 1)
    assert told in str(error.value)


def test_seeds_methods_and_jobs_may_change(made):
    settings = config(made.base.prior, made.out, seeds=3, jobs=7)
    open_folder(Bench(settings.settings, made.out), [find_method("rloo")], 3)


def test_another_prior_under_the_same_name_is_refused(tiny_checkpoint, tmp_path):
    own = tmp_path / "own.safetensors"
    shutil.copy(tiny_checkpoint, own)
    settings = config(tiny_checkpoint, tmp_path / "b", prior=str(own))
    bench = begin(settings, ["prior"])
    prior = checkpoint.load(own)
    checkpoint.save(own, prior.net, prior.codec, {"made": "again"})
    for again in (lambda: open_folder(bench, [], 1), lambda: make_cell(bench.out, "prior", 0)):
        with pytest.raises(ValueError, match="the prior .* name another folder"):
            again()


def test_a_preset_that_changed_is_refused(made, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(made.out, out)
    bench = Bench(Run(out / "settings").config, out)
    open_folder(bench, [find_method("ppo")], 1)
    file = out / "cells" / "ppo" / "0" / "run" / "config.toml"
    file.write_text(file.read_text().replace("learning_rate = 0.0", "learning_rate = 0.1"))
    with pytest.raises(
        ValueError, match="was trained with learning_rate .* the preset has changed"
    ):
        open_folder(bench, [find_method("ppo")], 1)


def test_a_folder_that_is_no_benchmark_is_refused(tiny_checkpoint, tmp_path):
    (tmp_path / "diary.txt").write_text("dear diary")
    settings = config(tiny_checkpoint, tmp_path)
    with pytest.raises(ValueError, match="is not empty"):
        open_folder(Bench(settings.settings, tmp_path), [], 1)


def test_two_benchmarks_do_not_share_a_folder(made, tiny_checkpoint):
    told = pytest.raises(ValueError, match="another benchmark is at work")
    with only_one(made.out / "settings", "benchmark"), told:
        benchmark.benchmark(config(tiny_checkpoint, made.out))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["ppo", "guided-beam", "ppo"], "'ppo' is given twice"),
        (["guided-beam"], "needs the cells of ppo"),
        (["prior", "best-of-1000"], "n=1,000: expected at most 256"),
        (["prior", "best-of-n@kl=0.2"], "expected at most 256"),
    ],
)
def test_methods_that_cannot_be_had(made, names, told):
    with pytest.raises(ValueError, match=told):
        choose(names, made)


def test_of_all_methods_impossible_ones_are_left_out(made, tiny_checkpoint):
    settings = config(tiny_checkpoint, made.out, reward=("tonic=1",))
    methods, left_out = choose([], Bench(settings.settings, made.out))
    assert [line.partition(":")[0] for line in left_out] == ["masked", "best-of-n@kl=0.2"]
    assert {m.algo for m in methods} == {"", *ALGORITHMS}


# -- what is measured ------------------------------------------------------------------------------


def test_a_cell_holds_what_its_pieces_say(made):
    for name in ("prior", "best-of-4", "ppo", "guided-beam"):
        score, found = pieces(made, name), numbers(made.out, name)
        assert found["pieces"] == score.batch == (8 if name == "guided-beam" else PIECES)
        for row, value in table_rows(score).items():
            told = np.nan if found[row] is None else found[row]
            assert told == pytest.approx(value, nan_ok=True), row
        paid = {
            k: float(v.sum(axis=(1, 2)).mean()) for k, v in made.reward.breakdown(score).items()
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


def test_kl_of_each_kind_of_cell(made):
    agent = checkpoint.load(made.folder("ppo", 0) / "run")
    score = pieces(made, "ppo")
    kl = (agent.log_prob(score) - made.prior.log_prob(score)).mean()
    assert numbers(made.out, "ppo")["kl"] == pytest.approx(float(kl), rel=1e-4)
    assert numbers(made.out, "prior")["kl"] == 0
    assert numbers(made.out, "best-of-4")["kl"] == pytest.approx((np.log(4) - 3 / 4) / 32)
    assert numbers(made.out, "best-of-n@kl=0.1")["kl"] == pytest.approx(best_of_n_kl(66) / 32)
    assert numbers(made.out, "best-of-n@kl=0.1")["draws"] == 66
    assert numbers(made.out, "guided-beam")["kl"] is None


def test_best_of_n_chooses_from_the_pool_of_its_seed(made):
    with np.load(made.folder("prior", 0) / "pool.npz") as file:
        pool = {name: file[name] for name in file.files}
    assert len(pool["tokens"]) == matrix.pool_size(PIECES) == 128 * PIECES
    assert np.array_equal(pool["tokens"][:PIECES], pieces(made, "prior").tokens)
    parts, rules = made.paid(Score(pool["tokens"], made.task))
    assert np.allclose(pool["returns"], sum(parts.values()))
    assert np.allclose(pool["rules"], rules)
    for name, n, by in (("best-of-4", 4, "returns"), ("best-of-n@kl=0.1", 66, "rules")):
        picks = matrix.best_of_subsets(pool[by], n, PIECES, np.random.default_rng(0))
        assert np.array_equal(pieces(made, name).tokens, pool["tokens"][picks]), name
    assert numbers(made.out, "best-of-n@kl=0.1")["independent"] == min(PIECES, 2048 // 66)
    assert numbers(made.out, "best-of-4")["cells"] == 4 * 32


def test_masked_nats_are_the_prior_over_what_is_permitted(made):
    from agents.composing.masks import read_masks

    score, rules = pieces(made, "masked"), read_masks((), made.reward)
    gain = matrix.masked_nats(made.prior, score, rules) - made.prior.log_prob(score)
    assert gain.min() > -1e-4  # nothing is less likely than before
    assert gain.max() > 0.01
    assert numbers(made.out, "masked")["kl"] == pytest.approx(float(gain.mean()), rel=1e-4)
    row, at = np.argwhere(gain[:, 0] > 0.01)[-1]  # where a rule leaves something out
    alike = np.repeat(score.tokens[row : row + 1], 38, axis=0)
    alike[:, 0, at], alike[:, 0, at + 1 :] = np.arange(38), 1  # any token there, then holds
    chances = np.exp(matrix.masked_nats(made.prior, Score(alike, made.task), rules)[:, 0, at])
    assert chances.sum() == pytest.approx(1, abs=1e-5)
    broken = made.reward.terms["leap_recovery"].fn(Score(alike, made.task))[:, 0, at] > 0
    assert np.array_equal(chances == 0, broken)


# -- the report of a real one ----------------------------------------------------------------------


def test_the_report_of_a_benchmark(made):
    text = (made.out / "report.md").read_text()
    for name in NAMES:
        assert f"\n| {name} | " in text, name
    for row in PUBLISHED:
        assert row in text
    assert "| *Note RNN* | 63.3 | -0.16 |" in text
    assert "- beam, seed 0: no luck" in text
    assert "Left out: best-of-n@kl=0.2: too many" in text
    assert not re.search(r"\bnan\b", text.lower())
    for name in ("front", "curves", "goals"):
        assert f"({name}.svg)" in text
        svg = ET.parse(made.out / f"{name}.svg").getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        assert "date" not in (made.out / f"{name}.svg").read_text().lower()


def test_the_report_repeats_byte_for_byte(made, tmp_path):
    shutil.copytree(made.out, tmp_path / "copy")
    report.write(tmp_path / "copy", NAMES, {}, [])
    for name in ("front.svg", "curves.svg", "goals.svg", "cells.csv", "summary.csv"):
        first = (tmp_path / "copy" / name).read_bytes()
        assert first == (made.out / name).read_bytes(), name


def test_the_tables_hold_every_number(made):
    with (made.out / "cells.csv").open() as file:
        cells = {row["method"]: row for row in csv.DictReader(file)}
    assert float(cells["ppo"]["kl"]) == numbers(made.out, "ppo")["kl"]
    assert cells["guided-beam"]["kl"] == ""
    assert (float(cells["ppo"]["train_cpu"]) > 0, cells["prior"]["train_cpu"]) == (True, "")
    with (made.out / "summary.csv").open() as file:
        rows = {(row["method"], row["number"]): row for row in csv.DictReader(file)}
    assert float(rows["ppo", "reward"]["mean"]) == float(cells["ppo"]["reward"])
    assert rows["ppo", "reward"]["seeds"] == "1"
    assert rows["ppo", "reward"]["low"] == ""


def test_help_is_quick_and_errors_are_one_line(tmp_path):
    heavy = "import sys; sys.argv = ['x', '--help']; import agents.benchmark as b\n"
    heavy += "try: b.main()\nexcept SystemExit: print('torch' in sys.modules, len(sys.argv))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert "python -m agents.benchmark" in done.stdout
    assert done.stdout.splitlines()[-1] == "False 2"
    words = [sys.executable, "-m", "agents.benchmark", str(tmp_path / "b"), "--methods", "pp"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown method 'pp'. Did you mean 'ppo'?")
    assert not Path(tmp_path / "b").exists()
