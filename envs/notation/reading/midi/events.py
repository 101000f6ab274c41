"""Events of MIDI files, in ticks: what the bytes say (Standard MIDI Files 1.0).

Neither symusic, which drops notes without an end and parts a track at program changes, nor mido,
which refuses files that break off, reads what strangers bring.
"""

from __future__ import annotations

import struct
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field

from envs.errors import RefusedError

DRUMS = 9  # General MIDI's channel of percussion, counted from 0
_STRAIGHT = (0, 64)  # a pitch wheel in its middle
_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # bytes behind system messages; none behind the others


@dataclass(frozen=True, order=True)
class Struck:
    """A note in ticks; its end is None if nothing ends it."""

    start: int
    pitch: int
    end: int | None


@dataclass
class Track:
    """A track: its notes by channel, and its meta events with their times in ticks.

    Attributes:
        notes: of each channel in order, percussion left out.
        meters: time, units of a bar, and the unit as a part of a whole note.
        keys: time, sharps (flats below 0) and True if minor.
        tempos: time and microseconds of a quarter note.
        markers: time and words.
        name: the first that it has.
        end: time of its last event.
        empty: number of notes of no length, which are left out.
        bent: True if a pitch is bent.
    """

    notes: dict[int, list[Struck]] = field(default_factory=dict)
    meters: list[tuple[int, int, int]] = field(default_factory=list)
    keys: list[tuple[int, int, bool]] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    markers: list[tuple[int, str]] = field(default_factory=list)
    name: str = ""
    end: int = 0
    empty: int = 0
    bent: bool = False


@dataclass(frozen=True)
class MidiTracks:
    """A MIDI file.

    Attributes:
        form: 0 for one track, 1 for tracks that sound together, 2 for pieces of their own.
        quarter: ticks of a quarter note.
        tracks: in order.
        broken: True if it breaks off.
    """

    form: int
    quarter: int
    tracks: list[Track]
    broken: bool


def midi_file(data: bytes) -> MidiTracks:
    """Return the tracks of a MIDI file.

    Raises:
        RefusedError: it is none, is broken, or counts frames.
    """
    at = 20 if data.startswith(b"RIFF") else 0
    if data[at : at + 4] != b"MThd" or len(data) < at + 14:
        raise broken_file("it does not begin with MThd")
    size, form, count, quarter = struct.unpack_from(">IHHh", data, at + 4)
    if quarter < 1:
        raise RefusedError("it counts frames, not quarter notes; export it with musical time")
    tracks: list[Track] = []
    broken = False
    at += 8 + size
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(">4sI", data, at)
        at += 8
        if kind == b"MTrk":
            tracking = _Tracking(data, at, min(at + size, len(data)))
            tracks.append(tracking.read())
            broken |= not tracking.whole and (tracking.at < at + size)
        elif not kind.isalnum():
            if len(tracks) >= count:  # what programs leave behind the last track
                break
            raise broken_file(f"byte {at - 8} begins no track")
        at += size
    return MidiTracks(form, quarter, tracks, broken or len(tracks) < count)


def broken_file(reason: str) -> RefusedError:
    """Return the refusal of a file that is no MIDI, or half of one."""
    return RefusedError(f"not readable as MIDI ({reason}); write the file anew")


class _Tracking:
    """The state of reading a track: where, when, and what sounds."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data, self.at, self.end = data, at, end
        self.track, self.whole = Track(), False
        # Times at which a pitch of a channel begins or ends.
        self.struck: defaultdict[int, defaultdict[int, list[tuple[int, bool]]]]
        self.struck = defaultdict(lambda: defaultdict(list))

    def read(self) -> Track:
        """Read the events up to the end of the track, or of the file."""
        with suppress(IndexError):
            self._events()
        for channel, pitches in sorted(self.struck.items()):
            found: list[Struck] = []
            for pitch, times in pitches.items():
                found += self._paired(pitch, times)
            if found:
                self.track.notes[channel] = sorted(found, key=lambda each: each.start)
        return self.track

    def _byte(self) -> int:
        at = self.at
        if at >= self.end:
            raise IndexError
        self.at += 1
        return self.data[at]

    def _number(self) -> int:
        """Return a number of variable length."""
        value = 0
        for _ in range(4):
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise broken_file(f"byte {self.at} ends no number")

    def _bytes(self, count: int) -> bytes:
        if self.at + count > self.end:
            raise IndexError
        self.at += count
        return self.data[self.at - count : self.at]

    def _events(self) -> None:
        track, time, status = self.track, 0, 0
        while self.at < self.end:
            time += self._number()
            track.end = time
            byte = self._byte()
            if byte >= 0xF0:
                if byte == 0xFF:
                    kind = self._byte()
                    words = self._bytes(self._number())
                    if kind == 0x2F:
                        self.whole = True
                        return
                    self._meta(time, kind, words)
                elif byte in (0xF0, 0xF7):
                    self._bytes(self._number())
                else:
                    self._bytes(_LENGTHS.get(byte, 0))
                continue
            if byte & 0x80:
                status, byte = byte, self._byte()
            elif not status:
                raise broken_file(f"byte {self.at - 1} is no event")
            kind, channel = status >> 4, status & 0x0F
            second = 0 if kind in (0xC, 0xD) else self._byte()
            if (byte | second) & 0x80:
                raise broken_file(f"byte {self.at - 1} is no part of an event")
            if channel == DRUMS:
                continue
            if kind in (0x8, 0x9):
                self.struck[channel][byte].append((time, kind == 0x9 and second > 0))
            elif kind == 0xE:
                track.bent |= (byte, second) != _STRAIGHT
            elif kind == 0xB and byte in (120, 123):  # all sound or all notes off
                for times in self.struck[channel].values():
                    if times[-1][1]:
                        times.append((time, False))

    def _meta(self, time: int, kind: int, words: bytes) -> None:
        track = self.track
        if kind == 0x58 and len(words) >= 2 and words[0] and words[1] < 8:
            track.meters.append((time, words[0], 2 ** words[1]))
        elif kind == 0x59 and len(words) >= 2:
            track.keys.append((time, int.from_bytes(words[:1], signed=True), words[1] == 1))
        elif kind == 0x51 and any(words):
            track.tempos.append((time, int.from_bytes(words[:3])))
        elif kind == 0x06:
            track.markers.append((time, _text(words)))
        elif kind == 0x03 and not track.name:
            track.name = _text(words)

    def _paired(self, pitch: int, times: list[tuple[int, bool]]) -> list[Struck]:
        """Return the notes of a pitch.

        A note that is struck again ends there. If there is an end for every beginning the first
        belongs to the first, for some programs write it late; else to the last beginning before.
        """
        waiting: deque[int] = deque()  # beginnings without an end
        ends: dict[int, int] = {}  # by number of the beginning
        starts = [time for time, begins in times if begins]
        complete = _ends_needed(times) == 0
        number = 0
        for time, begins in times:
            if begins:
                waiting.append(number)
                number += 1
            elif waiting:
                ends[waiting.popleft() if complete else waiting.pop()] = time
        found = []
        for number, start in enumerate(starts):
            bounds = [*starts[number + 1 : number + 2]]
            if number in ends:
                bounds.append(ends[number])
            end = min(bounds, default=None)
            if end is None or end > start:
                found.append(Struck(start, pitch, end))
        self.track.empty += len(starts) - len(found)
        return found


def _ends_needed(times: list[tuple[int, bool]]) -> int:
    """Return how many beginnings have no end behind them."""
    open_notes = 0
    for _, begins in times:
        open_notes = open_notes + 1 if begins else max(0, open_notes - 1)
    return open_notes


def _text(words: bytes) -> str:
    try:
        return words.decode()
    except UnicodeDecodeError:
        return words.decode("latin-1")
