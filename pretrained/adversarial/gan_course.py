"""How a GAN is trained, watched and measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from envs.music.codec import Codec
from envs.music.score import Score
from pretrained.adversarial.coverage import NEIGHBOURS, Coverage, coverage_of
from pretrained.adversarial.game import Game, GanSettings
from pretrained.adversarial.gan import Gan
from pretrained.adversarial.strains import Strains, strains_of
from pretrained.corpora.folk import Tune
from pretrained.device import whole_float32
from pretrained.training.family import Pass, Tell, Training

FEW = 0.5  # share of different pieces, or of grams over those of real ones, that is a collapse
FLAT, STEEP = 0.1, 3.0  # norms of a critic's gradients that teach nothing, or lead astray
WATCHED = 128  # pieces by which a training is watched, or a few more
Held = list[tuple[Score, npt.NDArray[np.int64]]]


@whole_float32()
def fit(
    settings: GanSettings, train: Sequence[Tune], valid: Sequence[Tune], codec: Codec, tell: Tell
) -> Gan:
    """Return a GAN that learned the strains of tunes.

    It is watched by strains of `valid`, or by those that it learns where these are too few.

    Raises:
        ValueError: too few strains, or a training that diverged.
    """
    torch.set_num_threads(settings.threads)
    strains = strains_of(train, codec)
    held, learned = whole_strains(strains_of(valid, codec)), whole_strains(strains)
    if _count(learned) <= NEIGHBOURS:
        raise ValueError(
            f"{len(train)} tunes have {_count(learned)} strains of 8 whole bars to train on: "
            f"expected more than {NEIGHBOURS}; give more tunes whose bars are whole, or a wider "
            "--range"
        )
    watched = most_of(held if _count(held) > NEIGHBOURS else learned)
    game = Game(settings, codec, strains)
    rounds = max(1, len(train) // (settings.batch * settings.n_critic))
    for epoch in range(settings.epochs):
        share = epoch / max(1, settings.epochs - 1)
        warmth = settings.warmth * (settings.coolness / settings.warmth) ** share
        figures = []
        for number in range(rounds):
            game.slow(1 - (epoch + number / rounds) / settings.epochs)
            figures.append(game.round(warmth))
        gap, slope = (float(np.mean([each[name] for each in figures])) for name in ("gap", "slope"))
        found = spread(game.model(), watched, epoch)
        words = [f"gap {gap:.3f}  slope {slope:.2f}  {found}", *alarms(slope, found)]
        tell(Pass(epoch + 1, "\n  ".join(words)))
    return game.model()


def most_of(held: Held, most: int = WATCHED) -> Held:
    """Return the scores of tasks with the most pieces, up to the one that makes up `most`."""
    found: Held = []
    for pair in sorted(held, key=lambda pair: -pair[0].batch):
        if _count(found) >= most:
            break
        found.append(pair)
    return found


def _count(held: Held) -> int:
    """Return the number of pieces."""
    return sum(score.batch for score, _ in held)


def whole_strains(strains: Iterable[Strains]) -> Held:
    """Return the strains of 8 bars as scores, one for each task, with the clusters of pieces."""
    return [pair for each in strains if each.tasks[0].bars == 8 for pair in each.scores()]


def spread(model: Gan, held: Held, seed: int = 0) -> Coverage:
    """Return how as many pieces of a model as real ones, of the same tasks, spread over these."""
    pages = [(Score.page(score.task, 1), score.batch) for score, _ in held]
    made = [model.fill(page, n, seed + number) for number, (page, n) in enumerate(pages)]
    return coverage_of(made, [score for score, _ in held], np.concatenate([c for _, c in held]))


def alarms(slope: float, found: Coverage) -> list[str]:
    """Return what has collapsed in a training, in words, with what to do.

    Args:
        slope: mean norm of the critic's gradients.
        found: how the generator's pieces spread.
    """
    said = []
    if found.distinct < FEW:
        said.append(
            f"the generator has collapsed: {found.distinct:.0%} of its pieces are different; "
            "lower generator_rate, or raise n_critic or noise"
        )
    elif found.grams < FEW:
        said.append(
            f"the generator repeats itself: it has {found.grams:.0%} as many n-grams as real "
            "tunes; train on, raise n_critic, or lower generator_rate"
        )
    if slope < FLAT:
        said.append(
            f"the critic has collapsed: its slope is {slope:.2f} where 1 is wanted, so that it "
            "teaches nothing; raise penalty, or lower critic_rate"
        )
    elif slope > STEEP:
        said.append(
            f"the critic is too steep: its slope is {slope:.2f} where 1 is wanted; raise penalty, "
            "or lower critic_rate"
        )
    return said


def measure(model: Gan, tunes: Sequence[Tune]) -> dict[str, float]:
    """Return how the pieces of a model spread over the strains of held-out tunes, by name.

    Where these are too few for that, it is their number alone.
    """
    held = whole_strains(strains_of(tunes, model.codec))
    figures = {"held-out strains of 8 bars": float(_count(held))}
    if _count(held) <= NEIGHBOURS:
        return figures
    found = spread(model, held)
    return figures | {
        "coverage of these strains": found.coverage,
        "density": found.density,
        "clusters of their tunes that are covered": found.clusters,
        "different pieces": found.distinct,
        "different n-grams, over those of the strains": found.grams,
    }


TRAINING = Training("gan", "an LSTM from noise against a critic", GanSettings, fit, measure)
