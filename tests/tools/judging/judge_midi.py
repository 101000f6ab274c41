"""Judge of the MIDI reader: files of four programs, see `midi_set`."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

from envs.music.meter import Meter
from tests.tools.judging import comparing
from tests.tools.judging.comparing import Tried
from tests.tools.judging.midi_set import make
from tests.tools.judging.oracles import Notes

SETS = ("abc2midi", "repeats", "asis", "musescore", "music21", "verovio")


def judge(folder: Path, python: str, **known: Any) -> str:
    """Read all files of the sets; return the table, write `midi.csv` beside them.

    Args:
        folder: of the sets, which are made if missing.
        python: in which `abctoolkit` can be imported.
        known: what the reader is told besides.
    """
    if not all((folder / each / "truth.json").exists() for each in SETS):
        make(folder, python)
    rows, found, reasons = [], [], []
    for kind in SETS:
        own = [_try(folder / kind, name, truth, known) for name, truth in _truth(folder / kind)]
        found += own
        read = [row for row in own if not row["refused"]]
        reasons += [f"{kind}: {row['refused']}" for row in own if row["refused"]]
        reasons += [f"{kind}: READ, {row['notes']}" for row in read if row["notes"]]
        rows.append(
            [
                kind,
                len(own),
                len(read),
                sum(not row["notes"] for row in read),
                sum(row["meter"] == row["true meter"] for row in read),
                sum(row["upbeat"] == row["true upbeat"] for row in read),
                comparing.times([row["seconds"] for row in own]),
            ]
        )
    comparing.save(folder / "midi.csv", found)
    head = [
        "set",
        "files",
        "read",
        "notes right",
        "metre right",
        "upbeat right",
        "seconds, median / max",
    ]
    return "\n\n".join(
        [
            comparing.table(rows, head),
            comparing.table(
                comparing.counted(reasons), ["files", "refused, or read with a difference"]
            ),
        ]
    )


def _truth(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    return sorted(json.loads((folder / "truth.json").read_text()).items())


def _try(folder: Path, name: str, truth: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    path = folder / f"{name}.mid"
    true = [(Fraction(start), Fraction(length), pitch) for start, length, pitch in truth["notes"]]
    row: dict[str, Any] = {
        "set": folder.name,
        "file": path.name,
        "tune": "{}#{}".format(*truth["tune"]),
        "refused": "",
        "notes": "",
        "meter": "",
        "true meter": str(Meter.parse(truth["meter"])) if truth["meter"] else "",
        "upbeat": "",
        "true upbeat": truth["upbeat"],
        "chords": comparing.has_chords(true),
        "notices": "",
        "seconds": 0.0,
    }
    if not path.exists():
        return row | {"refused": "NO FILE"}
    tried = Tried(path.read_bytes(), ".mid", **known)
    row["seconds"] = round(tried.seconds, 4)
    if tried.piece is None:
        return row | {"refused": tried.refusal}
    piece = tried.piece
    near = Fraction(1, 4 * piece.task.grid)  # what abc2midi cut off
    notes = comparing.difference(comparing.notes_of(piece), true, near)
    if "filled up" in "; ".join(piece.notices) and notes.startswith("onset"):
        # A short bar of the tune was filled up and told: only what stands behind it is later.
        notes = comparing.difference(_behind(comparing.notes_of(piece)), _behind(true), near)
    return row | {
        "notes": notes,
        "meter": str(piece.task.meter),
        "upbeat": str(Fraction(piece.task.pickup, piece.task.grid)),
        "notices": "; ".join(piece.notices),
    }


def _behind(line: Notes) -> Notes:
    """The notes one behind the other, without their onsets."""
    return [(Fraction(number), length, pitch) for number, (_, length, pitch) in enumerate(line)]
