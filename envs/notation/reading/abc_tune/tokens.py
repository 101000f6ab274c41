"""The characters of a line of music in ABC: a table of tokens, and the names of decorations."""

from __future__ import annotations

import re

from envs.errors import RefusedError, quoted

_LENGTH = r"(\d*)(/*)(\d*)"
_NOTE = rf"(\^\^?|__?|=)?([A-Ga-g])([,']*){_LENGTH}"
# What a line of music is made of, in the order in which it is tried.
TOKENS = {
    "text": r'"[^"]*"|%.*',
    "space": r"[\s`$]+|y\d*|\\(?=\s*(?:%|$))",
    "named": r'\["[^"]*"(?![^\[\]|]*\])',
    "field": r"\[[A-Za-z]:(?![|:])[^\[\]]*\]",
    "ending": r"\[\d+(?:[,.-]\d+)*\.?",
    "bar": r"\.?\[?:*\|[|:]*\]?|::+",
    "chord": rf"\[([^\[\]|]*)\]{_LENGTH}",
    "note": _NOTE,
    "rest": rf"[zx]{_LENGTH}",
    "rests": r"[ZX](\d*)",
    "number": r"\d+(?:[,.-]\d+)*\.?",
    "microtone": r"[\^_]+(?:\d+/?\d*|/\d*)[A-Ga-g]?",
    "grace": r"\{[^{}]*\}",
    "tuplet": r"\((\d+)(?::(\d*))?(?::(\d*))?",
    "overlay": r"\(&|&+\)?",
    "tie": r"\.?-",
    "broken": r"<+|>+",
    "plus": r"\+([^+|\s]+)\+",
    "bang": r"!(?:([^!|]*)!)?",
    "mark": r"[.~H-Wh-w()]",
    "stray": r"[*;?@#+}\]:\\]",
}
TOKEN = re.compile("|".join(f"(?P<{name}>{token})" for name, token in TOKENS.items()))
PARTS = {name: re.compile(token) for name, token in TOKENS.items()}
CHORD = re.compile(rf"{_NOTE}(-?)|([zx]){_LENGTH}")
BETWEEN = re.compile(r'"[^"]*"|![^!]*!|[\s.~H-Wh-w()`-]')  # nothing that sounds, within a chord
OLD_CHORD = re.compile(rf"(?:{_NOTE})+")
MEANT = ".~HLMOPSTuv()"  # the marks to which the standard gives a meaning
_NAMES = (  # of decorations
    "trill trill( trill) lowermordent uppermordent mordent pralltriller roll turn turnx "
    "invertedturn invertedturnx arpeggio > accent emphasis fermata invertedfermata tenuto 0 1 2 3 "
    "4 5 + plus snap slide wedge upbow downbow open thumb breath pppp ppp pp p mp mf f ff fff ffff "
    "sfz crescendo( <( crescendo) <) diminuendo( >( diminuendo) >) segno coda d.s. d.c. dacoda "
    "dacapo fine shortphrase mediumphrase longphrase editorial courtesy beam / // /// gmark "
    "marcato ^ dot staccato d.c.alcoda d.c.alfine d.s.alcoda d.s.alfine 8va( 8va) 8vb( 8vb) "
    "ped ped-up repeatbar repeatbar2 sf sfp fp a dc ds"
)
DECORATIONS = frozenset(_NAMES.split())
_LIKE_MUSIC = re.compile(r"[\^_=A-Ga-gzxuvTHLM\d,'/<>()~.{}\"-]*")


def bang(text: str) -> int:
    """Return the length of a decoration such as !trill!, 1 for a ! that is an old line break.

    Args:
        text: from one ! to the next, or one alone.

    Raises:
        RefusedError: it may be either.
    """
    name = re.sub(r"\s+", "", text.strip("!")).lower()
    if text == "!" or (name not in DECORATIONS and re.search(r"\s", text)):
        return 1
    if name in DECORATIONS or not _LIKE_MUSIC.fullmatch(name):
        return len(text)
    raise RefusedError(
        f"{quoted(text)} may be a decoration or notes between line breaks; write "
        "'I:linebreak !' in the header if it is notes, else take it out"
    )
