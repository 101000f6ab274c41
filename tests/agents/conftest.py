"""Fixtures of the agents' tests: a finished run, and commands as from the shell."""

import sys

import pytest

from envs.durable_files import write_atomic


@pytest.fixture(autouse=True)
def quick_curves(request, monkeypatch):
    """Leave learning curves empty unless a test has `drawn`: half of a tiny run is drawing."""
    if "drawn" not in request.fixturenames and "agents.runs.curve" in sys.modules:
        curve = sys.modules["agents.runs.curve"]
        monkeypatch.setattr(curve, "save", lambda figure, path, **_: write_atomic(path, b""))


@pytest.fixture
def drawn():
    """Learning curves are drawn in a test that asks for this, as in the session's run."""


@pytest.fixture(scope="session")
def run(tiny_checkpoint, tmp_path_factory):
    """A finished run; tests must not change it."""
    from tests.agents.helpers import tiny, trained

    return trained(tiny(tiny_checkpoint, tmp_path_factory.mktemp("runs")))


@pytest.fixture
def command(monkeypatch, capsys):
    """Return a function that runs a command as from the shell and returns its line on stderr."""

    def fail(main, *words):
        monkeypatch.setattr(sys, "argv", ["prog", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        err = capsys.readouterr().err
        assert ended.value.code == 2, err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert err.endswith("\n")
        assert "Traceback" not in err
        return err.removeprefix("error: ").strip()

    return fail


@pytest.fixture(scope="session")
def benchmarked(tiny_checkpoint, tmp_path_factory):
    """A benchmark whose cells were made in this process; tests must not change it."""
    from agents.benchmarking import benchmark_report
    from agents.benchmarking.cells import make_cell
    from agents.benchmarking.limits import write_limits
    from tests.agents.benchmarking.helpers import NAMES, begin, config

    settings = config(tiny_checkpoint, tmp_path_factory.mktemp("made") / "benchmark")
    bench = begin(settings, NAMES)
    for name in NAMES:
        make_cell(settings.out, name, 0)
    write_limits(settings.out, bench.prior, bench.reward, bench.task, 16_000)
    left_out = ["best-of-n@kl=0.2: too many"]
    benchmark_report.write(settings.out, NAMES, {("beam", 0): "no luck"}, left_out)
    return bench
