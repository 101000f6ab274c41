"""Fixtures of the agents' tests: a finished run, and commands as from the shell."""

import sys

import pytest


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
