"""Direct preference optimisation on whole pieces: the policy is itself the model of what is liked.

The policy of the highest E[r / c] + w E[log p] - e E[log pi] has, for two pieces,

    c (e (log pi_1 - log pi_2) - w (log p_1 - log p_2)) = r_1 - r_2

so with rewards in nats of the odds of being liked (Bradley & Terry 1952) the left side is the logit
of "the first is liked". Its likelihood is raised, without a model of the reward (Rafailov et al.
2023, "Direct preference optimization: your language model is secretly a reward model"); c is their
beta, and p their reference where w and e are 1.

Comparisons come from a file, or are made of each rollout: its pieces are paired at random, and the
reward says with which odds each would be liked. Rewards are scaled for that, and so is the left
side, which moves no optimum; such labels are on-policy (Guo et al. 2024, "Direct language model
alignment from online AI feedback").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from agents.algorithms.piece_learner import PieceLearner
from agents.learning.policy import PriorPolicy
from agents.learning.rollout import EpisodeBuffer, observations_of
from agents.preferring.comparisons import Comparisons
from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from rewards.objective import Objective

SMALLEST = 1e-6  # standard deviation of rewards that tell pieces apart
CHANCE = {"left": 1.0, "right": 0.0, "tie": 0.5}  # of left; neither says nothing of the two
READ = ("pieces", "given", "masks", "context", "actions", "seen")  # columns that a policy reads


def logits(own: Tensor, likely: Tensor, c: float, entropy: float, sharpness: float = 1.0) -> Tensor:
    """Return the policy's logit (N,) of "the first piece is liked".

    Args:
        own: (N, 2) log pi of the pieces of each pair, nats.
        likely: (N, 2) weighted log p of them.
        c, entropy: of the objective.
        sharpness: factor of the rewards.
    """
    kept = entropy * own - likely
    return sharpness * c * (kept[:, 0] - kept[:, 1])


class DirectPreference(PieceLearner):
    """Direct preference optimisation, from comparisons or from labels that the reward gives.

    Args:
        *arguments: see SB3's OnPolicyAlgorithm.
        comparisons: of pieces of the task; None to have each rollout's pieces compared.
        sharpness: of the reward's labels: a standard deviation of the reward, in nats of the odds.
        batch_size: cells in a minibatch of whole pieces, both of each pair.
        n_epochs: passes over the comparisons after each rollout; the pieces of a rollout are paired
            anew for each.
        **settings: see SB3's OnPolicyAlgorithm.

    Raises:
        ValueError: comparisons that say nothing of two pieces.
    """

    policy: PriorPolicy  # type: ignore[assignment]

    def __init__(
        self,
        *arguments: Any,
        comparisons: Comparisons | None = None,
        sharpness: float = 1.0,
        batch_size: int = 4096,
        n_epochs: int = 1,
        **settings: Any,
    ) -> None:
        super().__init__(*arguments, **settings)
        self.sharpness, self.batch_size, self.n_epochs = sharpness, batch_size, n_epochs
        self.lessons: dict[str, Tensor] | None = None
        if comparisons is not None:
            self.lessons = self._read(comparisons)

    def _objective(self) -> Objective:
        objective = self.rollout_buffer.objective
        if objective is None:
            raise ValueError("direct preference optimisation needs the objective of whole pieces")
        return objective

    def _read(self, comparisons: Comparisons) -> dict[str, Tensor]:
        """Return the columns of compared pieces, lefts first, with log p and the chance of left."""
        told = [row for row, liked in enumerate(comparisons.liked) if liked in CHANCE]
        if not told:
            raise ValueError(
                "no comparison says left, right or tie, so nothing can be learned from them; "
                "compare more pairs: python -m agents.prefer --ask FILE"
            )
        tokens = [side.tokens[told] for side in (comparisons.left, comparisons.right)]
        score = Score(np.concatenate(tokens), comparisons.task)
        columns = observed(score)
        if self.policy.model.sight is not None:
            columns["seen"] = EpisodeBuffer.as_stored(self.policy.model.sight.along(score))
        term = self._objective().prior
        likely = np.zeros(score.tokens.shape) if term is None else term.whole(score)
        columns["likely"] = (likely * ~columns["given"]).sum(axis=(1, 2)).astype(np.float32)
        lessons = {name: self.rollout_buffer.to_torch(each) for name, each in columns.items()}
        chances = np.array([CHANCE[comparisons.liked[row]] for row in told], np.float32)
        return lessons | {"chance": self.rollout_buffer.to_torch(chances)}

    def train(self) -> None:
        """Raise the likelihood of the comparisons: those of the file, or of the last rollout."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        paid = None if self.lessons is not None else self._paid()
        losses, agreed = [], []
        for _ in range(self.n_epochs):
            lessons, pairs, chances, sharpness = self._compared(paid)
            steps = lessons["actions"].shape[1]
            order = torch.from_numpy(np.random.permutation(len(pairs))).to(self.device)
            for rows in order.split(max(1, self.batch_size // (2 * steps))):
                logit = self._logits(lessons, pairs[rows], sharpness)
                loss = nn.functional.binary_cross_entropy_with_logits(logit, chances[rows])
                losses.append(self.descend(loss, self.policy.optimizer))
                agreed.append(agreeing(logit.detach(), chances[rows]))
        self.record(
            self.n_epochs,
            preference_loss=float(np.mean(losses)),
            agreement=_share(agreed),
        )

    def _paid(self) -> tuple[dict[str, Tensor], Array]:
        """Return the columns of the last rollout's pieces with their log p, and their rewards."""
        buffer = self.rollout_buffer
        rules, likely = self._objective().split(buffer.parts)
        columns = {name: each for name, each in buffer.columns().items() if name in READ}
        columns["likely"] = (likely * ~columns["given"]).sum(axis=(1, 2))
        lessons = {name: buffer.to_torch(each) for name, each in columns.items()}
        return lessons, rules.sum(axis=(1, 2), dtype=np.float64)

    def _compared(
        self, paid: tuple[dict[str, Tensor], Array] | None
    ) -> tuple[dict[str, Tensor], Tensor, Tensor, float]:
        """Return pieces, pairs (N, 2) of them, the chance (N,) of the first, and the sharpness."""
        if paid is None:
            lessons = self.lessons or {}
            count = len(lessons["chance"])
            sides = torch.arange(2 * count, device=self.device).reshape(2, count).T
            return lessons, sides, lessons["chance"], 1.0
        lessons, rewards = paid
        sharpness = self.sharpness / max(float(rewards.std()), SMALLEST)
        order = np.random.permutation(len(rewards))  # SB3 seeds numpy's generator
        pairs = order[: len(order) // 2 * 2].reshape(-1, 2)
        margins = sharpness * (rewards[pairs[:, 0]] - rewards[pairs[:, 1]])
        chances = torch.sigmoid(torch.from_numpy(margins)).float().to(self.device)
        return lessons, torch.from_numpy(pairs).to(self.device), chances, sharpness

    def _logits(self, lessons: dict[str, Tensor], pairs: Tensor, sharpness: float) -> Tensor:
        """Return the policy's logits (N,) of pairs (N, 2) of pieces."""
        rows, objective = pairs.flatten(), self._objective()
        part = {name: lessons[name][rows] for name in READ if name in lessons}
        _, nats, _ = self.policy.evaluate_actions(observations_of(part), part["actions"].flatten())
        own = nats.reshape(len(rows), -1).sum(dim=1).reshape(-1, 2)
        likely = lessons["likely"][rows].reshape(-1, 2)
        return logits(own, likely, objective.c, objective.entropy, sharpness)


def agreeing(logit: Tensor, chances: Tensor) -> Tensor:
    """Return for each pair that has a better piece (N,) if the policy prefers it; ties are none."""
    told = chances != 0.5
    return (logit[told] > 0) == (chances[told] > 0.5)


def _share(agreed: list[Tensor]) -> float:
    """Return the share of what is true; NaN if there is nothing."""
    return float(torch.cat(agreed).float().mean())


def observed(score: Score) -> dict[str, Array]:
    """Return the columns that a policy reads of finished pieces, as an EpisodeBuffer has them.

    Raises:
        ValueError: a piece that the task does not allow.
    """
    task, page = score.task, Score.page(score.task, score.batch)
    given = page.tokens != UNWRITTEN
    actions = score.tokens.transpose(0, 2, 1).reshape(score.batch, -1).astype(np.int64)
    masks = []
    for action in actions.T:
        masks.append(page.allowed())
        if not masks[-1][np.arange(score.batch), action].all():
            raise ValueError(
                "a piece that was compared has a note that the task does not allow; expected "
                "pieces within its range and with its given cells"
            )
        page = page.write(action)
    return {
        "pieces": score.tokens.astype(np.int64),
        "given": np.array(given),
        "masks": np.stack(masks, axis=1).astype(np.int8),
        "context": np.tile(task.context(0), (score.batch, 1)),
        "actions": actions,
    }
