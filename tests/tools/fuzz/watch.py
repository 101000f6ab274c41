"""Checks of a reader: it returns or refuses its input, soon and in little memory."""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[3]
OURS = ("envs", "pretrained", "rewards", "agents")
# As it is now: somebody may edit it while the fuzzer runs.
SOURCE = {
    str(path): path.read_text().splitlines()
    for package in OURS
    for path in (ROOT / package).rglob("*.py")
}
SECONDS = 2.0  # of CPU time, for one input
MEGABYTES = 500  # more than before the input
LONGEST_MESSAGE = 1000
# What a reader may raise, exactly: UnicodeDecodeError and the like are ValueErrors nobody meant.
NAMED = (
    "ValueError",
    "TypeError",
    "RefusedError",
    "UnreadError",
    "TuneError",
    "RewardError",
    "FileNotFoundError",
)


class HangError(BaseException):
    """An input took too long; no Exception, as readers turn those of libraries into refusals."""


class FindingError(AssertionError):
    """A reader did what it may not do."""


@dataclass
class Watch:
    """Runs inputs through a reader.

    Attributes:
        seconds: of CPU time that an input may take.
        slowest: seconds of the input that took longest.
        refused: inputs that were refused.
    """

    seconds: float = SECONDS
    slowest: float = 0.0
    refused: int = 0

    def check(self, read: Callable[[bytes], object], data: bytes) -> None:
        """Read an input.

        Raises:
            FindingError: the reader crashed, hung, took too much memory, or refused it badly.
        """
        before, most = resident(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        try:
            with deadline(self.seconds):
                read(data)
        except HangError as late:
            place = "".join(traceback.format_tb(late.__traceback__)[-3:])
            raise FindingError(f"took more than {self.seconds:g} s of CPU:\n{place}") from None
        except BaseException as error:
            self.refused += 1
            self.slowest = max(self.slowest, time.process_time() - start)
            wrong = wrong_refusal(error)
            if wrong:
                raise FindingError(f"{wrong}: {type(error).__name__}: {error!s:.300}") from error
        self.slowest = max(self.slowest, time.process_time() - start)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if after > most and (after - before) / 1024 > MEGABYTES:
            raise FindingError(f"took {(after - before) // 1024} MB; expected {MEGABYTES} at most")


def wrong_refusal(error: BaseException) -> str:
    """Return the fault in the refusal of an input, '' if there is none."""
    if isinstance(error, FindingError):
        return "finding"
    if type(error).__name__ not in NAMED:
        return "not an error that readers may raise"
    *_, (frame, number) = traceback.walk_tb(error.__traceback__)
    name = frame.f_code.co_filename
    line = SOURCE[name][number - 1].strip() if name in SOURCE else ""
    if not line.startswith("raise"):
        return f"not raised on purpose (at {name}:{number}: {line})"
    told = str(error)
    if not told or len(told) > LONGEST_MESSAGE:
        return f"a message of {len(told)} characters"
    if not told.isprintable():
        return "a message that is not one printable line"
    return ""


def resident() -> int:
    """Memory of this process in kB, as it is now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise HangError in the main thread after so many seconds of CPU time."""

    def late(signum: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGPROF, late)
    # Again and again: `suppress` and `finally` of a library may swallow one.
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
