"""Figures of a benchmark, as SVG; equal results give equal bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from agents.benchmarking.limits import LimitCurve
from agents.benchmarking.results import GOALS, HELD, Array, Results, Stat
from agents.runs.curve import save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito (2008): colours that colour-blind readers can distinguish.
BLUE, ORANGE, GREEN, RED = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PINK, SKY, GREY = "#cc79a7", "#56b4e9", "#666666"
FAMILIES = {  # name: marker, colour
    "best of n": ("s", PINK),
    "best of n with a KL budget": ("D", ORANGE),
    "RL with a KL budget": ("D", BLUE),
    "RL": ("o", GREY),
    "masked decoding": ("^", GREEN),
    "prior": ("X", "black"),
    "prior at other temperatures": ("x", "black"),
}
LINES = ("-", "--", ":")
BAND = {"alpha": 0.12, "linewidth": 0}
DOT = {"s": 70, "cmap": "viridis", "vmin": 0, "vmax": 1, "linewidths": 1.2, "clip_on": False}
LEADER = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
TICKS = (0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4)


def family(method: str) -> str:
    """Return the name in FAMILIES with which a method is drawn."""
    if method.startswith("best-of"):
        return "best of n with a KL budget" if HELD in method else "best of n"
    if method.startswith("prior@"):
        return "prior at other temperatures"
    named = {"prior": "prior", "masked": "masked decoding"}
    return named.get(method, "RL with a KL budget" if HELD in method else "RL")


def draw(results: Results, out: Path) -> None:
    """Write front.svg, and curves.svg and goals.svg if there is something to show in them."""
    drawn = {"front.svg": front(results)}
    if results.curves:
        drawn["curves.svg"] = curves(results)
    if any(HELD in method for method in results.rows if not method.startswith("limit")):
        drawn["goals.svg"] = goals(results)
    with matplotlib.rc_context({"svg.hashsalt": "composition-gym"}):
        for name, figure in drawn.items():
            save(figure, out / name, metadata={"Date": None})  # without it bytes repeat


def reach(value: Stat) -> Array:
    """Return the lengths (2, 1) of an interval below and above its mean, as error bars."""
    if value.count < 2:
        return np.full((2, 1), math.nan)
    return np.fmax([[value.mean - value.low], [value.high - value.mean]], 0.0)


def tidy(axis: Axes, x: str, y: str) -> None:
    """Give an axis labels and a faint grid, and remove its frame."""
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)


# -- reward against KL -----------------------------------------------------------------------------


def front(results: Results) -> Figure:
    """Draw the reward of the rules against KL; a beam, which has no KL, is a horizontal line."""
    figure = Figure(figsize=(10, 6.2), layout="constrained")
    axis = figure.subplots()
    at: dict[str, tuple[Stat, Stat]] = {}
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for method in [m for m in results.rows if not m.startswith("limit")]:  # it is a line
        kl, reward, share = (results.stat(method, name) for name in ("kl", "reward", "distinct"))
        if math.isnan(kl.mean):
            line_across(axis, method, reward)
            continue
        marker, colour = FAMILIES[family(method)]
        at[method], place = (kl, reward), (kl.mean, reward.mean)
        kind = method.partition(HELD)[0] if HELD in method else ""
        lines.setdefault((family(method), kind), []).append(place)
        bars: dict[str, Any] = {"xerr": reach(kl), "yerr": reach(reward)}
        axis.errorbar(*place, **bars, color=colour, linewidth=1, capsize=2, zorder=2)
        look: dict[str, Any] = {"marker": marker, "edgecolors": colour, **DOT}
        dots = axis.scatter(*place, c=share.mean, zorder=3, **look)
    for (name, _), places in lines.items():
        if "of n" in name or "budget" in name:
            axis.plot(*zip(*sorted(places), strict=True), color=FAMILIES[name][1], lw=1, zorder=1)
    draw_limits(axis, results.limits)
    tidy(axis, "KL to the prior, nats per token", "reward of the rules")
    # A square root gives more room to small KL, where most methods are.
    axis.set_xscale("function", functions=(lambda x: np.sqrt(np.abs(x)), np.square))
    most = 1.1 * max((kl.mean for kl, _ in at.values()), default=1) or 1
    axis.set_xlim(0, most)
    if most < 2:
        axis.set_xticks([tick for tick in TICKS if tick <= most])
    axis.margins(y=0.08)
    for name in dict.fromkeys(name for name, _ in lines):
        marker, colour = FAMILIES[name]
        axis.scatter([], [], s=50, marker=marker, c="none", edgecolors=colour, label=name)
    if at:
        axis.legend(frameon=False, fontsize=8, loc="lower right")
        figure.colorbar(dots, ax=axis, label="distinct share of the pieces", shrink=0.6)
        label(figure, axis, at)
    return figure


def draw_limits(axis: Axes, limits: LimitCurve) -> None:
    """Draw the limit of fine-tuning and the closed form of best-of-n, if they were measured."""
    if limits.limit:
        spent, paid, _ = zip(*limits.limit, strict=True)
        look: dict[str, Any] = {"color": "black", "linewidth": 1.4, "zorder": 1}
        axis.plot((0, *spent), (limits.prior, *paid), label="limit", **look)
    if limits.best:
        look = {"color": PINK, "linewidth": 1, "linestyle": "--", "zorder": 1}
        axis.plot(*zip(*limits.best, strict=True), label="best of n, all subsets", **look)


def line_across(axis: Axes, method: str, reward: Stat) -> None:
    """Draw the reward of a method without KL as a horizontal line with its interval."""
    axis.axhline(reward.mean, color=GREY, linewidth=1, linestyle=":", zorder=1)
    if reward.count > 1:
        axis.axhspan(reward.low, reward.high, color=GREY, alpha=0.15, linewidth=0)
    ways = axis.get_yaxis_transform(), "offset points"
    axis.annotate(f"{method}, no KL", (1, reward.mean), (0, 2), *ways, ha="right", fontsize=8)


def label(figure: Figure, axis: Axes, at: dict[str, tuple[Stat, Stat]]) -> None:
    """Write each name beside its point, at the first free place.

    Args:
        figure: the figure of the axis.
        axis: its limits must be set.
        at: the points by name.
    """
    figure.draw_without_rendering()  # sets the layout, which converts data to pixels
    scale, frame = figure.dpi / 72, axis.get_window_extent()
    taken = []
    for x, y in at.values():
        left, right = (x.low, x.high) if x.count > 1 else (x.mean, x.mean)
        low, high = (y.low, y.high) if y.count > 1 else (y.mean, y.mean)
        pixels = axis.transData.transform([(left, low), (right, high)])
        taken.append((*(pixels.min(axis=0) - 6), *(pixels.max(axis=0) + 6)))
    near = [(9, 0), (-9, 0), (0, 13), (0, -13)]
    far = [(x, y) for up in range(9, 90, 9) for x in (9, 30, 60) for y in (up, -up)]
    ways = [*near, *[(side * x, y) for x, y in far for side in (1, -1)]]
    for name, (kl, reward) in at.items():
        x, y = axis.transData.transform((kl.mean, reward.mean))
        width, height = 5 * len(name) * scale, 9 * scale
        for right, up in ways:
            left = x + right * scale - (0 if right > 0 else width if right < 0 else width / 2)
            box = (left, y + up * scale - height / 2, left + width, y + up * scale + height / 2)
            inside = frame.x0 < box[0] and box[2] < frame.x1 and frame.y0 < box[1]
            if inside and not any(_meet(box, other) for other in taken):
                break
        taken.append(box)
        look: dict[str, Any] = {"arrowprops": LEADER if (right, up) not in near else None}
        look["ha"] = "left" if right > 0 else "right" if right < 0 else "center"
        at_point = (kl.mean, reward.mean), (right, up)
        axis.annotate(
            name, *at_point, textcoords="offset points", fontsize=8, va="center", zorder=4, **look
        )


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """True if two boxes (left, bottom, right, top) overlap."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


# -- learning curves -------------------------------------------------------------------------------


def curves(results: Results) -> Figure:
    """Draw the reward of the rules and KL of each training: mean, lowest and highest over seeds."""
    figure = Figure(figsize=(12, 4.4), layout="constrained")
    axes = figure.subplots(1, 2)
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for place, (method, seeds) in enumerate(results.curves.items()):
        long = min(len(columns["steps"]) for columns in seeds)
        steps = seeds[0]["steps"][:long]
        look: dict[str, Any] = {"color": colours[place % 10], "linestyle": LINES[place // 10 % 3]}
        for axis, name in zip(axes, ("rules", "kl"), strict=True):
            values = np.array([columns[name][:long] for columns in seeds])
            axis.plot(steps, values.mean(axis=0), label=method, linewidth=1.4, **look)
            band = values.min(axis=0), values.max(axis=0)
            axis.fill_between(steps, *band, color=look["color"], **BAND)
    tidy(axes[0], "environment steps", "reward of the rules")
    tidy(axes[1], "environment steps", "KL to the prior, nats per token")
    for axis in axes:
        axis.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
        axis.margins(x=0.01)
    axes[1].legend(fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


# -- goals at equal KL -----------------------------------------------------------------------------


def goals(results: Results) -> Figure:
    """Draw the whole-piece goals of the methods with a KL budget, of masks and of the prior."""
    held = [m for m in results.rows if HELD in m and not m.startswith("limit")]
    budgets = sorted({float(method.partition(HELD)[2]) for method in held})
    kinds = list(dict.fromkeys(method.partition(HELD)[0] for method in held))
    palette = dict(zip(kinds, (BLUE, ORANGE, RED, PINK, SKY), strict=False))
    palette |= {"masked": GREEN}
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    axes: Sequence[Any] = figure.subplots(1, len(GOALS))
    width = 0.8 / len(kinds)
    for axis, goal in zip(axes, GOALS, strict=True):
        places = [
            (f"{kind}{HELD}{budget:g}", kind, group + (place - (len(kinds) - 1) / 2) * width)
            for group, budget in enumerate(budgets)
            for place, kind in enumerate(kinds)
        ]
        places.append(("masked", "masked", float(len(budgets))))
        for method, kind, x in places:
            if method in results.rows:
                value, colour = results.stat(method, goal), palette.get(kind, GREY)
                bars: dict[str, Any] = {"yerr": reach(value), "capsize": 2}
                axis.bar(x, value.mean, width * 0.92, color=colour, error_kw={"lw": 1}, **bars)
        if "prior" in results.rows:
            axis.axhline(results.stat("prior", goal).mean, color="black", linestyle="--", lw=1)
        tidy(axis, "KL, nats per token", "")
        axis.grid(visible=False, axis="x")
        axis.set_title(goal, fontsize=10)
        spent = results.stat("masked", "kl").mean if "masked" in results.rows else math.nan
        ticks = [f"{budget:g}" for budget in budgets]
        ticks += [] if math.isnan(spent) else [f"masked:\n{spent:.2g}"]
        axis.set_xticks(range(len(ticks)), ticks)
    axes[0].set_ylabel("per cent of pieces")
    for kind in [kind for kind in palette if kind in kinds or kind in results.rows]:
        axes[0].bar(0, 0, color=palette[kind], label=kind)
    axes[0].plot([], [], color="black", linestyle="--", linewidth=1, label="prior")
    figure.legend(loc="outside upper center", ncols=8, frameon=False, fontsize=9)
    return figure
