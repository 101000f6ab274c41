"""Frames: what all voices sound at a time, and the tables by which a network hears them.

A frame is one cell of time in all voices. Before a network writes a cell it hears, of its own
voice, the pitch, its age and the last interval; of each other voice the interval to it, its pitch
class, and its motion beside the interval that it had before: what parallels are made of. A voice
that is not yet written in the frame, nor given there, counts as it was in the frame before.

Pitches are tokens, so that differences are semitones and 12 tokens are an octave. Tables have rows
for eight voices, counted from the first and from the last: the outer voices of two and of four
share theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.music.codec import FIRST_PITCH, REST
from envs.music.task import MAX_VOICES
from pretrained.networks.ahead import FURTHEST, next_marked
from pretrained.networks.inputs import PLACE_SIZES

OCTAVE = 12  # semitones
WIDEST = 36  # semitones between voices; wider intervals count as this wide
LEAP = 12  # semitones within a voice; larger leaps count as this large
LONGEST = 32  # cells; notes and rests that are older count as this old
APART = 3  # voices further apart count as this far
SIDES = 2 * APART  # above, furthest first, and below
BESIDE = SIDES * OCTAVE  # intervals to a voice on each side, octaves apart or not
SHIFT = 6  # semitones by which a network's key is above the task's; more counts as this many
# Motions: an interval from -LEAP to LEAP, and what is none.
FIRST, STILL, SILENT, UNKNOWN = range(2 * LEAP + 1, 2 * LEAP + 5)
MOTIONS, INTERVALS, CLASSES, AGES = 2 * LEAP + 5, 2 * WIDEST + 2, 13, 2 * (LONGEST + 1)


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


class Coming(NamedTuple):
    """The next onset that is given in each voice behind a cell, (..., V) each."""

    pitch: Tensor  # token, 0 if there is none
    distance: Tensor  # cells, FURTHEST at most

    @classmethod
    def along(cls, tokens: Tensor, given: Tensor) -> Coming:
        """Return that of each cell of pieces, (B, T, V) each.

        Args:
            tokens: (B, V, T) int64.
            given: (B, V, T) bool, the cells that are given.
        """
        lines = tokens.flatten(0, 1)
        cell = torch.arange(lines.shape[1], device=lines.device).expand(lines.shape)
        first = next_marked(given.flatten(0, 1) & (lines >= FIRST_PITCH), cell)
        beyond = first == lines.shape[1]
        pitch = lines.gather(1, first.masked_fill(beyond, 0)).masked_fill(beyond, 0)
        distance = (first - cell).clamp(max=FURTHEST).masked_fill(beyond, FURTHEST)
        return cls(*(part.view(tokens.shape).transpose(1, 2) for part in (pitch, distance)))


class Beside(NamedTuple):
    """The other voices of cells of n voices of frames.

    Attributes:
        other: (n, V - 1) their numbers.
        side: (n, V - 1) of SIDES: how far above or below the cell's voice they stand.
        heard: (..., n, V - 1) bool, written in the frame, or given.
        pitch: (..., n, V - 1) token of the newest onset, of the frame before unless heard; or 0.
    """

    other: Tensor
    side: Tensor
    heard: Tensor
    pitch: Tensor

    @classmethod
    def of(cls, voices: Tensor, before: Sung, now: Sung, known: Tensor) -> Beside:
        """Return those of the cells of voices (n,) of frames, see `CellTables`."""
        count = before.pitch.shape[-1]
        every = torch.arange(count, device=voices.device)
        other = every.expand(len(voices), -1)[every != voices[:, None]].view(len(voices), count - 1)
        apart = (other - voices[:, None]).clamp(-APART, APART)
        side = torch.where(apart < 0, apart + APART, apart + APART - 1)
        heard = known[..., other] | (apart < 0)
        pitch = torch.where(heard, now.pitch[..., other], before.pitch[..., other])
        return cls(other, side, heard, pitch)

    def by_class(self, by_interval: Tensor) -> Tensor:
        """Return the sums over the voices (..., n, 12), by pitch class, of what is by interval.

        Args:
            by_interval: (..., n, BESIDE) of each interval up from a voice on each side, octaves
                apart or not.
        """
        cells = torch.arange(len(self.side), device=self.side.device)[:, None]
        classes = torch.arange(OCTAVE, device=self.side.device)
        turned = (classes - self.pitch[..., None]) % OCTAVE
        of_each = by_interval.unflatten(-1, (SIDES, OCTAVE))[..., cells, self.side, :]
        sounding = (self.pitch > 0)[..., None]
        sums: Tensor = (of_each.gather(-1, turned) * sounding).sum(dim=-2)
        return sums


class Tables(nn.Module):
    """Tables of embeddings of one width, one under the other.

    Args:
        sizes: rows of each by name.
        width: of the embeddings.
        spread: standard deviation of the first weights.
    """

    def __init__(self, sizes: Mapping[str, int], width: int, spread: float) -> None:
        super().__init__()
        self.first = dict(zip(sizes, accumulate(sizes.values(), initial=0), strict=False))
        self.nothing = sum(sizes.values())  # number of a row that adds nothing
        self.rows = nn.Embedding(self.nothing + 1, width)
        nn.init.normal_(self.rows.weight, std=spread)

    def sum_of(self, shape: Sequence[int], rows: Mapping[str, Tensor]) -> Tensor:
        """Return the sum (shape and width) of rows (..., n) of tables by name; -1 adds nothing."""
        parts = [
            (at + self.first[name]).masked_fill(at < 0, self.nothing).expand(*shape, -1)
            for name, at in rows.items()
        ]
        bags = torch.cat(parts, dim=-1).flatten(0, -2)
        weight = self.rows.weight
        added = functional.embedding_bag(bags, weight, mode="sum", padding_idx=self.nothing)
        return added.view(*shape, -1)


class FrameTables(Tables):
    """Tables of a frame: all that sounds before it, and its place.

    Args:
        vocab: number of tokens.
        width: of the sums.
    """

    def __init__(self, vocab: int, width: int) -> None:
        self.vocab = vocab
        by_voice = {"top": vocab, "bottom": vocab, "age": AGES, "motion": MOTIONS}
        by_voice["pair"] = APART * INTERVALS
        sizes = {name: MAX_VOICES * size for name, size in by_voice.items()}
        sizes |= {f"place {n}": size for n, size in enumerate(PLACE_SIZES)}
        super().__init__(sizes | {"voices": MAX_VOICES, "shift": 2 * SHIFT + 1}, width, 0.1)

    def forward(self, before: Sung, place: Tensor, shift: Tensor) -> Tensor:
        """Return sums (..., width) of frames.

        Args:
            before: (..., V) what sounds before them.
            place: (..., 6) or broadcast to it, see `networks.inputs.PLACE`.
            shift: (...) semitones from the task's key to the network's, or broadcast to it.
        """
        voices = before.pitch.shape[-1]
        top = torch.arange(voices, device=place.device)
        one, two = torch.triu_indices(voices, voices, 1, device=place.device)
        pair = one * APART + (two - one).clamp(max=APART) - 1
        interval = _interval(before.pitch[..., one], before.pitch[..., two])
        rows = {
            "top": top * self.vocab + before.pitch,
            "bottom": top.flip(0) * self.vocab + before.pitch,
            "age": top * AGES + before.state,
            "motion": top * MOTIONS + before.motion,
            "pair": pair * INTERVALS + interval,
            "voices": top[-1:],
            "shift": shift[..., None].clamp(-SHIFT, SHIFT) + SHIFT,
        }
        for n, size in enumerate(PLACE_SIZES):
            rows[f"place {n}"] = place[..., n : n + 1].clamp(max=size - 1)
        return self.sum_of(before.pitch.shape[:-1], rows)


class CellTables(Tables):
    """Tables of a cell: its own voice, and the others beside it.

    Args:
        vocab: number of tokens.
        width: of the sums.
    """

    def __init__(self, vocab: int, width: int) -> None:
        self.vocab = vocab
        sizes = dict.fromkeys(("top", "bottom"), MAX_VOICES * vocab)
        sizes |= {"age": MAX_VOICES * AGES, "leap": MOTIONS}
        by_voice = {"interval": 2 * INTERVALS, "class": 2 * CLASSES, "pair": CLASSES * MOTIONS}
        by_voice |= {"coming": INTERVALS, "distance": FURTHEST + 1}
        sizes |= {name: SIDES * size for name, size in by_voice.items()}
        super().__init__(sizes, width, 0.1)

    def forward(
        self, voices: Tensor, before: Sung, now: Sung, beside: Beside, coming: Coming | None
    ) -> Tensor:
        """Return sums (..., n, width) of the cells of n voices of frames.

        Args:
            voices: (n,) their numbers.
            before, now: (..., V) what sounds before the frames and in them.
            beside: the other voices of the cells.
            coming: (..., V) what is given behind the frames, None for nothing.
        """
        count, other, side = before.pitch.shape[-1], beside.other, beside.side
        mine, bottom = before.pitch[..., voices], count - 1 - voices
        rows = {
            "top": (voices * self.vocab + mine)[..., None],
            "bottom": (bottom * self.vocab + mine)[..., None],
            "age": (voices * AGES + before.state[..., voices])[..., None],
            "leap": before.leap[..., voices, None],
        }
        if count > 1:
            mine, were, are = mine[..., None], before.pitch[..., other], beside.pitch
            motion = torch.where(beside.heard, now.motion[..., other], UNKNOWN)
            twofold = 2 * side + beside.heard
            unknown = (were == 0) | (mine == 0)
            had = ((were - mine) % 12).masked_fill(unknown, CLASSES - 1)
            pitch_class = (are % 12).masked_fill(are == 0, CLASSES - 1)
            rows["interval"] = twofold * INTERVALS + _interval(mine, are)
            rows["class"] = twofold * CLASSES + pitch_class
            rows["pair"] = (side * CLASSES + had) * MOTIONS + motion
            if coming is not None:
                pitch, distance = (part[..., other] for part in coming)
                row = side * INTERVALS + _interval(mine, pitch)
                rows["coming"] = row.masked_fill(pitch == 0, -1)
                row = side * (FURTHEST + 1) + distance
                rows["distance"] = row.masked_fill(pitch == 0, -1)
        return self.sum_of((*before.pitch.shape[:-1], len(voices)), rows)


def _interval(one: Tensor, two: Tensor) -> Tensor:
    """Return rows of the semitones from one pitch to another; the last where there is none."""
    wide = (two - one).clamp(-WIDEST, WIDEST) + WIDEST
    return wide.masked_fill((one == 0) | (two == 0), INTERVALS - 1)
