"""What our docstrings have that Sphinx does not read, made readable to it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from rewards.rule import REGISTRY

COLUMNS = re.compile(r"\S {2,}\S")


def listed(lines: list[str], defaults: Mapping[str, Any]) -> list[str]:
    """Lines such as 'min_leap: semitones' of a rule's docstring as a list, with the defaults."""
    found: list[str] = []
    inside = False
    for line in lines:
        head, colon, rest = line.partition(": ")
        names = head.split(", ")
        if colon and set(names) <= set(defaults):
            found += [] if inside else [""]
            values = ", ".join(f"``{name}={defaults[name]!r}``" for name in names)
            line, inside = f"- {values}: {rest}", True
        elif inside and line:
            line = f"  {line.strip()}"
        else:
            inside = False
        found.append(line)
    return found


def headed(lines: list[str]) -> list[str]:
    """Gymnasium's headings, '## Description', as bold lines of their own."""
    return [
        part
        for line in lines
        for part in (["", f"**{line[3:]}**", ""] if line.startswith("## ") else [line])
    ]


def set_apart(lines: list[str]) -> list[str]:
    """Paragraphs that are laid out in columns, kept as they are."""
    found: list[str] = []
    for blank, group in groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if not blank and any(COLUMNS.search(line) for line in paragraph):
            paragraph = ["::", "", *(f"    {line}" for line in paragraph)]
        found += paragraph
    return found


def read(app: Any, what: str, name: str, fn: Any, options: Any, lines: list[str]) -> None:
    """Change the lines of a docstring in place; Sphinx asks for each."""
    rule = REGISTRY.get(name.rpartition(".")[2])
    if what == "module":
        lines[:] = set_apart(lines)
    elif what == "class":
        lines[:] = headed(lines)
    elif rule is not None and fn is rule.origin:
        lines[:] = listed(lines, rule.defaults)


def show_functions(*about: Any) -> None:
    """Have Sphinx see each rule as the function that was written, which it can document."""
    for rule in REGISTRY.values():
        setattr(sys.modules[rule.__module__], rule.name, rule.origin)


def setup(app: Any) -> dict[str, Any]:
    """Sphinx's way in."""
    app.connect("autodoc-process-docstring", read, priority=400)  # before napoleon
    app.connect("env-before-read-docs", show_functions)  # behind the catalogue
    return {"parallel_read_safe": True}
