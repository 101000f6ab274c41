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
    tree = ET.TreeBuilder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_entities
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.data
    with refusing(kind):
        # As text, whose encoding the document cannot declare to be another.
        parser.Parse(data.decode("utf-16" if utf16 else "utf-8-sig"), True)
    root, expected = tree.close(), next(iter(kept))
    if _name(root) != expected:
        raise RefusedError(
            f"its root is {quoted(_name(root))}; expected {expected!r}: export it anew"
        )
    return _pruned(root, kept)


def _refuse_entities(name: str, system: str | None, public: str | None, subset: int) -> None:
    """Refuse a document type that does more than name itself."""
    if subset:
        raise RefusedError("it defines XML entities, which music does not need; export it anew")


def _name(element: ET.Element) -> str:
    return element.tag.rpartition(":")[2]


def _pruned(element: ET.Element, kept: Mapping[str, frozenset[str]]) -> ET.Element:
    """Return a copy of an element with the children and attributes that are asked for."""
    name = _name(element)
    result = ET.Element(name, {k: v for k, v in element.attrib.items() if k in ATTRIBUTES})
    if name not in kept:
        result.text = (element.text or "") + "".join(child.tail or "" for child in element)
        return result
    for child in element:
        if _name(child) in kept[name]:
            inner = _pruned(child, kept)
            if len(inner) or not inner.tag.startswith("direction"):  # an empty one says nothing
                result.append(inner)
    return result
