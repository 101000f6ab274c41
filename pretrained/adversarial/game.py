"""The game of a generator and a critic.

The critic takes `n_critic` steps for each one of the generator (Gulrajani et al. 2017). Both are
told the plan of a real strain; of some strains the generator is given cells, and writes the others.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from envs.checked import bounded
from envs.music.codec import FIRST_PITCH, Codec
from pretrained.adversarial.critic import RollCritic, penalty_of, slopes
from pretrained.adversarial.gan import Gan
from pretrained.adversarial.generator import (
    Ask,
    Generator,
    GeneratorShape,
    gumbel_noise,
    soundings,
    straight_through,
)
from pretrained.adversarial.strains import Strains
from pretrained.device import find_device
from pretrained.prior import ILLEGAL
from pretrained.training.family import FamilySettings
from pretrained.training.masking import draw_given

BETAS = (0.5, 0.9)  # of Adam


@dataclass(frozen=True)
class GanSettings(FamilySettings):
    """Settings of a training of a GAN.

    Attributes:
        epochs: of as many strains as there are tunes.
        n_critic: steps of the critic for each step of the generator.
        batch: strains in a step.
        hidden: units of the generator.
        noise: numbers of noise of a piece.
        ripple: numbers of noise of a cell.
        width: channels of the critic.
        penalty: weight of the gradient penalty.
        generator_rate: learning rate of the generator at the beginning; it falls to 0 along a line.
        critic_rate: of the critic, which falls likewise.
        warmth: temperature of the straight-through softmax at the beginning.
        coolness: and at the end; it falls by the same factor in each epoch.
        given: share of strains of which the generator is given cells.
        average: decay per step of the running average of the generator, which is what is kept.
    """

    epochs: int = bounded(26, 1, 10**6)
    n_critic: int = bounded(3, 1, 1000)
    batch: int = bounded(32, 2, 4096)
    hidden: int = bounded(128, 1, 4096)
    noise: int = bounded(32, 1, 1024)
    ripple: int = bounded(8, 1, 1024)
    width: int = bounded(48, 1, 1024)
    penalty: float = bounded(10.0, 0.0, 1e6)
    generator_rate: float = bounded(1e-3, 1e-9, 1.0)
    critic_rate: float = bounded(1e-3, 1e-9, 1.0)
    warmth: float = bounded(1.0, 1e-3, 1e3)
    coolness: float = bounded(0.5, 1e-3, 1e3)
    given: float = bounded(0.25, 0.0, 1.0)
    average: float = bounded(0.995, 0.0, 0.999999)


@dataclass
class Game:
    """A game: both networks, their optimisers, and what is drawn from.

    Attributes:
        settings: of the training.
        codec: of the generator.
        strains: real music.
    """

    settings: GanSettings
    codec: Codec
    strains: Sequence[Strains]
    generator: Generator = field(init=False)
    critic: RollCritic = field(init=False)

    def __post_init__(self) -> None:
        setting, vocab = self.settings, self.codec.vocab
        self.device = find_device(setting.device)
        self.rng = np.random.default_rng(setting.seed)
        self.noise = torch.Generator().manual_seed(setting.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(setting.seed)
            shape = GeneratorShape(vocab, setting.hidden, setting.noise, setting.ripple)
            self.generator = Generator(shape).to(self.device)
            self.critic = RollCritic(vocab, setting.width).to(self.device)
        average = get_ema_multi_avg_fn(setting.average)
        self.kept = AveragedModel(self.generator, multi_avg_fn=average)
        self.rates = setting.generator_rate, setting.critic_rate
        nets = self.generator, self.critic
        self.adams = [torch.optim.Adam(net.parameters(), betas=BETAS) for net in nets]
        self.slow(1.0)
        self.legal = torch.from_numpy(self.codec.legal(np.array([False, True]))).to(self.device)
        counts = np.array([len(strains.tasks) for strains in self.strains])
        self.shares = counts / counts.sum()

    def model(self) -> Gan:
        """Return the averaged generator as a model on the CPU."""
        kept: Any = copy.deepcopy(self.kept.module)
        return Gan(kept.cpu(), self.codec)

    def slow(self, share: float) -> None:
        """Set the learning rates to a share of those of the settings."""
        for adam, rate in zip(self.adams, self.rates, strict=True):
            adam.param_groups[0]["lr"] = share * rate

    def round(self, warmth: float) -> Mapping[str, float]:
        """Move the critic `n_critic` times and the generator once; return figures of the critic."""
        strains = self.strains[self.rng.choice(len(self.strains), p=self.shares)]
        size, times = self.settings.batch, self.settings.n_critic
        tokens, place = (x.to(self.device) for x in strains.draw(size * (times + 1), self.rng))
        real = functional.one_hot(tokens, self.codec.vocab).float()
        given = self._given(place)
        rows = size * times
        with torch.no_grad():
            made = self.write(real[:rows], place[:rows], given[:rows], strains.bar, warmth)
        theirs = torch.cat([real[:rows], soundings(real[:rows])], dim=2)
        figures = []
        for first in range(0, rows, size):
            part = slice(first, first + size)
            figures.append(self._teach_critic(theirs[part], made[part], place[part]))
        made = self.write(real[rows:], place[rows:], given[rows:], strains.bar, warmth)
        self._move(0, -self.critic(made, place[rows:]).mean())
        self.kept.update_parameters(self.generator)
        return dict(zip(("gap", "slope"), np.mean(figures, axis=0).tolist(), strict=True))

    def write(self, real: Tensor, place: Tensor, given: Tensor, bar: int, warmth: float) -> Tensor:
        """Return rolls (B, T, 2 * vocab - 2) of lines that the generator writes.

        Args:
            real: (B, T, vocab) tokens, of which some are given.
            place: (B, T, 6) plan.
            given: (B, T) bool, which are.
            bar: cells in a bar.
            warmth: see `straight_through`.
        """
        batch, cells, vocab = real.shape
        shape, known = self.generator.shape, given[..., None]
        gumbel = gumbel_noise((batch, cells, vocab), self.noise).to(self.device)
        noise = torch.randn(batch, shape.noise, generator=self.noise).to(self.device)
        ripple = torch.randn(batch, cells, shape.ripple, generator=self.noise).to(self.device)
        started = torch.zeros(batch, dtype=torch.long, device=self.device)

        def choose(cell: int, logits: Tensor) -> Tensor:
            nonlocal started
            masked = logits.masked_fill(~self.legal[started], ILLEGAL)
            drawn = straight_through(masked, gumbel[:, cell], warmth)
            token = torch.where(known[:, cell], real[:, cell], drawn)
            started = started | (token[:, FIRST_PITCH:].detach().sum(dim=1) > 0.5).long()
            return token

        page = real * known if bool(given.any()) else None
        tokens, pitches = self.generator.write(Ask(noise, ripple, place, bar, page), choose)
        return torch.cat([tokens, pitches], dim=2)

    def _given(self, place: Tensor) -> Tensor:
        """Draw which cells (B, T) bool are given."""
        some = torch.from_numpy(self.rng.random((len(place), 1)) < self.settings.given)
        every = torch.ones(place.shape[:2], dtype=torch.bool, device=self.device)
        return draw_given(place, every, self.rng) & some.to(self.device)

    def _teach_critic(self, real: Tensor, made: Tensor, place: Tensor) -> tuple[float, float]:
        """Move the critic; return by how much it sets real lines above others, and its slope."""
        mix = torch.rand(len(real), generator=self.noise).to(self.device)
        told = self.critic(torch.cat([real, made]), torch.cat([place, place]))
        gap = told[: len(real)].mean() - told[len(real) :].mean()
        norms = slopes(lambda roll: self.critic(roll, place), real, made, mix)
        self._move(1, -gap + self.settings.penalty * penalty_of(norms))
        return gap.item(), norms.mean().item()

    def _move(self, which: int, loss: Tensor) -> None:
        """Descend a loss with the weights of the generator (0) or of the critic (1)."""
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss of the {('generator', 'critic')[which]} is {loss.item()}, no number: "
                "the training has diverged; expected lower generator_rate and critic_rate"
            )
        adam = self.adams[which]
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
