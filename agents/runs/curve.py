"""The learning curve of a run, drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import colormaps
from matplotlib.figure import Figure

from envs.durable_files import write_atomic
from rewards.spec import short_names

PARTS = ("steps", "return", "rules", "prior", "kl", "entropy")  # columns
SHARES = ("distinct", "edit_distance")  # from 0 to 1
BESIDE = {"loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend's place
MOST_TERMS = 12  # drawn: those that changed most
ROUGH = 40  # rows; of more, each point is a mean over a part of the run


def draw(metrics: Mapping[str, Sequence[float]], path: Path) -> None:
    """Draw the return, KL and entropy, the reward terms, and measures that are not rewarded.

    Of many terms those are drawn that changed most. Long runs are drawn as means over a fortieth of
    their rows on each side, as one batch may be of a harder task than the next.

    Args:
        metrics: columns of metrics.csv, at least PARTS.
        path: the picture to write; its suffix is the format.

    Raises:
        ValueError: no rows.
    """
    if not metrics.get("steps"):
        raise ValueError("no metrics to draw yet")
    metrics = {name: _smooth(values) for name, values in metrics.items() if name != "steps"} | {
        "steps": metrics["steps"]
    }
    steps = metrics["steps"]
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    whole, nats, unseen, terms = figure.subplots(2, 2).flat
    for name in ("return", "rules", "prior"):
        label = "all terms but the prior" if name == "rules" else name
        whole.plot(steps, metrics[name], label=label, linewidth=2 if name == "return" else 1.2)
    whole.set_title("return of a piece")
    nats.plot(steps, metrics["kl"], label="KL to the prior")
    nats.plot(steps, metrics["entropy"], label="entropy")
    nats.set_title("nats per token")
    paid = {n.removeprefix("reward/"): n for n in metrics if n.startswith("reward/")}
    moved = sorted(paid, key=lambda name: -_change(metrics[paid[name]]))[:MOST_TERMS]
    shown = {name: label for name, label in short_names(paid).items() if name in moved}
    for place, (name, label) in enumerate(shown.items()):
        colour = colormaps["tab20"](place % 20)
        terms.plot(steps, metrics[paid[name]], label=label, linewidth=1, color=colour)
    few = f", the {len(shown)} of {len(paid)} that changed most" if len(shown) < len(paid) else ""
    terms.set_title(f"reward terms of a piece{few}", fontsize=10 if few else None)
    terms.set_yscale("symlog", linthresh=1)
    for name in SHARES:
        if name in metrics:
            label = "distinct pieces" if name == "distinct" else name.replace("_", " ")
            unseen.plot(steps, metrics[name], label=f"{label}, share", linewidth=1.2)
    unseen.set_ylim(0, 1.05)
    unseen.set_title("not rewarded")
    if "judge" in metrics:
        unseen.plot([], [], label="held-out judge,\nnats per note", color="tab:green")
        scale = unseen.twinx()
        scale.plot(steps, metrics["judge"], color="tab:green", linewidth=1.2)
    for axis in (whole, nats, terms, unseen):
        axis.set_xlabel("steps")
        axis.grid(alpha=0.25)
        if axis.lines:
            axis.legend(fontsize=7, frameon=False, **(BESIDE if axis is terms else {}))
        axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
    save(figure, path, dpi=130)


def _smooth(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours, a fortieth of all on each side."""
    reach = len(values) // ROUGH
    parts = (values[max(0, n - reach) : n + reach + 1] for n in range(len(values)))
    return [sum(part) / len(part) for part in parts]


def _change(values: Sequence[float]) -> float:
    """Return the change from the first fifth of a curve to its last."""
    part = max(1, len(values) // 5)
    return abs(sum(values[-part:]) - sum(values[:part])) / part


def save(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure, completely or not at all; the suffix of its path is the format."""
    data = io.BytesIO()
    figure.savefig(data, format=path.suffix[1:], **options)
    write_atomic(path, data.getvalue())
