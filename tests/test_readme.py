"""The README's promises: its Python runs, its commands parse, its files exist."""

import re
import shlex
from pathlib import Path

import pytest

from agents.benchmark import BenchmarkConfig
from agents.check import CheckConfig
from agents.compose import ComposeConfig
from agents.convert import ConvertConfig
from agents.evaluate import EvaluateConfig
from agents.explain import ExplainConfig
from agents.settings.arguments import parse_arguments
from agents.tune import TuneConfig
from pretrained.adapt import AdaptConfig
from pretrained.training.fit import PriorConfig
from rewards.measures.statistics import PUBLISHED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
PYTHON = [code for kind, code in BLOCKS if kind == "python"]
COMMANDS = [
    line
    for kind, code in BLOCKS
    if kind == "bash"
    for line in code.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_runs(number, monkeypatch):
    monkeypatch.chdir(ROOT)
    exec(compile(PYTHON[number], f"README.md block {number}", "exec"), {"__name__": "readme"})


def test_the_table_has_the_published_figures():
    results = (ROOT / "docs" / "results.md").read_text()
    rows = [re.findall(r"(?<=\|)[^|]*", line) for line in results.splitlines() if "|" in line]
    cells = {row[0].strip().removeprefix("mean "): row[1:-1] for row in rows if len(row) > 6}
    for name, figures in PUBLISHED.items():
        told = cells[name.removeprefix("mean ").replace("autocorrelation, lag 2", "lag 2")
                     .replace("autocorrelation, lag 3", "lag 3")][-4:]  # fmt: skip
        assert [float(cell.strip().rstrip("%")) for cell in told] == list(figures), name


@pytest.mark.parametrize("command", COMMANDS)
def test_command_is_one_of_ours_and_its_arguments_parse(command, monkeypatch):
    import tyro

    for part in command.split("&&"):
        words = shlex.split(part)
        if words[:3] == ["python", "-m", "agents.train"] and "--resume" not in words:
            parse_arguments(words[3:])
        elif words[:2] == ["python", "-m"] and words[2] != "agents.train":
            kinds = {
                "agents.compose": ComposeConfig,
                "agents.convert": ConvertConfig,
                "agents.evaluate": EvaluateConfig,
                "agents.explain": ExplainConfig,
                "agents.benchmark": BenchmarkConfig,
                "agents.tune": TuneConfig,
                "agents.check": CheckConfig,
                "pretrained.adapt": AdaptConfig,
                "pretrained.train": PriorConfig,
            }
            tyro.cli(kinds[words[2]], args=words[3:])
        elif words[0] != "python":
            assert words[0] in ("pip", "pytest", "git", "cd"), part


def test_a_newcomer_reads_it_to_the_end():
    assert len(README.splitlines()) <= 130


def test_the_two_commands_stand_there():
    assert "pip install -e . && python -m agents.train" in README
    assert "pip install -e '.[test]' && pytest" in README


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", README)
    for link in (first or second for first, second in links):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link


def test_examples_that_are_named_exist():
    rewards = (ROOT / "docs" / "rewards.md").read_text()
    named = re.findall(r"\| `(\w+\.py):(\w+)` \|", rewards)
    classes = re.findall(r"\| `(\w+)` in `(\w+\.py)` \|", rewards)  # they are made into rewards
    named += [(file, attribute) for attribute, file in classes]
    assert len(named) >= 7
    for file, attribute in named:
        assert f"{attribute}" in (ROOT / "examples" / file).read_text()
