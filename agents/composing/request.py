"""What a composer asks for in words, as a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envs.music.chords import chord_bars
from envs.music.pitch import parse_range

MELODY = "composition/Melody-v0"  # the environment that takes wishes
PRIOR = "melody"  # checkpoint that knows of modes, phrases and ends
AGENT = "composer"  # checkpoint of the agent that ships, trained by --preset melody
# What a melody that is asked for in words is ranked by. Likelihood only decides between those that
# keep the rules equally well: the likeliest melody is a dull one.
STYLE = ("common_practice=1", "prior=0.02")
RANGE = {"low": "C4", "high": "A5"}  # of a melody, if nothing is said
WISHES = ("key", "meter", "bars", "grid", "range", "pickup", "chords", "phrases")


def asked(value: object) -> bool:
    """Whether a wish was spoken: words that are not empty, or any number."""
    return value not in ("", None)


def wished(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Return wishes as fields of a task; as many bars as there are of chords if unsaid.

    Args:
        wishes: those named in WISHES, among other settings; empty or None where nothing is asked
            for.

    Raises:
        ValueError: a range that is none.
    """
    found = {name: wishes[name] for name in ("key", "meter", "chords", "phrases")}
    if wishes["range"]:
        found["low"], found["high"] = parse_range(wishes["range"])
    found |= {name: wishes[name] for name in ("bars", "grid", "pickup")}
    if found["chords"] and not asked(found["bars"]) and chord_bars(found["chords"]) > 1:
        found["bars"] = chord_bars(found["chords"])  # one chord says nothing of the length
    return {name: value for name, value in found.items() if asked(value)}
