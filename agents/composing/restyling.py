"""Style transfer: melodies of a prior that differ from a theme by a bounded number of edits.

Beginnings are searched cell by cell. They are kept apart by the number of their edits, as many of
each number, so that those that save edits for later are not lost to those that spend them at once.
Among beginnings of one number those go on that a stochastic beam search has drawn (Kool, van Hoof
and Welling 2019): samples without replacement, from the prior at a temperature. A token after which
the budget or what is to be kept could not be held is not tried, and on the finished melodies both
are computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from agents.composing.compute import ComputeMeter, Reader
from agents.composing.search import SearchResult
from agents.composing.theme import (
    KEEPS,
    Movement,
    Theme,
    directions,
    edits,
    kept_chord_tones,
    loaded,
    name_of,
)
from envs.music.codec import FIRST_PITCH, HOLD, REST
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.networks.regrid import on_grid
from pretrained.prior import ILLEGAL, Prior, Scorer
from rewards.rules.rhythm import sounding
from rewards.sum import RewardSum

WIDTH = 16  # beginnings of each number of edits that go on, for each melody
MOST_CELLS = 2**18  # of beginnings stepped together: bounds memory


@dataclass(frozen=True)
class Target:
    """A theme as the search looks at it, all of one line.

    Attributes:
        score: the theme.
        tokens: (T,) its tokens.
        sounds: (T,) bool: a note of it sounds.
        begun: (T,) the number of its notes begun up to each cell.
        direction: (notes,) see `directions`.
        chord_tone: (T,) bool: see `kept_chord_tones`.
        keep: names of KEEPS.
        most: the largest number of edits.
    """

    score: Score
    tokens: Array
    sounds: Array
    begun: Array
    direction: Array
    chord_tone: Array
    keep: tuple[str, ...]
    most: int

    @classmethod
    def of(cls, theme: Theme, score: Score) -> Target:
        """Return the target of a theme, written as a score."""
        return cls(
            score=score,
            tokens=score.tokens[0, 0],
            sounds=sounding(score)[0][0, 0] >= 0,
            begun=np.cumsum(score.onset[0, 0]),
            direction=directions(score)[0],
            chord_tone=np.broadcast_to(kept_chord_tones(score), score.tokens.shape)[0, 0],
            keep=tuple(dict.fromkeys(theme.keep)),
            most=theme.most,
        )


@dataclass(frozen=True)
class Beginnings:
    """Unfinished melodies, N of them.

    Attributes:
        score: the melodies.
        group: (N,) number of the melody that each is searched for.
        used: (N,) edits so far.
        sounds: (N,) bool: a note sounds.
        notes: (N,) notes begun.
        last: (N,) token of the newest note.
        log_p: (N,) log-probability so far.
        tempered: (N,) log-probability so far at the temperature.
        worth: (N,) the latter with the noise of the draw; the largest in each group is a sample.
    """

    score: Score
    group: Array
    used: Array
    sounds: Array
    notes: Array
    last: Array
    log_p: Array
    tempered: Array
    worth: Array

    @classmethod
    def at_start(cls, page: Score) -> Beginnings:
        """Return one beginning of each group, on an empty page."""
        none, zero = np.zeros(page.batch, np.int64), np.zeros(page.batch)
        return cls(page, np.arange(page.batch), none, none > 0, none, none, zero, zero, zero)

    def write(self, rows: Array, tokens: Array, **values: Array) -> Beginnings:
        """Return the beginnings `rows` (M,), each with one more token and with new values."""
        begins = tokens >= FIRST_PITCH
        return replace(
            self,
            score=self.score.take(rows).write(tokens),
            group=self.group[rows],
            sounds=begins | ((tokens == HOLD) & self.sounds[rows]),
            notes=self.notes[rows] + begins,
            last=np.where(begins, tokens, self.last[rows]),
            **values,
        )

    def used_after(self, target: Target) -> Array:
        """Return the number of edits (N, vocab) after each next token, see `theme.edits`."""
        cell, tokens = self.score.n_written, np.arange(self.score.task.codec.vocab)
        cost = np.repeat([tokens != target.tokens[cell]], len(self.used), axis=0)
        if target.tokens[cell] < FIRST_PITCH:
            agreed = self.sounds == (cell > 0 and target.sounds[cell - 1])
            cost[:, REST] = agreed & target.sounds[cell]
            cost[:, HOLD] = agreed & (self.sounds != target.sounds[cell])
        return self.used[:, None] + cost

    def permitted(self, target: Target, left: Array) -> Array:
        """Return the mask (N, vocab) of the tokens that hold what is kept.

        Args:
            target: the theme.
            left: (N, vocab) edits left after each token.
        """
        cell, task = self.score.n_written, self.score.task
        tokens, mask = np.arange(task.codec.vocab), self.score.allowed() & (left >= 0)
        mask[:, REST] &= self.sounds | ~self.score.next_started  # silence is written in one way
        begins = tokens >= FIRST_PITCH
        if "rhythm" in target.keep:
            mask &= begins == (target.tokens[cell] >= FIRST_PITCH)
            mask[:, ~begins] &= tokens[~begins] == target.tokens[cell]
        if "chords" in target.keep and target.chord_tone[cell]:
            pitches = tokens + task.codec.low - FIRST_PITCH
            mask &= begins & task.chord_tones[cell, pitches % 12]
        if "contour" in target.keep:
            notes = self.notes[:, None] + begins
            # Each note more or fewer than the theme has so far takes an edit to make up for.
            mask &= np.abs(notes - target.begun[cell]) <= left
            mask &= notes <= len(target.direction)
            mask &= len(target.direction) - notes < task.cells - cell  # there is room for the rest
            way = target.direction[np.minimum(self.notes, len(target.direction) - 1)]
            goes = np.sign(tokens - self.last[:, None]) == way[:, None]
            mask &= ~begins | (self.notes == 0)[:, None] | goes
        return mask


def _perturbed(nats: Array, worth: Array, legal: Array, rng: torch.Generator) -> Array:
    """Return noisy log-probabilities (N, vocab) of which the largest in each row is `worth` (N,).

    Algorithm 1 of Kool, van Hoof and Welling (2019), in the stable form of its appendix B.3.
    """
    noise = torch.empty(nats.shape, dtype=torch.float64).exponential_(generator=rng).numpy()
    gumbels = np.where(legal, nats - np.log(noise), -np.inf)
    largest, worth = gumbels.max(axis=1, keepdims=True), worth[:, None]
    with np.errstate(divide="ignore"):
        below = worth - gumbels + np.log(-np.expm1(gumbels - largest))
    return np.asarray(worth - np.maximum(below, 0) - np.log1p(np.exp(-np.abs(below))))


def _first_of_each(kind: Array, worth: Array, width: int) -> Array:
    """Return the indices of the `width` largest worths of each kind."""
    order = np.lexsort((-worth, kind))
    ordered = kind[order]
    rank = np.arange(len(kind)) - np.searchsorted(ordered, ordered)
    chosen: Array = order[rank < width]
    return chosen


def beginnings(theme: Theme, width: int = WIDTH) -> int:
    """Return the largest number of beginnings that go on in the search for one melody."""
    return (theme.most + 1) * width


def _search(
    prior: Prior,
    target: Target,
    groups: int,
    rng: torch.Generator,
    temperature: float,
    width: int,
    meter: ComputeMeter,
) -> Beginnings:
    """Return finished melodies of `groups` searches, at most `width` of each number of edits."""
    page = Score.page(target.score.task, groups)
    found, reader = Beginnings.at_start(page), Reader(prior, page, meter)
    while not found.score.finished:
        logits = reader.logits(found.score).double()
        log_p, tempered = (
            before[:, None] + (logits / heat).log_softmax(dim=1).numpy()
            for before, heat in ((found.log_p, 1.0), (found.tempered, temperature))
        )
        worth = _perturbed(tempered, found.worth, found.score.allowed(), rng)
        used = found.used_after(target)
        rows, tokens = np.nonzero(found.permitted(target, target.most - used))
        kind = found.group[rows] * (target.most + 1) + used[rows, tokens]
        best = _first_of_each(kind, worth[rows, tokens], width)
        at = rows[best], tokens[best]
        values = {"log_p": log_p, "tempered": tempered, "worth": worth, "used": used}
        found = found.write(*at, **{name: value[at] for name, value in values.items()})
        if not found.score.finished:
            reader.take(at[0])
    return found


# -- the melodies ----------------------------------------------------------------------------------


def restyle(
    theme: Theme,
    prior: Prior,
    reward: RewardSum,
    task: Task,
    n: int = 1,
    seed: int = 0,
    temperature: float = 1.0,
    *,
    width: int = WIDTH,
    name: str = "",
) -> SearchResult:
    """Return melodies in the style of a prior that differ from a theme by few edits.

    Args:
        theme: the theme, its budget and what is kept.
        prior: of the style.
        reward: pays the returns; nothing is chosen by it.
        task: of the melodies, see `Theme.task_with`.
        n: number of melodies.
        seed: of the draws.
        temperature: of the draws, above 0; lower goes towards the likeliest melodies.
        width: draws of each number of edits, for each melody; of all the likeliest is taken.
        name: of the style in the report; the type of the prior if empty.

    Returns:
        different melodies, the likeliest first, none of them the theme, with their movements.

    Raises:
        ValueError: the prior, or the base, cannot read the theme, or there are too few melodies.
    """
    if not temperature > 0 or n < 1 or width < 1:
        raise ValueError("expected n and width from 1, and a temperature above 0")
    meter, target = ComputeMeter(), Target.of(theme, theme.score_for(task))
    judges = prior, on_grid(loaded(theme.base), task)
    names = name or name_of(prior), name_of(theme.base)
    for judge, who in zip(judges, names, strict=True):
        _require_written(judge, who, target.score, theme.source)
    found = _draw(prior, target, n, seed, temperature, width, meter)
    if len(found) < n:
        kept = f" with {' and '.join(target.keep)} kept" if target.keep else ""
        raise ValueError(
            f"{theme.source}: {len(found)} melodies within {target.most} edits{kept}, expected "
            f"{n}; ask for fewer (-n), a larger edit, or keep less"
        )
    together = Score(np.concatenate([target.score.tokens, *found]), task)
    style, base = (_nats(judge, together, meter) for judge in judges)
    order = 1 + np.argsort(style[1:], kind="stable")
    pieces = together.take(order)
    counts = edits(target.score, pieces).sum(axis=(1, 2))
    before = float(style[0]), float(base[0])
    afters = zip(style[order].tolist(), base[order].tolist(), strict=True)
    movements = tuple(
        Movement(int(count), target.most, theme.notes, target.keep, names, before, after)
        for count, after in zip(counts, afters, strict=True)
    )
    return SearchResult(pieces, meter.returns(reward, pieces), meter.read(), movements)


def _draw(
    prior: Prior,
    target: Target,
    n: int,
    seed: int,
    temperature: float,
    width: int,
    meter: ComputeMeter,
) -> list[Array]:
    """Return tokens (1, 1, T) of the likeliest melody of each of `n` searches, none of them twice.

    There are fewer if a search has none that is new.
    """
    rng, found = torch.Generator().manual_seed(seed), list[Array]()
    size = max(1, MOST_CELLS // ((target.most + 1) * width * target.score.task.steps))
    for done in range(0, n, size):
        groups = min(size, n - done)
        drawn = _search(prior, target, groups, rng, temperature, width, meter)
        for group in range(groups):
            found += _likeliest(drawn, group, target, found)
    return found


def _likeliest(
    drawn: Beginnings, group: int, target: Target, found: Sequence[Array]
) -> list[Array]:
    """Return the likeliest melody of one search that has a note and is not found yet, if any.

    The budget and what is kept are computed anew on the finished melodies.
    """
    rows = np.flatnonzero(drawn.group == group)
    score = drawn.score.take(rows)
    count = edits(target.score, score).sum(axis=(1, 2))
    good = (count > 0) & (count <= target.most) & score.onset.any(axis=(1, 2))
    for name in target.keep:
        good &= KEEPS[name](target.score, score)
    for tokens in found:
        good &= (score.tokens != tokens).any(axis=(1, 2))
    best = int(np.where(good, drawn.log_p[rows], -np.inf).argmax())
    return [score.tokens[best : best + 1]] if good[best] else []


def _nats(judge: Scorer, score: Score, meter: ComputeMeter) -> Array:
    """Return the surprise (B,) of a prior at finished melodies, in nats per token."""
    meter.tokens += score.batch * score.task.steps
    return -judge.log_prob(score).mean(axis=(1, 2), dtype=np.float64)


def _require_written(judge: Scorer, name: str, theme: Score, source: str) -> None:
    """Raise ValueError if a theme has a note that a prior can never write."""
    judge.require(theme.task)
    never = judge.log_prob(theme)[0, 0] <= ILLEGAL / 2
    if never.any():
        pitch = theme.task.key.pitch_name(int(theme.pitch[0, 0, int(never.argmax())]))
        raise ValueError(
            f"{source}: the prior {name} cannot write {pitch}; expected a theme within its range "
            f"when moved to C, {judge.codec.fingerprint.partition('/')[2]}"
        )
