"""Files of two to eight voices, as other programs read them: staves, clefs, stems and notes."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from envs.music.piece import Piece
from envs.music.score import Score
from envs.notation import read_piece, score_from_text, written
from envs.notation.writing.sound import synthesise
from envs.notation.writing.staves import staves_of
from tests.envs.notation.other_readers import (
    ABC2MIDI,
    ROUNDED,
    alike,
    by_abc2midi,
    by_mido,
    by_music21,
    by_verovio,
    meta_of,
    written_notes,
)
from tests.envs.notation.random_pieces import random_piece
from tests.envs.notation.sheet import read_sheet

# An upbeat, ties over bar lines, accidentals of one voice beside the other's, a unison of soprano
# and alto, tenor and bass that cross, and an alto that rests.
LINES = (
    "G4:4 A4:8 F#4:4 G4:4 G4:4 A4:6 Bb4:2 C5:16",
    "D4:4 r:8 F4:4 F#4:4 G4:4 F4:8 E4:16",
    "Bb3:4 A3:4 C4:8 D4:20 C#4:12",
    "G3:4 F3:4 D4:8 G3:8 D3:8 A2:16",
)


def choir(voices: int = 4) -> Piece:
    score = score_from_text(" ; ".join(LINES[:voices]), key="G minor")
    task = replace(score.task, pickup=4)
    return Piece.of(Score(score.tokens, task), title="A choir")


def random_choirs(seed: int, count: int, grids: tuple[int, ...] = ()) -> list[Piece]:
    """Pieces of two to eight voices whose notes cross and meet, as all have one range."""
    rng = Random(seed)
    drawn = (random_piece(rng, voices=8, grids=grids) for _ in range(3 * count))
    return [piece for piece in drawn if piece.voices > 1][:count]


def test_random_choirs_are_written_in_full():
    for piece in [choir(), *random_choirs(1, 60)]:
        assert alike(by_mido(written(piece, ".mid"), piece.grid), written_notes(piece))
        assert read_sheet(written(piece, ".musicxml").decode(), piece) == written_notes(piece)


def test_music21_reads_each_voice_of_a_staff():
    for piece in [choir(3), choir(4), *random_choirs(2, 15)]:
        document = written(piece, ".musicxml").decode()
        assert alike(by_music21(document, piece.grid), written_notes(piece))


def test_music21_reads_each_voice_of_abc():
    for voices in (2, 3, 4):
        piece = choir(voices)
        heard = by_music21(written(piece, ".abc").decode(), piece.grid, form="abc")
        assert alike(heard, written_notes(piece))


def test_verovio_lays_out_each_voice_of_a_staff():
    # Without tuplets, whose lengths verovio rounds.
    for piece in [choir(3), choir(4), *random_choirs(3, 40, grids=(1, 2, 4, 8))]:
        document = written(piece, ".musicxml").decode()
        assert alike(by_verovio(document, piece.grid), written_notes(piece))


@pytest.mark.skipif(ABC2MIDI is None, reason="no abc2midi here")
def test_abc2midi_reads_each_voice_without_a_warning():
    pieces = [choir(2), choir(3), choir(4)]
    pieces += [piece for piece in random_choirs(4, 120) if piece.grid <= 10]
    tunes = [written(piece, ".abc").decode() for piece in pieces]
    heard = by_abc2midi(tunes, [piece.grid for piece in pieces])
    for piece, notes in zip(pieces, heard, strict=True):
        assert alike(notes, written_notes(piece), ROUNDED)


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".abc"])
def test_our_readers_keep_the_order_of_the_voices(suffix):
    for piece in [choir(2), choir(3), choir(), *random_choirs(5, 25)]:
        used = sorted({note.voice for note in piece.notes})  # no empty voice is read
        if not used or (suffix == ".abc" and piece.grid > 10):
            continue
        again = read_piece(written(piece, suffix), suffix, grid=piece.grid)
        notes = [replace(note, voice=used.index(note.voice)) for note in piece.notes]
        assert again.notes == tuple(notes)
        assert (again.meter, again.pickup, again.voices) == (piece.meter, piece.pickup, len(used))


# -- staves ----------------------------------------------------------------------------------------


def staves(*lines: str) -> list[tuple[tuple[int, ...], bool]]:
    return [(staff.voices, staff.low) for staff in staves_of(score_from_text(" ; ".join(lines)))]


def test_voices_share_two_staves_where_a_choir_reads_them_so():
    treble, bass = False, True
    assert staves(*LINES) == [((0, 1), treble), ((2, 3), bass)]
    assert staves("C5", "A4", "G4", "E4") == [((0, 1), treble), ((2, 3), treble)]
    assert staves("C5", "A4", "C3") == [((0, 1), treble), ((2,), bass)]
    assert staves("C5", "E3", "C3") == [((0,), treble), ((1, 2), bass)]
    assert staves("C5", "C3") == [((0,), treble), ((1,), bass)]
    assert staves("C5", "A4", "C4", "C2") == [((n,), n == 3) for n in range(4)]  # far apart
    assert staves(*["C5"] * 5) == [((n,), treble) for n in range(5)]
    assert staves("C3") == [((0,), bass)]


def test_a_choir_is_one_part_of_two_staves():
    root = ET.fromstring(written(choir(), ".musicxml"))
    (part,) = root.findall("part")
    (name,) = root.findall("part-list/score-part/part-name")
    assert name.text == "Soprano, Alto, Tenor, Bass"
    (attributes,) = part.iter("attributes")
    assert attributes.findtext("staves") == "2"
    assert [(c.get("number"), c.findtext("sign")) for c in attributes.findall("clef")] == [
        ("1", "G"), ("2", "F")
    ]  # fmt: skip
    where = {(note.findtext("voice"), note.findtext("staff")) for note in part.iter("note")}
    assert where == {("1", "1"), ("2", "1"), ("3", "2"), ("4", "2")}
    assert [bar.findtext("barline/bar-style") for bar in part][-1] == "light-heavy"
    assert part.findall("measure")[-1][-1].tag == "barline"
    names = [e.text for e in ET.fromstring(written(choir(2), ".musicxml")).iter("part-name")]
    assert names == ["Upper voice", "Lower voice"]


def test_abc_names_voices_and_their_staves():
    tune = written(choir(), ".abc").decode()
    assert "%%score [(1 2) (3 4)]\n" in tune
    assert re.findall(r"^V:.*$", tune, re.M) == [
        'V:1 name="Soprano"', 'V:2 name="Alto"',
        'V:3 name="Tenor" clef=bass', 'V:4 name="Bass" clef=bass',
    ]  # fmt: skip
    assert "%%score [1 2]\n" in written(choir(2), ".abc").decode()
    assert "%%score" not in written(choir(1), ".abc").decode()


def test_tracks_of_midi_have_the_names_of_voices():
    told = [value for _, kind, value in meta_of(written(choir(), ".mid")) if kind == "track_name"]
    assert told == [("A choir",), ("Soprano",), ("Alto",), ("Tenor",), ("Bass",)]


def test_the_picture_has_two_staves_and_a_layer_for_each_voice():
    picture = ET.fromstring(written(choir(), ".svg"))
    bars = [e for e in picture.iter() if e.get("class") == "measure"]
    assert len(bars) == 4
    for bar in bars:
        drawn = [[e.get("class") for e in child.iter()] for child in bar]
        layers = [classes.count("layer") for classes in drawn if classes[0] == "staff"]
        assert layers == [2, 2]
    assert written(choir(), ".roll.svg").decode().count("data-note") == len(choir().notes)


def test_voices_sound_together():
    rate, spectra = 22_050, []
    for voices in (1, 4):
        samples = synthesise(choir(voices).score, 0, 60.0, rate)[: rate // 4]
        spectra.append(np.abs(np.fft.rfft(samples, 8 * rate)) / np.abs(samples).max())
    one, four = ([s[round(8 * 440 * 2 ** ((p - 69) / 12))] for p in (62, 55)] for s in spectra)
    assert all(b > 5 * a for a, b in zip(one, four, strict=True))  # D4 and G3 of the lower voices
