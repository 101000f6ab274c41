"""Pools: many pieces of a prior with what a reward pays for each, for estimates without training.

The pieces are kept in the user's cache folder, in files of BLOCK pieces, each with a seed of its
own, so that a pool grows by what is missing and a small one is the beginning of a large one. Only
tokens are kept: a reward may have changed, and scoring takes a fiftieth of the time of drawing.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from agents.evaluating.sampling import BATCH, log_policy, sample_many
from envs.durable_files import user_cache, write_arrays
from envs.errors import quoted
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.checkpoint import pack
from pretrained.corpora.tune_cache import sources
from pretrained.prior import Prior, Trainable
from rewards.learned import learners
from rewards.objective import Objective
from rewards.sum import RewardSum

FORMAT = "1"  # of the files; another one where this module draws otherwise
BLOCK = 2 * BATCH  # pieces in a file
MOST_CELLS = 2**28  # of a pool in memory, a byte each
MOST_KEPT = 2**30  # bytes in the cache folder; the pools that were drawn longest ago go first


@dataclass(frozen=True)
class Pool:
    """Pieces that stand for a prior, and what a reward's rules pay for each.

    Attributes:
        task: of the pieces.
        tokens: (N, V, T) uint8.
        rewards: (N,) float64, the sum of all terms but log p, undivided.
        log_weights: (N,) log of p over the density that drew each piece, in nats; None for pieces
            of the prior itself.
    """

    task: Task
    tokens: Array
    rewards: Array
    log_weights: Array | None = None

    @property
    def size(self) -> int:
        """Number of pieces."""
        return len(self.rewards)

    @property
    def cells(self) -> int:
        """Number of cells of a piece that are not given, by which a KL per token is counted."""
        return int(self.task.free.sum())

    def take(self, rows: Array) -> Score:
        """Return the pieces of some numbers (n,), which may repeat."""
        return Score(self.tokens[rows], self.task)


def draw_pool(prior: Prior, reward: RewardSum, task: Task, n: int, seed: int = 0) -> Pool:
    """Return `n` pieces of a prior and what the reward pays for each.

    Args:
        prior: a `Trainable` one has its pieces kept in the cache folder.
        reward: its term of log p, if it has one, is left out.
        task: of the pieces.
        n: number of pieces.
        seed: of the draw; equal seeds give equal pieces.

    Raises:
        ValueError: `n` below 1 or too many for the memory, a prior that cannot read the task, or a
            reward of log p alone.
        RewardError: a term fails.
    """
    tokens = draw_pieces(prior, task, n, seed)
    return Pool(task, tokens, pay(reward, tokens, task))


def mixed_pool(
    prior: Prior, writers: Sequence[Prior], reward: RewardSum, task: Task, n: int, seed: int = 0
) -> Pool:
    """Return `n` pieces of the prior and of each of some policies, weighed to stand for the prior.

    The policies reach what the prior hardly ever writes. Each piece has the weight p / q, where q
    is the density of the whole mixture: the balance heuristic of Veach & Guibas (1995), "Optimally
    combining sampling techniques for Monte Carlo rendering". As the prior is in the mixture, no
    weight is above the number of its parts, and the policies need not cover what they miss.

    Args:
        prior: p.
        writers: policies at temperature 1 without masks, such as ones of several KL on the way.
        reward: as for `draw_pool`.
        task: of the pieces.
        n: pieces of each.
        seed: of the draws.

    Raises:
        ValueError, RewardError: as `draw_pool`.
    """
    parts = [draw_pieces(prior, task, n, seed)]
    parts += [
        sample_many(writer, task, n, _number(f"writer {seed} {place}")).tokens.astype(np.uint8)
        for place, writer in enumerate(writers)
    ]
    tokens = np.concatenate(parts)
    nats = np.stack([piece_nats(each, tokens, task) for each in (prior, *writers)])
    mixture = np.logaddexp.reduce(nats, axis=0) - np.log(len(nats))
    return Pool(task, tokens, pay(reward, tokens, task), nats[0] - mixture)


def pay(reward: RewardSum, tokens: Array, task: Task) -> Array:
    """Return the sum (N,) float64 of all terms but log p for each piece, undivided.

    Raises:
        ValueError: there are no such terms.
        RewardError: a term fails.
    """
    rules = Objective(reward).rules
    if rules is None:
        raise ValueError(
            "the reward has log p alone, and the prior is its own limit; expected a rule as well, "
            "such as --reward rl_tuner=1 prior=1"
        )
    blocks = (Score(tokens[at : at + BLOCK], task) for at in range(0, len(tokens), BLOCK))
    return np.concatenate([rules(score).sum(axis=(1, 2), dtype=np.float64) for score in blocks])


def piece_nats(writer: Prior, tokens: Array, task: Task) -> Array:
    """Return log of the probability (N,) float64 of whole pieces, without the cells given."""
    blocks = (Score(tokens[at : at + BLOCK], task) for at in range(0, len(tokens), BLOCK))
    nats = [
        log_policy(writer, score)[:, task.free].sum(axis=1, dtype=np.float64) for score in blocks
    ]
    return np.concatenate(nats)


def require_fixed(reward: RewardSum, mask: Sequence[str] = ()) -> None:
    """Raise ValueError where no pool of the prior shows the limit: terms that learn, or masks."""
    names = sorted({term.name for term, _ in learners(reward)})
    if names:
        raise ValueError(
            f"reward term {names[0]!r} learns, so what it pays for a piece has no fixed value, and "
            "there is no limit to measure; expected a reward without it"
        )
    if mask:
        raise ValueError(
            f"behind the mask {mask[0]!r} an agent writes what its prior would not, so the prior's "
            "limit is not its own; expected a run without --mask"
        )


# -- pieces that are kept --------------------------------------------------------------------------


def draw_pieces(prior: Prior, task: Task, n: int, seed: int = 0) -> Array:
    """Return the tokens (n, V, T) uint8 of pieces of a prior, of the cache folder where they are.

    Raises:
        ValueError: `n` below 1 or too many for the memory, or a prior that cannot read the task.
    """
    if not 1 <= n <= MOST_CELLS // task.steps:
        raise ValueError(
            f"a pool of {quoted(n)} pieces: expected 1 to {MOST_CELLS // task.steps:,} of "
            f"{task.steps} cells"
        )
    prior.require(task)
    folder = _folder(prior, task, seed)
    count = -(-n // BLOCK)
    blocks = [_block(prior, task, seed, number, folder) for number in range(count)]
    return np.concatenate(blocks)[:n]


def _folder(prior: Prior, task: Task, seed: int) -> Path | None:
    """Return where the pieces of a prior are kept; None unless it is its weights and our code."""
    if not isinstance(prior, Trainable) or not type(prior).__module__.startswith("pretrained."):
        return None
    digest = hashlib.sha256(pack(prior))
    digest.update(f"{task!r} {seed} {_version()}".encode())
    return user_cache() / "pools" / digest.hexdigest()[:32]


@lru_cache(maxsize=1)
def _version() -> str:
    """Return a hash of the source of everything that takes part in drawing a piece."""
    drawing = ("pretrained/prior.py", "agents/evaluating/sampling.py")
    return sources(FORMAT, "envs/music", "pretrained/networks", *drawing)


def _number(text: str) -> int:
    """Return a seed for torch, the same for the same text and unlike any that a user gives."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def _block(prior: Prior, task: Task, seed: int, number: int, folder: Path | None) -> Array:
    """Return the tokens (BLOCK, V, T) of one file; drawn where it is missing or damaged."""
    if folder is None:
        return _drawn(prior, task, seed, number)
    file = folder / f"{number}.npz"
    try:
        with np.load(file, allow_pickle=False) as kept:
            tokens = kept["tokens"]
        shape = (BLOCK, task.voices, task.cells)
        if tokens.dtype == np.uint8 and tokens.shape == shape and tokens.max() < task.codec.vocab:
            return tokens
    except Exception:  # a damaged file raises errors of many types
        pass
    tokens = _drawn(prior, task, seed, number)
    with contextlib.suppress(OSError):  # a cache that cannot be written is none
        folder.mkdir(parents=True, exist_ok=True)
        _make_room(folder)
        write_arrays(file, tokens=tokens)
    return tokens


def _drawn(prior: Prior, task: Task, seed: int, number: int) -> Array:
    score = sample_many(prior, task, BLOCK, _number(f"pool {seed} {number}"))
    return score.tokens.astype(np.uint8)


def _make_room(own: Path) -> None:
    """Remove other pools beside a pool until the folder of them all holds at most MOST_KEPT."""
    pools = sorted(own.parent.glob("*"), key=lambda pool: pool.stat().st_mtime)
    sizes = {pool: sum(file.stat().st_size for file in pool.glob("*")) for pool in pools}
    for pool in pools:
        if sum(sizes.values()) <= MOST_KEPT:
            return
        if pool != own:
            shutil.rmtree(pool, ignore_errors=True)
            del sizes[pool]
