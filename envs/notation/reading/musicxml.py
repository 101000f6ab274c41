"""XML from anywhere, cut down to the elements that a reader asks for. Entities are refused."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from itertools import zip_longest
from xml.parsers import expat

from envs.errors import RefusedError, quoted
from envs.notation.reading.time_signatures import Signatures
from envs.notation.reading.times import refusing

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
    """Return a MusicXML document with nothing but music in it.

    Args:
        data: the document, UTF-8 or UTF-16.
        signatures: takes its metres, which stand in the text without their groups.

    Raises:
        RefusedError: it is no XML, defines entities or is no partwise score.
    """
    root = elements(data, MUSIC, "MusicXML")
    for number, part in enumerate(root.iter("part")):
        for measure in part:
            for time in measure.iter("time"):
                _make_plain(time, signatures, number, measure.get("number", ""))
    return ET.tostring(root, encoding="unicode")


def _make_plain(time: ET.Element, signatures: Signatures, part: int, bar: str) -> None:
    """Write a metre without its groups, which music21 does not read."""
    beats = [(each.text or "").strip() for each in time.findall("beats")]
    units = [(each.text or "").strip() for each in time.findall("beat-type")]
    pairs = [f"{count}/{unit}" for count, unit in zip_longest(beats, units, fillvalue="")]
    if time.find("senza-misura") is not None or not pairs:
        return
    plain = signatures.plain("+".join(pairs), part, bar)
    time[:] = []
    for name, words in zip(("beats", "beat-type"), plain.split("/"), strict=True):
        ET.SubElement(time, name).text = words


def elements(data: bytes, kept: Mapping[str, frozenset[str]], kind: str) -> ET.Element:
    """Return the root of a document, with those elements only that are asked for.

    Args:
        data: the document, UTF-8 or UTF-16.
        kept: the root first; which elements stand in which, by names without prefixes.
        kind: of the file, for errors.

    Raises:
        RefusedError: it is no XML, defines entities or has another root.
    """
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    pruning = _Pruning(kept)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = pruning.doctype
    parser.StartElementHandler = pruning.start
    parser.EndElementHandler = pruning.end
    parser.CharacterDataHandler = pruning.text
    with refusing(kind):
        # As text, whose encoding the document cannot declare to be another.
        parser.Parse(data.decode("utf-16" if utf16 else "utf-8-sig"), True)
    return pruning.root


class _Pruning:
    """Builds the tree of the elements that are kept."""

    def __init__(self, kept: Mapping[str, frozenset[str]]) -> None:
        self.kept = kept
        self.open: list[ET.Element] = []
        self.dropped = 0  # elements that are open and not kept

    def doctype(self, name: str, system: str | None, public: str | None, subset: int) -> None:
        """A document type that only names itself is harmless."""
        if subset:
            raise RefusedError("it defines XML entities, which music does not need; export it anew")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        name = tag.rpartition(":")[2]
        if self.dropped or not self._asked_for(name):
            self.dropped += 1
            return
        given = {key: value for key, value in attributes.items() if key in ATTRIBUTES}
        element = ET.Element(name, given)
        if self.open:
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

    def text(self, data: str) -> None:
        """Characters of an element."""
        if not self.dropped and self.open and self.open[-1].tag not in self.kept:
            self.open[-1].text = (self.open[-1].text or "") + data

    def end(self, tag: str) -> None:
        """An element ends."""
        if self.dropped:
            self.dropped -= 1
            return
        element = self.open.pop()
        if element.tag.startswith("direction") and not len(element):
            del self.open[-1][-1]  # nothing of it is read
