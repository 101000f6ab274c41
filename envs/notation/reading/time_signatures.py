"""Time signatures of files as they spell them, and the plain ones that music21 is given.

music21 takes 2+2+2/8 in ABC for 222/8 and refuses it in MusicXML, and takes the longer for a metre
the more units a bar of it has.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from envs.errors import RefusedError, quoted

COMMON = {"C": "4/4", "C|": "2/2"}
_UNITS = r"\d{1,2}(?:\+\d{1,2})*/\d{1,3}"
_SIGNATURE = re.compile(rf"{_UNITS}(?:\+{_UNITS})*")


@dataclass(frozen=True)
class Signature:
    """A time signature.

    Attributes:
        spelled: with its groups, such as '2+2+3/8' or, where their units differ, '3/4+3/8'.
        plain: their sum, such as '7/8'.
    """

    spelled: str
    plain: str

    @property
    def bar(self) -> Fraction:
        """Length of a bar in quarter notes."""
        return 4 * Fraction(self.plain)

    @staticmethod
    def parse(text: str) -> Signature:
        """Read '4/4', 'C', '2+2+3/8', '(2+2+3)/8' or '2/8+2/8+3/8'.

        Raises:
            RefusedError: it is none.
        """
        words = re.sub(r"\s+", "", text)
        words = re.sub(r"\(([\d+]+)\)", r"\1", COMMON.get(words, words))
        groups: list[tuple[int, int]] = []
        for units in re.findall(_UNITS, words) if _SIGNATURE.fullmatch(words) else ():
            counts, unit = units.split("/")
            groups += [(int(count), int(unit)) for count in counts.split("+")]
        if not groups or any(count < 1 or not _is_unit(unit) for count, unit in groups):
            raise RefusedError(f"its metre is {quoted(text)}; expected such as 4/4 or 2+2+3/8")
        unit = max(unit for _, unit in groups)
        beats = sum(count * (unit // own) for count, own in groups)
        if len({own for _, own in groups}) > 1:
            spelled = "+".join(f"{count}/{own}" for count, own in groups)
        else:
            spelled = f"{'+'.join(str(count) for count, _ in groups)}/{unit}"
        return Signature(spelled, f"{beats}/{unit}")


def _is_unit(unit: int) -> bool:
    return 1 <= unit <= 128 and math.log2(unit).is_integer()


class Signatures:
    """The time signatures of a file, as it spells them."""

    def __init__(self) -> None:
        self.known: dict[str, Signature] = {}
        self.part: dict[str, int] = {}
        self.changes: dict[str, tuple[Signature, str]] = {}

    def plain(self, text: str, part: int = 0, bar: str = "") -> str:
        """Return a signature as music21 is given it.

        Args:
            text: as `Signature.parse` has it.
            part: number of the part that it stands in.
            bar: number of the bar.

        Raises:
            RefusedError: it is none.
        """
        found = Signature.parse(text)
        first = self.known.setdefault(found.plain, found)
        own = self.part.setdefault(found.plain, part) == part
        if own and found != first:
            self.changes.setdefault(found.plain, (found, bar))
        return found.plain
