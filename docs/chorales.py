"""How often Bach's four-part chorales break the rules across voices.

    python docs/chorales.py                  # prints the table
    python docs/chorales.py docs/voices.md   # writes it

Rates are per 1,000 pairs of voices *that move*: a pair counts once at each moment in which both of
its voices go to another pitch. Long notes, repeated notes and rests add nothing to the divisor, so
a writer cannot buy a lower rate with them.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import calibrate
import numpy as np

from envs.music.key import Key
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.chorales import Chorale, load_chorales
from rewards.build import build
from rewards.measures.voice_leading import violations
from rewards.rule import REGISTRY, Rule

PACK = "satb_common_practice"
MODULES = ("rewards.rules.voices", "rewards.rules.part_writing")  # no exercises of the species


class Count(NamedTuple):
    """Violations of a rule, and the chorales that have one."""

    broken: int
    pieces: int


def chorales(every: int = 1) -> list[Score]:
    """Bach's chorales in music21's corpus, those of `load_chorales`; none without that corpus.

    The key is that of `calibrate.key_of_final`.

    Args:
        every: use every n-th chorale.
    """
    pages: dict[Task, list[Any]] = defaultdict(list)
    try:
        pieces = load_chorales().pieces[::every]
    except FileNotFoundError:
        return []
    for piece in pieces:
        task = replace(piece.task, key=key_of(piece), phrases="")
        pages[task].append(piece.tokens)
    return [Score(np.stack(rows), task) for task, rows in pages.items()]


def key_of(chorale: Chorale) -> Key:
    """Return the key of a chorale's signature whose tonic is the last note of the bass."""
    task = chorale.task
    final = task.codec.decode(chorale.tokens[-1])[-1].pitch
    return calibrate.key_of_final(task.key, task.key.spell(final)[0])


def counts(pieces: Sequence[Score], fns: Mapping[str, Rule]) -> dict[str, Count]:
    """How often each rule is broken in finished pieces."""
    found = {}
    for name, rule in fns.items():
        each = np.concatenate([np.broadcast_to(violations(rule, s), s.batch) for s in pieces])
        found[name] = Count(int(each.sum()), int((each > 0).sum()))
    return found


def voice_rules() -> dict[str, Rule]:
    """Return the rules of MODULES across voices, as the pack sets those that it has."""
    asked = {
        name: rule for name, rule in REGISTRY.items() if rule.needs == "voices" and rule.violation
    }
    named = {name: rule for name, rule in asked.items() if rule.__module__ in MODULES}
    return named | {name: term.rule for name, term in build(PACK).terms.items() if name in named}


def table(pieces: Sequence[Score]) -> str:
    """Markdown: of each rule across voices its violations in the chorales, and their rate."""
    total = sum(score.batch for score in pieces)
    moving = sum(int(REGISTRY["moving_pairs"](score).sum()) for score in pieces)
    lines = [["rule", "violations", "per 1,000 moving pairs", f"of {total:,} chorales"]]
    for name, count in counts(pieces, voice_rules()).items():
        rate = f"{1000 * count.broken / moving:.2f}"
        share = calibrate.percent(100 * count.pieces / total)
        lines.append([f"`{name}`", f"{count.broken:,}", rate, share])
    heading = f"{total:,} chorales, {moving:,} pairs of voices that move.\n\n"
    return heading + calibrate._markdown(lines)


BEHIND = "\n## "  # what stands on the page from its first heading on is kept

INTRODUCTION = """# The rules across voices, and how often Bach breaks them

Made by `python docs/chorales.py docs/voices.md` from the chorales for four voices in the corpus \
of the music21 that is installed, which do not ship. Left out are chorales without fermatas, those \
that change the metre, and the instruments that some have. Rates are per 1,000 pairs of voices \
*that move*: a pair counts once at each moment in which both of its voices go to another pitch. A \
rule of two voices counts each pair that breaks it; other rules count a cell once.

Rules stand as the pack `satb_common_practice` sets them, and as they are where it leaves them \
out. Those of the species are not asked: a chorale is no exercise. Key and tonic are those of the \
last bass note, as in [the rules](rules.md).

"""


def main() -> None:
    """Command line."""
    pieces = chorales()
    if not pieces:
        sys.exit("music21 is installed without its corpus; expected its chorales")
    told = INTRODUCTION + table(pieces)
    if len(sys.argv) > 1:
        page = Path(sys.argv[1])
        _, heading, rest = page.read_text().partition(BEHIND) if page.exists() else ("", "", "")
        page.write_text(told + heading + rest)
    else:
        print(told)


if __name__ == "__main__":
    main()
