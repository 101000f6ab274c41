"""Random pieces of every grid, metre, upbeat and rhythm, as other programs read our files."""

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest

from envs.music.key import Key, written_key
from envs.music.meter import Meter, beat_quarters
from envs.music.piece import Piece
from envs.music.score import Score
from envs.notation import read_piece, score_from_text, written
from tests.envs.notation.other_readers import (
    ABC2MIDI,
    ROUNDED,
    alike,
    by_abc2midi,
    by_mido,
    by_music21,
    meta_of,
    written_notes,
)
from tests.envs.notation.random_pieces import random_piece
from tests.envs.notation.sheet import read_sheet

TEMPO = 80
NAMES = {
    1: ["Melody"],
    2: ["Upper voice", "Lower voice"],
    3: ["Upper voice", "Middle voice", "Lower voice"],
    4: ["Soprano", "Alto", "Tenor", "Bass"],
    5: ["Voice 1", "Voice 2", "Voice 3", "Voice 4", "Voice 5"],
}


def random_pieces(seed: int, count: int) -> list[Piece]:
    rng = Random(seed)
    return [random_piece(rng) for _ in range(count)]


def with_upbeat(meter: str, grid: int, pickup: int) -> Piece:
    score = score_from_text("C4 D4 E4 F4 G4", meter=meter, grid=grid)
    task = replace(score.task, pickup=pickup)
    return Piece.of(Score(score.tokens, task))


def test_mido_reads_the_notes_and_what_the_file_says():
    for piece in random_pieces(1, 150):
        data = written(piece, ".mid")
        assert alike(by_mido(data, piece.grid), written_notes(piece))
        meta = meta_of(data)
        names = [told[0] for _, kind, told in meta if kind == "track_name"]
        assert names == [piece.title] * bool(piece.title) + NAMES[piece.voices]
        ((_, _, (tempo,)),) = [each for each in meta if each[1] == "set_tempo"]
        beat = float(beat_quarters(piece.meter))
        assert 60e6 / tempo / beat == pytest.approx(piece.tempo or TEMPO, abs=0.01)
        *upbeat, (start, _, signature) = [each for each in meta if each[1] == "time_signature"]
        assert start == Fraction(piece.pickup, piece.grid)
        assert "{}/{}".format(*signature) == piece.meter.signature
        for _, _, (beats, unit) in upbeat:
            assert start <= Fraction(4 * beats, unit) <= Fraction(piece.task.bar_cells, piece.grid)
        assert len(upbeat) == bool(piece.pickup)
        ((_, _, (key,)),) = [each for each in meta if each[1] == "key_signature"]
        words = [told[0].partition(": ") for _, kind, told in meta if kind == "marker"]
        told = {kind: value for kind, _, value in words}
        named = Key.parse(told.get("Key", key))
        assert (named.tonic, named.mode) == (piece.key.tonic, piece.key.mode)
        assert Meter.parse(told.get("Meter", piece.meter.signature)) == piece.meter


def test_upbeats_have_a_time_signature_of_their_own_length():
    def first(piece):
        return next(told for _, kind, told in meta_of(written(piece, ".mid")))

    assert first(with_upbeat("4/4", 4, 4)) == (1, 4)
    assert first(with_upbeat("6/8", 4, 2)) == (1, 8)
    assert first(with_upbeat("2/2", 4, 8)) == (1, 2)
    assert first(with_upbeat("4/4", 4, 7)) == (7, 16)
    assert first(with_upbeat("4/4", 3, 1)) == (1, 4)  # a triplet eighth: the metre starts within
    assert first(with_upbeat("2/2", 12, 47)) == (4, 4)
    assert first(with_upbeat("3/4", 4, 0)) == (3, 4)


def test_sheet_music_has_full_bars_and_the_signs_that_it_needs():
    for piece in random_pieces(2, 60):
        heard = read_sheet(written(piece, ".musicxml").decode(), piece)
        assert heard == written_notes(piece)


def test_music21_reads_the_notes_of_musicxml():
    for piece in random_pieces(3, 25):
        document = written(piece, ".musicxml").decode()
        assert alike(by_music21(document, piece.grid), written_notes(piece))


@pytest.mark.skipif(ABC2MIDI is None, reason="no abc2midi here")
def test_abc2midi_reads_the_notes_of_abc_without_a_warning():
    pieces = [piece for piece in random_pieces(4, 250) if piece.grid <= 10]
    tunes = [written(piece, ".abc").decode() for piece in pieces]
    for piece, heard in zip(pieces, by_abc2midi(tunes, [p.grid for p in pieces]), strict=True):
        assert alike(heard, written_notes(piece), ROUNDED)


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".abc"])
def test_our_readers_read_the_same_piece(suffix):
    for piece in random_pieces(5, 40):
        used = sorted({note.voice for note in piece.notes})  # no empty voice is read
        if not used or (suffix == ".abc" and piece.grid > 10):
            continue
        again = read_piece(written(piece, suffix), suffix, grid=piece.grid)
        notes = [replace(note, voice=used.index(note.voice)) for note in piece.notes]
        assert again.notes == tuple(notes)
        shown = written_key(piece.key)
        key = piece.key if suffix == ".mid" else Key(shown.tonic, shown.written_mode)
        assert (again.key, again.meter, again.pickup) == (key, piece.meter, piece.pickup)
        assert again.tempo == pytest.approx(piece.tempo or TEMPO, abs=0.01)
        assert again.title == piece.title


def test_a_chord_symbol_changes_no_accidental():
    score = score_from_text("F#4:2 F4:2 F#4:4 Bb4:4 B4:4", "G major")
    chords = [replace(score.task, chords=chords) for chords in ("", "F", "Bb7", "G#dim")]
    sheets = [written(Piece.of(Score(score.tokens, task)), ".musicxml") for task in chords]
    assert len({sheet.count(b"<accidental>") for sheet in sheets}) == 1
    (root,) = {part.split(b"</root>")[0] for part in sheets[1].split(b"<root>")[1:]}
    assert b"root-alter" not in root  # F, not F natural
