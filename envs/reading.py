"""Notes from files: MIDI through symusic, MusicXML and ABC through music21.

A file comes from anywhere, so size and number are bounded before a library sees it, and whatever
goes wrong is one ValueError of one line.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from envs.codec import Codec, Note
from envs.theory import Key, line_of_fifths_name

MAX_BYTES = 10_000_000
MAX_NOTES = 10_000
MAX_CELLS = 20_000
MAX_MEMBERS = 64  # files in an .mxl archive
MAX_TAGS = 250_000  # of an XML document; music21 needs minutes for more
MAX_MEASURES = 2_000  # of all parts together
MAX_PARTS = 64
MAX_ABC = 40_000  # characters; the time music21 takes grows with the square
MAX_ABC_BARS = 1_000

_PLAIN = Key("C")


@dataclass(frozen=True, order=True)
class _Sound:
    """A note before it is on the grid; times in quarter notes."""

    voice: int
    start: Fraction
    end: Fraction
    pitch: int

    def __str__(self) -> str:
        return (
            f"{_PLAIN.pitch_name(self.pitch)} at quarter {float(self.start):g} "
            f"of voice {self.voice + 1}"
        )


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
    path = Path(path)
    readers = {
        ".mid": _midi,
        ".midi": _midi,
        ".musicxml": _xml,
        ".xml": _xml,
        ".mxl": _mxl,
        ".abc": _abc,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(readers)
        raise ValueError(f"{str(path)!r}: cannot read {path.suffix!r} files; expected {known}")
    Codec(grid=grid)  # checks the grid
    data = _bytes(path)
    try:
        sounds = sorted(reader(data))
        if not sounds:
            raise _RefusedError("it holds no notes; expected at least one pitched note")
        return _on_grid(sounds, grid)
    except _RefusedError as refusal:
        raise ValueError(f"{str(path)!r}: {refusal}") from None


class _RefusedError(ValueError):
    """What is wrong with a file, to be told together with its name."""


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


def _broken(kind: str, error: Exception) -> _RefusedError:
    told = " ".join(str(error).split())[:120] or type(error).__name__
    return _RefusedError(f"not readable as {kind} ({told}); write the file anew")


# -- MIDI ------------------------------------------------------------------------------------------


def _midi(data: bytes) -> Iterator[_Sound]:
    import symusic

    try:
        score: Any = symusic.Score.from_midi(data)
    except Exception as error:  # symusic names its errors differently from version to version
        raise _broken("MIDI", error) from None
    quarter = score.ticks_per_quarter
    if quarter < 1:
        raise _RefusedError("it counts frames, not quarter notes; export it with musical time")
    _bound_notes(score.note_num())
    tracks = [track for track in score.tracks if len(track.notes) and not track.is_drum]
    for voice, track in enumerate(tracks):
        for note in track.notes:
            start = Fraction(note.time, quarter)
            yield _Sound(voice, start, start + Fraction(note.duration, quarter), note.pitch)


def _bound_notes(count: int) -> None:
    if count > MAX_NOTES:
        raise _RefusedError(f"it holds {count} notes; expected one piece of at most {MAX_NOTES}")


# -- MusicXML --------------------------------------------------------------------------------------


def _xml_text(data: bytes) -> str:
    """The document as text, harmless: no entities, no more than music21 reads in seconds."""
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken("MusicXML", error) from None
    doctype = re.search(r"<!DOCTYPE[^>\[]*\[", text)
    if doctype or "<!ENTITY" in text:
        raise _RefusedError("it defines XML entities, which music does not need; export it anew")
    if text.count("<") > MAX_TAGS:
        raise _RefusedError(
            f"it has {text.count('<')} XML tags; expected one piece, {MAX_TAGS} at most"
        )
    _bound_notes(len(re.findall(r"<note\b", text)))
    for tag, most in (("measure", MAX_MEASURES), ("part", MAX_PARTS)):
        count = len(re.findall(rf"<{tag}\b(?!-)", text))
        if count > most:
            raise _RefusedError(f"it has {count} {tag}s; expected one piece of at most {most}")
    return text


def _xml(data: bytes) -> Iterator[_Sound]:
    yield from _music21(_xml_text(data), "musicxml", "MusicXML")


def _mxl(data: bytes) -> Iterator[_Sound]:
    """A zip archive whose META-INF/container.xml names the score."""
    import xml.etree.ElementTree as ET

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > MAX_MEMBERS:
                raise _RefusedError(f"it packs more than {MAX_MEMBERS} files; expected one score")
            container = ET.fromstring(_xml_text(_member(archive, "META-INF/container.xml")))
            root = container.find(".//{*}rootfile")
            if root is None:
                raise _RefusedError("its container.xml names no score; export it anew")
            score = _member(archive, root.get("full-path", ""))
    except _RefusedError:
        raise
    except Exception as error:  # zipfile and zlib raise about ten kinds on hostile archives
        raise _broken("compressed MusicXML", error) from None
    yield from _xml(score)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # What the archive says about the size may be a lie: stop reading at the bound.
    with archive.open(name) as member:
        data = member.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _RefusedError(f"it unpacks to more than {MAX_BYTES // 10**6} MB; expected one piece")
    return data


# -- ABC -------------------------------------------------------------------------------------------


def _abc(data: bytes) -> Iterator[_Sound]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _broken("ABC", error) from None
    if len(text) > MAX_ABC:
        raise _RefusedError(f"it has {len(text)} characters; expected one tune, {MAX_ABC} at most")
    music = re.sub(r"(?m)^(?:[A-Za-z]:|%).*$", "", text)
    _bound_notes(len(re.findall("[A-Ga-g]", music)))
    if music.count("|") > MAX_ABC_BARS:
        raise _RefusedError(f"it has {music.count('|')} bar lines; expected {MAX_ABC_BARS} at most")
    yield from _music21(_standard_abc(text), "abc", "ABC")


def _standard_abc(text: str) -> str:
    """The text in words by which music21 reads what ABC 2.1 means."""
    # It lowers a tune by two octaves for a bass clef behind K:, and misses some modes.
    text = re.sub(r"(?m)^(K:.*?)[ \t]+(?:clef=)?bass\b", r"\1", text)
    text = re.sub(r"(?mi)^K:[ \t]*([A-G][#b]?)[ \t]*(loc|lyd)[a-z]*", _as_major, text)
    # It lets an accidental hold to the end of the bar only in a file that names its version.
    return text if text.startswith("%abc-") else "%abc-2.1\n" + text


def _as_major(found: re.Match[str]) -> str:
    mode = "locrian" if found[2].lower() == "loc" else "lydian"
    return f"K:{line_of_fifths_name(Key.parse(f'{found[1]} {mode}').fifths)}"


# -- what music21 has read -------------------------------------------------------------------------


def _music21(text: str, form: str, kind: str) -> Iterator[_Sound]:
    from music21 import converter, stream

    try:
        # parseData, as parse() takes a short text for a file name or an address to fetch, and
        # keeps pickles of what it read.
        score = converter.parseData(text, format=form)
        if isinstance(score, stream.Opus):
            raise _RefusedError(f"it holds {len(score.scores)} tunes; expected one, so split it")
        score = score.toSoundingPitch()
        parts = list(score.parts) if isinstance(score, stream.Score) else [score]
        for voice, part in enumerate(parts):
            yield from _part(part, voice)
    except _RefusedError:
        raise
    except Exception as error:  # music21 raises whatever its code runs into
        raise _broken(kind, error) from None


def _part(part: Any, voice: int) -> Iterator[_Sound]:
    from music21 import chord, harmony, note

    last: _Sound | None = None
    goes_on = False
    elements = sorted(part.flatten().notes, key=lambda element: element.offset)
    for element in elements:
        if isinstance(element, harmony.Harmony) or element.duration.isGrace:
            continue
        start = _exact(element.offset)
        if isinstance(element, chord.Chord) and element.pitches:
            raise _RefusedError(
                f"a chord at quarter {float(start):g} of voice {voice + 1}; expected one note at "
                "a time, so give each voice a part of its own"
            )
        if not isinstance(element, note.Note):
            continue
        end = start + _exact(element.duration.quarterLength)
        sound = _Sound(voice, start, end, element.pitch.midi)
        if last and goes_on and last.pitch == sound.pitch and last.end == start:
            sound = _Sound(voice, last.start, end, sound.pitch)
        elif last:
            yield last
        last = sound
        goes_on = element.tie is not None and element.tie.type in ("start", "continue")
    if last:
        yield last


def _exact(quarters: float | Fraction) -> Fraction:
    return Fraction(quarters).limit_denominator(10_080)


# -- the grid --------------------------------------------------------------------------------------


def _on_grid(sounds: list[_Sound], grid: int) -> list[Note]:
    notes: list[Note] = []
    for sound in sounds:
        if sound.end <= sound.start:
            raise _RefusedError(f"{sound} has no length; expected at least one cell")
        if sound.end * grid > MAX_CELLS:
            raise _RefusedError(
                f"{sound} ends after {float(sound.end * grid):.6g} cells; expected {MAX_CELLS} at "
                "most, so cut the piece or take a coarser grid"
            )
        for time, what in ((sound.start, "starts"), (sound.end, "ends")):
            if (time * grid).denominator > 1:
                raise _RefusedError(_off_grid(sounds, sound, what, time * grid, grid))
        note = Note(
            int(sound.start * grid),
            int((sound.end - sound.start) * grid),
            sound.pitch,
            sound.voice,
        )
        before = notes[-1] if notes else None
        if before and before.voice == note.voice and before.start + before.duration > note.start:
            raise _RefusedError(
                f"{sound} starts while {_PLAIN.pitch_name(before.pitch)} still sounds; expected "
                "one note at a time, so give each voice a part of its own"
            )
        notes.append(note)
    return notes


def _off_grid(sounds: list[_Sound], sound: _Sound, what: str, place: Fraction, grid: int) -> str:
    off = abs(float(place - round(place)))
    times = {time for each in sounds for time in (each.start, each.end)}
    fits = [g for g in range(1, 25) if all((time * g).denominator == 1 for time in times)]
    advice = f"grid {fits[0]} would fit" if fits else "no grid up to 24 fits, so quantise it"
    return (
        f"note {sounds.index(sound) + 1}, {sound}, {what} {off:.2g} of a cell off the grid of "
        f"{grid} cells per quarter; {advice}"
    )
