"""Rules as hard masks: which tokens of the next cell they forbid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from envs.contract import RewardFunction
from envs.music.codec import HOLD, UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import Pair
from rewards.rule import as_rule

MARK = (
    "If it asks facts of the score alone, cell by cell, put @cellwise of rewards.functions "
    "above it; what is judged on the whole piece says nothing about the next cell"
)
CHILDREN_PIECES, CHILDREN_CELLS = 2**13, 2**20  # looked at together: bounds memory


def children(score: Score, tokens: Array) -> Iterator[tuple[Array, Array, Score]]:
    """Yield all scores with one more cell, in portions that bound memory.

    Args:
        score: unfinished; what has been asked of its newest cell is not worked out again.
        tokens: (B, vocab) bool: which tokens to try on which piece.

    Yields:
        numbers (N,) of the pieces, the token (N,) written on each, and the score of these N.
    """
    rows, written = np.nonzero(tokens)
    size = max(1, min(CHILDREN_PIECES, CHILDREN_CELLS // score.task.steps))
    for start in range(0, len(rows), size):
        row, token = rows[start : start + size], written[start : start + size]
        yield row, token, score.take(row).write(token)


def beyond_hope(fn: RewardFunction, score: Score) -> Array:
    """Return True (B, V, T) from where on a rule cannot be kept; False without a `Rule.lost`.

    Args:
        fn: a rule, its parameters bound or not.
        score: any batch, or one seen at a cell.
    """
    lost = as_rule(fn).lost
    return np.zeros(score.tokens.shape, bool) if lost is None else np.asarray(lost(score))


def refused(fn: RewardFunction, score: Score, sign: float = -1.0) -> Array:
    """Return True (B, V, T) where a term counts against the piece, or can no longer be kept.

    Args:
        fn: a cell-wise rule or reward function.
        score: any batch, or one seen at a cell.
        sign: as for `remarks`.
    """
    broken: Array = np.asarray(fn(score)) * sign < 0
    return broken | beyond_hope(fn, score) if sign < 0 else broken


class Ahead(NamedTuple):
    """Pieces with a given cell of the frame that is written ahead of those still to be chosen.

    Attributes:
        rows: numbers (N,) of the pieces.
        score: of these N, seen at the given cell or at the newest.
        whole: True if nothing before it in the frame is still to be chosen.
    """

    rows: Array
    score: Score
    whole: bool = True


def through_frame(score: Score) -> Iterator[Ahead]:
    """Yield a score, and it again with each given cell that comes later in its frame.

    What two voices do is charged to the later one, and where that is given, it can be avoided only
    in the earlier one. Cells that are still to be chosen have a hold in their place.
    """
    rows, whole = np.arange(score.batch), True
    yield Ahead(rows, score)
    while not score.finished and score.n_written % score.task.voices:
        given = score.next_given
        known = given != UNWRITTEN
        if whole and known.any() and not known.all():  # as in pieces of several pages
            rows, score = rows[known], score.take(np.flatnonzero(known))
            given, known = given[known], known[known]
        whole = whole and bool(known.all())
        if not whole and not score.has_given_ahead and not known.any():
            return
        score = score.write(np.where(known, given, HOLD))
        if known.all():
            yield Ahead(rows, score, whole)


def refused_next(fn: RewardFunction, frame: Sequence[Ahead], sign: float = -1.0) -> Array:
    """Return True (B,) where a term refuses the last written cell, or what is given after it.

    Given cells of the frame count for rules that judge several voices; behind one that is still to
    be chosen, for those that look at two voices alone.

    Args:
        fn, sign: as for `refused`.
        frame: of `through_frame`.
    """
    rule, newest = as_rule(fn), frame[0].score
    judged = frame if rule.needs == "voices" and sign < 0 else frame[:1]
    broken = np.zeros(newest.batch, bool)
    for rows, score, whole in judged:
        if whole:
            broken[rows] |= refused(fn, score.newest, sign)[:, 0, 0]
        elif rule.alone and rule.against is not None:
            voice = (newest.n_written - 1) % newest.task.voices
            broken[rows] |= rule.against(Pair(score.newest, voice))[:, 0, 0] > 0
    return broken


def require_cellwise(fn: RewardFunction) -> None:
    """Raise ValueError unless a function can be a mask."""
    rule = as_rule(fn)
    if not rule.cellwise:
        raise ValueError(
            f"{rule.name!r} cannot be a mask: expected a function marked cellwise. {MARK}"
        )


def forbids(fn: RewardFunction, score: Score, sign: float = -1.0) -> Array:
    """Return the tokens of the next cell that a term would count against the piece, then or later.

    The term itself is asked, of every token that the grammar allows, so mask and reward cannot
    differ; a rule that is judged later also forbids what leaves it no way to be kept, and a rule of
    several voices what clashes with a given cell of the same frame. A term may
    forbid all of them; whoever writes the piece then leaves it free, as `permits` does, for
    something has to be written.

    Args:
        fn: a cell-wise rule or reward function.
        score: an unfinished score.
        sign: as for `remarks`: what makes value times sign negative is forbidden.

    Returns:
        (B, vocab) bool, False also where the grammar forbids the token: join it with
        `Score.allowed`.

    Raises:
        ValueError: the function is not cell-wise, or the score is finished.
    """
    require_cellwise(fn)
    allowed = score.allowed()
    forbidden = np.zeros_like(allowed)
    if score.n_written:
        fn(score.newest)  # known once here, it is not worked out by every child
    for rows, tokens, child in children(score, allowed):
        forbidden[rows, tokens] = refused_next(fn, list(through_frame(child)), sign)
    return forbidden


def permits(
    rules: Iterable[tuple[RewardFunction, float]], score: Score, among: Array | None = None
) -> Array:
    """Return the tokens (B, vocab) of the next cell that the grammar and several rules permit.

    A rule that forbids all that the rules before it leave to a piece is not kept there, so each
    piece has at least one token.

    Args:
        rules: each a cell-wise function and a sign as for `forbids`, the most important first.
        score: an unfinished score.
        among: (B, vocab) bool: the tokens to choose from; all that the grammar allows if None.

    Raises:
        ValueError: as `forbids`.
    """
    free = score.allowed() if among is None else among
    for fn, sign in rules:
        left = free & ~forbids(fn, score, sign)
        free = np.where(left.any(axis=1, keepdims=True), left, free)
    return free
