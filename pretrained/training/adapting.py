"""Adapting a prior to a few tunes, measured on those of them that are left out.

The tunes are dealt into folds by clusters of near-duplicates. A copy of the prior learns from the
others of each fold, and after every round the tunes left out are asked how likely they are. So they
tell how many rounds are best and whether anything is gained. Each cluster is counted after the
rounds that are best for the others, so that no figure is picked as the best of its own.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from envs.errors import unknown
from envs.music.codec import HOLD, Codec
from pretrained.corpora.folk import GRID
from pretrained.corpora.split import clusters
from pretrained.corpora.tunes import GridTune, fits
from pretrained.networks.inputs import PlacedNetwork
from pretrained.networks.per_voice import LineNetwork, PerVoice
from pretrained.prior import Trainable
from pretrained.training.changes import CHANGES, RECIPES, Recipe, learn
from pretrained.training.fit import answers

FOLDS = 5
FEW = 10  # clusters; of as few "state" gains more surely, of more "full" gains more
CERTAIN = 1.0  # standard errors; chance alone gives as much one time in six
MOST_FOLDED, MANY = 60_000, 50  # tokens, clusters: of more than both one fold alone is left out
MOST_LEFT_OUT = 200  # clusters of it
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gain:
    """How much likelier tunes become that a network did not learn from.

    Attributes:
        before, after: bits per note.
        error: standard error of the difference, over clusters of near-duplicates.
        rounds: of learning after which all clusters together are likeliest.
    """

    before: float
    after: float
    error: float
    rounds: int

    @property
    def certain(self) -> bool:
        """True if the gain is larger than CERTAIN standard errors."""
        return self.rounds > 0 and self.before - self.after > CERTAIN * self.error

    @staticmethod
    def of(nats: Floats, notes: Floats) -> Gain:
        """Return the gain of clusters: nats (N, rounds + 1) after each round, and notes (N,)."""
        others = nats.sum(axis=0) - nats
        after = nats[np.arange(len(nats)), others.argmin(axis=1)]
        bits = float(np.log(2) * notes.sum())
        before, total = float(nats[:, 0].sum() / bits), float(after.sum() / bits)
        # of a ratio of sums: the residuals of the gain that each cluster has for its notes
        rest = nats[:, 0] - after - notes * (nats[:, 0] - after).sum() / notes.sum()
        spread = float((rest**2).sum() * len(nats) / max(1, len(nats) - 1)) ** 0.5
        return Gain(before, total, spread / bits, int(nats.sum(axis=0).argmin()))


@dataclass(frozen=True)
class Adapted:
    """A prior that was adapted to tunes, and how likely tunes are that it did not learn from.

    Attributes:
        prior: the adapted one; the one that was given if the gain is not certain.
        how: a key of `training.changes.CHANGES`.
        gain: on tunes that are left out.
        tunes: number of tunes, those beyond the range of the prior aside.
        beyond: number of these, which are not used.
        clusters: of near-duplicates among the tunes.
        folds: that are left out, one at a time; 1 if a part of many tunes is left out once.
        left_out: number of tunes that are left out at some time.
        seconds: of wall time.
    """

    prior: Trainable
    how: str
    gain: Gain
    tunes: int
    beyond: int
    clusters: int
    folds: int
    left_out: int
    seconds: float


def adapt(
    prior: Trainable,
    tunes: Sequence[GridTune],
    how: str | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Adapted:
    """Adapt a prior to tunes; the one that is given stays as it is.

    Args:
        prior: of an architecture of `pretrained.networks` for one line.
        tunes: at least two that are no near-duplicates.
        how: a key of `training.changes.CHANGES`; by default "state" for FEW tunes, else "full".
        seed: of folds, order and dropout.
        recipe: of learning; by default as RECIPES says.
        progress: called after each round with how many are done and how many there are at most.

    Raises:
        ValueError: too few tunes, an unknown `how`, a prior of another grid, or of an architecture
            that has no tokens and no places as inputs.
    """
    began, net = time.monotonic(), adaptable(prior)
    known = [tune for tune in tunes if fits(tune, prior.codec)]
    cluster = np.array(clusters([tune.tokens for tune in known]), np.int64)
    if len(set(cluster)) < 2:
        raise ValueError(_too_few(len(tunes), len(known)))
    how = ("state" if len(set(cluster)) <= FEW else "full") if how is None else how
    if how not in CHANGES:
        raise unknown("how", how, CHANGES)
    recipe = RECIPES[how] if recipe is None else recipe
    rng = np.random.default_rng(seed)
    folds = _folds(known, cluster, rng)
    done, most = 0, recipe.rounds * (len(folds) + 1)

    def tell(rounds: int) -> None:
        nonlocal done
        done += rounds > 0
        if progress is not None and rounds:
            progress(done, most)

    with torch.random.fork_rng(devices=[]):  # of dropout and of the first weights of "lora"
        torch.manual_seed(seed)
        rows = [_left_out(net, prior.codec, how, known, f, recipe, rng, tell) for f in folds]
        out = np.concatenate(folds)
        gain = Gain.of(*_by_cluster(np.concatenate(rows), cluster[out]))
        if gain.certain:
            new = copy.deepcopy(net)
            for rounds in learn(new, how, known, prior.codec, recipe, rng):
                tell(rounds)
                if rounds == gain.rounds:
                    break
            prior = _with_weights(prior, new)
    sizes = len(known), len(tunes) - len(known), len(set(cluster)), len(folds), len(out)
    return Adapted(prior, how, gain, *sizes, time.monotonic() - began)


def costs(net: LineNetwork, tunes: Sequence[GridTune], codec: Codec) -> Floats:
    """Return the nats of each tune under a network and the number of its notes, (N, 2)."""
    rows = []
    for tokens, logits, real in answers(net, tunes, codec):
        chosen = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
        nats, notes = -chosen.double() * real, (tokens > HOLD) & real
        rows.append(torch.stack([nats.sum(dim=1), notes.sum(dim=1)], dim=1))
    return torch.cat(rows).cpu().numpy() if rows else np.zeros((0, 2))


def bits_per_note(costs: Floats) -> float:
    """Return the mean of tunes, given nats and notes of each (N, 2); NaN if there are none."""
    nats, notes = costs.sum(axis=0)
    return float(nats / notes / np.log(2)) if notes else float("nan")


def _left_out(
    net: PlacedNetwork,
    codec: Codec,
    how: str,
    tunes: Sequence[GridTune],
    fold: Ints,
    recipe: Recipe,
    rng: np.random.Generator,
    after_round: Callable[[int], None],
) -> Floats:
    """Return nats (n, rounds + 1) and notes of a fold's tunes, of which the network learns none."""
    new, out = copy.deepcopy(net), [tunes[i] for i in fold]
    rest = [tunes[i] for i in np.setdiff1d(np.arange(len(tunes)), fold)]
    columns = []
    for rounds in learn(new, how, rest, codec, recipe, rng):
        columns.append(costs(new, out, codec))
        after_round(rounds)
    return np.stack([*(column[:, 0] for column in columns), columns[0][:, 1]], axis=1)


def _by_cluster(rows: Floats, cluster: Ints) -> tuple[Floats, Floats]:
    """Return nats (N, rounds + 1) and notes (N,) of the clusters of tunes, given both of each."""
    _, number = np.unique(cluster, return_inverse=True)
    total = np.zeros((number.max() + 1, rows.shape[1]))
    np.add.at(total, number, rows)
    return total[:, :-1], total[:, -1]


def _folds(tunes: Sequence[GridTune], cluster: Ints, rng: np.random.Generator) -> list[Ints]:
    """Return the numbers of the tunes of each fold that is left out; no cluster is divided."""
    count, tokens = int(cluster.max()) + 1, sum(len(tune.tokens) for tune in tunes)
    many = tokens > MOST_FOLDED and count > MANY
    parts = max(FOLDS, count // MOST_LEFT_OUT) if many else min(FOLDS, count)
    number = rng.permutation(count)[cluster] % parts
    return [np.flatnonzero(number == fold) for fold in range(1 if many else parts)]


def adaptable(prior: Trainable) -> PlacedNetwork:
    """Return the network of a prior that can be adapted.

    Raises:
        ValueError: another grid, or an architecture without the parts that are changed.
    """
    if not isinstance(prior, PerVoice) or not isinstance(prior.net, PlacedNetwork):
        raise ValueError(
            f"the prior is a {getattr(prior, 'format', type(prior).__name__)}, which cannot be "
            "adapted; expected one voice with a PlacedNetwork of pretrained.networks.inputs, such "
            "as those that python -m pretrained.train writes"
        )
    if prior.codec.grid != GRID:
        raise ValueError(
            f"the prior has {prior.codec.grid} cells per quarter note; expected {GRID}, which is "
            "the grid of the tunes that are read"
        )
    return prior.net


def _with_weights(prior: Trainable, net: PlacedNetwork) -> Trainable:
    """Return a prior of the same architecture with the weights of a network."""
    new = type(prior).build(prior.shape, prior.codec)
    new.net.load_state_dict(net.state_dict())
    return new


def _too_few(tunes: int, known: int) -> str:
    beyond = f", {tunes - known} of them beyond the range of the prior" if tunes > known else ""
    return (
        f"{tunes} tune{'s' * (tunes != 1)}{beyond}: expected at least 2 within its range that are "
        "no variants of one another, as one has to be left out to see whether anything is gained"
    )
