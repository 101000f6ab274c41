"""How often real melodies break each rule, as a table.

    python -m rewards.calibrate                 # prints it
    python -m rewards.calibrate docs/rules.md   # writes it

A rule that most tunes of a style break says more about the rule than about the tunes.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from envs.score import Score
from pretrained.abc_reader import GridTune, TuneError, read_tune
from pretrained.corpus import COLLECTIONS, collection_files, load_corpus, split_tunes
from pretrained.judge import with_its_mode
from pretrained.pieces import scores
from rewards.rule import REGISTRY

ESSEN = "essenFolksong"
CHINESE = ("han1", "han2")


@dataclass(frozen=True)
class Rate:
    """How often a rule is broken: per cent of the pieces, and violation per 100 notes."""

    pieces: float
    notes: float


def corpora() -> dict[str, list[Score]]:
    """Real melodies by name; those of music21 only where it is installed with its corpus."""
    found = {}
    for name, book in COLLECTIONS.items():
        tunes = [tune for tune in load_corpus().tunes if tune.collection == name]
        found[book.split(",")[0]] = scores(tunes)
    chinese = [path for path in collection_files(ESSEN) if path.stem in CHINESE]
    european = [path for path in collection_files(ESSEN) if path.stem not in CHINESE]
    for name, files in (("Essen, Europe", european), ("Essen, China", chinese)):
        if files:
            found[name] = scores(_readable(files))
    return found


def _readable(files: Sequence[Path]) -> list[GridTune]:
    """The songs of ABC files that are on the grid, in minor where their thirds are."""
    songs = []
    for path in files:
        for text in split_tunes(path.read_text("utf-8")):
            try:
                songs.append(with_its_mode(read_tune(text)))
            except TuneError:
                continue
    return songs


def rates(pieces: Sequence[Score]) -> dict[str, Rate]:
    """Each rule's rate in some pieces."""
    broken = {name: 0 for name, fn in REGISTRY.items() if getattr(fn, "violation", False)}
    sums = dict.fromkeys(broken, 0.0)
    notes = count = 0
    for score in pieces:
        notes += int(score.onset.sum())
        count += score.batch
        for name in broken:
            value = np.asarray(REGISTRY[name](score), np.float64)
            value = np.broadcast_to(value, score.tokens.shape)
            broken[name] += int((value > 0).any(axis=(1, 2)).sum())
            sums[name] += float(value.sum())
    return {
        name: Rate(100 * broken[name] / max(1, count), 100 * sums[name] / max(1, notes))
        for name in broken
    }


def table(found: Mapping[str, Sequence[Score]]) -> str:
    """Markdown: a line for each rule, a column for each corpus."""
    measured = {name: rates(pieces) for name, pieces in found.items()}
    heads = [f"{name} ({sum(s.batch for s in pieces):,})" for name, pieces in found.items()]
    lines = [["rule", *heads], ["---"] * (1 + len(heads))]
    for rule in next(iter(measured.values())):
        each = [measured[name][rule] for name in found]
        lines.append([f"`{rule}`", *(f"{r.pieces:.0f}% / {r.notes:.2g}" for r in each)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def catalogue() -> str:
    """Each rule with what it says of itself and where it comes from."""
    parts = []
    for name, fn in REGISTRY.items():
        if getattr(fn, "violation", False):
            said = inspect.getdoc(inspect.unwrap(fn)) or ""
            source = getattr(fn, "source", "")
            parts.append(f"### {name}\n\n{said.split('>>>')[0].strip()}\n\nSource: {source}.\n")
    return "\n".join(parts)


def main() -> None:
    """Command line."""
    text = table(corpora())
    if len(sys.argv) < 2:
        print(text)
        return
    page = (
        "# The rules, and how often real melodies break them\n\n"
        "Made by `python -m rewards.calibrate docs/rules.md`. In each column: per cent of the "
        "tunes that break the rule anywhere / violation per 100 notes.\n\n"
        "Essen's files name a tonic, and most of its Chinese songs do not end on it, climb early "
        "and syncopate: rules of the tonic, of the summit and of the metre say more about Europe "
        "than about these songs. The pack `pentatonic` leaves most of them out.\n\n"
        + text
        + "\n"
        + catalogue()
    )
    Path(sys.argv[1]).write_text(page)


if __name__ == "__main__":
    main()
