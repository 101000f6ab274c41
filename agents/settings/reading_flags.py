"""Flags that say what is read of a file, and what is known better than by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PartFlags:
    """Flags that choose notes of a file.

    Attributes:
        part: number of the only part of the file to read, from 1; 0 for all, each a voice.
        voice: number of the only voice to read of each part, from 1; 0 for all.
        top: read the highest note of each chord.
        quantize: move notes to the nearest cell of the grid, however far it is.
    """

    part: int = 0
    voice: int = 0
    top: bool = False
    quantize: bool = False

    def __post_init__(self) -> None:
        _require(self, part=0, voice=0)

    @property
    def known(self) -> dict[str, Any]:
        """The flags that are set, as keywords of `envs.notation.read_piece`."""
        return _given(self, "part", "voice", "top", "quantize")


@dataclass(frozen=True, kw_only=True)
class ReadingFlags(PartFlags):
    """Flags that choose notes of a file, and that say its key and metre better.

    Attributes:
        key: such as "G major"; the file's if empty, or estimated.
        meter: such as 6/8; the file's if empty.
        grid: cells per quarter note; if 0 four, or what else fits.
        pickup: cells before the first bar line; -1 for the file's. MIDI files rarely tell.
    """

    key: str = ""
    meter: str = ""
    grid: int = 0
    pickup: int = -1

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(self, grid=0, pickup=-1)

    @property
    def known(self) -> dict[str, Any]:
        """The flags that are set, as keywords of `envs.notation.read_piece`."""
        pickup = {"pickup": self.pickup} if self.pickup >= 0 else {}
        return super().known | _given(self, "key", "meter", "grid") | pickup


def _require(flags: PartFlags, **least: int) -> None:
    for name, value in least.items():
        if getattr(flags, name) < value:
            raise ValueError(f"{name}={getattr(flags, name)}: expected {value} or more")


def _given(flags: PartFlags, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(flags, name))}
