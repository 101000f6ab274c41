"""Lessons of chorales: whole or in parts, in any key that the voices can sing, some voices given.

A part begins and ends with a phrase, and ends with the tonic in the bass, as pieces do. A quarter
of the lessons is shown without the plan of the phrases. In some, cells are given: a voice or two,
or those of some bars, so that the network learns to hear what is ahead; and some have fewer voices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH
from envs.music.task import Task
from pretrained.corpora.chorales import CODEC, HIGH, LOW, RANGES, Chorale
from pretrained.training.masking import draw_given

if TYPE_CHECKING:
    from torch import Tensor

WHOLE, PLANLESS = 0.5, 0.25  # shares of lessons: a whole chorale; no plan of its phrases
LEAST_BARS = 2  # of a part
VOICES_GIVEN, CELLS_GIVEN, FEWER = 0.25, 0.1, 0.1  # shares of batches
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FrameLesson:
    """Tokens (V, T) of CODEC in the key of C, places (T, 6), and the shift to C in semitones."""

    tokens: Ints
    place: Ints
    shift: int


def chorale_lesson(chorale: Chorale, rng: np.random.Generator | None = None) -> FrameLesson:
    """Return a chorale as it is shown once.

    Args:
        chorale: of the corpus.
        rng: draws the part, the plan and the key; without, it is the whole chorale as it is.
    """
    if rng is not None and rng.random() >= WHOLE:
        chorale = _part(chorale, rng)
    task = chorale.task
    if rng is not None and rng.random() < PLANLESS:
        task = replace(task, phrases="")
    shift = CODEC.shift_for(task.key.home, task.low, task.high)
    own = CODEC.tokens_of(task.codec, shift)[chorale.tokens]
    if rng is not None:
        shift = int(rng.choice(_singable(own, shift)))
    return FrameLesson(own, _places(task), shift)


def _part(chorale: Chorale, rng: np.random.Generator) -> Chorale:
    """Return a part that ends as pieces do; the whole chorale if there is none."""
    bass, tonic = chorale.tokens[-1], chorale.task.key.pitch_class
    ends = []
    for bar in chorale.ends:
        sung = bass[: bar * chorale.task.bar_cells]
        sung = sung[sung >= FIRST_PITCH]
        if len(sung) and chorale.task.codec.pitch(int(sung[-1])) % 12 == tonic:
            ends.append(bar)
    pairs = [(a, b) for a in [0, *chorale.ends] for b in ends if b - a >= LEAST_BARS]
    return chorale.part(*pairs[rng.integers(len(pairs))]) if pairs else chorale


def _singable(own: Ints, shift: int) -> list[int]:
    """Return the shifts to C of the keys in which each voice is within its range, its own too."""
    lines = [CODEC.low - FIRST_PITCH + line[line >= FIRST_PITCH] for line in own]
    spans = [(line.min(), line.max()) for line in lines if len(line)]
    homes = {CODEC.shift_for(home, LOW, HIGH) for home in range(12)}
    sung = {
        other
        for other in homes
        if all(
            low <= first - other and last - other <= high
            for (first, last), (low, high) in zip(spans, RANGES, strict=False)
        )
    }
    return sorted(sung | {shift})


@lru_cache(maxsize=4096)
def _places(task: Task) -> Ints:
    """Return places (T, 6) of a task's cells."""
    from pretrained.networks.lens import context_of, places

    return places(context_of(task), task.cells)[0].numpy()


def collate_frames(lessons: Sequence[FrameLesson]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return tokens (B, V, T), places (B, T, 6), shifts (B,) and which frames are real (B, T)."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = [torch.from_numpy(lesson.tokens).t() for lesson in lessons]
    places = [torch.from_numpy(lesson.place) for lesson in lessons]
    real = [torch.ones(len(lesson.place), dtype=torch.bool) for lesson in lessons]
    return (
        pad_sequence(tokens, batch_first=True).transpose(1, 2),
        pad_sequence(places, batch_first=True),
        torch.tensor([lesson.shift for lesson in lessons]),
        pad_sequence(real, batch_first=True),
    )


def fewer_voices(tokens: Tensor, rng: np.random.Generator) -> Tensor:
    """Return tokens (B, V, T) of all voices, or in a share of calls of some of them, in order."""
    voices = tokens.shape[1]
    if rng.random() >= FEWER or voices == 1:
        return tokens
    chosen = np.sort(rng.choice(voices, rng.integers(1, voices), replace=False))
    return tokens[:, chosen]


def given_cells(tokens: Tensor, place: Tensor, real: Tensor, rng: np.random.Generator) -> Tensor:
    """Return which cells (B, V, T) are given: in most calls none, else voices, or some bars.

    At least one voice of each piece is not given whole.

    Args:
        tokens: (B, V, T).
        place: (B, T, 6).
        real: (B, T) bool.
        rng: draws.
    """
    import torch

    pieces, voices, _ = tokens.shape
    kind, given = rng.random(), torch.zeros(tokens.shape, dtype=torch.bool, device=tokens.device)
    if kind < VOICES_GIVEN and voices > 1:
        order = rng.random((pieces, voices)).argsort(axis=1)
        chosen = order < rng.integers(1, voices, (pieces, 1))
        given = torch.from_numpy(chosen).to(tokens.device)[..., None] & real[:, None]
    elif VOICES_GIVEN <= kind < VOICES_GIVEN + CELLS_GIVEN:
        lines = [part.repeat_interleave(voices, dim=0) for part in (place, real)]
        given = draw_given(lines[0], lines[1], rng).view(tokens.shape)
    return given
