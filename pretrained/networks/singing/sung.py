"""Notes that voices have sung so far, cell by cell, and those that are given of them ahead.

Pitches are tokens, so that differences are semitones. Voices stand in the last dimension.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from envs.music.codec import FIRST_PITCH, REST
from pretrained.networks.ahead import FURTHEST, next_marked

LEAP = 12  # semitones within a voice; larger leaps count as this large
LONGEST = 32  # cells; notes and rests that are older count as this old
# Motions: an interval from -LEAP to LEAP, and what is none.
FIRST, STILL, SILENT, UNKNOWN = range(2 * LEAP + 1, 2 * LEAP + 5)


class Sung(NamedTuple):
    """The state of voices after a cell of each, (..., V) each.

    Attributes:
        pitch: token of the newest onset, 0 before the first.
        sounds: True if it still sounds.
        age: cells since it began, or since its end, LONGEST at most.
        leap: its interval from the onset before it, see MOTIONS.
    """

    pitch: Tensor
    sounds: Tensor
    age: Tensor
    leap: Tensor

    @classmethod
    def nothing(cls, pieces: int, voices: int, device: torch.device) -> Sung:
        """Return what sounds before the first cell: nothing."""
        zero = torch.zeros(pieces, voices, dtype=torch.int64, device=device)
        return cls(zero, zero.bool(), zero, torch.full_like(zero, FIRST))

    @classmethod
    def along(cls, tokens: Tensor) -> tuple[Sung, Sung]:
        """Return what sounds before and after each cell of whole pieces, (B, T, V) each.

        Args:
            tokens: (B, T, V) int64.
        """
        states = [cls.nothing(len(tokens), tokens.shape[2], tokens.device)]
        for token in tokens.unbind(dim=1):
            states.append(states[-1].after(token))
        whole = [torch.stack(part, dim=1) for part in zip(*states, strict=True)]
        return cls(*(part[:, :-1] for part in whole)), cls(*(part[:, 1:] for part in whole))

    def after(self, token: Tensor) -> Sung:
        """Return what sounds after a cell with the tokens (..., V); UNWRITTEN counts as a hold."""
        onset, rest = token >= FIRST_PITCH, token == REST
        leap = (token - self.pitch).clamp(-LEAP, LEAP) + LEAP
        leap = leap.masked_fill(self.pitch == 0, FIRST)
        return Sung(
            torch.where(onset, token, self.pitch),
            onset | (self.sounds & ~rest),
            (self.age + 1).clamp(max=LONGEST).masked_fill(onset | rest, 0),
            torch.where(onset, leap, self.leap),
        )

    @property
    def motion(self) -> Tensor:
        """(..., V) what each voice did in its newest cell: an interval, STILL or SILENT."""
        moved = torch.where(self.age == 0, self.leap, STILL)
        return moved.masked_fill(~self.sounds, SILENT)

    @property
    def state(self) -> Tensor:
        """(..., V) age, of notes and of rests apart."""
        return self.age + (LONGEST + 1) * self.sounds

    def of(self, rows: Tensor) -> Sung:
        """Return that of some pieces (N,)."""
        return Sung(*(part[rows] for part in self))


class Compass(NamedTuple):
    """The highest and lowest note of voices after a cell of each, (..., V) each."""

    high: Tensor  # token of the highest onset so far, 0 before the first
    low: Tensor  # token of the lowest, 0 before the first
    again: Tensor  # True if the highest was struck more than once

    @classmethod
    def nothing(cls, pieces: int, voices: int, device: torch.device) -> Compass:
        """Return that of voices before their first cell."""
        zero = torch.zeros(pieces, voices, dtype=torch.int64, device=device)
        return cls(zero, zero, zero.bool())

    @classmethod
    def along(cls, tokens: Tensor) -> Compass:
        """Return that before each cell of whole pieces (B, T, V), (B, T, V) each."""
        states = [cls.nothing(len(tokens), tokens.shape[2], tokens.device)]
        for token in tokens[:, :-1].unbind(dim=1):
            states.append(states[-1].after(token))
        return cls(*(torch.stack(part, dim=1) for part in zip(*states, strict=True)))

    def after(self, token: Tensor) -> Compass:
        """Return that after a cell with the tokens (..., V)."""
        onset = token >= FIRST_PITCH
        lower = onset & ((self.low == 0) | (token < self.low))
        return Compass(
            torch.where(onset, torch.maximum(self.high, token), self.high),
            torch.where(lower, token, self.low),
            torch.where(onset & (token >= self.high), token == self.high, self.again),
        )


class Coming(NamedTuple):
    """The next onsets that are given in each voice behind a cell, (..., V, n)."""

    pitch: Tensor  # tokens, 0 where there is none
    distance: Tensor  # (..., V, 1) cells to the first, FURTHEST at most

    @classmethod
    def along(cls, tokens: Tensor, given: Tensor, count: int = 1) -> Coming:
        """Return those of each cell of pieces, (B, T, V, ...) each.

        Args:
            tokens: (B, V, T) int64.
            given: (B, V, T) bool, the cells that are given.
            count: number of onsets.
        """
        lines = tokens.flatten(0, 1)
        size = lines.shape[1]
        cell = torch.arange(size, device=lines.device).expand(lines.shape)
        following = next_marked(given.flatten(0, 1) & (lines >= FIRST_PITCH), cell)
        onsets = [following]
        for _ in range(1, count):
            later = following.gather(1, onsets[-1].clamp(max=size - 1))
            onsets.append(later.masked_fill(onsets[-1] == size, size))
        at = torch.stack(onsets, dim=-1)
        beyond = at == size
        every = lines[..., None].expand_as(at)
        pitch = every.gather(1, at.masked_fill(beyond, 0)).masked_fill(beyond, 0)
        distance = at[..., :1] - cell[..., None]
        distance = distance.clamp(max=FURTHEST).masked_fill(beyond[..., :1], FURTHEST)
        parts = (part.unflatten(0, tokens.shape[:2]) for part in (pitch, distance))
        return cls(*(part.transpose(1, 2) for part in parts))
