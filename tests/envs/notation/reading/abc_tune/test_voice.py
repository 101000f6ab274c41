"""The music of ABC: bar lines, endings, voices, rhythm, ties and chords."""

from fractions import Fraction

import pytest

from envs.errors import RefusedError
from tests.envs.notation.abc_tunes import draft_of, notes, spelled

# -- bar lines and endings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "music",
    [
        "GAGc2::B3G:|",
        "GAGc2 ::B3G:|",
        "|:GAGc2:|\nB3G",
        "GAGc2:||:B3G:|]",
        "GAGc2|]\n[|B3G||",
        "G A Gc2.|B3G",
        "[|]GAG\nc2:|\nB3G[|]",
        "GAG\nc2::\nB3 G:|",
    ],
)
def test_bar_lines_of_every_kind(music):
    assert notes(music) == "G4 A4 G4 C5:2 B4:3 G4"


@pytest.mark.parametrize("line", ["A::B", "G:|", "c:|]", "z:|", "x::", "A :|", "E|:", "b::|"])
def test_a_letter_before_a_repeat_is_no_field(line):
    draft = draft_of(f"CDE\n{line}\nF")
    total = 4 + sum(c in "ABGcEbzx" for c in line)
    assert draft.parts[0].measures[-1].start + draft.parts[0].measures[-1].length == total


@pytest.mark.parametrize(
    ("music", "skipped"),
    [
        ("C4|1D4:|2E4|]", [1]),
        ("|:C4|1 D4:|2 E4:|3 F4|]", [1, 2]),
        ("|:C4|[1 D4:|[2 E4|]", [1]),
        ('|:C4|["first" D4:|["last time" E4|]', [1]),
        ("|:C4|1,3 D4:|2,4 E4|]", [1]),
        ("|:C4|1-3 D4|E4:|4 F4||", [1, 2]),
        ("|:C4|\n1 D4:|\n2 E4|]", [1]),
        ("|:C4|1. D4:|2. E4|]", [1]),
        ("|:C4|1D4||2E4||", [1]),
        ("|:C4|1D4|2E4||", [1]),
        ("|:C2[1D2:|[2E2|]", [1]),
        ("|:C4|1D4:|2E4|]|:C4|1D4:|2E4|]", [1, 4]),
        ("|:C4|1D4:|2E4:|F4|1G4:|2A4:|", [1, 4]),
        ("|:C4|1D4|]", []),
        ("|:C4:|:D4:|", []),
        ("|:C4|1D4:|E4|2F4|]", []),
    ],
)
def test_endings_but_the_last_are_skipped(music, skipped):
    measures = draft_of(music).parts[0].measures
    assert [at for at, each in enumerate(measures) if each.skipped] == skipped


def test_sections_open_behind_repeats_and_double_bars():
    measures = draft_of("|:C4|D4:|E4||F4|\nP:B\nG4|]").parts[0].measures
    assert [each.opens for each in measures] == [True, False, True, True, True]


@pytest.mark.parametrize("music", ["C 2", "C|D 2 E|", "3 C"])
def test_a_number_that_is_no_length_and_no_ending_is_refused(music):
    with pytest.raises(RefusedError, match="number"):
        draft_of(music)


# -- voices ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "music",
    [
        "V:1\nCF|FF\nV:2\n[K:D]FF|F2",
        "[V:1]CF|FF\n[V:2][K:D]FF|F2",
        "[V:1]CF|[V:2][K:D]FF|[V:1]FF|[V:2]F2",
        "CF|\nV:2\nK:D\nFF|\nV:1\nFF|\nV:2\nF2|",
    ],
)
def test_each_voice_has_its_own_key(music):
    draft = draft_of(music)
    assert [part.name for part in draft.parts] == ["1", "2"]
    assert spelled(draft) == "C4 F4 F4 F4"
    assert spelled(draft, part=1) == "F#4 F#4 F#4:2"


def test_each_voice_has_its_own_unit_and_metre():
    draft = draft_of("V:1\nL:1/8\nM:3/4\nCC\nV:2\nCC")
    assert spelled(draft) == "C4:1/2 C4:1/2"
    assert spelled(draft, part=1) == "C4 C4"
    assert [str(part.meters[0].signature.plain) for part in draft.parts] == ["3/4", "4/4"]


def test_fields_before_the_first_voice_hold_for_all():
    draft = draft_of("M:3/4\nL:1/8\nK:D\nV:2\nF\n[V:1]F", head="M:4/4\nL:1/4\nV:1\nV:2 octave=-1\n")
    assert [spelled(draft, part=part) for part in (0, 1)] == ["F#4:1/2", "F#3:1/2"]
    assert [part.name for part in draft.parts] == ["1", "2"]
    assert {part.meters[0].signature.plain for part in draft.parts} == {"3/4"}


def test_voices_without_music_are_no_parts_and_drums_are_left_out():
    draft = draft_of("[V:b]C", head='L:1/4\nV:a\nV:b name="Tenor"\nV:d clef=perc\n')
    assert [part.name for part in draft.parts] == ["b"]
    draft = draft_of("[V:b]C\n[V:d]CCC", head="L:1/4\nV:a\nV:b\nV:d clef=perc\n")
    assert [part.name for part in draft.parts] == ["b"]
    assert "percussion is left out" in draft.notices


def test_an_overlay_is_a_further_voice_of_its_part():
    draft = draft_of("CDEF|G4 & E2F2 & C4|c4")
    assert [spelled(draft, voice) for voice in range(3)] == [
        "C4 D4 E4 F4 G4:4 C5:4",
        "E4:2 F4:2",
        "C4:4",
    ]
    assert draft.parts[0].voices[1][0].start == 4
    draft = draft_of("C2 & E4|F[K:D]F & F2|F")
    assert [each.start for each in draft.parts[0].voices[0]] == [0, 4, 5, 6]


# -- lengths, rhythm, ties -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("music", "lengths"),
    [
        ("A2 A/ A// A3/2 A/4 A3// A1/2", "2 1/2 1/4 3/2 1/4 3/4 1/2"),
        ("A>B A<B A>>B A<<B A>>>B", "3/2 1/2 1/2 3/2 7/4 1/4 1/4 7/4 15/8 1/8"),
        ("A > B|A>|B", "3/2 1/2 3/2 1/2"),
        ("A>{g}B A{g}>B (A>)B (A)>(B)", "3/2 1/2 3/2 1/2 3/2 1/2 3/2 1/2"),
        ("A>!f!B A>\"Am\"B A>.B A>[K:G]B", "3/2 1/2 3/2 1/2 3/2 1/2 3/2 1/2"),
        ("A->A B", "2 1"),
        ("A>B>A", "3/2 3/4 1/2"),
        ("(3ABc A", "2/3 2/3 2/3 1"),
        ("(3 A B c A", "2/3 2/3 2/3 1"),
        ("(3(AB)c ((3ABc)", "2/3 2/3 2/3 2/3 2/3 2/3"),
        ("(3{g}A{g}Bc A", "2/3 2/3 2/3 1"),
        ("(3A>Bc A", "1 1/3 2/3 1"),
        ("(3zBc A", "2/3 2/3 1"),
        ("(3AyBc A", "2/3 2/3 2/3 1"),
        ("(3AB|c A", "2/3 2/3 2/3 1"),
        ("(3:2ABc A", "2/3 2/3 2/3 1"),
        ("(3:2:2A2B A", "4/3 2/3 1"),
        ("(3::2A2B A", "4/3 2/3 1"),
        ("(2AB (4ABcd", "3/2 3/2 3/4 3/4 3/4 3/4"),
        ("(5ABcde (6ABcdef", "2/5 2/5 2/5 2/5 2/5 1/3 1/3 1/3 1/3 1/3 1/3"),
        ("(3::A2B2A2 A", "4/3 4/3 4/3 1"),
        ("A-A A-|A A -A", "2 2 2"),
        ("A-\"^x\"A A-{g}A A- !f!A", "2 2 2"),
        ("A-(A A)-A", "2 2"),
        ("A-zA", "1 1"),
        ("A-BA", "1 1 1"),
        ("A{g}-A", "1 1"),
        ("(A-|A)B", "2 1"),
        ("A-A-A", "3"),
        ("|:A-A|1 A-:|2 A|]", "2 1 1"),
        ("z A x A2 z2 A", "1 2 1"),
    ],
)  # fmt: skip
def test_lengths(music, lengths):
    found = [each.end - each.start for each in draft_of(music).parts[0].voices[0]]
    assert found == [Fraction(each) for each in lengths.split()]


@pytest.mark.parametrize(
    ("meter", "tuplet", "length"),
    [("6/8", "(5", "3/5"), ("9/8", "(7", "3/7"), ("3/8", "(5", "2/5"), ("3/4", "(9", "2/9")],
)
def test_tuplets_of_five_seven_and_nine_follow_the_metre(meter, tuplet, length):
    found = draft_of(f"{tuplet}CDEFGABcd"[: int(tuplet[1:]) + 2], head=f"M:{meter}\nL:1/4\n")
    assert found.parts[0].voices[0][0].end == Fraction(length)


@pytest.mark.parametrize(
    "music",
    [
        "(3AB(3ABc",
        "(1A",
        "(99A",
        "A0",
        "A/0",
        "A9999999",
        "A>",
        "(3AB",
        ">A",
        "A>>>>B",
        "A//2",
        "Z0",
    ],
)
def test_rhythms_that_are_none_are_refused(music):
    with pytest.raises(RefusedError):
        draft_of(music).parts  # noqa: B018


@pytest.mark.parametrize(
    ("head", "length"),
    [
        ("M:2/4\n", "1/4"),
        ("M:3/4\n", "1/2"),
        ("M:C\n", "1/2"),
        ("M:C|\n", "1/2"),
        ("M:none\n", "1/2"),
        ("", "1/2"),
        ("M:5/8\n", "1/4"),
        ("M:2+3/8\n", "1/4"),
        ("M:(2+2+3)/8 % x\n", "1/2"),
        ("M:2/4\nL:1/8\n", "1/2"),
        ("L: 1/16\n", "1/4"),
        ("L:1\n", "4"),
    ],
)
def test_the_unit_note_is_named_or_follows_from_the_metre(head, length):
    assert draft_of("C", head=head).parts[0].voices[0][0].end == Fraction(length)


def test_a_metre_within_the_tune_leaves_the_unit_note():
    draft = draft_of("CDEF|\nM:3/4\nCDE|[M:2/4]CD", head="M:4/4\n")
    assert spelled(draft).count(":1/2") == 9
    marks = draft.parts[0].meters
    assert [(each.start, each.signature.plain) for each in marks] == [
        (0, "4/4"), (2, "3/4"), (Fraction(7, 2), "2/4"),
    ]  # fmt: skip


def test_rests_of_whole_bars():
    draft = draft_of("C4|Z2|C4|X|C4", head="M:4/4\nL:1/4\n")
    assert [each.start for each in draft.parts[0].voices[0]] == [0, 12, 20]
    assert len(draft.parts[0].measures) == 6


@pytest.mark.parametrize(
    ("music", "reads"),
    [
        ("[CEG]2", "C4:2 E4:2 G4:2"),
        ("[C2E2G2]", "C4:2 E4:2 G4:2"),
        ("[C2E2]/", "C4 E4"),
        ("[CC]", "C4"),
        ("[C-E-][CE]", "C4:2 E4:2"),
        ("[CE]-[CE]", "C4:2 E4:2"),
        ("[C-E][CG]", "C4:2 E4 G4"),
        ('["Am".CuE!f!G]', "C4 E4 G4"),
        ("[CE]>[DF]", "C4:3/2 E4:3/2 D4:1/2 F4:1/2"),
        ("[^CE] C", "C#4 E4 C#4"),
    ],
)
def test_chords(music, reads):
    assert notes(music) == reads


@pytest.mark.parametrize(
    ("music", "starts"),
    [("[C2E]G", [0, 0, 2]), ("[z2E]G", [0, 2]), ("[z/E]2G", [0, 1]), ("[CE2]G", [0, 0, 1])],
)
def test_a_chord_lasts_as_long_as_its_first_note(music, starts):
    assert [each.start for each in draft_of(music).parts[0].voices[0]] == starts


def test_a_chord_of_old_abc_is_refused_with_its_new_form():
    with pytest.raises(RefusedError, match=r"\[CEG\]"):
        draft_of("+CEG+ A")
