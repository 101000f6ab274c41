"""Quality against diversity: models of several families along a sweep of temperatures.

    python -m tests.tools.benchmarks.quality_diversity --models melody folk gan

A model that is drawn at a lower temperature writes likelier and less various pieces. So one
temperature says little, and models are compared by the curves that they go along (Caccia et al.
2020, Language GANs Falling Short, arXiv 1811.02549). Printed for each are the nats per token and
per note under the held-out judge of `pretrained.ngrams.judge` (fewer are likelier), the mean edit
distance of two pieces and how many are different, coverage and density of held-out tunes
(`pretrained.adversarial.coverage`), and the overlap of histograms with theirs (the mean of pitch
classes, intervals and note lengths, `rewards.measures.likeness`). `beaten by` counts the rows of
other models that are no worse by the judge, by the edit distance and by coverage at once, and
better by one of them. The first row is held-out tunes.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
import torch

from envs.music.score import Score
from envs.music.task import Task
from pretrained.adversarial.coverage import coverage_of
from pretrained.checkpoint import load_model
from pretrained.corpora.histograms import histograms
from pretrained.infiller import Infiller
from pretrained.latent import Latent
from pretrained.ngrams.judge import load_judge
from pretrained.prior import Prior, sample
from rewards.measures.diversity import edit_distance
from rewards.measures.likeness import overlap, real_pieces
from rewards.measures.statistics import distinct

TEMPERATURES = (0.4, 0.6, 0.8, 1.0, 1.2)
HEADS = ("per token", "per note", "edit", "distinct", "coverage", "density", "overlap")


@dataclass(frozen=True)
class Row:
    """Figures of the pieces of one model at one temperature; None stands for held-out tunes."""

    model: str
    temperature: float | None
    figures: dict[str, float]
    seconds: float = 0.0

    def beats(self, other):
        """Return True if no pieces of `other` are better in anything, and some are worse."""
        mine, theirs = self.plane, other.plane
        return mine != theirs and all(a >= b for a, b in zip(mine, theirs, strict=True))

    @property
    def plane(self):
        """Quality, diversity and coverage, each higher for better pieces."""
        return -self.figures["per token"], self.figures["edit"], self.figures["coverage"]


def draw(model, task, n, seed, temperature):
    """Return pieces of a model of any family."""
    rng = torch.Generator().manual_seed(seed)
    if isinstance(model, Prior):
        return sample(model, Score.page(task, n), rng, temperature)
    if isinstance(model, Infiller):
        return model.fill(Score.page(task, 1), n, rng, temperature)
    if isinstance(model, Latent):
        points = torch.randn(n, model.n_latent, generator=rng)
        return model.decode(points, Score.page(task, 1), rng, temperature)
    raise ValueError(f"{model.format}: expected a prior, an infiller or a latent, which write")


def figures_of(pieces, real, judge):
    """Return the figures of pieces by name, beside real ones."""
    nats, rng = -judge.log_prob(pieces).sum(dtype=np.float64), np.random.default_rng(0)
    spread = coverage_of([pieces], [real])
    drawn, theirs = histograms(pieces), histograms(real)
    return {
        "per token": nats / pieces.tokens.size,
        "per note": nats / max(1, int(pieces.onset.sum())),
        "edit": edit_distance(pieces, rng),
        "distinct": distinct(pieces) / pieces.batch,
        "coverage": spread.coverage,
        "density": spread.density,
        "overlap": float(np.mean([overlap(drawn[name], theirs[name]) for name in drawn])),
    }


def halves(real, seed=0):
    """Return two scores with half of some pieces each, drawn at random."""
    order = np.random.default_rng(seed).permutation(real.batch)
    return real.take(order[::2]), real.take(order[1::2])


def rows_of(models, task, temperatures, n=None, seeds=1):
    """Return the rows of models by name, after that of held-out tunes.

    Args:
        models: models by name.
        task: of all pieces; tunes are held out in its metre and mode.
        temperatures: of the draws.
        n: pieces of a model; None for as many as there are tunes.
        seeds: sets of pieces whose figures are averaged.

    Raises:
        ValueError: too few tunes are held out.
    """
    real = real_pieces(task)
    if real is None:
        raise ValueError(f"too few tunes in {task.key} and {task.meter} are held out")
    judge = load_judge(task.codec)
    one, other = halves(real)
    rows = [Row("tunes, one half", None, figures_of(one, other, judge))]
    for name, model in models.items():
        for temperature in temperatures:
            began, found = time.process_time(), []
            for seed in range(seeds):
                pieces = draw(model, task, n or real.batch, seed, temperature)
                found.append(figures_of(pieces, real, judge))
            means = {head: float(np.mean([each[head] for each in found])) for head in HEADS}
            rows.append(Row(name, temperature, means, time.process_time() - began))
    return rows


def table(rows):
    """Return rows as text, with the number of rows of other models that beat each."""
    width = max(len(row.model) for row in rows) + 2
    heads = "".join(f"{head:>10}" for head in (*HEADS, "beaten by"))
    lines = [f"{'model':<{width}}{'T':>5}{heads}"]
    for row in rows:
        drawn = [other for other in rows if other.temperature is not None]
        beaten = sum(other.model != row.model and other.beats(row) for other in drawn)
        at = "" if row.temperature is None else f"{row.temperature:g}"
        cells = "".join(f"{row.figures[head]:>10.3f}" for head in HEADS)
        lines.append(f"{row.model:<{width}}{at:>5}{cells}{beaten if at else '':>10}")
    return "\n".join(lines)


def main():
    """Draw, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["melody", "folk", "gan"])
    parser.add_argument("--temperatures", nargs="+", type=float, default=TEMPERATURES)
    parser.add_argument("--key", default="C major")
    parser.add_argument("--meter", default="4/4")
    parser.add_argument("--bars", type=int, default=8)
    parser.add_argument("--pieces", type=int, help="of each row; as many as tunes if not given")
    parser.add_argument("--seeds", type=int, default=1, help="sets of pieces that are averaged")
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = Task(key=options.key, meter=options.meter, bars=options.bars)
    models = {name: load_model(name) for name in options.models}
    rows = rows_of(models, task, options.temperatures, options.pieces, options.seeds)
    print(table(rows))
    for name in models:
        seconds = sum(row.seconds for row in rows if row.model == name)
        print(f"{name}: {seconds:.0f} s of processor time")


if __name__ == "__main__":
    main()
