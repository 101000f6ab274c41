"""Staves: which voices share one, their clefs, and parts of MusicXML with several voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envs.music.piece import spans_of

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

    from envs.music.score import Score

CLOSE = 18  # semitones between the means of two voices on one staff, at most
LOW_MEAN = 57  # A3: what lies below on average has the bass clef
# The order of MusicXML's elements, as far as the ones that are put in have a place.
_ORDERS = {
    "note": "chord pitch unpitched rest duration tie instrument footnote level voice type dot "
    "accidental time-modification stem notehead notehead-text staff beam notations lyric",
    "direction": "direction-type offset footnote level voice staff sound",
    "harmony": "root function kind inversion bass degree frame offset footnote level staff",
    "attributes": "footnote level divisions key time staves part-symbol instruments clef",
}


@dataclass(frozen=True)
class Staff:
    """One staff.

    Attributes:
        voices: numbers of one or two voices, the upper one first.
        low: it has the bass clef.
    """

    voices: tuple[int, ...]
    low: bool

    @property
    def shared(self) -> bool:
        """True if two voices are on it: the stems of one go up, those of the other down."""
        return len(self.voices) > 1


def staves_of(score: Score, row: int = 0) -> list[Staff]:
    """Return the staves of a piece from above.

    Three or four voices are on two staves, as choirs read them, unless two that would share one
    are far apart; else each voice has its own.
    """
    means = [_mean(score, row, voice) for voice in range(score.task.voices)]
    groups: list[tuple[int, ...]] = [(voice,) for voice in range(len(means))]
    if len(means) == 3:
        upper = abs(means[0] - means[1]) <= abs(means[1] - means[2])
        groups = [(0, 1), (2,)] if upper else [(0,), (1, 2)]
    elif len(means) == 4:
        groups = [(0, 1), (2, 3)]
    if any(abs(means[group[0]] - means[group[-1]]) > CLOSE for group in groups):
        groups = [(voice,) for voice in range(len(means))]
    return [Staff(each, sum(means[v] for v in each) / len(each) < LOW_MEAN) for each in groups]


def _mean(score: Score, row: int, voice: int) -> float:
    pitches = [pitch for _, _, pitch in spans_of(score, row, voice) if pitch is not None]
    return sum(pitches) / len(pitches) if pitches else (score.task.low + score.task.high) / 2


# -- one part of two staves ------------------------------------------------------------------------


def join_parts(root: ET.Element, staves: Sequence[Staff]) -> None:
    """Put the parts of a document, one for each voice, onto the staves of one part.

    Nothing changes if every voice has a staff of its own. Times are whole numbers already.

    Args:
        root: of the MusicXML document; it is changed.
        staves: of its voices.
    """
    if not any(staff.shared for staff in staves):
        return
    parts = root.findall("part")
    for measures in zip(*(part.findall("measure") for part in parts), strict=True):
        _join_measures(measures, staves)
    for part in parts[1:]:
        root.remove(part)
    for listed in root.findall("part-list"):
        first, *others = listed.findall("score-part")
        for each in [*others, *listed.findall("part-group")]:
            listed.remove(each)
        for name in first.findall("part-name"):
            name.text = ", ".join(str(each.findtext("part-name")) for each in (first, *others))
            name.set("print-object", "no")


def _join_measures(measures: Sequence[ET.Element], staves: Sequence[Staff]) -> None:
    """Put what the measures of all voices hold into the first of them."""
    first = measures[0]
    attributes = first.find("attributes")
    length = sum(int(note.findtext("duration") or 0) for note in first.findall("note"))
    bar_lines = first.findall("barline")
    for element in bar_lines:
        first.remove(element)
    for number, staff in enumerate(staves, 1):
        for place, voice in enumerate(staff.voices):
            own = list(measures[voice])
            if voice:
                _add(_sub(first, "backup"), "duration", str(length))
            for element in own:
                if element.tag == "attributes":
                    for clef in element.findall("clef") if place == 0 else ():
                        clef.set("number", str(number))
                        if attributes is not None and element is not attributes:
                            attributes.append(clef)
                elif element.tag in ("note", "direction", "harmony"):
                    _place(element, staff, voice, number)
                    if voice:
                        first.append(element)
    if attributes is not None and attributes.find("clef") is not None:
        _add(attributes, "staves", str(len(staves)))
        _add(attributes, "part-symbol", "bracket")
    first.extend(bar_lines)


def _place(element: ET.Element, staff: Staff, voice: int, number: int) -> None:
    """Tell the voice and staff of an element, the way of its stem, and the side of its words."""
    upper = staff.shared and voice == staff.voices[0]
    if element.tag != "harmony":
        _add(element, "voice", str(voice + 1))
    if element.tag == "note" and staff.shared and element.find("rest") is None:
        _add(element, "stem", "up" if upper else "down")
    if element.tag == "direction" and upper:
        element.set("placement", "above")
    _add(element, "staff", str(number))


def _add(parent: ET.Element, tag: str, text: str) -> None:
    """Give an element a child with a text, at its place in the order of MusicXML."""
    found = parent.find(tag)
    if found is None:
        order = _ORDERS.get(parent.tag, tag).split()
        later = set(order[order.index(tag) + 1 :])
        at = next((n for n, each in enumerate(parent) if each.tag in later), len(parent))
        found = parent.makeelement(tag, {})
        parent.insert(at, found)
    found.text = text


def _sub(parent: ET.Element, tag: str) -> ET.Element:
    child = parent.makeelement(tag, {})
    parent.append(child)
    return child
