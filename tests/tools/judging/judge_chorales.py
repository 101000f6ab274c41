"""Bach's four-part chorales: notes and parallels as music21 has them, and as they are found here.

    python -m tests.tools.judging chorales --folder judged

Each file of music21's Bach folder that has four parts is read twice: by the readers here, and by
music21, whose notes are taken as they stand in its streams, ties joined. Then the parallels between
each two voices are asked of the rules here, and of music21's VoiceLeadingQuartet at the same moving
pairs: moments at which a note begins in both voices, where both sounded until then, and both go to
another pitch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from envs.errors import RefusedError
from envs.music.piece import Piece
from envs.music.voices.pairs import pairs
from envs.notation.reading.readers import read_piece
from rewards.rule import REGISTRY

Sung = tuple[Fraction, Fraction, int]  # start and end in quarter notes, MIDI pitch
Parallel = tuple[str, int, int, Fraction]  # rule, upper and lower voice, time in quarter notes
VOICES = 4
FILLED = "filled up with silence"  # of a notice on a bar that is shorter than its metre
PREDICATES = {  # of music21, by the rule here that says the same
    "parallel_fifths": ("parallelFifth",),
    "parallel_octaves": ("parallelOctave", "parallelUnison"),
}


@dataclass
class Judged:
    """One chorale.

    Attributes:
        name: of its file.
        refused: why the readers here refuse it, "" if they do not.
        unlike: for each voice whose notes differ why they do.
        moving: number of moving pairs.
        both, ours, theirs: parallels that both find, that only the rules here, and only music21.
    """

    name: str
    refused: str = ""
    unlike: list[str] = field(default_factory=list)
    moving: int = 0
    both: Counter[str] = field(default_factory=Counter)
    ours: list[str] = field(default_factory=list)
    theirs: list[str] = field(default_factory=list)


def files() -> list[Path]:
    """The files of music21's folder of Bach."""
    from music21 import common

    folder = Path(common.getCorpusFilePath()) / "bach"
    return sorted(path for path in folder.iterdir() if path.suffix in (".mxl", ".xml", ".krn"))


def judged(path: Path) -> Judged | None:
    """The comparison of one file, None if it has not four parts of single notes."""
    from music21 import converter

    score = converter.parse(path, forceSource=True)
    parts = list(score.parts)
    if len(parts) != VOICES:
        return None
    names = [str(part.partName) for part in parts]
    theirs = [sung(part) for part in parts]
    found = Judged(path.name)
    try:
        piece = read_piece(path)
    except RefusedError as refusal:
        found.refused = str(refusal).partition(": ")[2]
        return found
    ours = heard(piece)
    if len(ours) != VOICES or not all(theirs):
        found.refused = f"{len(ours)} voices are read"
        return found
    for voice, (own, other) in enumerate(zip(ours, theirs, strict=True)):
        if own != [each[:3] for each in other]:
            found.unlike.append(f"{names[voice]}: {reason(own, other, piece)}")
    if not found.unlike:
        compare_parallels(found, piece, theirs)
    return found


def sung(part: Any) -> list[tuple[Any, ...]]:
    """Start, end, pitch and the note itself of each note of a part of music21, ties joined."""
    notes: list[tuple[Any, ...]] = []
    for each in part.flatten().notes:
        if each.duration.isGrace:
            continue
        start = Fraction(each.offset).limit_denominator(1000)
        end = start + Fraction(each.quarterLength).limit_denominator(1000)
        for pitch in each.pitches:
            tied = each.tie is not None and each.tie.type in ("stop", "continue")
            if tied and notes and notes[-1][1:3] == (start, pitch.midi):
                notes[-1] = (notes[-1][0], end, pitch.midi, notes[-1][3])
            else:
                notes.append((start, end, pitch.midi, pitch))
    return notes


def heard(piece: Piece) -> list[list[Sung]]:
    """The notes of each voice of a piece that was read here, in quarter notes."""
    voices: list[list[Sung]] = [[] for _ in range(piece.voices)]
    for note in piece.notes:
        start = Fraction(note.start, piece.grid)
        end = Fraction(note.start + note.duration, piece.grid)
        voices[note.voice].append((start, end, note.pitch))
    return voices


def reason(own: list[Sung], other: list[tuple[Any, ...]], piece: Piece) -> str:
    """Why the notes of a voice differ, as far as it can be told."""
    if [each[2] for each in own] != [each[2] for each in other]:
        return f"other pitches: {len(own)} notes for {len(other)}"
    return next((words for words in piece.notices if FILLED in words), "other times")


# -- parallels -------------------------------------------------------------------------------------


def compare_parallels(found: Judged, piece: Piece, theirs: list[list[tuple[Any, ...]]]) -> None:
    """Count the parallels of a piece, as the rules here and as music21 find them."""
    from music21.note import Note
    from music21.voiceLeading import VoiceLeadingQuartet

    own = set(parallels(piece))
    asked: dict[Parallel, str] = {}
    for upper, lower in combinations(range(VOICES), 2):
        for time, notes in moving(theirs[upper], theirs[lower]):
            found.moving += 1
            quartet = VoiceLeadingQuartet(*(Note(each[3]) for each in notes))
            words = f"{found.name} {float(time):g}: " + " ".join(
                each[3].nameWithOctave for each in notes
            )
            for rule, predicates in PREDICATES.items():
                key = rule, upper, lower, time
                asked[key] = f"{rule} {words}"
                theirs_too = any(getattr(quartet, name)() for name in predicates)
                if theirs_too and key in own:
                    found.both[rule] += 1
                elif theirs_too:
                    found.theirs.append(asked[key])
                elif key in own:
                    found.ours.append(asked[key])
    found.ours += [f"no moving pair: {key}" for key in sorted(own - asked.keys())]


def parallels(piece: Piece) -> Iterator[Parallel]:
    """The parallels that the rules here find."""
    for rule in PREDICATES:
        for pair in pairs(piece.score):
            for voice, cell in np.argwhere(REGISTRY[rule].against(pair)[0]).tolist():
                yield rule, pair.other, voice, Fraction(cell, piece.grid)


def moving(
    one: list[tuple[Any, ...]], two: list[tuple[Any, ...]]
) -> Iterator[tuple[Fraction, list[tuple[Any, ...]]]]:
    """Time and the four notes of each moment at which two voices go to another pitch together."""
    steps = {b[0]: (a, b) for a, b in pairwise(two) if a[1] == b[0] and a[2] != b[2]}
    for a, b in pairwise(one):
        if a[1] == b[0] and a[2] != b[2] and b[0] in steps:
            yield b[0], [a, b, *steps[b[0]]]


# -- the table -------------------------------------------------------------------------------------


def judge(folder: Path, python: str = "", every: int = 1) -> str:
    """Return the table for all chorales, or every n-th; neither folder nor Python are needed."""
    found = [each for path in files()[::every] if (each := judged(path)) is not None]
    read = [each for each in found if not each.refused]
    alike = [each for each in read if not each.unlike]
    lines = [
        f"{len(found)} files of four parts, {len(read)} read, {len(alike)} with all notes and "
        f"voices as music21's, {sum(each.moving for each in alike):,} moving pairs in these",
    ]
    for rule in PREDICATES:
        both = sum(each.both[rule] for each in alike)
        ours, theirs = (
            sum(words.startswith(rule) for each in alike for words in getattr(each, side))
            for side in ("ours", "theirs")
        )
        lines.append(f"{rule}: {both} found by both, {ours} here only, {theirs} by music21 only")
    lines += [f"refused: {each.name}: {each.refused}" for each in found if each.refused]
    lines += [f"other notes: {each.name}: {'; '.join(each.unlike)}" for each in read if each.unlike]
    for side, words in (("ours", "here only"), ("theirs", "music21 only")):
        lines += [f"{words}: {each}" for one in alike for each in getattr(one, side)]
    return "\n".join(lines)
