"""Attacks by hand on MusicXML, as `attacks` has those on the other formats."""

import io
import struct
import zipfile

from envs.notation.text_line import score_from_text
from envs.notation.writing.musicxml import musicxml
from tests.tools.fuzz import seeds
from tests.tools.fuzz.seeds import packed_score

DOCUMENT = musicxml(score_from_text("C4 D4 E4 F4 G4")).encode()
BARE = DOCUMENT[DOCUMENT.index(b"<score-p") :]
SAME = "=C4 D4 E4 F4 G4 r:12"


def document(old: str, new: str) -> bytes:
    assert old.encode() in DOCUMENT
    return DOCUMENT.replace(old.encode(), new.encode(), 1)


METRE = "<attributes><time><beats>3</beats><beat-type>4</beat-type></time></attributes>"


def measures(count: int) -> bytes:
    """A document of so many measures of one note, which no divisions explain."""
    note = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>16</duration></note>"
    start = BARE.index(b"<measure")
    end = BARE.rindex(b"</measure>") + len(b"</measure>")
    return BARE[:start] + f"<measure>{note}</measure>".encode() * count + BARE[end:]


LAUGHS = "<!DOCTYPE s [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
HEAD = "<score-partwise"
XML = {
    "billion laughs": (lambda: (LAUGHS + "]><s>&i;</s>").encode(), "XML entities"),
    "a file as an entity": (
        lambda: b"<!DOCTYPE s [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><s>&x;</s>", "XML entities"
    ),
    "a parameter entity": (
        lambda: b"<!DOCTYPE s [<!ENTITY % x SYSTEM 'http://a.b/c'> %x;]><s/>", "XML entities"
    ),
    "a type of document elsewhere": (
        lambda: b"<!DOCTYPE s SYSTEM 'file:///etc/passwd'>" + BARE,
        "",
    ),
    "another file included": (
        lambda: document("<part-list>", '<xi:include href="/etc/passwd" parse="text"/><part-list>'),
        "not readable as MusicXML|",
    ),
    "deep": (lambda: (f"{HEAD}>" + "<a>" * 200_000).encode(), "not readable"),
    "deep in a note": (
        lambda: document("<note>", "<note>" + "<note>" * 99), "not readable"
    ),
    "many attributes": (
        lambda: (f"{HEAD} " + " ".join(f'a{n}="x"' for n in range(200_000)) + "/>").encode(),
        "no notes",
    ),
    "a number of a million digits": (
        lambda: document("<duration>", "<duration>" + "9" * 10**6), "a duration is"
    ),
    "a title of 4 MB": (
        lambda: document("<part-list>", f"<work><work-title>{'y' * 4 * 10**6}</work-title></work>"
                         "<part-list>"), ""
    ),
    "groups of parts": (
        lambda: document("<part-list>", "<part-list>" + '<part-group type="start"/>' * 10**5), ""
    ),
    "dots": (lambda: document("</duration>", "</duration>" + "<dot/>" * 10**5), SAME),
    "lyrics and beams": (
        lambda: document("</duration>", "</duration>" + "<lyric/><beam>begin</beam>" * 50_000), ""
    ),
    "keys": (lambda: document("<fifths>", "<key-step>C</key-step>" * 99 + "<fifths>"), ""),
    "directions": (lambda: document("<note>", "<direction/>" * 30_000 + "<note>"), ""),
    "metres of groups": (
        lambda: document("<beats>4</beats>", "<beats>99</beats><beat-type>64</beat-type>" * 15
                         + "<beats>99</beats>"), "."
    ),
    "a metre of groups": (lambda: document("<beats>4", "<beats>1+1+2"), "at least 2 units"),
    "metres of a bar": (
        lambda: document("</attributes>", "</attributes>" + METRE * 1000), "."
    ),
    "different metres": (
        lambda: document("</attributes>", "</attributes>" + "".join(
            METRE.replace("3", str(n)) for n in range(60, 90))), "."
    ),
    "measures": (lambda: measures(1900), "."),
    "parts": (lambda: document("<part ", '<part id="P1"/>' * 70 + "<part "), ""),
    "endings of a bar": (
        lambda: document("</measure>", '<barline><ending number="1" type="start"/></barline>' * 900
                         + "</measure>"), ""
    ),
    "keys of a bar": (
        lambda: document("<note>", ("<attributes>" + "<key><fifths>1</fifths></key>" * 31
                         + "</attributes>") * 900 + "<note>"), SAME
    ),
    "99 beats": (lambda: document("<beats>4", "<beats>99"), ""),
    "a tuplet of nothing": (
        lambda: document("</duration>", "</duration><time-modification><actual-notes>0"
                         "</actual-notes><normal-notes>0</normal-notes></time-modification>"),
        SAME,
    ),
    "a part transposed out of the world": (
        lambda: document("</attributes>", "<transpose><chromatic>99999999</chromatic></transpose>"
                         "</attributes>"), "."
    ),
    "octave 999999999": (lambda: document("<octave>4", "<octave>999999999"), "."),
    "a duration of 1e300": (lambda: document("<duration>", "<duration>1e300"), "a duration is"),
    "a duration that is none": (lambda: document("<duration>", "<duration>nan"), "a duration is"),
    "a tempo of nan": (lambda: document("<note>", '<sound tempo="nan"/><note>'), SAME),
    "99999999 repeats": (
        lambda: document("</measure>", '<barline><repeat direction="backward" times="99999999"/>'
                         "</barline></measure>"), ""
    ),
    "99999999 endings": (
        lambda: document("</measure>", '<barline><ending number="1-99999999" type="start"/>'
                         "</barline></measure>"), SAME
    ),
    "an encoding of its own": (
        lambda: b'<?xml version="1.0" encoding="utf-7"?>' + BARE,
        "",
    ),
}  # fmt: skip


def archive(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in members.items():
            made.writestr(name, data)
    return file.getvalue()


CLEAN = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>4</duration>{}</note>"
BACK = "<backup><duration>4</duration></backup>"


def layers(words: str, count: int) -> bytes:
    """A document of notes that begin together, each with its number in some words."""
    notes = "".join(CLEAN.format(words.format(n)) + BACK for n in range(2, count))
    return document("</attributes>", "</attributes>" + notes)


def modified(actual: int, normal: int) -> bytes:
    """A document with a tuplet."""
    counts = f"<actual-notes>{actual}</actual-notes><normal-notes>{normal}</normal-notes>"
    return document("</duration>", f"</duration><time-modification>{counts}</time-modification>")


MUCH = "9" * 12
XML |= {
    "a backup of 10^12": (
        lambda: document("<note>", f"<backup><duration>{MUCH}</duration></backup><note>"),
        "before its beginning"
    ),
    "a forward of 10^12": (
        lambda: document("<note>", f"<forward><duration>{MUCH}</duration></forward><note>"),
        "bar 1 lasts"
    ),
    "forwards": (
        lambda: document("<note>", f"<forward><duration>{MUCH}</duration></forward>" * 9000
                         + "<note>"), "bar 1 lasts"
    ),
    "a forward below 0": (
        lambda: document("<note>", "<forward><duration>-4</duration></forward><note>"), "below 0"
    ),
    "backups and forwards": (
        lambda: document("<note>", (BACK.replace("backup", "forward") + BACK) * 9000
                         + "<note>"), "=r:16 G4 r:12 ; C4 D4 E4 F4 r:16"
    ),
    "divisions of 0": (lambda: document("<divisions>4", "<divisions>0"), "are '0'"),
    "divisions below 0": (lambda: document("<divisions>4", "<divisions>-4"), "are '-4'"),
    "divisions of 10^9": (lambda: document("<divisions>4", "<divisions>" + "9" * 9), "off the"),
    "divisions that change": (
        lambda: document("<note>", "".join(
            f"<attributes><divisions>{n}</divisions></attributes>" for n in range(1, 9000))
            + "<attributes><divisions>4</divisions></attributes><note>"), SAME
    ),
    "voices": (lambda: layers("<voice>{}</voice>", 5000), "4999 voices"),
    "staves": (lambda: layers("<staff>{}</staff>", 5000), "4999 voices"),
    "staves with voices": (
        lambda: layers("<voice>{0}</voice><staff>{0}</staff>", 3000), "3000 voices"
    ),
    "staves that are not there": (
        lambda: document("</attributes>", "<staves>999999999</staves></attributes>"), SAME
    ),
    "a tuplet in no time": (lambda: modified(3, 0), SAME),
    "a tuplet of no notes": (lambda: modified(0, 2), SAME),
    "a tuplet below 0": (lambda: modified(-3, 2), SAME),
    "a tuplet of 10^12": (lambda: modified(10**11, 10**11 - 1), "off the grid"),
    "parts of notes": (
        lambda: b"<score-partwise>" + (BARE[BARE.index(b"<part ") : BARE.rindex(b"</score")] * 900)
        + b"</score-partwise>", "900 voices"
    ),
    "parts and empty bars": (
        lambda: b"<score-partwise>" + b"<part/>" * 9000 + b"<part>" + b"<measure/>" * 9000
        + b"</part></score-partwise>", "no notes"
    ),
    "empty bars": (lambda: document("</measure>", "</measure>" + "<measure/>" * 2000), "2002 bars"),
    "chords of chords": (
        lambda: document("</note>", "</note>" + CLEAN.format("").replace(
            "<pitch>", "<chord/><pitch>") * 9000), SAME
    ),
    "ties to nothing": (
        lambda: document("</note>", "</note>" + (CLEAN.format('<tie type="start"/>') + BACK)
                         * 3000), "3001 voices"
    ),
}  # fmt: skip


def lying(size: int) -> bytes:
    """An archive whose score says that it unpacks to `size` bytes."""
    data = bytearray(packed_score(DOCUMENT))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = data.rindex(mark)
        data[place + at : place + at + 4] = struct.pack("<I", size)
    return bytes(data)


def many_names() -> bytes:
    """An archive that says it has 65,535 files."""
    data = bytearray(packed_score(DOCUMENT))
    end = data.rindex(b"PK\x05\x06")
    data[end + 8 : end + 12] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


MXL = {
    "zip bomb": (lambda: packed_score(b" " * 30_000_000), "unpacks to more than 10 MB"),
    "bomb in the container": (lambda: packed_score(DOCUMENT, container=b" " * 30_000_000), "10 MB"),
    "a size that is a lie": (lambda: lying(5), "not readable as compressed"),
    "a size of 4 GB": (lambda: lying(0xFFFFFFF0), "not readable as compressed|unpacks|"),
    "no container": (lambda: archive({"s.xml": DOCUMENT}), "not readable as compressed"),
    "no score": (lambda: archive({"META-INF/container.xml": seeds.CONTAINER.format("s").encode()}),
                 "not readable as compressed"),
    "up and out": (lambda: packed_score(DOCUMENT, "../../../etc/passwd"), ""),  # a name, no path
    "up and out, not packed": (
        lambda: packed_score(b"", container=seeds.CONTAINER.format("../../../../../etc/passwd")),
        "not readable as compressed",
    ),
    "an absolute name": (
        lambda: packed_score(b"", container=seeds.CONTAINER.format("/etc/passwd")),
        "not readable as compressed",
    ),
    "no name": (lambda: packed_score(b"", container=seeds.CONTAINER.format("")), "compressed"),
    "many files": (lambda: archive({str(n): b"" for n in range(300)}), "more than 64 files"),
    "many files that are not there": (many_names, ""),
    "entities in the container": (
        lambda: packed_score(DOCUMENT, container=LAUGHS + "]><s>&i;</s>"), "XML entities"
    ),
    "an archive in the archive": (lambda: packed_score(packed_score(DOCUMENT)), "not readable"),
}  # fmt: skip
