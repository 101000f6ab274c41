"""README, tutorials and examples of 0.4, as they were printed: what they tell to run still runs."""

import importlib
import json
import re
import shutil
from pathlib import Path

import pytest

from tests import pages
from tests.pages import blocks, commands, follow, run_command, why_not

OLD = Path(__file__).parent / "v04"
TUTORIALS = sorted((OLD / "docs" / "tutorials").glob("*.md"))
FLAGS = json.loads((OLD / "flags.json").read_text())
RUN, NOW = "rltuner-v0-ppo-1", "melody-v0-pcl-1"  # the run without flags is another since 0.8
pytestmark = pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning")


@pytest.fixture
def desk(tmp_path, monkeypatch, pages_cache):
    """A folder as the project's was, with nothing in it but the examples."""
    shutil.copytree(OLD / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    for name, bound in pages.BOUNDS.items():
        monkeypatch.setattr(name, bound)
    monkeypatch.setenv("XDG_CACHE_HOME", str(pages_cache))
    return tmp_path


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_from_top_to_bottom(page, desk):
    follow(page, compare=False)  # messages may be put better


def test_the_readme_runs_from_top_to_bottom(desk):
    for block in blocks((OLD / "README.md").read_text()):
        if block.kind == "python":
            exec(compile(block.code, f"README.md:{block.line}", "exec"), {"__name__": "readme"})
        elif block.kind == "bash":
            for command in commands(block.code):
                if not why_not(command):
                    run_command(command.replace(RUN, NOW))


@pytest.mark.parametrize("verb", FLAGS)
def test_a_verb_has_all_its_flags(verb, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [verb, "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        importlib.import_module(verb).main()
    shown = re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", capsys.readouterr().out)
    assert set(FLAGS[verb]) <= set(shown)
