"""A small convolutional network that tells an agent's pieces from real ones.

The generator against discriminator of SeqGAN (Yu et al. 2017, arXiv 1609.05473), with a network in
the manner of MidiNet's (Yang et al. 2017, arXiv 1703.10847): convolutions over cells of notes
relative to the key. Key, metre and plan are shown as in a projection discriminator (Miyato & Koyama
2018, arXiv 1802.05637).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task

REACH = 24  # semitones from the tonic; what is farther away counts as that far
RESTS, HOLDS, PITCHES = 0, 1, 2  # kinds of a cell; from PITCHES on an onset, lowest first
LEVELS = 6  # of metrical weakness
PLACES, PLANS = 4, 16  # numbers of a cell's place, and of a piece's plan
BATCH = 64  # pieces of each side in a minibatch
RATE, BETAS = 2e-3, (0.5, 0.9)  # of Adam
PENALTY = 1.0  # weight of the gradient penalty
DROPOUT = 0.2
CHUNK = 512  # pieces judged at once


class Discriminator(nn.Module):
    """A network of a piece's logit: above 0 for what it takes to be real.

    Args:
        width: channels.
        spectral: whether the weights have spectral norm 1 (Miyato et al. 2018, arXiv 1802.05957).
        seed: of the first weights; torch's generator is left as it was.
    """

    def __init__(self, width: int = 48, spectral: bool = True, seed: int = 0) -> None:
        super().__init__()
        norm = spectral_norm if spectral else nn.Identity()
        kinds = PITCHES + 2 * REACH + 1
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.begun, self.sounding = nn.Embedding(kinds, width), nn.Embedding(kinds, width)
            self.level, self.place = nn.Embedding(LEVELS, width), nn.Linear(PLACES, width)
            self.near = norm(nn.Conv1d(width, width, 5, padding=2))
            self.beats = norm(nn.Conv1d(width, width, 4, stride=4))
            self.bars = norm(nn.Conv1d(width, width, 5, padding=8, dilation=4))
            self.judge, self.plan = norm(nn.Linear(2 * width, 1)), norm(nn.Linear(PLANS, 2 * width))
        self.drop = nn.Dropout(DROPOUT)
        self.eval()

    def forward(self, score: Score) -> Tensor:
        """Return logits (B,) of pieces.

        Voices are heard together: what begins and sounds in a cell counts, and not who sings it.
        """
        return self.judged(self.heard(score), score.task)

    def heard(self, score: Score) -> Tensor:
        """Return the embedded cells (B, width, T)."""
        level, place, _ = _described(score.task)
        begun, sounding = map(torch.from_numpy, kinds_of(score))
        notes = (self.begun(begun) + self.sounding(sounding)).sum(dim=1)
        cells: Tensor = notes + self.level(level) + self.place(place)
        return cells.transpose(1, 2)

    def judged(self, cells: Tensor, task: Task) -> Tensor:
        """Return logits (B,) of the embedded cells (B, width, T) of a task's pieces."""
        for layer in (self.near, self.beats, self.bars):
            cells = self.drop(functional.leaky_relu(layer(cells), 0.2))
        found = torch.cat([cells.mean(dim=2), cells.amax(dim=2)], dim=1)
        planned = self.plan(_described(task)[2])
        verdict: Tensor = self.judge(found)[:, 0] + (found * planned).sum(dim=1)
        return verdict


def kinds_of(score: Score) -> tuple[Array, Array]:
    """Return what begins in each cell, and what sounds there, (B, V, T), relative to the tonic.

    RESTS, HOLDS, and from PITCHES on the semitones from REACH below the tonic in the middle of the
    range to REACH above it.
    """
    task = score.task
    tonics = range(task.key.pitch_class, 128, 12)
    tonic = min(tonics, key=lambda pitch: abs(2 * pitch - task.low - task.high))
    pitch, started = score.pitch.astype(np.int64), score.pitch >= 0
    relative = np.clip(pitch - tonic, -REACH, REACH) + REACH + PITCHES
    begun = np.where(score.onset, relative, np.where(score.hold, HOLDS, RESTS))
    silent = _silent(score.onset, score.rest) | ~started
    return begun, np.where(silent, RESTS, relative)


def _silent(onset: Array, rest: Array) -> Array:
    """Return True (B, V, T) in the cells after a rest and before the next onset."""
    event = np.where(onset | rest, np.arange(onset.shape[-1]), 0)
    last = np.maximum.accumulate(event, axis=-1)
    return np.asarray(np.take_along_axis(rest, last, axis=-1))


@lru_cache(maxsize=64)
def _described(task: Task) -> tuple[Tensor, Tensor, Tensor]:
    """Return metrical levels (T,) and places (T, PLACES) of a task's cells, and its plan (PLANS,).

    The plan is the metre, the length, and the pitch classes of the key's scale above the tonic.
    """
    page = Score.page(task, 1)
    level = np.broadcast_to(page.level, page.tokens.shape)[0, 0]
    cell = np.arange(task.cells)
    phase = 2 * np.pi * (cell - task.pickup) / task.bar_cells
    ends = np.flatnonzero(task.phrase_ends)
    left = ends[np.searchsorted(ends, cell)] - cell
    place = np.stack(
        [np.sin(phase), np.cos(phase), cell / task.cells, left / (8 * task.bar_cells)], axis=1
    )
    scale = [(task.key.pitch_class + step) % 12 in task.key.pitch_classes for step in range(12)]
    plan = [task.bar_cells / 16, task.beat_cells / 4, task.beat_cells % 3 == 0, np.log2(task.bars)]
    level = torch.from_numpy(np.minimum(level, LEVELS - 1).astype(np.int64))
    described = torch.tensor([*plan, *scale], dtype=torch.float32)
    return level, torch.from_numpy(place.astype(np.float32)), described


# -- learning and judging --------------------------------------------------------------------------


def adam(network: Discriminator, rate: float = RATE) -> torch.optim.Adam:
    """Return the optimiser of a discriminator."""
    return torch.optim.Adam(network.parameters(), rate, BETAS)


def fit(
    network: Discriminator,
    optimizer: torch.optim.Optimizer,
    real: Score,
    generated: Score,
    rng: np.random.Generator,
    smoothing: float = 0.0,
    penalty: float = 0.0,
) -> float:
    """Read as many real as generated pieces once, in minibatches; return the mean loss in nats.

    Args:
        network: is moved.
        optimizer: of its weights.
        real: real pieces, of the task of the generated ones.
        generated: pieces of an agent.
        rng: draws minibatches and dropout.
        smoothing: real pieces are to be believed with 1 less this, against overconfidence
            (one-sided label smoothing, Salimans et al. 2016, arXiv 1606.03498).
        penalty: weight of the squared gradient between real and generated pieces (zero-centred,
            Thanh-Tung et al. 2019, arXiv 1902.03984).
    """
    count = min(real.batch, generated.batch)
    orders = [rng.permutation(score.batch)[:count] for score in (real, generated)]
    losses = []
    network.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**31)))
        for start in range(0, count, BATCH):
            rows = slice(start, start + BATCH)
            one = network.heard(real.take(orders[0][rows]))
            other = network.heard(generated.take(orders[1][rows]))
            logits = network.judged(torch.cat([one, other]), real.task)
            wanted = torch.zeros_like(logits)
            wanted[: len(one)] = 1 - smoothing
            loss = functional.binary_cross_entropy_with_logits(logits, wanted)
            losses.append(loss.item())
            if penalty:
                loss = loss + penalty * _slope(network, one.detach(), other.detach(), real.task)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.eval()
    return float(np.mean(losses))


def _slope(network: Discriminator, one: Tensor, other: Tensor, task: Task) -> Tensor:
    """Return the mean squared gradient of the logits at random points between embedded pieces."""
    mixed = torch.rand(len(one), 1, 1)
    between = (mixed * one + (1 - mixed) * other).requires_grad_(True)
    logits = network.judged(between, task).sum()
    (slope,) = torch.autograd.grad(logits, between, create_graph=True)
    return (slope**2).sum(dim=(1, 2)).mean()


@torch.no_grad()
def logits_of(network: Discriminator, score: Score) -> Array:
    """Return the logits (B,) of pieces, in float32."""
    network.eval()
    return np.concatenate([network(part).numpy() for part in score.chunks(CHUNK)])


def accuracy(real: Array, generated: Array) -> float:
    """Return the share told apart by logits (N,) and (M,) of pieces; both sides weigh the same."""
    return float(((real > 0).mean() + (generated <= 0).mean()) / 2)


def area(real: Array, generated: Array) -> float:
    """Return the chance that a real piece has the larger logit: the area under the ROC curve.

    0.5 for pieces that cannot be told apart, 1 for pieces that always can (Hanley & McNeil 1982).
    """
    difference = real[:, None] - generated[None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)
