"""Judge of the MusicXML and kern readers: music21's own corpus against music21's parse.

The notes of a whole file as written are compared with music21's, and for MusicXML with a plain
reading of the elements; then every part that is a melody is read on its own, the bars that the
refusal names if it is longer than a piece may be.
"""

from __future__ import annotations

import io
import json
import re
import time
import xml.etree.ElementTree as ET
import zipfile
from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.tools.judging import comparing, music21_answers
from tests.tools.judging.comparing import Tried
from tests.tools.judging.oracles import Notes, xml_notes


def judge(folder: Path, python: str, kind: str = "musicxml") -> str:
    """Read all files; return the tables, write KIND.csv with a row for each file.

    Args:
        folder: `answers.jsonl` in it keeps what music21 says, see `music21_answers`.
        python: not used.
        kind: "musicxml" or "kern".
    """
    del python
    folder.mkdir(exist_ok=True)
    answers = folder / "answers.jsonl"
    music21_answers.write(kind, answers)
    rows, melodies = [], []
    for line in answers.read_text().splitlines():
        row, own = _try(json.loads(line), kind)
        rows.append(row)
        melodies += own
    comparing.save(folder / f"{kind}.csv", rows)
    comparing.save(folder / f"{kind}_parts.csv", melodies)
    written = Counter(row["written"] for row in rows)
    whole = Counter(comparing.kind_of(row["refused"]) or "read" for row in rows)
    parts = Counter(
        comparing.kind_of(each["refused"])
        or (f"read, {comparing.kind_of(each['wrong'])}" if each["wrong"] else "read, right")
        for each in melodies
    )
    return "\n\n".join(
        [
            comparing.table(written.most_common(40), ["all notes as written", "files"]),
            comparing.table(whole.most_common(40), ["the whole file as a piece", "files"]),
            comparing.table(parts.most_common(40), ["parts that are a melody", "parts"]),
            f"seconds, median / max: whole file {comparing.times([row['s'] for row in rows])}, "
            f"a part {comparing.times([each['s'] for each in melodies])}",
        ]
    )


def _try(answer: dict[str, Any], kind: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    path = Path(answer["file"])
    data = path.read_bytes()
    file = "/".join(path.parts[-2:])
    lines = [_line(part["notes"]) for part in answer["parts"]]
    row: dict[str, Any] = {"file": file, "music21": answer["error"], "written": ""}
    row |= {"first difference": "", "notices": "", "refused": "", "s": 0.0}
    start = time.perf_counter()
    ours: Notes | None = None
    try:
        ours = _draft_notes(data, path.suffix)
    except ValueError as error:
        row["written"] = f"refused: {comparing.kind_of(str(error))}"
    row["draft s"] = time.perf_counter() - start
    if ours is not None:
        row["written"], row["first difference"] = _verdict(ours, lines, data, path.suffix, answer)
    tried = Tried(data, path.suffix)
    row["s"], row["refused"] = tried.seconds, tried.refusal
    row["notices"] = "; ".join(tried.piece.notices) if tried.piece else ""
    own = []
    for number, line in enumerate(lines, 1):
        if not line or _overlaps(line):
            continue
        tried = Tried(data, path.suffix, part=number)
        advice = re.search(r"it has \d+ bars.*FILE:(\d+)-(\d+)", tried.refusal)
        if advice:
            tried = Tried(data, path.suffix, part=number, bars=(int(advice[1]), int(advice[2])))
        own.append({"file": file, "part": number, "refused": tried.refusal, "of": len(line)})
        own[-1] |= {"s": tried.seconds, "bars": bool(advice), "wrong": "", "notices": ""}
        if tried.piece is not None:
            own[-1]["notices"] = "; ".join(tried.piece.notices)
            own[-1]["wrong"] = _wrong(comparing.notes_of(tried.piece), line, own[-1])
    return row, own


def _line(rows: list[list[Any]]) -> Notes:
    """Notes of a part by music21."""
    return sorted((Fraction(start), Fraction(length), pitch) for start, length, pitch, _ in rows)


def _draft_notes(data: bytes, suffix: str) -> Notes:
    """All notes as written, by the project's reader."""
    from envs.notation.reading.sheets import kern, musicxml

    from envs.notation.reading.selection import Known

    read_draft = kern.read_draft if suffix == ".krn" else musicxml.read_draft
    data = unpacked(data) if suffix == ".mxl" else data
    draft = read_draft(data, Known())
    return sorted(
        (each.start, each.end - each.start, each.pitch)
        for part in draft.parts
        for voice in part.voices
        for each in voice
    )


def unpacked(data: bytes) -> bytes:
    """The score of a compressed file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        root = ET.fromstring(archive.read("META-INF/container.xml"))
        place = next(each for each in root.iter() if each.tag.endswith("rootfile"))
        return archive.read(place.get("full-path") or "")


def _verdict(
    ours: Notes, lines: list[Notes], data: bytes, suffix: str, answer: dict[str, Any]
) -> tuple[str, str]:
    """How the project's notes stand to music21's and to a plain reading of the elements."""
    theirs = sorted(note for line in lines for note in line)
    plainly: Notes | None = None
    if suffix != ".krn":
        root = ET.fromstring(unpacked(data) if suffix == ".mxl" else data)
        parts = range(len(root.findall("part")))
        plainly = sorted(note for part in parts for note in xml_notes(root, part, every=True)[0])
    from_music21 = "music21 fails" if answer["error"] else _unlike(ours, theirs)
    from_elements = _unlike(ours, plainly) if plainly is not None else "none"
    if not from_music21:
        return ("as music21" if from_elements else "as both"), ""
    if not from_elements:
        return "as its elements, unlike music21", from_music21
    return "unlike both" if suffix != ".krn" else "unlike music21", from_music21


def _unlike(ours: Notes, theirs: Notes) -> str:
    """The first note that only one of two has."""
    own, other = set(ours), set(theirs)
    if own == other:
        return ""
    more, less = sorted(own - other), sorted(other - own)
    words = [f"{len(more)} more", f"{len(less)} less"]
    words += [" ".join(map(str, each[0])) for each in (more, less) if each]
    return ", ".join(words)


def _overlaps(line: Notes) -> bool:
    """Whether two notes sound at once."""
    return any(one[0] + one[1] > other[0] for one, other in pairwise(line))


def _wrong(kept: Notes, line: Notes, row: dict[str, Any]) -> str:
    """What is wrong with a part as read, as far as its notices do not tell."""
    if row["bars"] or "left out" in row["notices"]:
        rest = iter(each[2] for each in line)
        inside = all(pitch in rest for _, _, pitch in kept)
        return "" if inside else "pitches that are not in the part in this order"
    if "filled up" in row["notices"] or "cut" in row["notices"]:
        return "" if [n[2] for n in kept] == [n[2] for n in line] else "other pitches"
    return comparing.difference(kept, line)
