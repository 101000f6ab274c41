"""Files of an explanation: JSON, the marked score, sound and page."""

from __future__ import annotations

import json
from dataclasses import replace

from agents.explaining.explanation import Explanation, as_dict
from agents.explaining.page import by_note, html_page, marked_score, picture
from envs.notation.writing.sound import wav_bytes
from envs.notation.writing.writers import TEMPO, WRITERS

LEFT_OUT = (".abc", ".roll.svg")  # formats that cannot show the marks; the page has the roll


def files_of(found: Explanation, tempo: float = 0.0, soundfont: str = "") -> dict[str, str | bytes]:
    """Return everything that is written about one piece, by file name.

    Args:
        found: the explanation.
        tempo: beats per minute; the piece's own, or 80, if 0.
        soundfont: path of one, '' for none.

    Raises:
        ValueError: the piece lasts too long, or the soundfont cannot be played.
    """
    tempo = tempo or found.piece.tempo or TEMPO
    notes = by_note(found).items()
    words = {note: "; ".join(message.text for message in about) for note, about in notes}
    files: dict[str, str | bytes] = {
        "explanation.json": as_json(as_dict(found)),
        "score.musicxml": marked_score(found, words, tempo, found.title),
        "score.svg": picture(found, tempo, found.title),
        "score.wav": wav_bytes(found.score, 0, tempo, soundfont or None),
        "page.html": html_page(found, tempo, soundfont),
    }
    piece = replace(found.piece, title=found.title, tempo=tempo)
    for suffix, write in WRITERS.items():
        if f"score{suffix}" not in files and suffix not in LEFT_OUT:
            files[f"score{suffix}"] = write(piece)
    return files


def as_json(value: object) -> str:
    """Return JSON that people can read as well."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
