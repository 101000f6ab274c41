"""Pieces read from files: their data, and the places of their bars."""

import numpy as np
import pytest

from envs.music.codec import Note
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.piece import ROOM, Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.assemble import printable
from envs.notation.reading.readers import from_music21
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.engrave import svg
from envs.notation.writing.midi import midi_bytes
from envs.notation.writing.musicxml import Marks, musicxml, symbol_id
from tests.envs.notation.files import mxl, reads, tune


def pitches(piece: Piece) -> list[int]:
    return [note.pitch for note in piece.notes]


# -- what a file says of itself --------------------------------------------------------------------


def upbeat_piece() -> Score:
    notes = [Note(0, 2, 74), Note(2, 6, 79), Note(8, 6, 78), Note(14, 12, 67), Note(26, 8, 79)]
    task = Task(Key("G"), Meter(6, 8), 3, 60, 84, pickup=2)
    return Score(task.codec.encode(notes, task.cells)[None, None], task)


@pytest.mark.parametrize("form", ["a.musicxml", "a.mxl", "a.abc"])
def test_a_file_tells_key_metre_tempo_upbeat_bars_and_title(tmp_path, form):
    score = upbeat_piece()
    write = abc if form.endswith("abc") else musicxml
    content = write(score, title="Morning  song", tempo=66)
    piece = reads(tmp_path, form, mxl(content) if form.endswith("mxl") else content)
    assert (piece.key, piece.estimated) == (Key("G"), False)
    assert (piece.meter, piece.tempo, piece.pickup, piece.bars) == (Meter(6, 8), 66, 2, 3)
    assert (piece.title, piece.voices, piece.grid) == ("Morning song", 1, 4)
    assert piece.numbers == (0, 1, 2, 3)
    assert piece.notices == ()
    again = piece.score
    assert (again.tokens == score.tokens).all()
    assert again.task.bar_lines == score.task.bar_lines


def test_midi_tells_key_metre_and_tempo(tmp_path):
    score = score_from_text("A4:6 B4:6 ; E3:12", "A minor", "6/8")
    piece = reads(tmp_path, "a.mid", midi_bytes(score, tempo=66))
    assert (piece.key, piece.meter, piece.tempo) == (Key("A", "minor"), Meter(6, 8), 66)
    assert (piece.pickup, piece.bars, piece.voices, piece.title) == (0, 1, 2, "")
    assert (piece.score.tokens[0, 0, :7] == [23, 1, 1, 1, 1, 1, 25]).all()


def test_what_the_caller_knows_better(tmp_path):
    content = midi_bytes(score_from_text("D4 E4 F#4 G4 A4"))
    piece = reads(tmp_path, "a.mid", content, key="D major", meter="3/4", pickup=4, grid=8)
    assert (piece.key, piece.meter, piece.pickup, piece.grid) == (Key("D"), Meter(3, 4), 4, 8)
    assert (piece.bars, piece.estimated, piece.numbers) == (3, False, (0, 1, 2, 3))  # with the rest
    with pytest.raises(ValueError, match="pickup=99"):
        reads(tmp_path, "a.mid", content, pickup=99)
    with pytest.raises(ValueError, match="part 0"):
        reads(tmp_path, "a.mid", content, part=0)


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("Ador", "A dorian"), ("F#m", "F# minor"), ("Bb", "Bb major"), ("D mix", "D mixolydian"),
        ("Bloc", "B locrian"), ("Flyd", "F lydian"), ("Hp", "A mixolydian"), ("Amin", "A minor"),
        ("G clef=bass", "G major"), ("E Phr % x", "E phrygian"),
    ],
)  # fmt: skip
def test_keys_of_abc(tmp_path, field, key):
    piece = reads(tmp_path, "a.abc", tune("CDEF|G4|", key=field))
    assert (str(piece.key), piece.estimated) == (key, False)


def test_a_key_that_is_not_named_is_estimated(tmp_path):
    piece = reads(tmp_path, "a.abc", tune("E F ^G A|B c d e|A4|", key="none"))
    assert (str(piece.key), piece.estimated) == ("A minor", True)
    flats = reads(tmp_path, "b.abc", tune("_E F G _A|_B c d _e|_B2 G2|_E4|", key="none"))
    assert str(flats.key) == "Eb major"
    document = musicxml(score_from_text("E4 G4 F#4 B4 E5 D5 C5 B4 E4:16", "G major"))
    unsaid = document.replace("<mode>major</mode>", "")
    assert unsaid != document
    relative = reads(tmp_path, "a.musicxml", unsaid)
    assert (str(relative.key), relative.estimated) == ("E minor", True)


def test_a_change_of_key_is_told(tmp_path):
    piece = reads(tmp_path, "a.abc", tune("CDEF|\nK:D\nDEFG|"))
    assert piece.key == Key("C")
    assert len(piece.notices) == 1
    assert "the key signature changes at bar" in piece.notices[0]


@pytest.mark.parametrize(
    "body", ["G|CDEF|GABc|[M:3/4]CDE|F3|", 'G|CDEF|"^M:1"GABc|\nM:3/4\nCDE|F3|']
)
def test_a_change_of_metre_is_refused_with_its_bar(tmp_path, body):
    with pytest.raises(ValueError, match="bar 3"):
        reads(tmp_path, "a.abc", tune(body, "C"))
    document = musicxml(score_from_text("C4 D4 E4 F4 " * 3))
    two = '<measure number="3" implicit="no"><attributes><time><beats>3</beats>'
    two += "<beat-type>4</beat-type></time></attributes>"
    changed = document.replace('<measure number="3" implicit="no">', two)
    assert changed != document
    with pytest.raises(ValueError, match="bar 3"):
        reads(tmp_path, "a.xml", changed)


def midi(notes, signatures=((0, 4, 4),), quarter=480, drums=()) -> bytes:
    import symusic

    file = symusic.Score(quarter)
    for signature in signatures:
        file.time_signatures.append(symusic.TimeSignature(*signature))
    for voice in [notes] if isinstance(notes[0], tuple) else notes:
        track = symusic.Track(name="A")
        for start, length, pitch in voice:
            track.notes.append(symusic.Note(start, length, pitch, 80))
        file.tracks.append(track)
    return file.dumps_midi()


def test_metres_of_midi(tmp_path):
    line = [(480 * n, 480, 60 + n) for n in range(14)]
    with pytest.raises(ValueError, match="bar 3"):
        reads(tmp_path, "a.mid", midi(line, [(0, 4, 4), (8 * 480, 3, 4)]))
    line = line[:9]
    upbeat = reads(tmp_path, "a.mid", midi(line, [(0, 1, 4), (480, 4, 4), (480, 4, 4)]))
    assert (upbeat.pickup, upbeat.meter, upbeat.bars) == (4, Meter(4, 4), 3)
    assert upbeat.score.task.bar_lines == (0, 4, 20, 36)
    unsaid = reads(tmp_path, "a.mid", midi(line, []))
    assert (unsaid.meter, unsaid.notices[0]) == (
        Meter(4, 4),
        "the file names no metre: 4/4 is taken",
    )


def test_bars_tell_a_metre_that_is_not_named():
    from music21 import note, stream

    part = stream.Part()
    for _ in range(4):
        part.append(stream.Measure([note.Note("C4"), note.Note("D4"), note.Note("E4")]))
    piece = from_music21(part)
    assert (piece.meter, piece.bars) == (Meter(3, 4), 4)
    assert "the file names no metre: 3/4 by its bars' lengths" in piece.notices


def test_tempo_and_title_of_a_stranger(tmp_path):
    for mark, tempo in (
        ("Q:1/4=90\n", 90),
        ("Q:3/8=60\n", 90),
        ("Q:1/4=1\n", None),
        ("Q:1/4=0\n", None),
        ("", None),
    ):
        assert reads(tmp_path, "a.abc", tune("CDEF|", more=mark)).tempo == tempo
    assert printable(" a\n b\t\u202ec\x00d ") == "a b cd"
    assert len(printable("x" * 10**6)) == 120
    titled = tune("CDEF|").replace("A tune", "<script>alert(1)</script>")
    assert reads(tmp_path, "a.abc", titled).title == "<script>alert(1)</script>"


# -- grids -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lengths", "meter", "grid"),
    [
        ((480, 480), (4, 4), 4), ((240, 120, 120), (4, 4), 4), ((160, 160, 160), (2, 4), 3),
        ((160, 80, 80, 240), (4, 4), 6), ((60, 420), (4, 4), 8), ((120, 160, 40), (4, 4), 12),
        ((160, 160, 160), (6, 8), 6),
    ],
)  # fmt: skip
def test_a_grid_that_fits_is_found(tmp_path, lengths, meter, grid):
    at, notes = 0, []
    for number, length in enumerate(lengths * 4):
        notes.append((at, length, 60 + number % 7))
        at += length
    piece = reads(tmp_path, "a.mid", midi(notes, [(0, *meter)]))
    assert piece.grid == grid
    assert [note.duration for note in piece.notes] == [n * grid // 480 for n in lengths * 4]


def test_notes_off_every_grid_say_what_would_fit(tmp_path):
    fifths = midi([(0, 96, 60), (96, 96, 62), (192, 288, 64)])
    with pytest.raises(ValueError, match="grid 5"):
        reads(tmp_path, "a.mid", fifths)
    assert reads(tmp_path, "a.mid", fifths, grid=5).notes[1] == Note(1, 1, 62)


def test_midi_cuts_its_notes_short_and_counts_in_ticks(tmp_path):
    short = midi([(0, 455, 60), (480, 227, 62), (720, 300, 64), (960, 455, 65), (1440, 1, 67)])
    piece = reads(tmp_path, "a.mid", short)
    assert [(n.start, n.duration) for n in piece.notes] == [(0, 4), (4, 2), (6, 2), (8, 4), (12, 1)]
    assert piece.notices == ("the ends of some notes are rounded to the grid",)
    # A third of 1024 ticks is no whole number.
    thirds = midi([(0, 341, 60), (341, 341, 62), (683, 341, 64)], quarter=1024)
    piece = reads(tmp_path, "a.mid", thirds)
    assert (piece.grid, piece.notes[2]) == (3, Note(2, 1, 64))
    assert piece.notices == ()
    with pytest.raises(ValueError, match="E4"):
        reads(tmp_path, "a.mid", midi([(0, 960, 60), (480, 480, 64)]))


# -- voices ----------------------------------------------------------------------------------------


def test_parts_are_voices_and_one_can_be_chosen(tmp_path):
    content = midi([[(0, 480, 72)], [(0, 480, 67), (480, 480, 65)], [(0, 480, 48)]])
    assert reads(tmp_path, "a.mid", content).voices == 3
    alone = reads(tmp_path, "a.mid", content, part=2)
    assert (alone.voices, pitches(alone)) == (1, [67, 65])
    with pytest.raises(ValueError, match="1 .*, 2 .*, 3 "):
        reads(tmp_path, "a.mid", content, part=4)
    many = midi([[(0, 480, 60 + voice)] for voice in range(9)])
    with pytest.raises(ValueError, match="9 voices"):
        reads(tmp_path, "a.mid", many)
    assert pitches(reads(tmp_path, "a.mid", many, part=9)) == [68]


def test_a_chord_in_another_part_does_not_matter(tmp_path):
    document = musicxml(score_from_text("C5 D5 ; C4 E4"))
    place = document.index("</note>", document.index('<part id="P2">')) + len("</note>")
    more = "<note><chord/><pitch><step>G</step><octave>4</octave></pitch><duration>10080</duration>"
    chord = document[:place] + more + "</note>" + document[place:]
    with pytest.raises(ValueError, match="chord"):
        reads(tmp_path, "a.xml", chord)
    assert pitches(reads(tmp_path, "a.xml", chord, part=1)) == [72, 74]


def test_the_task_is_wide_enough_and_moves_to_every_key(tmp_path):
    for low, high in ((60, 60), (0, 3), (125, 127), (40, 90)):
        content = midi([(0, 120, low), (120, 120, high)])
        task = (piece := reads(tmp_path, "a.mid", content)).task
        assert 0 <= task.low <= low <= high <= task.high <= 127
        assert task.high - task.low in (ROOM, high - low, 127 - task.low)
        assert piece.score.finished


def test_music21_streams(tmp_path):
    from music21 import converter, note, stream

    line = stream.Stream([note.Note("C4"), note.Note("E4", quarterLength=2), note.Rest()])
    piece = from_music21(line)
    assert piece.notes == (Note(0, 4, 60), Note(4, 8, 64))
    assert piece.notices == ("the file names no metre: 4/4 is taken",)
    assert from_music21(line, meter="3/4", pickup=0).notes == piece.notes
    two = converter.parseData(
        tune("CDEF|") + "\n" + tune("GABc|").replace("X:1", "X:2"), format="abc"
    )
    with pytest.raises(ValueError, match="2 tunes"):
        from_music21(two)
    with pytest.raises(ValueError, match="no notes"):
        from_music21(stream.Score())
    assert from_music21(two, tune=2).notes[0].pitch == 67
    assert from_music21(two.scores[1], key="G dorian").key == Key("G", "dorian")


def test_music21_streams_sound_as_they_are_written_and_keep_short_measures():
    from music21 import harmony, instrument, meter, note, stream

    upbeat = stream.Measure([meter.TimeSignature("3/4"), note.Note("G4")], number=0)
    bars = [stream.Measure([note.Note("C4", quarterLength=3)], number=at) for at in (1, 2)]
    part = stream.Part([instrument.Clarinet()])
    part.append([upbeat, *bars])
    piece = from_music21(part)
    assert (piece.pickup, piece.bars, [n.pitch for n in piece.notes]) == (4, 3, [67, 60, 60])
    grace = stream.Part([note.Note("E4").getGrace(), harmony.ChordSymbol("Dm"), note.Note("D4")])
    assert from_music21(grace).notes == (Note(0, 4, 62),)
    both = stream.Measure([stream.Voice([note.Note(p, quarterLength=4)]) for p in ("C5", "C4")])
    for each in both.voices:
        both.setElementOffset(each, 0)
    assert from_music21(stream.Part([both])).notes == (Note(0, 16, 72), Note(0, 16, 60, 1))


# -- ABC as people write it ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "lengths"),
    [
        ("c>d e<f|", (6, 2, 2, 6)), ("c>-c d2|", (8, 8)), ("c>{e}d e2|", (6, 2, 8)),
        ("(c>d) (e2|)", (6, 2, 8)), ("c>>d !trill!e2|", (7, 1, 8)), ("Hc2 Td2|", (8, 8)),
        ("x2 c2|", (8,)), ('"G>"c2 "^<-"d2|', (8, 8)), ("c3// y ~d2.e// e|", (3, 8, 1, 4)),
        ("Z|c4|", (16,)), ("vc2 ud2|", (8, 8)), ("[r:no note]c4|", (16,)),
        ("c/>d/ e3|", (3, 1, 12)),
    ],
)  # fmt: skip
def test_decorations_do_not_change_notes(tmp_path, music, lengths):
    piece = reads(tmp_path, "a.abc", tune(music), grid=4)
    assert tuple(note.duration for note in piece.notes) == lengths


def test_voices_written_in_turns(tmp_path):
    lines = "V:1\nCDEF|\nV:2\nC,4|\nK:D\nV:1\nG4|\n[V:2]F,4|[V:1]A4|"
    piece = reads(tmp_path, "a.abc", tune(lines, more="V:1 clef=treble\nV:2 clef=bass\n"))
    assert [(n.voice, n.start, n.pitch) for n in piece.notes[4:]] == [
        (0, 16, 67), (0, 32, 69), (1, 0, 48), (1, 16, 54)
    ]  # fmt: skip
    inside = reads(tmp_path, "a.abc", tune("CDEF|[K:D]CDEF|"))
    assert pitches(inside) == [60, 62, 64, 65, 61, 62, 64, 66]


def test_voices_over_each_other_are_voices(tmp_path):
    piece = reads(tmp_path, "a.abc", tune("c4 & e2 d2|c4|"))
    assert [(n.voice, n.start, n.pitch) for n in piece.notes] == [
        (0, 0, 72), (0, 16, 72), (1, 0, 76), (1, 8, 74)
    ]  # fmt: skip


# -- marks -----------------------------------------------------------------------------------------


def test_marked_notes_have_words_colour_and_a_name():
    import xml.etree.ElementTree as ET

    score = score_from_text("C4 D4 E4:12 F4:12 r:8")
    marks = Marks({(0, 10): "too <long>"}, {(0, 10): "#c2185b", (0, 40): "#c2185b"}, (5, 6, 7))
    document = musicxml(score, title="a", marks=marks)
    root = ET.fromstring(document)
    assert [m.get("number") for m in root.iter("measure")] == ["5", "6", "7"]
    assert [w.text for w in root.iter("words")] == ["too <long>"]
    marked = {n.get("id"): n for n in root.iter("note") if n.get("color")}
    # Both halves of the tied note, and the rest.
    assert list(marked) == [symbol_id(0, cell) for cell in (8, 16, 32)]
    assert [marked[name].findtext("pitch/step") for name in marked] == ["E", "E", None]
    picture = svg(document)
    for name in marked:
        assert f'id="{name}"' in picture
    assert musicxml(score, marks=Marks()) == musicxml(score)


def test_an_upbeat_is_written_as_one():
    import xml.etree.ElementTree as ET

    bars = [*ET.fromstring(musicxml(upbeat_piece())).iter("measure")]
    assert [bar.get("number") for bar in bars] == ["0", "1", "2", "3"]
    assert [bar.get("implicit") for bar in bars][:2] == ["yes", "no"]


@pytest.mark.parametrize("tempo", [-5, 0, 9.99, 401, 1e9, float("nan"), float("inf")])
def test_a_tempo_that_nobody_can_play_is_refused(tempo):
    with pytest.raises(ValueError, match="tempo=.*10 to 400"):
        Piece.of(upbeat_piece(), tempo=tempo)


@pytest.mark.parametrize("tempo", ["x", True, [80]])
def test_a_tempo_is_a_number(tempo):
    with pytest.raises(TypeError, match="tempo="):
        Piece.of(upbeat_piece(), tempo=tempo)
    assert Piece.of(upbeat_piece(), tempo=np.float32(400)).tempo == 400
