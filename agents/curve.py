"""The learning curve of a run, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def draw(metrics: Mapping[str, Sequence[float]], path: Path) -> None:
    """Return and its parts, KL and entropy, and the reward terms against steps.

    Args:
        metrics: columns of metrics.csv.
        path: the picture to write; its ending says the format.

    Raises:
        ValueError: no rows.
    """
    from matplotlib.figure import Figure

    if not metrics.get("steps"):
        raise ValueError("no metrics to draw yet")
    steps = metrics["steps"]
    figure = Figure(figsize=(13, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    for name in ("return", "rules", "prior"):
        axes[0].plot(steps, metrics[name], label=name, linewidth=2 if name == "return" else 1.2)
    axes[0].set_title("return of a piece")
    axes[1].plot(steps, metrics["kl"], label="KL to the prior")
    axes[1].plot(steps, metrics["entropy"], label="entropy")
    axes[1].set_title("nats per token")
    for name, values in metrics.items():
        if name.startswith("reward/"):
            axes[2].plot(steps, values, label=name.removeprefix("reward/"), linewidth=1)
    axes[2].set_title("reward terms of a piece")
    axes[2].set_yscale("symlog", linthresh=1)
    for axis in axes:
        axis.set_xlabel("steps")
        axis.grid(alpha=0.25)
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if axis is axes[2] else {}
        axis.legend(fontsize=7, frameon=False, **beside)
        axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    figure.savefig(path, dpi=130)
