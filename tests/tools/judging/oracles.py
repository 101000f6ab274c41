"""Notes of tunes by independent readers: abc2midi, abc2xml, music21; none of the project's code.

A note is a list of onset, duration and MIDI pitch; times are quarter notes as text, such as "3/2".
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

from tests.tools.judging.xml_reading import Notes

ROOT = Path(__file__).resolve().parents[3]

# -- tunes -----------------------------------------------------------------------------------------


def corpus_tunes() -> list[tuple[str, int, str]]:
    """File, number within it from 0, and text of every tune in the corpus but for two folders."""
    import music21

    root = Path(music21.__file__).parent / "corpus"
    tunes = []
    for path in sorted(root.rglob("*.abc")):
        if {"essenFolksong", "josquin"} & set(path.parts):
            continue
        text = path.read_text("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        for number, tune in enumerate(re.split(r"(?m)^(?=X:)", text)[1:]):
            tunes.append((str(path.relative_to(root)), number, tune))
    return tunes


_PIECES = re.compile(
    r'(?P<quoted>"[^"\n]*")|(?P<field>\[[A-Za-z]:[^\]\n]*\])|(?P<comment>%.*)'
    r"|(?P<bar>:*\[?\|[\]:|]*(?:\s*\[?\d[\d,.\-]*)?|:+\|?:*|\[\d[\d,.\-]*|\|\])"
    r"|(?P<ornament>![^!\n|]{1,20}!|[~HLMOPSTuv.])|(?P<nothing>[`!])"
)


def plain(text: str, bars: bool = True) -> str:
    """A tune without ornaments and words; with `bars` all its bar lines plain: nothing repeats."""
    lines, body = [], False
    for line in text.split("\n"):
        if re.match(r"%%|[A-Za-z+]:", line) or not body:
            body = body or line.startswith("K:")
            if not re.match(r"%%MIDI|P:|R:|I:", line):
                lines.append(line)
            continue

        def part(found: re.Match[str]) -> str:
            if found["bar"]:
                return " | " if bars else found[0]
            dropped = found["quoted"] or found["nothing"] or found["ornament"]
            return "" if dropped else found[0]

        changed = _PIECES.sub(part, line)
        if changed.strip() or not line.strip():  # an empty line would end the tune
            lines.append(changed)
    return "\n".join(lines)


def without_graces(text: str) -> str:
    """A tune without its grace notes."""
    head, key, body = text.partition("\nK:")
    return head + key + re.sub(r"\{[^}\n]*\}", "", body)


# -- notes of files --------------------------------------------------------------------------------


def midi_notes(data: bytes, late: int = 0, tracks: int | None = None) -> Notes:
    """Notes of the tracks of a MIDI file but the drums, by mido, in order of onset and pitch.

    Args:
        data: of the file.
        late: ticks by which every note begins late.
        tracks: how many tracks that hold notes; None for all.
    """
    import mido

    file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    quarter, notes = file.ticks_per_beat, []
    played = [track for track in file.tracks if any(each.type == "note_on" for each in track)]
    for track in played[:tracks]:
        time, sounding = 0, {}
        for event in track:
            time += event.time
            if event.type not in ("note_on", "note_off") or event.channel == 9:
                continue
            key = event.channel, event.note
            if key in sounding:
                start = sounding.pop(key)
                notes.append(
                    (Fraction(start, quarter), Fraction(time - start, quarter), event.note)
                )
            if event.type == "note_on" and event.velocity:
                sounding[key] = max(0, time - late)
    return sorted(notes)


# -- oracles ---------------------------------------------------------------------------------------


def abc2midi(text: str, *options: str) -> bytes | None:
    """The MIDI that abc2midi makes of a tune, None if it makes none."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "tune.abc"), Path(folder, "tune.mid")
        source.write_text(text, "utf-8")
        command = ["abc2midi", str(source), "-o", str(target), "-quiet", *options]
        try:
            subprocess.run(command, capture_output=True, timeout=20, check=False)
        except subprocess.TimeoutExpired:
            return None
        return target.read_bytes() if target.exists() else None


_SERVER = """
import json, sys, contextlib, io, xml.etree.ElementTree as ET
from abctoolkit import abc2xml
for line in sys.stdin:
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            found = abc2xml.getXmlDocs(json.loads(line))
            text = ET.tostring(found[0], encoding='unicode') if found else None
        except BaseException as error:
            text = None; print(type(error).__name__, error, file=errors)
    print(json.dumps([text, errors.getvalue()]), flush=True)
"""


def abc2xml(texts: Sequence[str], python: str) -> Iterable[tuple[str | None, str]]:
    """The MusicXML that abc2xml makes of tunes, None for none, with what it says.

    Args:
        texts: of the tunes.
        python: in which `abctoolkit` can be imported.
    """
    with tempfile.TemporaryFile("w+") as source:
        source.write("".join(json.dumps(text) + "\n" for text in texts))
        source.seek(0)
        with subprocess.Popen(
            [python, "-c", _SERVER], stdin=source, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                text, words = json.loads(line)
                yield text, words
