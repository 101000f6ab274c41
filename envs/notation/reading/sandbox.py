"""Files are read in a child process with limits of time and memory, kept warm between files.

A request is a line of JSON and a file's bytes, which the child keeps until it gets others; the
answer, a piece, is a line of JSON. If the child dies, hangs or takes too much memory, the file is
refused, and the next one gets a new child; it also does after `sys.path` or a reader's file
changed, or the child kept more than GROWTH bytes.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from envs.errors import RefusedError, UnreadError, quoted
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.selection import Known

START_SECONDS = 120.0  # for the child to begin
GROWTH = 2**28  # bytes that the child may keep of the files before
_LEAST, _MOST = 0.001, {"seconds": 1e6, "wait": 1e6, "memory": 2**60}  # that systems can bound
_BEGIN = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from envs.notation.reading import sandbox; sandbox.serve()"
)
Fields = dict[str, Any]  # of a request or an answer


@dataclass(frozen=True)
class Limits:
    """Time and memory for reading one file.

    Windows bounds `wait` alone; systems without /proc, such as macOS, bound no memory.

    Attributes:
        seconds: of processor time.
        wait: seconds until the child is taken to hang, other threads' files before it included.
        memory: bytes, beside what the child has before: at most GROWTH of files.

    Raises:
        ValueError: a limit is no number, not above 0, or larger than a system can bound.
    """

    seconds: float = 10.0
    wait: float = 60.0
    memory: int = 2**30

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if not isinstance(value, int | float) or not _LEAST <= value <= most:
                raise ValueError(f"{name} {quoted(value)}: expected {_LEAST} to {most:g}")


def read_apart(
    reader: Callable[[bytes, Known], Piece], data: bytes, known: Known, limits: Limits
) -> Piece:
    """Read a file in the child process.

    A reader that no other process can import, such as one of a notebook, runs in this process
    without limits.

    Args:
        reader: of the format.
        data: of the file.
        known: what is known better than by the file.
        limits: of time and memory.

    Raises:
        UnreadError: it took more than the limits allow, ended the child, or no child starts.
        RefusedError: the reader refused the file or failed.
        TypeError: the reader returned no piece, or failed with a TypeError.
    """
    module, name = reader.__module__, getattr(reader, "__name__", "")
    if module == "__main__" or getattr(sys.modules.get(module), name, None) is not reader:
        return _read(reader, data, known)
    request = {"reader": [module, name], "known": _plain(known), "limits": asdict(limits)}
    answer = _CHILD.ask(request, data, limits)
    if "missing" in answer:
        return _read(reader, data, known)
    if "error" in answer:
        if kind := {"ValueError": ValueError, "TypeError": TypeError}.get(answer["error"]):
            raise kind(answer["reason"])
        raise RefusedError(answer["reason"], tunes=answer["tunes"])
    for row, name in ((answer, "numbers"), (answer, "notices"), (answer["task"], "given")):
        row[name] = tuple(row[name])  # which JSON has as lists
    return Piece(Score(answer.pop("tokens"), Task(**answer.pop("task"))), **answer)


@contextmanager
def _naming(reader: Callable[[bytes, Known], Piece]) -> Iterator[None]:
    """Name the reader in its errors, refusals aside."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MemoryError) or type(error) in (RefusedError, ValueError):
            raise
        kind = TypeError if isinstance(error, TypeError) else RefusedError
        name = f"{reader.__module__}.{getattr(reader, '__name__', type(reader).__name__)}"
        raise kind(f"its reader failed, {name} ({type(error).__name__}: {error})") from error


def _read(reader: Callable[[bytes, Known], Piece], data: bytes, known: Known) -> Piece:
    with _naming(reader):
        piece = reader(data, known)
        if not isinstance(piece, Piece):
            raise TypeError(f"expected a Piece, got {type(piece).__name__}")
    return piece


def _plain(value: Known | Task) -> dict[str, Any]:
    """Return the fields of a dataclass as JSON has them, keys and metres in words."""
    plain = {field.name: getattr(value, field.name) for field in fields(value)}
    return plain | {name: str(plain[name]) for name in ("key", "meter") if plain[name] is not None}


# -- in the parent ---------------------------------------------------------------------------------


class _Child:
    """The child process; it starts when first needed, and ends with this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.process: Any = None
        self.answers: Any = None
        self.paths: list[str] = []  # sys.path when it started
        self.times: dict[str, int] = {}  # of readers' files when it imported them
        self.grown = 0  # bytes that it kept of the files before
        self.file: bytes | None = None  # that it has read last

    def ask(self, request: Fields, data: bytes, limits: Limits) -> Fields:
        """Return the child's answer; past the limits, or if it dies or cannot start, refuse."""
        lock, end = self.lock, time.monotonic() + limits.wait
        if not lock.acquire(timeout=limits.wait):
            raise UnreadError(f"other files took more than {limits.wait:g} s; allow more `wait`")
        try:
            order = request, data, limits, max(0, end - time.monotonic())
            answer = self._exchange(*order) or self._exchange(*order)  # the child may have died
        except BaseException:  # also Ctrl-C: an answer that is still to come is nobody's
            self.stop()
            raise
        finally:
            lock.release()
        if not answer:
            raise UnreadError("the process that reads files died before it; try again")
        return answer

    def _exchange(self, request: Fields, data: bytes, limits: Limits, wait: float) -> Fields:
        """Return the child's answer, {} if it died before it had the whole file."""
        begun = answer = b""
        process, new = self._current(request["reader"][0]), data != self.file
        line = json.dumps(request | {"size": len(data)} if new else request).encode() + b"\n"
        with _deadline(process, wait) as late, suppress(OSError):  # of a closed pipe
            _write(process.stdin, line + data * new)
            begun = self.answers.readline()
            answer = self.answers.readline()
        if late.is_set():
            raise UnreadError(f"it and the files before it took more than {limits.wait:g} s")
        if not answer.endswith(b"\n"):
            self.stop()
            if -process.returncode == getattr(signal, "SIGPROF", None):
                raise UnreadError(f"reading it took more than {limits.seconds:g} s of CPU time")
            if begun:
                raise UnreadError("the process that read it died; write the file anew")
            return {}
        self.file, result = data, dict(json.loads(answer))
        if result.get("error") == "MemoryError":
            raise UnreadError(f"reading it took over {limits.memory / 2**20:.0f} MB of memory")
        self.grown += result.pop("grown", 0)
        return result

    def _current(self, module: str) -> Any:
        """Return a living child that has this process's `sys.path` and the reader's file of now."""
        changed = _changed(module)
        stale = self.paths != sys.path or self.times.get(module, changed) != changed
        if not self.process or self.process.poll() is not None or stale or self.grown > GROWTH:
            self.stop()
            try:
                self._start()
            except (OSError, TypeError, ValueError) as error:
                advice = "set sys.executable to the Python that has this package"
                raise UnreadError(f"no process starts to read it ({error}); {advice}") from error
        self.times[module] = changed
        return self.process

    def _start(self) -> None:
        self.paths, self.times, self.grown, self.file = list(sys.path), {}, 0, None
        # Isolated, so that neither the environment nor the folder adds a module; the modules that
        # this process has found are found again. Its process group is its own: Ctrl-C spares it.
        paths = [path or os.getcwd() for path in self.paths]
        process: Any = subprocess.Popen(
            [sys.executable, "-I", "-c", _BEGIN, *paths],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,  # a process that is forked must not send again what waits in a buffer
            start_new_session=True,
        )
        self.process, self.answers = process, io.BufferedReader(process.stdout)
        with _deadline(process, START_SECONDS):
            if not self.answers.readline():
                raise OSError("it ended at once")

    def stop(self) -> None:
        """End the child, if there is one."""
        process, self.process = self.process, None
        if process:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    def forget(self) -> None:
        """Leave the child to the process that this one was forked from."""
        process, self.process, self.lock = self.process, None, threading.Lock()
        if process:
            process.stdin.close()
            process.stdout.close()
            process.returncode = 0  # it is no child of this process, so nobody waits for it


def _changed(module: str) -> int:
    """Return when a module's file was changed, in ns; 0 if it has none."""
    file = Path(getattr(sys.modules[module], "__file__", None) or "")
    return file.stat().st_mtime_ns if file.is_file() else 0


def _write(pipe: Any, line: bytes) -> None:
    while line:
        line = line[pipe.write(line) :]


@contextmanager
def _deadline(process: Any, seconds: float) -> Iterator[threading.Event]:
    """Kill a process after so many seconds; the event is set if that happened."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()


_CHILD = _Child()
atexit.register(_CHILD.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_CHILD.forget)


# -- in the child ----------------------------------------------------------------------------------


def serve() -> None:
    """Read files until the parent ends; nothing but the answers is printed."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", 0)
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    importlib.import_module("music21.converter")  # before time counts
    answers.write(b"ready\n")
    data = b""
    for line in requests:
        request = json.loads(line)
        data = requests.read(request["size"]) if "size" in request else data
        answers.write(b"begun\n")
        _write(answers, json.dumps(_answer(request, data)).encode() + b"\n")


def _answer(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    module, name = request["reader"]
    try:
        if module not in sys.modules:
            importlib.invalidate_caches()  # its file may be younger than this process
        reader = getattr(importlib.import_module(module), name)
    except Exception:
        return {"missing": f"{module}.{name}"}
    before = _size()
    try:
        with _bounded(Limits(**request["limits"])):
            piece = _read(reader, data, Known(**request["known"]))
        with _naming(reader):
            answer = _answer_of(piece)
    except MemoryError:
        return {"error": "MemoryError"}
    except Exception as error:
        count = getattr(error, "tunes", 0)
        answer = {"error": type(error).__name__, "reason": str(error), "tunes": count}
    return answer | {"grown": _size() - before}


def _answer_of(piece: Piece) -> dict[str, Any]:
    """Return the fields of a piece in JSON's types; one of another type is a TypeError."""
    answer = {field.name: getattr(piece, field.name) for field in fields(Piece)}
    score = answer.pop("score")
    answer["tempo"] = None if piece.tempo is None else float(piece.tempo)
    answer |= {"tokens": score.tokens.tolist(), "task": _plain(score.task)}
    return dict(json.loads(json.dumps(answer, default=operator.index)))


def _size() -> int:
    """Return the bytes of address space of this process, 0 where the system does not tell."""
    sizes = Path("/proc/self/statm")
    return int(sizes.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE") if sizes.exists() else 0


@contextmanager
def _bounded(limits: Limits) -> Iterator[None]:
    """Bound a reading: too much time ends the process, too much memory is a MemoryError."""
    if not hasattr(signal, "setitimer"):  # Windows has the parent's clock alone
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    size = _size()
    if size:  # other systems bound no address space
        most = size + int(limits.memory)
        most = most if before[1] == resource.RLIM_INFINITY else min(most, before[1])
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
