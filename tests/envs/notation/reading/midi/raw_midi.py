"""MIDI files from events, written out byte by byte."""

from collections.abc import Iterable

from envs.music.piece import Piece
from envs.notation.reading.midi.reader import read_midi
from envs.notation.reading.selection import Known

Event = tuple[int, bytes]  # its tick and its bytes


def number(value: int) -> bytes:
    """A number of variable length."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(value & 0x7F | 0x80)
    return bytes(reversed(digits))


def meta(kind: int, words: bytes) -> bytes:
    """A meta event."""
    return b"\xff" + bytes([kind]) + number(len(words)) + words


def metre(beats: int, unit: int) -> bytes:
    """A time signature."""
    return meta(0x58, bytes([beats, unit.bit_length() - 1, 24, 8]))


def on(pitch: int, channel: int = 0) -> bytes:
    """The beginning of a note."""
    return bytes([0x90 | channel, pitch, 80])


def off(pitch: int, channel: int = 0) -> bytes:
    """The end of a note."""
    return bytes([0x80 | channel, pitch, 0])


def note(start: int, end: int, pitch: int, channel: int = 0) -> list[Event]:
    """A note between two ticks."""
    return [(start, on(pitch, channel)), (end, off(pitch, channel))]


def line(
    *pitches: int, step: int = 480, gate: int = 0, late: int = 0, begin: int = 0
) -> list[Event]:
    """Notes one after the other: they begin `late` and end `gate` ticks early."""
    found: list[Event] = []
    for place, pitch in enumerate(pitches):
        at = begin + place * step
        found += note(at + late, at + step - gate, pitch)
    return found


def track(events: Iterable[Event], end: int | None = None, closed: bool = True) -> bytes:
    """A track; events of one tick stay in order, ends of notes first."""
    ordered = sorted(events, key=lambda event: event[0])
    data, time = b"", 0
    for at, words in [*ordered, (max(end or 0, ordered[-1][0] if ordered else 0), b"")]:
        words = words or (meta(0x2F, b"") if closed else b"")
        data += number(at - time) + words if words else b""
        time = at
    return b"MTrk" + len(data).to_bytes(4) + data


def midi(*tracks: bytes, form: int = 1, quarter: int = 480, count: int | None = None) -> bytes:
    """A MIDI file."""
    head = [(form, 2), (len(tracks) if count is None else count, 2), (quarter, 2)]
    return b"MThd\0\0\0\6" + b"".join(n.to_bytes(size) for n, size in head) + b"".join(tracks)


def read(*tracks: bytes, form: int = 1, quarter: int = 480, **known) -> Piece:
    """The piece that is read from a file of these tracks."""
    return read_midi(midi(*tracks, form=form, quarter=quarter), Known(**known))


def notes(piece: Piece) -> list[tuple[int, int, int]]:
    """Cells and pitches of a piece."""
    return [(each.start, each.duration, each.pitch) for each in piece.notes]
