"""Musical signs in the words of a picture, drawn as paths.

verovio sets the note of a tempo mark and the flat of a chord symbol as letters of a music font,
which librsvg, cairosvg and many viewers do not load. Here they become outlines.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from functools import lru_cache
from html import unescape
from itertools import groupby
from pathlib import Path

FONT = "Leipzig"  # verovio's default
_BLANK = 0.25  # width of a blank as a multiple of the size
_WIDER = 1.25  # than Times, which is meant, are DejaVu Serif and the like
_TEXT = re.compile(
    r'<text x="(-?\d+)" y="(-?\d+)"([^<>]*)(?<!/)>((?:(?!</?text).)*)</text>', re.DOTALL
)
_RUN = re.compile(r'<tspan([^<>]*) font-size="(\d+)px">([^<>]+)</tspan>')


def draw_signs(picture: str, data: Path) -> str:
    """Return an SVG picture of verovio's in which no letter of a music font stands.

    Args:
        picture: the SVG.
        data: the folder of verovio's fonts.
    """
    return _TEXT.sub(lambda found: _drawn(found, data) if FONT in found[4] else found[0], picture)


def _drawn(text: re.Match[str], data: Path) -> str:
    """Return a text as words and outlines side by side.

    How wide words are only the viewer knows: they start or end at the sign next to them, and
    between two signs there is room for a wider font.
    """
    at, y, drawn = float(text[1]), text[2], ""
    groups = [(signs, list(runs)) for signs, runs in groupby(_RUN.findall(text[4]), _is_signs)]
    for number, (signs, runs) in enumerate(groups):
        last = number + 1 == len(groups)
        if signs:
            for scale, sign in ((int(size) / 1000, sign) for _, size, all in runs for sign in all):
                drawn += _outline(sign, scale, at, y, data)
                at += scale * _widths(data / f"{FONT}.xml")[sign]
            continue
        style, size, first = runs[0]
        at += _BLANK * int(size) * first.startswith(" ")
        runs[0] = (style, size, first.lstrip())
        width = sum(int(size) * _width(words, data) for _, size, words in runs)
        width *= _WIDER if number and not last else 1
        anchor, share = ("start", 0.0) if last else ("middle", 0.5) if number else ("end", 1.0)
        words = "".join(f'<tspan{s} font-size="{size}px">{w}</tspan>' for s, size, w in runs)
        place = f'x="{at + share * width:g}" y="{y}" text-anchor="{anchor}"'
        drawn += f'<text xml:space="preserve" {place}>{words}</text>'
        at += width
    return drawn


def _is_signs(run: tuple[str, str, str]) -> bool:
    return FONT in run[0]


def _width(words: str, data: Path) -> float:
    """Return the width of words in Times, as a multiple of their size."""
    widths = _widths(data / "text" / "Times.xml")
    return sum(widths.get(letter, 1024) for letter in unescape(words)) / 2048


@lru_cache(maxsize=256)
def _path(sign: str, data: Path) -> str:
    """Return the outline of a sign of the music font, '' of a blank."""
    found = re.search(r'\bd="[^"]*"', (data / FONT / f"{ord(sign):04X}.xml").read_text())
    return found[0] if found else ""


def _outline(sign: str, scale: float, x: float, y: str, data: Path) -> str:
    path = _path(sign, data)
    moved = f"translate({x:g}, {y}) scale({scale:g}, {-scale:g})"
    return f'<path transform="{moved}" {path} />' if path else ""


@lru_cache(maxsize=2)
def _widths(file: Path) -> dict[str, float]:
    """Return how far each letter of a font moves on, in units of the font."""
    return {
        chr(int(glyph.get("c", ""), 16)): float(glyph.get("h-a-x") or glyph.get("w") or 0)
        for glyph in ET.parse(file).getroot().iter("g")
    }
