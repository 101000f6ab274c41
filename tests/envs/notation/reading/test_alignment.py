"""Voices whose bars differ in length: their bars begin together, or they are refused."""

import pytest

from envs.errors import RefusedError
from envs.notation.reading.readers import read_piece

HEAD = "X:1\nM:4/4\nL:1/8\nK:C\n"


def starts(music: str, **known) -> tuple[list[list[int]], tuple[str, ...]]:
    """The cells at which the notes of each voice begin, and the notices."""
    piece = read_piece((HEAD + music).encode(), ".abc", **known)
    voices = [[n.start for n in piece.notes if n.voice == voice] for voice in range(piece.voices)]
    return voices, piece.notices


@pytest.mark.parametrize(
    ("music", "expected", "told"),
    [
        ("V:1\nC8|D8|\nV:2\nE8|F8|", [[0, 16], [0, 16]], ""),
        ("V:1\n|:C8|D6:|E8|\nV:2\n|:C8|D8:|E8|", [[0, 16, 32], [0, 16, 32]], "bar 2"),
        ("V:1\nC8|D8|\nV:2\nC6|D8|", [[0, 16], [0, 16]], "bar 1"),
        ("V:1\nG2|C8|D6|\nV:2\nC8|D6|", [[0, 4, 20], [4, 20]], ""),  # no rest in the upbeat
        ("V:1\nG2|C8|D6|\nV:2\nZ|C8|D6|", [[0, 4, 20], [4, 20]], ""),  # a bar of rest in it
        ("V:1\nG4|C8|D4|\nV:2\nG2|C8|D4|", [[0, 8, 24], [4, 8, 24]], "bar 0"),
    ],
)
def test_bars_begin_together(music, expected, told):
    voices, notices = starts(music)
    assert voices == expected
    assert [told in notice for notice in notices] == [True] * bool(told)


def test_a_tie_over_a_bar_that_is_moved_is_one_note():
    piece = read_piece((HEAD + "V:1\nC8|D8|\nV:2\nC6-|C8|").encode(), ".abc")
    assert [(n.start, n.duration) for n in piece.notes if n.voice == 1] == [(0, 32)]


def test_more_bars_and_others_in_length_are_refused():
    with pytest.raises(RefusedError, match="--part"):
        starts("V:1\nC8|D8|E8|\nV:2\nC6|D8|")
    assert starts("V:1\nC8|D8|E8|\nV:2\nC6|D8|", part=2)[0] == [[0, 12]]  # by itself an upbeat


REPEAT = "|:C8|1 D8:|2 E8|\nF8|"


@pytest.mark.parametrize(
    ("bars", "notes", "numbers"),
    [((1, 2), "CD", (1, 2)), ((2, 2), "D", (2,)), ((2, 3), "E", (3,)), ((1, 4), "CEF", (1, 3, 4))],
)
def test_an_ending_at_the_end_of_what_is_read_is_played(bars, notes, numbers):
    piece = read_piece((HEAD + REPEAT).encode(), ".abc", bars=bars)
    assert "".join("C D EF"[n.pitch - 60] for n in piece.notes) == notes
    assert piece.numbers == numbers


@pytest.mark.parametrize("end", ["\nM:3/4", "[M:3/4]|]"])
def test_a_metre_behind_the_last_note_changes_nothing(end):
    assert starts(f"C8|D8|{end}") == ([[0, 16]], ())
