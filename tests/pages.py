"""Checks of Markdown pages: their code is run from top to bottom, their links are followed."""

import contextlib
import doctest
import importlib
import io
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from agents.settings import from_preset
from agents.settings.presets import DEFAULT
from agents.settings.voices_flags import SEVERAL

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
FILE_NAME = re.compile(r"# ([\w/]+\.\w+)\n")  # a block that begins so is saved under that name

# What is added to a command, so that it takes a second. The last of two equal flags counts.
SHORT = {
    "agents.train": "-n 256 --n-envs 8 --samples 2 --eval-pieces 2 --eval-freq -1 --save-freq -1 "
    "--no-judge --no-progress",
    "agents.evaluate": "-n 20",
    "agents.prefer": "--pool 40",
    "agents.compose": "-n 2 --width 8 --best-of 4",
    "pretrained.adapt": "--how state --prior folk",
    "pretrained.train": "--epochs 1 --hidden 16 --embed 8",
}
# Bounds of ours that a page is followed under: seconds of a search, pieces of a pool.
BOUNDS = {
    "agents.training.exploit.SECONDS": 0.2,
    "agents.training.kl.PIECES": 1000,
    "agents.evaluating.pool.BLOCK": 250,
}
# What an algorithm has of its own; without --algo it is that of the default run.
SHORT_ALGORITHM = {
    "ppo": "--batch-size 256 --n-epochs 1",
    "maskable_ppo": "--batch-size 256 --n-epochs 1",
    "rloo": "--batch-size 256 --n-epochs 1 --group-size 8",
    "psi": "--batch-size 256",
    "dpo": "--batch-size 256 --n-epochs 1",
    "pcl": "--batch-size 256 --no-sight",
}
RESUMED = "-n 4096 --no-progress"  # of what was trained so briefly

# How a command begins that no test runs here, and why.
NOT_RUN = {
    "python -m pretrained.train --corpus chorales": "minutes; tests/pretrained/test_train.py runs "
    "it on a few of its own",
    "python -m pretrained.train --model diffusion": "minutes; its tests train a small one",
    "python -m pretrained.train --model gan": "minutes; its tests train small ones",
    "python -m pretrained.train --model vae": "minutes; its tests train small ones",
    "python -m tests.tools": "measures for minutes",
    "python -m agents.train --preset chorale": "asks for the prior of chorales; "
    "tests/agents/training/test_chorale_preset.py has a small one",
    "python docs/chorale_samples.py": "asks for both; tests/agents/evaluating/test_chorales.py "
    "writes on such pages",
    "python -m agents.prefer --ask": "asks a person; tests/agents/test_prefer.py answers",
    "pip install": "asks the network; .ci/run installs all of it",
    "pytest": "is what is running",
    "python -m agents.benchmark": "minutes at least; tests/agents/test_benchmark.py runs it small",
    "python -m agents.compose --harmonise examples/hymn.abc --part 1 --style chorale": "asks for "
    "the prior of chorales; tests/agents/composing/test_harmonise.py has a small one",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, its text, and the line where it begins."""

    kind: str
    code: str
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [
        Block(found[1], found[2], text[: found.start()].count("\n") + 1)
        for found in FENCE.finditer(text)
    ]


def commands(code: str) -> Iterator[str]:
    """Yield the commands of a block of bash."""
    for line in code.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield from (part.strip() for part in line.split(" && "))


def why_not(command: str) -> str:
    """Return the reason why a command is not run, '' if it is."""
    return next((why for begins, why in NOT_RUN.items() if command.startswith(begins)), "")


def shortened(module: str, words: list[str]) -> list[str]:
    """Return the arguments of a command with those that make it short."""
    if "--resume" in words:
        return words + shlex.split(RESUMED)
    short = SHORT.get(module, "")
    if "--limit" in words:
        short += " --pool 2000"
    if any(f"--{name.replace('_', '-')}" in words for name in SEVERAL):
        short = "-n 2"
    if module == "agents.train":
        start = words[words.index("--preset") + 1] if "--preset" in words else DEFAULT
        algo = "ppo" if "--config" in words else from_preset(start).algo
        algo = words[words.index("--algo") + 1] if "--algo" in words else algo
        short += " " + SHORT_ALGORITHM[algo]
    return words + shlex.split(short)


def run_command(command: str, short: bool = True) -> str:
    """Run a command here and return its output; ours run in this process, and shortened."""
    words = shlex.split(command)
    if words[:2] != ["python", "-m"]:
        done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout
    module = words[2]
    arguments = shortened(module, words[3:]) if short else words[3:]
    said, wrong = io.StringIO(), io.StringIO()
    with (
        mock.patch("sys.argv", [module, *arguments]),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(wrong),
    ):
        status: object = 0
        try:
            importlib.import_module(module).main()
        except SystemExit as ended:
            status = ended.code
    assert not status, f"{command}\n{status}\n{wrong.getvalue()}"
    return said.getvalue()


def follow(page: Path, compare: bool = True) -> None:
    """Run the code of a page from top to bottom, in the working directory.

    Python is run in one namespace, bash in the working directory; a block that begins with a
    comment that is a file name is saved there. A block of text says what was printed just before,
    with `...` for what it leaves out, and is compared with it unless `compare` is False.
    """
    names: dict[str, object] = {"__name__": page.stem}
    printed = ""
    for block in blocks(page.read_text()):
        where = f"{page.name}:{block.line}"
        named = FILE_NAME.match(block.code)
        if named:
            Path(named[1]).write_text(block.code)
        elif block.kind == "python":
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(compile(block.code, where, "exec"), names)
            printed = said.getvalue()
        elif block.kind == "bash":
            printed = "".join(run_command(c) for c in commands(block.code) if not why_not(c))
        elif block.kind == "text" and compare:
            same = doctest.OutputChecker().check_output(block.code, printed, doctest.ELLIPSIS)
            assert same, f"{where} is not what was printed:\n{printed}"


def anchors(text: str) -> set[str]:
    """Return the targets of links in a page: GitHub's names of headings, and names set by hand."""
    plain = FENCE.sub("", text)
    headings = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in headings}
    return slugs | set(re.findall(r"^\(([\w-]+)\)=$", plain, re.MULTILINE))


def links(page: Path) -> list[str]:
    """Return the links of a page that are not URLs."""
    found = LINK.findall(FENCE.sub("", page.read_text()))
    every = [first or second for first, second in found]
    return [link for link in every if not re.match(r"[a-z]+:", link)]
