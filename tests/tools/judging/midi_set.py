"""MIDI files of drawn tunes by four programs, with the notes that they must hold.

The tunes are 150 of music21's ABC corpus, drawn with a fixed seed. Sets, each a folder:

    abc2midi   150 tunes, plain bar lines, no grace notes, chords and ornaments
    repeats    150, repeats as they stand, played by abc2midi; no grace notes and chords
    asis       150, abc2midi without any option
    musescore, music21, verovio   90 of them from the MusicXML that abc2xml makes of the plain text

`truth.json` of a folder has for each file the notes [onset, duration, pitch] in quarter notes, the
metre, the length of the upbeat (of a plain text by abc2xml, else null) and the tune's place.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.tools.judging.oracles import (
    Notes,
    abc2midi,
    abc2xml,
    corpus_tunes,
    midi_notes,
    plain,
    without_graces,
    xml_notes,
)

SEED, DRAWN, FEWER = 2026, 150, 90
QUIET = ("-NGRA", "-NGUI", "-NFER")
_VEROVIO = """
import base64, sys, verovio
verovio.enableLog(verovio.LOG_OFF)
kit = verovio.toolkit()
kit.loadData(open(sys.argv[1]).read())
open(sys.argv[2], 'wb').write(base64.b64decode(kit.renderToMIDI()))
"""
_MUSIC21 = """
import sys
from music21 import converter
converter.parse(sys.argv[1], format='musicxml').write('midi', sys.argv[2])
"""


def as_text(notes: Notes) -> list[list[Any]]:
    """Notes as JSON holds them."""
    return [[str(start), str(length), pitch] for start, length, pitch in notes]


def written(notes: Notes) -> Notes:
    """Notes of abc2midi with the lengths that it meant: it ends them one tick early."""
    tick = Fraction(1, 480)
    return [(start, length + tick, pitch) for start, length, pitch in notes]


def upbeat(measures: list[dict[str, Any]]) -> Fraction:
    """Quarter notes before the first bar line; none if the first bar is whole."""
    first = next((each for each in measures if each["length"]), None)
    if first is None or not first["meter"]:
        return Fraction(0)
    bar = 4 * Fraction(first["meter"])
    return first["length"] if first["length"] < bar else Fraction(0)


def make(folder: Path, python: str) -> None:
    """Write all sets.

    Args:
        folder: made if missing; what is there already is kept.
        python: in which `abctoolkit` can be imported.
    """
    tunes = corpus_tunes()
    chosen = random.Random(SEED).sample(range(len(tunes)), DRAWN)
    texts = {place: without_graces(plain(tunes[place][2])) for place in chosen}
    documents: dict[int, ET.Element] = {}
    for place, (text, _) in zip(chosen, abc2xml(list(texts.values()), python), strict=True):
        if text is not None:
            documents[place] = ET.fromstring(text)
    truth: dict[str, dict[str, Any]] = {}

    def keep(kind: str, place: int, data: bytes | None, notes: Notes | None) -> None:
        known = truth.setdefault(kind, {})
        file, number, _ = tunes[place]
        _, measures = xml_notes(documents[place])
        known[f"{place:04}"] = {
            "tune": [file, number],
            "notes": as_text(notes or []),
            "meter": next((each["meter"] for each in measures if each["meter"]), None),
            "upbeat": str(upbeat(measures)),
        }
        path = folder / kind / f"{place:04}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)

    for place in documents:
        notes, _ = xml_notes(documents[place])
        data = abc2midi(texts[place], *QUIET)
        if data is not None and [each[::2] for each in midi_notes(data, 1)] != [
            each[::2] for each in notes
        ]:
            notes = written(midi_notes(data, 1))  # the two programs differ, not the reader
        keep("abc2midi", place, data, notes)
        for kind, options in (("repeats", QUIET), ("asis", ())):
            data = abc2midi(tunes[place][2], *options)
            keep(kind, place, data, written(midi_notes(data, 1)) if data else None)
    sources = folder / "musicxml"
    sources.mkdir(parents=True, exist_ok=True)
    jobs = []
    for place in list(documents)[:FEWER]:
        source = sources / f"{place:04}.musicxml"
        source.write_text(ET.tostring(documents[place], encoding="unicode"))
        notes, _ = xml_notes(documents[place])
        for kind in ("musescore", "music21", "verovio"):
            keep(kind, place, None, notes)
            target = folder / kind / f"{place:04}.mid"
            if target.exists():
                continue
            if kind == "musescore":
                jobs.append({"in": str(source), "out": str(target)})
            else:
                script = _VEROVIO if kind == "verovio" else _MUSIC21
                subprocess.run(
                    [sys.executable, "-c", script, str(source), str(target)],
                    check=False,
                    capture_output=True,
                    timeout=60,
                )
    for kind, known in truth.items():
        (folder / kind / "truth.json").write_text(json.dumps(known))
    if jobs:
        (folder / "jobs.json").write_text(json.dumps(jobs))
        subprocess.run(
            ["mscore3", "-j", str(folder / "jobs.json")],
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
            check=False,
            capture_output=True,
            timeout=1200,
        )
