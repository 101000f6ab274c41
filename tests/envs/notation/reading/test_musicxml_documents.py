"""Documents of MusicXML: encodings, scores by time, changes on the way, tempo, refusals."""

import time

import pytest

from envs.errors import RefusedError
from envs.notation.reading.readers import from_music21, read_piece
from envs.notation.reading.selection import Known
from envs.notation.reading.sheets.musicxml import read_draft
from envs.notation.text_line import score_from_text
from envs.notation.writing.musicxml import musicxml
from tests.envs.notation.files import reads
from tests.envs.notation.reading.scores import FOUR, TIME, back, note, score

ONE = "".join(note(name, 1) for name in ("C4", "D4", "E4"))
TITLED = "<work><work-title>Jalousie é</work-title></work><part-list>"


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("ISO-8859-1", "latin-1"), ("windows-1252", "cp1252"), ("UTF-16", "utf-16"),
     ("UTF-16", "utf-16-le"), ("UTF-16", "utf-16-be"), ("UTF-16", "utf-8"), ("UTF-8", "utf-8-sig"),
     ("UTF-8", "utf-8"), ("UTF-8", "latin-1"), ("macintosh", "mac_roman"), ("nonsense", "utf-8")],
)  # fmt: skip
def test_encodings(tmp_path, declared, encoding):
    text = f'<?xml version="1.0" encoding="{declared}"?>\n'
    text += score([FOUR]).replace("<part-list>", TITLED)
    for content in (text, text + "\n"):  # of odd and of even length
        piece = reads(tmp_path, "a.xml", content.encode(encoding))
        assert (piece.title, len(piece.notes)) == ("Jalousie é", 4)


def test_scores_by_time_and_with_prefixes(tmp_path):
    start = "<attributes><divisions>1</divisions>" + TIME.format(4, 4) + "</attributes>"
    body = "".join(
        f'<measure number="{number}"><part id="A">{start}{FOUR}</part>'
        f'<part id="B">{start}{note("C3", 4)}</part></measure>'
        for number in (5, 6)
    )
    document = f"<score-timewise><part-list/>{body}</score-timewise>"
    piece = reads(tmp_path, "a.xml", document)
    assert (piece.task.voices, piece.bars, piece.numbers) == (2, 2, (5, 6))
    prefixed = score([FOUR]).replace("</", "</m:").replace("<m:", "<").replace("<", "<m:")
    prefixed = prefixed.replace("<m:/m:", "</m:").replace("<m:/", "</m:")
    assert len(reads(tmp_path, "a.xml", prefixed).notes) == 4


def test_divisions_and_metres_that_change_and_none(tmp_path):
    halved = "<attributes><divisions>2</divisions></attributes>"
    twice = halved + "".join(note(name, 2) for name in ("C4", "D4", "E4", "F4"))
    piece = reads(tmp_path, "a.xml", score([FOUR, twice]))
    assert [n.start for n in piece.notes] == [0, 4, 8, 12, 16, 20, 24, 28]
    changed = f"<attributes>{TIME.format(3, 4)}</attributes>" + ONE
    document = score([FOUR, changed, FOUR])
    with pytest.raises(RefusedError, match="bar 2"):
        reads(tmp_path, "a.xml", document)
    assert reads(tmp_path, "a.xml", document, bars=(1, 1)).bars == 1
    free = score([FOUR], time="", first="<time><senza-misura/></time>")
    assert reads(tmp_path, "a.xml", free).bars == 1


@pytest.mark.parametrize(
    ("direction", "tempo"),
    [
        ("<sound tempo='90'/>", 90),
        ("<direction><direction-type><metronome><beat-unit>half</beat-unit><per-minute>c. 40.5"
         "</per-minute></metronome></direction-type><sound tempo='200'/></direction>", 81),
        ("<direction><direction-type><metronome><beat-unit>quarter</beat-unit><beat-unit-dot/>"
         "<per-minute>60</per-minute></metronome></direction-type></direction>", 90),
        ("<sound tempo='fast'/>", None),
    ],
)  # fmt: skip
def test_tempo(tmp_path, direction, tempo):
    assert reads(tmp_path, "a.xml", score([direction + FOUR])).tempo == tempo


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("<duration>1</duration>", "<duration>-1</duration>"),
        ("<duration>1</duration>", "<duration>1e9</duration>"),
        ("<octave>4</octave>", "<octave>44</octave>"),
        ("<step>C</step>", "<step>H</step>"),
        ("<divisions>1</divisions>", "<divisions>0</divisions>"),
        ("</measure>", f"{back(9)}{back(9)}</measure>"),
    ],
)
def test_what_no_program_should_write_is_refused(tmp_path, wrong, right):
    with pytest.raises(RefusedError, match=r"expected|export|beyond|backs up"):
        reads(tmp_path, "a.xml", score([FOUR]).replace(wrong, right, 1))


def test_what_is_written_is_read_by_another_reader_alike():
    from music21 import converter

    line = "C4:3 E4:3 G4:6 C5:12 r:12 A4:4 B4:4 C5:4 ; C3:24 G3:24"
    document = musicxml(score_from_text(line, grid=12, key="A minor"))
    theirs = from_music21(converter.parseData(document, format="musicxml"), grid=12)
    ours = read_piece(document.encode(), ".xml", grid=12)
    assert (ours.notes, ours.key, ours.meter) == (theirs.notes, theirs.key, theirs.meter)


def test_a_sign_for_the_bar_before_is_that_bar_again(tmp_path):
    def sign(count: int, kind: str = "start", more: str = "") -> str:
        inside = f'<measure-repeat type="{kind}">{count or ""}</measure-repeat>'
        return f"<attributes><measure-style {more}>{inside}</measure-style></attributes>"

    other = "".join(note(name, 1) for name in ("G4", "A4", "B4", "C5"))
    rest = note("r", 4, attributes='measure="yes"')
    for bars, pitches in (
        ([FOUR, sign(1) + rest, rest, sign(0, "stop") + other], (60, 60, 60, 67)),
        ([FOUR, other, sign(2), rest, sign(0, "stop") + rest], (60, 67, 60, 67)),
        ([FOUR, sign(1) + other, rest, sign(0, "stop") + rest], (60, 67, 67)),  # written out
    ):
        piece = reads(tmp_path, "a.xml", score(bars))
        assert tuple(n.pitch for n in piece.notes if n.start % 16 == 0) == pitches
        assert len(piece.notes) == 4 * len(pitches)
    low = FOUR.replace("</note>", "<staff>2</staff></note>")
    staves = [other + back(4) + low, sign(1, more='number="2"') + FOUR]
    assert [len(reads(tmp_path, "a.xml", score(staves), part=n).notes) for n in (1, 2)] == [8, 8]
    for bars in (
        [sign(1) + rest],
        [FOUR, sign(2) + rest],
        [FOUR, sign(1).replace("measure-r", "beat-r")],
    ):
        with pytest.raises(RefusedError, match="sign"):
            reads(tmp_path, "a.xml", score(bars))


def test_a_tie_goes_on_where_another_part_has_a_longer_bar():
    tie = [
        note("C4", 3) + note("G4", 1, '<tie type="start"/>'),
        note("G4", 4, '<tie type="stop"/>'),
    ]
    draft = read_draft(score(tie, [FOUR + note("G4", 1), FOUR], time="").encode(), Known())
    assert [(s.start, s.end) for s in draft.parts[0].voices[0]] == [(0, 3), (3, 9)]
    rest = [tie[0].replace('<tie type="start"/>', ""), tie[1]]
    draft = read_draft(score(rest, [FOUR + note("G4", 1), FOUR], time="").encode(), Known())
    assert [(s.start, s.end) for s in draft.parts[0].voices[0]] == [(0, 3), (3, 4), (5, 9)]


def test_many_backups_and_staves_take_no_time(tmp_path):
    bar = "".join(
        note("C4", 1) + back(1) + "<forward><duration>2</duration></forward>" for _ in range(4000)
    )
    begun = time.perf_counter()
    read_draft(score([bar]).encode(), Known())
    assert time.perf_counter() - begun < 5
    staves = [note("C4", 4, f"<staff>{n}</staff>") + back(4) for n in range(65)]
    with pytest.raises(RefusedError, match="staves"):
        reads(tmp_path, "a.xml", score(["".join(staves)]))
