"""Bench: the task, prior and reward of a benchmark, and how each method writes its pieces."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.benchmarking import families
from agents.benchmarking.benchmark_methods import BenchMethod, training
from agents.benchmarking.limits import SEED, pool_size_for
from agents.benchmarking.results import folder_of
from agents.composing.compute import Compute, ComputeMeter
from agents.composing.masks import read_masks
from agents.composing.search import beam, masked, masked_nats
from agents.evaluating.limit import TiltedPrior, best_of_n_kl, draws_for
from agents.evaluating.pool import draw_pool, require_fixed
from agents.evaluating.sampling import BATCH, sample_many, tempered_nats
from agents.settings.begun import as_begun
from agents.settings.config import TrainConfig
from envs.durable_files import write_arrays, write_atomic
from envs.music.score import Score
from envs.music.tape import Array
from pretrained.checkpoint import load
from pretrained.infiller import Infiller
from pretrained.prior import Prior
from rewards.build import build
from rewards.objective import Objective
from rewards.sum import RewardSum

WIDTH, STARTS = 256, 8  # of a beam; beams in a cell
POOL, ROUNDS = 2**17, 128  # pieces of a pool: ROUNDS for each piece wanted, at most POOL
FEWEST = 8  # times n that a pool must hold for a best of n
FIRST_SEED = 1000  # cell seeds number from 0; what they draw does not, so no seed is also trained
NO_TIME = Compute(0, 0, math.nan, math.nan)
FILLED = 250  # pieces that a family writes together


def pool_size(pieces: int) -> int:
    """Pieces that a prior's cell draws for all best-of-n of its seed."""
    return max(pieces, min(ROUNDS * pieces, POOL))


@dataclass(frozen=True)
class Drawn:
    """Pieces of a cell."""

    score: Score
    kl: float  # to the prior, nats per token; NaN where it is not defined
    cost: Compute  # of drawing them all
    independent: int  # so many of the first pieces have no draws in common
    draws: int = 1  # of which each piece is the best
    writer: Prior | Infiller | None = None  # that may fill hidden bars as well
    temperature: float = 1.0  # of its draws


class Bench:
    """Task, prior and reward that all cells of a benchmark share.

    Args:
        base: task, objective and steps of each training; `eval_pieces` are the pieces of a cell.
            The checkpoints are those that the folder began with.
        out: its folder.
    """

    def __init__(self, base: TrainConfig, out: Path) -> None:
        self.base, self.out = as_begun(base, out / "settings"), out
        self.pieces = base.eval_pieces
        self.task = base.task
        self.prior = load(self.base.prior, self.task)
        self.reward = build(self.base.reward_spec)
        self.reward.prepare(self.task)
        self.objective = Objective(self.reward)

    def folder(self, method: str, seed: int) -> Path:
        """Return the folder of a cell."""
        return folder_of(self.out, method, seed)

    def draws(self, method: BenchMethod) -> int:
        """Draws of which a best-of-n keeps the best."""
        return method.n or draws_for(method.budget * int(self.task.free.sum()))

    def paid(self, score: Score) -> tuple[dict[str, Array], Array]:
        """Return what each term pays for each piece, (B,), and the sum of all but the prior's."""
        values = self.objective.parts(score)
        parts = {name: value.sum(axis=(1, 2), dtype=np.float64) for name, value in values.items()}
        return parts, self.objective.split(parts)[0]

    def kl(self, nats: Array, score: Score) -> float:
        """Mean of log q - log p over the cells that are free, as `agents.evaluate` has it.

        Args:
            nats: (B, V, T) log q of what wrote the pieces.
            score: the pieces.
        """
        return float((nats - self.prior.log_prob(score))[:, self.task.free].mean(dtype=np.float64))

    def sampled(self, network: Prior, seed: int, temperature: float = 1.0) -> Drawn:
        """Pieces drawn from a network; the KL is that of what they were drawn from."""
        meter = ComputeMeter()
        score = sample_many(network, self.task, self.pieces, FIRST_SEED + seed, temperature)
        meter.tokens = score.batch * self.task.steps
        cost = meter.read()
        warm = temperature != 1
        nats = tempered_nats(network, score, temperature) if warm else network.log_prob(score)
        kl = self.kl(nats, score)
        return Drawn(score, kl, cost, score.batch, writer=network, temperature=temperature)

    def masked(self, network: Prior, rules: RewardSum, seed: int) -> Drawn:
        """Pieces drawn from a network with rules as hard masks; the KL is that of the masked."""
        cost = Compute()
        tokens: list[Array] = []
        for done in range(0, self.pieces, BATCH):
            page = Score.page(self.task, min(BATCH, self.pieces - done))
            found = masked(network, page, rules, (FIRST_SEED + seed) * 10**6 + done)
            cost, tokens = cost + found.compute, [*tokens, found.score.tokens]
        score = Score(np.concatenate(tokens), self.task)
        nats = np.concatenate([masked_nats(network, part, rules) for part in score.chunks(BATCH)])
        return Drawn(score, self.kl(nats, score), cost, score.batch)

    def beams(self, guide: Prior | None, seed: int) -> Drawn:
        """The best piece of a beam behind each of the first tokens that the prior draws first."""
        page, wanted = Score.page(self.task, 1), min(STARTS, self.pieces)
        time, voice = divmod(page.n_written, self.task.voices)
        drawn = sample_many(self.prior, self.task, BATCH, FIRST_SEED + seed)
        firsts = list(dict.fromkeys(drawn.tokens[:, voice, time].tolist()))[:wanted]
        found = [beam(page, self.reward, WIDTH, guide=guide, first=f) for f in firsts]
        tokens = np.concatenate([each.score.tokens for each in found])
        cost = sum((each.compute for each in found), Compute())
        return Drawn(Score(tokens, self.task), math.nan, cost, len(tokens))

    def pool(self, seed: int) -> Drawn:
        """Pieces of the prior; many more of them, with their rewards, go to pool.npz."""
        folder, meter = self.folder("prior", seed), ComputeMeter()
        size = pool_size(self.pieces)
        pool = sample_many(self.prior, self.task, size, FIRST_SEED + seed)
        meter.tokens = size * self.task.steps
        drawn, meter = meter.read(), ComputeMeter()
        parts, rules = self.paid(pool)
        returns = sum(parts.values(), np.zeros(size))
        both = drawn + meter.read()
        write_arrays(folder / "pool.npz", tokens=pool.tokens, rules=rules, returns=returns)
        seconds = {"wall": both.wall_seconds / size, "cpu": both.cpu_seconds / size}
        write_atomic(folder / "pool.json", json.dumps(seconds) + "\n")
        wall, cpu = (part * self.pieces / size for part in (drawn.wall_seconds, drawn.cpu_seconds))
        cost = Compute(self.pieces * self.task.steps, 0, wall, cpu)
        return Drawn(pool[: self.pieces], 0.0, cost, self.pieces, writer=self.prior)

    def best_of(self, method: BenchMethod, seed: int) -> Drawn:
        """Picks from the pool; by the whole reward, or by the rules alone where KL is budgeted.

        A KL budget already keeps a policy near the prior, and so does a bounded n.
        """
        folder, n = self.folder("prior", seed), self.draws(method)
        with np.load(folder / "pool.npz", allow_pickle=False) as pool:
            scores = pool["rules" if method.budget else "returns"]
            picks = best_of_subsets(scores, n, self.pieces, np.random.default_rng(seed))
            score = Score(pool["tokens"][picks], self.task)
        each = json.loads((folder / "pool.json").read_text())  # seconds to draw and score a piece
        wall, cpu = (self.pieces * n * each[clock] for clock in ("wall", "cpu"))
        drawn = self.pieces * n * self.task.steps
        cost = Compute(drawn * (1 + (self.objective.prior is not None)), drawn, wall, cpu)
        kl = best_of_n_kl(n) / int(self.task.free.sum())
        return Drawn(score, kl, cost, min(self.pieces, len(scores) // n), n)

    def trained(self, method: BenchMethod, seed: int) -> tuple[Drawn, dict[str, float]]:
        """Pieces of an agent, and the seconds its training took, its diagnostics included."""
        from agents.training.job import train

        config = training(self.base, method, seed, self.folder(method.name, seed))
        meter = ComputeMeter()
        run = train(config)
        cost = meter.read()
        for name in ("state.zip", "learning_curve.png", "report.json", "report.txt"):
            (run.path / name).unlink(missing_ok=True)
        policy = load(run.policy_file, self.task)
        if config.mask:  # it learned behind masks, and plays behind them
            drawn = self.masked(policy, read_masks(config.mask, self.reward), seed)
        else:
            drawn = self.sampled(policy, seed)
        return drawn, {"train_wall": cost.wall_seconds, "train_cpu": cost.cpu_seconds}

    def limit(self, method: BenchMethod, seed: int) -> Drawn:
        """Pieces of the tilted prior with a KL, drawn by their weights from a pool of the prior.

        All seeds share the pool. A piece that is drawn again stands at the end, and is not
        independent. They take no time, as nothing writes them.

        Raises:
            ValueError: the pool does not reach the KL, or the reward has no limit.
        """
        require_fixed(self.reward)
        size = pool_size_for(self.pieces)
        tilted = TiltedPrior(draw_pool(self.prior, self.reward, self.task, size, SEED))
        found, rng = tilted.at_kl(method.budget), np.random.default_rng(FIRST_SEED + seed)
        rows = rng.choice(size, self.pieces, p=tilted.weights(found.c))
        firsts = np.unique(rows, return_index=True)[1]
        again = np.delete(rows, firsts)
        score = tilted.pool.take(np.concatenate([rows[np.sort(firsts)], again]))
        return Drawn(score, found.kl, NO_TIME, len(firsts))

    def of_family(self, method: BenchMethod, seed: int) -> Drawn:
        """Pieces of a model that is no prior, FILLED at a time; their KL is not defined."""
        page, t, cost = Score.page(self.task, 1), method.temperature, Compute()
        find = families.infiller if method.kind == "fill" else families.decoder
        model, tokens = find(method.model, self.task), list[Array]()
        for n, start in self._portions(seed):
            pieces, spent = families.written(model, page, n, start, t)
            cost, tokens = cost + spent, [*tokens, pieces.tokens]
        score = Score(np.concatenate(tokens), self.task)
        writer = model if isinstance(model, Infiller) else None
        return Drawn(score, math.nan, cost, score.batch, writer=writer, temperature=t)

    def searched(self, method: BenchMethod, seed: int) -> Drawn:
        """Pieces that a search finds with a model that is no prior; their KL is not defined."""
        page, cost, tokens = Score.page(self.task, 1), Compute(), list[Array]()
        model = families.searched(method.model, method.search, self.task)
        run = families.SEARCHES[method.search].run
        for n, start in self._portions(seed):
            found = run(model, page, self.reward, n, start, method.n)
            cost, tokens = cost + found.compute, [*tokens, found.score.tokens]
        score = Score(np.concatenate(tokens), self.task)
        return Drawn(score, math.nan, cost, score.batch)

    def _portions(self, seed: int) -> Iterator[tuple[int, int]]:
        """Yield how many pieces a family writes at a time, and the seed of each portion."""
        for done in range(0, self.pieces, FILLED):
            yield min(FILLED, self.pieces - done), (FIRST_SEED + seed) * 10**6 + done

    def draw(self, method: BenchMethod, seed: int) -> tuple[Drawn, dict[str, float]]:
        """Pieces of a method, and what its training took."""
        if method.kind == "train":
            return self.trained(method, seed)
        led, t = self.folder(method.needs, seed) / "run" / "policy.safetensors", method.temperature
        ways: dict[str, Callable[[], Drawn]] = {
            "prior": lambda: self.pool(seed) if t == 1 else self.sampled(self.prior, seed, t),
            "best-of": lambda: self.best_of(method, seed),
            "masked": lambda: self.masked(self.prior, read_masks((), self.reward), seed),
            "beam": lambda: self.beams(None, seed),
            "guided-beam": lambda: self.beams(load(led, self.task), seed),
            "limit": lambda: self.limit(method, seed),
            "fill": lambda: self.of_family(method, seed),
            "decode": lambda: self.of_family(method, seed),
            "search": lambda: self.searched(method, seed),
        }
        drawn = ways[method.kind]()
        if method.kind != "guided-beam":
            return drawn, {}
        clocks = json.loads((self.folder(method.needs, seed) / "timing.json").read_text())
        return drawn, {k: v for k, v in clocks["seconds"].items() if k.startswith("train")}


def best_of_subsets(scores: Array, n: int, count: int, rng: np.random.Generator) -> Array:
    """Numbers (count,) of the best of random n-subsets of a pool.

    The pool is shuffled and cut into sets of n; when there are no more, it is shuffled again. Each
    set is a random n-subset, so the mean of anything over the picks is an unbiased estimate of its
    mean over the best of n fresh draws; the first len(scores) // n picks are even independent.

    Args:
        scores: (N,) the higher the better.
        n: size of a set, at most N.
        count: picks wanted.
        rng: shuffles.
    """
    sets = len(scores) // n
    picks = np.empty(0, np.int64)
    while len(picks) < count:
        order = rng.permutation(len(scores))[: sets * n].reshape(sets, n)
        best = scores[order].argmax(axis=1)
        picks = np.concatenate([picks, order[np.arange(sets), best]])
    return picks[:count]
