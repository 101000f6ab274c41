"""How well pieces can be told from real tunes by discriminators that no agent has learned from.

An agent that is paid by an `adversary` learns to deceive that one discriminator. Others, trained
afresh on its finished pieces, say how near real tunes it has come.
"""

from __future__ import annotations

import numpy as np

from envs.music.score import Score
from envs.music.task import Task
from rewards.adaptive.discriminator import Discriminator, accuracy, adam, area, fit, logits_of
from pretrained.corpora.chorales import NAME as CHORALES
from rewards.adaptive.windows import real_parts

HELD_OUT = ("valid", "test")
SEEDS, EPOCHS = 3, 9  # discriminators whose figures are averaged, and times that each reads all
ACCURACY, AREA = "told from real tunes (%)", "told from real tunes, area under curve (%)"


def beside(task: Task, splits: tuple[str, ...] = HELD_OUT) -> Score:
    """Return real tunes like the pieces of a task; of several voices, parts of Bach's chorales.

    Raises:
        ValueError: there are too few.
    """
    return real_parts(task, CHORALES if task.voices > 1 else "", splits)


def told_apart(score: Score, seed: int = 0) -> dict[str, float]:
    """Return how well discriminators trained afresh tell pieces from real tunes, per cent.

    They learn from half of the pieces and from tunes of the training part of the corpus; the
    figures are those on the other half and on tunes that are held out: the share told apart, both
    sides weighing the same, and the area under the ROC curve. Both are 50 for pieces that cannot be
    told from real tunes.

    Args:
        score: finished pieces, at least 2.
        seed: of the discriminators.

    Returns:
        {} if there are too few real tunes like the pieces, see `windows.real_parts`; of several
        voices they are parts of Bach's chorales in the installed music21.
    """
    try:
        known, held_out = (beside(score.task, part) for part in (("train",), HELD_OUT))
    except ValueError:
        return {}
    half = score.batch // 2
    lessons, fresh = score[:half], score[half:]
    figures = []
    for number in range(SEEDS):
        rng = np.random.default_rng((seed, number))
        network = Discriminator(seed=number)
        optimizer = adam(network)
        for _ in range(EPOCHS):
            fit(network, optimizer, known, lessons, rng)
        logits = logits_of(network, held_out), logits_of(network, fresh)
        figures.append((accuracy(*logits), area(*logits)))
    shares = 100 * np.mean(figures, axis=0)
    return dict(zip((ACCURACY, AREA), shares.tolist(), strict=True))
