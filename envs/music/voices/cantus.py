"""Cantus firmi: those of Fux, and what makes a line one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from envs.errors import did_you_mean, quoted
from envs.music.codec import HOLD
from envs.music.key import Key
from envs.music.piece import Piece
from envs.music.pitch import parse_pitch
from envs.music.task import Task

# Fux, Gradus ad Parnassum (1725): the notes by the final of the mode, a whole note each.
FUX = {
    "D": "D4 F4 E4 D4 G4 F4 A4 G4 F4 E4 D4",
    "E": "E4 C4 D4 C4 A3 A4 G4 E4 F4 E4",
    "F": "F3 G3 A3 F3 D3 E3 F3 C4 A3 F3 G3 F3",
    "G": "G3 C4 B3 G3 C4 E4 D4 G4 E4 C4 D4 B3 A3 G3",
    "A": "A3 C4 B3 D4 C4 E4 F4 E4 D4 C4 B3 A3",
    "C": "C4 E4 F4 G4 E4 A4 G4 E4 F4 E4 D4 C4",
}
# Lines that keep the rules of a cantus firmus in each mode: steps of its scale above the final.
LINES = """
0 1 -1 6 5 4 3 2 0 1 0
0 -2 -1 -3 -2 -1 -3 0 -1 1 0
0 2 3 5 6 7 5 4 3 1 0
0 -1 -2 -3 4 3 5 4 3 1 0
0 2 3 5 3 4 0 1 2 1 0
0 2 3 5 6 4 5 3 2 1 0
0 1 0 2 3 4 5 3 2 1 0
0 -2 5 4 7 6 5 4 3 1 0
0 2 3 5 6 7 6 4 3 1 0
0 -1 0 -2 -3 -1 -2 0 -1 1 0
0 -2 0 1 2 4 5 3 2 1 0
0 -2 5 4 5 6 5 4 0 1 0
0 -3 -2 -1 -3 -2 0 1 2 1 0
0 -1 1 2 3 4 5 3 2 1 0
0 -1 1 2 7 6 4 3 2 1 0
0 -2 0 1 2 3 1 2 0 1 0
0 1 3 4 3 5 0 1 2 1 0
0 -1 0 1 2 4 3 2 0 1 0
0 1 3 4 6 7 5 4 3 1 0
0 -3 -2 -3 0 -1 -2 0 -1 1 0
0 -1 0 1 -1 1 2 4 2 1 0
0 -1 -3 4 3 5 4 3 2 1 0
0 2 3 4 2 3 1 2 0 1 0
0 -2 5 4 7 6 5 4 2 1 0
0 -2 -1 4 3 2 1 0 2 1 0
0 -1 -3 4 3 2 1 0 -1 1 0
0 -1 1 2 3 5 6 4 3 1 0
0 -1 0 2 4 5 6 7 0 1 0
0 -1 1 2 3 5 4 3 2 1 0
0 2 4 5 6 7 5 4 3 1 0
0 2 4 5 4 2 1 -1 0 1 0
0 2 1 0 2 3 4 2 0 1 0
0 -1 -3 -2 -1 -2 -3 0 -1 1 0
0 -2 -1 -3 -2 -1 0 1 2 1 0
0 -1 -2 -1 1 2 3 1 2 1 0
0 -2 -1 0 2 3 2 4 2 1 0
0 2 4 5 7 4 5 4 3 1 0
0 1 0 1 2 4 3 2 0 1 0
0 -3 -2 0 1 3 2 1 2 1 0
0 -3 -2 -1 0 1 3 4 2 1 0
"""
# Modes by the semitones of their final above the tonic of the major key with their signature.
MODES = {
    **{0: "major", 2: "dorian", 4: "phrygian", 5: "lydian", 7: "mixolydian"},
    9: "natural minor",
}
SIGNATURES = ("C", "F", "G", "Bb", "D", "Eb", "A", "Ab", "E", "Db", "B", "Gb")  # by their signs
FEWEST, MOST = 3, 32  # notes
LOWEST, HIGHEST = parse_pitch("E2"), parse_pitch("A5")  # of voices


@dataclass(frozen=True)
class Cantus:
    """A cantus firmus: a note in each bar.

    Attributes:
        pitches: MIDI numbers, 3 to 32 of them, E2 to A5.
        key: its mode; the final is its tonic.
        title: its name.

    Raises:
        ValueError: too few or too many notes, or one that is out of range, foreign to the mode, or
            the last and not the final; says which bar.
    """

    pitches: tuple[int, ...]
    key: Key
    title: str = "Cantus firmus"

    def __post_init__(self) -> None:
        count = len(self.pitches)
        if not FEWEST <= count <= MOST:
            raise ValueError(
                f"a cantus firmus of {count} note{'s' * (count != 1)}: expected {FEWEST} to "
                f"{MOST}, a whole note each"
            )
        for bar, pitch in enumerate(self.pitches, 1):
            name = self.key.pitch_name(pitch)
            if not LOWEST <= pitch <= HIGHEST:
                raise ValueError(
                    f"bar {bar}: {name} is out of range for a cantus firmus; expected E2 to A5, so "
                    "transpose it"
                )
            if pitch % 12 not in self.key.pitch_classes:
                raise ValueError(
                    f"bar {bar}: {name} is not of the mode {self.key}; change it, or name another "
                    "mode (key=, --key)"
                )
        if self.pitches[-1] % 12 != self.key.pitch_class:
            raise ValueError(
                f"bar {count}: the cantus firmus ends on {self.key.pitch_name(self.pitches[-1])} "
                f"and not on the final of {self.key}; name another mode (key=, --key)"
            )

    @staticmethod
    def fux(final: str) -> Cantus:
        """Return Fux's cantus firmus of a mode by its final: D, E, F, G, A or C.

        Raises:
            ValueError: he has none.
        """
        if final.upper() not in FUX:
            raise ValueError(
                f"Fux has no cantus firmus {quoted(final)}.{did_you_mean(final, FUX)} Expected one "
                f"of {', '.join(f'fux-{name}' for name in FUX)}"
            )
        pitches = tuple(map(parse_pitch, FUX[final.upper()].split()))
        return Cantus(pitches, mode_of(pitches, Key("C")), f"Fux, cantus firmus in {final.upper()}")

    @staticmethod
    def named(text: str) -> Cantus | None:
        """Return the cantus firmus of a name such as 'fux-D'; None if the text is no such name."""
        name = re.fullmatch(r"fux[- ]([A-Za-z]+)", text.strip(), re.IGNORECASE)
        return Cantus.fux(name[1]) if name else None

    @staticmethod
    def of(piece: Piece, key: Key | None = None) -> Cantus:
        """Return the cantus firmus that a piece is.

        Args:
            piece: of one voice, a note in each bar of its metre.
            key: its mode; that of its last note in the piece's key signature if None.

        Raises:
            ValueError: several voices, a bar without a note that fills it, or as `Cantus`.
        """
        source = piece.source or "the piece"
        if piece.voices > 1:
            raise ValueError(
                f"{source} has {piece.voices} voices, or chords; expected a cantus firmus of one, "
                "so choose it (part=, voice=, top=; --part, --voice, --top)"
            )
        _require_whole(piece)
        pitches = tuple(note.pitch for note in piece.notes)
        key = key or mode_of(pitches, _signature(pitches, piece))
        return Cantus(pitches, key, piece.title or "Cantus firmus")


def _require_whole(piece: Piece) -> None:
    """Raise ValueError, with the number of the bar, unless a note fills each bar."""
    task, due = piece.task, 0
    if task.pickup:
        raise ValueError("the cantus firmus has a pickup; expected a note in each bar")
    for note in piece.notes:
        bar = due // task.bar_cells
        number = piece.numbers[bar] if bar < len(piece.numbers) else bar + 1
        want = "expected a note that fills the bar, such as a whole note in 4/4"
        if note.start > due:
            raise ValueError(f"bar {number}: a rest in the cantus firmus; {want}")
        if note.duration != task.bar_cells:
            name, quarters = task.key.pitch_name(note.pitch), note.duration / task.grid
            raise ValueError(
                f"bar {number}: {name} lasts {quarters:g} quarter notes and the bar "
                f"{task.bar_cells / task.grid:g}; {want}"
            )
        due += task.bar_cells
    if due < task.cells - task.bar_cells + 1:
        raise ValueError(f"bar {due // task.bar_cells + 1}: a rest at the end of the cantus firmus")


def _signature(pitches: Sequence[int], piece: Piece) -> Key:
    """Return the major key whose signature a cantus has: the file's, unless that was estimated."""
    used = {pitch % 12 for pitch in pitches}
    keys = [Key(name) for name in SIGNATURES]  # an estimate gives way to the fewest signs
    fits = [key for key in keys if used <= key.pitch_classes] if piece.estimated else []
    return fits[0] if fits else next(key for key in keys if key.pitch_class == piece.key.home)


def mode_of(pitches: Sequence[int], signature: Key) -> Key:
    """Return the mode with the last note as its final, in the signature of a major key.

    Raises:
        ValueError: the last note is the final of no mode.
    """
    above = (pitches[-1] - signature.pitch_class) % 12
    name = signature.spell(pitches[-1])[0]
    if above not in MODES:
        raise ValueError(
            f"bar {len(pitches)}: the cantus firmus ends on {name}, which is the final of no mode "
            f"in the signature of {signature}; expected D dorian and so on (key=, --key)"
        )
    return Key(name, MODES[above])


def drawn_firmi(key: Key, low: int, high: int) -> list[tuple[int, ...]]:
    """Return the pitches of LINES in a mode, each in an octave of a range, 11 notes each.

    Raises:
        ValueError: a scale that has no seven degrees, or a range in which no line lies.
    """
    if len(key.steps) != 7:
        raise ValueError(f"key={key}: expected a mode of seven degrees, such as D dorian")
    found = []
    for line in LINES.split("\n")[1:-1]:
        degrees = [int(word) for word in line.split()]
        heights = [12 * (degree // 7) + key.steps[degree % 7] for degree in degrees]
        finals = range(key.pitch_class, 128, 12)
        fits = [f for f in finals if low <= f + min(heights) and f + max(heights) <= high]
        if fits:
            twice = low + high - min(heights) - max(heights)  # of the final in the middle
            _, final = min((abs(2 * final - twice), final) for final in fits)
            found.append(tuple(final + height for height in heights))
    if not found:
        raise ValueError(
            f"no cantus firmus in {key} lies in {key.pitch_name(low)} to {key.pitch_name(high)}; "
            "expected a range of an octave or more for its voice (ranges)"
        )
    return found


def cantus_row(pitches: Sequence[int], task: Task) -> list[int]:
    """Return the tokens (cells,) of a cantus firmus, a note in each bar of a task."""
    held = [HOLD] * (task.bar_cells - 1)
    return [token for pitch in pitches for token in (task.codec.token(pitch), *held)]
