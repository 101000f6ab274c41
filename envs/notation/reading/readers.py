"""Pieces from files and from music21: MIDI through symusic, MusicXML and ABC through music21.

A file comes from anywhere, so size and number are bounded before a library sees it, and whatever
goes wrong is one ValueError of one line.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from envs.errors import RefusedError
from envs.music.codec import Codec, Note
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.piece import Piece
from envs.notation.reading.abc import AbcFields, abc_text, standard_abc
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.midi import MidiFile
from envs.notation.reading.music21_stream import Sheet, parsed
from envs.notation.reading.musicxml import CONTAINER, elements, music_text
from envs.notation.reading.time_signatures import Signatures
from envs.notation.reading.times import broken, on_grid

if TYPE_CHECKING:
    from music21.stream import Stream

MAX_BYTES = 10_000_000
MAX_MEMBERS = 64  # files in an .mxl archive
Opened = MidiFile | Sheet
T = TypeVar("T")


def read_notes(path: str | Path, grid: int = 4) -> list[Note]:
    """The notes of a .mid, .midi, .musicxml, .xml, .mxl or .abc file.

    Each part (in MIDI each track that has notes) is a voice. Tied notes are one note, repeats are
    read once, and grace notes, percussion and chord symbols are left out.

    Args:
        path: the file.
        grid: cells per quarter note.

    Raises:
        ValueError: the file is missing, broken, too large, empty of notes, off the grid, or has
            two notes at once in one voice.
    """
    Codec(grid=grid)  # checks the grid

    def notes(file: Opened) -> list[Note]:
        sounds = sorted(file.sounds())
        if not sounds:
            raise RefusedError("it holds no notes; expected at least one pitched note")
        return on_grid(sounds, grid)

    return _with_name(path, notes)


def read_piece(
    path: str | Path,
    *,
    grid: int | None = None,
    key: str | Key | None = None,
    meter: str | Meter | None = None,
    pickup: int | None = None,
    part: int | None = None,
) -> Piece:
    """The notes of a file, and what it says of itself.

    As `read_notes`, with these differences: bars lie as the metre has them, repeats are played
    with their last ending only, and a MIDI file's notes may end a little off the grid.

    Args:
        path: a .mid, .midi, .musicxml, .xml, .mxl or .abc file.
        grid: cells per quarter note; four if they fit, else what fits of 2, 3, 6, 8 and 12.
        key: such as "G major", instead of the file's. If neither names one it is estimated.
        meter: such as "6/8", instead of the file's.
        pickup: cells before the first bar line, instead of the file's.
        part: number of the only part to read, from 1; each part is a voice if None.

    Raises:
        ValueError: as `read_notes`; or the metre changes, or there are too many bars or voices.
    """
    known = _Known(grid, key, meter, pickup, part)
    return _with_name(path, known.piece)


def from_music21(
    stream: Stream[Any],
    *,
    grid: int | None = None,
    key: str | Key | None = None,
    meter: str | Meter | None = None,
    pickup: int | None = None,
    part: int | None = None,
) -> Piece:
    """A music21 score, part or stream of notes as a piece; arguments as `read_piece`.

    Raises:
        ValueError: as `read_piece`.
    """
    known = _Known(grid, key, meter, pickup, part)
    try:
        return known.piece(Sheet(stream, "a music21 stream"))
    except RefusedError as refusal:
        raise ValueError(f"the music21 stream: {refusal}") from None


class _Known:
    """What a caller knows better than the file."""

    def __init__(
        self,
        grid: int | None,
        key: str | Key | None,
        meter: str | Meter | None,
        pickup: int | None,
        part: int | None,
    ) -> None:
        if grid is not None:
            Codec(grid=grid)  # checks the grid
        if part is not None and part < 1:
            raise ValueError(f"part {part}: expected 1 or more, or None for all")
        if pickup is not None and pickup < 0:
            raise ValueError(f"pickup {pickup}: expected 0 cells or more")
        self.grid, self.pickup, self.part = grid, pickup, part
        self.key = None if key is None else Key.parse(key)
        self.meter = None if meter is None else Meter.parse(meter)

    def piece(self, file: Opened) -> Piece:
        """The file as a piece."""
        sounds = list(file.sounds(None if self.part is None else self.part - 1))
        if not sounds and self.part is not None:
            numbers = sorted({sound.voice + 1 for sound in file.sounds()})
            told = ", ".join(map(str, numbers)) or "none"
            raise RefusedError(f"part {self.part} holds no notes; parts that do: {told}")
        facts = file.facts(self.meter)
        try:
            return make_piece(facts, sounds, self.grid, self.key, self.pickup)
        except RefusedError:
            raise
        except ValueError as error:  # of the task: a bar of no whole cells, too many cells
            raise RefusedError(str(error)) from None


# -- files -----------------------------------------------------------------------------------------


def _with_name(path: str | Path, read: Callable[[Opened], T]) -> T:
    """What `read` makes of a file; whatever is wrong with it is told with its name."""
    path = Path(path)
    opener = READERS.get(path.suffix.lower())
    if opener is None:
        known = ", ".join(READERS)
        raise ValueError(f"{str(path)!r}: cannot read {path.suffix!r} files; expected {known}")
    data = _bytes(path)
    try:
        return read(opener(data))
    except RefusedError as refusal:
        raise ValueError(f"{str(path)!r}: {refusal}") from None


def _bytes(path: Path) -> bytes:
    if not path.is_file():  # also refuses pipes and devices, which could block for ever
        raise ValueError(f"{str(path)!r}: there is no such file; check the name")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{str(path)!r}: cannot be read ({error.strerror})") from None
    if len(data) > MAX_BYTES:
        raise ValueError(f"{str(path)!r}: larger than {MAX_BYTES // 10**6} MB; expected one piece")
    if not data:
        raise ValueError(f"{str(path)!r}: the file is empty; expected a piece of music")
    return data


def _xml(data: bytes) -> Sheet:
    signatures = Signatures()
    stream = parsed(music_text(data, signatures), "musicxml", "MusicXML")
    return Sheet(stream, "MusicXML", signatures=signatures)


def _mxl(data: bytes) -> Sheet:
    """A zip archive whose META-INF/container.xml names the score."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > MAX_MEMBERS:
                raise RefusedError(f"it packs more than {MAX_MEMBERS} files; expected one score")
            packed = _member(archive, "META-INF/container.xml")
            root = elements(packed, CONTAINER, "a container").find(".//rootfile")
            if root is None:
                raise RefusedError("its container.xml names no score; export it anew")
            score = _member(archive, root.get("full-path", ""))
    except RefusedError:
        raise
    except Exception as error:  # zipfile and zlib raise about ten kinds on hostile archives
        raise broken("compressed MusicXML", error) from None
    return _xml(score)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # What the archive says about the size may be a lie: stop reading at the bound.
    with archive.open(name) as member:
        data = member.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise RefusedError(f"it unpacks to more than {MAX_BYTES // 10**6} MB; expected one piece")
    return data


def _abc(data: bytes) -> Sheet:
    text = abc_text(data)
    stream = parsed(standard_abc(text), "abc", "ABC")
    return Sheet(stream, "ABC", AbcFields(text))


READERS: dict[str, Callable[[bytes], Opened]] = {
    ".mid": MidiFile,
    ".midi": MidiFile,
    ".musicxml": _xml,
    ".xml": _xml,
    ".mxl": _mxl,
    ".abc": _abc,
}
