import music21
import pytest
from music21.scale import Direction

from envs.errors import did_you_mean
from envs.music.key import MODE_FIFTHS, SCALES, Key
from envs.music.meter import Meter, beat_quarters
from envs.music.pitch import interval_name, parse_pitch, parse_range

TONICS = ["C", "G", "D", "A", "E", "B", "F#", "F", "Bb", "Eb", "Ab", "Db"]


@pytest.mark.parametrize("mode", MODE_FIFTHS)
@pytest.mark.parametrize("tonic", TONICS)
def test_keys_agree_with_music21(tonic, mode):
    key = Key.parse(f"{tonic} {mode}")
    theirs = music21.key.Key(tonic.replace("b", "-"), mode)
    assert key.fifths == theirs.sharps
    assert key.pitch_classes == {p.pitchClass for p in theirs.getPitches()}
    for pitch in theirs.getPitches("C4", "C5"):  # a scale note is spelled as in its scale
        name, octave = key.spell(pitch.midi)
        assert (name.replace("b", "-"), octave) == (pitch.name, pitch.octave)


@pytest.mark.parametrize("tonic", TONICS)
def test_minor_scales_agree_with_music21(tonic):
    theirs = tonic.replace("b", "-")
    for mode, scale in (
        ("harmonic minor", music21.scale.HarmonicMinorScale(theirs)),
        ("melodic minor", music21.scale.MelodicMinorScale(theirs)),
    ):
        key = Key.parse(f"{tonic} {mode}")
        rising, falling = (
            scale.getPitches("C4", "C5", direction=direction)
            for direction in (Direction.ASCENDING, Direction.DESCENDING)
        )
        melodic = {p.pitchClass for p in (*rising, *falling)}
        assert key.pitch_classes == melodic
        assert key.fifths == music21.key.Key(theirs, "minor").sharps
        for pitch in rising:
            name, octave = key.spell(pitch.midi)
            assert (name.replace("b", "-"), octave) == (pitch.name, pitch.octave)


def test_scales_without_halftones_and_scales_of_ones_own():
    assert Key.parse("F pentatonic").pitch_classes == {5, 7, 9, 0, 2}
    relative = Key.parse("D minor pentatonic")
    assert relative.pitch_classes == Key.parse("F pentatonic").pitch_classes
    assert relative.fifths == Key.parse("F major").fifths
    assert [Key.parse("C blues").spell(p)[0] for p in (60, 63, 65, 66, 67, 70)] == [
        *("C", "Eb", "F", "Gb", "G", "Bb")
    ]
    own = Key.parse("G 0,1,4,5,7,8,10")  # Freygish
    assert own.pitch_classes == {7, 8, 11, 0, 2, 3, 5}
    assert Key.parse(str(own)) == own


@pytest.mark.parametrize("tonic", TONICS)
def test_only_plain_minor_admits_raised_degrees(tonic):
    minor = Key.parse(f"{tonic} minor")
    strict, melodic = Key.parse(f"{tonic} aeolian"), Key.parse(f"{tonic} melodic minor")
    assert strict == Key.parse(f"{tonic} natural minor") != minor
    for fact in ("steps", "pitch_class", "pitch_classes", "fifths", "home", "written_mode"):
        assert getattr(strict, fact) == getattr(minor, fact), fact
    assert [strict.spell(pitch) for pitch in range(60, 72)] == [
        minor.spell(pitch) for pitch in range(60, 72)
    ]
    assert minor.admitted == melodic.pitch_classes > minor.pitch_classes
    for mode in SCALES.keys() - {"minor"}:
        key = Key.parse(f"{tonic} {mode}")
        assert key.admitted == key.pitch_classes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Am", "A minor"),
        ("F#m", "F# minor"),
        ("Gmaj", "G major"),
        ("Cmin", "C minor"),
        ("CM", "C major"),
        ("Bb", "Bb major"),
        ("bb", "Bb major"),
        ("b", "B major"),
        ("Bbm", "Bb minor"),
        ("Ebmaj", "Eb major"),
        ("F♯ minor", "F# minor"),
        ("B♭", "Bb major"),
        ("E-flat Major", "Eb major"),
        ("c sharp minor", "C# minor"),
        ("Ddor", "D dorian"),
        ("F#dorian", "F# dorian"),
        ("A-minor", "A minor"),
        ("A\u00a0 minor", "A minor"),
        ("B blues", "B blues"),
    ],
)
def test_keys_are_read_as_people_write_them(text, expected):
    assert str(Key.parse(text)) == expected


@pytest.mark.parametrize("scale", ["1,3,5", "0,3,3", "0,12", "0,5,2", "0", "0,x"])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="semitones|mode"):
        Key.parse(f"C {scale}")


def test_the_strength_of_places_in_a_bar():
    assert Meter.parse("4/4").levels(2) == (0, 3, 2, 3, 1, 3, 2, 3, 0)
    assert Meter.parse("3/4").levels(2) == (0, 2, 1, 2, 1, 2, 0)
    assert Meter.parse("6/8").levels(2) == (0, 2, 2, 1, 2, 2, 0)
    assert Meter.parse("7/8").levels(2) == (0, 2, 1, 2, 1, 2, 2, 0)
    assert Meter.parse("3+2+2/8").levels(2) == (0, 2, 2, 1, 2, 1, 2, 0)
    assert Meter.parse("5/4").levels(1) == (0, 2, 2, 1, 2, 0)
    assert Meter.parse("3+2+2/8").group_starts(4) == (0, 6, 10)


def test_groups_of_a_bar_are_written_only_where_they_are_unusual():
    assert Meter.parse("7/8") == Meter.parse("2+2+3/8")
    assert [str(Meter.parse(m)) for m in ("7/8", "3+2+2/8", "2+3/4", "12/8", "3+3+2/8")] == [
        *("7/8", "3+2+2/8", "2+3/4", "12/8", "8/8")
    ]
    assert Meter.parse("3+2+2/8").signature == "7/8"
    assert str(Meter(7, 8)) == "7/8"
    with pytest.raises(ValueError, match="2 units"):
        Meter.parse("6+1/8")


@pytest.mark.parametrize("midi", range(21, 109))
def test_every_spelling_sounds_as_asked(midi):
    for text in ("C major", "A minor", "F# major", "Db major", "B locrian"):
        name = Key.parse(text).pitch_name(midi)
        assert parse_pitch(name) == midi
        assert music21.pitch.Pitch(name.replace("b", "-")).midi == midi


def test_chromatic_notes_take_their_usual_names():
    key = Key.parse("C major")
    names = [key.spell(pitch)[0] for pitch in range(60, 72)]
    assert names == ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"]
    assert Key.parse("G major").spell(66) == ("F#", 4)
    assert Key.parse("F major").spell(70) == ("Bb", 4)


@pytest.mark.parametrize(
    ("meter", "bar", "beat"),
    [("4/4", 16, 4), ("3/4", 12, 4), ("6/8", 12, 6), ("9/8", 18, 6), ("2/2", 16, 8), ("3/8", 6, 2)],
)
def test_metre_lengths(meter, bar, beat):
    assert Meter.parse(meter).bar_cells(4) == bar
    assert Meter.parse(meter).beat_cells(4) == beat
    assert Meter.parse(meter).beat_cells(4) == (
        music21.meter.TimeSignature(meter).beatDuration.quarterLength * 4
        if meter != "3/8"  # music21 counts 3/8 in one; we count eighths
        else 2
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Key.parse("H major"), "tonic"),
        (lambda: Key.parse("h"), "tonic.*German"),
        (lambda: Key.parse("c-moll"), "mode.*German"),
        (lambda: Key.parse("Bbb"), "tonic"),
        (lambda: Key.parse("Gm7"), "mode"),
        (lambda: Key.parse("C majr"), "'major'"),
        (lambda: Meter.parse("4"), "beats/unit"),
        (lambda: Meter.parse("4/5"), "beats/unit"),
        (lambda: Meter.parse("0/4"), "beats/unit"),
        (lambda: Meter.parse("5/16").bar_cells(1), "cells"),
        (lambda: parse_pitch("X4"), "pitch"),
        (lambda: parse_pitch("C12"), r"0\.\.127"),
        (lambda: parse_range("C3"), "lowest-highest"),
    ],
)
def test_nonsense_says_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_pitches_and_ranges():
    assert parse_pitch("C4") == 60
    assert parse_pitch("Bb-1") == 10
    assert parse_range("C-1-G9") == (0, 127)
    assert parse_range("F#3-B5") == (54, 83)


def test_interval_names_and_hints():
    assert interval_name(-6) == "tritone"
    assert interval_name(16) == "octave and a major third"
    assert did_you_mean("reverd", ["reward"]) == " Did you mean 'reward'?"
    assert did_you_mean("zzz", ["reward"]) == ""


def test_the_beat_that_a_tempo_counts():
    beats = {
        0.5: "7/16 4/16 1/8",
        0.75: "3/16 6/16 12/16",
        1: "4/4 3/4 5/4 7/8 5/8 2+2+3/8 8/8 4/8 2+2+2/8",
        1.5: "3/8 6/8 9/8 12/8 3+3/8",
        2: "2/2 3/2 1/2",
        4: "2/1",
    }
    for length, meters in beats.items():
        assert {beat_quarters(Meter.parse(meter)) for meter in meters.split()} == {length}
