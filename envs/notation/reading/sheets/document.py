"""XML from anywhere, cut down to the elements that a reader asks for. Entities are refused."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator, Mapping
from xml.parsers import expat

from envs.errors import RefusedError, quoted
from envs.notation.reading.times import MAX_BYTES, refusing

MAX_MEMBERS = 64  # files in an .mxl archive

# What stands in what, as far as it tells notes, bars, key, metre, tempo and chords.
_MEASURE = "attributes note backup forward barline direction sound harmony"
_CHILDREN = {
    "work": "work-title",
    "part-list": "score-part",
    "score-part": "part-name",
    "attributes": "divisions key time transpose staves clef measure-style",
    "measure-style": "measure-repeat beat-repeat",
    "key": "fifths mode",
    "time": "beats beat-type senza-misura",
    "clef": "sign",
    "transpose": "diatonic chromatic octave-change",
    "note": "pitch rest unpitched chord grace cue duration voice type dot tie notations "
    "time-modification staff notehead",
    "notations": "tied",
    "pitch": "step alter octave",
    "time-modification": "actual-notes normal-notes",
    "backup": "duration",
    "forward": "duration voice staff",
    "barline": "bar-style repeat ending",
    "direction": "direction-type sound",
    "direction-type": "metronome",
    "metronome": "beat-unit beat-unit-dot per-minute",
    "harmony": "root kind degree bass offset",
    "root": "root-step root-alter",
    "bass": "bass-step bass-alter",
    "degree": "degree-value degree-alter degree-type",
}
_SCORE = "work movement-title part-list"
_PARTWISE = {"score-partwise": f"{_SCORE} part", "part": "measure", "measure": _MEASURE}
_TIMEWISE = {"score-timewise": f"{_SCORE} measure", "measure": "part", "part": _MEASURE}
Kept = Mapping[str, frozenset[str]]
NONE: frozenset[str] = frozenset()


def _sets(children: Mapping[str, str]) -> Kept:
    return {parent: frozenset(names.split()) for parent, names in children.items()}


MUSIC = {
    "score-partwise": _sets(_CHILDREN | _PARTWISE),
    "score-timewise": _sets(_CHILDREN | _TIMEWISE),
}
CONTAINER = {"container": _sets({"container": "rootfiles", "rootfiles": "rootfile"})}
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.-]{1,40})["']""")


def unpacked(data: bytes) -> bytes:
    """Return the score in a zip archive, which its META-INF/container.xml names.

    Raises:
        RefusedError: it is no archive, too large, or names no score.
    """
    with refusing("compressed MusicXML"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        if len(archive.infolist()) > MAX_MEMBERS:
            raise RefusedError(f"it packs more than {MAX_MEMBERS} files; expected one score")
        packed = _member(archive, "META-INF/container.xml")
        root = elements(packed, CONTAINER, "a container").find(".//rootfile")
        if root is None:
            raise RefusedError("its container.xml names no score; export it anew")
        return _member(archive, root.get("full-path", ""))


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # What the archive says about the size may be a lie: stop reading at the bound.
    with archive.open(name) as member:
        data = member.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise RefusedError(f"it unpacks to more than {MAX_BYTES // 10**6} MB; expected one piece")
    return data


def parts(root: ET.Element) -> Iterator[tuple[str, list[ET.Element]]]:
    """Yield the name and the measures of each part of a score."""
    names = {
        each.get("id", ""): (each.findtext("part-name") or "").strip()
        for each in root.iter("score-part")
    }
    for part in root.findall("part"):
        yield names.get(part.get("id", ""), ""), list(part)
    found: dict[str, list[ET.Element]] = {}
    for measure in root.findall("measure"):  # of a score by time
        for part in measure:
            found.setdefault(part.get("id", ""), []).append(part)
            part.attrib.update(measure.attrib)
    for name, measures in found.items():
        yield names.get(name, ""), measures


def elements(data: bytes, kept: Mapping[str, Kept], kind: str) -> ET.Element:
    """Return the root of a document, with those elements only that are asked for.

    Args:
        data: the document.
        kept: which elements stand in which, by names without prefixes, for each root.
        kind: of the file, for errors.

    Raises:
        RefusedError: it is no XML, defines entities or has another root.
    """
    pruning = _Pruning(kept)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_entities
    parser.StartElementHandler = pruning.start
    parser.EndElementHandler = pruning.end
    parser.CharacterDataHandler = pruning.data
    with refusing(kind):
        # As text, whose encoding the document cannot declare to be another.
        parser.Parse(decoded(data), True)
        return pruning.tree.close()


def decoded(data: bytes) -> str:
    """Return the text of a document in UTF-16, what it declares, UTF-8, or else Windows-1252."""
    found = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    named = found[1].decode("ascii") if found else "utf-8-sig"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        named = "utf-16"
    elif data[:3] == b"\xef\xbb\xbf":
        named = "utf-8-sig"
    elif data[1:2] == b"\0" or data[:1] == b"\0":
        named = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    elif named.lower().replace("-", "").startswith("utf16"):
        named = "utf-8-sig"  # programs declare UTF-16 and write another
    for encoding in (named, "utf-8-sig", "windows-1252"):
        try:
            return data.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return data.decode("latin-1")


class _Pruning:
    """Handlers of a parser that build a tree of the elements that are asked for."""

    def __init__(self, kept: Mapping[str, Kept]) -> None:
        self.tree = ET.TreeBuilder()
        self.roots = kept
        self.kept: Kept = {}
        self.open: list[frozenset[str]] = []  # what may stand in each open element
        self.skipped = 0  # depth inside an element that is not asked for

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if not self.open:
            if name not in self.roots:
                expected = next(iter(self.roots))
                raise RefusedError(
                    f"its root is {quoted(name)}; expected {expected!r}: export it anew"
                )
            self.kept = self.roots[name]
        elif self.skipped or name not in self.open[-1]:
            self.skipped += 1
            return
        self.open.append(self.kept.get(name, NONE))
        self.tree.start(name, attributes)

    def end(self, tag: str) -> None:
        if self.skipped:
            self.skipped -= 1
        else:
            self.open.pop()
            self.tree.end(tag.rpartition(":")[2])

    def data(self, text: str) -> None:
        if self.open and not (self.skipped or self.open[-1]):
            self.tree.data(text)


def _refuse_entities(name: str, system: str | None, public: str | None, subset: int) -> None:
    """Refuse a document type that does more than name itself."""
    if subset:
        raise RefusedError("it defines XML entities, which music does not need; export it anew")
