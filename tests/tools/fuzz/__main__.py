"""Fuzz one reader, guided by coverage where atheris is installed, else at random.

python -m tests.tools.fuzz midi --seconds 600

Each kind of failure is written once, with its input, to --out, and so is the slowest input; the
exit status is 1 if there are any. `pip install atheris` for guidance: the code then runs several
times slower, so inputs may take longer. `--replay FILE...` reads such inputs again, unguided. With
--kill the process that reads files is killed while it does, and the notes are compared.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from tests.tools.fuzz.killing import Killing
from tests.tools.fuzz.mutation import MOST_BYTES, mutated
from tests.tools.fuzz.watch import SECONDS, FindingError, Watch

if TYPE_CHECKING:
    from tests.tools.fuzz.readers import Reader

# Loaded under instrumentation: ours, and what of music21 reads text.
GUIDED = ["envs", "pretrained", "rewards", "agents", "music21.musicxml", "music21.abcFormat"]
FENCE = 1_500 * 2**20  # bytes of address space beyond what the reader begins with


class Session:
    """Inputs tried so far and what they found.

    Args:
        reader: to try them on.
        seconds: to go on for.
        out: folder of the findings.
    """

    def __init__(self, reader: Reader, seconds: float, out: Path) -> None:
        self.reader, self.out = reader, out
        self.watch = Watch()
        self.tried = 0
        self.found: dict[str, str] = {}
        self.begin = time.monotonic()
        self.end = self.begin + seconds

    def try_one(self, data: bytes) -> None:
        """Read an input; what it finds is kept once for each place in the code."""
        self.tried += 1
        (self.out / "last").write_bytes(data)  # what a crash of the process itself leaves
        slowest = self.watch.slowest
        try:
            self.watch.check(self.reader.read, data)
        except FindingError as finding:
            error = finding.__cause__
            frames = traceback.extract_tb(error.__traceback__)[-3:] if error else []
            place = [f"{Path(f.filename).name}:{f.lineno}" for f in frames]
            key = " ".join([re.sub(r"\d+", "", str(finding).split(":")[0]), *place])
            if key not in self.found:
                self.found[key] = str(finding)
                name = sha256(key.encode()).hexdigest()[:12]
                (self.out / name).write_bytes(data)
                print(f"\nFOUND {name}: {finding}\n  {' '.join(place)}", flush=True)
        if self.watch.slowest > slowest:
            (self.out / "slowest").write_bytes(data)

    @property
    def over(self) -> bool:
        """True if the time is over."""
        return time.monotonic() > self.end

    def report(self) -> str:
        """One line of figures."""
        return (
            f"{self.tried} inputs in {time.monotonic() - self.begin:.0f} s, "
            f"{self.watch.refused} refused, slowest {self.watch.slowest:.2f} s, "
            f"{len(self.found)} findings in {self.out}"
        )


def fence() -> None:
    """Bound the address space, so that a bomb is a MemoryError and not the end of the machine."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + FENCE
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def guided(session: Session, seed: int, corpus: Path, finish: Callable[[], None]) -> None:
    """Inputs of libFuzzer's, which keeps what reaches new code."""
    import atheris

    def one(data: bytes) -> None:
        session.try_one(data)
        if session.over:
            finish()

    words = corpus.with_name("words")
    lines = [
        '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in session.reader.words
    ]
    words.write_text("\n".join(lines))
    flags = [f"-seed={seed + 1}", f"-dict={words}", f"-max_len={MOST_BYTES}", "-timeout=60"]
    flags += ["-rss_limit_mb=0", f"-artifact_prefix={session.out}/", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one, enable_python_coverage=True)
    fence()
    atheris.Fuzz()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("reader", help="midi, xml, mxl, abc, ...: a wrong name lists them")
    parser.add_argument("--seconds", type=float, default=600, help="to go on for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder of the findings; a new one if not given")
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="these inputs only")
    parser.add_argument("--kill", action="store_true", help="the reading process at random moments")
    parser.add_argument("--random", action="store_true", help="even where atheris is installed")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix=f"fuzz-{options.reader}-"))
    out.mkdir(parents=True, exist_ok=True)
    atheris = None
    if not (options.random or options.replay or options.kill):
        with suppress(ImportError):
            atheris = importlib.import_module("atheris")
    # All that is to be guided is first imported here.
    with atheris.instrument_imports(include=GUIDED) if atheris else nullcontext():
        from tests.tools.fuzz import readers
        from tests.tools.fuzz.readers import READERS

        readers.APART = atheris is None  # coverage is of this process

        if options.reader not in READERS:
            parser.error(f"unknown reader {options.reader!r}; known: {', '.join(READERS)}")
        reader = READERS[options.reader]
        killing = Killing(reader.read, random.Random(options.seed)) if options.kill else None
        reader = replace(reader, read=killing) if killing else reader
        seeds = list(reader.seeds())
        for data in seeds:
            with suppress(Exception):
                reader.read(data)
    session = Session(reader, options.seconds, out)
    for data in [path.read_bytes() for path in options.replay or ()] or seeds:
        session.try_one(data)
    session.watch.seconds = SECONDS if atheris is None else 3 * SECONDS  # instrumented code is slow

    def finish() -> None:
        print(f"{options.reader}: {session.report()}", flush=True)
        if killing:
            print(f"{killing.kills} kills, {killing.refused} files refused for it", flush=True)
        os._exit(1 if session.found else 0)

    if atheris is not None:
        corpus = Path(tempfile.mkdtemp()) / "corpus"
        corpus.mkdir()
        for number, data in enumerate(seeds):
            (corpus / str(number)).write_bytes(data)
        guided(session, options.seed, corpus, finish)
    fence()
    rng = random.Random(options.seed)
    while not session.over and not options.replay:
        session.try_one(mutated(rng, seeds, reader.words))
    finish()


if __name__ == "__main__":
    main()
