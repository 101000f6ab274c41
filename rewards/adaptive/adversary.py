"""A term that learns, beside the agent, to tell its pieces from real ones, and pays for the latter.

    python -m agents.train --reward prior=1 in_key=2 adversary=1,n_critic=2,smoothing=0.1

Discriminator and agent learn in turn, as in SeqGAN (Yu et al. 2017, arXiv 1609.05473). The logit of
an ideal discriminator is log(real / agent), the log ratio of how often both write a piece, so
an agent that is paid for it moves towards real pieces (Ho & Ermon 2016, arXiv 1606.03476).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.errors import quoted
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task

if TYPE_CHECKING:
    from torch import Tensor

NORMS = ("spectral", "gradient")
WON, PATIENCE = 0.99, 10  # share of pieces told apart, and rollouts running, from which it has won
COUNTS = ("updates", "wins", "retired")


class Adversary:
    """The logit of a discriminator that learns along a training; one number per piece.

    It pays 0 until it has learned from a first rollout, and again after it has won completely: it
    told at least 99% of ten rollouts running from real pieces, so that it prefers none of the
    agent's to another. A training says so once and goes on without it.

    Args:
        n_critic: times that it reads each rollout, beside as many real pieces.
        smoothing: real pieces are to be believed with 1 less this.
        threshold: share of a rollout told apart from which on it does not learn from it.
        norm: 'spectral', or 'gradient' for a gradient penalty instead.
        rate: learning rate.
        limit: the largest logit that is paid, approached as by tanh.
        data: folder or file of real tunes; '' for the training part of the corpus that ships; for
            two to four voices 'chorales', Bach's in the installed music21.
        seed: of first weights and minibatches.

    Raises:
        ValueError: a number outside its range, or another norm.
    """

    source = "Yu et al. (2017): SeqGAN; Ho & Ermon (2016): generative adversarial imitation"

    def __init__(
        self,
        *,
        n_critic: int = 2,
        smoothing: float = 0.1,
        threshold: float = 0.8,
        norm: str = "spectral",
        rate: float = 2e-3,
        limit: float = 3.0,
        data: str = "",
        seed: int = 0,
    ) -> None:
        from rewards.adaptive.discriminator import Discriminator, adam

        _check("n_critic", n_critic, 1, 100, whole=True)
        _check("seed", seed, 0, 2**31 - 1, whole=True)
        _check("smoothing", smoothing, 0.0, 0.5)
        _check("threshold", threshold, 0.5, 1.0)
        _check("rate", rate, 1e-6, 1.0)
        _check("limit", limit, 1e-3, 100.0)
        if norm not in NORMS:
            raise ValueError(
                f"adversary: norm={quoted(norm)}, expected one of {', '.join(map(repr, NORMS))}"
            )
        self.n_critic, self.smoothing, self.threshold = int(n_critic), smoothing, threshold
        self.norm, self.rate, self.limit, self.data = norm, rate, limit, str(data)
        self.seed = int(seed)
        self.network = Discriminator(spectral=norm == "spectral", seed=self.seed)
        self.optimizer = adam(self.network, rate)
        self.updates = self.wins = self.retired = 0
        self.finding = ""

    def require(self, task: Task) -> None:
        """Raise ValueError unless there are real melodies like a task's pieces."""
        self.real_pieces(task)

    def real_pieces(self, task: Task) -> Score:
        """Return the real melodies that it learns from on a task."""
        from rewards.adaptive.windows import real_parts

        return real_parts(task, self.data)

    def __call__(self, score: Score) -> Array:
        """Return the numbers (B,) that finished pieces are paid."""
        if not self.updates or self.retired:
            return np.zeros(score.batch, np.float32)
        from rewards.adaptive.discriminator import logits_of

        return self.limit * np.tanh(logits_of(self.network, score) / self.limit)

    def update(self, real: Score, generated: Score) -> dict[str, float]:
        """Learn from a rollout; return the share of it that was told apart before, and more."""
        from rewards.adaptive.discriminator import PENALTY, accuracy, fit, logits_of

        logits = [logits_of(self.network, score) for score in (real, generated)]
        apart, learns = accuracy(*logits), 0
        self.finding = ""
        if not self.retired:
            self._count_wins(apart)
        if not self.retired and (not self.updates or apart < self.threshold):
            learns, penalty = 1, PENALTY if self.norm == "gradient" else 0.0
            for turn in range(self.n_critic):
                rng = np.random.default_rng((self.seed, self.updates, turn))
                fit(self.network, self.optimizer, real, generated, rng, self.smoothing, penalty)
            self.updates += 1
        return {"told_apart": apart, "learns": learns, "retired": self.retired}

    def _count_wins(self, apart: float) -> None:
        self.wins = self.wins + 1 if apart >= WON else 0
        if self.wins >= PATIENCE:
            self.retired = 1
            self.finding = (
                f"it tells the agent's pieces and real ones apart in {apart:.0%}, so it prefers "
                "none of them to another: the training goes on without it, and it pays 0. Give it "
                "more weight, or a smaller --kl-budget"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return weights, the optimiser's state and counts, by name."""
        state = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            state |= {f"optimiser.{number}.{name}": value for name, value in values.items()}
        return state | {name: np.asarray(getattr(self, name)) for name in COUNTS}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from there.

        Raises:
            IndexError, KeyError, RuntimeError, ValueError: it is the state of something else.
        """
        values: dict[int, dict[str, Tensor]] = {}
        weights = list(self.network.parameters())
        for name, value in _named(state, "optimiser."):
            number, _, kind = name.partition(".")
            if value.shape not in ((), weights[int(number)].shape):
                raise ValueError(f"the optimiser's {name} has the shape {tuple(value.shape)}")
            values.setdefault(int(number), {})[kind] = value
        counts = {name: int(state[name]) for name in COUNTS}
        self.network.load_state_dict(dict(_named(state, "network.")))
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": values, "param_groups": groups})
        self.__dict__.update(counts)


def _named(state: Mapping[str, Tensor], prefix: str) -> list[tuple[str, Tensor]]:
    return [(k.removeprefix(prefix), v) for k, v in state.items() if k.startswith(prefix)]


def _check(name: str, value: float, low: float, high: float, whole: bool = False) -> None:
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"adversary: {name}={value!r}, expected {kind} from {low:g} to {high:g}")
