"""The report of a benchmark: tables and comparisons, with intervals over the seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from agents.benchmarking import fooled_page
from agents.benchmarking.benchmark_methods import find_method
from agents.benchmarking.columns import BARS, COLUMNS, HIDDEN_BARS, WATCHED, cost
from agents.benchmarking.fooled_page import markdown
from agents.benchmarking.fooling import REAL, Fooled, read_fooled
from agents.benchmarking.limits import LimitCurve
from agents.benchmarking.results import (
    CONFIDENCE,
    FEWEST,
    GOALS,
    HELD,
    Results,
    Stat,
    contrast,
    plain,
    read,
    stat,
    write_csv,
)
from agents.settings.tasks import as_words
from agents.training.kl import TOLERANCE
from envs.durable_files import write_atomic
from envs.music.task import Task
from pretrained.ngrams.judge import FORMAT as JUDGE
from rewards.measures.hacking import SHARE
from rewards.measures.statistics import PUBLISHED, PUBLISHED_MODELS

TEMPLATE = Path(__file__).with_name("report_template.md")
STARRED = (
    "Above, in italics: Jaques et al. (2017), table 1. Bold: the whole interval is better than all "
    "four of them. Per cent, but for autocorrelations.\n\n"
)


# -- tables ----------------------------------------------------------------------------------------


def entry(value: Stat, bold: bool = False) -> str:
    """Return a number with its interval below, as a cell of a table."""
    text = plain(value.mean)
    if value.count >= FEWEST and value.high - value.low > 1e-9 * abs(value.mean):
        text += f"<br><sub>{plain(value.low)} to {plain(value.high)}</sub>"
    return f"**{text}**" if bold else text


def beats_all(row: str, value: Stat) -> bool:
    """True if a whole interval is better than all published numbers, or cannot be better."""
    worst = max(cost(row, v) for v in (value.low, value.high))
    best = min(cost(row, v) for v in PUBLISHED[row])
    return value.count >= FEWEST and (worst < best or worst == best == 0)


def fooled_line(fooled: Fooled, numbers: Sequence[str]) -> list[list[str]]:
    """Return a line of a table that names the fakes that win each number; none if none does."""
    words = [fooled_page.words(fooled, number) for number in numbers]
    return [["*fooled by*", *words]] if any(words) else []


def published_table(results: Results, beside: bool, fooled: Fooled) -> str:
    """Return the published table with a line for each method.

    Args:
        results: the benchmark.
        fooled: the fakes that win some of its numbers.
        beside: True to put the published lines above, and better results in bold.
    """
    models = enumerate(PUBLISHED_MODELS if beside else ())
    lines = [
        [f"*{model}*", *(plain(values[place]) for values in PUBLISHED.values())]
        for place, model in models
    ]
    for method in results.rows:
        values = {row: results.stat(method, row) for row in PUBLISHED}
        texts = [entry(value, beside and beats_all(row, value)) for row, value in values.items()]
        lines.append([method, *texts])
    lines += fooled_line(fooled, list(PUBLISHED))
    return (STARRED if beside else "") + markdown(["", *PUBLISHED], lines)


def second_table(results: Results, fooled: Fooled) -> str:
    """Return the table of reward, KL, diversity, judges and compute of each method.

    Columns that no cell has are left out, as where a folder is of an older version.
    """
    known = {head: n for head, n in COLUMNS.items() if n in results.names}
    lines = [
        [
            m,
            budget(results, m),
            str(len(rows)),
            *(entry(results.stat(m, n)) for n in known.values()),
        ]
        for m, rows in results.rows.items()
    ]
    marks = fooled_line(fooled, ["", "", *known.values()])
    return markdown(["", "compute given", "cells", *known], [*lines, *marks])


def budget(results: Results, method: str) -> str:
    """Return in words what a method may spend; '' for one that is not known any more."""
    try:
        found = find_method(method)
    except ValueError:
        return ""
    return found.compute(results.settings.n_timesteps, results.stat(method, "draws").mean)


def hidden_table(results: Results, fooled: Fooled) -> str:
    """Return the table of what fills hidden bars: the methods that can, and what is beside them."""
    known = {head: n for head, n in BARS.items() if n in results.names}
    beside = {n: n if n in REAL else f"fake: {n}" for n in fooled.fillers if n != "prior"}
    if not known:
        return "No method has filled hidden bars."
    lines = [
        [f"*{head}*", *(plain(fooled.mean(n, name)) for n in known.values())]
        for name, head in beside.items()
    ]
    able = [m for m in results.rows if not math.isnan(results.stat(m, f"{HIDDEN_BARS}3-4 in").mean)]
    lines += [[m, *(entry(results.stat(m, n)) for n in known.values())] for m in able]
    return markdown(["", *known], [*lines, *fooled_line(fooled, list(known.values()))])


def limit_section(limits: LimitCurve) -> str:
    """Return the section on the limit of fine-tuning."""
    lines = []
    for row in limits.rows:
        low, high = row["interval"] or (math.nan, math.nan)
        between = "" if math.isnan(low) else f"{low:.2f} to {high:.2f}"
        numbers = (f"{row['kl']:.3f}", f"{row['reward']:.2f}", between, f"{row['distance']:.3f}")
        lines.append([row["name"], *numbers, f"{row['size']:,.0f}"])
    heads = ["", "KL, nats per token", "reward of the rules", "95%", "edit distance"]
    table = [markdown([*heads, "effective pieces"], lines)] if lines else []
    told = [f"From {limits.pieces:,} pieces of the prior."] if lines else []
    return "\n\n".join([*told, *table, *limits.notes]) or "It was not measured."


def spread_table(results: Results) -> str:
    """Return the table of the standard deviations of the reward over seeds."""
    heads, lines = [""], {method: [method] for method in results.rows}
    for name, number in (("reward of the rules", "reward"), ("reward with log p",) * 2):
        heads += [name, f"{name}, std over seeds", f"{name}, std / mean"]
        for method, line in lines.items():
            value = results.stat(method, number)
            share = value.std / abs(value.mean) if value.mean else math.nan
            line += [plain(value.mean), plain(value.std), plain(share)]
    return markdown(heads, lines.values())


# -- sections --------------------------------------------------------------------------------------


def verdict(difference: Stat) -> str:
    """Return 'ahead of', 'behind' or 'not clearly different from' for a difference."""
    if difference.count >= FEWEST and difference.low > 0:
        return "ahead of"
    if difference.count >= FEWEST and difference.high < 0:
        return "behind"
    return "not clearly different from"


def compare(results: Results, method: str, other: str, name: str) -> tuple[list[str], list[str]]:
    """Return verdicts and sentences that compare RL by `method` with `other` on each goal.

    Args:
        results: the benchmark.
        method: a method of RL.
        other: the method that it is compared with.
        name: the name of `other` in the sentences.
    """
    verdicts, lines = [], []
    for number in (*GOALS, "reward"):
        pair = [results.values(each, number) for each in (method, other)]
        difference = contrast(*pair)
        if not difference.count:
            continue
        verdicts.append(verdict(difference))
        unit, goal = ("", "reward of the rules") if number == "reward" else ("%", number)
        a, b = (f"{plain(stat(values).mean)}{unit}" for values in pair)
        lines.append(
            f"- {goal}: RL is {verdicts[-1]} {name}, {a} against {b}; difference {difference}."
        )
    return verdicts, lines


def count(verdicts: Sequence[str], other: str) -> str:
    """Return a sentence on how often RL is ahead or behind in comparisons with `other`."""
    ahead, behind = (verdicts.count(word) for word in ("ahead of", "behind"))
    rest = len(verdicts) - ahead - behind
    return (
        f"Of {len(verdicts)} comparisons {other} RL is ahead in {ahead}, behind in {behind}, and "
        f"not clearly different in {rest} (the {CONFIDENCE}% interval of the difference holds 0)."
    )


def equal_kl(results: Results) -> str:
    """Return the section that compares RL with best-of-n and masks at equal KL to the prior."""
    outcomes: dict[str, list[str]] = {
        "with best-of-n at equal KL": [],
        "with best-of-n where a KL budget was missed": [],
        "with masked decoding, which cannot choose its KL,": [],
    }
    equal, missed, masks = outcomes.values()
    blocks: list[str] = []
    held = [m for m in results.rows if HELD in m and not m.startswith(("best-of", "limit"))]
    for method in held:
        budget = float(method.partition(HELD)[2])
        other, spent = f"best-of-n{HELD}{budget:g}", results.stat(method, "kl")
        if other not in results.rows:
            continue
        n = results.stat(other, "draws").mean
        verdicts, lines = compare(results, method, other, f"best of {n:,.0f}")
        text = f"**{method}** spent {spent} nats per token"
        if abs(spent.mean - budget) <= TOLERANCE * budget:
            equal += verdicts
        else:
            missed += verdicts
            side = "RL" if spent.mean > budget else "best-of-n"
            text += f". That is not its budget: {side} was allowed more, this is not at equal KL"
        blocks.append("\n".join([f"{text}:\n", *lines, paid_off(results, method, other)]))
    if held and "masked" in results.rows:
        kl = results.stat("masked", "kl")
        near = min(held, key=lambda m: abs(results.stat(m, "kl").mean - kl.mean))
        verdicts, lines = compare(results, near, "masked", "masked decoding")
        masks += verdicts
        spent = results.stat(near, "kl")
        text = f"**Masked decoding** spent {kl}; of RL {near} is nearest and spent {spent}:"
        blocks.append("\n".join([text + "\n", *lines]))
    if not blocks:
        return "No methods with a KL budget are there to be compared."
    counts = [count(verdicts, other) for other, verdicts in outcomes.items() if verdicts]
    picture = "![Whole-piece goals at equal KL](goals.svg)"
    return "\n\n".join([" ".join(counts), picture, *blocks])


def paid_off(results: Results, method: str, other: str) -> str:
    """Return a sentence on the number of pieces after which training costs less than drawing."""
    trained = results.stat(method, "train_cpu").mean
    learned, drawn = (results.stat(name, "draw_cpu").mean for name in (method, other))
    text = (
        f"- 1,000 pieces take {plain(learned)} s of processor after {plain(trained)} s of "
        f"training, against {plain(drawn)} s of drawing and choosing"
    )
    if not drawn > learned:
        return text + ": training never pays for itself."
    pieces = 1000 * trained / (drawn - learned)
    return f"{text}: training pays for itself after {pieces:,.0f} pieces."


def hacking(results: Results) -> str:
    """Return the section on hacked rewards: warnings, and what is lost against the prior."""
    names = [*WATCHED, *(name for name in results.names if name.startswith("held out/"))]
    before: dict[str, Stat] = {}
    lines, quotes = [], []
    if "prior" in results.rows:
        before = {name: results.stat("prior", name) for name in names}
        lines.append(["prior", "", *map(entry, before.values())])
    for method, warnings in results.warnings.items():
        flagged = [seed for seed in warnings if warnings[seed]]
        line = [method, f"{len(flagged)} of {len(warnings)}"]
        for name in names:
            value, was = results.stat(method, name), before[name].mean if before else math.nan
            lost = name in WATCHED and was - value.mean > SHARE * abs(was) > 0
            line.append(entry(value, bold=lost))
        lines.append(line)
        quotes += [f"- {method}, seed {seed}: {warnings[seed][0]}" for seed in flagged[:1]]
    heads = [name.removeprefix("diversity/").replace("_", " ") for name in names]
    table = markdown(["", "runs warned of", *heads], lines)
    return "\n".join([table, "", *quotes]).rstrip("\n")


def introduction(results: Results) -> str:
    """Return the list of settings and machines of a benchmark."""
    s = results.settings
    cells = sorted({len(rows) for rows in results.rows.values()})
    seeds = " to ".join(str(number) for number in sorted({*cells[:1], *cells[-1:]})) or "no"
    moving = f" moving to {s.last_entropy:g}" if s.last_entropy != s.entropy else ""
    machines = "".join(f"\n- machine: {line}" for line in sorted(results.machines))
    task = " ".join(as_words(s.task, s.env)) or "as it is"
    return f"""- environment: {s.env}, task: {task}; prior: {s.prior}
- reward: {" ".join(s.reward)}
- objective: reward / c + entropy, c {s.c:g}, weight of the entropy {s.entropy:g}{moving}
- {s.n_timesteps:,} environment steps for each training, {s.eval_pieces:,} pieces measured in each \
cell (fewer of a beam), {seeds} seeds; one thread, on a processor{machines}"""


def write(
    out: Path, order: Sequence[str], failed: Mapping[tuple[str, int], str], left_out: Sequence[str]
) -> None:
    """Write report.md with its pictures, cells.csv and summary.csv.

    Args:
        out: folder of the benchmark.
        order: methods in the order of the report.
        failed: messages of failed cells, by method and seed.
        left_out: methods that could not be run, each with the reason.
    """
    from agents.benchmarking import figures

    results, fooled = read(out, order), read_fooled(out)
    write_csv(out, results)
    parts = ["# Benchmark", introduction(results)]
    parts += [f"Left out: {line}" for line in left_out]
    if failed:
        lines = [f"- {method}, seed {seed}: {text}" for (method, seed), text in failed.items()]
        parts += ["## Failed cells\n\nThey are not in the numbers.", "\n".join(lines)]
    if results.rows:
        figures.draw(results, out)
        curves = "![Learning curves](curves.svg)" if results.curves else "Nothing was trained."
        text = TEMPLATE.read_text().format(
            published=published_table(results, results.settings.task == Task(), fooled),
            second=second_table(results, fooled),
            hidden=hidden_table(results, fooled),
            limit=limit_section(results.limits),
            equal_kl=equal_kl(results),
            curves=curves,
            hacking=hacking(results),
            spread=spread_table(results),
            share=SHARE,
            confidence=CONFIDENCE,
            judge=JUDGE,
        )
        parts.append(text.rstrip("\n"))
    if fooled.sets:
        fooled_page.write(out)
    write_atomic(out / "report.md", "\n\n".join(parts) + "\n")
