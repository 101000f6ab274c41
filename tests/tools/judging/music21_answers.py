"""Readings of the corpus by music21: notes of every part, ties joined; kept as JSON lines.

python -m tests.tools.judging.music21_answers musicxml ANSWERS.jsonl
"""

from __future__ import annotations

import json
import signal
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

SUFFIXES = {"musicxml": (".xml", ".mxl", ".musicxml"), "kern": (".krn",)}
MOST_SECONDS = 45
STEPS = {"musicxml": 1, "kern": 12}  # every how many files: nearly all kern is Palestrina


def corpus_files(kind: str) -> list[Path]:
    """Files of one format in music21's corpus, or a part of them."""
    import music21

    root = Path(music21.__file__).parent / "corpus"
    files = [path for path in root.rglob("*") if path.suffix in SUFFIXES[kind]]
    files.sort(key=lambda path: (path.stat().st_size, path))
    return files[:: STEPS[kind]]


def parts_of(path: Path) -> list[dict[str, Any]]:
    """Notes of every part by music21: onset, duration, sounding MIDI pitch, voice."""
    from music21 import converter, stream

    score = converter.parse(path, forceSource=True)
    if isinstance(score, stream.Opus):
        score = score.scores[0]
    parts = []
    for part in score.parts:
        joined = part.toSoundingPitch().stripTies()
        notes, meters = [], []
        for each in joined.recurse().notes:
            if (
                each.duration.isGrace
                or getattr(each.style, "noteSize", None) == "cue"
                or "Unpitched" in each.classes
            ):
                continue
            start = each.getOffsetInHierarchy(joined)
            voice = each.activeSite.id if isinstance(each.activeSite, stream.Voice) else ""
            for pitch in getattr(each, "pitches", ()):
                if "Chord" in str(type(each)) and "ChordSymbol" in each.classes:
                    continue
                length = Fraction(each.quarterLength)
                row = [str(Fraction(start)), str(length), int(pitch.ps), str(voice)]
                notes.append(row)
        for mark in part.recurse().getElementsByClass("TimeSignature"):
            meters.append([str(Fraction(mark.getOffsetInHierarchy(part))), mark.ratioString])
        parts.append({"id": str(part.id), "notes": notes, "meters": meters})
    return parts


def write(kind: str, target: Path) -> None:
    """Add the answers for those files that `target` does not yet have."""
    done = set()
    if target.exists():
        done = {json.loads(line)["file"] for line in target.read_text().splitlines()}
    signal.signal(signal.SIGALRM, _late)
    with target.open("a") as file:
        for path in corpus_files(kind):
            if str(path) in done:
                continue
            answer: dict[str, Any] = {"file": str(path), "parts": [], "error": ""}
            signal.alarm(MOST_SECONDS)
            try:
                answer["parts"] = parts_of(path)
            except Exception as error:
                answer["error"] = f"{type(error).__name__}: {error}"
            signal.alarm(0)
            print(json.dumps(answer), file=file, flush=True)


def _late(*_: Any) -> None:
    raise TimeoutError


if __name__ == "__main__":
    write(sys.argv[1], Path(sys.argv[2]))
