"""Tables of formats by the suffix of a file's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from envs.errors import quoted

T = TypeVar("T")
_PROGRAMS = {
    "MuseScore": ".mscz .mscx",
    "Guitar Pro": ".gp .gpx .gp3 .gp4 .gp5 .gtp",
    "Sibelius": ".sib",
    "Finale": ".musx .mus",
    "Encore": ".enc",
    "Capella": ".cap .capx",
    "Dorico": ".dorico",
}
# Files that hold music and have no reader, and what to do instead.
FOREIGN = {
    suffix: f"a file of {program}; export it from there as MusicXML and read that"
    for program, suffixes in _PROGRAMS.items()
    for suffix in suffixes.split()
} | {
    ".ly": "LilyPond exports no MusicXML; let it write MIDI (\\midi { } in \\score) and read that",
}
PICTURES = dict.fromkeys(
    (".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff"),
    "a picture of music; export MusicXML from the program that drew it and read that",
)


def entry(table: Mapping[str, T], name: str, verb: str, advice: Mapping[str, str] = {}) -> T:
    """Return the entry of the longest suffix that a file's name ends with, in any case.

    Args:
        table: entries by suffix, such as ".mid" or ".roll.svg".
        name: of the file, or its suffix alone.
        verb: what is done to the file, for the message.
        advice: what to do with files of other suffixes.

    Raises:
        ValueError: the table has no such suffix.
    """
    suffixes = [suffix for suffix in table if name.lower().endswith(suffix)]
    if not suffixes:
        suffix = Path(name).suffix or name
        if suffix.lower() in advice:
            raise ValueError(f"{quoted(name)}: {advice[suffix.lower()]}")
        raise ValueError(
            f"{quoted(name)}: cannot {verb} {quoted(suffix)} files; expected {', '.join(table)}"
        )
    return table[max(suffixes, key=len)]
