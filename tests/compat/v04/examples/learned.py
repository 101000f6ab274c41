"""Rewards that are torch modules: one that was taught, and one that goes on learning.

python -m agents.train --reward prior=1 examples/learned.py:critic=2
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from envs.score import Score

KINDS = 14  # rest, hold, and a note on each of the twelve degrees
MOST = 5.0  # the largest logit that is paid


class Listener(nn.Module):
    """Hears what follows what, and gives a piece one number.

    The first layer sees three cells at a time; what it heard is averaged along the piece.
    """

    def __init__(self, width=32):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)  # the same listener in every process
            self.embed = nn.Embedding(KINDS, width)
            self.hear = nn.Conv1d(width, width, kernel_size=3)
            self.judge = nn.Linear(width, 1)

    def logits(self, score):
        """(B,) tensor: above 0 for what is liked."""
        kinds = np.where(score.onset, score.degree + 2, score.hold)
        cells = torch.from_numpy(kinds.astype(np.int64)).flatten(0, 1)
        heard = torch.relu(self.hear(self.embed(cells).transpose(1, 2))).mean(dim=2)
        return self.judge(heard)[:, 0].view(score.batch, -1).mean(dim=1)

    @torch.no_grad()
    def forward(self, score):
        """The reward: (B,) numbers, paid at the end of each piece."""
        return self.logits(score).clamp(-MOST, MOST).numpy()

    def learn(self, pieces, wanted, rounds=1, rate=1e-2):
        """Move towards the numbers 0..1 that are wanted for some pieces; returns the last loss."""
        optimizer = torch.optim.Adam(self.parameters(), rate)
        wanted = torch.as_tensor(wanted, dtype=torch.float32)
        for _ in range(rounds):
            loss = functional.binary_cross_entropy_with_logits(self.logits(pieces), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item()


class Critic(Listener):
    """Learns, beside the agent, to tell its pieces from real ones, and pays for the latter.

    The discriminator of generative adversarial imitation (Ho & Ermon 2016, arXiv 1606.03476). A
    training calls `update` once for each rollout, and keeps what `state_dict` holds.
    """

    def update(self, real, generated):
        """A few steps on as many real pieces as generated ones."""
        pieces = Score(np.concatenate([real.tokens, generated.tokens]), real.task)
        wanted = np.repeat([1.0, 0.0], [real.batch, generated.batch])
        loss = self.learn(pieces, wanted, rounds=4)
        return {"loss": loss, "told_apart": ((self(pieces) > 0) == wanted).mean()}


critic = Critic()
