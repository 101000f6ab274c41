"""Writers of pieces by the suffix of the file; a new format is one line of WRITERS."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from envs.durable_files import write_atomic
from envs.music.piece import Piece
from envs.notation.suffixes import entry
from envs.notation.writing.abc import abc
from envs.notation.writing.engrave import svg
from envs.notation.writing.midi import midi_bytes
from envs.notation.writing.musicxml import Marks, musicxml
from envs.notation.writing.roll import roll_svg
from envs.notation.writing.sound import wav_bytes

TEMPO = 80.0  # beats per minute of a piece that names none
Writer = Callable[[Piece], bytes]


@lru_cache(maxsize=1)
def _document(piece: Piece) -> str:
    # MusicXML is slow to make and the engraver needs it too.
    marks = Marks(numbers=piece.numbers)
    return musicxml(piece.score, 0, piece.title, piece.tempo or TEMPO, marks=marks)


WRITERS: dict[str, Writer] = {
    ".mid": lambda piece: midi_bytes(piece.score, 0, piece.tempo or TEMPO, piece.title),
    ".musicxml": lambda piece: _document(piece).encode(),
    ".abc": lambda piece: abc(piece.score, 0, piece.title, 1, piece.tempo or TEMPO).encode(),
    ".svg": lambda piece: svg(_document(piece)).encode(),
    ".roll.svg": lambda piece: roll_svg(piece.score).encode(),
    ".wav": lambda piece: wav_bytes(piece.score, 0, piece.tempo or TEMPO),
}


def written(piece: Piece, suffix: str) -> bytes:
    """Return the content of a file of a piece.

    Args:
        piece: to write.
        suffix: the format, one of WRITERS, such as ".mid".

    Raises:
        ValueError: no writer has that suffix, or the format cannot hold the piece.
    """
    return entry(WRITERS, suffix, "write")(piece)


def write_piece(piece: Piece, path: str | Path) -> None:
    """Write a piece to a file in the format of its suffix, one of WRITERS.

    Raises:
        ValueError: no writer has that suffix, or the format cannot hold the piece.
        OSError: the file cannot be written.
    """
    write_atomic(Path(path), entry(WRITERS, str(path), "write")(piece))
