"""Melodies as files, one of each format, and all of them in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from agents.composing.compute import Compute
from agents.composing.melody import Melody, melodies_of
from agents.composing.search import SearchResult
from envs.durable_files import write_atomic
from envs.music.score import Score
from envs.notation.writing.writers import TEMPO, WRITERS
from rewards.sum import RewardSum

PICTURES = (".svg", ".roll.svg")
SOUND = (".wav",)


def suffixes(pictures: bool = True, sound: bool = True) -> list[str]:
    """Return the suffixes of all formats, pictures and sound included or not."""
    left_out = (*PICTURES * (not pictures), *SOUND * (not sound))
    return [suffix for suffix in WRITERS if suffix not in left_out]


def write_melodies(
    melodies: Sequence[Melody],
    folder: Path,
    formats: Sequence[str],
    soundfont: str = "",
    likeness: bool = True,
) -> None:
    """Write each melody as melody-01.mid and so on, and all of them in words in melodies.txt.

    Args:
        melodies: to write.
        folder: that exists.
        formats: suffixes of `envs.notation.WRITERS`.
        soundfont: path of an .sf2 file for sound; a small synthesiser if empty.
        likeness: say how much of each melody stands in a tune that the prior learned from.

    Raises:
        ValueError: a format cannot hold a melody, or the soundfont cannot be played.
        OSError: a file cannot be written.
    """
    lines = []
    for melody in melodies:
        name = f"melody-{melody.number:02d}"
        lines.append(f"{name}  {melody}\n")
        words = [*melody.report.lines, *([melody.report.likeness.message] if likeness else [])]
        lines += [f"           {line}\n" for line in words]
        for suffix in formats:
            content = melody.written(suffix, soundfont, likeness)
            write_atomic(folder / f"{name}{suffix}", content)
    write_atomic(folder / "melodies.txt", "".join(lines))


def write_pieces(
    scores: Sequence[Score], folder: Path, reward: RewardSum, tempo: float = TEMPO
) -> None:
    """Write the pieces of scores in all formats but sound, see `write_melodies`."""
    melodies: list[Melody] = []
    for score in scores:
        found = SearchResult(score, np.full(score.batch, np.nan), Compute())
        drawn = melodies_of(found, reward, tempo)
        melodies += [replace(each, number=len(melodies) + each.number) for each in drawn]
    write_melodies(melodies, folder, suffixes(sound=False), likeness=False)
