"""The process that reads files, killed at random moments while it reads."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

KILLED = ("it died", "died before it", "no process starts")  # what refusals then say


@dataclass
class Killing:
    """Reads each input in peace, then with a kill, then in peace again, and compares the notes.

    Attributes:
        read: returns the notes of a file.
        rng: of the moments.
        kills: processes that were killed.
        refused: files that were refused for it; the others were read to the same notes.
    """

    read: Callable[[bytes], object]
    rng: random.Random = field(default_factory=lambda: random.Random(0))
    kills: int = 0
    refused: int = 0

    def __call__(self, data: bytes) -> object:
        """Read a file; AssertionError if a kill changes what it or the next one gives."""
        begin = time.monotonic()
        usual = self._outcome(data)
        lasts = time.monotonic() - begin
        found = self._harmed(data, self.rng.uniform(0, lasts))
        if "CPU time" in usual + found:
            return usual
        told = any(words in found for words in KILLED)
        self.refused += told
        if found != usual and not told:
            raise AssertionError(f"killed: {found:.200}; expected {usual:.200} or a refusal")
        if (again := self._outcome(data)) != usual:
            raise AssertionError(f"after a kill: {again:.200}; expected {usual:.200}")
        return usual

    def _outcome(self, data: bytes) -> str:
        try:
            return f"read: {self.read(data)}"
        except ValueError as refusal:
            if not str(refusal).isprintable():
                raise
            return str(refusal)

    def _harmed(self, data: bytes, seconds: float) -> str:
        """Return what a file gives whose process is killed after so many seconds."""
        from envs.notation.reading import sandbox

        def kill() -> None:
            process = sandbox._CHILD.process
            if process:
                process.kill()
                self.kills += 1

        timer = threading.Timer(seconds, kill)
        timer.start()
        try:
            return self._outcome(data)
        finally:
            timer.join()  # also if it came late: the next file finds a dead process
