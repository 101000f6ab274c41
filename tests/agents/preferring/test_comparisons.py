"""Files of comparisons: what comes back, what is refused, and what a kill leaves."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.preferring import comparisons
from agents.preferring.comparisons import (
    append_comparison,
    heading,
    read_comparisons,
    read_task_of,
    written_comparison,
)
from envs.errors import RefusedError
from envs.music.task import Task
from envs.notation.writing.abc import abc
from tests.helpers import random_pieces

TASK = Task(bars=2, meter="3/4", key="G major", low="C4", high="A5")


@pytest.fixture
def pieces():
    return random_pieces(TASK, 6, seed=1)


@pytest.fixture
def file(tmp_path, pieces):
    path = tmp_path / "mine.jsonl"
    for row, liked in enumerate(("left", "right", "neither")):
        left, right = (pieces[n : n + 1] for n in (2 * row, 2 * row + 1))
        append_comparison(path, left, right, liked)
    return path


def line_of(left='{"notes": "C4"}', right='{"notes": "D4"}', liked='"left"'):
    return f'{{"left": {left}, "right": {right}, "liked": {liked}}}\n'


def test_what_is_appended_comes_back(file, pieces):
    found = read_comparisons(file)
    assert found.liked == ("left", "right", "neither")
    assert found.task == TASK == read_task_of(file)
    np.testing.assert_array_equal(found.left.tokens, pieces.tokens[::2])
    np.testing.assert_array_equal(found.right.tokens, pieces.tokens[1::2])
    np.testing.assert_array_equal(found.pieces.tokens[3:], found.right.tokens)
    assert found.notices == ()


def test_a_piece_may_be_a_file_a_tune_a_line_or_numbers(tmp_path, pieces):
    tune = abc(pieces, 0, "mine", 1, 80)
    (tmp_path / "tunes").mkdir()
    (tmp_path / "tunes" / "one.abc").write_text(tune)
    forms = ["tunes/one.abc", {"abc": tune}, pieces[:1], {"tokens": pieces.tokens[0].tolist()}]
    path = tmp_path / "all.jsonl"
    lines = [written_comparison(form, pieces[1:2], "tie") for form in forms]
    path.write_text(heading(TASK) + "".join(lines))
    found = read_comparisons(path)
    assert found.left.batch == 4
    for row in found.left.tokens:
        np.testing.assert_array_equal(row, pieces.tokens[0])


def test_without_a_first_line_the_first_piece_says_the_task(tmp_path):
    for name, notes in (("a", "C D E F|G4|"), ("b", "c d e f|g4|"), ("c", "C2 E2|G4|")):
        (tmp_path / f"{name}.abc").write_text(f"X:1\nT:{name}\nM:4/4\nL:1/4\nK:C\n{notes}\n")
    path = tmp_path / "mine.jsonl"
    path.write_text(line_of('"a.abc"', '"b.abc"') + line_of('"c.abc"', '"a.abc"', '"tie"'))
    found = read_comparisons(path)
    assert (found.task.bars, str(found.task.meter)) == (2, "4/4")
    assert found.right.pitch[0, 0, -1] == found.left.pitch[0, 0, -1] + 12  # g, an octave above G
    with pytest.raises(ValueError, match="first line"):
        append_comparison(path, found.left[:1], found.right[:1], "left")


def test_pairs_without_an_answer_are_counted_and_left_out(file, pieces):
    file.write_text(file.read_text() + written_comparison(pieces[:1], pieces[1:2]) * 2)
    found = read_comparisons(file)
    assert (found.open, len(found.liked)) == (2, 3)
    file.write_text(heading(TASK) + written_comparison(pieces[:1], pieces[1:2]))
    with pytest.raises(RefusedError, match="no pair has an answer yet; 1"):
        read_comparisons(file)


BAD = [
    ("nothing at all", "no JSON"),
    ("[1, 2]", "expected left, right and liked"),
    ('{"left": "a.abc", "right": "b.abc"}', "expected left, right and liked"),
    (line_of(liked='"lefft"'), "Did you mean 'left'"),
    (line_of(liked="1"), "liked"),
    (line_of(liked="NaN"), "NaN"),
    (line_of(left='"/etc/passwd.abc"'), "expected a path below"),
    (line_of(left='"../a.abc"'), "expected a path below"),
    (line_of(left='""'), "expected a path below"),
    (line_of(left='"none.abc"'), "no such file"),
    (line_of(left="7"), "expected the path of a piece"),
    (line_of(left='{"midi": "x"}'), "expected the path of a piece"),
    (line_of(left='{"notes": "H9"}'), "word 1"),
    (line_of(left='{"notes": 7}'), "expected text"),
    (line_of(left='{"notes": "C9"}'), "'C9'|C9|pitch"),
    (line_of(left='{"abc": "no tune"}'), "abc"),
    (line_of(left='{"tokens": [[1, 2]]}'), "shape"),
    (line_of(left='{"tokens": [[1], [2, 3]]}'), "line 2"),
    (line_of(left='{"tokens": [[1e999]]}'), "line 2"),
    (line_of(left=f'{{"tokens": [[{10**30}]]}}'), "line 2"),
    ("[" * 50_000, "deep"),
    ('"' + "a" * 200_000 + '"', "characters"),
]


@pytest.mark.parametrize(("line", "told"), BAD, ids=range(len(BAD)))
def test_lines_that_are_no_comparison(tmp_path, line, told):
    path = tmp_path / "bad.jsonl"
    path.write_text(heading(TASK) + line + "\n")
    with pytest.raises(RefusedError, match=told) as caught:
        read_comparisons(path)
    assert "line 2" in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_pieces_of_different_tasks(tmp_path, pieces):
    (tmp_path / "four.abc").write_text("X:1\nT:x\nM:4/4\nL:1/4\nK:C\nC D E F|G4|\n")
    path = tmp_path / "mine.jsonl"
    path.write_text(heading(TASK) + written_comparison(pieces[:1], "four.abc", "left"))
    with pytest.raises(RefusedError, match="different tasks.*meter 4/4, the others 3/4"):
        read_comparisons(path)
    other = random_pieces(Task(bars=1), 2, seed=0)
    append_comparison(tmp_path / "new.jsonl", other[:1], other[1:], "left")
    with pytest.raises(ValueError, match="its first line"):
        append_comparison(tmp_path / "new.jsonl", pieces[:1], pieces[1:2], "left")
    with pytest.raises(RefusedError, match="another task"):
        read_comparisons(tmp_path / "new.jsonl", TASK)


def test_files_that_are_none(tmp_path, monkeypatch):
    with pytest.raises(RefusedError, match="no file"):
        read_comparisons(tmp_path / "none.jsonl")
    with pytest.raises(RefusedError, match="no file"):
        read_comparisons(tmp_path)
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(RefusedError, match="no pair"):
        read_comparisons(tmp_path / "empty.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(bytes(range(256)))
    with pytest.raises(RefusedError):
        read_comparisons(tmp_path / "bytes.jsonl")
    monkeypatch.setattr(comparisons, "MOST_LINES", 2)
    (tmp_path / "long.jsonl").write_text(line_of() * 3)
    with pytest.raises(RefusedError, match="at most 2"):
        read_comparisons(tmp_path / "long.jsonl")
    (tmp_path / "bare.jsonl").write_text(line_of())
    with pytest.raises(RefusedError, match="metre and key"):
        read_comparisons(tmp_path / "bare.jsonl")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_whatever_a_file_holds_it_is_one_refusal(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    path.write_bytes(data)
    with pytest.raises(RefusedError):
        read_comparisons(path)


# -- nothing is lost -------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_line_that_was_never_finished_is_left_out_and_replaced(file, pieces, cut):
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    found = read_comparisons(file)
    kept = 3 if cut == 1 else 2  # without its end the last line is still whole
    assert len(found.liked) == kept
    assert bool(found.notices) == (kept == 2)
    append_comparison(file, pieces[:1], pieces[1:2], "tie")
    assert read_comparisons(file).liked == (*("left", "right", "neither")[:kept], "tie")
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_a_process_that_is_killed_loses_no_answer(tmp_path):
    path = tmp_path / "mine.jsonl"
    code = (
        "import sys\n"
        "from agents.preferring.comparisons import append_comparison\n"
        "from envs.music.task import Task\n"
        "from tests.helpers import random_pieces\n"
        "p = random_pieces(Task(bars=1), 2, seed=0)\n"
        "for n in range(10**6):\n"
        "    append_comparison(sys.argv[1], p[:1], p[1:], 'left')\n"
        "    print(n + 1, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) as process:
        for _ in range(15):
            last = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        said = process.stdout.read().split()
    last = int(said[-1]) if said else last
    assert last <= len(read_comparisons(path).liked) <= last + 1


def test_an_answer_that_is_none_is_not_written(file, pieces):
    before = file.read_bytes()
    with pytest.raises(ValueError, match="liked"):
        append_comparison(file, pieces[:1], pieces[1:2], "?")
    assert file.read_bytes() == before
