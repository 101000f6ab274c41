"""Settings with bounds, and settings of words."""

from dataclasses import dataclass

import pytest

from envs.checked import Checked, bounded, one_of


@dataclass(frozen=True)
class Oven(Checked):
    """An oven.

    Attributes:
        heat: in degrees.
        fan: whether it turns.
        mode: of heating.
    """

    heat: int = bounded(180, 50, 300, or_else=0)
    fan: bool = False
    mode: str = one_of("both", "top")


def test_words_become_settings():
    assert Oven.read(["heat=220", "fan=true", "mode=top"]) == Oven(220, True, "top")
    assert Oven.read([]) == Oven()
    assert Oven.read(["heat=0"]).heat == 0


@pytest.mark.parametrize(
    ("words", "error", "match"),
    [
        (["heat=301"], ValueError, "50 to 300, or 0"),
        (["heat=1.5"], TypeError, "whole"),
        (["heat=nan"], TypeError, "whole"),
        (["fan=1"], TypeError, "True or False"),
        (["mode=grill"], ValueError, "both, top"),
        (["haet=2"], TypeError, "heat"),
        (["heat=60", "heat=60"], ValueError, "twice"),
        (["heat"], ValueError, "name=value"),
        (["heat="], ValueError, "name=value"),
    ],
)
def test_what_cannot_be_is_refused(words, error, match):
    with pytest.raises(error, match=match):
        Oven.read(words)
