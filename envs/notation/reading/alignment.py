"""Bars of parts laid side by side: a bar has one length in every part, as on a page."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from envs.errors import RefusedError
from envs.notation.reading.bars import Layout, Measure, bars_named
from envs.notation.reading.draft import Part, Sound


def aligned(parts: Sequence[Part], notices: list[str]) -> list[Part]:
    """Return parts whose bars begin together.

    Where one part holds less in a bar than another, such as an upbeat without a rest, the next bar
    of both begins where the longer one ends. A part without notes in a bar does not lengthen it.

    Args:
        parts: with numbered measures, or without any.
        notices: grow by the bars of a part that are shorter than those of another.

    Raises:
        RefusedError: bars differ in length, and one part has more of them than another.
    """
    barred = [part for part in parts if part.measures]
    other = [  # thousands of parts may share their bars, which are not looked at again
        part
        for part, before in zip(barred, [None, *barred], strict=False)
        if before is None or part.measures != before.measures
    ]
    if len({tuple(each.start for each in part.measures) for part in other}) < 2:
        return list(parts)
    main = max(barred, key=lambda part: len(part.measures))
    first = {id(part): _first(part, main) for part in barred}
    lengths: list[list[Fraction]] = [[] for _ in main.measures]
    for part in barred:
        for index in _held(part):
            lengths[first[id(part)] + index].append(part.measures[index].length)
    common: list[Measure] = []
    start = Fraction(0)
    for measure, found in zip(main.measures, lengths, strict=True):
        common.append(replace(measure, start=start, length=max(found, default=measure.length)))
        start += common[-1].length
    short = [bar.number for bar, found in zip(common, lengths, strict=True) if len(set(found)) > 1]
    if short:
        notices.append(
            f"{bars_named(short)} filled up with silence where one part is shorter than another"
        )
    return [_moved(part, common, first[id(part)]) if part.measures else part for part in parts]


def _first(part: Part, main: Part) -> int:
    """Return the index of the main part's bar at which a part's first bar lies."""
    own, other = part.measures, main.measures
    missing = len(other) - len(own)
    if missing == 1 and other[0].length < other[1].length <= own[0].length:
        return 1  # it has no upbeat
    if missing:
        for here, there in zip(own, other, strict=False):
            if here.start != there.start:
                raise RefusedError(
                    f"its parts have bars of different lengths before bar {there.number}; choose "
                    "a part (part=, --part), or write those bars anew"
                )
    return 0


def _held(part: Part) -> set[int]:
    """Return the indices of the measures in which notes begin."""
    starts = [measure.start for measure in part.measures]
    return {bisect_right(starts, each.start) - 1 for voice in part.voices for each in voice}


def _moved(part: Part, common: Sequence[Measure], first: int) -> Part:
    """Return a part with its notes and marks in the common bars, its own first one at an index."""
    pairs = list(zip(part.measures, common[first:], strict=False))
    places = [bar.start for _, bar in pairs]
    if len(common) > 1 and common[0].length < common[1].length and first == 0:
        places[0] += max(Fraction(0), common[0].length - pairs[0][0].length)  # of a shorter upbeat
    layout = Layout(
        measures=tuple(replace(own, to=to) for (own, _), to in zip(pairs, places, strict=True))
    )

    def to(start: Fraction, end: Fraction) -> tuple[Fraction, Fraction]:
        return layout.moved(start, end) or (start, end)

    return replace(
        part,
        voices=[[Sound(*to(n.start, n.end), n.pitch) for n in voice] for voice in part.voices],
        measures=list(common),
        meters=[replace(each, start=to(each.start, each.start)[0]) for each in part.meters],
        keys=[replace(each, start=to(each.start, each.start)[0]) for each in part.keys],
        chords=[replace(each, start=to(each.start, each.start)[0]) for each in part.chords],
    )
