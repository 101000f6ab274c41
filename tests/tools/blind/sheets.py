"""Sheets of melodies in an order that says nothing, with a form to fill, and the keys to them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from agents.runs.provenance import versions
from envs.durable_files import read_facts
from envs.music.task import Task
from envs.notation.writing.abc import abc
from tests.tools.blind.sources import Drawn, Source, collect

HUMAN, MACHINE = "human", "machine"
MARKS = ("line", "rhythm", "form", "ending", "overall")
COLUMNS = ("sheet", "melody", "called", *MARKS, "why")
FORMAT = 1
INTRODUCTION = """# Sheet {sheet}

{n} melodies of {bars} bars in {key} and {meter}, in random order. Each was made by a person or by a
program; how many by which is not told. Tempo, range and the way of writing are the same for all and
say nothing. {begin} The last note of all is held to the end of the bar.

Judge each from the notes alone, as a strict musician and teacher. In the row of the form that has
the sheet's name and the number of the melody, write

- called: `human` or `machine`
- line: where it goes, its high point, its steps and leaps; 1 is poor, 5 is excellent
- rhythm: figures that belong together, alive and not at random; 1 to 5
- form: what its parts have to do with each other; 1 to 5
- ending: prepared, and in its place; 1 to 5
- overall: 1 to 5; 4 or 5 if you would show it to others
- why: a few words, or nothing

Fill every row, in the order of the sheet, without going back.
"""


@dataclass(frozen=True)
class Sheet:
    """A sheet.

    Attributes:
        task: of its melodies.
        tunes: the melodies in ABC.
        labels: the source of each.
        origins: where in the source each is from.
    """

    task: Task
    tunes: tuple[str, ...]
    labels: tuple[str, ...]
    origins: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """A name made of its melodies, which says nothing about them."""
        return name_of(self.tunes)

    @property
    def text(self) -> str:
        """The page for a reader, in Markdown."""
        task = self.task
        head = INTRODUCTION.format(
            sheet=self.name,
            n=len(self.tunes),
            bars=task.bars,
            key=task.key,
            meter=task.meter,
            begin="All have an upbeat." if task.pickup else "Upbeats are left out.",
        )
        return "\n".join([head, *(f"```abc\n{tune}```\n" for tune in self.tunes)])

    @property
    def form(self) -> str:
        """The form to fill, in CSV."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for number in range(1, len(self.tunes) + 1):
            writer.writerow([self.name, number, *[""] * (len(COLUMNS) - 2)])
        return out.getvalue()

    def key(self, facts: dict[str, Any]) -> str:
        """Return the key in JSON.

        Args:
            facts: that hold for all sheets written together.
        """
        rows = zip(self.labels, self.origins, self.tunes, strict=True)
        melodies = [
            {"melody": number, "source": label, "origin": origin, "abc": tune}
            for number, (label, origin, tune) in enumerate(rows, 1)
        ]
        content = {"format": FORMAT, "sheet": self.name, **facts, "melodies": melodies}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def name_of(tunes: Iterable[str]) -> str:
    """Return the name of the sheet with these melodies."""
    return sha256("\n".join(tunes).encode()).hexdigest()[:8]


def make_sheets(
    sources: Sequence[Source], task: Task, sheets: int = 1, n: int = 12, seed: int = 1
) -> tuple[list[Sheet], dict[str, Any]]:
    """Return sheets with `n` melodies of each source, none of them twice, and facts for the keys.

    The order of a sheet is that of hashes of its melodies.

    Raises:
        ValueError: a number below 1, or as `collect`.
    """
    for name, value in (("sheets", sheets), ("pieces", n)):
        if value < 1:
            raise ValueError(f"--{name} {value}: expected at least 1")
    taken: set[bytes] = set()
    dealt: list[list[tuple[str, Drawn]]] = [[] for _ in range(sheets)]
    about: dict[str, Any] = {}
    for source in sources:
        drawn, passed = collect(source, task, seed, sheets * n, taken)
        about[source.label] = {**source.facts, "passed over": passed}
        for number, melody in enumerate(drawn):
            dealt[number % sheets].append((source.label, melody))
    facts = {"seed": seed, "task": repr(task), "sources": about, "made with": versions()}
    return [_sheet(task, melodies, seed) for melodies in dealt], facts


def _sheet(task: Task, melodies: list[tuple[str, Drawn]], seed: int) -> Sheet:
    def order(melody: tuple[str, Drawn]) -> bytes:
        return sha256(f"{seed}".encode() + melody[1].score.tokens.tobytes()).digest()

    melodies = sorted(melodies, key=order)
    return Sheet(
        task,
        tuple(tune_of(drawn, number) for number, (_, drawn) in enumerate(melodies, 1)),
        tuple(label for label, _ in melodies),
        tuple(drawn.origin for _, drawn in melodies),
    )


def tune_of(drawn: Drawn, number: int) -> str:
    """Return a melody in ABC, with the fields that all have."""
    lines = abc(drawn.score, 0, f"Melody {number}", number).splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("V:"))  # a clef for low ones


@dataclass(frozen=True)
class Key:
    """The key to a sheet.

    Attributes:
        sheet: name of the sheet.
        sources: source of each melody, by number.
        made: by source, what its melodies were made with: options and hashes of files.
        task: of the melodies.
    """

    sheet: str
    sources: dict[int, str]
    made: dict[str, Any]
    task: str


def read_key(path: Any) -> Key:
    """Return the key in a file.

    Raises:
        ValueError: it is none, or has been changed.
    """
    content = read_facts(path)
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']!r}")
        rows = content["melodies"]
        tunes = [row["abc"] for row in rows]
        sources = {row["melody"]: row["source"] for row in rows}
        made = {
            label: {name: facts[name] for name in ("options", "files") if name in facts}
            for label, facts in content["sources"].items()
        }
        if content["sheet"] != name_of(tunes) or list(sources) != list(range(1, len(rows) + 1)):
            raise ValueError("its melodies are not those of its sheet")
        if not set(sources.values()) <= made.keys():
            raise ValueError("a source that it does not describe")
        return Key(content["sheet"], sources, made, content["task"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is no key to a sheet, or has been changed: expected one as "
            f"tests.tools.blind writes it, got {type(error).__name__}: {error}"
        ) from None
