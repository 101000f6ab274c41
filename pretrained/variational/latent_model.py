"""A variational autoencoder as a `Latent`: pieces as points, and as an `Infiller` of its prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from envs.errors import quoted
from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.lens import Lens, context_of, own_tokens
from pretrained.prior import draw
from pretrained.saved_model import Model
from pretrained.variational.latent_network import LatentNet, LatentShape

MOST_PIECES = 2048  # written together: bounds memory


class VariationalModel(Model):
    """A network that makes a point of a melody of some bars, and melodies of a point.

    It learned with the key signature of C; pieces in other keys are moved there.

    Args:
        net: the network, put into evaluation mode.
        codec: meaning of its tokens.

    Raises:
        ValueError: the network's vocabulary has another size than the codec's.
    """

    format: ClassVar[str] = "vae/1"
    net: LatentNet

    def __init__(self, net: LatentNet, codec: Codec) -> None:
        if net.shape.vocab != codec.vocab:
            raise ValueError(
                f"the network has {net.shape.vocab} tokens, codec {codec.fingerprint!r} has "
                f"{codec.vocab}"
            )
        self.net = net.eval().requires_grad_(False)
        self.codec = codec

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a model with random weights, see `saved_model.Model.build`."""
        return cls(LatentNet(LatentShape(**shape)), codec)

    @property
    def shape(self) -> Mapping[str, Any]:
        """Sizes of the network, in types that JSON has."""
        return self.net.shape.as_json()

    @property
    def n_latent(self) -> int:
        """The number of dimensions of its points."""
        return self.net.shape.n_latent

    @property
    def bars(self) -> int:
        """The number of bars of the pieces that it holds."""
        return self.net.shape.bars

    def require(self, task: Task) -> None:
        """Raise ValueError unless the model holds pieces of this task; says what it holds."""
        shape = self.net.shape
        if task.voices != 1:
            raise ValueError(
                f"the model holds melodies of one voice, the piece has {task.voices}; choose one "
                "(part=, voice=; --part, --voice)"
            )
        own_tokens(self.codec, task.key.home, task.low, task.high, task.grid)  # refuses a grid
        if str(task.meter) not in shape.metres:
            raise ValueError(
                f"the model has not learned the metre {task.meter}; expected one of "
                f"{', '.join(shape.metres)}"
            )
        if task.bars != shape.bars:
            raise ValueError(
                f"the model holds {shape.bars} bars, the piece has {task.bars}; name as many of "
                f"its bars, as theme.abc:1-{shape.bars}, or a model of as many (python -m "
                "pretrained.train --model vae --settings bars=8)"
            )

    def posterior(self, score: Score) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance (B, n_latent) of finished pieces.

        Raises:
            ValueError: a task that `require` refuses, or pieces that are not finished.
        """
        self.require(score.task)
        if not score.finished:
            raise ValueError("expected finished pieces; write their remaining cells first")
        lens = self._lens(score.task)
        tokens = lens.read(torch.from_numpy(score.tokens[:, 0].astype(np.int64)).to(self._device))
        with torch.inference_mode():
            parts = [self.net.encode(part, lens.places) for part in tokens.split(MOST_PIECES)]
        mean, log_variance = (torch.cat(part).cpu() for part in zip(*parts, strict=True))
        return mean, log_variance

    def encode(self, score: Score) -> Tensor:
        """Return the points (B, n_latent) of finished pieces, see `pretrained.latent.Latent`."""
        return self.posterior(score)[0]

    def decode(
        self,
        z: Tensor,
        page: Score,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
    ) -> Score:
        """Return a finished piece of each point, see `pretrained.latent.Latent`."""
        self._require_points(z)
        _require_page(page)
        self.require(page.task)
        if not 0 <= temperature < np.inf:
            raise ValueError(f"temperature={quoted(temperature)}: expected 0 or more, not inf")
        rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        parts = [self._write(part, page, rng, temperature) for part in z.split(MOST_PIECES)]
        return Score(np.concatenate([part.tokens for part in parts]), page.task)

    def fill(
        self,
        page: Score,
        n: int = 1,
        seed: int | torch.Generator = 0,
        temperature: float = 1.0,
    ) -> Score:
        """Return `n` pieces at points of the standard normal, see `pretrained.infiller.Infiller`.

        What is given stays, but is not heard before it comes.
        """
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ValueError(f"n={quoted(n)}: expected a number of pieces from 1")
        if not 0 < temperature < np.inf:
            raise ValueError(f"temperature={quoted(temperature)}: expected above 0, not inf")
        _require_page(page)
        rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.n_latent, generator=rng)
        return self.decode(z, page, rng, temperature)

    @property
    def _device(self) -> torch.device:
        return self.net.head.weight.device

    def _lens(self, task: Task) -> Lens:
        return Lens.of(self.codec, context_of(task).to(self._device), task.cells)

    def _require_points(self, z: Tensor) -> None:
        if z.ndim != 2 or z.shape[1] != self.n_latent or not len(z):
            raise ValueError(
                f"points have shape {tuple(z.shape)}, expected (pieces, {self.n_latent}): points "
                "of another model mean nothing to this one; use those of its own encode"
            )
        if not torch.is_floating_point(z) or not torch.isfinite(z).all():
            raise ValueError("points: expected finite numbers, float32")

    def _write(self, z: Tensor, page: Score, rng: torch.Generator, temperature: float) -> Score:
        """Return a finished piece of each point (B, n_latent)."""
        lens, first = self._lens(page.task), page.n_written
        score = page.take(np.zeros(len(z), int))
        fixed = torch.from_numpy(page.tokens[:, 0].astype(np.int64))

        def choose(logits: Tensor, before: Tensor) -> Tensor:
            nonlocal score
            cell = before.shape[1]
            tokens = fixed[:, cell].expand(len(z))
            if cell >= first:
                allowed = torch.from_numpy(score.allowed())
                theirs = lens.answer(logits).cpu().masked_fill(~allowed, -torch.inf)
                # `answer` leaves what the network lacks at ILLEGAL, which given cells may be.
                chosen = draw(theirs / temperature, rng) if temperature else theirs.argmax(dim=-1)
                score = score.write(chosen.numpy())
                tokens = torch.from_numpy(score.tokens[:, 0, cell].astype(np.int64))
            return lens.read(tokens[:, None])[:, 0].to(self._device)

        self.net.write(z.float().to(self._device), lens.places, choose)
        return score


def _require_page(page: Score) -> None:
    if page.batch != 1 or page.finished:
        raise ValueError(
            f"the page has {page.batch} pieces{', finished' * page.finished}; expected one that is "
            "unfinished, such as Score.page(task, 1)"
        )
