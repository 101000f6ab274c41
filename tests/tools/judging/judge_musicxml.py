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
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

from envs.notation.reading.draft import Draft
from envs.notation.reading.selection import Known
from tests.tools.judging import comparing, music21_answers
from tests.tools.judging.comparing import Tried
from tests.tools.judging.oracles import Notes
from tests.tools.judging.xml_reading import xml_notes


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
    draft = None
    try:
        draft = _draft(data, path.suffix)
    except ValueError as error:
        row["written"] = f"refused: {comparing.kind_of(str(error))}"
    row["draft s"] = time.perf_counter() - start
    if draft is not None:
        row["written"], row["first difference"] = _verdict(draft, lines, answer)
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


def _draft(data: bytes, suffix: str) -> Draft:
    """A file as the project's reader has it, before it is laid out."""
    from envs.notation.reading.sheets import kern, musicxml

    read_draft = kern.read_draft if suffix == ".krn" else musicxml.read_draft
    return read_draft(unpacked(data) if suffix == ".mxl" else data, Known())


def unpacked(data: bytes) -> bytes:
    """The score of a compressed file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        root = ET.fromstring(archive.read("META-INF/container.xml"))
        place = next(each for each in root.iter() if each.tag.endswith("rootfile"))
        return archive.read(place.get("full-path") or "")


def _verdict(draft: Draft, lines: list[Notes], answer: dict[str, Any]) -> tuple[str, str]:
    """How the project's notes stand to music21's and to a plain reading of the elements."""
    ours = sorted(
        (each.start, each.end - each.start, each.pitch)
        for part in draft.parts
        for voice in part.voices
        for each in voice
    )
    theirs = sorted(note for line in lines for note in line)
    found = "music21 fails" if answer["error"] else _unlike(ours, theirs)
    path = Path(answer["file"])
    if path.suffix == ".krn":
        return ("unlike music21" if found else "as music21"), found
    root = ET.fromstring(
        unpacked(path.read_bytes()) if path.suffix == ".mxl" else path.read_bytes()
    )
    plainly, place = _elements(root), _places(draft)
    if not _unlike(place, plainly):
        return ("as its elements, unlike music21" if found else "as both"), found
    # Parts that disagree on the length of a measure, and ties into endings, change lengths only.
    by_onset = [[(*each[:2], each[3]) for each in line] for line in (place, plainly)]
    only_lengths = not _unlike(*by_onset)
    if not found:
        return "as music21, unlike its elements", _unlike(place, plainly)
    words = "as its elements but for lengths" if only_lengths else "unlike both"
    return words, _unlike(place, plainly)


def _places(draft: Draft) -> list[tuple[Any, ...]]:
    """Measure, onset in it, length and pitch of every note of a draft."""
    places = []
    for part in draft.parts:
        starts = [each.start for each in part.measures]
        for each in (sound for voice in part.voices for sound in voice):
            measure = bisect_right(starts, each.start) - 1
            places.append(
                (measure, each.start - starts[measure], each.end - each.start, each.pitch)
            )
    return places


def _elements(root: ET.Element) -> list[tuple[Any, ...]]:
    """Measure, onset in it, length and pitch of every note of partwise MusicXML."""
    places = []
    for part in range(len(root.findall("part"))):
        notes, measures = xml_notes(root, part, every=True)
        starts = [each["start"] for each in measures]
        for start, length, pitch in notes:
            measure = bisect_right(starts, start) - 1
            places.append((measure, start - starts[measure], length, pitch))
    return places


def _unlike(ours: Sequence[tuple[Any, ...]], theirs: Sequence[tuple[Any, ...]]) -> str:
    """The first note that only one of two has."""
    own, other = ({_rounded(note) for note in line} for line in (ours, theirs))
    if own == other:
        return ""
    more, less = sorted(own - other), sorted(other - own)
    words = [f"{len(more)} more", f"{len(less)} less"]
    words += [" ".join(map(str, each[0])) for each in (more, less) if each]
    return ", ".join(words)


def _rounded(note: tuple[Any, ...]) -> tuple[Any, ...]:
    """A note with its times on a grid of 48, as files round tuplets."""
    return tuple(round(each * 48) if isinstance(each, Fraction) else each for each in note)


def _overlaps(line: Notes) -> bool:
    """Return True if two notes sound at once."""
    return any(one[0] + one[1] > other[0] for one, other in pairwise(line))


def _wrong(kept: Notes, line: Notes, row: dict[str, Any]) -> str:
    """Return the faults of a part as read that its notices do not tell."""
    if row["bars"] or "left out" in row["notices"]:
        rest = iter(each[2] for each in line)
        inside = all(pitch in rest for _, _, pitch in kept)
        return "" if inside else "pitches that are not in the part in this order"
    if "filled up" in row["notices"] or "cut" in row["notices"]:
        return "" if [n[2] for n in kept] == [n[2] for n in line] else "other pitches"
    return comparing.difference(kept, line)
