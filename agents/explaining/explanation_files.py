"""Files of an explanation: JSON, text, marked score, sound, page."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from agents.settings import commands

if TYPE_CHECKING:
    from agents.explaining.explanation import Explanation

TEMPO = 80.0  # where a file names none


def files_of(found: Explanation, tempo: float, soundfont: str = "") -> dict[str, str | bytes]:
    """Everything that is written about one piece, by file name.

    Args:
        found: the explanation.
        tempo: beats per minute.
        soundfont: path of one, '' for none.

    Raises:
        ValueError: the piece lasts too long, or the soundfont cannot be played.
    """
    from agents.explaining.explanation import as_dict
    from agents.explaining.page import MARKED, html_page, picture
    from envs.notation.writing.midi import midi_bytes
    from envs.notation.writing.musicxml import Marks, musicxml
    from envs.notation.writing.sound import wav_bytes

    words: dict[tuple[int, int], str] = {}
    for message in found.messages:
        at = (message.voice, message.start)
        words[at] = f"{words[at]}; {message.text}" if at in words else message.text
    marks = Marks(words, dict.fromkeys(words, MARKED), found.piece.numbers)
    document = musicxml(found.score, 0, found.title, tempo, marks=marks)
    return {
        "explanation.json": as_json(as_dict(found)),
        "score.musicxml": document,
        "score.svg": picture(found, tempo, found.title),
        "score.mid": midi_bytes(found.score, 0, tempo),
        "score.wav": wav_bytes(found.score, 0, tempo, soundfont or None),
        "page.html": html_page(found, tempo, soundfont),
    }


def as_json(value: object) -> str:
    """JSON for people to read as well."""
    return json_format.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write(written: Mapping[str, Mapping[str, str | bytes]], out: Path) -> None:
    """Files by name, in the folder itself or in folders by name."""
    from envs.durable_files import write_atomic

    folder = commands.new_directory(out)
    for name, files in written.items():
        (folder / name).mkdir(exist_ok=True)
        for file, data in files.items():
            write_atomic(folder / name / file, data)


def _folder(name: str) -> str:
    """The folder of what is written about a sample.

    Raises:
        ValueError: its name is that of a folder that is there already, such as the one above.
    """
    stem = Path(name).stem
    if not stem.strip("."):
        raise ValueError(f"{name!r}: nothing can be written under this name; rename the sample")
    return stem
