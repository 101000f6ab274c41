"""Fields of ABC: keys, clefs, unit notes, tempo and titles."""

import pytest

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.pitch import parse_pitch
from tests.envs.notation.abc_tunes import draft_of, notes


@pytest.mark.parametrize(
    ("key", "reads", "named"),
    [
        ("D", "C#5 F#5 B4", "D major"),
        ("D maj", "C#5 F#5 B4", "D major"),
        ("DMAJOR", "C#5 F#5 B4", "D major"),
        ("Bm", "C#5 F#5 B4", "B minor"),
        ("B MIN", "C#5 F#5 B4", "B minor"),
        ("AM", "C5 F5 B4", "A minor"),
        ("Edor", "C#5 F#5 B4", "E dorian"),
        ("E Dorian", "C#5 F#5 B4", "E dorian"),
        ("Amixolydian", "C#5 F#5 B4", "A mixolydian"),
        ("F#PHR", "C#5 F#5 B4", "F# phrygian"),
        ("G lyd", "C#5 F#5 B4", "G lydian"),
        ("C#loc", "C#5 F#5 B4", "C# locrian"),
        ("D ion", "C#5 F#5 B4", "D major"),
        ("B aeo", "C#5 F#5 B4", "B natural minor"),
        ("Bb", "C5 F5 Bb4", "Bb major"),
        ("D middle=B", "C#5 F#5 B4", "D major"),
        ("D m=B", "C#5 F#5 B4", "D major"),
        ("D treble", "C#5 F#5 B4", "D major"),
        ("D % a comment", "C#5 F#5 B4", "D major"),
        ("Dmix=c", "C5 F#5 B4", "D mixolydian"),
        ("D =c", "C5 F#5 B4", "D mixolydian"),
        ("D Phr ^f", "C5 F#5 Bb4", "D 0,1,4,5,7,8,10"),
        ("D exp _b ^f", "C5 F#5 Bb4", "D 0,2,4,5,7,8,10"),
        ("D exp_b^f", "C5 F#5 Bb4", "D 0,2,4,5,7,8,10"),
        ("Hp", "C#5 F#5 B4", "A mixolydian"),
        ("HP", "C#5 F#5 B4", "A mixolydian"),
        ("^c", "C#5 F5 B4", None),
        ("none", "C5 F5 B4", None),
        ("", "C5 F5 B4", None),
        ("none clef=bass", "C5 F5 B4", None),
    ],
)
def test_keys(key, reads, named):
    draft = draft_of("cfB", key)
    assert [each.pitch for each in draft.parts[0].voices[0]] == [
        parse_pitch(name) for name in reads.split()
    ]
    assert draft.parts[0].keys[0].key == (Key.parse(named) if named else None)


@pytest.mark.parametrize("key", ["Bn", "H", "Dxyz", "D ^/f", "g", "D octave=x", "D shift=CD"])
def test_keys_that_cannot_be_read_are_refused(key):
    with pytest.raises(RefusedError):
        draft_of("C", key)


@pytest.mark.parametrize(
    ("music", "reads"),
    [
        ("^F F|F", "F#4 F#4 F4"),
        ("^F f|F", "F#4 F#5 F4"),
        ("%%propagate-accidentals octave\n^F f F|F", "F#4 F5 F#4 F4"),
        ("I:propagate-accidentals not\n^F F", "F#4 F4"),
        ("^F-|F F|F", "F#4:2 F4 F4"),
        ("^F- F F|F", "F#4:2 F#4 F4"),
        ("_B=B B|B", "Bb4 B4 B4 B4"),
        ("^^F __B", "G4 A4"),
        ("^F[K:D]F[K:clef=bass]F", "F#4 F#4 F#4"),
        ("^F-|\n[K:F]F", "F#4:2"),
        ("{^f}g F", "G5 F4"),
        ("[K:G]F [K:Gm]B", "F#4 Bb4"),
        ("F[K:bass]F|[K:D bass]F", "F4 F4 F#4"),
    ],
)
def test_accidentals(music, reads):
    found = draft_of(music).parts[0].voices[0]
    expected = [word.split(":") for word in reads.split()]
    assert [each.pitch for each in found] == [parse_pitch(name) for name, *_ in expected]
    assert [each.end - each.start for each in found] == [
        int(length[0]) if length else 1 for _, *length in expected
    ]


@pytest.mark.parametrize("sound", ["^/C", "_/B", "^3/2C", "_3/2c", "^1/2F", "[C^/E]", "[_3/2BG]2"])
def test_quarter_tones_are_refused_by_name(sound):
    with pytest.raises(RefusedError, match="quarter tone"):
        draft_of(sound)


@pytest.mark.parametrize(
    ("key", "reads"),
    [
        ("C octave=-1", "C3"),
        ("C octave=+2", "C6"),
        ("C treble-8", "C3"),
        ("C clef=treble+8", "C5"),
        ('C clef="bass-8"', "C3"),
        ("C treble-15", "C2"),
        ("C bass", "C4"),
        ("C clef=bass middle=d", "C4"),
        ("C alto octave=-1", "C3"),
        ("C transpose=2", "D4"),
        ("C transpose=-14", "Bb2"),
        ("C treble-8 octave=1", "C4"),
    ],
)
def test_clefs_octaves_and_transpositions(key, reads):
    assert notes("C", key) == reads
    assert notes("C", f"C\nV:1 {key[2:]}") == reads


@pytest.mark.parametrize(
    ("key", "fifths"),
    [("HP", 2), ("D", 2), ("Ddor", 0), ("Cm", -3), ("none", None), ("D =c", None), ("_b", None)],
)
def test_the_sharps_of_a_signature(key, fifths):
    assert draft_of("A", key).parts[0].keys[0].fifths == fifths


def test_a_transposed_key_is_told_as_it_sounds():
    assert draft_of("D", "D transpose=-2").parts[0].keys[0].key == Key("C")


@pytest.mark.parametrize(
    ("tempo", "quarters"),
    [
        ("1/4=120", 120),
        ("3/8=80", 120),
        ("1/8=120", 60),
        (" 1/4 = 120 ", 120),
        ('"Allegro" 1/4=120', 120),
        ('1/4=120 "Allegro 1/2=3"', 120),
        ("1/4=100-120", 110),
        ("3/8 3/8=40", 120),
        ("120", 60),
        ("C=100", 50),
        ("C3=80", 120),
        ("1/4=90.5", 90.5),
        ("Allegro", None),
        ('"Allegro"', None),
        ("", None),
    ],
)
def test_tempo(tempo, quarters):
    found = draft_of("C", head=f"Q:{tempo}\nL:1/8\n").tempo
    assert found == (None if quarters is None else pytest.approx(quarters))


@pytest.mark.parametrize(
    ("tempo", "told"),
    [
        ("1/4=ca. 100", "not read"),
        ("c.76", "not read"),
        ('"ca. 76"', "not read"),
        ("Moderato 90", "not read"),
        ("1/4=100,5", "read as 100 "),
        ("1/4=100-120", "read as 110 "),
        ("3/8=100 - 121", "read as 165.75 "),
        ("1/4=100/120", "not read"),
        ('1/4=100 "Allegro 2"', None),
        ("1/4=100 bpm", None),
        ("Allegro", None),
    ],
)
def test_a_tempo_that_is_not_read_as_it_stands_is_told(tempo, told):
    notices = draft_of("C", head=f"Q:{tempo}\nL:1/8\n").notices
    assert told in notices[0] if told else not notices


@pytest.mark.parametrize(
    ("title", "reads"),
    [
        (r"Bourr\'ee", "Bourrée"),
        ("Bourr&eacute;e", "Bourrée"),
        (r"\`a \^o \"u \~n \cc \AE \ss \/o \aa \vs \u00e9", "à ô ü ñ ç Æ ß ø å š é"),
        (r"50\% of it % no more", "50% of it"),
        ("Smith &amp; Sons", "Smith & Sons"),
        (r"a \\\\ b =", r"a \\ b ="),
    ],
)
def test_titles(title, reads):
    assert draft_of("C", head=f"T:{title}\nT:second\n").title == reads
