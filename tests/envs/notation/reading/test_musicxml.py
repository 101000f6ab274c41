"""MusicXML as other programs write it: rests, tuplets, voices, ties, transposition."""

import json
from pathlib import Path

import pytest

from envs.errors import RefusedError
from envs.music.codec import Note
from envs.music.key import Key
from envs.music.piece import notes_of
from envs.notation.reading.readers import read_piece
from envs.notation.reading.selection import Known
from envs.notation.reading.sheets.musicxml import read_draft
from envs.notation.text_line import score_from_text
from tests.envs.notation.files import reads
from tests.envs.notation.reading.scores import FOUR, QUARTERS, TIME, back, note, score, voice

FILES = Path(__file__).parent / "files"
CASES = {
    name: case
    for name, case in json.loads((FILES / "expected.json").read_text()).items()
    if name.endswith(".musicxml")
}


def line_of(text: str) -> list[tuple[int, int, int]]:
    """Start, length and pitch of a line such as 'r:4 C4:8'."""
    found, start = [], 0
    for word in text.split():
        name, length = word.split(":")
        if name != "r":
            pitch = notes_of(score_from_text(f"{name}:4"), 0)[0].pitch
            found.append((start, int(length), pitch))
        start += int(length)
    return found


def lines(piece) -> list[list[tuple[int, int, int]]]:
    """Start, length and pitch of the notes of each voice."""
    return [
        [(n.start, n.duration, n.pitch) for n in piece.notes if n.voice == voice]
        for voice in range(piece.task.voices)
    ]


@pytest.mark.parametrize("name", CASES)
def test_the_cases_of_bug_reports(name):
    case = CASES[name]
    if "voices" in case:
        expected, grid = case["voices"], 4
    else:
        grid = int(case["expect"].split(":")[0].removeprefix("grid "))
        expected = [case["expect"].partition(": ")[2]]
    if case.get("with_top"):
        with pytest.raises(RefusedError, match="--top"):
            read_piece(FILES / name)
    piece = read_piece(FILES / name, top=bool(case.get("with_top")))
    assert lines(piece) == [line_of(text) for text in expected]
    assert (piece.task.grid, piece.pickup) == (grid, case.get("pickup", 0))
    assert [notice for notice in piece.notices if "silent bar is added" not in notice] == []


# -- rests that stand for measures -----------------------------------------------------------------

WHOLE = note("r", 4, attributes='measure="yes"')


@pytest.mark.parametrize(
    "rest",
    [WHOLE, note("r", 4), note("r", 4, "<type>whole</type>"), note("r", 2), note("r", 1),
     "<forward><duration>4</duration></forward>", ""],
)  # fmt: skip
def test_rests_as_long_as_a_bar_leave_an_upbeat_and_a_short_end(tmp_path, rest):
    high = [note("G4", 1), FOUR, note("C4", 3)]
    low = [rest, note("C3", 4), rest]
    piece = reads(tmp_path, "a.xml", score(high, low))
    assert (piece.pickup, piece.bars, piece.notices) == (4, 2, ())
    assert lines(piece)[1] == [(4, 16, 48)]
    assert reads(tmp_path, "a.xml", score(low, high)).pickup == 4
    assert reads(tmp_path, "a.xml", score(high, low), part=2).pickup == 4


def test_a_rest_of_the_whole_bar_beside_a_voice_with_gaps(tmp_path):
    gap = voice(1, WHOLE) + back(4) + voice(2, note("E4", 2))
    piece = reads(tmp_path, "a.xml", score([FOUR, gap, FOUR]))
    assert piece.bars == 3
    assert piece.notices == ()
    assert lines(piece)[1] == [(16, 8, 64)]


def test_rests_that_hang_over_a_bar_and_empty_bars(tmp_path):
    over = note("C4", 1) + note("D4", 1) + note("r", 4)
    piece = reads(tmp_path, "a.xml", score([FOUR, over, FOUR, "", FOUR]))
    assert [n.start for n in piece.notes if n.pitch == 60] == [0, 16, 32, 64]


def test_an_upbeat_beside_a_rest_of_the_whole_bar_in_the_same_part(tmp_path):
    upbeat = voice(1, note("G4", 1)) + back(1) + voice(2, WHOLE)
    piece = reads(tmp_path, "a.xml", score([upbeat, voice(1, *QUARTERS)]))
    assert (piece.pickup, len(piece.notices)) == (4, 1)
    assert "silent bar" in piece.notices[0]  # behind the last one, which is whole


# -- tuplets ---------------------------------------------------------------------------------------

EIGHTH = "<type>eighth</type>"
TUPLET = "<time-modification><actual-notes>{}</actual-notes><normal-notes>{}</normal-notes>"
TUPLET += "</time-modification>"


@pytest.mark.parametrize(
    ("divisions", "lengths"),
    [(256, (85, 85, 86)), (256, (85, 85, 85)), (1024, (341, 341, 342)), (4, (1, 2, 1)),
     (2, (1, 0, 1)), (1, (0, 0, 1)), (10, (3, 3, 4)), (3, (1, 1, 1)), (480, (160, 160, 160))],
)  # fmt: skip
def test_rounded_triplets_are_exact(tmp_path, divisions, lengths):
    more = EIGHTH + TUPLET.format(3, 2)
    high = [note("C4", length, more) for length in lengths]
    high += [note("E4", divisions), note("r", 2 * divisions)]
    low = voice(2, note("C3", 4 * divisions))
    held = sum(lengths) + 3 * divisions
    document = score([voice(1, *high) + back(held) + low], divisions=divisions)
    piece = reads(tmp_path, "a.xml", document)
    assert piece.task.grid == 3
    assert [n.start for n in piece.notes] == [0, 1, 2, 3, 0]


def test_other_tuplets_and_durations_that_are_right(tmp_path):
    five = "".join(note("C4", 205, "<type>16th</type>" + TUPLET.format(5, 4)) for _ in range(5))
    draft = read_draft(score([five + note("r", 3072)], divisions=1024).encode(), Known())
    assert [sound.start * 5 for sound in draft.parts[0].voices[0]] == [0, 1, 2, 3, 4]
    # Without a tuplet the durations hold: thirds of a quarter that are written as eighths.
    plain = "".join(note("C4", 1, EIGHTH) for _ in range(3))
    draft = read_draft(score([plain + note("r", 9)], divisions=3).encode(), Known())
    assert [sound.start * 3 for sound in draft.parts[0].voices[0]] == [0, 1, 2]
    # Seventeenths are none of a note: two dotted quarters make three.
    dotted = "".join(note("C4", n, "<type>quarter</type><dot/>") for n in (25, 26))
    draft = read_draft(score([dotted], divisions=17, time="3/4").encode(), Known())
    assert [sound.end * 2 for sound in draft.parts[0].voices[0]] == [3, 6]


# -- voices and staves -----------------------------------------------------------------------------


def test_voices_that_come_and_go_are_one_voice_by_their_number(tmp_path):
    both = voice(1, *QUARTERS) + back(4) + voice(2, note("C3", 4))
    low_first = voice(2, note("D3", 4)) + back(4) + voice(1, *QUARTERS)
    measures = [voice(1, *QUARTERS), both, voice(1, *QUARTERS), low_first]
    piece = reads(tmp_path, "a.xml", score(measures))
    assert lines(piece)[1] == [(16, 16, 48), (48, 16, 50)]
    alone = reads(tmp_path, "a.xml", score(measures), part=1, voice=2)
    assert lines(alone) == [lines(piece)[1]]


def test_backups_without_voices_begin_voices(tmp_path):
    piece = reads(tmp_path, "a.xml", score([FOUR + back(4) + note("C3", 2) + note("D3", 2)]))
    assert [len(line) for line in lines(piece)] == [4, 2]


def test_a_chord_of_another_voice_or_part_does_not_matter(tmp_path):
    chord = note("E3", 4, before="<chord/>")
    measure = voice(1, *QUARTERS) + back(4) + voice(2, note("C3", 4), chord)
    with pytest.raises(RefusedError, match="--top"):
        reads(tmp_path, "a.xml", score([measure]))
    assert len(reads(tmp_path, "a.xml", score([measure]), voice=1).notes) == 4
    assert lines(reads(tmp_path, "a.xml", score([measure]), voice=2, top=True)) == [[(0, 16, 52)]]


def test_a_note_of_a_chord_lasts_no_longer_than_its_first(tmp_path):
    for length, cells in ((5, 16), (4, 16), (2, 8)):
        chord = note("C4", 4) + note("E4", length, before="<chord/>")
        piece = reads(tmp_path, "a.xml", score([FOUR, chord, FOUR]), top=True)
        assert Note(16, cells, 64) in piece.notes


def staff(number: int, *notes: str) -> str:
    return "".join(each.replace("</note>", f"<staff>{number}</staff></note>") for each in notes)


def test_staves_are_parts_and_a_voice_that_crosses_stays_one(tmp_path):
    first, second = "<staves>2</staves>", voice(5, staff(2, note("C3", 4)))
    cross = [staff(1, each) for each in QUARTERS[:3]] + [staff(2, QUARTERS[3])]
    straight = [staff(1, each) for each in QUARTERS]
    measures = [voice(1, *line) + back(4) + second for line in (cross, straight)]
    document = score(measures, first=first)
    piece = reads(tmp_path, "a.xml", document, part=1)
    assert [n.pitch for n in piece.notes] == [60, 62, 64, 65] * 2
    assert lines(reads(tmp_path, "a.xml", document, part=2)) == [[(0, 16, 48), (16, 16, 48)]]
    # Programs that count the voices of each staff from one.
    same = document.replace("<voice>5</voice>", "<voice>1</voice>").replace(
        "</pitch><duration>1</duration><staff>2</staff>", "</pitch><duration>1</duration>"
    )
    assert lines(reads(tmp_path, "a.xml", same, part=2)) == [[(0, 16, 48), (16, 16, 48)]]


def test_a_long_part_is_read_by_its_bars(tmp_path):
    document = score([FOUR] * 90, [FOUR] * 90)
    with pytest.raises(RefusedError, match="90 bars"):
        reads(tmp_path, "a.xml", document)
    piece = reads(tmp_path, "a.xml", document, bars=(33, 64), part=2)
    assert (piece.bars, piece.numbers[0]) == (32, 33)


def test_parts_in_two_metres_at_once(tmp_path):
    document = score([note("C4", 3), note("D4", 3)], [FOUR, FOUR])
    document = document.replace(TIME.format(4, 4), TIME.format(3, 4), 1)
    with pytest.raises(RefusedError, match="3/4"):
        reads(tmp_path, "a.xml", document)
    piece = reads(tmp_path, "a.xml", document, part=1)
    assert (piece.notes, piece.notices) == ((Note(0, 12, 60), Note(12, 12, 62)), ())
    assert len(reads(tmp_path, "a.xml", document, part=2).notes) == 8


# -- what is no note, and pitch --------------------------------------------------------------------


@pytest.mark.parametrize(
    "left_out",
    [
        note("C6", 2, before="<cue/>"),
        "<note><unpitched/><duration>2</duration></note>",
        note("r", 2, attributes='print-object="no"'),
        note("B4", 2, "<notehead>slash</notehead>"),
        "<forward><duration>2</duration></forward>",
    ],
)
def test_silence_as_long_as_what_is_left_out(tmp_path, left_out):
    grace = "<note><grace/><pitch><step>D</step><octave>4</octave></pitch></note>"
    piece = reads(tmp_path, "a.xml", score([left_out + grace + note("E4", 2)]))
    assert piece.notes == (Note(8, 8, 64),)


def test_notes_that_are_not_printed_are_left_out_beside_others_only(tmp_path):
    hidden = voice(2, note("D5", 1, attributes='print-object="no"'), note("C5", 1))
    hidden = hidden.replace("<note >", '<note print-object="no">')
    piece = reads(tmp_path, "a.xml", score([voice(1, *QUARTERS) + back(4) + hidden]))
    assert (piece.task.voices, len(piece.notes)) == (1, 4)
    assert "not printed" in piece.notices[0]
    alone = reads(tmp_path, "a.xml", score([FOUR, hidden + voice(2, note("r", 2))]))
    assert len(alone.notes) == 6


@pytest.mark.parametrize(
    ("transpose", "key", "shift"),
    [
        ("<chromatic>3</chromatic>", "F major", 3),
        ("<octave-change>-1</octave-change>", "D major", -12),
        ("<chromatic>0</chromatic><octave-change>1</octave-change>", "D major", 12),
        ("<diatonic>-1</diatonic><chromatic>-2</chromatic>", "C major", -2),
        ("<chromatic>-2</chromatic>", "C major", -2),
        ("<diatonic>-5</diatonic><chromatic>-9</chromatic>", "F major", -9),
        ("<diatonic>2</diatonic><chromatic>3</chromatic>", "F major", 3),
    ],
)
def test_what_sounds_is_read(tmp_path, transpose, key, shift):
    first = f"<transpose>{transpose}</transpose><key><fifths>2</fifths><mode>major</mode></key>"
    piece = reads(tmp_path, "a.xml", score([FOUR], first=first))
    assert [n.pitch - shift for n in piece.notes] == [60, 62, 64, 65]
    assert piece.key == Key.parse(key)


def test_octave_lines_and_clefs_do_not_transpose(tmp_path):
    clef = "<clef><sign>G</sign><line>2</line><clef-octave-change>-1</clef-octave-change></clef>"
    line = '<direction><direction-type><octave-shift type="down" size="8"/></direction-type>'
    piece = reads(tmp_path, "a.xml", score([line + "</direction>" + FOUR], first=clef))
    assert piece.notes[0].pitch == 60


def test_quarter_tones_are_refused_by_name(tmp_path):
    document = score([FOUR.replace("</step>", "</step><alter>0.5</alter>", 1)])
    with pytest.raises(RefusedError, match="quarter tone"):
        reads(tmp_path, "a.xml", document)


# -- ties and repeats ------------------------------------------------------------------------------

START, STOP = '<tie type="start"/>', '<tie type="stop"/>'
ONE, TWO = "".join(QUARTERS[:3]), "".join(QUARTERS[1:])


def test_ties_over_bars_voices_and_marks_alone(tmp_path):
    tied = [ONE + note("G4", 1, START), note("G4", 1, STOP) + TWO]
    marks = score(tied).replace("<tie ", "<notations><tied ")
    for kind in ("start", "stop"):
        marks = marks.replace(f'"{kind}"/>', f'"{kind}"/></notations>')
    for document in (score(tied), marks):
        piece = reads(tmp_path, "a.xml", document)
        assert Note(12, 8, 67) in piece.notes
    other = voice(1, note("r", 4)) + back(4) + voice(2, note("G4", 4, STOP))
    ending = "".join(voice(1, each) for each in QUARTERS[:3]) + voice(1, note("G4", 1, START))
    assert Note(12, 20, 67) in reads(tmp_path, "a.xml", score([ending, other])).notes


def test_a_tie_into_another_voice_leaves_its_own_to_the_next_note(tmp_path):
    ending = "".join(voice(1, each) for each in QUARTERS[:3]) + voice(1, note("G4", 1, START))
    both = voice(1, note("C5", 4)) + back(4) + voice(2, note("G4", 4, STOP))
    piece = reads(tmp_path, "a.xml", score([ending, both]))
    assert lines(piece)[1] == [(12, 20, 67)]
    assert lines(piece)[0][-1] == (16, 16, 72)


BARLINE = '<barline location="{}">{}<ending number="{}" type="{}"/></barline>'


def test_three_endings_and_a_tie_into_the_last(tmp_path):
    def ending(number: int, *notes: str) -> str:
        last = "" if number == 3 else "<repeat direction='backward'/>"
        return (
            BARLINE.format("left", "", number, "start")
            + "".join(notes)
            + BARLINE.format("right", last, number, "stop")
        )

    rest = note("r", 3)
    measures = [ONE + note("G4", 1, START)]
    measures += [ending(n, note("G4", 1, STOP), rest) for n in (1, 2, 3)]
    piece = reads(tmp_path, "a.xml", score(measures))
    assert piece.notes[-1] == Note(12, 8, 67)
    assert "bars 2, 3 left out" in piece.notices[0]
    no_tie = [*measures[:3], ending(3, note("G4", 1), rest)]
    assert reads(tmp_path, "a.xml", score(no_tie)).notes[-2:] == (Note(12, 4, 67), Note(16, 4, 67))


def test_endings_that_begin_nowhere_or_anew_in_each_bar(tmp_path):
    def mark(place: str, number: object, kind: str) -> str:
        return BARLINE.format(place, "", number, kind)

    stop = FOUR + mark("right", "", "stop")
    second = mark("left", 2, "start") + note("A4", 4) + mark("right", 2, "discontinue")
    piece = reads(tmp_path, "a.xml", score([FOUR, stop, second]))
    assert "bar 2 left out" in piece.notices[0]
    anew = mark("left", 1, "start") + FOUR
    piece = reads(tmp_path, "a.xml", score([FOUR, anew, anew, second, second]))
    assert "bars 2, 3 left out" in piece.notices[0]
    assert piece.notes[-2:] == (Note(16, 16, 69), Note(32, 16, 69))


def test_a_tie_over_a_bar_that_is_filled_up_is_told(tmp_path):
    short = note("E4", 2) + note("G4", 1, START)
    measures = [FOUR, short, note("G4", 1, STOP) + TWO, FOUR]
    piece = reads(tmp_path, "a.xml", score(measures))
    assert Note(24, 12, 67) in piece.notes  # not broken: it ends where it is written
    assert any("tied over" in notice for notice in piece.notices)
    measures[2] = note("G4", 1) + TWO
    notices = reads(tmp_path, "a.xml", score(measures).replace(START, "")).notices
    assert not any("tied over" in notice for notice in notices)
