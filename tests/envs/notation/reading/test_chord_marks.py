"""Chord symbols of files: their words, their places, and what is left out."""

import random
from fractions import Fraction

import pytest
from music21 import harmony, note, stream

from envs.music.chords import parse_chord
from envs.music.key import C_MAJOR
from envs.music.meter import Meter
from envs.music.task import Task
from envs.notation.reading.chord_marks import chord_line, chord_word
from envs.notation.reading.draft import ChordMark
from envs.notation.reading.readers import from_music21, read_piece
from tests.envs.notation.reading.scores import FOUR, score

HEAD = "X:1\nT:T\nM:4/4\nL:1/4\nK:G\n"
# Semitones above the root, as textbooks have them.
CHORDS = {
    "": {0, 4, 7},
    "m": {0, 3, 7},
    "7": {0, 4, 7, 10},
    "maj7": {0, 4, 7, 11},
    "m7": {0, 3, 7, 10},
    "dim": {0, 3, 6},
    "dim7": {0, 3, 6, 9},
    "m7b5": {0, 3, 6, 10},
    "aug": {0, 4, 8},
    "6": {0, 4, 7, 9},
    "m6": {0, 3, 7, 9},
    "sus4": {0, 5, 7},
    "sus2": {0, 2, 7},
    "9": {0, 2, 4, 7, 10},
    "7b9": {0, 1, 4, 7, 10},
}


def of_abc(music, **known):
    return read_piece((HEAD + music).encode(), ".abc", **known)


def harmony_of(root, kind, more=""):
    return f"<harmony><root><root-step>{root}</root-step></root><kind>{kind}</kind>{more}</harmony>"


WITHOUT_FIFTH = (  # flat
    "<degree><degree-value>5</degree-value><degree-alter>-1</degree-alter>"
    "<degree-type>subtract</degree-type></degree>"
)


def tones(word):
    return set(parse_chord(word, C_MAJOR).pitch_classes)


# -- where they stand ------------------------------------------------------------------------------


def test_chords_of_abc_share_their_bar_and_last_until_the_next():
    piece = of_abc('D|"G"G G A "C"c|"D7"d c "Am7"B A|"Fine"G2 "Bb/D"F2|"G"G3|]')
    assert piece.chords == "G G G C | D7 Am7 | Am7 Bb/D | G"
    assert (piece.notices, piece.task.chords, piece.pickup) == ((), "", 4)
    task = Task(**{**vars_of(piece.task), "chords": piece.chords})
    found = [(start, chord.name) for start, chord in task.chord_starts]
    assert (16, "C") in found
    assert (20, "D7") in found
    assert of_abc('"G"G4|').chords == "G |"  # one bar, and not one chord for each


def test_bars_that_are_read_have_the_chord_that_sounds_and_endings_theirs():
    music = '"G"G4|G4|"C"c2 "D"d2|"G"G4|]'
    assert of_abc(music, bars=(2, 3)).chords == "G | C D"
    assert of_abc('|:"G"G4|1"C"c4:|2"D"d4|]').chords == "G | D"


def test_a_voice_without_symbols_has_those_of_the_first_that_has_some():
    music = 'V:1\n"G"G4|"C"c4|\nV:2\nB,4|C4|\n'
    assert of_abc(music, part=2).chords == of_abc(music).chords == "G | C"


def test_a_first_chord_within_the_bar_is_taken_from_its_beginning_and_told():
    piece = of_abc('G "C"c G2|G4|')
    assert piece.chords == "C | C"
    assert any("C" in notice and "first bar" in notice for notice in piece.notices)


def test_chords_of_an_upbeat_may_stand_in_any_order():
    task = Task(bars=1, pickup=8)
    marks = [ChordMark(Fraction(2), "C"), ChordMark(Fraction(1), "G7"), ChordMark(Fraction(4), "F")]
    assert chord_line(marks, task, []) == "C F |"


@pytest.mark.parametrize("seed", range(20))
def test_each_cell_has_the_chord_that_began_last(seed):
    draw = random.Random(seed)
    meter, bars = Meter(*draw.choice([(4, 4), (3, 4), (6, 8), (7, 8)])), draw.randint(1, 4)
    task = Task(meter=meter, bars=bars, pickup=draw.choice([0, 2]))
    cells = draw.sample(range(1, bars * task.bar_cells), draw.randint(0, 4))
    names = ["C", "Dm7", "G7/B", "F#m", "Bb"]
    begins = {0: "C"} | {cell: draw.choice(names) for cell in cells}
    marks = [
        ChordMark(Fraction(cell + task.pickup, task.grid), begins[cell]) for cell in sorted(begins)
    ]
    notices = []
    line = chord_line(marks, task, notices)
    read = Task(meter=meter, bars=bars, pickup=task.pickup, chords=line)
    assert notices == []
    for cell in range(read.cells - task.pickup):
        word = begins[max(each for each in begins if each <= cell)]
        row = read.chord_tones[cell + task.pickup]
        assert {pc for pc in range(12) if row[pc]} == tones(word)


# -- their words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CHORDS)
def test_a_chord_has_the_same_notes_in_abc_and_in_the_musicxml_of_music21(kind):
    for root, above in (("C", 0), ("Eb", 3), ("F#", 6)):
        right = {(above + semitones) % 12 for semitones in CHORDS[kind]}
        assert tones(of_abc(f'"{root}{kind}"G4|G4|').chords.split()[0]) == right
        line = stream.Stream([harmony.ChordSymbol(root.replace("b", "-") + kind)])
        line.append(note.Note("G4", quarterLength=4))
        assert tones(from_music21(line).chords.split()[0]) == right


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (" Bb7 ", "Bb7"),
        ("E♭m", "Ebm"),
        ("C-7", "Cm7"),
        ("GΔ7", "Gmaj7"),
        ("Fine", ""),
        ("Dal segno", ""),
        ("Coda", ""),
        ("slow", ""),
        ("^Dm", ""),
        ("<1", ""),
        ("", ""),
        ("G7alt", "G7alt"),
        ("N.C.", "N.C."),
    ],
)
def test_words_above_a_staff_are_a_chord_or_not(words, read):
    assert chord_word(words) == read


def test_musicxml_says_root_kind_degrees_bass_and_place():
    alter = "<degree><degree-value>9</degree-value><degree-alter>-1</degree-alter>"
    alter += "<degree-type>add</degree-type></degree>"
    bass = "<bass><bass-step>B</bass-step><bass-alter>-1</bass-alter></bass>"
    later = "<offset>2</offset>"
    bars = [
        harmony_of("C", "major") + harmony_of("G", "dominant", alter + later) + FOUR,
        harmony_of("C", "minor-seventh", bass) + FOUR,
    ]
    assert read_piece(score(bars).encode(), ".musicxml").chords == "C G7b9 | Cm7/Bb"


@pytest.mark.parametrize(
    ("chord", "words"),
    [
        (harmony_of("C", "Neapolitan"), "Neapolitan"),
        (harmony_of("C", "none"), "none"),
        (harmony_of("C", "dominant", WITHOUT_FIFTH), "subtract5"),
        (harmony_of("H", "major"), "H"),
        ("<harmony><function>V</function><kind>major</kind></harmony>", "left out"),
        (harmony_of("C", "major", "<offset>x</offset>"), "left out"),
        (harmony_of("C", "major", "<offset>0.1</offset>"), "off the grid"),
    ],
)
def test_what_is_no_plain_chord_leaves_all_of_them_out_and_is_told(chord, words):
    piece = read_piece(score([harmony_of("G", "major") + FOUR, chord + FOUR]).encode(), ".xml")
    assert piece.chords == ""
    assert any("chord symbols" in notice and words in notice for notice in piece.notices)


@pytest.mark.parametrize(
    ("music", "words"),
    [
        ('G4|"C"c4|', "first bar"),
        ('"G7alt"G4|', "G7alt"),
        ('"N.C."G4|', "N.C."),
        ("[K:G transpose=2]" + '"C"c4|', "transposed"),
        ("|".join('"C"c/4"D"d/4' * 8 for _ in range(33)), "256"),
    ],
)
def test_abc_whose_chords_cannot_be_said_is_read_without_them(music, words):
    piece = of_abc(music)
    assert piece.chords == ""
    assert any(words in notice for notice in piece.notices)


def vars_of(task):
    return {name: getattr(task, name) for name in ("key", "meter", "bars", "grid", "pickup")}
