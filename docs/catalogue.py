"""The catalogue of rules with notated examples, written from the registry when Sphinx builds.

A rule's docstring holds doctests: `explain(rule, notes)` prints nothing where the rule is kept and
a message where it is broken, `paid(term, notes)` what a term gives for each note. Here the same
notes are engraved, with what is marked in colour.
"""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docstrings import listed

from agents.explaining.page import MARKED
from envs.music.score import Score
from envs.notation.text_line import score_from_text
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import Marks, musicxml
from rewards.build import pack_names, read_pack
from rewards.remarks import Remark, payments, remarks
from rewards.rule import REGISTRY, Rule

PAID = "#1f5fbf"  # colour of what a term gives something for
CALLS = {"explain": remarks, "paid": payments}
PIXELS, LEAST, MOST = 20, 320, 760  # of a picture: for each cell, and in all
INTRODUCTION = """# The rules, with examples

Every rule and reward that ships, under the name by which `--reward`, `--must` and `--mask` know it.
A rule is a violation from 0 to 1 in each cell, and its weight is taken off; the other terms may
have any sign. The examples are those of the rules' own tests. Red is the note or rest that sounds
where a rule is broken; blue are those that a term gives something for, with the sum beneath. How
often real melodies break each rule stands in [a table of its own](../rules.md).
"""


@dataclass(frozen=True)
class Example:
    """Notes of a rule's docstring, and what the rule says of them.

    Attributes:
        call: 'explain' or 'paid'.
        score: the notes.
        remarks: what was said.
    """

    call: str
    score: Score
    remarks: tuple[Remark, ...]

    @property
    def heading(self) -> str:
        """'Kept', 'Broken' or 'Paid'."""
        return "Paid" if self.call == "paid" else "Broken" if self.remarks else "Kept"


def examples(rule: Rule) -> list[Example]:
    """Return the calls of `explain` and `paid` in the doctests of a rule, in order.

    Raises:
        ValueError: the rule does not say what its docstring has.
    """
    names = dict(vars(sys.modules[rule.__module__]))
    found = []
    for test in doctest.DocTestParser().get_examples(inspect.getdoc(rule.origin) or ""):
        call = ast.parse(test.source).body[0]
        value = call.value if isinstance(call, ast.Expr) else None
        called = ast.unparse(value.func) if isinstance(value, ast.Call) else ""
        if not isinstance(value, ast.Call) or called not in CALLS:
            exec(test.source, names)
            continue
        value.func = ast.Name("_given", ast.Load())
        names["_given"] = lambda asked, notes, **where: (asked, notes, where)
        call = ast.fix_missing_locations(ast.Expression(value))
        asked, notes, where = eval(compile(call, "<example>", "eval"), names)
        score = score_from_text(notes, **where) if isinstance(notes, str) else notes
        told = CALLS[called](asked, score)
        if [str(remark) for remark in told] != test.want.splitlines():
            raise ValueError(f"{test.source.strip()} says {told}, its docstring {test.want!r}")
        found.append(Example(called, score, tuple(told)))
    return found


def picture(example: Example) -> str:
    """The notes as SVG, in colour where a rule is broken or a term gives something."""
    colour = PAID if example.call == "paid" else MARKED
    at = {(remark.voice, remark.cell): colour for remark in example.remarks}
    sums = {(r.voice, r.cell): f"{r.value:+.3g}" for r in example.remarks if colour == PAID}
    pixels = PIXELS * (2 if sums else 1)  # sums take room
    width = min(max(LEAST, pixels * example.score.task.cells), MOST)
    return svg(musicxml(example.score, marks=Marks(words=sums, colours=at)), width)


def words(rule: Rule) -> str:
    """Return a rule's name, docstring without examples, and source, as Markdown."""
    text = (inspect.getdoc(rule.origin) or "").split(">>>")[0].strip()
    told = "\n".join(listed(text.splitlines(), rule.defaults)).replace("\n\n\n", "\n\n")
    return f"### {rule.name}\n\n{told}\n\nSource: {rule.source}."


def entry(name: str, packs: dict[str, list[str]], folder: Path) -> Iterator[str]:
    """Yield the lines of the catalogue about one term; its pictures are written to a folder."""
    yield words(REGISTRY[name])
    if name in packs:
        yield "In the packs " + ", ".join(f"`{pack}`" for pack in packs[name]) + "."
    yield ""
    for number, example in enumerate(examples(REGISTRY[name]), 1):
        file = f"{name}-{number}.svg"
        (folder / file).write_text(picture(example))
        what = "; ".join(str(remark) for remark in example.remarks)
        task, word = example.score.task, example.heading
        asked = {"key": str(task.key), "chords": task.chords, "phrases": task.phrases}
        given = ", ".join(f"{kind} `{value}`" for kind, value in asked.items() if value)
        yield f"{word}, {given}{': ' if what else ''}{what}.\n"
        yield f"![{name}: {word.lower()}]({file})\n"


def page(folder: Path) -> str:
    """The catalogue as Markdown; its pictures are written to a folder."""
    packs = defaultdict(list)
    for pack in pack_names():
        for name in read_pack(pack):
            packs[name].append(pack)
    modules = defaultdict(list)
    for name, rule in REGISTRY.items():
        modules[rule.__module__].append(name)
    parts = [INTRODUCTION]
    for module, names in modules.items():
        title, _, more = (inspect.getdoc(sys.modules[module]) or module).partition(".")
        parts.append(f"## {title}\n\n{more.strip()}\n")
        parts += [line for name in names for line in entry(name, packs, folder)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def write(app: Any) -> None:
    """Write the page and its pictures where Sphinx finds them."""
    folder = Path(app.srcdir) / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "catalogue.md").write_text(page(folder))


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's way in."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
