"""The child process that reads files: limits, faults, threads, forks, and what it leaves behind."""

import importlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from envs.errors import RefusedError, UnreadError
from envs.music.piece import Piece
from envs.notation import READERS, read_piece, score_from_text, written
from envs.notation.reading import sandbox
from envs.notation.reading.sandbox import Limits
from envs.notation.reading.selection import Known
from tests.tools.fuzz import seeds

PIECE = Piece.of(score_from_text("C4 D4 E4 F4 G4:16"), title="Good")
GOOD = written(PIECE, ".abc")


def hanging(data, known):
    while True:
        pass


def sleeping(data, known):
    time.sleep(60)


def greedy(data, known):
    return [bytearray(2**24) for _ in range(1000)]


def dying(data, known):
    os.kill(os.getpid(), signal.SIGSEGV)


def faulty(data, known):
    return {}["nothing"]


def printing(data, known):
    print("noise")
    os.write(1, b"noise\n")
    os.write(2, b"noise\n")
    return Piece.of(score_from_text("C4"))


def refusing(data, known):
    raise RefusedError("not today\x07")


def mistaken(data, known):
    raise TypeError("a list, please")


def reads_well():
    again = read_piece(GOOD, ".abc")
    assert (again.notes, again.title) == (PIECE.notes, "Good")


def child() -> int:
    reads_well()
    return sandbox._CHILD.process.pid


@pytest.mark.parametrize(
    ("reader", "error", "word"),
    [
        (hanging, UnreadError, "CPU"), (sleeping, UnreadError, "more than 1.5 s"),
        (greedy, UnreadError, "200 MB"), (dying, UnreadError, "died"),
        (faulty, RefusedError, "KeyError"), (refusing, RefusedError, "not today"),
        (mistaken, TypeError, "a list"),
    ],
)  # fmt: skip
def test_whatever_a_file_does_it_is_refused_and_the_next_is_read(monkeypatch, reader, error, word):
    monkeypatch.setitem(READERS, ".bad", reader)
    before = child()
    start = time.monotonic()
    limits = Limits(seconds=0.5, wait=1.5 if reader is sleeping else 60, memory=200 * 2**20)
    with pytest.raises(error, match=word) as caught:
        read_piece(b"x", ".bad", limits=limits)
    assert time.monotonic() - start < 30
    assert type(caught.value) is error
    assert str(caught.value).isprintable()
    ended = reader in (hanging, sleeping, greedy, dying)
    assert (child() != before) == ended


def test_the_child_is_kept_warm_and_one_that_died_in_between_is_replaced():
    first = child()
    start = time.monotonic()
    assert child() == first
    assert time.monotonic() - start < 1
    os.kill(first, signal.SIGKILL)
    assert child() != first


def test_nothing_is_printed_and_the_answers_stay_whole(monkeypatch, capfd):
    monkeypatch.setitem(READERS, ".loud", printing)
    assert len(read_piece(b"x", ".loud").notes) == 1
    reads_well()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("suffix", "make"), [(".mid", seeds.midi), (".musicxml", seeds.xml), (".abc", seeds.tunes)]
)
def test_the_child_reads_exactly_what_this_process_reads(suffix, make):
    compared = 0
    for data in make():
        try:
            here = READERS[suffix](data, Known(part=1))
        except RefusedError as refusal:
            with pytest.raises(RefusedError, match=re.escape(str(refusal))):
                read_piece(data, suffix, part=1)
            continue
        there = read_piece(data, suffix, part=1)
        assert (there.score.tokens == here.score.tokens).all()
        for name in ("task", "title", "tempo", "numbers", "estimated", "notices"):
            assert getattr(there, name) == getattr(here, name), name
        compared += 1
    assert compared >= 2


def test_threads_share_the_child():
    errors = []

    def work(number):
        piece = Piece.of(score_from_text(f"C4:{number + 1} D4 E4 G4"))
        try:
            for _ in range(4):
                assert read_piece(written(piece, ".mid"), ".mid", key="C").notes == piece.notes
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_forked_process_has_a_child_of_its_own_and_leaves_no_descriptors():
    first = child()
    before = len(os.listdir("/proc/self/fd"))
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = int(child() == first)
            sandbox._CHILD.stop()
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert child() == first
    for _ in range(3):
        sandbox._CHILD.stop()
        child()
    assert len(os.listdir("/proc/self/fd")) == before


SCRIPT = """
import os, sys
print("once")
from envs.notation import read_piece, READERS
from envs.music.piece import Piece
from envs.notation.reading import sandbox
from envs.notation.text_line import score_from_text
def mine(data, known):
    return Piece.of(score_from_text(data.decode()))
READERS[".mine"] = mine
print(len(read_piece(b"C4 D4", ".mine").notes), len(read_piece(sys.argv[1]).notes))
print(sandbox._CHILD.process.pid, flush=True)
if len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("file", [False, True])
def test_a_script_is_not_run_again_and_its_child_ends_with_it(tmp_path, file, killed):
    (tmp_path / "a.abc").write_bytes(GOOD)
    (tmp_path / "json.py").write_text("raise SystemExit('a module of the folder')")
    script = tmp_path / "sub" / "script.py"
    script.parent.mkdir()
    script.write_text(SCRIPT)
    command = [str(script)] if file else ["-c", SCRIPT]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
    done = subprocess.run(
        [sys.executable, *command, str(tmp_path / "a.abc"), *(["kill"] if killed else [])],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path / "sub",
        check=False,
    )
    once, counts, pid = done.stdout.split("\n")[:3]
    assert (once, counts, done.stderr) == ("once", "2 5", "")
    assert done.returncode == (-signal.SIGKILL if killed else 0)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.1)
    raise AssertionError("the child goes on")


KEPT = []


def keeping(data, known):
    KEPT.append(bytearray(300 * 2**20))
    return Piece.of(score_from_text("C4"))


def nothing(data, known):
    return None


def exact(data, known):
    return Piece.of(score_from_text("C4"), tempo=Fraction(241, 2))


def inexact(data, known):
    return replace(Piece.of(score_from_text("C4")), numbers=(Fraction(1, 2),))


def dying_and_counting(data, known):
    with Path(data.decode()).open("a") as file:
        file.write("x")
    os.kill(os.getpid(), signal.SIGSEGV)


OLD = """
from envs.music.piece import Piece
from envs.notation.text_line import score_from_text
def read(data, known):
    return Piece.of(score_from_text("C4"))
"""


def module_of(folder, name):
    (folder / f"{name}.py").write_text(OLD)
    importlib.invalidate_caches()
    return importlib.import_module(name)


def test_a_reader_whose_path_or_file_changed_is_read_anew(monkeypatch, tmp_path):
    before = child()
    monkeypatch.syspath_prepend(tmp_path)
    module = module_of(tmp_path, "reader_that_changes")
    monkeypatch.setitem(READERS, ".new", module.read)
    assert len(read_piece(b"x", ".new").notes) == 1
    middle = sandbox._CHILD.process.pid
    assert middle != before
    Path(module.__file__).write_text(OLD.replace('"C4"', '"C4 D4"'))
    assert len(read_piece(b"x", ".new").notes) == 2
    assert child() != middle


def test_a_reader_that_the_child_cannot_import_runs_here(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        module = module_of(tmp_path, "reader_out_of_reach")
    monkeypatch.setitem(READERS, ".far", module.read)
    assert len(read_piece(b"x", ".far").notes) == 1
    monkeypatch.setattr(module, "score_from_text", nothing)
    monkeypatch.setitem(READERS, ".far", module.read)
    with pytest.raises(TypeError, match=r"reader_out_of_reach\.read"):
        read_piece(b"x", ".far")


def test_a_child_that_keeps_much_is_replaced(monkeypatch):
    monkeypatch.setitem(READERS, ".keep", keeping)
    before = child()
    read_piece(b"x", ".keep")
    assert child() != before


@pytest.mark.parametrize("executable", [None, "", "/", "/bin/true"])
def test_a_child_that_cannot_start_is_a_refusal(monkeypatch, executable):
    sandbox._CHILD.stop()
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(RefusedError, match=r"sys\.executable"):
        read_piece(GOOD, ".abc")


def test_waiting_for_other_files_counts(monkeypatch):
    reads_well()
    with sandbox._CHILD.lock, pytest.raises(RefusedError, match="other files"):
        read_piece(GOOD, ".abc", limits=Limits(wait=0.1))
    reads_well()


def test_a_file_that_ends_the_child_is_read_once(monkeypatch, tmp_path):
    monkeypatch.setitem(READERS, ".bad", dying_and_counting)
    count = tmp_path / "count"
    with pytest.raises(RefusedError, match="died"):
        read_piece(str(count).encode(), ".bad")
    assert count.read_text() == "x"


@pytest.mark.parametrize(
    ("reader", "word"),
    [
        (nothing, "nothing.*got NoneType"),
        (mistaken, "mistaken.*a list"),
        (inexact, "inexact.*Frac"),
    ],
)
def test_a_fault_of_a_reader_names_it(monkeypatch, reader, word):
    monkeypatch.setitem(READERS, ".bad", reader)
    with pytest.raises(TypeError, match=f"test_sandbox.{word}"):
        read_piece(b"x", ".bad")


def test_a_tempo_is_not_cut_to_a_whole_number(monkeypatch):
    monkeypatch.setitem(READERS, ".exact", exact)
    assert read_piece(b"x", ".exact").tempo == 120.5


@pytest.mark.parametrize("name", ["seconds", "wait", "memory"])
@pytest.mark.parametrize("value", [-1, 0, float("nan"), float("inf"), "1", None])
def test_limits_that_bound_nothing_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Limits(**{name: value})
