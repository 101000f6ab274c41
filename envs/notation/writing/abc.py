"""ABC notation of a piece: plain text that people read and programs play.

Accidentals: readers disagree whether one holds to the end of the bar and for which octaves. Here
every note outside the key signature carries its own, and so does every later note of that letter
in the bar, which reads the same under each of the conventions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING

from envs.music.chords import SYMBOL
from envs.music.key import signature, spelled, written_key
from envs.music.meter import beat_quarters
from envs.music.voices.pairs import voice_name
from envs.notation.writing.staves import Staff, staves_of
from envs.notation.writing.symbols import BARS_PER_LINE, Symbol, bars_of, chord_changes, in_time

if TYPE_CHECKING:
    from envs.music.key import Key
    from envs.music.score import Score

_MODES = {"major": "", "minor": "m"}  # the others by their first three letters
_SIGNS = {-2: "__", -1: "_", 0: "=", 1: "^", 2: "^^"}


def abc(
    score: Score,
    row: int = 0,
    title: str = "",
    number: int = 1,
    tempo: float = 80.0,
    remarks: Sequence[str] = (),
) -> str:
    """Return one piece as a tune in ABC 2.1.

    Args:
        score: the pieces.
        row: which of them.
        title: its T: field.
        number: its X: field.
        tempo: beats per minute, see `beat_quarters`.
        remarks: lines to put beneath the tune, as comments.

    Raises:
        ValueError: a rhythm that ABC has no tuplet for, such as eleven notes in a quarter.
    """
    task = score.task
    key = written_key(task.key)
    # The finest note without tuplets; at twelve cells per quarter this is the 32nd.
    unit = Fraction(1, 1 << (task.grid.bit_length() - 1))
    beat = beat_quarters(task.meter) / 4
    mode = _MODES.get(key.written_mode, key.written_mode[:3])
    staves = staves_of(score, row)
    lines = [
        f"X:{number}",
        f"T:{_one_line(title) or 'Untitled'}",
        *([f"%%score {_score_line(staves)}"] if task.voices > 1 else []),
        f"M:{task.meter}",
        f"L:{unit / 4}",
        f"Q:{beat.numerator}/{beat.denominator}={tempo:g}",
        f"K:{key.tonic}{mode}",
    ]
    for staff in staves:
        voices = [bars_of(score, row, voice) for voice in staff.voices]
        for voice, own in zip(staff.voices, _signed(voices, key), strict=True):
            clef = " clef=bass" * staff.low
            if task.voices > 1:
                name = voice_name(task.voices, voice).capitalize()
                lines.append(f'V:{voice + 1} name="{name}"{clef}')
            elif clef:
                # The clef stands here, for behind K: some readers take it for a transposition.
                lines.append(f"V:1{clef}")
            bars = [
                _bar(symbols, key, unit, chord_changes(task, index) if voice == 0 else [])
                for index, symbols in enumerate(own)
            ]
            for first in range(0, len(bars), BARS_PER_LINE):
                last = first + BARS_PER_LINE >= len(bars)
                line = " | ".join(bars[first : first + BARS_PER_LINE])
                lines.append(line + (" |]" if last else " |"))
    lines += [f"% {_one_line(remark)}" for remark in remarks]
    return "\n".join(lines) + "\n"


def _score_line(staves: Sequence[Staff]) -> str:
    """Return voices by staves for %%score, such as '[(1 2) (3 4)]'."""
    named = [" ".join(str(voice + 1) for voice in staff.voices) for staff in staves]
    shown = [f"({each})" if s.shared else each for each, s in zip(named, staves, strict=True)]
    return f"[{' '.join(shown)}]"


def _signed(
    voices: Sequence[Sequence[Sequence[Symbol]]], key: Key
) -> Iterator[list[list[tuple[Symbol, bool]]]]:
    """Yield the bars of each voice of a staff, each symbol with True if it carries an accidental.

    It does so where its letter is not as in the signature, or had a sign before in the bar.
    """
    plain = signature(key)
    signed: set[tuple[int, int]] = set()  # voice and start
    for bars in zip(*voices, strict=True):
        letters: set[str] = set()
        for start, voice, symbol in in_time(bars):
            if symbol.pitch is not None:
                letter, altered, _ = spelled(key, symbol.pitch)
                if altered != plain[letter] or letter in letters:
                    letters.add(letter)
                    signed.add((voice, start))
    for voice, own in enumerate(voices):
        yield [[(each, (voice, each.start) in signed) for each in bar] for bar in own]


def _one_line(words: str) -> str:
    # A line break would begin a new field, a percent sign a comment, and a backslash or an
    # ampersand a letter.
    line = " ".join(words.split()).replace("\\", r"\\").replace("%", r"\%")
    return re.sub(r"&(?=#?\w+;)", r"\\&", line)


def _bar(
    bar: Sequence[tuple[Symbol, bool]], key: Key, unit: Fraction, chords: Sequence[tuple[int, str]]
) -> str:
    """Return a bar; what stands without a space between is beamed.

    A chord stands before the note that sounds where it begins: ABC has no other place for it.
    """
    named = {
        symbol.start: "".join(
            f'"{_chord(name)}"' for cell, name in chords if 0 <= cell - symbol.start < symbol.cells
        )
        for symbol, _ in bar
    }
    beats: list[str] = []
    for _, group in groupby(bar, key=lambda each: each[0].group):
        beat = list(group)
        beats.append(
            _opening([symbol for symbol, _ in beat])
            + "".join(named[s.start] + _symbol(s, key, unit, signed) for s, signed in beat)
        )
    return " ".join(beats)


def _chord(name: str) -> str:
    """Return a chord symbol; words above the staff where lead sheets have no such symbol."""
    return name if SYMBOL.fullmatch(name) else f"^{name}"


def _opening(beat: list[Symbol]) -> str:
    if beat[0].tuplet is None:
        return ""
    _, drawn, time_of = beat[0].tuplet
    if drawn > 9:
        raise ValueError(
            f"cell {beat[0].start}: a group of {drawn} notes in the time of {time_of}; ABC has "
            "tuplets of up to 9. Write MusicXML or MIDI, or use a grid such as 4, 6 or 12"
        )
    return f"({drawn}:{time_of}:{len(beat)}"


def _symbol(symbol: Symbol, key: Key, unit: Fraction, signed: bool) -> str:
    count = symbol.written / unit
    length = "" if count == 1 else str(count)
    if symbol.pitch is None:
        return "z" + length
    letter, altered, octave = spelled(key, symbol.pitch)
    sign = _SIGNS[altered] if signed else ""
    # C is middle C's octave, c the next; commas and apostrophes lead further.
    name = letter + "," * (4 - octave) if octave <= 4 else letter.lower() + "'" * (octave - 5)
    return f"{sign}{name}{length}{'-' if symbol.tied else ''}"
