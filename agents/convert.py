"""Read files of one format and write them in another: MIDI, MusicXML, ABC, pictures, sound.

python -m agents.convert tune.abc tune.musicxml

python -m agents.convert book.abc#7:1-16 tune.mid

python -m agents.convert book.abc tunes --to .mid

python -m agents.convert in_folder out_folder --to .musicxml --part 1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from agents.settings import commands
from agents.settings.reading_flags import ReadingFlags

CARRIED = (
    "notes, bars, key, metre, tempo and title; words, chord symbols, grace notes, percussion, "
    "dynamics, instruments and layout are left out"
)


@dataclass(frozen=True)
class ConvertConfig(ReadingFlags):
    """Settings of a conversion.

    Attributes:
        source: a file, FILE#7 for its seventh tune and FILE:1-32 for bars of it, a collection of
            tunes, of which each becomes a file, or a folder.
        target: the file to write, in the format of its suffix; with --to a folder. What exists is
            not overwritten.
        to: format of the files in the folder, such as .musicxml.
    """

    source: tyro.conf.Positional[str]
    target: tyro.conf.Positional[Path]
    to: str = ""


def convert_all(config: ConvertConfig) -> int:
    """Convert, and print what became of each file; 1 if one was refused."""
    from envs.notation.converting import conversions
    from envs.notation.writing.writers import TEMPO

    refused: list[str] = []
    left_out: list[str] = []
    tempos: list[bool] = []  # of the files that were written: True if it names one
    try:
        for each in conversions(config.source, config.target, config.to, **config.known):
            if each.piece is not None:
                tempos.append(each.piece.tempo is not None)
                print(commands.plain(f"{each.source} -> {each.target}: {each.piece.facts}"))
                for words in each.notices:
                    print(commands.plain(f"  {words}"))
            elif each.target is None:
                left_out.append(each.source)
            else:
                refused.append(each.refusal)
    finally:  # also where it is stopped
        if tempos:
            print(f"wrote {len(tempos)} file{'s' * (len(tempos) > 1)}: {CARRIED}")
        if not all(tempos):
            print(f"{tempos.count(False)} of them name no tempo and are written at {TEMPO:g}")
        for name in left_out:
            print(commands.plain(f"not read, as no format of music: {name}"))
        for reason in refused:
            print(commands.plain(f"refused: {reason}"), file=sys.stderr)
    return int(bool(refused))


def main() -> None:
    """Command line."""
    commands.run(lambda: convert_all(commands.parse(ConvertConfig, "convert", __doc__)))


if __name__ == "__main__":
    main()
