"""Mutation testing: one small change at a time in the code, do the tests see it?

python -m tests.tools.mutants --sample 1500 --out docs/mutants.csv

The changes are those of cosmic-ray (`pip install cosmic-ray coverage`); in annotations, which are
never evaluated, none are made. A first run of the tests finds which of them run which line and how
long they take. Then each mutant gets a process of its own, in which those tests run, the fastest
first, until one fails. A mutant survives when none does.
"""

from __future__ import annotations

import argparse
import ast
import csv
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[2]
CODE = ("rewards/*.py", "envs/contract.py")
TESTS = ("tests/rewards", "rewards", "tests/envs", "tests/test_examples.py", "tests/test_golden.py")
HEAVY = ("torch", "music21", "hypothesis.strategies", "matplotlib", "gymnasium")
MOST_SECONDS = 30.0  # of tests for one mutant, by the clock of the first run
FIELDS = ("file", "line", "column", "operator", "occurrence", "outcome", "test")


@dataclass(frozen=True)
class Mutant:
    """One change: the occurrence of an operator in a file."""

    file: str
    line: int
    column: int
    operator: str
    occurrence: int

    def source(self) -> str:
        """The file with the change."""
        from cosmic_ray.mutating import mutate_code
        from cosmic_ray.plugins import get_operator

        code = mutate_code(
            (ROOT / self.file).read_text(), get_operator(self.operator)(), self.occurrence
        )
        if code is None:
            raise RuntimeError(f"{self} changes nothing")
        return code


# -- which mutants there are -----------------------------------------------------------------------


def annotations(tree: ast.AST) -> Iterator[ast.AST]:
    """Every annotation in a file."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            if getattr(node, name, None) is not None:
                yield getattr(node, name)


def mutants_of(file: str) -> Iterator[Mutant]:
    """Every mutant of a file, but for those in annotations."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.plugins import get_operator, operator_names

    source = (ROOT / file).read_text()
    tree, nodes = ast.parse(source), list(ast_nodes(get_ast(source)))
    quiet = [
        ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        for node in annotations(tree)
    ]
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments():
            continue
        places = (place for node in nodes for place in kind().mutation_positions(node))
        for occurrence, (begin, _) in enumerate(places):
            if not any(first <= begin < last for first, last in quiet):
                yield Mutant(file, *begin, name, occurrence)


# -- which tests see which line --------------------------------------------------------------------


class Recorder:
    """A plugin of pytest that tells coverage which test runs, and takes the time of each."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """One test."""
        self.coverage.switch_context(item.nodeid)
        start = time.perf_counter()
        yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        self.coverage.switch_context("")


def record(files: Sequence[str], out: Path) -> None:
    """Run the tests once: tests by line for each file, and the seconds of each test."""
    from coverage import Coverage

    coverage = Coverage(data_file=None, include=[str(ROOT / file) for file in files])
    recorder = Recorder(coverage)
    coverage.start()
    code = pytest.main(["-n0", "-q", "-p", "no:cacheprovider", *TESTS], plugins=[recorder])
    coverage.stop()
    if code:
        raise SystemExit("the tests fail without a change; mend them first")
    data = coverage.get_data()
    lines = {
        file: {
            line: [name for name in names if name]
            for line, names in data.contexts_by_lineno(str(ROOT / file)).items()
        }
        for file in files
    }
    out.write_text(json.dumps({"lines": lines, "seconds": recorder.seconds}))


class Tests:
    """Which tests to run for a mutant.

    Args:
        recorded: what `record` wrote.
    """

    def __init__(self, recorded: Path) -> None:
        known = json.loads(recorded.read_text())
        self.lines, self.seconds = known["lines"], known["seconds"]
        self.functions = {
            file: [
                (min([d.lineno for d in node.decorator_list] + [node.lineno]), node.end_lineno)
                for node in ast.walk(ast.parse((ROOT / file).read_text()))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            ]
            for file in self.lines
        }

    def of(self, mutant: Mutant) -> list[str]:
        """Tests that run its line, else its function, else its file, the fastest first."""
        lines = self.lines[mutant.file]
        found = set(lines.get(str(mutant.line), []))
        inside = [f for f in self.functions[mutant.file] if f[0] <= mutant.line <= f[1]]
        for first, last in sorted(inside, key=lambda f: f[1] - f[0]):
            if not found:
                found = {name for n in range(first, last + 1) for name in lines.get(str(n), [])}
        if not found:
            found = {name for names in lines.values() for name in names}
        chosen, spent = [], 0.0
        for name in sorted(found, key=lambda name: self.seconds[name]):
            spent += self.seconds[name]
            if spent < MOST_SECONDS or not chosen:
                chosen.append(name)
        return chosen


# -- one mutant ------------------------------------------------------------------------------------


class Changed(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Imports one module from another source than its file's."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        super().__init__(module, str(path))
        self.source = source

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """The module that is changed; others are none of its business."""
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, name: str) -> Any:
        """Without looking at compiled files."""
        return compile(self.source, self.path, "exec")


class FirstFailure:
    """A plugin of pytest that keeps the name of the test that failed."""

    name = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """After each phase of a test."""
        if report.failed:
            self.name = self.name or report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """After each file."""
        if report.failed:
            self.name = self.name or f"{report.nodeid} (import)"


def try_mutant(mutant: Mutant, tests: Sequence[str], answer: Path) -> None:
    """In a process of its own: run the tests on it, write what came of it."""
    module = mutant.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    sys.meta_path.insert(0, Changed(module, ROOT / mutant.file, mutant.source()))
    first = FirstFailure()
    with open(os.devnull, "w") as null, redirect_stdout(null), redirect_stderr(null):
        code = pytest.main(
            ["-n0", "-x", "-q", "--assert=plain", "-p", "no:cacheprovider", *tests],
            plugins=[first],
        )
    outcome = "survived" if code == 0 else "killed"
    answer.write_text(json.dumps([outcome, first.name]))


def watch(mutant: Mutant, tests: Tests, answer: Path) -> dict[str, Any]:
    """Fork a process for a mutant and wait for it, not for ever."""
    names = tests.of(mutant)
    limit = 30 + 5 * sum(tests.seconds[name] for name in names)
    answer.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        try:
            os.setpgrp()
            signal.alarm(int(limit))
            if names:
                try_mutant(mutant, names, answer)
            else:
                answer.write_text(json.dumps(["survived", "no test runs it"]))
        except BaseException as error:
            answer.write_text(json.dumps(["killed", f"{type(error).__name__} on import"]))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        outcome = ["killed", f"more than {limit:.0f} s"]
    else:
        outcome = json.loads(answer.read_text()) if answer.exists() else ["killed", "crash"]
    return {**vars(mutant), "outcome": outcome[0], "test": outcome[1]}


# -- all of them -----------------------------------------------------------------------------------


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Killed of tried, by file and in all."""
    tried, killed = Counter(r["file"] for r in rows), Counter()
    for row in rows:
        killed[row["file"]] += row["outcome"] == "killed"
    lines = [f"{f}: {killed[f]} of {n}, {killed[f] / n:.1%}" for f, n in sorted(tried.items())]
    total = f"all: {killed.total()} of {len(rows)}, {killed.total() / len(rows):.1%}"
    return "\n".join([*lines, total])


def drawn(size: int, sample: int, seed: int) -> list[int]:
    """Numbers of the mutants that are tried, in order."""
    return sorted(random.Random(seed).sample(range(size), min(sample, size)))


def survivors(everything: Sequence[Mutant], earlier: Path) -> list[int]:
    """Numbers of the mutants that survived before, where the file is still the same there."""
    with earlier.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["outcome"] == "survived"]
    names = [name for name in FIELDS if name not in ("outcome", "test")]
    known = {tuple(row[name] for name in names) for row in rows}
    return [
        number
        for number, mutant in enumerate(everything)
        if tuple(str(getattr(mutant, name)) for name in names) in known
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("files", nargs="*", help=f"to change; without any: {' '.join(CODE)}")
    parser.add_argument("--sample", type=int, default=1500, help="mutants, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, help="a table: what survived there and is there yet")
    parser.add_argument("--part", default="1/1", help="2/3 tries the second third of the sample")
    parser.add_argument("--record", type=Path, help="of the first run; made where there is none")
    parser.add_argument("--out", type=Path, default=Path("mutants.csv"))
    options = parser.parse_args()
    os.chdir(ROOT)
    files = options.files or sorted({str(p) for pattern in CODE for p in Path().glob(pattern)})
    recorded = options.record or Path(tempfile.mkdtemp()) / "record.json"
    if not recorded.exists():
        child = os.fork()  # what it imports must not be there for the mutants
        if child == 0:
            record(files, recorded)
            os._exit(0)
        os.waitpid(child, 0)
    tests = Tests(recorded)
    everything = [mutant for file in files for mutant in mutants_of(file)]
    chosen = drawn(len(everything), options.sample, options.seed)
    if options.again:
        chosen = survivors(everything, options.again)
    part, parts = map(int, options.part.split("/"))
    for name in HEAVY:
        importlib.import_module(name)
    rows = []
    answer = Path(tempfile.mkdtemp()) / "answer"
    with options.out.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        for place in tqdm(chosen[part - 1 :: parts]):
            rows.append(watch(everything[place], tests, answer))
            writer.writerow(rows[-1])
            file.flush()
    print(f"{len(everything)} mutants in all, {len(rows)} tried\n{table(rows)}")


if __name__ == "__main__":
    main()
