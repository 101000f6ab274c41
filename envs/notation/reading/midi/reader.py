"""MIDI files: their tracks or channels as parts, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.piece import Piece
from envs.music.pitch import line_of_fifths_name
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.draft import Draft, KeyMark, Part, Sound, titled
from envs.notation.reading.midi.bar_lines import NEAR, Stretch, advice, lay_bars, stretches_of
from envs.notation.reading.midi.events import MidiTracks, Struck, Track, broken_file, midi_file
from envs.notation.reading.rounding import BOUND, in_turn
from envs.notation.reading.selection import Known, one_tune


def read_midi(data: bytes, known: Known) -> Piece:
    """Read a MIDI file; each track that has notes and is no percussion is a part.

    So is each channel of a track with several, unless they take turns. Notes within an eighth of a
    cell are on the grid; a file of form 2 is a collection of tunes.

    Raises:
        RefusedError: it is broken, counts frames, changes its metre, or fits no task.
    """
    draft, stretches = _draft(midi_file(data), known)
    known = lay_bars(draft, stretches, known)
    try:
        return make_piece(draft, known)
    except RefusedError as refusal:
        if known.meter or "metre" not in str(refusal) or len(stretches) < 2:
            raise
        raise RefusedError(
            f"{refusal}; or name one that holds throughout: {advice(stretches)}"
        ) from None


def _draft(file: MidiTracks, known: Known) -> tuple[Draft, list[Stretch]]:
    """Return what a file holds, without bars, and its metres."""
    tracks, title, count = _tracks(file, known)
    draft = Draft([], titled(title), tick=Fraction(1, file.quarter), tunes=count)
    if file.broken:
        draft.notices.append("the file breaks off; what stands before is read")
    unended = 0
    for track in tracks:
        for line in _lines(track, file):
            sounds, missing = _sounds(line, track, file.quarter)
            unended += missing
            draft.moved = max(draft.moved, _gather(sounds))
            if sounds:
                draft.parts.append(Part([sounds], track.name if file.form else ""))
    if file.broken and not draft.parts:
        raise broken_file("it breaks off before its first note")
    empty = sum(track.empty for track in tracks)
    if empty:
        draft.notices.append(f"{_notes(empty)} of no length left out")
    if unended:
        last = "lasts" if unended == 1 else "last"
        draft.notices.append(
            f"{_notes(unended)} without an end {last} to the next one or the track's"
        )
    if any(track.bent for track in tracks if track.notes):
        draft.notices.append("pitch bends left out: notes are read at the pitch of their keys")
    sounds = [sound for part in draft.parts for sound in part.voices[0]]
    end = max((sound.end for sound in sounds), default=Fraction(0))
    draft.tempo = _tempo(tracks, file.quarter, end, draft.notices)
    keys = _keys(tracks, file.quarter, end, [] if known.key else draft.notices)
    ends = (at for track in tracks for at, words in track.markers if words == "End")
    draft.end = Fraction(max(ends, default=0), file.quarter)
    for part in draft.parts:
        part.keys = keys
    metres = (
        (Fraction(at, file.quarter), f"{beats}/{unit}")
        for track in tracks
        for at, beats, unit in track.meters
    )
    notices = [] if known.meter else draft.notices
    return draft, stretches_of(metres, _marker(tracks, "Meter: "), draft, notices)


def _notes(count: int) -> str:
    return "a note" if count == 1 else f"{count} notes"


def _tracks(file: MidiTracks, known: Known) -> tuple[list[Track], str, int]:
    """Return the tracks that are read, the title, and the number of tunes in the file.

    The title is the name of the first track, or in a collection of that of the tune.
    """
    tracks = file.tracks
    pieces = [track for track in tracks if track.notes]
    if file.form == 2 and len(pieces) > 1:
        track = pieces[one_tune(len(pieces), known)]
        return [track], track.name, len(pieces)
    titled = tracks and (file.form == 0 or not tracks[0].notes)
    return tracks, tracks[0].name if titled else "", 1


def _lines(track: Track, file: MidiTracks) -> list[list[Struck]]:
    """Return the notes of a track by channel, together if they take turns and it is no form 0."""
    channels = list(track.notes.values())
    if file.form == 0 or len(channels) < 2:
        return channels
    together = sorted(
        ((note, channel) for channel, notes in track.notes.items() for note in notes),
        key=lambda pair: pair[0].start,
    )
    ends: dict[int, int] = {}
    for note, channel in together:
        others = [end for each, end in ends.items() if each != channel]
        if others and max(others) - note.start >= BOUND * file.quarter:
            return channels
        ends[channel] = max(ends.get(channel, 0), note.end or note.start)
    return [[note for note, _ in together]]


def _sounds(line: list[Struck], track: Track, quarter: int) -> tuple[list[Sound], int]:
    """Return the notes of a line in quarters, and how many of them have no end."""
    sounds: list[Sound] = []
    missing, following, last = 0, track.end, track.end
    for note in reversed(line):
        if note.start != last:
            following, last = last, note.start
        end = note.end
        if end is None:
            missing += 1
            end = following
        if end > note.start:
            sounds.append(Sound(Fraction(note.start, quarter), Fraction(end, quarter), note.pitch))
    return sorted(sounds), missing


def _gather(sounds: list[Sound]) -> Fraction:
    """Let the notes of a chord, which some programs play in turn, begin together.

    Returns:
        by how much a note is moved at most.
    """
    moved = Fraction(0)
    for number, sound in enumerate(sounds[1:], 1):
        first = sounds[number - 1]
        apart = sound.start - first.start
        if 0 < apart < NEAR and not in_turn(first, sound):
            sounds[number] = replace(sound, start=first.start)
            moved = max(moved, apart)
    return moved


def _tempo(
    tracks: Iterable[Track], quarter: int, end: Fraction, notices: list[str]
) -> float | None:
    """Return the quarter notes per minute that hold longest."""
    marks = {at: each for track in tracks for at, each in track.tempos if at < end * quarter}
    if not marks:
        return None
    times = sorted(marks)
    lasting: dict[int, Fraction] = {}
    for at, after in pairwise([*map(Fraction, times), end * quarter]):
        lasting[marks[int(at)]] = lasting.get(marks[int(at)], Fraction(0)) + after - at
    if len(lasting) > 1:
        notices.append("the tempo changes; the one that holds longest is taken throughout")
    return 60e6 / max(lasting, key=lambda each: lasting[each])


def _keys(
    tracks: Iterable[Track], quarter: int, end: Fraction, notices: list[str]
) -> list[KeyMark]:
    """Return the key signatures; a marker such as 'Key: D dorian' names the first one's mode."""
    named: dict[int, KeyMark] = {}
    for at, fifths, minor in (each for track in tracks for each in track.keys):
        if abs(fifths) <= 7 and at < end * quarter:
            mode, place = ("minor", fifths + 3) if minor else ("major", fifths)
            key = Key(line_of_fifths_name(place), mode)
            before = named.get(at)
            if before and before.key != key:
                notices.append(f"{before.key} and {key} stand at one time; {key} is taken")
            named[at] = KeyMark(Fraction(at, quarter), key, fifths)
    marks = [named[at] for at in sorted(named)]
    with suppress(ValueError):
        words = _marker(tracks, "Key: ")
        marks[:1] = [KeyMark(Fraction(0), Key.parse(words))] if words else marks[:1]
    return marks


def _marker(tracks: Iterable[Track], begins: str) -> str:
    """Return the rest of a marker at the beginning, as our writer sets them."""
    words = (words for track in tracks for at, words in track.markers if at == 0)
    return next((each[len(begins) :] for each in words if each.startswith(begins)), "")
