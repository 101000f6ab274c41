"""Where the bars of a file come to lie: upbeats, halves, endings, bars that are too short."""

from fractions import Fraction

import pytest

from envs.music.codec import Note
from envs.notation.reading.bars import Measure, lay_out, numbered, played_before
from envs.notation.text_line import score_from_text
from envs.notation.writing.musicxml import Marks, musicxml
from tests.envs.notation.files import reads, tune

SIX = Fraction(3)  # quarter notes of a bar of 6/8


def test_an_upbeat_two_halves_of_a_bar_and_the_last_ending(tmp_path):
    body = "B|EBB ABd|e2c d2B|1 A3 A2:|2 A3 G2|| a|abc edc|A3 A2:|"
    piece = reads(tmp_path, "a.abc", tune(body, "6/8").replace("L:1/4", "L:1/8"))
    assert (piece.pickup, piece.bars, piece.numbers) == (2, 5, (0, 1, 2, 4, 5, 6))
    assert piece.notices == ("bar 3 left out: repeats are played once, with the last ending",)
    assert [(n.start, n.pitch) for n in piece.notes[12:15]] == [(32, 67), (36, 81), (38, 81)]
    starts = {note.start for note in piece.notes}
    assert set(piece.task.bar_lines) <= starts


def test_bars_that_are_too_short_or_too_long(tmp_path):
    piece = reads(tmp_path, "a.abc", tune("CDEF|GAB|cBAG|FEDC|EDCB,|C4|"))
    assert piece.notes[7] == Note(32, 4, 72)  # on its bar line, after a silence
    assert piece.notices == ("bar 2 filled up with silence, being shorter than the metre asks",)
    assert piece.numbers == (1, 2, 3, 4, 5, 6)
    with pytest.raises(ValueError, match="bar 2"):
        reads(tmp_path, "a.abc", tune("CDEF|GABcd/|cBAG|"))
    with pytest.raises(ValueError, match="4 of its 6"):
        reads(tmp_path, "a.abc", tune("CDEF|GAB|cBA|FED|EDC|C4|"))
    doubled = reads(tmp_path, "a.abc", tune("CDEFGABc|cBAG|"))  # a bar line is missing
    assert (doubled.bars, doubled.notices, doubled.numbers) == (3, (), (1, 2, 3))


def measures(*lengths: object) -> list[Measure]:
    """Lengths in quarters; 'skip' and 'open' mark the measure behind them."""
    start, found, marks = Fraction(0), [], set()
    for length in lengths:
        if isinstance(length, str):
            marks.add(length)
            continue
        length = Fraction(length)  # type: ignore[arg-type]
        found.append(Measure(start, length, None, "skip" in marks, "open" in marks))
        start, marks = start + length, set()
    return numbered(found, [SIX] * len(found))


def test_laying_out():
    whole = lay_out(measures(3, 3, 3), SIX)
    assert (whole.pickup, whole.end, whole.numbers) == (0, 9, (1, 2, 3))
    assert whole.moved(Fraction(4), Fraction(5)) == (4, 5)
    halves = lay_out(measures(1, 3, 2, "open", 1, 3, 2), SIX)
    assert (halves.pickup, halves.end, halves.numbers, halves.filled) == (
        1,
        12,
        (0, 1, 2, 3, 4),
        (),
    )
    # A section's own upbeat after a full bar: the silence goes before it.
    upbeat = lay_out(measures(3, 3, "open", 1, 3, 3), SIX)
    assert (upbeat.filled, upbeat.moved(Fraction(6), Fraction(7))) == ((3,), (8, 9))
    both = lay_out(measures(3, 1, "open", 1, 3, 3), SIX)
    assert (both.filled, both.moved(Fraction(4), Fraction(5))) == ((2,), (5, 6))
    endings = lay_out(measures(3, "skip", 2, 3, 3), SIX)
    assert (endings.skipped, endings.numbers, endings.end) == ((2,), (1, 3, 4), 9)
    assert endings.moved(Fraction(3), Fraction(4)) is None
    assert endings.moved(Fraction(2), Fraction(4)) == (2, 3)  # a tie into it ends with the bar
    assert endings.moved(Fraction(5), Fraction(6)) == (3, 4)
    assert lay_out([], SIX).moved(Fraction(1), Fraction(2)) == (1, 2)
    with pytest.raises(ValueError, match="lasts 3e"):
        lay_out(measures(3 * 10**12), SIX)


def test_bars_keep_the_numbers_of_the_file(tmp_path):
    document = musicxml(score_from_text("C4 D4 E4 F4 " * 3), marks=Marks(numbers=(41, 42, 44)))
    assert reads(tmp_path, "a.xml", document).numbers == (41, 42, 44)
    nonsense = document.replace('number="44"', 'number="7"')
    assert reads(tmp_path, "a.xml", nonsense).numbers == (1, 2, 3)


@pytest.mark.parametrize(
    ("endings", "left_out"),
    [
        ([("1", 3, 4), ("2", 5, 5)], {3, 4}),
        ([("1", 1, 1), ("1", 2, 2), ("2", 3, 3)], {1, 2}),  # written anew in each bar
        ([("1,3", 1, 1), ("2,4", 2, 2), ("5", 3, 3)], {1, 2}),
        ([("1", 1, 1), ("2", 2, 2), ("1", 3, 3), ("2", 4, 4)], {1, 3}),
        ([("1", 1, 1), ("2", 3, 3)], set()),  # with a bar between them
        ([("2", 1, 1), ("1", 2, 2)], set()),
        ([("a", 1, 1), ("b", 2, 2)], {1}),
        ([("1", 1, 1)], set()),
    ],
)
def test_endings_that_another_one_follows(endings, left_out):
    assert played_before(endings) == left_out
