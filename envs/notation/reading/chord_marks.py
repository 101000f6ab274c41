"""Chord symbols of a file: the words of ABC and MusicXML, and the line that a task has of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from envs.music.chords import MAX_WORDS, SYMBOL
from envs.music.task import Task
from envs.notation.reading.draft import ChordMark

# What begins as a chord does and goes on as one; other words above a staff, such as Fine, do not.
LIKE_A_CHORD = re.compile(
    r"N\.?C\.?$|[A-G][b#♭♯]?(?:$|[\d(/+\-øΔ°]|maj|min|mi?(?![a-z])|M|dim|aug|sus|add|alt|o(?![a-z]))"
)
ANNOTATIONS = "^_<>@("  # begin words that are no chord, and a chord for which there is another
SPELLED = str.maketrans({"♭": "b", "♯": "#", "°": "o", "Δ": "maj"})
# Of MusicXML, as chord symbols have them; what is not here keeps its name, which is no symbol.
KINDS = {
    "major": "",
    "minor": "m",
    "augmented": "aug",
    "diminished": "dim",
    "dominant": "7",
    "major-seventh": "maj7",
    "minor-seventh": "m7",
    "diminished-seventh": "dim7",
    "half-diminished": "m7b5",
    "augmented-seventh": "aug7",
    "major-minor": "mmaj7",
    "major-sixth": "6",
    "minor-sixth": "m6",
    "dominant-ninth": "9",
    "major-ninth": "maj9",
    "minor-ninth": "m9",
    "dominant-11th": "11",
    "dominant-13th": "13",
    "suspended-second": "sus2",
    "suspended-fourth": "sus4",
    "power": "5",
}
ALTERED = {-1: "b", 0: "", 1: "#"}


def chord_word(text: str) -> str:
    """Return the chord symbol of words above a staff, "" if they are no chord.

    A chord of another spelling than `Task.chords` reads stays as it is written.
    """
    words = text.strip()
    if not words or words[0] in ANNOTATIONS or not LIKE_A_CHORD.match(words):
        return ""
    spelled = re.sub(r"^([A-G][b#]?)-", r"\1m", words.translate(SPELLED))
    return spelled if SYMBOL.fullmatch(spelled) else words


def spelled_chord(
    root: tuple[str, int], kind: str, degrees: Sequence[tuple[str, int, int]], bass: tuple[str, int]
) -> str:
    """Return the chord symbol of what MusicXML says of it.

    Args:
        root: letter and semitones of its alteration.
        kind: one of KINDS, or another.
        degrees: `add`, `alter` or another verb, the degree, and its alteration in semitones.
        bass: as the root, the letter "" if it is the root.
    """
    name = _letter(root) + KINDS.get(kind, f"({kind})")
    for verb, degree, by in degrees:
        sign = ALTERED.get(by, "?") if verb in ("add", "alter") else ""
        name += f"{sign}{degree}" if sign else f"{verb}{degree}"
    return name + f"/{_letter(bass)}" * bool(bass[0])


def _letter(note: tuple[str, int]) -> str:
    return note[0] + ALTERED.get(note[1], "?")


def chord_line(marks: Sequence[ChordMark], task: Task, notices: list[str]) -> str:
    """Return chord symbols as a line that `Task.chords` takes, "" if there is none.

    A chord lasts until the next one; those of an upbeat are left out.

    Args:
        marks: chord symbols at their times in quarter notes from the beginning, in any order.
        task: of the piece.
        notices: grow by what is wrong with the chords, of which then none is read.
    """
    if not marks:
        return ""
    other = next((mark.word for mark in marks if not SYMBOL.fullmatch(mark.word)), None)
    if other is not None:
        notices.append(
            f"chord symbols are left out, as {other[:20]!r} is none that is read; write such as "
            "C, Dm7, G7/B"
        )
        return ""
    at = {mark.start * task.grid - task.pickup: mark.word for mark in sorted(marks, key=_start)}
    cells = task.bar_cells
    before = [word for time, word in at.items() if time <= 0]
    if any(time.denominator > 1 for time in at) or not (before or min(at) < cells):
        where = "off the grid" if before or min(at) < cells else "missing in the first bar"
        notices.append(f"chord symbols are left out, as one is {where}")
        return ""
    word = before[-1] if before else at[min(at)]
    if not before:
        notices.append(f"the first chord symbol, {word}, is taken from the first bar line on")
    changes = {0: word}
    for time in sorted(time for time in at if time > 0):
        if at[time] != word:
            changes[int(time)] = word = at[time]
    rows = list(_rows(changes, cells, task.bars))
    if sum(map(len, rows)) > MAX_WORDS:
        notices.append(f"chord symbols are left out: more than {MAX_WORDS} of even length")
        return ""
    return " | ".join(" ".join(row) for row in rows) + " |" * (task.bars == 1)


def _start(mark: ChordMark) -> Fraction:
    return mark.start


def _rows(changes: Mapping[int, str], cells: int, bars: int) -> Iterator[list[str]]:
    """Yield the chords that share a bar evenly, for each bar of `cells` cells."""
    word = changes[0]
    for first in range(0, bars * cells, cells):
        own = {cell - first for cell in changes if first <= cell < first + cells}
        for count in range(1, cells + 1):
            places = [-(-cells * number // count) for number in range(count)]
            if own <= set(places):
                break
        row = []
        for place in places:
            word = changes.get(first + place, word)
            row.append(word)
        yield row
