"""Time signatures of files as they spell them, and their sums."""

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
