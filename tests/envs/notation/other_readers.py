"""Notes as other programs read them in our files: mido, music21, abc2midi, abc2xml.

Times are in cells, exact fractions of them where a program rounds to its ticks.
"""

import io
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path

from envs.music.piece import Piece

Heard = list[list[tuple[Fraction, Fraction, int]]]  # of each part: start, end and pitch of notes
ABC2MIDI = shutil.which("abc2midi")
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
ROUNDED = Fraction(1, 3)  # of a cell: abc2midi rounds to its ticks and starts a tick late


def written_notes(piece: Piece) -> Heard:
    """The notes of each voice of a piece, as the readers here give them."""
    voices: Heard = [[] for _ in range(piece.voices)]
    for note in piece.notes:
        end = Fraction(note.start + note.duration)
        voices[note.voice].append((Fraction(note.start), end, note.pitch))
    return voices


def sounding(parts: Heard) -> Heard:
    """The parts that have notes: programs leave out or add empty ones."""
    return [part for part in parts if part]


def alike(heard: Heard, expected: Heard, off: Fraction = Fraction(0)) -> bool:
    """True if all notes are there, within `off` cells, and no others."""
    heard, expected = sounding(heard), sounding(expected)
    if [len(part) for part in heard] != [len(part) for part in expected]:
        return False
    return all(
        one[2] == own[2] and abs(one[0] - own[0]) <= off and abs(one[1] - own[1]) <= off
        for part, owns in zip(heard, expected, strict=True)
        for one, own in zip(part, owns, strict=True)
    )


def by_mido(data: bytes, grid: int) -> Heard:
    """The notes of each track of a MIDI file."""
    import mido

    file = mido.MidiFile(file=io.BytesIO(data))
    parts: Heard = []
    for track in file.tracks:
        now, begun, notes = 0, {}, []
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                assert message.note not in begun, "a note begins again before it ends"
                begun[message.note] = now
            elif message.type in ("note_on", "note_off"):
                start = begun.pop(message.note)
                times = (Fraction(tick * grid, file.ticks_per_beat) for tick in (start, now))
                notes.append((*times, message.note))
        assert not begun, "a note never ends"
        parts.append(sorted(notes))
    return parts


def meta_of(data: bytes) -> list[tuple[Fraction, str, tuple]]:
    """Quarter, kind and values of what a MIDI file says beside its notes, by mido."""
    import mido

    values = {
        "time_signature": ("numerator", "denominator"),
        "key_signature": ("key",),
        "set_tempo": ("tempo",),
        "marker": ("text",),
        "track_name": ("name",),
    }
    file = mido.MidiFile(file=io.BytesIO(data), charset="utf-8")
    found = []
    for track in file.tracks:
        now = 0
        for message in track:
            now += message.time
            if message.type in values:
                told = tuple(getattr(message, name) for name in values[message.type])
                found.append((Fraction(now, file.ticks_per_beat), message.type, told))
    return found


def by_music21(document: str, grid: int, form: str = "musicxml") -> Heard:
    """The notes of each voice of a document, in the order of its parts, staves and voices."""
    from music21 import converter

    parts = converter.parseData(document, format=form).parts
    return [voice for part in parts for voice in _voices_of(part, grid)]


def _voices_of(part, grid: int) -> Heard:
    """The notes of each voice of a part or staff, ties joined by what music21 says of them."""
    from music21 import note, stream

    voices: dict[str, list] = {}
    for bar in part.getElementsByClass(stream.Measure):
        for voice in bar.voices or [bar]:
            found = voices.setdefault(str(voice.id) if bar.voices else "", [])
            for each in voice.getElementsByClass(note.Note):
                start = Fraction(bar.offset) + Fraction(each.offset)
                end = start + Fraction(each.quarterLength)
                if each.tie is not None and each.tie.type in ("continue", "stop"):
                    assert _cells(found[-1][1], grid) == _cells(start, grid)
                    found[-1] = (found[-1][0], end, each.pitch.midi)
                else:
                    found.append((start, end, each.pitch.midi))
    return [
        [(_cells(start, grid), _cells(end, grid), pitch) for start, end, pitch in voices[label]]
        for label in sorted(voices)
    ]


def by_verovio(document: str, grid: int) -> Heard:
    """The notes of each layer of each staff of a MusicXML document, as verovio times them."""
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    assert toolkit.loadData(document)
    times: dict[str, list[Fraction]] = {}
    for moment in toolkit.renderToTimemap({}):
        for name in (*moment.get("off", ()), *moment.get("on", ())):
            times.setdefault(name, []).append(_cells(moment["qstamp"], grid))
    root = ET.fromstring(toolkit.getMEI())
    here = "{http://www.music-encoding.org/ns/mei}"
    ties = {tie.get("endid", "")[1:] for tie in root.iter(f"{here}tie")}
    voices: dict[tuple[int, int], list[str]] = {}
    for staff in root.iter(f"{here}staff"):
        for layer in staff.iter(f"{here}layer"):
            found = voices.setdefault((int(staff.get("n")), int(layer.get("n"))), [])
            found += [note.get(XML_ID) for note in layer.iter(f"{here}note")]
    parts: Heard = []
    for _, names in sorted(voices.items()):
        parts.append([])
        for name in names:
            start, end = times[name][0], times[name][-1]
            if name in ties:
                assert parts[-1][-1][1] == start
                start = parts[-1].pop()[0]
            parts[-1].append((start, end, toolkit.getMIDIValuesForElement(name)["pitch"]))
    return parts


def _cells(quarters: float | Fraction, grid: int) -> Fraction:
    return (Fraction(quarters) * grid).limit_denominator(1000)


def by_abc2midi(tunes: list[str], grids: list[int]) -> list[Heard]:
    """The notes of each track of what abc2midi makes of tunes; it starts notes a tick late."""
    with tempfile.TemporaryDirectory() as folder:
        book = "\n".join(
            tune.replace("X:1\n", f"X:{number}\n%%MIDI gchordoff\n", 1)
            for number, tune in enumerate(tunes, 1)
        )
        Path(folder, "book.abc").write_text(book)
        done = subprocess.run(
            [ABC2MIDI, "book.abc", "-quiet"], cwd=folder, capture_output=True, text=True
        )
        complaints = [line for line in done.stdout.split("\n") if line[:5] in ("Error", "Warni")]
        assert not complaints, complaints[:5]
        files = [Path(folder, f"book{number}.mid") for number in range(1, len(tunes) + 1)]
        return [by_mido(file.read_bytes(), grid) for file, grid in zip(files, grids, strict=True)]
