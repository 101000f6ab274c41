"""The grid of files that count ticks: notes near it, notes cut short, notes that are played."""

import random
from fractions import Fraction
from itertools import pairwise

import pytest

from envs.errors import RefusedError
from envs.music.meter import Meter
from envs.notation.reading.draft import Sound
from envs.notation.reading.rounding import Gate, choose_grid
from tests.envs.notation.reading.midi.raw_midi import line, metre, note, notes, read, track

TICK = Fraction(1, 480)
FOUR = (0, metre(4, 4))


def tune(lengths: list[Fraction], share: float = 1.0, early: float = 0.0, rests: tuple = ()):
    """Notes one after the other, of so many quarters, cut short by a share or by ticks."""
    events, at = [FOUR], Fraction(0)
    for number, length in enumerate(lengths):
        ticks = round(480 * length * Fraction(share) - Fraction(early))
        if number not in rests:
            events += note(round(480 * at), round(480 * at) + ticks, 60 + number % 7)
        at += length
    return track(events)


LENGTHS = [Fraction(n, 4) for n in (4, 2, 2, 1, 3, 8, 6, 6, 2, 2, 4, 16, 4, 12, 16)]


@pytest.mark.parametrize(
    ("share", "early"),
    [
        *((share, early) for share in (1, 1.02) for early in (0, 1, 12, -10)),
        *((share, 0) for share in (0.98, 0.95, 0.9, 0.875, 0.8)),  # a file has one of them
    ],
)
def test_notes_that_are_cut_short_are_whole(share, early):
    piece = read(tune(LENGTHS, share, early, rests=(6, 10)))
    expected, at = [], 0
    for number, length in enumerate(LENGTHS):
        if number not in (6, 10):
            expected.append((at, int(4 * length), 60 + number % 7))
        at += int(4 * length)
    assert notes(piece) == expected
    assert piece.task.grid == 4


def test_short_notes_stay_short():
    """Ends on the grid are meant, also where a rest follows each."""
    halves = read(tune([Fraction(1)] * 16, share=0.5))
    assert {length for _, length, _ in notes(halves)} == {2}
    thirds = read(tune([Fraction(1)] * 16, share=Fraction(2, 3)))
    assert thirds.task.grid == 3
    assert {length for _, length, _ in notes(thirds)} == {2}


@pytest.mark.parametrize(
    ("step", "grid"),
    [("1", 4), ("1/2", 4), ("1/3", 3), ("1/6", 6), ("1/8", 8), ("1/12", 12), ("1/24", 24)],
)
@pytest.mark.parametrize("quarter", [96, 120, 480, 384, 10080])
def test_grids(step, grid, quarter):
    times = [round(Fraction(step) * n * quarter) for n in range(25)]
    sounds = [Sound(Fraction(a, quarter), Fraction(b, quarter), 60) for a, b in pairwise(times)]
    assert choose_grid([sounds], Meter(4, 4), Fraction(1, quarter)) == grid
    assert choose_grid([sounds], Meter(4, 4), Fraction(1, quarter), quantize=True) == grid


def test_fifths_and_sevenths_fit_no_grid():
    for step in (Fraction(1, 5), Fraction(1, 7)):
        with pytest.raises(RefusedError, match="--quantize"):
            read(tune([step] * 35))
        assert any("of a cell" in told for told in read(tune([step] * 35), quantize=True).notices)


def test_an_eighth_of_a_cell_is_moved_and_told():
    for late, told in ((1, "0.0083"), (14, "0.12"), (-14, "0.12")):
        events = [FOUR, *line(60, 62, 64, 65), *note(1920 + late, 2400, 67)]
        piece = read(track(events))
        assert notes(piece)[-1] == (16, 4, 67)
        assert any(f"by {told} of a cell" in words for words in piece.notices)
    far = track([FOUR, *line(60, 62, 60, 62, step=120), *note(496, 960, 64)])
    with pytest.raises(RefusedError, match=r"0\.13 of a cell off .*--quantize"):
        read(far)
    moved = read(far, quantize=True)
    assert (notes(moved)[-1], moved.task.grid) == ((4, 4, 64), 4)
    assert any("by 0.13 of a cell" in words for words in moved.notices)


def test_notes_that_are_played_are_read_with_quantize():
    rng = random.Random(3)
    for _ in range(20):
        events, expected, at = [FOUR], [], 0
        for _ in range(40):
            cells, pitch = rng.choice([1, 2, 2, 2, 4, 6]), rng.randint(60, 72)
            early = max(0, 120 * at + round(rng.gauss(0, 10)))
            events += note(early, 120 * (at + cells) - rng.randint(-15, 25), pitch)
            expected.append((at, cells, pitch))
            at += cells
        piece = read(track(events), quantize=True)
        assert [(start, pitch) for start, _, pitch in notes(piece)] == [
            (a, c) for a, _, c in expected
        ]
        assert notes(piece) == expected
        assert "of a cell at most" in piece.notices[0]


def test_of_two_notes_in_a_cell_the_longer_is_kept_and_it_is_told():
    grace = track([FOUR, *line(60, 62), *note(960, 1000, 66), *note(1000, 1440, 64)])
    piece = read(grace, quantize=True, grid=4)
    assert notes(piece) == [(0, 4, 60), (4, 4, 62), (8, 4, 64)]
    assert "a note of less than a cell left out" in piece.notices[-1]


def test_notes_that_are_played_are_in_the_bar_where_the_grid_has_them():
    """Half a cell early is no note of the bar before; a grace note leaves its main note alone."""
    early = [FOUR, *line(*range(60, 76), begin=50, late=-50, gate=50)]
    bar = read(track(early), quantize=True, grid=4, bars=(2, 2))
    assert notes(bar) == [(4 * n, 4, 64 + n) for n in range(4)]
    assert not any("cut" in told for told in bar.notices)
    for begin, end in ((1880, 1920), (1920, 1960)):
        main = note(end, 2400, 67)
        grace = [FOUR, *line(60, 62, 64), *note(1440, begin, 65), *note(begin, end, 66), *main]
        assert notes(read(track(grace), quantize=True, grid=4))[3:] == [(12, 4, 65), (16, 4, 67)]


def test_cells_of_a_fine_grid_are_not_near_a_coarse_one():
    for cell in (20, 40, 460):
        piece = read(track([FOUR, *note(0, cell, 60), *note(cell, 960, 62)]))
        assert notes(piece)[1][0] * 480 == cell * piece.task.grid


def test_gate_by_share_or_by_time():
    def sounds(cut):
        ends = [Fraction(0)]
        for length in (1, 2, 1, 4, 2):
            ends.append(ends[-1] + length)
        return [Sound(a, a + cut(b - a), 60) for a, b in pairwise(ends)]

    assert Gate.of([sounds(lambda length: length * Fraction(9, 10))]) == Gate(share=Fraction(9, 10))
    assert Gate.of([sounds(lambda length: length - TICK)]) == Gate(early=TICK)
    assert Gate.of([sounds(lambda length: length)]).whole(Sound(TICK, 5 * TICK, 60)) == 5 * TICK
    assert Gate.of([]) == Gate()
