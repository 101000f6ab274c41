"""Lessons of a denoiser: pieces of whole bars, and which of their cells are masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from envs.music.codec import HOLD, Codec
from pretrained.corpora.tunes import GridTune, for_codec
from pretrained.training.lessons import Lesson, lesson

# Shares of pieces by what may be masked: every cell; a run of bars; else bars here and there.
ALL, RUN = 0.38, 0.44
# And by what of that is masked: a share of the cells, drawn for each piece; all; else all cells
# behind one of them.
SHARE, WHOLE = 0.55, 0.1


def whole_bars(shown: Lesson, bar: int) -> Lesson:
    """Return a lesson that ends with a bar: the last note, or rest, is held to its end."""
    missing = -len(shown.tokens) % bar
    if not missing:
        return shown
    place = np.repeat(shown.place[-1:], missing, axis=0)
    place[:, 0] = (place[:, 0] + 1 + np.arange(missing)) % bar
    tokens = np.concatenate([shown.tokens, np.full(missing, HOLD)])
    return Lesson(tokens, np.concatenate([shown.place, place]))


def batches_of(
    tunes: Sequence[GridTune], codec: Codec, batch_tokens: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield tokens (N, T) and places (N, T, 6) of a part of each tune, in random order.

    The pieces of a batch have one length, so that nothing is padded.
    """
    by_length: dict[int, list[Lesson]] = {}
    for tune in tunes:
        shown = whole_bars(lesson(tune, rng), tune.bar_cells)
        by_length.setdefault(len(shown.tokens), []).append(shown)
    groups: list[list[Lesson]] = []
    for length, shown_once in by_length.items():
        count, order = max(1, batch_tokens // length), rng.permutation(len(shown_once))
        firsts = range(0, len(order), count)
        groups += [[shown_once[n] for n in order[at : at + count]] for at in firsts]
    for number in rng.permutation(len(groups)):
        tokens = np.stack([for_codec(each.tokens, codec) for each in groups[number]])
        place = np.stack([each.place for each in groups[number]])
        yield torch.from_numpy(tokens), torch.from_numpy(place)


def draw_masked(place: Tensor, rng: np.random.Generator) -> Tensor:
    """Return which cells (N, T) bool of pieces are masked, at least one of each.

    Args:
        place: (N, T, 6), see `networks.inputs.PLACE`.
        rng: draws.
    """
    bar = (place[..., 0] == 0).cumsum(dim=1)
    bar = bar - bar[:, :1]
    count, size = bar[:, -1:] + 1, bar.shape[1]

    def noise(width: int) -> Tensor:
        return torch.from_numpy(rng.random((len(place), width), np.float32)).to(place.device)

    where, longest, first, some, what, share, start = noise(7).split(1, dim=1)
    length = 1 + (longest**2 * count / 2).floor()
    begin = (first * (count - length + 1)).floor()
    region = noise(size).gather(1, bar) < some
    region = torch.where(where < ALL + RUN, (bar >= begin) & (bar < begin + length), region)
    region |= where < ALL
    number = region.cumsum(dim=1) - 1
    masked = number >= (start * region.sum(dim=1, keepdim=True)).floor()
    masked |= what < SHARE + WHOLE
    masked = region & torch.where(what < SHARE, noise(size) < share, masked)
    none = ~masked.any(dim=1)
    masked[none, torch.from_numpy(rng.integers(0, size, int(none.sum())))] = True
    return masked
