"""Notes and rests as a staff shows them: they fill their bars, with lengths that notation has."""

from random import Random

import pytest
from hypothesis import given

from envs.music.codec import MAX_GRID
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from envs.notation.writing.symbols import bars_of, with_signs
from tests.envs.notation.pieces import pieces, quick
from tests.envs.notation.random_pieces import random_piece
from tests.envs.notation.sheet import check_bars


@quick
@given(pieces(grids=range(1, 25), voices=1, pickups=True))
def test_symbols_fill_their_bars_with_lengths_notation_has(score):
    check_bars(score)


@pytest.mark.parametrize("grid", range(1, MAX_GRID + 1))
def test_symbols_fill_the_bars_of_every_metre_and_upbeat(grid):
    rng = Random(grid)
    for _ in range(40):
        piece = random_piece(rng, grids=(grid,))
        for voice in range(piece.voices):
            check_bars(piece.score, voice)


def test_tuplets_do_not_cross_the_groups_of_a_bar():
    score = score_from_text("C4:6 D4:2 E4:2 F4:2 G4:12", meter="3+3+2/8", grid=6)
    (bar,) = bars_of(score, 0, 0)
    first, second = (6, 3, 2), (9, 3, 2)  # a second group begins at cell 9
    assert [(symbol.start, symbol.tuplet) for symbol in bar] == [
        (0, None),
        (6, first),
        (8, first),
        (9, second),
        (10, second),
        (12, None),
    ]


def lengths(line: str, meter: str = "4/4", grid: int = 4) -> list[list[str]]:
    score = score_from_text(line, meter=meter, grid=grid)
    return [
        [("r" if s.pitch is None else "") + str(s.written * grid) for s in bar]
        for bar in bars_of(score, 0, 0)
    ]


def signs(line: str, key: str = "C major") -> str:
    """A letter for each symbol: x with a sign, . without."""
    score = score_from_text(line, key)
    voices = [bars_of(score, 0, voice) for voice in range(score.task.voices)]
    lines = zip(*with_signs(voices, score.task.key), strict=True)
    told = (" ".join("".join(".x"[signed] for _, signed in bar) for bar in bars) for bars in lines)
    return " ; ".join(told)


def test_signs_hold_to_the_end_of_the_bar_and_warn_where_another_was():
    assert signs("F#4:4 F#4:4 F4:4 F4:4") == "x.x."
    assert signs("F#4:16 F4:8 F4:8 F4:16") == "x x. ."  # the bar before had another
    assert signs("F#4:32 F4:8 G4:8 F4:16") == "x . x. ."  # held from the bar before
    assert signs("F#4:20 F#4:12") == "x .x"  # behind a tie the signature is back
    assert signs("F#4:8 F5:4 F5:4") == "xx."  # in another octave
    assert signs("F4:8 F#4:8 r:16 F#4:16", "G major") == "xx . ."


def test_a_sign_holds_for_the_other_voice_of_its_staff():
    assert signs("F#4:4 A4:12 ; r:4 F4:4 F4:8") == "x. ; .x."
    assert signs("F#4:4 A4:12 ; r:4 F#4:4 F#4:8") == "x. ; ..."
    assert signs("F#4:16 A4:16 ; C4:16 F4:16") == "x . ; . x"  # the bar before had another
    assert signs("F#4:8 F4:8 ; F#4:16") == "xx ; ."  # a unison has one sign
    assert signs("A4:16 F4:16 ; F#4:20 E4:4 F4:8") == ". x ; x ..."  # beside a tied F sharp


def test_symbols_show_the_beats():
    assert lengths("C4:4 D4:8 E4:4") == [["4", "8", "4"]]  # a common syncopation
    assert lengths("C4:6 D4:6 E4:4") == [["6", "2", "4", "4"]]  # the middle of the bar shows
    assert lengths("C4:2 D4:4 E4:10") == [["2", "4", "2", "8"]]
    assert lengths("C4:3 D4:4 E4:9") == [["3", "1", "3", "1", "8"]]
    assert lengths("C4:4 r:12") == [["4", "r4", "r8"]]
    assert lengths("r:16 C4:16") == [["r16"], ["16"]]
    assert lengths("C4:8 D4:4", "6/8") == [["6", "2", "4"]]
    assert lengths("C4:12", "6/8") == [["12"]]
    assert lengths("C4:6 r:6", "6/8") == [["6", "r6"]]
    assert lengths("C4:12 D4:20") == [["12", "4"], ["16"]]
    assert lengths("C4:2 D4:1 E4:2 F4:15", grid=5) == [["5/2", "5/4", "5/2", "15"]]
    assert lengths("C4:64", "16/4") == [["32", "32"]]  # no note is longer than a breve
    assert lengths("C4:1 D4:1 E4:1 F4:3 G4:6", grid=3) == [["3/2", "3/2", "3/2", "3", "6"]]


def test_a_last_bar_that_an_upbeat_shortens_ends_inside_a_triplet():
    score = score_from_text("C4:1 D4:3 r:6 E4:2", grid=3)
    upbeat = Score(score.tokens, Task(bars=1, grid=3, pickup=1))
    first, last = bars_of(upbeat, 0, 0)
    assert [(s.start, s.cells, s.tuplet) for s in first] == [(0, 1, (-2, 3, 2))]
    assert [(s.start, s.cells, s.tuplet) for s in last[:3]] == [
        (1, 3, None),
        (4, 3, None),
        (7, 3, None),
    ]
    assert [(s.start, s.cells, s.tuplet) for s in last[3:]] == [(10, 2, (10, 3, 2))]
