"""Readings of every tune of the corpus by abc2xml and abc2midi, kept in one JSON file."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.tools.judging.midi_set import QUIET, as_text, written
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

SCOPES = ("octave", "pitch")  # of accidentals: the convention of print, and the standard's


def answers(path: Path, python: str) -> list[dict[str, Any]]:
    """The answers for every tune, from the file or, if there is none, made and written there.

    Args:
        path: of the JSON file.
        python: in which `abctoolkit` can be imported.
    """
    if not path.exists():
        tunes = corpus_tunes()
        texts = [without_graces(plain(text)) for _, _, text in tunes]
        repeated = [without_graces(plain(text, bars=False)) for _, _, text in tunes]
        found = []
        for tune, (document, words), (other, _) in zip(
            tunes, abc2xml(texts, python), abc2xml(repeated, python), strict=True
        ):
            answer: dict[str, Any] = {"file": tune[0], "number": tune[1], "text": tune[2]}
            answer |= {"words": words, "xml": _xml(document), "repeated": _xml(other)}
            with_graces = plain(tune[2])
            found.append(answer | {scope: _midi(with_graces, scope) for scope in SCOPES})
        path.write_text(json.dumps(found))
    loaded: list[dict[str, Any]] = json.loads(path.read_text())
    return loaded


def _xml(document: str | None) -> dict[str, Any] | None:
    """Notes and measures of the first voice."""
    if document is None:
        return None
    notes, measures = xml_notes(ET.fromstring(document))
    texts = [each | {name: str(each[name]) for name in ("start", "length")} for each in measures]
    return {"notes": as_text(notes), "measures": texts}


def _midi(text: str, scope: str) -> list[list[Any]] | None:
    """Notes by abc2midi, accidentals holding in one octave or in all."""
    said = f"%%propagate-accidentals {scope}\n%%MIDI chordattack 0\n"
    data = abc2midi(re.sub(r"(?m)^(?=K:)", said, text, count=1), *QUIET)
    return None if data is None else as_text(written(midi_notes(data, 1, tracks=1)))


def notes(rows: list[list[Any]] | None) -> Notes:
    """Notes from JSON."""
    return [(Fraction(start), Fraction(length), pitch) for start, length, pitch in rows or []]
