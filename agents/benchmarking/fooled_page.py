"""The page of the numbers that fakes win, and what catches each fake."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from agents.benchmarking.columns import BARS, COLUMNS, WATCHED
from agents.benchmarking.fooling import REAL, Fooled, read_fooled
from agents.benchmarking.results import CONFIDENCE, plain
from agents.runs.directory import Run
from agents.settings.tasks import as_words
from envs.durable_files import write_atomic

PAGE = "fooled.md"
HEADS = {number: head for head, number in (COLUMNS | BARS).items()}
HEADS |= {n: n.removeprefix("diversity/").replace("_", " ") for n in WATCHED if n not in HEADS}
ABOUT = """# Which numbers are fooled

{settings}

Fakes are measured as methods are. Bold: the fake **wins**, it is not clearly worse than the
prior, whose pieces are music (the {confidence}% bootstrap interval of the difference, over groups
of {pieces} pieces, does not lie wholly on the worse side; so few groups make it narrower than it
says, by simulation it covers 86%; for the share told from real tunes, the intervals of
both meet). Held-out tunes stand beside them as what real music has; their groups are others, so
diversity, which depends on the number of pieces, compares with the rest only roughly. Shuffled
tunes have the pitch classes, intervals and note lengths of real tunes, and every neighbouring pair
of pitches as often; copied tunes are those that the prior has learned from."""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def words(fooled: Fooled, number: str) -> str:
    """Return the names of the fakes that win a number; '' if none does, or it is not compared."""
    return ", ".join(fooled.winners(number))


def table(fooled: Fooled, numbers: Sequence[str]) -> str:
    """Return a table of what numbers say of each set, and which fakes win them."""
    sets = list(fooled.among(numbers[0]))
    lines = []
    for number in numbers:
        line = [HEADS.get(number, number)]
        for name in sets:
            value = plain(fooled.mean(number, name))
            won = name not in REAL and fooled.wins(number, name)
            line.append(f"**{value}**" if won else value)
        compared = any(not math.isnan(fooled.mean(number, n)) for n in sets if n not in REAL)
        lines.append([*line, words(fooled, number) or ("nothing" if compared else "–")])
    return markdown(["", *sets, "fooled by"], lines)


def caught(fooled: Fooled) -> str:
    """Return a line for each fake: the numbers that find it clearly worse than the prior."""
    lines = []
    for sets in (fooled.sets, fooled.fillers):
        for name in [name for name in sets if name not in REAL]:
            told = [n for n in fooled.numbers() if fooled.among(n) is sets]
            known = [n for n in told if not math.isnan(fooled.mean(n, name))]
            lost = [HEADS.get(n, n) for n in known if not fooled.wins(n, name)]
            lines.append(
                f"- {name}: wins {len(known) - len(lost)} of {len(known)}; caught by "
                + ("; ".join(lost) or "nothing")
            )
    return "\n".join(lines)


def page(fooled: Fooled, settings: str) -> str:
    """Return the page as Markdown."""
    parts = [ABOUT.format(settings=settings, confidence=CONFIDENCE, pieces=fooled.pieces)]
    numbers = fooled.numbers()
    pieces = [n for n in numbers if fooled.among(n) is fooled.sets]
    filled = [n for n in numbers if fooled.among(n) is fooled.fillers]
    if pieces:
        parts += ["## Pieces", table(fooled, pieces)]
    if filled:
        parts += ["## Hidden bars", table(fooled, filled)]
    if numbers:
        parts += ["## What catches each", caught(fooled)]
    return "\n\n".join([*parts, *fooled.notes]) + "\n"


def write(out: Path) -> Path:
    """Write fooled.md of the fakes that a benchmark's folder has; return its path."""
    s = Run(out / "settings").config
    task = " ".join(as_words(s.task, s.env))
    given = f" --task {task}" if task else ""
    settings = (
        f"`python -m agents.benchmark {out.name} --spurious{given} --pieces {s.eval_pieces}`\n\n"
        f"Environment: {s.env}, task: {task or 'as it is'}; prior: {s.prior}; "
        f"reward: {' '.join(s.reward)}"
    )
    file = out / PAGE
    write_atomic(file, page(read_fooled(out), settings))
    return file
