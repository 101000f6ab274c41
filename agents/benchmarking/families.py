"""Models that are no priors, as methods of a benchmark: they fill pages, decode points, search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from agents.composing.compute import Compute, ComputeMeter
from agents.composing.infilling.filling import cells_read
from agents.composing.infilling.guidance import Denoising, Guidance, guided
from agents.composing.latent.evolving import evolve
from agents.composing.search import SearchResult
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.families import FAMILIES
from pretrained.infiller import Infiller
from pretrained.latent import Latent
from pretrained.prior import Prior
from rewards.sum import RewardSum


@dataclass(frozen=True)
class ModelSearch:
    """A search with a model that is no prior. Adding one to SEARCHES makes it a method.

    Attributes:
        says: what it does, in a few words.
        run: returns pieces of a model, on a page of one piece, by what a reward pays; its other
            arguments are how many, the seed, and calls of the network for each.
        suits: True for the models that it can have.
    """

    says: str
    run: Callable[[Any, Score, RewardSum, int, int, int], SearchResult]
    suits: Callable[[Any], bool]

    def models(self) -> list[str]:
        """Return the names of the checkpoints that ship and suit."""
        return [name for name, model in shipped_models().items() if self.suits(model)]


def _guided(
    model: Any, page: Score, reward: RewardSum, n: int, seed: int, calls: int
) -> SearchResult:
    return guided(model, page, reward, n, seed, settings=Guidance(calls=calls))


def _evolved(
    model: Any, page: Score, reward: RewardSum, n: int, seed: int, calls: int
) -> SearchResult:
    return evolve(model, page, reward, n, calls, seed)


SEARCHES: dict[str, ModelSearch] = {
    "evolved": ModelSearch(
        "moves points towards those whose pieces are paid best",
        _evolved,
        lambda model: isinstance(model, Latent),
    ),
    "guided": ModelSearch(
        "fills cells in any order, led by the reward",
        _guided,
        lambda model: isinstance(model, Denoising),
    ),
}


def shipped_models() -> dict[str, Any]:
    """Return the models that ship and are no priors, by the names of their checkpoints."""
    kinds = {
        name: checkpoint.read(path)[0]["format"] for name, path in checkpoint.shipped().items()
    }
    return {name: checkpoint.load_model(name) for name, kind in kinds.items() if kind in FAMILIES}


def infillers() -> list[str]:
    """Return the names of the checkpoints that ship and fill pages."""
    return [name for name, model in shipped_models().items() if isinstance(model, Infiller)]


def decoders() -> list[str]:
    """Return the names of the checkpoints that ship and decode points, but fill no pages."""
    models = shipped_models().items()
    return [n for n, m in models if isinstance(m, Latent) and not isinstance(m, Infiller)]


def infiller(name: str, task: Task) -> Infiller:
    """Return the infiller of a checkpoint.

    Raises:
        FileNotFoundError, ValueError: there is none, it fills no pages, or none of the task.
    """
    model = checkpoint.load_model(name)
    if isinstance(model, Prior) or not isinstance(model, Infiller):
        raise ValueError(
            f"{name!r} fills no pages; expected an infiller, such as {_some(infillers)}"
        )
    model.require(task)
    return model


def decoder(name: str, task: Task) -> Latent:
    """Return the model of a checkpoint that knows pieces as points.

    Raises:
        FileNotFoundError, ValueError: there is none, it has no points, or none of the task.
    """
    model = checkpoint.load_model(name)
    if not isinstance(model, Latent):
        raise ValueError(
            f"{name!r} decodes no points; expected a latent, such as {_some(decoders)}"
        )
    model.require(task)
    return model


def searched(name: str, search: str, task: Task) -> Any:
    """Return the model of a checkpoint that a search can have.

    Raises:
        FileNotFoundError, ValueError: there is none, it does not suit, or not the task.
    """
    model, way = checkpoint.load_model(name), SEARCHES[search]
    if not way.suits(model):
        suited = _some(way.models)
        raise ValueError(f"{name!r} does not suit {search}, which {way.says}; expected {suited}")
    model.require(task)
    return model


def _some(names: Callable[[], list[str]]) -> str:
    return ", ".join(map(repr, names())) or "one that you trained (python -m pretrained.train)"


def written(
    model: Infiller | Latent, page: Score, n: int, seed: int, temperature: float = 1.0
) -> tuple[Score, Compute]:
    """Return `n` pieces of a model and the compute that they took.

    Args:
        model: an infiller fills the page; another one decodes points of a standard normal
            distribution.
        page: an unfinished score of one piece.
        n: number of pieces.
        seed: of the draws.
        temperature: of the draws.
    """
    meter, rng = ComputeMeter(), torch.Generator().manual_seed(seed)
    if isinstance(model, Infiller):
        pieces, read = model.fill(page, n, rng, temperature), cells_read(model, page)
    else:
        z = torch.randn((n, model.n_latent), generator=rng)
        pieces, read = model.decode(z, page, rng, temperature), page.task.steps
    meter.tokens += n * read
    return pieces, meter.read()
