"""XML from anywhere, cut down to what a reader asks for, so that nothing else can do harm.

Entities are refused, elements that nobody reads are dropped while they are parsed, and what is kept
is bounded: music21 takes minutes for a thousand dots at one note.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from itertools import zip_longest
from xml.parsers import expat

from envs.errors import RefusedError, quoted
from envs.notation.reading.time_signatures import Signatures
from envs.notation.reading.times import MAX_NOTES, MAX_PARTS, bound_notes, broken

MAX_TAGS = 250_000  # of a document
MAX_DEPTH = 100  # of elements in each other
MAX_CHILDREN = 32  # of an element that is no list
MAX_EVENTS = 2 * MAX_NOTES  # in all measures: notes, and what stands between them
MAX_TEXT = 64  # characters of a number or word
TITLES = ("work-title", "movement-title")
LISTS = ("score-partwise", "part-list", "part", "measure")
MOST = {"part": MAX_PARTS, "score-part": MAX_PARTS, "time": 300, "ending": 400}  # of a document
# Milliseconds that music21 takes for each, about. A measure takes more the more stand before it in
# its part: eight voices of 64 bars, of which some are written as two or have two endings, are well
# below what a document may take.
TIMES = {
    **{"note": 0.4, "measure": 1.0, "time": 2.0, "key": 0.4, "transpose": 0.2, "sound": 0.3},
    **{"metronome": 0.4, "ending": 1.0},
}
LATER_MEASURE = 0.02  # for each that stands before it
MAX_TIME = 2_500.0
# What stands in what, as far as it tells notes, bars, key, metre and tempo.
_CHILDREN = {
    "score-partwise": "work movement-title part-list part",
    "work": "work-title",
    "part-list": "score-part",
    "part": "measure",
    "measure": "attributes note backup forward barline direction sound",
    "attributes": "divisions key time transpose staves",
    "key": "fifths mode key-step key-alter",
    "time": "beats beat-type senza-misura",
    "transpose": "diatonic chromatic octave-change double",
    "note": "pitch rest unpitched chord grace cue duration voice type dot tie accidental "
    "time-modification staff",
    "pitch": "step alter octave",
    "time-modification": "actual-notes normal-notes normal-type normal-dot",
    "backup": "duration",
    "forward": "duration voice staff",
    "barline": "bar-style repeat ending",
    "direction": "direction-type sound",
    "direction-type": "metronome",
    "metronome": "beat-unit beat-unit-dot per-minute",
}
MUSIC = {parent: frozenset(children.split()) for parent, children in _CHILDREN.items()}
CONTAINER = {"container": frozenset({"rootfiles"}), "rootfiles": frozenset({"rootfile"})}
ATTRIBUTES = frozenset(
    {"id", "number", "implicit", "type", "location", "direction", "times", "tempo", "full-path"}
    | {"measure"}  # of a rest that fills one
)


def music_text(data: bytes, signatures: Signatures) -> str:
    """A MusicXML document with nothing but music in it, no more than music21 reads in seconds.

    Args:
        data: the document, UTF-8 or UTF-16.
        signatures: takes its metres, which stand in the text without their groups.

    Raises:
        RefusedError: it is no XML, defines entities, is no partwise score or is too large.
    """
    return ET.tostring(elements(data, MUSIC, "MusicXML", signatures), encoding="unicode")


def elements(
    data: bytes,
    kept: Mapping[str, frozenset[str]],
    kind: str,
    signatures: Signatures | None = None,
) -> ET.Element:
    """The root of a document, with those elements only that are asked for.

    Args:
        data: the document, UTF-8 or UTF-16.
        kept: the root first; which elements stand in which, by names without prefixes.
        kind: of the file, for errors.
        signatures: takes the metres of a score.

    Raises:
        RefusedError: as `music_text`.
    """
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    pruning = _Pruning(kept, signatures or Signatures())
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = pruning.doctype
    parser.StartElementHandler = pruning.start
    parser.EndElementHandler = pruning.end
    parser.CharacterDataHandler = pruning.text
    try:
        # As text, whose encoding the document cannot declare to be another.
        parser.Parse(data.decode("utf-16" if utf16 else "utf-8-sig"), True)
    except (UnicodeDecodeError, expat.ExpatError) as error:
        raise broken(kind, error) from None
    return pruning.root


class _Pruning:
    """Builds the tree of the elements that are kept."""

    def __init__(self, kept: Mapping[str, frozenset[str]], signatures: Signatures) -> None:
        self.kept, self.signatures = kept, signatures
        self.open: list[ET.Element] = []
        self.dropped = 0  # elements that are open and not kept
        self.counts: Counter[str] = Counter()
        self.time = 0.0  # that music21 will take, in milliseconds
        self.tags = 0

    def doctype(self, name: str, system: str | None, public: str | None, subset: int) -> None:
        """A document type that only names itself is harmless."""
        if subset:
            raise RefusedError("it defines XML entities, which music does not need; export it anew")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        self.tags += 1
        if self.tags > MAX_TAGS:
            raise RefusedError(f"it has more than {MAX_TAGS} XML tags; expected one piece")
        if len(self.open) + self.dropped >= MAX_DEPTH:
            raise RefusedError(f"its XML is nested more than {MAX_DEPTH} deep; export it anew")
        name = tag.rpartition(":")[2]
        if self.dropped or not self._asked_for(name):
            self.dropped += 1
            return
        given = {key: value for key, value in attributes.items() if key in ATTRIBUTES}
        for key, value in given.items():
            self._bound(key, value, 4 * MAX_TEXT)
        if name == "ending" and re.search(r"\d{3}", given.get("number", "")):
            raise RefusedError("an ending of it is for hundreds of repeats; export it anew")
        element = ET.Element(name, given)
        if self.open:
            self._count(name, self.open[-1])
            self.open[-1].append(element)
        else:
            self.root = element
        self.open.append(element)

    def _asked_for(self, name: str) -> bool:
        if self.open:
            return name in self.kept.get(self.open[-1].tag, ())
        expected = next(iter(self.kept))
        if name != expected:
            raise RefusedError(f"its root is {quoted(name)}; expected {expected!r}: export it anew")
        return True

    def _count(self, name: str, parent: ET.Element) -> None:
        self.counts[name] += 1
        if name == "note":
            bound_notes(self.counts[name])
        if self.counts[name] > MOST.get(name, MAX_TAGS):
            raise RefusedError(
                f"it has {self.counts[name]} {name}s; expected one piece of at most {MOST[name]}"
            )
        self.time += TIMES.get(name, 0.0)
        if name == "measure":
            self.time += LATER_MEASURE * len(parent)
        if self.time > MAX_TIME:
            marks = sum(self.counts[each] for each in TIMES) - self.counts["measure"]
            raise RefusedError(
                f"it has more than {self.counts['measure']} measures and {marks} notes and changes "
                "of key, metre and tempo; expected one piece of 64 bars: cut it"
            )
        if parent.tag == "measure":
            self.counts["events"] += 1
            if self.counts["events"] > MAX_EVENTS:
                raise RefusedError(f"its measures hold more than {MAX_EVENTS} elements; cut it")
        elif parent.tag not in LISTS and len(parent) >= MAX_CHILDREN:
            raise RefusedError(
                f"a {parent.tag!r} of it has more than {MAX_CHILDREN} elements; export it anew"
            )

    def text(self, data: str) -> None:
        """Characters of an element."""
        if self.dropped or not self.open or self.open[-1].tag in self.kept:
            return
        element = self.open[-1]
        element.text = (element.text or "") + data
        if element.tag in TITLES:
            element.text = element.text[: 64 * MAX_TEXT]
        else:
            self._bound(element.tag, element.text.strip(), MAX_TEXT)

    def _bound(self, name: str, words: str, most: int) -> None:
        if len(words) > most:
            raise RefusedError(f"a {name!r} of it has {len(words)} characters; export it anew")

    def end(self, tag: str) -> None:
        """An element ends."""
        if self.dropped:
            self.dropped -= 1
            return
        element = self.open.pop()
        if element.tag == "time":
            self._make_plain(element)
        if element.tag.startswith("direction") and not len(element):
            del self.open[-1][-1]  # nothing of it is read

    def _make_plain(self, time: ET.Element) -> None:
        """Write a metre without its groups, for each of which music21 takes its time."""
        told = [(each.text or "").strip() for each in time.findall("beats")]
        units = [(each.text or "").strip() for each in time.findall("beat-type")]
        pairs = [f"{beats}/{unit}" for beats, unit in zip_longest(told, units, fillvalue="")]
        if time.find("senza-misura") is not None or not pairs:
            return
        bar = next((e.get("number", "") for e in self.open if e.tag == "measure"), "")
        plain = self.signatures.plain("+".join(pairs), self.counts["part"], bar)
        time[:] = []
        for name, words in zip(("beats", "beat-type"), plain.split("/"), strict=True):
            ET.SubElement(time, name).text = words
