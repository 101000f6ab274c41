"""One command for each format prints its table: python -m tests.tools.judging midi."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from tests.tools.judging import judge_abc, judge_chorales, judge_midi, judge_musicxml

JUDGES = {
    "abc": judge_abc.judge,
    "chorales": judge_chorales.judge,
    "midi": judge_midi.judge,
    "musicxml": judge_musicxml.judge,
    "kern": partial(judge_musicxml.judge, kind="kern"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("format", choices=JUDGES)
    parser.add_argument("--folder", type=Path, required=True, help="keeps the oracles' answers")
    parser.add_argument("--python", default="python", help="in which abctoolkit can be imported")
    given = parser.parse_args()
    print(JUDGES[given.format](given.folder / given.format, given.python))


if __name__ == "__main__":
    main()
