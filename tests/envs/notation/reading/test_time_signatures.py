"""Metres with groups: how files spell them, and that they survive writing and reading."""

import re

import pytest

from envs.errors import RefusedError
from envs.music.meter import Meter
from envs.notation.reading.readers import from_music21, read_piece
from envs.notation.reading.sandbox import Limits
from envs.notation.reading.time_signatures import Signature
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import musicxml
from tests.envs.notation.files import reads, tune

LINE = "C4:2 D4:2 E4:2 F4:2 G4:2 A4:2 B4:2"


@pytest.mark.parametrize(
    ("text", "spelled", "plain"),
    [
        ("4/4", "4/4", "4/4"),
        ("C|", "2/2", "2/2"),
        ("2+2+3/8", "2+2+3/8", "7/8"),
        ("( 2 + 2 + 3 ) / 8", "2+2+3/8", "7/8"),
        ("2/8+2/8+3/8", "2+2+3/8", "7/8"),
        ("3/4+3/8", "3/4+3/8", "9/8"),
        ("3+2/8+1/4", "3/8+2/8+1/4", "7/8"),
    ],
)
def test_signatures(text, spelled, plain):
    found = Signature.parse(text)
    assert (found.spelled, found.plain) == (spelled, plain)


@pytest.mark.parametrize("text", ["", "3", "4/0", "0/4", "4/3", "4/256", "((2+3)/8", "+/8", "x/4"])
def test_what_is_no_signature(text):
    with pytest.raises(RefusedError, match="metre"):
        Signature.parse(text)


@pytest.mark.parametrize("meter", ["3+2+2/8", "2+3/8", "2+2+2+3/8", "3+3+4/16", "7/8", "2+2/4"])
def test_groups_survive_writing_and_reading(tmp_path, meter):
    score = score_from_text(LINE, meter=meter)
    document = musicxml(score)
    found = re.findall(r"<beats>(.*)</beats>", document)
    assert found == [str(score.task.meter).split("/")[0]]
    for name, content in (("a.musicxml", document), ("a.abc", abc(score))):
        piece = reads(tmp_path, name, content)
        assert piece.meter == Meter.parse(meter)
        assert (piece.score_for(score.task).tokens == score.tokens).all()
    assert svg(document)


def test_beams_follow_the_groups():
    document = musicxml(score_from_text(LINE, meter="3+2+2/8"))
    beams = re.findall(r'<beam number="1">(\w+)', document)
    assert beams == ["begin", "continue", "end", "begin", "end", "begin", "end"]


def test_groups_of_a_music21_stream():
    from music21 import meter, note, stream

    part = stream.Part([meter.TimeSignature("3/8+2/8+2/8"), note.Note("C4", quarterLength=3.5)])
    assert from_music21(part).meter == Meter.parse("3+2+2/8")


def test_groups_as_others_write_them(tmp_path):
    plain = musicxml(score_from_text(LINE, meter="2+2+2+3/8"))
    pair = "</beats><beat-type>8</beat-type><beats>"
    for beats in ("2+2+2+3", pair.join("2223"), " 2 + 2 + 2 + 3 "):
        piece = reads(tmp_path, "a.xml", plain.replace("2+2+2+3", beats))
        assert str(piece.meter) == "2+2+2+3/8"
    mixed = reads(tmp_path, "a.abc", tune("Z|CDEFG|", "(2+3)/8").replace("L:1/4", "L:1/8"))
    assert (str(mixed.meter), mixed.notes[0].start) == ("2+3/8", 10)
    with pytest.raises(ValueError, match=r"3\+2/8"):
        reads(tmp_path, "a.abc", tune("C5|[M:3+2/8]C5|", "2+3/8").replace("L:1/4", "L:1/8"))


def test_other_groups_later_are_another_metre(tmp_path):
    measure = (
        "<measure number='{}'><attributes><divisions>2</divisions><time><beats>{}</beats>"
        "<beat-type>8</beat-type></time></attributes><note><pitch><step>C</step><octave>4</octave>"
        "</pitch><duration>7</duration></note></measure>"
    )
    document = (
        "<score-partwise><part-list><score-part id='P'/></part-list><part id='P'>{}{}</part>"
        "</score-partwise>"
    )
    same = document.format(measure.format(1, "3+2+2"), measure.format(2, "3+2+2"))
    assert str(reads(tmp_path, "a.xml", same).meter) == "3+2+2/8"
    other = document.format(measure.format(1, "3+2+2"), measure.format(2, "2+3+2"))
    with pytest.raises(ValueError, match=r"2\+3\+2/8"):
        reads(tmp_path, "a.xml", other)
    assert reads(tmp_path, "a.xml", other, meter="7/8").bars == 2


def test_a_bar_of_a_thousand_notes_takes_no_time():
    data = tune("CDEF|" + "C" * 1000 + "|").encode()
    with pytest.raises(RefusedError, match="1000"):
        read_piece(data, ".abc", limits=Limits(seconds=2))


def test_notes_without_a_unit_are_as_long_as_the_metre_has_them(tmp_path):
    lengths = {}
    for meter in ("4/4", "3/4", "2/4", "3+2/8"):
        piece = reads(tmp_path, "a.abc", tune("C2D2|", meter).replace("L:1/4\n", ""), pickup=0)
        lengths[meter] = piece.notes[0].duration
    assert lengths == {"4/4": 4, "3/4": 4, "2/4": 2, "3+2/8": 2}
