"""ABC: the handed files, variations of each of their kinds, and what the standard says."""

import json
import time
from pathlib import Path

import pytest

from envs.errors import RefusedError
from envs.music.pitch import parse_pitch
from envs.notation.reading.abc import read_abc, read_draft, read_text, tunes
from envs.notation.reading.readers import read_piece
from envs.notation.reading.selection import Known
from tests.envs.notation.abc_tunes import draft_of, notes, spelled

FILES = Path(__file__).parent / "files"
EXPECTED = json.loads((FILES / "expected.json").read_text())
HANDED = [name for name in EXPECTED if name.endswith(".abc") and "voices" in EXPECTED[name]]


# -- the handed files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HANDED)
def test_the_handed_files_are_right(name):
    right = EXPECTED[name]
    piece = read_piece(FILES / name, top=right.get("with_top", False))
    expected = [
        (voice, parse_pitch(pitch), int(cells))
        for voice, line in enumerate(right["voices"])
        for pitch, cells in (word.split(":") for word in line.split())
    ]
    found = sorted(piece.notes, key=lambda note: (note.voice, note.start))
    assert [(note.voice, note.pitch, note.duration) for note in found] == expected
    assert piece.score.task.pickup == right.get("pickup", piece.score.task.pickup)


def test_a_final_chord_is_refused_unless_its_top_is_asked_for():
    with pytest.raises(RefusedError, match="top"):
        read_piece(FILES / "abc_final_chord.abc")


# -- words that are no notes -----------------------------------------------------------------------

MUSIC = "CDEF"
READS = "C4 D4 E4 F4"


@pytest.mark.parametrize(
    "text",
    [
        "A bag\n\nX:1\nL:1/4\nK:C\nCDEF",
        "\n\nX:1\nL:1/4\nK:C\nCDEF\n\nA bad egg.\nC: D E",
        "X:1\nT:: A bag\nN:|abc|\nC:|D|\nL:1/4\nK:C\nCDEF",
        "X:1\nL:1/4\nH:A bag\n+:A bad egg\nK:C\nCDEF",
        "X:1\nL:1/4\nK:C\nCD\nw:a bad egg\n+:a bag\nEF\nW:face",
        "X:1\nL:1/4\nK:C\n%%begintext\nA bad egg\n\nA bag\n%%endtext\nCDEF",
        "X:1\nL:1/4\nK:C\n%%beginps\n/d {a b} def\n%%endps\nCDEF",
        "X:1\nL:1/4\n%%beginsvg\n<g/>\nK:D\n%%endsvg\nK:C\nCDEF",
        "X:1\nL:1/4\nK:C\n%%text A bad egg\nCD % bad\nEF%abc",
        "X:1\nL:1/4\nI:abc-creator beg\nK:C\nI:A bad egg\n[I:bad egg]CDEF",
        "X:1\nL:1/4\nK:C\ns:* * !p!\nr:a bag\nN:a bag\n[r:bag]CD[N:bag]EF",
        "X:1\nL:1/4\nK:C\nw:| a\nCD\nw:a b\nT:|a|\nEF",
        'X:1\nL:1/4\nK:C\n"^bad"C"Am"D"_a bag"E"<("F">)"',
        "X:1\nT:A bag\n\nL:1/4\nK:C\nCDEF\n",
        "  X:1\n  L:1/4\n\tK:C\n  CD\n  EF",
        "T:no number\nL:1/4\nK:C\nCDEF",
        "X:1\nL:1/4\nK:C\nU:T=!trill!\nTCD~EuF",
        "X:1\nL:1/4\nK:C\n!trill!C!f!D!crescendo(!E!D.C.!F",
        "X:1\nL:1/4\nK:C\n+trill+C+f+D+fermata+EF",
        "X:1\nL:1/4\nK:C\nCD`EF y y2 *",
        "X:1\nL:1/4\nK:C\nCD\\\nEF\\ % comment",
        "X:1\nL:1/4\nK:C\n{ga}C{/g}D{g>a}EF",
        "X:1\nL:1/4\nK:C\nCD |=20\nEF =",
        "X:1\r\nL:1/4\r\nK:C\r\nCDEF\r\n",
        "X:1\rL:1/4\rK:C\rCDEF\r",
        "\ufeffX:1\nL:1/4\nK:C\nCDEF",
    ],
)
def test_what_is_no_note_is_not_read(text):
    assert spelled(read_draft(text.encode(), Known())) == READS


@pytest.mark.parametrize(
    ("music", "told"),
    [
        ("%%begintext\nA bag", "line 5.*%%endtext"),
        ("CD\n+:E", "line 6"),
        ("C \N{SNOWMAN} D", "line 5.*no ABC"),
        ('CD "A bag', "no ABC"),
        ("CD {EF", "no ABC"),
        ("CDEF Y", "no ABC"),
        ("CDEF|\nThis tune was found by Abe.", "line 6.*words"),
        ("Chorus: CDEF", "words"),
        ("U: c = !trill!\nCDEF", "U:c"),
        ("m: ~n2 = {o}n{m}n\nCDEF", "macro"),
        ("(&CD&)", "V: field"),
        ("E: |GABc|", "line 5.*E:"),
        ("CD|\nB: GABc|", "line 6.*B:"),
        ("G:3 ABC|", "music or words"),
        ("c:GAB|", "music or words"),
        ("x: ABc", "music or words"),
        ("h:ABc|", "music or words"),
        ("[E:GAB]c", "music or words"),
    ],
)
def test_what_cannot_be_read_right_is_refused_with_its_line(music, told):
    with pytest.raises(RefusedError, match=told):
        draft_of(music)


@pytest.mark.parametrize(
    "words",
    [
        *("Da capo", "Fine", "fine", "FINE", "D.C.", "D. C. al Fine", "D.S.", "D.S", "DC", "Coda"),
        *("To Coda", "End", "Segue", "Segno", "Dance", "2nd time", "Verse", "last", "Allegro"),
        *("repeat A", "Humbug", "D.S.|", "Ed."),
    ],
)
def test_words_are_refused_and_not_played(words):
    with pytest.raises(RefusedError, match="line 6.*no music"):
        draft_of(f"CDEF|\n{words}")
    if words not in ("D.S", "DC", "Dance"):  # alone in their line they are words
        with pytest.raises(RefusedError, match="line 5.*no music"):
            draft_of(f"|CDEF| {words}")


@pytest.mark.parametrize(
    ("music", "told"),
    [
        ("CDEF|\n\nGABc|", "line 7"),
        ("^C c", "octave"),
        ("P:A\nCD?E", "?"),
        ("A>B/ c", "unequal"),
        ("A>B>c d", "unequal"),
        ("|:C4-|1C4:|2C4|]", "endings"),
        ("C\nB: Kerr's volume 2 | page 3", "B:"),
        ("C\nF: http://a.b/c.abc", "F:"),
        ("E: 10\nC", "E:"),
        ("A: Galway\nC", "A:"),
        ("d: !f! *\nC", "d:"),
        ("|kC D|", "k"),
        ("(uiCD \\\nEF|", "i"),
        ("%%octave 1\nC", "octave"),
        ("I:octave=1\nC", "octave"),
        ("%%shift CD\nC", "shift"),
        ("[I:shift CD]C", "shift"),
        ("%%sound CD\nC", "sound"),
        ("%%transpose 2\nC", "transpose"),
        ("%%MIDI rtranspose 2\nC", "rtranspose"),
        ("%%MIDI transpose up\nC", "transpose"),
    ],
)
def test_what_may_be_wrong_is_told(music, told):
    assert any(told in each for each in draft_of(music).notices)


def test_a_macro_without_transposition_is_written_out():
    assert notes("m: ~G2 = {A}G{F}G\nC~G2D") == "C4 G4 G4 D4"


@pytest.mark.parametrize(
    "music",
    ["CDEF|!GABc", "CDEF!\nGABc!", "CDEF|!GA Bc|!", "I:linebreak !\nCDEF!GABc!"],
)
def test_a_bang_may_be_a_line_break(music):
    assert notes(music) == "C4 D4 E4 F4 G4 A4 B4 C5"


@pytest.mark.parametrize("music", ["CDEF!GABc!", "CDEF!a tempo!G"])
def test_a_bang_that_may_be_either_is_refused(music):
    with pytest.raises(RefusedError, match="linebreak"):
        draft_of(music)


@pytest.mark.parametrize(
    "music",
    [
        *("(3GAB c", "A>B (3A>BA", "^C c,|c", "U:W=!x!\nWC", "uAvBTc~d", "TuvA*"),
        *("E::", "C\nE:", "Z:Abe\nC", "%%MIDI program 3\nC", "%%soundfont a\nC", ".D.C.B.A"),
        "U:n=!x!\nU:i=!x!\nnCiD inE",
    ],
)
def test_what_is_sure_is_not_told(music):
    told = draft_of(music).notices
    assert told == []


# -- encodings and collections --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("T:Bourrée", "utf-8"),
        ("T:Bourrée", "utf-8-sig"),
        ("T:Bourrée", "utf-16"),
        ("T:Bourrée", "latin-1"),
        ("%%abc-charset iso-8859-1\nT:Bourrée", "latin-1"),
        ("I:abc-charset mac-roman\nT:Bourrée", "mac-roman"),
        ("%%abc-charset iso-8859-2\nT:Bourrée", "iso-8859-2"),
    ],
)
def test_encodings(text, encoding):
    data = f"X:1\n{text}\nL:1/4\nK:C\nCDEF\n".encode(encoding)
    draft = read_draft(data, Known())
    assert (draft.title, spelled(draft)) == ("Bourrée", READS)


BOOK = """%%propagate-accidentals octave
L:1/4

X:1
T:One
K:C
CDE

Words: a b c

X:7
T:Two
K:G
^C c F

X:3
T:Three
L:1/8
K:C
C
"""


def test_a_tune_of_a_collection_is_chosen_by_its_place():
    found = [read_draft(BOOK.encode(), Known(tune=number)) for number in (1, 2, 3)]
    assert [each.title for each in found] == ["One", "Two", "Three"]
    assert [spelled(each) for each in found] == ["C4 D4 E4", "C#4 C5 F#4", "C4:1/2"]


def test_the_tunes_of_a_collection_can_be_read_alone():
    alone = [read_text(text, Known()) for text in tunes(BOOK)]
    assert [spelled(each) for each in alone] == ["C4 D4 E4", "C#4 C5 F#4", "C4:1/2"]


@pytest.mark.parametrize(
    "text",
    [
        "%%abc-charset iso-8859-1\nX:1\nT:Für Café\nK:C\nC",
        "X:1\nI:abc-charset  iso-8859-1\nT:Für Café\nK:C\nC",
        "X:1\n  %%abc-charset latin-1\nT:Für Café\nK:C\nC",
        "\ufeffX:1\r\nI:abc-charset koi8-r\r\nT:Für Café\r\nK:C\r\nC",
    ],
)
def test_titles_are_decoded_once(text):
    (alone,) = tunes(text)
    found = [read_text(text, Known()), read_text(alone, Known())]
    found.append(read_draft(alone.encode(), Known()))  # as if it were in a file of its own
    found.append(read_draft(("\ufeff" + text).encode(), Known()))
    assert {each.title for each in found} == {"Für Café"}


def test_fields_of_a_whole_file_are_not_copied_without_bound():
    with pytest.raises(RefusedError, match="too long"):
        tunes("%%x\n" * 60_000 + "X:1\nK:C\nC\n" * 60_000)
    assert len(tunes("%%x\n" * 60 + "X:1\nK:C\nC\n" * 6_000)) == 6_000


def test_a_collection_is_refused_unless_a_tune_is_chosen():
    with pytest.raises(RefusedError, match="3 tunes.*FILE#1"):
        read_draft(BOOK.encode(), Known())
    with pytest.raises(RefusedError, match="3 tunes"):
        read_draft(BOOK.encode(), Known(tune=4))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "words",
        "X:1\nCDEF",
        "X:1\nK:C\n\nCDEF",
        "\0\1\2",
        "X:1\nK:C\nC\nM:5\n",
        "X:1\nL:x\nK:C\nC",
    ],
)
def test_files_without_a_tune_are_refused(text):
    with pytest.raises(RefusedError):
        read_abc(text.encode(), Known())


@pytest.mark.parametrize(
    "music",
    [
        "C" * 300_000,
        "Z99999|" * 100,
        "[" * 50_000,
        '"' * 49_999,
        "!" * 50_000 + "C",
        "{" * 50_000,
        "+" * 50_000,
        "(3:" * 30_000,
        "C/3D/7E/11F/13" * 5_000,
        "\\" * 50_000 + "C" * 9,
        "[K:D]C[K:C]" * 8_000,
        "A[1" * 15_000 + "&A" * 15_000,
        "K:C" + "_" * 90_000 + "bass",
        "w:a\n" + "+:a\n" * 90_000,
        "X:1\nK:C\n" * 200_000,
        "C|\n" * 200_000,
        "Q:" + "1/1" * 20_000,
        "m: aa = aaaaaaaaaa\nm: a = aaaaaaaaaa\n" + "aaaa" * 1_000,
    ],
)
def test_absurd_tunes_end_soon(music):
    began = time.process_time()
    try:
        draft_of(music)
    except RefusedError as error:
        assert len(str(error)) < 500  # noqa: PT017
    assert time.process_time() - began < 5
