"""Tunes on a grid of 16ths: hand-written ones, real ones against music21, pieces of any format."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.abc import read_draft
from envs.notation.reading.readers import read_piece
from envs.notation.reading.selection import Known, top_notes
from envs.notation.text_line import score_from_text
from envs.notation.writing.writers import written
from pretrained.corpora.folk import collection_files, split_tunes
from pretrained.corpora.tunes import AS_TUNE, GridTune, TuneError, grid_tune, read_tune
from tests.helpers import random_pieces

HEADER = "X:1\nT:Test\nM:{meter}\nL:1/8\nK:{key}\n"
# Token of each note name with the octave of the tune below: C4 is MIDI 60, token 14.
R, H = 0, 1
C4, D4, E4, F4, G4, A4, B4, C5, D5, E5, F5, G5 = 14, 16, 18, 19, 21, 23, 25, 26, 28, 30, 31, 33
# By which the corpora count what they drop.
REASONS = {
    "no metre", "no key", "metre changes", "not readable as ABC", "bars do not fit the metre",
    "range wider than C3-B5", "rhythm off the 16th grid", "fewer than 8 notes", "several voices",
    "longer than any tune",
}  # fmt: skip


def read(music: str, meter: str = "4/4", key: str = "C") -> GridTune:
    return read_tune(HEADER.format(meter=meter, key=key) + music + "\n")


def grid(*notes: tuple[int, int]) -> list[int]:
    """Tokens of (onset token, cells) pairs."""
    return [cell for token, cells in notes for cell in [token] + [H] * (cells - 1)]


def test_pickup_is_placed_at_the_end_of_its_bar() -> None:
    tune = read("G|CDEF GABc|c4 G3:|G|cBAG F2E2|C6 z:|")
    assert tune.tokens.tolist() == grid(
        (G4, 2), (C4, 2), (D4, 2), (E4, 2), (F4, 2), (G4, 2), (A4, 2), (B4, 2), (C5, 2),
        (C5, 8), (G4, 6), (G4, 2), (C5, 2), (B4, 2), (A4, 2), (G4, 2), (F4, 4), (E4, 4),
        (C4, 12), (R, 2),
    )  # fmt: skip
    # The short bar before the repeat sign and the pickup after it make one bar together.
    assert tune.position.tolist() == [14, 15, *range(16), *range(16), *range(16), *range(14)]


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        # 3 notes in 4 cells lie at 0, 4/3 and 8/3.
        ("(3CDE FG ABcd", [C4, D4, H, E4, F4, H, G4, H, A4, H, B4, H, C5, H, D5, H]),
        # A tuplet under a slur, with a grace note inside.
        ("(3(C{g}DE) FG ABcd", [C4, D4, H, E4, F4, H, G4, H, A4, H, B4, H, C5, H, D5, H]),
        ("C>D E<F GABc", [C4, H, H, D4, E4, F4, H, H, G4, H, A4, H, B4, H, C5, H]),
        # The dot of staccato, a bowing mark and a slur do not hide a broken rhythm.
        ("C>.D (E<)uF GABc", [C4, H, H, D4, E4, F4, H, H, G4, H, A4, H, B4, H, C5, H]),
        # A tie joins equal pitches; between different ones the sign is a slur.
        ("C-C D-E FGAB", [C4, H, H, H, D4, H, E4, H, F4, H, G4, H, A4, H, B4, H]),
        # The top note of a chord, as long as the chord.
        ("[CE]2 [Gc]D EFGA", [E4, H, H, H, C5, H, D4, H, E4, H, F4, H, G4, H, A4, H]),
        # Two rests are one; nothing can be held before the first note.
        ("z2 C z z/z/ DEF", [R, R, R, R, C4, H, R, H, H, H, D4, H, E4, H, F4, H]),
        # An ornament that shares a cell with a note on the grid is lost.
        ("C/4D/4E/4F/4 G ABc dcB", None),
    ],
)
def test_bar_by_hand(music: str, expected: list[int] | None) -> None:
    tune = read(f"{music}|CDEF GABc|cBAG FEDC|")
    if expected is None:
        expected = [C4, E4, G4, H, A4, H, B4, H, C5, H, D5, H, C5, H, B4, H]
    assert tune.tokens[:16].tolist() == expected
    assert len(tune.tokens) == 48


def test_key_signature_and_accidentals() -> None:
    # D major down a tone to C; the sharp on g lasts to the bar line, the natural on f too.
    tune = read("DEFG ABcd|^gg=ff fedc|fg a2 A4|", key="D")
    names = [C4, D4, E4, F4, G4, A4, B4, C5]
    second = [F5 + 1, F5 + 1, E5 - 1, E5 - 1, E5 - 1, D5, C5, B4]
    third = [E5, F5, G5, G4]
    assert tune.tokens[tune.tokens > 1].tolist() == names + second + third
    assert tune.tonic == 0


@pytest.mark.parametrize(
    ("key", "tonic"),
    [("G", 0), ("E Minor", 9), ("Am", 9), ("Ador", 2), ("A Mixolydian", 7), ("Hp", 7), ("Glyd", 5)],
)
def test_every_mode_loses_its_signature(key: str, tonic: int) -> None:
    tune = read("GABc defg|gfed cBAG|", key=key)
    classes = (tune.tokens[tune.tokens > 1] + 46) % 12
    assert tune.tonic == tonic
    assert set(classes.tolist()) == {0, 2, 4, 5, 7, 9, 11}


def test_accidental_of_a_tied_note_crosses_the_bar_line() -> None:
    tune = read("CDEF GA^f2-|f2 fe dcBA|")
    onsets = tune.tokens[tune.tokens > 1].tolist()
    assert onsets[6:8] == [F5 + 1, F5]


def test_note_before_a_double_repeat_is_not_taken_for_a_field() -> None:
    tune = read("CDEF GABD::CDEF GABc:|")
    assert tune.tokens[tune.tokens > 1].tolist()[7] == D4
    assert len(tune.tokens) == 32


def test_the_last_ending_follows_what_is_before_the_first() -> None:
    tune = read("G|CDEF GABc|c4 [1 G3G:|[2 E3||G|CDEF GABc|cBAG FED|")
    assert tune.tokens.tolist() == grid(
        (G4, 2), (C4, 2), (D4, 2), (E4, 2), (F4, 2), (G4, 2), (A4, 2), (B4, 2), (C5, 2),
        (C5, 8), (E4, 6), (G4, 2), (C4, 2), (D4, 2), (E4, 2), (F4, 2), (G4, 2), (A4, 2), (B4, 2),
        (C5, 2), (C5, 2), (B4, 2), (A4, 2), (G4, 2), (F4, 2), (E4, 2), (D4, 2),
    )  # fmt: skip
    assert tune.position.tolist() == [14, 15, *range(16), *range(16), *range(16), *range(14)]


@pytest.mark.parametrize(
    ("music", "last", "cells"),
    [
        ("CDEF GABc|cBAG F4|", (F4, 8), 32),
        ("CDEF GABc|cBAG F3|", (R, 2), 32),  # to the bar line
        ("CDEF GABc|cBAG F3z|z8|z8|", (R, 2), 32),  # silence behind it is no music
        ("G|CDEF GABc|cBAG F3|", (F4, 6), 32),  # an upbeat is left of the bar
        ("G|CDEF GABc|cBAG F4|", (F4, 8), 34),  # or none
        ("G|CDEF GABc|cBAG F2|", (R, 2), 32),
    ],
)
def test_a_tune_ends_with_a_bar_or_before_its_upbeat(music: str, last, cells: int) -> None:
    tune = read(music)
    assert len(tune.tokens) == len(tune.position) == cells
    assert tune.tokens[-last[1] :].tolist() == grid(last)


def test_the_first_voice_and_its_own_notes_alone() -> None:
    voices = "V:1\nCDEF GABc & C8|\nV:2\nC,8|\nV:1\ncBAG FEDC|\n"
    assert read(voices).tokens.tolist() == read("CDEF GABc|cBAG FEDC|").tokens.tolist()


def test_bar_lines_can_be_passed_over() -> None:
    music = "G|CDEFG ABcd|cBA|GF[1 E2:|[2 D2|]"
    with pytest.raises(TuneError, match="bars"):
        read(music)
    text = HEADER.format(meter="4/4", key="C") + music + "\n"
    tokens = read_tune(text, bars=False).tokens
    assert tokens[tokens > 1].tolist() == [
        G4, C4, D4, E4, F4, G4, A4, B4, C5, D5, C5, B4, A4, G4, F4, E4, D4,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("X:1\nL:1/8\nK:C\nCDEF GABc|\n", "no metre"),
        ("X:1\nM:none\nL:1/8\nK:C\nCDEF GABc|\n", "no metre"),
        ("X:1\nM:4/4\nL:1/8\nCDEF GABc|\n", "not readable as ABC: .*K:"),
        (HEADER.format(meter="4/4", key="none") + "CDEF GABc|\n", "no key"),
        (HEADER.format(meter="4/4", key="C") + "CDEF GABc|\nM:3/4\nCDEFGA|\n", "metre changes"),
        (HEADER.format(meter="4/4", key="C") + "CDEF GABc|CDEF GABcd|\n", "bars"),
        (HEADER.format(meter="4/4", key="C") + "CDEFG|" * 8 + "\n", "bars"),
        (HEADER.format(meter="4/4", key="C") + "CDEF GABc|\n" * 65, "bars do not .*65"),
        (HEADER.format(meter="5/32", key="C") + "C5/4|D5/4|" * 5 + "\n", "bars"),
        (HEADER.format(meter="4/4", key="C") + "C,,DEF GABc'|\n", "range"),
        (HEADER.format(meter="4/4", key="C") + "C/4D/4E/4F/4 GABcde c|\n" * 3, "16th"),
        (HEADER.format(meter="4/4", key="C") + "C8|\n", "8 notes"),
        (HEADER.format(meter="4/4", key="C") + "z8|\n", "8 notes"),
        ("\0", "not readable"),
        ("X:1\nT:\udc80\nM:4/4\nK:C\nC8|\n", "8 notes"),
        (HEADER.format(meter="4/4", key="C") + "C8|" * 7000, "longer"),
    ],
)
def test_unusable_tunes_say_why(text: str, reason: str) -> None:
    with pytest.raises(TuneError, match=reason) as refused:
        read_tune(text)
    assert str(refused.value).startswith(refused.value.reason)
    assert refused.value.reason in REASONS


REAL_TUNES = [
    ("airdsAirs", "book1.abc", 0),
    ("airdsAirs", "book1.abc", 2),
    ("airdsAirs", "book3.abc", 22),
    ("oneills1850", "1476-1555.abc", 10),
    ("oneills1850", "1001-1031.abc", 3),
    ("ryansMammoth", "AcaciaReel.abc", 0),
    ("ryansMammoth", "AlbemarleHornpipe.abc", 0),
    ("miscFolk", "northumbrianminstrelsyopus.abc", 1),
]


@pytest.mark.parametrize(("collection", "file", "number"), REAL_TUNES)
def test_real_tune_as_music21_reads_it(collection: str, file: str, number: int) -> None:
    """Pitches and onsets of music21's full converter, an independent path from text to notes."""
    converter = pytest.importorskip("music21.converter")
    path = next(p for p in collection_files(collection) if p.name == file)
    text = split_tunes(path.read_text("utf-8"))[number]
    score = converter.parse("%abc-2.1\n" + text, format="abc").flatten().stripTies()
    notes = [note for note in score.notes if not note.duration.isGrace]
    expected = [(4 * Fraction(note.offset), note.pitches[-1].midi) for note in notes]

    part = read_draft(text.encode(), Known()).parts[0]
    got = [(4 * sound.start, sound.pitch) for sound in top_notes(part.voices[0])]
    assert len(got) > 20
    assert got == expected

    tune = read_tune(text)
    # Only notes off the grid may move or go.
    shifts = {int(tune.tokens[int(at)]) + 46 - p for at, p in expected if at.denominator == 1}
    signature = score.recurse().getElementsByClass("KeySignature").first().sharps
    assert len(shifts) == 1
    assert (shifts.pop() + 7 * signature) % 12 == 0


@pytest.mark.parametrize(
    ("meter", "bar", "beat"),
    [((6, 8), 12, 6), ((9, 8), 18, 6), ((12, 8), 24, 6), ((4, 4), 16, 4), ((2, 2), 16, 8),
     ((3, 2), 24, 8), ((3, 8), 6, 2), ((6, 4), 24, 4), ((5, 8), 10, 2)],
)  # fmt: skip
def test_beats(meter: tuple[int, int], bar: int, beat: int) -> None:
    empty = np.zeros(0, dtype=np.int16)
    tune = GridTune(empty, empty, meter, 0, "")
    assert (tune.bar_cells, tune.beat_cells) == (bar, beat)


# -- pieces of any format --------------------------------------------------------------------------

SONG = "G|C>D E<F GABc|(3cBA G2 _E2 F2|^F4 z2 AB|c6|"


@pytest.mark.parametrize("suffix", [".abc", ".mid", ".musicxml"])
@pytest.mark.parametrize(("key", "meter"), [("D", "4/4"), ("Gm", "2/2"), ("E dorian", "4/4")])
def test_a_piece_of_any_format_is_the_same_tune(suffix: str, key: str, meter: str) -> None:
    text = HEADER.format(meter=meter, key=key) + SONG + "\n"
    expected = read_tune(text)
    piece = read_piece(text.encode(), ".abc", key=key, part=1, grid=12)
    again = read_piece(written(piece, suffix), suffix, **AS_TUNE, key=key, pickup=2)
    assert again.grid == 4
    found = grid_tune(again)
    assert found.tokens.tolist() == expected.tokens.tolist()
    assert found.position.tolist() == expected.position.tolist()
    assert (found.meter, found.tonic) == (expected.meter, expected.tonic)


def test_notes_that_the_grid_loses_are_counted_in_this_process_and_in_a_child() -> None:
    music = "C/4D/4E/4F/4 GABcde c|CDEF GABc|"
    text = HEADER.format(meter="4/4", key="C") + music + "\n"
    piece = read_piece(text.encode(), ".abc", **AS_TUNE)
    assert piece.lost == 2
    assert any("2 notes" in notice for notice in piece.notices)
    with pytest.raises(TuneError, match="2 notes"):
        grid_tune(piece)
    assert (
        grid_tune(replace(piece, lost=1)).tokens == grid_tune(replace(piece, lost=0)).tokens
    ).all()


def test_pieces_that_are_no_tunes_say_why() -> None:
    line = "C4 D4 E4 F4 G4 A4 B4 C5"
    with pytest.raises(TuneError, match="several voices"):
        grid_tune(Piece(random_pieces(Task(voices=2), 1)))
    with pytest.raises(TuneError, match="12 cells"):
        grid_tune(Piece(random_pieces(Task(grid=12), 1)))
    with pytest.raises(TuneError, match="8 notes"):
        grid_tune(Piece(Score(np.zeros((1, 1, 32), int), Task())))
    piece = Piece(score_from_text(line))
    tokens = grid_tune(piece).tokens
    assert tokens[tokens > 1].tolist() == [14, 16, 18, 19, 21, 23, 25, 26]
