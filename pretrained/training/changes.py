"""Changes of a network's weights: which of them may change, by how many numbers, how it is learned.

Each changed weight is that of the prior plus a function of the numbers which is 0 at first, so that
weight decay of the numbers pulls towards the prior (L2-SP, Li et al. 2018). Afterwards the network
holds plain weights: a change leaves neither layers nor sizes behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.music.codec import Codec
from pretrained.corpora.tunes import GridTune
from pretrained.networks.inputs import METRE, PlacedNetwork
from pretrained.networks.per_voice import LineNetwork
from pretrained.training.fit import batches, collate
from pretrained.training.lessons import Lesson, lesson

RANK = 8  # of the updates of matrices by "lora"
AHEAD = "ahead."  # what reads the cells given ahead is left as it is
MOST_STEPS = 200  # in a round
WARM = 5  # steps in which the learning rate rises
BETAS = (0.9, 0.98)  # of Adam
STEEPEST = 1.0  # norm to which gradients are cut


class Offset(nn.Module):
    """A number for each of a weight."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.added = nn.Parameter(torch.zeros_like(weight))

    def forward(self) -> Tensor:
        """Return what is added to the weight."""
        return self.added


class RowOffset(nn.Module):
    """A vector that is added to every row of a table (rows, width)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.rows = len(weight)
        self.added = nn.Parameter(torch.zeros_like(weight[0]))

    def forward(self) -> Tensor:
        """Return what is added to the weight."""
        return self.added.expand(self.rows, -1)


class LowRank(nn.Module):
    """A matrix of low rank that is added to a weight (Hu et al. 2022, LoRA).

    Args:
        weight: a matrix.
        rank: most that the rank can be.
    """

    def __init__(self, weight: Tensor, rank: int = RANK) -> None:
        super().__init__()
        out, inputs = weight.shape
        rank = min(rank, out, inputs)
        self.left = nn.Parameter(torch.zeros(out, rank))
        self.right = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)

    def forward(self) -> Tensor:
        """Return what is added to the weight."""
        return self.left @ self.right


class Change:
    """A change of a network that can be learned: its numbers, and the weights made of them.

    Args:
        net: changed in place.
        parts: of the weights by name; the others stay as they are.
    """

    def __init__(self, net: LineNetwork, parts: Mapping[str, nn.Module]) -> None:
        self.parts = nn.ModuleList(parts.values())
        self._weights = [net.get_parameter(name) for name in parts]
        self._before = [weight.detach().clone() for weight in self._weights]
        net.requires_grad_(False)
        for weight in self._weights:
            weight.requires_grad_(True)

    @property
    def numbers(self) -> list[nn.Parameter]:
        """All numbers that are learned."""
        return list(self.parts.parameters())

    def write(self, numbers: Sequence[Tensor] | None = None) -> None:
        """Make the weights of the numbers, or of others in their place."""
        with torch.no_grad():
            if numbers is not None:
                kept = [number.clone() for number in self.numbers]
                self._put(numbers)
                self.write()
                self._put(kept)
                return
            for weight, before, part in zip(self._weights, self._before, self.parts, strict=True):
                weight.copy_(before + part())

    def _put(self, numbers: Sequence[Tensor]) -> None:
        for number, value in zip(self.numbers, numbers, strict=True):
            number.copy_(value)

    def pull(self) -> None:
        """Turn the gradients of the weights into those of the numbers."""
        for weight, part in zip(self._weights, self.parts, strict=True):
            if weight.grad is not None:
                torch.autograd.backward(part(), weight.grad)
                weight.grad = None


def state_change(net: PlacedNetwork) -> Change:
    """Return a change of what the network begins with: a vector at every input, and all biases.

    Added to all rows of the table of tokens the vector needs no other form of the network. Scales
    of norms count as biases.
    """
    biases = {name: Offset(weight) for name, weight in _own(net) if weight.ndim == 1}
    return Change(net, {"token.weight": RowOffset(net.token.weight), **biases})


def low_rank_change(net: PlacedNetwork) -> Change:
    """Return a change of all matrices by others of low rank, and of all biases."""
    parts = {n: LowRank(w) if w.ndim == 2 else Offset(w) for n, w in _own(net)}
    return Change(net, parts)


def full_change(net: PlacedNetwork) -> Change:
    """Return a change of all weights."""
    return Change(net, {name: Offset(weight) for name, weight in _own(net)})


def _own(net: PlacedNetwork) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield name and weight of all but what reads the cells given ahead."""
    for name, weight in net.named_parameters():
        if not name.startswith(AHEAD):
            yield name, weight


CHANGES = {"state": state_change, "lora": low_rank_change, "full": full_change}


@dataclass(frozen=True)
class Recipe:
    """How a change is learned.

    Attributes:
        rate: learning rate of Adam.
        rounds: most of them; after each one the network is looked at.
        steps: fewest in a round; if the tunes fill more batches, a round is a pass over them, of
            MOST_STEPS at most.
        decay: of the numbers at each step, times the rate.
        dropout: share of features dropped.
        average: decay per step of the running average of the numbers, which is what is kept.
        batch_tokens: in a batch of whole tunes.
    """

    rate: float
    rounds: int = 10
    steps: int = 4
    decay: float = 0.0
    dropout: float = 0.3
    average: float = 0.8
    batch_tokens: int = 2048


RECIPES = {
    "state": Recipe(0.005, decay=2.0),
    "lora": Recipe(0.002, decay=10.0),
    "full": Recipe(0.0004, decay=30.0),
}


def learn(
    net: PlacedNetwork,
    how: str,
    tunes: Sequence[GridTune],
    codec: Codec,
    recipe: Recipe,
    rng: np.random.Generator,
) -> Iterator[int]:
    """Change a network in place, and yield the number of rounds done each time, at first 0.

    At that time the network has the running average of the numbers.

    Args:
        net: on the CPU; its dropout becomes that of the recipe.
        how: a key of CHANGES.
        tunes: to learn from.
        codec: of the network.
        recipe: of learning.
        rng: draws the order, and the parts of tunes that a network with a plan is shown.
    """
    change = CHANGES[how](net)
    yield 0
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = recipe.dropout
    optimizer = torch.optim.Adam(change.numbers, recipe.rate, BETAS)
    mean = [number.detach().clone() for number in change.numbers]
    shown, step = _batches(net, tunes, recipe, rng), 0
    passing = -(-sum(len(tune.tokens) for tune in tunes) // recipe.batch_tokens)
    for rounds in range(1, recipe.rounds + 1):
        net.train()
        for _ in range(max(recipe.steps, min(passing, MOST_STEPS))):
            step += 1
            change.write()
            tokens, place, real = collate(next(shown), codec)
            functional.cross_entropy(net(tokens, place)[0][real], tokens[real]).backward()
            change.pull()
            nn.utils.clip_grad_norm_(change.numbers, STEEPEST)
            optimizer.param_groups[0]["lr"] = rate = recipe.rate * min(1.0, step / WARM)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            with torch.no_grad():
                for number, average in zip(change.numbers, mean, strict=True):
                    number.mul_(1 - rate * recipe.decay)
                    average.lerp_(number, 1 - min(recipe.average, step / (step + 10)))
        change.write(mean)
        yield rounds


def _batches(
    net: PlacedNetwork, tunes: Sequence[GridTune], recipe: Recipe, rng: np.random.Generator
) -> Iterator[list[Lesson]]:
    """Yield batches of lessons, pass after pass, without an end."""
    plan = rng if net.shape.places > METRE else None
    while True:
        yield from batches([lesson(tune, plan) for tune in tunes], recipe.batch_tokens, rng)
