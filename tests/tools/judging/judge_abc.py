"""Judge of the ABC reader: every tune of the corpus against abc2xml and abc2midi.

The first voice as written, all endings, is compared with both; then the piece that is made of it:
the notes with the last endings only, the upbeat, the key and the metre, with abc2xml's.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from envs.music.key import Key
from envs.music.meter import Meter
from tests.tools.judging import comparing
from tests.tools.judging.abc_answers import answers, notes
from tests.tools.judging.comparing import Tried
from tests.tools.judging.oracles import Notes

NEAR = Fraction(1, 40)  # of a quarter, what abc2midi rounds and cuts off
# Why a tune may be read in two ways; the first that its text shows.
REASONS = (
    ("others wrong: signs of mail, =3D for =", r"=3D|=20\n"),
    ("ambiguous: a tie behind grace notes", r"\}-"),
    ("others wrong: no L:, units by the metre", r"\A(?![\s\S]*\nL:)[\s\S]*\nM: ?2/4"),
    ("abc2xml wrong: K:Hp", r"\nK: ?H[pP]"),
    ("others differ: tuplets of 5, 6 and 9, and p:q", r"\([5-9]|\(3:2[^:]"),
    ("tune broken: a token goes over two lines", r"\[[A-Ga-g]?\n|\n/|\n\d"),
    ("abc2xml wrong: words in the header", r"\n(?![A-Za-z+]:|%)[^\n]*\n(?:[^\n]*\n)*?K:"),
    (
        "undefined: broken rhythm of two lengths",
        r"[>][\"()\w^_=.]*?[A-Ga-g]\d*/|[<>][A-Ga-g][2-9]|/\d?[<>]",
    ),
    ("ambiguous: a chord of two lengths", r"\[[A-Ga-g]\d?[A-Ga-g]\d?\]"),
    ("ambiguous: a tie between > and its note", r"[<>]-|-[<>]"),
    ("undefined: broken rhythm out of a tuplet", r"\(\d[^ |]+ ?[<>]"),
)
SAME, WRONG = "as both", "unlike both, which agree"
PITCH = "as abc2midi, accidentals hold in all octaves"  # the standard's default


def judge(folder: Path, python: str) -> str:
    """Read all tunes; return the tables, write `abc.csv` with a row for each.

    Args:
        folder: `answers.json` in it keeps what the other programs say.
        python: in which `abctoolkit` can be imported.
    """
    folder.mkdir(exist_ok=True)
    rows = [_try(tune) for tune in answers(folder / "answers.json", python)]
    for number, row in enumerate(rows):
        row["tune"] = number
    comparing.save(folder / "abc.csv", rows)
    kinds = Counter((row["written"], row["reason"]) for row in rows)
    made = Counter(row["piece"] or "right" for row in rows if not row["refused"])
    refused = [
        f"{row['refused']} (other programs {'agree' if row['agree'] else 'differ'})"
        for row in rows
        if row["refused"]
    ]
    return "\n\n".join(
        [
            comparing.table(
                [(*kind, count) for kind, count in kinds.most_common()],
                ["first voice as written", "reason", "tunes"],
            ),
            comparing.table(comparing.counted(made.elements()), ["tunes read", "the piece"]),
            comparing.table(comparing.counted(refused), ["tunes", "piece refused"]),
            f"seconds, median / max: draft {comparing.times([row['draft s'] for row in rows])}, "
            f"piece {comparing.times([row['piece s'] for row in rows])}",
        ]
    )


def _try(tune: dict[str, Any]) -> dict[str, Any]:
    xml = notes(tune["xml"]["notes"]) if tune["xml"] else None
    octave, pitch = (None if tune[s] is None else notes(tune[s]) for s in ("octave", "pitch"))
    agree = xml is not None and octave is not None and not _unlike(octave, xml)
    row: dict[str, Any] = {
        "tune": 0,
        "file": tune["file"],
        "number": tune["number"],
        "agree": agree,
        "written": "",
        "first difference": "",
        "reason": "",
        "refused": "",
        "piece": "",
        "notices": "",
    }
    data = tune["text"].encode()
    start = time.perf_counter()
    try:
        ours = _draft_notes(data)
    except ValueError as error:
        ours, row["written"] = None, f"refused: {comparing.kind_of(str(error))}"
    row["draft s"] = time.perf_counter() - start
    if ours is not None:
        row["written"], row["first difference"] = _verdict(ours, xml, octave, pitch)
    if row["written"] not in (SAME, PITCH):
        row["reason"] = next((why for why, sign in REASONS if re.search(sign, tune["text"])), "")
    tried = Tried(data, ".abc", part=1, voice=1, top=True)
    row["piece s"], row["refused"] = tried.seconds, tried.refusal
    if tried.piece is not None:
        row["notices"] = "; ".join(tried.piece.notices)
        row["piece"] = _piece(tried, tune, ours)
    return row


def _draft_notes(data: bytes) -> Notes:
    """The first voice as written, by the project's reader."""
    from envs.notation.reading.abc import read_draft
    from envs.notation.reading.selection import Known

    draft = read_draft(data, Known())
    first = draft.parts[0].voices[0] if draft.parts and draft.parts[0].voices else []
    return sorted({(each.start, each.end - each.start, each.pitch) for each in first})


def _unlike(ours: Notes, theirs: Notes) -> str:
    """The first difference; the lengths of chords count by their highest note."""
    ours, theirs = sorted(set(ours)), sorted(set(theirs))
    all_of_them = comparing.difference(ours, theirs, NEAR)
    return all_of_them and comparing.difference(_tops(ours), _tops(theirs), NEAR)


def _tops(line: Notes) -> Notes:
    """The highest notes of chords whose notes begin at once, or nearly."""
    return comparing.top([(round(start * 96) / Fraction(96), *rest) for start, *rest in line])


def _verdict(
    ours: Notes, xml: Notes | None, octave: Notes | None, pitch: Notes | None
) -> tuple[str, str]:
    """How the project's notes stand to those of the others, and the first difference."""
    if xml is None or octave is None or pitch is None:
        other = xml or octave or pitch
        if other is None:
            return "no other program reads it", ""
        found = _unlike(ours, other)
        return ("unlike the only one that reads it" if found else "as the only one"), found
    from_xml, from_midi, from_pitch = (_unlike(ours, each) for each in (xml, octave, pitch))
    if not from_xml or not from_midi:
        if not from_xml and not from_midi:
            return SAME, ""
        return f"they differ: as {'abc2midi' if from_xml else 'abc2xml'}", from_xml or from_midi
    if not from_pitch:
        return PITCH, from_xml
    if not _unlike(octave, xml):
        return WRONG, from_xml
    times = [[each[:2] for each in line] for line in (xml, octave)]
    times_ours = [each[:2] for each in ours]
    pitches = [[each[2] for each in line] for line in (xml, octave, pitch)]
    mixed = any(_near(times_ours, each) for each in times) and [n[2] for n in ours] in pitches
    return ("they differ: rhythm of one, pitches of another" if mixed else "all differ"), from_xml


def _near(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(
        abs(a - b) <= NEAR
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def _piece(tried: Tried, tune: dict[str, Any], ours: Notes | None) -> str:
    """Return the fault of a piece against abc2xml's bars and endings, empty if there is none."""
    found = tune["repeated"]
    piece = tried.piece
    if piece is None or not found or not found["notes"]:
        return "not compared: abc2xml does not read it"
    written = notes(found["notes"])
    if ours is None or _unlike(ours, written):
        return "not compared: read otherwise by abc2xml"
    measures = [each for each in found["measures"] if Fraction(each["length"])]
    wrong = []
    first, kept, shift = measures[0], [], Fraction(0)
    for each, skipped in zip(measures, _skipped(measures), strict=True):
        begin, length = Fraction(each["start"]), Fraction(each["length"])
        if skipped:
            shift += length
            continue
        kept += [
            (start - shift, size, pitch)
            for start, size, pitch in comparing.top(ours)
            if begin <= start < begin + length
        ]
    made = comparing.notes_of(piece)
    if "filled up" in "; ".join(piece.notices):
        same = [each[2] for each in made] == [each[2] for each in kept]
        wrong += [] if same else ["notes (bars filled up)"]
    elif made != kept:
        wrong.append("notes: " + (comparing.difference(made, kept) or "shifted"))
    if first["meter"] and piece.task.meter.bar != Meter.parse(first["meter"]).bar:
        wrong.append(f"metre {piece.task.meter}, not {first['meter']}")
    bar = piece.task.meter.bar
    length = Fraction(first["length"])
    upbeat = length if length < bar and len(measures) > 1 else Fraction(0)
    if Fraction(piece.task.pickup, piece.task.grid) != upbeat:
        own = Fraction(piece.task.pickup, piece.task.grid)
        wrong.append(f"upbeat {own}, not {upbeat}")
    fifths, _, mode = (first["key"] or "0 ").partition(" ")
    if str(piece.key) != str(_key(int(fifths), mode)) and not piece.estimated:
        wrong.append(f"key {piece.key}, not {_key(int(fifths), mode)}")
    return "; ".join(wrong)


def _skipped(measures: Sequence[dict[str, Any]]) -> list[bool]:
    """Which measures are endings that another follows."""
    result = [False] * len(measures)
    for number, each in enumerate(measures):
        later = number
        while later < len(measures) and measures[later]["ending"] == each["ending"]:
            later += 1
        following = measures[later]["ending"] if later < len(measures) else ""
        result[number] = bool(each["ending"] and following)
    return result


def _key(fifths: int, mode: str) -> Key | str:
    from envs.music.key import MODE_FIFTHS
    from envs.music.pitch import line_of_fifths_name

    mode = {"": "major", "ionian": "major", "aeolian": "minor"}.get(mode, mode)
    if mode not in MODE_FIFTHS:
        return mode
    return Key(line_of_fifths_name(fifths + MODE_FIFTHS[mode]), mode)
