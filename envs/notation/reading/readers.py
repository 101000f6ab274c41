"""Readers of pieces by the suffix of the file; a new format is one line of READERS.

A file comes from anywhere, so it is read in a child process with limits of time and memory, and
whatever is wrong with it is one RefusedError of one line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from envs.errors import RefusedError, UnreadError, quoted
from envs.music.piece import Piece
from envs.notation.address import parse_address
from envs.notation.reading.abc import read_abc
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.midi.reader import read_midi
from envs.notation.reading.sandbox import Limits, read_apart
from envs.notation.reading.selection import Known, one_tune
from envs.notation.reading.sheets import musicxml
from envs.notation.reading.sheets.kern import read_kern
from envs.notation.reading.sheets.musicxml import read_mxl, read_xml
from envs.notation.reading.times import MAX_BYTES, refusing
from envs.notation.suffixes import FOREIGN, PICTURES, entry

if TYPE_CHECKING:
    from music21.stream import Stream

Reader = Callable[[bytes, Known], Piece]


def read_piece(
    source: str | Path | bytes | IO[Any],
    suffix: str | None = None,
    *,
    limits: Limits | None = None,
    **known: Any,
) -> Piece:
    """Read a piece from a file of one of READERS' formats, or from a part of one.

    "theme.abc#7:1-32" names the seventh tune of a file and bars of it, as they are printed; a
    pickup is bar 0. An existing file of exactly that name goes before. Each part (in MIDI each
    track that has notes, or channel of one) is a voice. Tied notes are one note, repeats are played
    once with their last ending, grace notes and percussion are left out, and chord symbols are no
    part of the task but `Piece.chords`.
    A reader that no other process can import, as of a notebook or `__main__`, runs in this process
    and ignores `limits`.

    Args:
        source: path of the file, with what is read of it; its bytes, or an open file.
        suffix: the format, such as ".mid"; if None that of the file's name.
        limits: of time and memory, see `Limits`; if None the usual ones.
        known: what is known better than by the file: `grid`, `key`, `meter`, `pickup`,
            and what is read of it: `tune`, `bars`, `part`, `voice`, `top`, `quantize`; see
            `envs.notation.reading.selection.Known`.

    Raises:
        RefusedError: the file is missing, broken, too large, empty of notes, off the grid, changes
            its metre, has two notes at once in one voice, fits no task, or takes longer or more
            memory to read than the limits allow (UnreadError). Its `tunes` are their number in
            a file of several of which none is chosen.
        ValueError: no reader has that suffix, `known` is no such value, or tune or bars are named
            twice.
        TypeError: `source` is none of the three, `known` has another name, or the reader returned
            no piece.
    """
    if not isinstance(source, str | Path | bytes) and not hasattr(source, "read"):
        raise TypeError(f"expected a path, bytes or an open file, got {type(source).__name__}")
    given = source if isinstance(source, str | Path) else getattr(source, "name", "")
    name = file = str(given) if isinstance(given, str | Path) else ""
    if not (suffix or name):
        raise ValueError("bytes have no name; expected their suffix, such as suffix='.mid'")
    if isinstance(source, str | Path):
        source, known = with_address(name, known)
        file = str(source)
    better = Known(**known)
    reader = entry(READERS, suffix or file, "read", FOREIGN | PICTURES)
    try:
        piece = read_apart(reader, _content(source), better, limits or Limits())
    except ValueError as refusal:
        reason = str(refusal) if name else f"the {suffix} file: {refusal}"
        count = getattr(refusal, "tunes", 0)
        kind = UnreadError if isinstance(refusal, UnreadError) else RefusedError
        raise kind(reason, name, count) from refusal.__cause__  # of a reader in here
    return replace(piece, source=name)


def with_address(text: str, known: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Return the file that a text names, and what is known together with its tune and bars.

    Raises:
        ValueError: as `parse_address`, or tune or bars are known already.
    """
    address = parse_address(text)
    for name in address.known:
        if known.get(name) is not None:
            raise ValueError(f"{quoted(text)} and {name}= both say what is read; leave one out")
    return address.path, {**known, **address.known}


def from_music21(stream: Stream[Any], **known: Any) -> Piece:
    """Return a music21 score, part or stream of notes as a piece; `known` as `read_piece`.

    Raises:
        RefusedError: as `read_piece`.
    """
    from music21.stream import Opus

    better = Known(**known)
    try:
        with refusing("a music21 stream"):
            tunes = list(stream.scores) if isinstance(stream, Opus) else [stream]
            tune = tunes[one_tune(len(tunes), better)]
            if not tune.recurse().notes:  # for which music21 writes a page about itself
                raise RefusedError("it holds no notes; expected at least one pitched note")
            draft = musicxml.read_draft(_document(tune), better)
            draft.tunes = len(tunes)
            for part in draft.parts:  # without the bars and metre that music21 thinks of
                if not tune.recurse().getElementsByClass("Measure"):
                    part.measures.clear()
                if not tune.recurse().getElementsByClass("TimeSignature"):
                    part.meters.clear()
        return make_piece(draft, better)
    except ValueError as refusal:
        raise RefusedError(f"the music21 stream: {refusal}") from None


def _document(tune: Stream[Any]) -> bytes:
    """Return the MusicXML of a stream; short measures of it stay short."""
    from music21.musicxml.m21ToXml import GeneralObjectExporter, ScoreExporter
    from music21.stream import Part, Score

    tune = tune.toSoundingPitch()
    tune.atSoundingPitch = True  # also if nothing says so
    if not isinstance(tune, Part | Score) or not tune.recurse().getElementsByClass("Measure"):
        return GeneralObjectExporter(tune).parse()
    exporter = ScoreExporter(tune if isinstance(tune, Score) else Score([tune]))
    exporter.parse()
    return exporter.asBytes()


def _content(source: str | Path | bytes | IO[Any]) -> bytes:
    data: bytes | str
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, str | Path):
        if not Path(source).is_file():  # also refuses pipes and devices, which could block for ever
            raise RefusedError("there is no such file; check the name")
        try:
            with Path(source).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise UnreadError(f"cannot be read ({error.strerror})") from None
    else:
        data = source.read(MAX_BYTES + 1)
    data = data.encode() if isinstance(data, str) else data
    if len(data) > MAX_BYTES:
        raise RefusedError(f"larger than {MAX_BYTES // 10**6} MB; expected one piece")
    if not data:
        raise RefusedError("the file is empty; expected a piece of music")
    return data


READERS: dict[str, Reader] = {
    ".mid": read_midi,
    ".midi": read_midi,
    ".musicxml": read_xml,
    ".xml": read_xml,
    ".mxl": read_mxl,
    ".krn": read_kern,
    ".abc": read_abc,
}
