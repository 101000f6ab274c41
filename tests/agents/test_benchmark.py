"""The command: it goes on where it stopped, ends its cells, and refuses what cannot be."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from agents import benchmark
from agents.benchmark import BenchmarkConfig
from agents.benchmarking import cells
from agents.runs.run_lock import only_one
from tests.agents.benchmarking.helpers import PIECES, STEPS, cell, config


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
    benchmarked, tiny_checkpoint, tmp_path, capsys
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
    fault = f"masked, seed 0: {out / 'cells' / 'masked'}"
    assert fault in told
    assert "ppo, seed 0: done" in told
    assert f"- {fault}" in (out / "report.md").read_text()
    assert first.stat().st_mtime_ns == written
    for name in ("prior", "ppo"):
        assert cell(out, name) == cell(benchmarked.out, name)
    assert len(cell(out, "ppo")) == 4

    (out / "cells" / "masked").unlink()
    assert benchmark.benchmark(settings) == 0
    assert cell(out, "masked") == cell(benchmarked.out, "masked")
    assert "Failed" not in (out / "report.md").read_text()


def test_ctrl_c_ends_the_cells_and_says_how_to_go_on(benchmarked, monkeypatch, capsys):
    monkeypatch.setattr(cells, "run_cells", Mock(side_effect=KeyboardInterrupt))
    settings = config(benchmarked.base.prior, benchmarked.out, methods=("prior",))
    assert benchmark.benchmark(settings) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_two_benchmarks_do_not_share_a_folder(benchmarked, tiny_checkpoint):
    told = pytest.raises(ValueError, match="another benchmark is at work")
    with only_one(benchmarked.out / "settings", "benchmark"), told:
        benchmark.benchmark(config(tiny_checkpoint, benchmarked.out))


@pytest.mark.parametrize("name", ["seeds", "pieces", "jobs", "n_timesteps"])
def test_numbers_out_of_range(name):
    with pytest.raises(ValueError, match=f"{name}=-1: expected"):
        BenchmarkConfig(**{name: -1})


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
