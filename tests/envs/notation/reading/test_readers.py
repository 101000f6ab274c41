"""Files from elsewhere: ordinary, unfit and hostile."""

import os
import random
import struct
from contextlib import suppress
from pathlib import Path

import pytest

from envs.music.codec import Note
from envs.music.piece import notes_of
from envs.notation.reading.readers import read_piece
from envs.notation.reading.sandbox import Limits
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.midi import midi_bytes
from envs.notation.writing.musicxml import musicxml
from tests.envs.notation.files import mxl, reads


def notes_in(folder: Path, name: str, content: str | bytes, grid: int = 4) -> list[Note]:
    return list(reads(folder, name, content, grid=grid, limits=Limits(seconds=2)).notes)


SCORE = """<score-partwise><part-list><score-part id="P1"><part-name/></score-part></part-list>
<part id="P1"><measure number="1"><attributes><divisions>12</divisions></attributes>{}</measure>
</part></score-partwise>"""
NOTE = (
    "<note>{2}<pitch><step>{0}</step><octave>4</octave></pitch><duration>{1}</duration>{3}</note>"
)


ONE = "<voice>1</voice>"
BACK = "<backup><duration>12</duration></backup>"


def xml(*notes: str) -> str:
    return SCORE.format("".join(notes))


def note(step: str, length: int, before: str = "", after: str = "") -> str:
    return NOTE.format(step, length, before, after)


def test_ties_grace_notes_and_twelfths(tmp_path):
    tied = xml(
        note("C", 12, after='<tie type="start"/>'),
        note("C", 6, after='<tie type="stop"/>'),
        note("C", 6, after='<tie type="start"/>'),  # but no note of that pitch follows
        "<note><grace/><pitch><step>D</step><octave>4</octave></pitch></note>",
        note("E", 12),
        note("C", 12),
    )
    expected = [Note(0, 6, 60), Note(6, 2, 60), Note(8, 4, 64), Note(12, 4, 60)]
    assert notes_in(tmp_path, "a.xml", tied) == expected
    assert notes_in(tmp_path, "a.musicxml", tied.encode("utf-16"), 2) == [
        Note(0, 3, 60), Note(3, 1, 60), Note(4, 2, 64), Note(6, 2, 60)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "bar", "pitches"),
    [
        ("C clef=bass", "C,, C C2 |]", [36, 60, 60]),  # a clef does not transpose
        ("C", "^F F f =F | F4 |]", [66, 66, 78, 65, 65]),  # accidentals hold to the bar line
        ("B loc", "C F B2 |]", [60, 65, 71]),
        ("Fb lyd", "F C B2 |]", [64, 59, 70]),
        ("C#locrian", "C G B2 |]", [61, 67, 71]),
    ],
)
def test_abc_from_elsewhere(tmp_path, key, bar, pitches):
    tune = f"X:1\nT:a\nM:4/4\nL:1/4\nK:{key}\n{bar}\n"
    assert [n.pitch for n in notes_in(tmp_path, "a.abc", tune)] == pitches


def test_a_tie_over_a_rest_is_none(tmp_path):
    rest = "<note><rest/><duration>12</duration></note>"
    tied = xml(note("C", 12, after='<tie type="start"/>'), rest, note("C", 12))
    assert notes_in(tmp_path, "a.xml", tied) == [Note(0, 4, 60), Note(8, 4, 60)]


def test_compressed_musicxml(tmp_path):
    score = score_from_text("C4 A4 ; F3:8")
    assert notes_in(tmp_path, "a.mxl", mxl(musicxml(score))) == notes_of(score, 0)


BOMB = '<!DOCTYPE score-partwise [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + xml(
    "&b;", note("C", 12)
)
BEATS = xml("<attributes><time><beats>{}</beats></time></attributes>", note("C", 12))
TRUNCATED = midi_bytes(score_from_text("C4 A4 G4"))[:13]
FRAMES = b"MThd" + struct.pack(">IHHH", 6, 0, 1, 0xE728) + b"MTrk" + struct.pack(">I", 4)
FRAMES += b"\x00\xff\x2f\x00"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.mid", b"", "file is empty"),
        ("a.txt", b"x", "cannot read '.txt' files"),
        ("a.mid", TRUNCATED, "not readable as MIDI"),
        ("a.mid", FRAMES, "."),
        ("a.mid", os.urandom(500), "not readable as MIDI"),
        ("a.xml", os.urandom(500), "MusicXML"),
        ("a.mxl", os.urandom(500), "compressed MusicXML"),
        ("a.abc", b"\xff" + os.urandom(500), "not readable as ABC"),
        ("a.abc", "nothing", "no tune"),
        ("a.abc", "X:1\nT:\nK:C\n" + "C" * 70_000, "bar 1 lasts"),
        ("a.abc", "X:1\nL:1/4\nK:C\n" + "C " * 10_001, "bars|CPU time"),
        ("a.abc", "X:1\nL:1/4\nK:C\n" + "C|" * 1_001, "1001 bars"),
        ("a.abc", "X:1\nL:1/4\nK:C\nC\n\nX:2\nL:1/4\nK:C\nD\n", "2 tunes"),
        ("a.abc", "X:1\nL:1/4\nK:C\n[CE]\n", "C4 still sounds.*--top"),
        ("a.abc", "X:1\nL:1/4\nK:C\nC999999\n", "bar 1 lasts"),
        ("a.xml", BOMB, "XML entities"),
        ("a.xml", BOMB.replace(" [", ' SYSTEM ">" ['), "XML entities"),
        ("a.xml", "<!DOCTYPE a [<!ELEMENT a ANY>]>" + xml(note("C", 12)), "XML entities"),
        ("a.xml", BOMB.encode("utf-16"), "XML entities"),
        ("a.mxl", mxl(BOMB), "XML entities"),
        ("a.mxl", mxl(b" " * 11_000_000), "unpacks to more than 10 MB"),
        ("a.mxl", mxl(xml(note("C", 12)), more=63), "more than 64 files"),
        ("a.mxl", mxl("", BOMB), "XML entities"),
        ("a.mxl", mxl("", "<container/>"), "names no score"),
        ("a.xml", xml("<note/>" * 10_001), "duration"),
        ("a.xml", xml("<a/>" * 250_001), "no notes"),
        ("a.xml", xml("</measure><measure>" * 2_000), "no notes"),
        ("a.xml", xml('</measure></part><part id="P1"><measure>' * 64), "no notes"),
        ("a.xml", "<score-partwise><b>", "not readable as MusicXML"),
        ("a.xml", "<opus/>", "root is 'opus'; expected 'score-partwise'"),
        ("a.xml", "<score-timewise/>", "no notes"),
        ("a.xml", xml(), "holds no notes"),
        ("a.xml", xml(note("C", 10**9)), "bar 1 lasts"),
        ("a.xml", xml(note("C", 12), note("E", 12, "<chord/>")), "C4 still sounds.*--top"),
        (
            "a.xml",
            xml(note("C", 24, after=ONE), BACK, note("E", 12, after=ONE)),
            "E4 at bar 1, beat 2 starts while C4 still sounds",
        ),
        (
            "a.xml",
            xml(note("C", 12), note("E", 4)),
            r"E4 at bar 1, beat 2 ends 0.33 .*grid 3 would fit",
        ),
        ("a.xml", BEATS.format("999999"), "metre"),
        ("a.xml", BEATS.format("<![CDATA[999999]]>"), "metre"),
        ("a.xml", BEATS.format("&#57;99999"), "metre"),
        ("a.xml", BEATS.format("99<!-- -->9999"), "metre"),
        ("a.xml", BEATS.format("+".join(["99"] * 3000)), "metre"),
        ("a.xml", xml(note("C", 12)).replace(">12</div", ">0</div"), "divisions"),
        ("a.abc", "X:1\nM:99999/4\nL:1/4\nK:C\nC|\n", "metre"),
        ("a.abc", "X:1\nL:1/4\nK:C\nC99999999999|D|\n", "length"),
        ("a.abc", "X:1\nL:1/4\nK:C\n" + "z9999|" * 900, "no notes"),
        ("a.abc", "X:1\nL:1/4\nK:C\n" + "^" * 30_000 + "C|", "no ABC"),
        ("a.abc", "X:1\nL:1/4\nK:C\nZ|C", "rests of whole bars but no metre"),
    ],
)
def test_hostile_and_unfit_files(tmp_path, name, content, told):
    with pytest.raises(ValueError, match=told) as caught:
        notes_in(tmp_path, name, content)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


TIME = "</divisions><time><beats>4</beats><beat-type>64</beat-type></time>"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.xml", xml(note("C", 12), note("C", 10**9)), "bar 1 lasts .* quarter notes"),
        ("a.xml", xml(note("C", 12), "<note><rest/><duration>999999999</duration></note>"), "bar"),
        ("a.xml", xml(note("C", 12)).replace("</divisions>", TIME), "metre '4/64'"),
        ("a.abc", "X:1\nM:4/4\nL:1/4\nK:C\n" + "CDEF|" * 65, "65 bars; expected at most 64"),
        ("a.abc", "X:1\nM:4/4\nL:1/4\nK:C\nZ9999|C4|", "bars; expected at most 64"),
        ("a.abc", "X:1\nM:7/64\nL:1/64\nK:C\nCDEFGAB|", "metre '7/64'"),
        ("a.mid", midi_bytes(score_from_text("C4")).replace(b"\4\2\x18", b"\4\5\x18"), "4/32"),
    ],
)  # fmt: skip
def test_pieces_that_no_task_holds(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=told) as caught:
        read_piece(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_files_that_are_missing_or_huge(tmp_path):
    for path in (tmp_path / "no.mid", tmp_path):
        with pytest.raises(ValueError, match=r"no such file|cannot read"):
            read_piece(path)
    huge = tmp_path / "huge.mid"
    with huge.open("wb") as file:
        file.truncate(50_000_000_000)  # sparse: takes no room
    with pytest.raises(ValueError, match="10 MB"):
        read_piece(huge)
    pipe = tmp_path / "pipe.mid"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="no such file"):
        read_piece(pipe)


def test_midi_of_absurd_length_and_two_notes_at_once(tmp_path):
    import symusic

    def midi(*notes: tuple[int, int, int]) -> bytes:
        file = symusic.Score(480)
        track = symusic.Track()
        drums = symusic.Track(is_drum=True)
        drums.notes.append(symusic.Note(0, 7, 40, 80))  # never read
        file.tracks.append(drums)
        for start, length, pitch in notes:
            track.notes.append(symusic.Note(start, length, pitch, 80))
        file.tracks.append(track)
        return file.dumps_midi()

    with pytest.raises(ValueError, match="more than 20000 bars"):
        notes_in(tmp_path, "a.mid", midi((480 * 10**5, 480, 60)))
    with pytest.raises(ValueError, match="E4"):
        notes_in(tmp_path, "a.mid", midi((0, 960, 60), (480, 480, 64)))
    with pytest.raises(ValueError, match="grid 12"):
        notes_in(tmp_path, "a.mid", midi((0, 120, 60), (400, 80, 62)))
    with pytest.raises(ValueError, match="24"):
        notes_in(tmp_path, "a.mid", midi((0, 480, 60), (500, 100, 62)))
    assert notes_in(tmp_path, "a.mid", midi((0, 160, 60), (400, 80, 62)), 6) == [
        Note(0, 2, 60), Note(5, 1, 62)
    ]  # fmt: skip


def test_damaged_files_raise_nothing_but_value_errors(tmp_path):
    score = score_from_text("C4 A4:2 F#4:6 r G4 ; E3:16", key="D major")
    rng = random.Random(0)
    sources = {"a.mid": midi_bytes(score), "a.abc": abc(score).encode()}
    sources["a.xml"] = musicxml(score).encode()
    sources["a.mxl"] = mxl(musicxml(score))
    for name, source in sources.items():
        for _ in range(40):
            damaged = bytearray(source)
            for _ in range(rng.randint(1, 6)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            with suppress(ValueError):
                notes_in(tmp_path, name, bytes(damaged))
            with suppress(ValueError):
                assert read_piece(tmp_path / name).score.finished
