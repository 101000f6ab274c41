"""A finished run for the tests of this folder, and commands as from the shell."""

import sys

import pytest


@pytest.fixture(scope="session")
def run(tiny_checkpoint, tmp_path_factory):
    """A finished run; look, do not touch."""
    from tests.agents.helpers import tiny, trained

    return trained(tiny(tiny_checkpoint, tmp_path_factory.mktemp("runs")))


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command as from the shell; gives the one line it leaves on stderr."""

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
