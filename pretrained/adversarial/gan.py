"""A generator as an infiller, and as a model of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from envs.music.codec import UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.adversarial.generator import Ask, Generator, GeneratorShape, gumbel_noise
from pretrained.networks.lens import Lens, context_of, own_tokens
from pretrained.saved_model import Model

CHUNK = 2**17  # cells written together: bounds memory
SEEDS = 2**62  # of the noise of a piece


class Gan(Model):
    """Fills pages of one voice with what its generator writes from noise.

    The generator learned with the key signature of C; pages in other keys are moved there before it
    reads them (`pretrained.networks.lens`). It reads what is given before and behind a cell.

    Args:
        net: the generator, put into evaluation mode.
        codec: meaning of its tokens.

    Raises:
        ValueError: the generator's vocabulary has another size than the codec's.
    """

    format: ClassVar[str] = "gan/1"
    hears_ahead: ClassVar[bool] = True  # what is given on both sides
    net: Generator

    def __init__(self, net: Generator, codec: Codec) -> None:
        if net.shape.vocab != codec.vocab:
            raise ValueError(
                f"the generator has {net.shape.vocab} tokens, codec {codec.fingerprint!r} has "
                f"{codec.vocab}"
            )
        self.net, self.codec = net.eval().requires_grad_(False), codec

    @property
    def shape(self) -> Mapping[str, Any]:
        """The sizes of the generator."""
        return asdict(self.net.shape)

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a model with random weights.

        Raises:
            TypeError, ValueError: sizes that no generator has, or not the codec's.
        """
        return cls(Generator(GeneratorShape(**shape)), codec)

    def require(self, task: Task) -> None:
        """Raise ValueError unless a task has one voice and the grid of the codec."""
        if task.voices != 1:
            raise ValueError(
                f"voices={task.voices}: a gan writes one voice; expected voices=1, or a model of "
                "several voices"
            )
        own_tokens(self.codec, task.key.home, task.low, task.high, task.grid)

    def fill(
        self,
        page: Score,
        n: int = 1,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
    ) -> Score:
        """Return `n` finished pieces; the first ones are the same for every `n`.

        Args:
            page: an unfinished score of one piece.
            n: number of pieces.
            seed: of the noise.
            temperature: of the logits, above 0. The noise of the piece stays as it is.

        Raises:
            ValueError: a task that `require` refuses, a page of several pieces or a finished one,
                or a number out of range.
        """
        self.require(page.task)
        if page.batch != 1 or (page.tokens != UNWRITTEN).all():
            free = int((page.tokens == UNWRITTEN).sum())
            raise ValueError(
                f"a page of {page.batch} pieces with {free} free cells: expected one piece with a "
                "free cell; leave some of it unwritten (-1)"
            )
        if n < 1 or not temperature > 0:
            raise ValueError(
                f"n={n}, temperature={temperature}: expected at least one piece, and a temperature "
                "above 0"
            )
        rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        seeds = torch.randint(SEEDS, (n,), generator=rng).tolist()
        most = max(1, CHUNK // page.task.steps)
        parts = [seeds[first : first + most] for first in range(0, n, most)]
        tokens = [self._fill(page, part, temperature).tokens for part in parts]
        return Score(np.concatenate(tokens), page.task)

    @torch.inference_mode()
    def _fill(self, page: Score, seeds: list[int], temperature: float) -> Score:
        """Return a piece for each seed of its noise."""
        score, task = page.take(np.zeros(len(seeds), int)), page.task
        lens = Lens.of(self.codec, context_of(task), task.cells)
        own = lens.read(torch.from_numpy(page.tokens[0].astype(np.int64)))  # (1, T)
        noise, ripple, gumbel = self._noise(seeds, task.cells)
        given = None
        if (own != UNWRITTEN).any():
            given = self._vectors(own.clamp(min=0)) * (own != UNWRITTEN)[..., None]
            given = given.expand(len(seeds), -1, -1)
        written = page.n_written

        def choose(cell: int, logits: Tensor) -> Tensor:
            nonlocal score
            if cell >= written:
                allowed = torch.from_numpy(score.allowed())
                drawn = lens.answer(logits / temperature + gumbel[:, cell])
                score = score.write(drawn.masked_fill(~allowed, -torch.inf).argmax(1).numpy())
            newest = torch.from_numpy(score.tokens[:, 0, cell].astype(np.int64))
            return self._vectors(lens.read(newest))

        self.net.write(Ask(noise, ripple, lens.places, task.bar_cells, given), choose)
        return score

    def _vectors(self, tokens: Tensor) -> Tensor:
        """Return tokens (...) of the codec as vectors (..., vocab)."""
        return functional.one_hot(tokens, self.codec.vocab).float()

    def _noise(self, seeds: list[int], cells: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return noise of pieces (n, noise) and cells (n, T, ripple), and Gumbel noise."""
        shape, rows = self.net.shape, []
        for seed in seeds:
            rng = torch.Generator().manual_seed(seed)
            noise = torch.randn(shape.noise, generator=rng)
            ripple = torch.randn(cells, shape.ripple, generator=rng)
            rows.append((noise, ripple, gumbel_noise((cells, shape.vocab), rng)))
        noise, ripple, gumbel = (torch.stack(part) for part in zip(*rows, strict=True))
        return noise, ripple, gumbel
