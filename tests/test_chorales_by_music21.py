"""Bach's chorales read and judged beside music21: the same notes, voices and parallels."""

import pytest

from envs.music.piece import Piece
from envs.notation import score_from_text
from tests.tools.judging.judge_chorales import (
    FILLED,
    Judged,
    compare_parallels,
    files,
    judged,
    moving,
    sung,
)

SOME = 45  # every n-th of the files


def check(every: int) -> None:
    paths = files()[::every]
    if not paths:
        pytest.skip("music21 is installed without its corpus")
    found = [each for path in paths if (each := judged(path)) is not None]
    assert len(found) >= 4
    assert sum(each.moving for each in found) > 100 * len(found)
    for each in found:
        assert not each.refused or "metre" in each.refused, each
        assert all(FILLED in words for words in each.unlike), each
        assert each.ours == [], each
        assert each.theirs == [], each


def test_some_chorales_are_as_music21_has_them():
    check(SOME)


@pytest.mark.slow
def test_all_chorales_are_as_music21_has_them():
    check(1)


def by_music21(*lines: str):
    """Notes of music21 for lines of quarter notes, made without our readers and writers."""
    from music21 import converter

    return [sung(converter.parse(f"tinynotation: 4/4 {line}")) for line in lines]


def test_parallels_are_compared_at_moving_pairs():
    piece = Piece.of(score_from_text("E5 F5 F5 G5 ; C5 C5 D5 D5 ; A4 A4 A4 B4 ; A3 Bb3 D4 E4"))
    theirs = by_music21("e'4 f' f' g'", "c'4 c' d' d'", "a4 a a b", "A4 B- d e")
    found = Judged("a")
    compare_parallels(found, piece, theirs)
    assert found.moving == 5
    assert found.both == {"parallel_fifths": 2}
    assert (found.ours, found.theirs) == ([], [])
    other = Judged("b")
    compare_parallels(other, piece, [*theirs[:3], by_music21("A4 B- d f")[0]])
    assert (len(other.ours), other.both) == (1, {"parallel_fifths": 1})


def test_a_pair_moves_where_both_begin_another_pitch_after_sounding():
    lines = by_music21("c'4 d' r e'", "c4 d e f"), by_music21("c'4 d'2 d'4", "c4 d4 e4 f4")
    assert [float(time) for time, _ in moving(*lines[0])] == [1.0]
    assert [float(time) for time, _ in moving(*lines[1])] == [1.0]
