"""Attacks by hand: what makes each, and what the refusal says.

A refusal is a regular expression, "." for any; "" for none: the input is read, behind "=" to
these notes.
"""

import json
import struct

from pretrained import checkpoint
from pretrained.networks.recurrent import RecurrentPrior
from tests.tools.fuzz.seeds import midi_file
from tests.tools.fuzz.xml_attacks import MXL, XML

NOTE = b"\x00\x90\x3c\x50\x83\x60\x3c\x00"
END = b"\x00\xff\x2f\x00"
FAR = b"\xff\xff\xff\x7f"  # the longest time that a MIDI file can wait at once
ONE, FOUR = "=C4 r:12", "=C4 D4 E4 F4"
M = 10**6


def midi(*events: bytes) -> bytes:
    return midi_file([b"".join(events) + END], form=0)


TEMPO = b"\x00\xff\x51\x03\x07\xa1\x20"
TITLE = b"\x00\xff\x03\xff\x7f"

MIDI = {
    "tempo 0": (lambda: midi(b"\x00\xff\x51\x03\0\0\0", NOTE), ""),
    "tempo of no bytes": (lambda: midi(b"\x00\xff\x51\x00", NOTE), ""),
    "division 0": (lambda: midi_file([NOTE + END], 0, 0), "counts frames"),
    "SMPTE": (lambda: midi_file([NOTE + END], 0, 0xE728), "counts frames"),
    "a division of 1": (lambda: midi_file([NOTE + END], 0, 1), "120 bars"),
    "no metre": (lambda: midi(b"\x00\xff\x58\x04\0\0\x18\x08", NOTE), ONE),
    "metre 255": (lambda: midi(b"\x00\xff\x58\x04\xff\xff\x18\x08", NOTE), ONE),
    "key 127": (lambda: midi(b"\x00\xff\x59\x02\x7f\x01", NOTE), ""),
    "metres": (
        lambda: midi(b"\x00\xff\x58\x04\x04\x02\x18\x08\x01\xff\x58\x04\x03\x02\x18\x08" * 10**5),
        "no notes|CPU",
    ),
    "a million tempos": (lambda: midi(b"\x01\xff\x51\x03\1\1\1" * 10**6, NOTE), "522 bars|CPU"),
    "a million notes": (
        lambda: midi(b"\x00\x90\x3c\x50\x01\x3c\x00", b"\x00\x3c\x50\x01\x3c\x00" * 10**6),
        ".",
    ),
    "notes that never end": (lambda: midi(b"\0\x90\x3c\x50", b"\0\x3c\x50" * M), "no notes|CPU"),
    "700,000 tracks": (
        lambda: midi_file([END], count=65535) + (b"MTrk\0\0\0\4" + END) * 700_000, "no notes|CPU"
    ),
    "tracks that are not there": (lambda: midi_file([NOTE + END], count=65535), ""),
    "a late note": (lambda: midi(FAR + NOTE[1:]), "10000 bars"),
    "times beyond 31 bits": (
        lambda: midi(*[FAR + b"\x90\x3c\x50" + FAR + b"\x3c\x00"] * 5), "10000 bars"
    ),
    "running status of nothing": (lambda: midi(b"\x00\x3c\x50" * 99), "is no event"),
    "a track of 4 GB": (
        lambda: midi_file([], 0, count=1) + b"MTrk\xff\xff\xff\xff" + NOTE, ONE
    ),
    "a head of 4 GB": (lambda: b"MThd\xff\xff\xff\xff" + midi(NOTE)[8:], "breaks off before"),
    "a message of 256 MB": (lambda: midi(b"\x00\xf0" + FAR, NOTE), "breaks off before"),
    "a title of noise": (lambda: midi_file([TITLE + b"\xff" * 16383 + END, NOTE + END]), ""),
    "notes above 127": (lambda: midi(b"\x00\x90\xff\xff", NOTE), "not readable as MIDI"),
    "form 9": (lambda: midi_file([NOTE + END], 9), ONE),
    "a status that runs over a meta event": (
        lambda: midi(b"\0\x90\x3c\x50", TEMPO, b"\x83\x60\x3c\0"), ONE
    ),
    "a status that runs over a system event": (
        lambda: midi(b"\0\x90\x3c\x50\0\xf0\1\xf7\0\xf8\0\xf4\0\xf2\0\0\x83\x60\x3c\0"), ONE
    ),
    "a status of one byte that runs": (lambda: midi(b"\0\xc0" + b"\5\0" * 9999 + b"\5", NOTE), ONE),
    "a status that runs into the next track": (
        lambda: midi_file([NOTE + END, b"\0\x3c\x50\x60\x3c\0" + END]), "is no event"
    ),
    "a number of five bytes": (lambda: midi(b"\x81\x80\x80\x80\0" + NOTE[1:]), "ends no number"),
    "9,000 tracks of notes": (lambda: midi_file([NOTE + END] * 9000), "9000 voices"),
    "9,000 tracks of a long piece": (
        lambda: midi_file([FAR[:3] + b"\x3f" + NOTE[1:] + END] + [NOTE + END] * 9000), "10000 bars"
    ),
    "9,000 tracks of pieces": (lambda: midi_file([NOTE + END] * 9000, 2), "9000 tunes"),
    "a piece of form 2": (lambda: midi_file([TEMPO + END, NOTE + END], 2), ONE),
    "channels that take turns": (
        lambda: midi(*[bytes([0, 0x90 + n % 9, 60, 80, 1, 60, 0]) for n in range(9000)]),
        "9 voices",
    ),
    "notes all begun, then all ended": (
        lambda: midi(b"\0\x90\x3c\x50", b"\0\x3c\x50" * 200_000, b"\1\x3c\0" * 200_000),
        "=C4:1 r:15"
    ),
    "all notes off": (
        lambda: midi(*[bytes([0, 0x90, n, 80]) for n in range(128)], b"\x60\xb0\x7b\0",
                     b"\0\x7b\0" * 200_000), "still sounds"
    ),
    "a division of 32767": (lambda: midi_file([NOTE + END], 0, 32767), "=C4:1 r:15"),
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
    "a metre behind a quotation": (lambda: tune('["x"M:1111111/4]CDEF|'), "is no chord"),
    "a metre that stands aside": (lambda: head_of("r: M:1111111/4"), ""),
    "a metre behind a blank": (lambda: head_of(" M:1111111/4"), "its metre is"),
    "lines of an old machine": (lambda: b"X:1\rM:1111111/4\rL:1/4\rK:C\rCDEF|", "its metre is"),
    "a bar of 1000 notes": (lambda: tune("CDEF|" * 20 + "C" * 1000), "1000 quarter notes"),
    "metres": (lambda: tune("".join(f"[M:{n}/1]C|" for n in range(2, 99))), "|metre changes"),
    "keys that change": (lambda: tune("[K:G]C[K:C]D" * 400), "."),
    "tuplets": (lambda: tune("(3CDE" * 3000), "."),
    "a key and blanks": (lambda: head_of("K:C" + " " * 39_000), ""),
    "a key of bass clefs": (lambda: head_of("K:C" + " bass" * 7_000), ""),
    "a title of blanks": (lambda: head_of("T:" + " " * 39_000 + "x"), ""),
    "colons before a new metre": (lambda: tune(":" * 38_000 + "\nM:3/4\nC"), "=C4 r:8"),
    "repeats in repeats": (lambda: tune("|:" * 900 + "CDEF" + ":|" * 90), "|bar"),
    "colons": (lambda: tune("|::::::CDEF::::::|" * 50), "|bar"),
    "a tuplet of 99999": (lambda: tune("(99999:1:9999CDEF|"), "."),
    "a tuplet of 0": (lambda: tune("(0:0:0CDEF|"), "."),
    "tuplets of nothing": (lambda: tune("(3" * 5000 + "CDE"), "|."),
    "a long note": (lambda: tune("C9999999|"), "."),
    "a note of digits": (lambda: tune("C" + "9" * 30_000), "."),
    "slashes": (lambda: tune("C3" + "/" * 30_000 + "|"), "the length"),
    "division by 0": (lambda: tune("C1/0|D"), "|."),
    "a unit of 0": (lambda: tune("CDEF|", "M:4/4\nL:0/4\n"), "unit note is '0/4'"),
    "a unit by 0": (lambda: tune("CDEF|", "M:4/4\nL:1/0\n"), "unit note is '1/0'"),
    "a unit of bars": (lambda: tune("C2=E4-=E6|C,4-C,6-|=B4-=Bz|", "M:7/8\nL:100/16\n"), "100/16"),
    "a metre of digits": (lambda: tune("C|", "M:" + "9" * 30_000 + "/4\nL:1/4\n"), "its metre is"),
    "a metre of brackets": (lambda: tune("C|", "M:" + "(" * 30_000 + "2/4\nL:1/4\n"), "metre"),
    "a metre of notes": (lambda: tune("C|", "M:2 | (GABc) (d2{ed}c>3/4\nL:1/4\n"), "its metre is"),
    "a metre by 0": (lambda: tune("CDEF|", "M:4/0\nL:1/4\n"), "."),
    "voices": (lambda: tune("".join(f"V:{n}\nC|\n" for n in range(900))), "."),
    "more voices": (lambda: tune("".join(f"V:{n}\n" for n in range(5500))), "64 voices"),
    "voices in the music": (lambda: tune("".join(f"[V:{n}]C" for n in range(4000))), "."),
    "macros": (lambda: tune("nnnn|" * 99, "m:n=nn\nm:~n=ooo\nM:4/4\nL:1/4\n"), "."),
    "keys": (lambda: tune("[K:G]" * 3500 + "C"), ONE),
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
    "overlays": (lambda: tune("C4" + "&D4" * 90 + "|"), "'&' is not read"),
    "overlays in bars": (lambda: tune(("C4" + "&D4" * 15 + "|") * 900), "16 voices"),
    "macros of macros": (
        lambda: tune("n0|", "".join(f"m:~{n}=~{n + 1}~{n + 1}\n" for n in range(90))
                     + "M:4/4\nL:1/4\n").replace(b"n0", b"~0"), "100000 characters"
    ),
    "a macro of megabytes": (
        lambda: tune("~" * 90_000, "m:~=" + "C" * 90_000 + "\nM:4/4\nL:1/4\n"), "MB of memory"
    ),
    "a macro of itself": (lambda: tune("~x|" * 99, "m:~x=~x~x\nM:4/4\nL:1/4\n"), "no notes"),
    "symbol lines": (lambda: tune("CDEF|\n" + "s:" + "* " * 9000 + "\ns:!p!\n" * 90_000), FOUR),
    "lyrics": (lambda: tune("CDEF|\n" + "w:la-" * 9000 + "\nw:la\n" * 90_000), FOUR),
    "symbols": (lambda: tune("CDEF|", "U:T=!trill!\n" * 90_000 + "M:4/4\nL:1/4\n"), FOUR),
    "endings in endings": (lambda: tune("|:" + "[1C4|[2D4|" * 900 + ":|"), "900 bars"),
    "repeats in repeats in endings": (lambda: tune("|:C4|[1|:D4:|[2|:E4:|" * 500), "1000 bars"),
    "a line of 9 MB": (lambda: tune("C" * 9_000_000), "100000 characters"),
    "a line of 9 MB of quotations": (lambda: tune('"' * 8_999_999), "100000 characters"),
    "a line of 9 MB of signs": (lambda: tune("= " * 4_500_000 + "x"), "100000 characters"),
    "a field of 9 MB": (lambda: head_of("N:" + "%" * 9_000_000), "=C4 D4 E4 F4|CPU"),
    "a field of 9 MB in pieces": (lambda: head_of("N:" + "\n+:x" * 200_000), "20000 characters"),
    "300,000 tunes": (lambda: b"X:1\nK:C\nC|\n\n" * 300_000, "300000 lines"),
    "70,000 tunes": (lambda: b"X:1\nK:C\nC|\n\n" * 70_000, "70000 tunes|CPU time"),
    "texts": (lambda: tune("CDEF|\n" + "%%begintext\nC|\n%%endtext\n" * 90_000), FOUR),
    "no metre at all": (lambda: tune("CDEF|GABc|", "L:1/4\n"), ""),
}  # fmt: skip


def kern(*lines: str) -> bytes:
    return "\n".join(("**kern", "*M4/4", *lines, "*-", "")).encode()


SPLIT = ["\t".join(["*^"] * 2**n) for n in range(16)]
KERN = {
    "a million spines": (lambda: ("\t".join(["**kern"] * 10**6) + "\n").encode(), "500 spines"),
    "splits": (lambda: kern(*SPLIT), "500 spines"),
    "splits up to the bound": (
        lambda: kern(*SPLIT[:8], "\t".join(["1c"] * 256), "\t".join(["*v"] * 256), "1d"),
        "256 voices"
    ),
    "splits and joins": (lambda: kern(*["*^\n*v\t*v"] * 50_000, "1c"), "=C4:16"),
    "spines that come and go": (lambda: kern(*["*+\n*\t**kern\n*\t*-"] * 5_000, "1c"), "=C4:16"),
    "spines that come": (
        lambda: kern(*("\t".join(["*"] * n + ["*+"]) + "\n" + "\t".join(["*"] * n + ["*", "**kern"])
                       for n in range(600)), "1c"), "500 spines"
    ),
    "one that comes in the way": (lambda: kern("**kern\n1c\n" * 900), "900 voices"),
    "spines and bars": (lambda: kern(*["**kern\n4c\n=1"] * 5_000), "5000 voices"),
    "pieces": (lambda: kern("1c") * 90_000, "90000 tunes"),
    "swaps": (lambda: kern("*^", *["*x\t*x"] * 90_001, "2c\t1d", "4e\t.", "4f\t.", "*v\t*v"),
        "=D4:16 ; C4:8 E4 F4"),
    "a swap of one": (lambda: kern("*x", "1c"), "=C4:16"),
    "a join of one": (lambda: kern("*v", "1c"), "=C4:16"),
    "a duration of digits": (lambda: kern("9" * 10**6 + "c"), "no duration"),
    "a duration of five digits": (lambda: kern("40004c"), "no duration"),
    "a duration by 0": (lambda: kern("4%0c"), "no length"),
    "a duration of 0": (lambda: kern("0" * 9999 + "c"), "no duration"),
    "dots": (lambda: kern("4" + "." * 10**6 + "c"), "no duration"),
    "a number of a bar": (lambda: kern("=" + "9" * 10**6, "1c"), "=C4:16"),
    "a metre of digits": (lambda: kern("*M" + "9" * 10**6 + "/4", "1c"), "its metre is"),
    "a metre by 0": (lambda: kern("*M4/0", "1c"), "changes from 4/4 to 8/1"),
    "a tempo of digits": (lambda: kern("*MM" + "9" * 10**6, "1c"), "=C4:16"),
    "a key of signs": (lambda: kern("*k[" + "f#" * 10**6 + "]", "1c"), "=C4:16"),
    "signs": (lambda: kern("1c" + "#" * 10**6), "beyond"),
    "octaves": (lambda: kern("1" + "c" * 10**6), "beyond"),
    "a title of 4 MB": (lambda: kern("!!!OTL:" + "y" * 4 * 10**6, "1c"), "=C4:16"),
    "sections": (lambda: kern(*(f"*>A{n}\n1c\n=" for n in range(30_000))), "30000 bars|CPU time"),
    "a list of sections": (lambda: kern("*>norep[" + "A," * 10**6 + "]", "*>B", "1c"), "=C4:16"),
    "a chord of a million notes": (lambda: kern("1c" + " 1e" * 10**6), "CPU time|still sounds"),
    "ties to nothing": (lambda: kern(*["[1c"] * 9000), "36000 quarter notes"),
    "cells that are empty": (lambda: kern("*^", "1c\t"), "is no note"),
    "cells that are missing": (lambda: kern("*^", "1c"), "1 columns"),
    "no spine": (lambda: b"4c\n4d\n", "no .*kern spine"),
    "no end": (lambda: b"**kern\n*M4/4\n4c", "=C4 r:12"),
    "an end at once": (lambda: kern("*-", "4c"), "no notes"),
    "a line of 9 MB": (lambda: kern("1c" + "\t" * 9 * 10**6), "500 spines"),
    "zeros": (lambda: kern("1c\0\0\0"), "=C4:16"),
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

ATTACKS = {"midi": MIDI, "xml": XML, "mxl": MXL, "abc": ABC, "kern": KERN, "tune": TUNE,
           "config": CONFIG, "checkpoint": CHECKPOINT}  # fmt: skip
