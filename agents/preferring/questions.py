"""Questions about pairs of pieces of a pool, chosen by what their answers would teach."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from agents.preferring.comparisons import (
    Comparisons,
    append_comparison,
    read_comparisons,
    read_task_of,
)
from agents.preferring.features import Features, feature_spec
from agents.preferring.pairs import Pair, choose_pairs
from agents.preferring.taste import (
    FEWEST,
    Choices,
    Posterior,
    Taste,
    before_answers,
    fit_taste,
    fitted,
)
from envs.errors import RefusedError
from envs.music.score import Score
from pretrained.prior import Prior, sample

POOL = 400  # pieces to choose pairs from


def draw(prior: Prior, page: Score, seed: int = 0) -> Score:
    """Return the different pieces among those that a prior writes on some pages.

    Raises:
        ValueError: the prior cannot read the task, or all pieces are the same.
    """
    prior.require(page.task)
    found = sample(prior, page, seed)
    _, first = np.unique(found.tokens, axis=0, return_index=True)
    rows = [row for row in np.sort(first).tolist() if found.onset[row].any()]
    if len(rows) < 2:
        raise ValueError(
            f"{page.batch} pieces of the prior are all the same or silent; expected some that "
            "differ. Leave cells free, or ask for more bars or pieces"
        )
    return found.take(rows)


def choices_of(features: Features, comparisons: Comparisons) -> Choices:
    """Return comparisons as features of both pieces and answers.

    Raises:
        ValueError: pieces of another task.
        RewardError: a feature failed.
    """
    left, right = features.measure(comparisons.left), features.measure(comparisons.right)
    return Choices.of(left, right, comparisons.liked)


def taste_of(comparisons: Comparisons, prior: str = "") -> Taste:
    """Return the taste that explains comparisons, in features that vary over their pieces.

    Args:
        comparisons: of pieces of one task.
        prior: name or path of the checkpoint whose surprise is a feature; none if empty.

    Raises:
        ValueError: too few comparisons, ones that contradict each other, pieces that do not differ.
        RewardError: a feature failed.
    """
    if len(comparisons.liked) < FEWEST:
        raise ValueError(
            f"{len(comparisons.liked)} comparisons; expected at least {FEWEST} for a taste. "
            "Compare more pairs: python -m agents.prefer --ask FILE"
        )
    pieces = comparisons.pieces
    features = Features.of(pieces, feature_spec(pieces.task, prior))
    return fit_taste(features, choices_of(features, comparisons))


class Questions:
    """Pairs of pieces to be compared, one after another, and the answers.

    Args:
        pool: finished pieces of one task to ask about.
        features: of that task.
        file: to which answers are appended; those that it has already are learned from. None keeps
            them in memory alone.
        seed: of the choice.

    Raises:
        RefusedError: the file is none of comparisons, or of another task.
        RewardError: a feature failed.
    """

    def __init__(
        self, pool: Score, features: Features, file: Path | None = None, seed: int = 0
    ) -> None:
        self.pool, self.features, self.file = pool, features, file
        self.measured = features.measure(pool)
        self.rng = np.random.default_rng(seed)
        self.asked: list[Pair] = []
        count = len(features.names)
        empty = np.zeros((0, count))
        self.choices = Choices(empty, empty, np.zeros(0, np.intp))
        if file is not None and file.exists() and file.stat().st_size:
            if read_task_of(file) != pool.task:
                raise RefusedError(
                    "its first line does not name the task of the pieces to be asked about; "
                    "begin a new file for them",
                    str(file),
                )
            self._take_up(read_comparisons(file, pool.task))

    def _take_up(self, known: Comparisons) -> None:
        """Learn from answers, and ask none of their pairs again."""
        self.choices = choices_of(self.features, known)
        place = {piece.tobytes(): row for row, piece in enumerate(self.pool.tokens)}
        for left, right in zip(known.left.tokens, known.right.tokens, strict=True):
            pair = place.get(left.tobytes(), -1), place.get(right.tobytes(), -1)
            if min(pair) >= 0:
                self.asked.append(pair)

    @property
    def known(self) -> Posterior:
        """The weights after the answers until now."""
        return (
            fitted(self.choices) if self.choices.size else before_answers(len(self.features.names))
        )

    def next(self, n: int = 1) -> list[Pair]:
        """Return the numbers of the pieces of the next `n` pairs to ask about.

        Raises:
            ValueError: there are no more.
        """
        return choose_pairs(self.measured, self.known, n, self.rng, self.asked)

    def piece(self, number: int) -> Score:
        """Return a piece of the pool."""
        return self.pool[number : number + 1]

    def answer(self, pair: Pair, liked: str) -> None:
        """Take an answer: it is in the file, if there is one, when this returns.

        Raises:
            ValueError: no such answer.
            OSError: the file cannot be written; the answer is not taken.
        """
        first, second = pair
        new = Choices.of(self.measured[[first]], self.measured[[second]], [liked])
        if self.file is not None:
            append_comparison(self.file, self.piece(first), self.piece(second), liked)
        columns = zip(vars(self.choices).values(), vars(new).values(), strict=True)
        self.choices = Choices(*(np.concatenate(pair) for pair in columns))
        self.asked.append(pair)

    def taste(self) -> Taste:
        """Return the taste that explains the answers until now.

        Raises:
            ValueError: as `fit_taste`.
        """
        return fit_taste(self.features, self.choices)
