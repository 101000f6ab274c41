"""Frames: what all voices sound at a time, and the tables by which a network hears them.

A frame is one cell of time in all voices. Before a network writes a cell it hears, of its own
voice, the pitch, its age and the last interval; of each other voice the interval to it, its pitch
class, and its motion beside the interval that it had before: what parallels are made of. A voice
that is not yet written in the frame, nor given there, counts as it was in the frame before. It may
be told of its own highest and lowest note too, and of more than the next note that is given.

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

from envs.music.task import MAX_VOICES
from pretrained.networks.ahead import FURTHEST
from pretrained.networks.inputs import PLACE_SIZES
from pretrained.networks.singing.sung import LEAP, LONGEST, UNKNOWN, Coming, Compass, Sung

OCTAVE = 12  # semitones
WIDEST = 36  # semitones between voices; wider intervals count as this wide
APART = 3  # voices further apart count as this far
SIDES = 2 * APART  # above, furthest first, and below
BESIDE = SIDES * OCTAVE  # intervals to a voice on each side, octaves apart or not
SHIFT = 6  # semitones by which a network's key is above the task's; more counts as this many
MOTIONS, INTERVALS, CLASSES, AGES = 2 * LEAP + 5, 2 * WIDEST + 2, 13, 2 * (LONGEST + 1)


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
        classes = torch.arange(OCTAVE, device=self.side.device)
        turned = (classes - self.pitch[..., None]) % OCTAVE
        of_each = self.with_own(by_interval.unflatten(-1, (SIDES, OCTAVE)), 0)
        sounding = (self.pitch > 0)[..., None]
        sums: Tensor = (of_each.gather(-1, turned) * sounding).sum(dim=-2)
        return sums

    def with_own(self, by_side: Tensor, own: int) -> Tensor:
        """Return the first rows, and of the others those of each voice's side.

        Args:
            by_side: (..., n, own + SIDES, m).
            own: number of the first rows.

        Returns:
            (..., n, own + V - 1, m).
        """
        cells = torch.arange(len(self.side), device=self.side.device)[:, None]
        of_each = by_side[..., cells, own + self.side, :]
        return torch.cat([by_side[..., :own, :], of_each], dim=-2) if own else of_each


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
        coming: onsets of each other voice that it is told of where they are given.
        compass: is it told of the highest and lowest note of its own voice?
    """

    def __init__(self, vocab: int, width: int, coming: int = 1, compass: bool = False) -> None:
        self.vocab, self.coming, self.compass = vocab, coming, compass
        sizes = dict.fromkeys(("top", "bottom"), MAX_VOICES * vocab)
        sizes |= {"age": MAX_VOICES * AGES, "leap": MOTIONS}
        by_voice = {"interval": 2 * INTERVALS, "class": 2 * CLASSES, "pair": CLASSES * MOTIONS}
        by_voice |= {"coming": INTERVALS, "distance": FURTHEST + 1}
        sizes |= {name: SIDES * size for name, size in by_voice.items()}
        later = 2 * (coming - 1) * CLASSES  # above and below
        sizes |= {"later": later, "later class": later}
        if compass:
            sizes |= {"high": vocab, "to high": 2 * INTERVALS, "to low": INTERVALS}
            sizes |= {"compass": INTERVALS}
        super().__init__(sizes, width, 0.1)

    def forward(
        self,
        voices: Tensor,
        before: Sung,
        now: Sung,
        beside: Beside,
        coming: Coming | None,
        compass: Compass | None = None,
    ) -> Tensor:
        """Return sums (..., n, width) of the cells of n voices of frames.

        Args:
            voices: (n,) their numbers.
            before, now: (..., V) what sounds before the frames and in them.
            beside: the other voices of the cells.
            coming: (..., V, n) what is given behind the frames, None for nothing.
            compass: (..., V) before the frames, where it is told of it.
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
                pitches, distances = (part[..., other, :] for part in coming)
                pitch, distance = pitches[..., 0], distances[..., 0]
                row = side * INTERVALS + _interval(mine, pitch)
                rows["coming"] = row.masked_fill(pitch == 0, -1)
                row = side * (FURTHEST + 1) + distance
                rows["distance"] = row.masked_fill(pitch == 0, -1)
                rows |= self._later(mine[..., None], side, pitches[..., 1:])
        if compass is not None:
            rows |= _within(before.pitch[..., voices], *(part[..., voices] for part in compass))
        return self.sum_of((*before.pitch.shape[:-1], len(voices)), rows)

    def _later(self, mine: Tensor, side: Tensor, pitch: Tensor) -> dict[str, Tensor]:
        """Return rows of the pitch classes (..., n, V - 1, m) of onsets behind the next ones."""
        at = (side >= APART)[..., None] * (self.coming - 1)
        at = (at + torch.arange(self.coming - 1, device=pitch.device)) * CLASSES
        apart = ((pitch - mine) % 12).masked_fill(mine == 0, CLASSES - 1)
        rows = {"later": at + apart, "later class": at + pitch % 12}
        return {name: row.masked_fill(pitch == 0, -1).flatten(-2) for name, row in rows.items()}


def _within(pitch: Tensor, high: Tensor, low: Tensor, again: Tensor) -> dict[str, Tensor]:
    """Return rows of a pitch (...) of a voice in its compass so far."""
    rows = {
        "high": high,
        "to high": 2 * _interval(pitch, high) + again,
        "to low": _interval(pitch, low),
        "compass": _interval(low, high),
    }
    return {name: row[..., None] for name, row in rows.items()}


def _interval(one: Tensor, two: Tensor) -> Tensor:
    """Return rows of the semitones from one pitch to another; the last where there is none."""
    wide = (two - one).clamp(-WIDEST, WIDEST) + WIDEST
    return wide.masked_fill((one == 0) | (two == 0), INTERVALS - 1)
