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
from dataclasses import dataclass
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
)
from tests.tools.judging.xml_reading import xml_notes

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
    read = zip(chosen, abc2xml(list(texts.values()), python), strict=True)
    documents = {place: ET.fromstring(text) for place, (text, _) in read if text is not None}
    drawn = [_Tune(place, tunes[place], texts[place], documents[place]) for place in documents]
    sets = _Sets(folder)
    for tune in drawn:
        sets.by_abc2midi(tune)
    for tune in drawn[:FEWER]:
        sets.by_others(tune)
    sets.finish()


@dataclass
class _Tune:
    """A tune: its number, file, text without repeats, and MusicXML."""

    number: int
    origin: tuple[str, int, str]
    text: str
    document: ET.Element


class _Sets:
    """The sets as far as they are made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.truth: dict[str, dict[str, Any]] = {}
        self.jobs: list[dict[str, str]] = []  # of MuseScore, which starts slowly

    def by_abc2midi(self, tune: _Tune) -> None:
        notes, _ = xml_notes(tune.document)
        data = abc2midi(tune.text, *QUIET)
        own = midi_notes(data, 1) if data else []
        if [each[::2] for each in own] != [each[::2] for each in notes]:
            notes = written(own)  # the two programs differ, not the reader
        self.keep("abc2midi", tune, data, notes)
        for kind, options in (("repeats", QUIET), ("asis", ())):
            data = abc2midi(tune.origin[2], *options)
            self.keep(kind, tune, data, written(midi_notes(data, 1)) if data else [])

    def by_others(self, tune: _Tune) -> None:
        source = self.folder / "musicxml" / f"{tune.number:04}.musicxml"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(ET.tostring(tune.document, encoding="unicode"))
        notes, _ = xml_notes(tune.document)
        for kind, script in (("musescore", None), ("music21", _MUSIC21), ("verovio", _VEROVIO)):
            target = self.keep(kind, tune, None, notes)
            if target.exists():
                continue
            if script is None:
                self.jobs.append({"in": str(source), "out": str(target)})
            else:
                _quietly([sys.executable, "-c", script, str(source), str(target)], 60)

    def keep(self, kind: str, tune: _Tune, data: bytes | None, notes: Notes) -> Path:
        """Note what is true of a file, write it if its data are given, return its path."""
        _, measures = xml_notes(tune.document)
        self.truth.setdefault(kind, {})[f"{tune.number:04}"] = {
            "tune": tune.origin[:2],
            "notes": as_text(notes),
            "meter": next((each["meter"] for each in measures if each["meter"]), None),
            "upbeat": str(upbeat(measures)),
        }
        path = self.folder / kind / f"{tune.number:04}.mid"
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is not None:
            path.write_bytes(data)
        return path

    def finish(self) -> None:
        for kind, known in self.truth.items():
            (self.folder / kind / "truth.json").write_text(json.dumps(known))
        if self.jobs:
            jobs = self.folder / "jobs.json"
            jobs.write_text(json.dumps(self.jobs))
            _quietly(["mscore3", "-j", str(jobs)], 1200)


def _quietly(command: list[str], seconds: int) -> None:
    offscreen = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(command, env=offscreen, check=False, capture_output=True, timeout=seconds)
