"""Attacks by hand: what makes each, and what the refusal says.

A refusal is a regular expression, "." for any; "" for none: the input is read.
"""

import io
import json
import struct
import zipfile

from envs.notation.text_line import score_from_text
from envs.notation.writing.musicxml import musicxml
from pretrained import checkpoint
from pretrained.networks.recurrent import RecurrentPrior
from tests.tools.fuzz import seeds
from tests.tools.fuzz.seeds import midi_file, packed_score

NOTE = b"\x00\x90\x3c\x50\x83\x60\x3c\x00"
END = b"\x00\xff\x2f\x00"
FAR = b"\xff\xff\xff\x7f"  # the longest time that a MIDI file can wait at once
DOCUMENT = musicxml(score_from_text("C4 D4 E4 F4 G4")).encode()
BARE = DOCUMENT[DOCUMENT.index(b"<score-p") :]


def midi(*events: bytes) -> bytes:
    return midi_file([b"".join(events) + END], form=0)


TITLE = b"\x00\xff\x03\xff\x7f"

MIDI = {
    "tempo 0": (lambda: midi(b"\x00\xff\x51\x03\0\0\0", NOTE), ""),
    "tempo of no bytes": (lambda: midi(b"\x00\xff\x51\x00", NOTE), ""),
    "division 0": (lambda: midi_file([NOTE + END], 0, 0), "counts frames"),
    "SMPTE": (lambda: midi_file([NOTE + END], 0, 0xE728), "not readable as MIDI"),
    "a division of 1": (lambda: midi_file([NOTE + END], 0, 1), "120 bars"),
    "no metre": (lambda: midi(b"\x00\xff\x58\x04\0\0\x18\x08", NOTE), "'0/1'"),
    "metre 255": (lambda: midi(b"\x00\xff\x58\x04\xff\xff\x18\x08", NOTE), "'255/0'"),
    "key 127": (lambda: midi(b"\x00\xff\x59\x02\x7f\x01", NOTE), ""),
    "metres": (
        lambda: midi(b"\x00\xff\x58\x04\x04\x02\x18\x08\x01\xff\x58\x04\x03\x02\x18\x08" * 10**5),
        "metre|CPU time",
    ),
    "a million tempos": (lambda: midi(b"\x01\xff\x51\x03\1\1\1" * 10**6, NOTE), "522 bars"),
    "a million notes": (
        lambda: midi(b"\x00\x90\x3c\x50\x01\x3c\x00", b"\x00\x3c\x50\x01\x3c\x00" * 10**6),
        ".",
    ),
    "notes that never end": (lambda: midi(b"\0\x90\x3c\x50", b"\0\x3c\x50" * 10**6), "no notes"),
    "700,000 tracks": (
        lambda: midi_file([END], count=65535) + (b"MTrk\0\0\0\4" + END) * 700_000, "no notes"
    ),
    "tracks that are not there": (lambda: midi_file([NOTE + END], count=65535), ""),
    "a late note": (lambda: midi(FAR + NOTE[1:]), "off the grid"),
    "times beyond 31 bits": (
        lambda: midi(*[FAR + b"\x90\x3c\x50" + FAR + b"\x3c\x00"] * 5), "before the piece does|off"
    ),
    "running status of nothing": (lambda: midi(b"\x00\x3c\x50" * 99), "running status"),
    "a track of 4 GB": (
        lambda: midi_file([])[:-4] + b"\1\xe0MTrk\xff\xff\xff\xff" + NOTE, "chunk length"
    ),
    "a head of 4 GB": (lambda: b"MThd\xff\xff\xff\xff" + midi(NOTE)[8:], "not readable as MIDI"),
    "a message of 256 MB": (lambda: midi(b"\x00\xf0" + FAR, NOTE), "not readable as MIDI"),
    "a title of noise": (lambda: midi_file([TITLE + b"\xff" * 16383 + END, NOTE + END]), ""),
    "notes above 127": (lambda: midi(b"\x00\x90\xff\xff", NOTE), "not readable as MIDI"),
    "form 9": (lambda: midi_file([NOTE + END], 9), "not readable as MIDI"),
}  # fmt: skip


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
        lambda: document("<duration>", "<duration>" + "9" * 10**6), "not readable"
    ),
    "a title of 4 MB": (
        lambda: document("<part-list>", f"<work><work-title>{'y' * 4 * 10**6}</work-title></work>"
                         "<part-list>"), ""
    ),
    "groups of parts": (
        lambda: document("<part-list>", "<part-list>" + '<part-group type="start"/>' * 10**5), ""
    ),
    "dots": (lambda: document("</duration>", "</duration>" + "<dot/>" * 10**5), "."),
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
                         + "</attributes>") * 900 + "<note>"), "."
    ),
    "99 beats": (lambda: document("<beats>4", "<beats>99"), ""),
    "a tuplet of nothing": (
        lambda: document("</duration>", "</duration><time-modification><actual-notes>0"
                         "</actual-notes><normal-notes>0</normal-notes></time-modification>"),
        "|not readable",
    ),
    "a part transposed out of the world": (
        lambda: document("</attributes>", "<transpose><chromatic>99999999</chromatic></transpose>"
                         "</attributes>"), "."
    ),
    "octave 999999999": (lambda: document("<octave>4", "<octave>999999999"), "."),
    "a duration of 1e300": (lambda: document("<duration>", "<duration>1e300"), "not readable|bar"),
    "a duration that is none": (lambda: document("<duration>", "<duration>nan"), "not readable"),
    "a tempo of nan": (lambda: document("<note>", '<sound tempo="nan"/><note>'), "not readable"),
    "99999999 repeats": (
        lambda: document("</measure>", '<barline><repeat direction="backward" times="99999999"/>'
                         "</barline></measure>"), ""
    ),
    "99999999 endings": (
        lambda: document("</measure>", '<barline><ending number="1-99999999" type="start"/>'
                         "</barline></measure>"), "."
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


def tune(music: str, head: str = "M:4/4\nL:1/4\n") -> bytes:
    return f"X:1\n{head}K:C\n{music}\n".encode()


def head_of(field: str) -> bytes:
    return tune("CDEF|", f"M:4/4\nL:1/4\n{field}\n")


ABC = {
    "units as groups": (lambda: tune("C|", "M:1+1+1+1+1+1+1/4\nL:1/4\n"), "at least 2 units"),
    "groups": (lambda: tune("CDEFGABcd|", "M:2+2+2+3/8\nL:1/8\n"), ""),
    "groups in brackets": (lambda: tune("CDEFG|", "M: ( 2 + 3 ) / 8\nL:1/8\n"), ""),
    "many groups": (lambda: tune("C|", "M:" + "2+" * 9000 + "2/8\nL:1/8\n"), "metre"),
    "a metre behind a quotation": (lambda: tune('["x"M:1111111/4]CDEF|'), "its metre is"),
    "a metre that stands aside": (lambda: head_of("r: M:1111111/4"), ""),
    "a metre behind a blank": (lambda: head_of(" M:1111111/4"), ""),
    "lines of an old machine": (lambda: b"X:1\rM:1111111/4\rL:1/4\rK:C\rCDEF|", "its metre is"),
    "a bar of 1000 notes": (lambda: tune("CDEF|" * 20 + "C" * 1000), "1000 quarter notes"),
    "metres": (lambda: tune("".join(f"[M:{n}/1]C|" for n in range(2, 99))), "|metre changes"),
    "keys that change": (lambda: tune("[K:G]C[K:C]D" * 400), "."),
    "tuplets": (lambda: tune("(3CDE" * 3000), "."),
    "a key and blanks": (lambda: head_of("K:C" + " " * 39_000), ""),
    "a key of bass clefs": (lambda: head_of("K:C" + " bass" * 7_000), ""),
    "a title of blanks": (lambda: head_of("T:" + " " * 39_000 + "x"), ""),
    "colons before a new metre": (lambda: tune(":" * 38_000 + "\nM:3/4\nC"), "metre changes"),
    "repeats in repeats": (lambda: tune("|:" * 900 + "CDEF" + ":|" * 90), "|bar"),
    "colons": (lambda: tune("|::::::CDEF::::::|" * 50), "|bar"),
    "a tuplet of 99999": (lambda: tune("(99999:1:9999CDEF|"), "."),
    "a tuplet of 0": (lambda: tune("(0:0:0CDEF|"), "."),
    "tuplets of nothing": (lambda: tune("(3" * 5000 + "CDE"), "|."),
    "a long note": (lambda: tune("C9999999|"), "."),
    "a note of digits": (lambda: tune("C" + "9" * 30_000), "."),
    "slashes": (lambda: tune("C3" + "/" * 30_000 + "|"), "not readable as ABC"),
    "division by 0": (lambda: tune("C1/0|D"), "|."),
    "a unit of 0": (lambda: tune("CDEF|", "M:4/4\nL:0/4\n"), "unit note is '0/4'"),
    "a unit by 0": (lambda: tune("CDEF|", "M:4/4\nL:1/0\n"), "unit note is '1/0'"),
    "a unit of bars": (lambda: tune("C2=E4-=E6|C,4-C,6-|=B4-=Bz|", "M:7/8\nL:100/16\n"), "100/16"),
    "a metre of digits": (lambda: tune("C|", "M:" + "9" * 30_000 + "/4\nL:1/4\n"), "its metre is"),
    "a metre of brackets": (lambda: tune("C|", "M:" + "(" * 30_000 + "2/4\nL:1/4\n"), "metre"),
    "a metre of notes": (lambda: tune("C|", "M:2 | (GABc) (d2{ed}c>3/4\nL:1/4\n"), "its metre is"),
    "a metre by 0": (lambda: tune("CDEF|", "M:4/0\nL:1/4\n"), "."),
    "voices": (lambda: tune("".join(f"V:{n}\nC|\n" for n in range(900))), "."),
    "more voices": (lambda: tune("".join(f"V:{n}\n" for n in range(5500))), "no notes"),
    "voices in the music": (lambda: tune("".join(f"[V:{n}]C" for n in range(4000))), "."),
    "macros": (lambda: tune("nnnn|" * 99, "m:n=nn\nm:~n=ooo\nM:4/4\nL:1/4\n"), "."),
    "keys": (lambda: tune("[K:G]" * 3500 + "C"), "."),
    "whole rests": (lambda: tune("Z" * 30_000 + "C"), "."),
    "rests of many bars": (lambda: tune("Z64|" * 900 + "C"), "."),
    "beams": (lambda: tune("CDEF|[M:3/4]" * 260), "metre changes"),
    "spaces": (lambda: tune("C" + " " * 39_000 + "D"), "|"),
    "spaces between notes": (lambda: tune(("C" + " " * 90) * 300), "|."),
    "braces that stay open": (lambda: tune("{" * 39_000), "."),
    "fields that stay open": (lambda: tune("[r:" * 900), "."),
    "arrows": (lambda: tune("C" + ">" * 30_000 + "D"), "|."),
    "octaves": (lambda: tune("c" + "'" * 30_000 + "|"), "."),
    "a key of signs": (lambda: tune("CDEF|", "M:4/4\nL:1/4\nK:" + "^" * 9000 + "\n"), "|."),
    "other digits": (lambda: tune("C٣|D²|"), "|."),
    "no metre at all": (lambda: tune("CDEF|GABc|", "L:1/4\n"), ""),
}  # fmt: skip

TUNE = {
    "brackets that stay open": (lambda: tune("[" * 19_900), "not readable as ABC"),
} | {
    name: (ABC[name][0], ".")
    for name in ("a note of digits", "slashes", "a metre of digits", "a long note", "division by 0",
                 "a unit by 0", "braces that stay open", "spaces", "octaves", "a tuplet of 0")
} | {
    "a long tune": (lambda: tune("CDEFGABc|" * 9000), "longer than any tune"),
    "long notes": (lambda: tune("C99999|" * 9), "longer than any tune|."),
    "no key": (lambda: b"X:1\nM:4/4\nL:1/4\nK:|\nCDEF|", "."),
}  # fmt: skip


def config(text: str) -> bytes:
    return text.encode()


CONFIG = {
    "deep lists": (lambda: config("mask = " + "[" * 40_000), "not TOML for settings"),
    "lists nine deep": (lambda: config("mask = " + "[" * 9 + "]" * 9), "8 deep"),
    "deep tables": (lambda: config("a." * 20_000 + "a = 1"), "more than 32 parts"),
    "a huge number": (lambda: config("seed = " + "9" * 5000), "not TOML for settings"),
    "a huge hexadecimal": (lambda: config("seed = 0x" + "f" * 20_000), "more than 80 digits"),
    "a huge weight": (lambda: config("[reward]\nkey = 0x" + "f" * 20_000), "more than 80 digits"),
    "a date": (lambda: config("seed = 1979-05-27"), "expected a word, a number"),
    "dates in a list": (lambda: config("[task]\nbars = [1979-05-27]"), "expected a word, a number"),
    "a number for words": (lambda: config("mask = 3"), "mask = 3, expected a list of words"),
    "a list for a name": (lambda: config("algo = [1]"), "algo = ..., expected str"),
    "a long name": (lambda: config("a" * 90_000 + " = 1"), "unknown setting 'aaa"),
    "two megabytes": (lambda: config("#" * 2_000_000), "expected at most 100000"),
    "no text": (lambda: b"\xff\xfe\x00", "not TOML for settings"),
    "a table in a term": (lambda: config("[reward.key.a.b]\nc = 1"), "."),
    "a name with a sign": (lambda: config('[reward]\n"key=1,a" = 1'), "."),
}


def tensors(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of any header."""
    words = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(words) if length is None else length) + words + data


def head(**changes: object) -> dict[str, object]:
    shape = {"vocab": 14, "hidden": 2, "layers": 1, "embed": 2}
    codec = {"low": 60, "high": 71, "grid": 4}
    known = {"format": RecurrentPrior.format, "shape": shape, "codec": codec} | changes
    return {"__metadata__": {checkpoint.HEADER: json.dumps(known)}}


def weight(dtype: str = "F32", shape: object = (2, 2), at: object = (0, 16)) -> bytes:
    return tensors(head() | {"net.x": {"dtype": dtype, "shape": shape, "data_offsets": at}},
                   bytes(16))  # fmt: skip


WHOLE = "not a whole safetensors file"
UNLIKE = "does not describe its network"
CHECKPOINT = {
    "offsets beyond the file": (lambda: weight(at=(0, 2**40), shape=(2**38,)), WHOLE),
    "negative offsets": (lambda: weight(at=(-16, 0)), WHOLE),
    "offsets the wrong way": (lambda: weight(at=(16, 0)), WHOLE),
    "a shape beyond 64 bits": (lambda: weight(shape=(2**40, 2**40)), WHOLE),
    "a negative shape": (lambda: weight(shape=(-2, -2)), WHOLE),
    "overlapping": (
        lambda: tensors(head() | {n: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
                                  for n in ("net.a", "net.b")}, bytes(16)), WHOLE
    ),
    "an unknown type": (lambda: weight(dtype="F31"), WHOLE),
    "a type that is none of ours": (lambda: weight(dtype="I64", shape=(2,)), UNLIKE),
    "a head of 4 GB": (lambda: tensors(head(), length=2**32), WHOLE),
    "a head beyond 64 bits": (lambda: tensors(head(), length=2**64 - 1), WHOLE),
    "a large head": (lambda: tensors(head(notes="x" * 2 * 10**6), bytes(9)), "header of 2"),
    "JSON of brackets": (lambda: tensors(b"[" * 10**6), WHOLE),
    "our JSON of brackets": (
        lambda: tensors({"__metadata__": {checkpoint.HEADER: "[" * 10**5}}), "has format None"
    ),
    "a long format": (lambda: tensors(head(format="x" * 10**5)), "has format 'xxx"),
    "a network of 34 GB": (
        lambda: tensors(head(shape={"vocab": 14, "hidden": 8192, "layers": 16, "embed": 8192})),
        UNLIKE,
    ),
    "a size with a name that rings": (lambda: tensors(head(shape={"vo\x07cab": 14})), UNLIKE),
    "a codec of words": (lambda: tensors(head(codec={"low": "C4", "high": "C5"})), UNLIKE),
    "a codec of fractions": (lambda: tensors(head(codec={"low": 0.5, "high": 60.5})), UNLIKE),
    "a codec of two notes": (lambda: tensors(head(codec={"low": 60, "high": 61})), "an octave"),
    "a shape that is no table": (lambda: tensors(head(shape=[1, 2])), UNLIKE),
    "nothing": (lambda: b"", WHOLE),
}  # fmt: skip

M = 10**6
LINES = {
    "key": ["C" * M, "C " + "0," * M, "C " + "9" * M, "C " + "minor " * M, " " * M, "٣ ٣"],
    "meter": ["9" * M, "2+" * M + "2/8", "4/" + "4" * M, "+" * M, " " * M + "x", "²/4"],
    "range": ["C" * M, "C" + "9" * M, "-" * M, "C-1-" * M, "#" * M, "C²-C³"],
    "chords": ["I " * M, "|" * M, "C" * M, "i" * M, "V" + "7" * M, "C" + "add9" * M, "b" * M],
    "phrases": ["A" * M, "'" * M, "4+" * M, "A" + "9" * M, "A'" * M, "٣٣٣"],
    "notes": ["C4 " * M, "C" * M, ";" * M, ":" * M, "C4:" + "9" * M, "r:999999 " * 4096],
    "term": ["=" * M, "a=" + "[" * M, "a=0x" + "f" * M, "a=1," * M, "a=1" + ",b=1" * M, "x:" + "1,"
             * M, "a=" + "1|" * M, "x:" + "9" * M],
}  # fmt: skip

ATTACKS = {"midi": MIDI, "xml": XML, "mxl": MXL, "abc": ABC, "tune": TUNE, "config": CONFIG,
           "checkpoint": CHECKPOINT}  # fmt: skip
