"""Score pictures: MusicXML drawn as SVG by verovio."""

from __future__ import annotations

import re
from pathlib import Path

from envs.notation.writing.glyphs import draw_signs


def svg(document: str, width: int = 800) -> str:
    """Return a MusicXML document engraved as SVG, `width` pixels wide and as high as it needs.

    Raises:
        ValueError: verovio cannot read the document.
    """
    import verovio

    scale = 40  # per cent; a staff is then about as high as three lines of text
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit(False)
    fonts = Path(verovio.__file__).parent / "data"  # verovio knows them in its first thread only
    toolkit.setResourcePath(str(fonts))
    options = {
        "scale": scale,
        "pageWidth": round(width * 100 / scale),
        "pageHeight": 60000,  # everything on one page, cropped below
        "adjustPageHeight": True,
        "breaks": "smart",  # every four bars, unless lines would be overfull or half empty
        "breaksSmartSb": 0.4,
        "minLastJustification": 0.3,  # two bars still fill the line
        "header": "auto",
        "footer": "none",
        "svgViewBox": True,
        "xmlIdChecksum": True,  # the same piece gives the same picture
        "smuflTextFont": "none",  # its signs are drawn, see `draw_signs`
    }
    toolkit.setOptions(options)
    if not toolkit.loadData(document):
        raise ValueError("the score cannot be engraved; expected a MusicXML document")
    # With both a size and a view box, a page may show it as it is or scale it; on white paper,
    # because the ink is black whatever the page's colour.
    sized = r'<svg width="\1" height="\2" viewBox="0 0 \1 \2" style="background: white"'
    drawn = re.sub(r'<svg viewBox="0 0 (\d+) (\d+)"', sized, toolkit.renderToSVG(1), count=1)
    return draw_signs(_colour_whole_rests(drawn, document), fonts)


def _colour_whole_rests(drawn: str, document: str) -> str:
    """Return the picture with the colours of rests that fill a bar, which verovio leaves out."""

    def colour(rest: re.Match[str]) -> str:
        found = re.search(rf'<note\b[^>]*\bid="{rest[1]}"[^>]*>', document)
        named = found and re.search(r'\bcolor="(#[0-9A-Fa-f]{6})"', found[0])
        return f'{rest[0]} color="{named[1]}" fill="{named[1]}"' if named else rest[0]

    return re.sub(r'<g id="(mark-\d+-\d+)" class="mRest"', colour, drawn)
