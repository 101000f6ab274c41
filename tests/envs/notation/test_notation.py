"""Reading back what was written, with music21 and verovio as second opinion."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from envs.music.codec import HOLD, Note
from envs.music.key import SCALES, Key, written_key
from envs.music.piece import notes_of, score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import parse_notes, score_from_text, text
from envs.notation.writing.abc import abc
from envs.notation.writing.engrave import svg
from envs.notation.writing.midi import midi_bytes, write_midi
from envs.notation.writing.musicxml import Marks, musicxml
from tests.envs.notation.pieces import TONICS, pieces, quick


def reads(folder: Path, name: str, content: str | bytes, grid: int = 4) -> list[Note]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_piece(path, grid=grid).notes)


def same(folder: Path, name: str, content: str | bytes, score: Score) -> None:
    notes = notes_of(score)
    used = sorted({note.voice for note in notes})  # no empty voice is read
    expected = [replace(note, voice=used.index(note.voice)) for note in notes]
    if expected:
        assert reads(folder, name, content, score.task.grid) == expected
    else:
        with pytest.raises(ValueError, match="no notes"):
            reads(folder, name, content, score.task.grid)


# -- what is written reads back --------------------------------------------------------------------


@quick
@given(pieces(grids=range(1, 25)))
def test_midi_reads_back(tmp_path, score):
    same(tmp_path, "a.mid", midi_bytes(score), score)


@quick
@given(pieces(pickups=True))
def test_musicxml_reads_back(tmp_path, score):
    same(tmp_path, "a.musicxml", musicxml(score), score)


@quick
@given(pieces(pickups=True))
def test_abc_reads_back(tmp_path, score):
    tune = abc(score, remarks=["50% done"])
    same(tmp_path, "a.abc", tune, score)
    for custom in ("not", "octave"):  # how long accidentals hold; the default is "pitch"
        other = f"%abc-2.1\n%%propagate-accidentals {custom}\n{tune}"
        same(tmp_path, "b.abc", other, score)


@quick
@given(pieces())
def test_text_reads_back(score):
    task = score.task
    again = score_from_text(text(score), task.key, task.meter, task.grid)
    assert notes_of(again, 0) == notes_of(score, 0)
    assert (again.task.bars, again.task.voices) == (task.bars, task.voices)
    same_range = score_of(notes_of(score, 0), task)
    assert notes_of(same_range, 0) == notes_of(score, 0)


@pytest.mark.parametrize("form", ["musicxml", "abc"])
@settings(quick, max_examples=25)
@given(score=pieces())
def test_music21_finds_the_same_music(form, score):
    from music21 import converter, key, meter, note

    task = score.task
    # music21 does not know K:Bloc and K:Fblyd.
    assume(form != "abc" or (task.key.mode != "locrian" and task.key.tonic != "Fb"))
    document = musicxml(score) if form == "musicxml" else abc(score)
    parsed = converter.parseData(document, format=form)
    assert len(parsed.parts) == task.voices
    shown = written_key(task.key)
    for voice, part in enumerate(parsed.parts):
        found = [
            (Fraction(n.offset) * task.grid, Fraction(n.quarterLength) * task.grid, n.pitch.midi)
            for n in part.stripTies(matchByPitch=False).flatten().getElementsByClass(note.Note)
        ]
        found = [tuple(Fraction(x).limit_denominator(100) for x in each) for each in found]
        written = [n for n in notes_of(score, 0) if n.voice == voice]
        assert found == [(n.start, n.duration, n.pitch) for n in written]
        signatures = {k.sharps for k in part.recurse().getElementsByClass(key.KeySignature)}
        assert signatures == {shown.fifths}
        metres = {m.ratioString for m in part.recurse().getElementsByClass(meter.TimeSignature)}
        assert metres == {str(task.meter)}
        for n in part.recurse().getElementsByClass(note.Note):
            assert n.pitch.name.replace("-", "b") == shown.spell(n.pitch.midi)[0]


# -- details that programs and readers rely on -----------------------------------------------------


def test_abc_of_a_tune():
    score = score_from_text("D4 F#4:2 F4:2 F#5:2 G4:6 A4:16 r:16 B3:18", key="G major")
    assert abc(score, title="A\ntune 100%", number=7, tempo=90, remarks=["one\ntwo"]) == (
        "X:7\nT:A tune 100\\%\nM:4/4\nL:1/16\nQ:1/4=90\nK:G\n"
        "D4 F2=F2 ^f2G6 | A16 | z16 | B,16- |\nB,2z2 z4 z8 |]\n% one two\n"
    )
    assert "T:back\\\\slash\n" in abc(score, title="back\\slash")
    assert "K:Ddor\n" in abc(score_from_text("C4", key="D dorian"))
    assert "V:1 clef=bass\n" in abc(score_from_text("E3 G3"))
    assert "V:1" not in abc(score_from_text("A3 C4"))
    assert "Q:3/8=80\n" in abc(score_from_text("C4", meter="6/8"))
    with pytest.raises(ValueError, match="grid"):
        abc(score_from_text("C4:1 D4:1", grid=11))


def test_musicxml_spells_by_the_key():
    import xml.etree.ElementTree as ET

    root = ET.fromstring(musicxml(score_from_text("F#4 F4 Bb4", key="G major"), title="<&>"))
    notes = [[e.text for e in pitch] for pitch in root.iter("pitch")]
    assert notes == [["F", "1", "4"], ["F", "0", "4"], ["B", "-1", "4"]]
    assert [e.text for e in root.iter("accidental")] == ["natural", "flat"]
    assert root.findtext("work/work-title") == "<&>"
    assert not [*root.iter("creator"), *root.iter("encoding-date")]
    assert musicxml(score_from_text("C4")) == musicxml(score_from_text("C4"))


def test_keys_beyond_seven_signs_are_written_as_their_twin():
    assert str(written_key(Key.parse("G# major"))) == "Ab major"
    assert str(written_key(Key.parse("Fb major"))) == "E major"
    assert str(written_key(Key.parse("Cb major"))) == "Cb major"
    for tonic in TONICS:
        for mode in SCALES:
            key = Key(tonic, mode)
            assert -7 <= written_key(key).fifths <= 7
            assert written_key(key).pitch_classes == key.pitch_classes


def test_midi_has_tempo_metre_key_and_names():
    from music21 import converter, key, meter, tempo

    score = score_from_text("C4 D4 ; E3:6", key="E minor", meter="6/8")
    stream = converter.parseData(midi_bytes(score, tempo=60), format="midi")
    found = stream.parts[0].recurse()
    assert {m.ratioString for m in found.getElementsByClass(meter.TimeSignature)} == {"6/8"}
    assert {(k.sharps, k.mode) for k in found.getElementsByClass(key.Key)} == {(1, "minor")}
    assert {t.getQuarterBPM() for t in found.getElementsByClass(tempo.MetronomeMark)} == {90.0}


def test_chords_stand_above_the_first_voice_where_they_change():
    from music21 import converter
    from music21.harmony import ChordSymbol

    score = score_from_text("C4 E4 G4 E4 C4:8 B3:8 C4:16 ; C3:16 C3:16 C3:16")
    score = Score(score.tokens, replace(score.task, chords="C | I G7/B | Cm7"))
    parts = converter.parseData(musicxml(score), format="musicxml").parts
    found = [list(part.recurse().getElementsByClass(ChordSymbol)) for part in parts]
    assert [(c.getOffsetInHierarchy(parts[0]), c.figure) for c in found[0]] == [
        (0, "C"),
        (6, "G7/B"),  # I is C again, which is not written twice
        (8, "Cm7"),
    ]
    assert [sorted(c.pitchClasses) for c in found[0]] == [
        sorted(chord.pitch_classes) for _, chord in score.task.chord_starts if chord.name != "I"
    ]
    assert found[1] == []
    first, second = abc(score).split('V:2 name="Lower voice"')
    assert '"C"C4 E4 G4 E4 | C8 "G7/B"B,8 | "Cm7"C16 |]' in first
    assert '"' not in second
    assert "G7/B" in re.sub(r"<[^>]*>|\s", "", svg(musicxml(score)))


def test_a_chord_stands_before_the_note_that_sounds_where_it_begins():
    notes = score_from_text("C4:4 C4:12").tokens
    tune = abc(Score(notes, Task("C minor", bars=1, pickup=4, chords="viio7 V9 |")))
    assert 'C4 | "Bdim7""^V9"C12 |]' in tune  # this ninth is no chord of lead sheets
    assert 'C4 | "C""F"C12 |]' in abc(Score(notes, Task(bars=1, pickup=4, chords="| C F |")))


@settings(quick, max_examples=15)
@given(pieces(), st.text(max_size=20))
def test_verovio_engraves_without_a_warning(capfd, score, words):
    import verovio

    title = "".join(c for c in words if c.isprintable())
    document = musicxml(
        score, title=title, remarks={(0, note.start): "why" for note in notes_of(score, 0)}
    )
    verovio.enableLog(verovio.LOG_WARNING)
    assert verovio.toolkit().loadData(document)
    assert capfd.readouterr().err == ""
    picture = svg(document)
    assert picture.startswith('<svg width="800" height="')
    assert svg(document) == picture


def test_a_picture_shows_title_and_remarks_and_wraps_its_lines():
    score = score_from_text("C4 A4:2 G4:2 E4 F4 " * 4)
    document = musicxml(score, title="Morning", remarks={(0, 4): "a sixth", (0, 7): "held"})
    assert "Morning" in svg(document)
    assert "a sixth" in svg(document)
    assert "held" in svg(document)
    assert svg(document).count('class="system"') == 1
    assert svg(document, width=300).count('class="system"') > 1
    with pytest.raises(ValueError, match="engraved"):
        svg("not music")


def test_text_of_a_piece():
    assert text(score_from_text("c4 A4:2 r:6 G4", key="A minor")) == "C4 A4:2 r:6 G4"
    assert text(score_from_text("C4 A4:2 ; r E3")) == "C4 A4:2 r:10 ; r E3 r:8"
    assert text(score_from_text("C4 D4", meter="6/8")) == "C4 D4"  # a dotted beat each
    assert text(score_from_text("F#2 G2", key="B# lydian", grid=1)) == "F#2 G2 r:2"
    assert score_from_text("C2 D6").task.low == 36
    assert parse_notes("C4 r G4:2", 4) == [Note(0, 4, 60), Note(8, 2, 67)]
    held = Score(np.array([[[HOLD, HOLD, 14] + [HOLD] * 13]]), Task(bars=1))
    assert text(held) == "r:2 C4:14"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("", "empty"),
        ("C4 H4", r"word 2: 'H4' is not a pitch"),
        ("C4:0", "word 1, 'C4:0'"),
        ("C4:x", "word 1, 'C4:x'"),
        ("C4:999999", "bars=62500"),
        ("C4" + ";C4" * 8, "9 voices"),
    ],
)
def test_text_that_is_no_music(line, told):
    with pytest.raises(ValueError, match=told):
        score_from_text(line)


def test_rows_and_notes_that_do_not_exist():
    score = score_from_text("C4")
    with pytest.raises(ValueError, match="row 1"):
        abc(score, 1)
    with pytest.raises(ValueError, match="voice 1"):
        score_of([Note(0, 1, 60, 1)], score.task)
    with pytest.raises(ValueError, match="fit"):
        score_of([Note(0, 99, 60)], score.task)


def test_write_midi_writes_a_row(tmp_path):
    task = Task(bars=1)
    tokens = np.full((2, 1, 16), HOLD, np.int16)
    tokens[:, 0, 0] = (14, 16)
    write_midi(Score(tokens, task), 1, tmp_path / "b.midi")
    assert list(read_piece(tmp_path / "b.midi").notes) == [Note(0, 16, 62)]


@pytest.mark.parametrize("line", ["C4:16 r:16 C4:16", "C4:16 r:4 C4:12 C4:16"])
def test_a_marked_rest_is_coloured_also_where_it_fills_a_bar(line):
    marks = Marks(colours={(0, 17): "#c2185b"})
    picture = svg(musicxml(score_from_text(line), marks=marks))
    (symbol,) = [line for line in picture.splitlines() if 'id="mark-' in line]
    assert 'id="mark-0-16"' in symbol
    assert 'fill="#C2185B"' in symbol
