"""Files are read in a child process with limits of time and memory, kept warm between files.

A request and its answer are a line of JSON each: a reader's name and the bytes of a file, and the
piece. If the child dies, hangs or takes too much memory, the file is refused, and the next one gets
a new child.
"""

from __future__ import annotations

import atexit
import base64
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from envs.errors import RefusedError
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.assemble import Known

START_SECONDS = 120.0  # for the child to begin
_BEGIN = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from envs.notation.reading import sandbox; sandbox.serve()"
)
_ERRORS = {"RefusedError": RefusedError, "ValueError": ValueError, "TypeError": TypeError}


@dataclass(frozen=True)
class Limits:
    """Time and memory for reading one file.

    Attributes:
        seconds: of processor time.
        wait: seconds until the child is taken to hang.
        memory: bytes, beside what the child has before.
    """

    seconds: float = 10.0
    wait: float = 60.0
    memory: int = 2**30


def read_apart(
    reader: Callable[[bytes, Known], Piece], data: bytes, known: Known, limits: Limits
) -> Piece:
    """Read a file in the child process.

    A reader that no other process can import, such as one of a notebook, runs in this process.

    Args:
        reader: of the format.
        data: of the file.
        known: what is known better than by the file.
        limits: of time and memory.

    Raises:
        RefusedError: the reader refused the file, or it took more than the limits allow.
    """
    module, name = reader.__module__, getattr(reader, "__name__", "")
    if module == "__main__" or getattr(sys.modules.get(module), name, None) is not reader:
        return reader(data, known)
    words = base64.b64encode(data).decode()
    request = {"reader": [module, name], "data": words, "known": _plain(known)}
    answer = _CHILD.ask(request | {"limits": asdict(limits)}, limits)
    if "error" in answer:
        raise _ERRORS.get(answer["error"], RefusedError)(answer["reason"])
    for row, name in ((answer, "numbers"), (answer, "notices"), (answer["task"], "given")):
        row[name] = tuple(row[name])  # which JSON has as lists
    return Piece(Score(answer.pop("tokens"), Task(**answer.pop("task"))), **answer)


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

    def ask(self, request: dict[str, Any], limits: Limits) -> dict[str, Any]:
        """Return the child's answer.

        Raises:
            RefusedError: the child took more than the limits allow, or died.
        """
        line = json.dumps(request).encode() + b"\n"
        with self.lock:
            try:
                # Twice, as a child may have died before this file came.
                answer = self._exchange(line, limits) or self._exchange(line, limits)
            except BaseException:  # also Ctrl-C: an answer that is still to come is nobody's
                self.stop()
                raise
        if not answer:
            raise RefusedError("the process that read it died; write the file anew")
        result: dict[str, Any] = json.loads(answer)
        return result

    def _exchange(self, line: bytes, limits: Limits) -> bytes:
        """Return a line of the child's, b'' if it died of something else than the limits."""
        answer = b""
        process = self._running() or self._started()
        with _deadline(process, limits.wait) as late, suppress(OSError):  # of a closed pipe
            _write(process.stdin, line)
            answer = self.answers.readline()
        if late.is_set():
            raise RefusedError(f"reading it took more than {limits.wait:g} s")
        if answer.startswith(b'{"error": "MemoryError"'):
            raise RefusedError(f"reading it took more than {limits.memory >> 20} MB of memory")
        if not answer.endswith(b"\n"):
            self.stop()
            if -process.returncode == getattr(signal, "SIGPROF", None):
                raise RefusedError(f"reading it took more than {limits.seconds:g} s of CPU time")
            return b""
        return answer

    def _running(self) -> Any:
        return self.process if self.process and self.process.poll() is None else None

    def _started(self) -> Any:
        self.stop()
        # Isolated, so that neither the environment nor the folder adds a module; the modules that
        # this process has found are found again. Its process group is its own: Ctrl-C spares it.
        paths = [path or os.getcwd() for path in sys.path]
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
                raise RuntimeError("the process that reads files did not start")
        return process

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
    for line in requests:
        _write(answers, json.dumps(_answer(json.loads(line)), default=int).encode() + b"\n")


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    module, name = request["reader"]
    try:
        reader = getattr(importlib.import_module(module), name)
        data, known = base64.b64decode(request["data"]), Known(**request["known"])
        with _bounded(Limits(**request["limits"])):
            piece = reader(data, known)
        answer = {field.name: getattr(piece, field.name) for field in fields(piece)}
        score = answer.pop("score")
        return answer | {"tokens": score.tokens.tolist(), "task": _plain(score.task)}
    except Exception as error:
        kind = type(error).__name__
        reason = str(error) if kind in _ERRORS else f"its reader failed ({kind}: {error})"
        return {"error": kind, "reason": reason}


@contextmanager
def _bounded(limits: Limits) -> Iterator[None]:
    """Bound a reading: too much time ends the process, too much memory is a MemoryError."""
    if not hasattr(signal, "setitimer"):  # Windows has the parent's clock alone
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    sizes = Path("/proc/self/statm")
    if sizes.exists():  # other systems bound no address space
        most = int(sizes.read_text().split()[0]) * resource.getpagesize() + limits.memory
        most = most if before[1] == resource.RLIM_INFINITY else min(most, before[1])
        resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, limits.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)
