"""An executor that gives each call a process of its own, so that one that dies stops no other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

_START = threading.Lock()
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class OneProcessEach(ThreadPoolExecutor):
    """Runs each call in a new process with one thread; however this one ends, those end too.

    A process that dies raises ChildProcessError from its future.

    Args:
        jobs: processes at a time.
    """

    def __init__(self, jobs: int) -> None:
        super().__init__(jobs)
        self._life, self._hold = multiprocessing.get_context("spawn").Pipe(duplex=False)

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Run a picklable call."""
        return super().submit(_in_process, self._life, call, arguments, named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the executor, and its processes at once unless it waits for them."""
        if not wait or cancel_futures:
            self._hold.close()
        super().shutdown(wait, cancel_futures=cancel_futures)
        self._hold.close()

    def __exit__(self, kind: Any, *error: Any) -> bool | None:
        self.shutdown(cancel_futures=kind is not None)
        return None


def _in_process(life: Connection, call: Callable[..., Any], *given: Any) -> Any:
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(send, life, call, *given), daemon=True)
    with _START, _one_thread():
        process.start()
    send.close()
    try:
        answer = receive.recv()
    except EOFError:
        answer = None
    process.join()
    if answer is not None:
        return answer
    if process.exitcode is not None and process.exitcode < 0:
        memory = " (out of memory?)" if process.exitcode == -signal.SIGKILL else ""
        raise ChildProcessError(f"killed by signal {-process.exitcode}{memory}")
    raise ChildProcessError(f"ended with {process.exitcode}")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that are started here use one thread."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _work(
    send: Connection, life: Connection, call: Callable[..., Any], arguments: Any, named: Any
) -> None:
    os.setpgid(0, 0)  # Ctrl-C is for the process that started this one, and ends it then
    threading.Thread(target=_end_with, args=(life,), daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    send.send(call(*arguments, **named))


def _end_with(life: Connection) -> None:
    """End this process when the other end of a pipe is closed."""
    life.poll(None)  # nothing is ever written to it
    os._exit(1)
