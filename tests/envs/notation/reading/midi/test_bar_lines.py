"""Bars of MIDI files: metres at one time, late, behind the end, and bars that are not whole."""

import pytest

from envs.errors import RefusedError
from tests.envs.notation.reading.midi.raw_midi import line, metre, note, notes, read, track


def marks(*signatures: tuple[int, int, int]) -> bytes:
    return track([(at, metre(beats, unit)) for at, beats, unit in signatures])


def quavers(count: int, begin: int = 0) -> bytes:
    return track(line(*([67, 69, 71] * count)[:count], step=240, begin=begin))


@pytest.mark.parametrize(
    ("signatures", "meter", "pickup", "bars"),
    [
        ([(0, 4, 4)], "4/4", 0, 3),
        ([(0, 4, 4), (0, 3, 4)], "3/4", 0, 4),
        ([(0, 4, 4), (3, 3, 4)], "3/4", 0, 4),  # a few ticks late
        ([(0, 4, 4), (99999, 3, 4)], "4/4", 0, 3),
        ([(1440, 3, 4)], "3/4", 0, 4),  # no metre before
        ([(480, 3, 4)], "3/4", 4, 4),
        ([(0, 1, 4), (480, 3, 4)], "3/4", 4, 4),
        ([(0, 1, 4), (160, 3, 4)], "3/4", None, 4),  # an upbeat that no signature has
        ([(0, 3, 4), (1440, 3, 4), (2000, 3, 4)], "3/4", 0, 4),  # named again
        ([(0, 3, 4), (1440, 1, 4), (1920, 2, 4), (2880, 3, 4)], "3/4", 0, 4),  # two parts of a bar
        ([(0, 4, 4), (1920, 2, 4), (3840, 4, 4)], "4/4", 0, 3),  # two halves
        ([(0, 3, 4), (2880, 6, 4)], "3/4", 0, 4),  # two bars without a line
        ([(0, 4, 4), (1925, 2, 4), (3835, 4, 4)], "4/4", 0, 3),  # not quite on their bar lines
    ],
)
def test_metres(signatures, meter, pickup, bars):
    piece = read(marks(*signatures), quavers(24), grid=12 if pickup is None else None)
    assert (str(piece.task.meter), piece.bars) == (meter, bars)
    assert piece.task.pickup == (4 if pickup is None else pickup)
    assert len(piece.notes) == 24
    assert not any("filled" in told for told in piece.notices)


@pytest.mark.parametrize("grid", [3, 4, 5, 7, 12, 24])
@pytest.mark.parametrize("bars", [1, 3])
def test_upbeats_of_every_length(grid, bars):
    """An upbeat as our writer has it is a bar of the next longer signature, cut by the metre."""
    quarter = 480 * grid
    for cells in range(1, 3 * grid):
        begin = 480 * cells
        first = next((n, 8) for n in range(1, 7) if 2 * cells <= n * grid)
        signatures = track([(0, metre(*first)), (begin, metre(3, 4))])
        music = track(note(0, begin, 60) + note(begin, 3 * quarter * bars, 62))
        piece = read(signatures, music, quarter=quarter, grid=grid)
        assert (str(piece.task.meter), piece.task.pickup, piece.bars) == ("3/4", cells, bars)


def test_repeated_sections_are_joined():
    """MuseScore: upbeat, bars and the rest of a bar, each section twice."""
    section = [(0, 1, 8), (240, 6, 8), (1680, 5, 8)]
    twice = [(at + 2880 * n, beats, 8) for n in range(4) for at, beats, _ in section]
    piece = read(marks(*twice), quavers(48))
    assert (str(piece.task.meter), piece.task.pickup, piece.bars) == ("6/8", 2, 8)
    assert notes(piece) == [(2 * n, 2, (67, 69, 71)[n % 3]) for n in range(48)]


def test_bars_that_stay_short_are_filled_and_told():
    # After a whole bar the upbeat of the next section: the silence is before it.
    upbeat = read(marks((0, 6, 8), (1440, 1, 8), (1680, 6, 8)), quavers(25))
    assert (notes(upbeat)[6][0], notes(upbeat)[7][0]) == (22, 24)
    rest = read(marks((0, 6, 8), (1440, 5, 8), (2640, 6, 8)), quavers(23))
    assert (notes(rest)[10][0], notes(rest)[11][0]) == (20, 24)
    for piece in (upbeat, rest):
        assert any("bar 2 filled up" in told for told in piece.notices)


def test_changes_of_metre_are_refused_with_what_reads_them():
    changing = marks((0, 1, 4), (480, 4, 4), (4320, 3, 4))
    with pytest.raises(RefusedError, match=r"FILE:1-2 .*--meter 3/4 --pickup 4 \(meter="):
        read(changing, quavers(60))
    assert len(read(changing, quavers(60), meter="3/4", pickup=4).notes) == 60
    first = read(changing, quavers(60), bars=(0, 2))
    assert (str(first.task.meter), first.task.pickup, len(first.notes)) == ("4/4", 4, 18)
    second = read(changing, quavers(60), bars=(3, 6))
    assert (str(second.task.meter), second.task.pickup, len(second.notes)) == ("3/4", 0, 24)


@pytest.mark.parametrize("later", [(6, 4), (2, 4), (4, 4)])
def test_two_bars_of_another_metre_are_a_change(later):
    with pytest.raises(RefusedError, match="changes from 3/4"):
        read(marks((0, 3, 4), (1440 * 10, *later)), quavers(90))


def test_a_bar_of_another_metre_that_lasts_as_long_is_told():
    for signatures in ([(0, 3, 4), (1440, 6, 8)], [(0, 3, 4), (1440, 6, 8), (2880, 3, 4)]):
        piece = read(marks(*signatures), quavers(6 * len(signatures)))
        assert str(piece.task.meter) == "3/4"
        assert any("6/8 is read as 3/4" in told for told in piece.notices)
        known = read(marks(*signatures), quavers(6 * len(signatures)), meter="3/4")
        assert not any("6/8" in told for told in known.notices)
    with pytest.raises(RefusedError, match="changes from 3/4 to 6/8"):
        read(marks((0, 3, 4), (4320, 6, 8)), quavers(36))


@pytest.mark.parametrize("over", [1, 16, 30, 55])
@pytest.mark.parametrize("quantize", [False, True])
def test_a_last_note_that_sounds_over_the_bar_line_adds_no_bar(over, quantize):
    for begin in (0, 960):
        events = [*line(60, 62, 64, begin=begin), *note(begin + 1440, begin + 1920 + over, 65)]
        upbeat = [(0, 2, 4), (960, 4, 4)] if begin else [(0, 4, 4)]
        piece = read(
            marks(*upbeat), track([*note(0, begin, 59)] * (begin > 0) + events), quantize=quantize
        )
        assert piece.bars == 1 + (begin > 0)
        assert (piece.notes[-1].duration, piece.notes[-1].pitch) == (piece.grid, 65)
    short = read(marks((0, 4, 4)), track([*line(60, 62, 64, 65), *note(1920, 1980, 67)]))
    assert short.bars == 2


def test_a_metre_and_an_upbeat_that_are_known_better():
    piece = read(marks((0, 4, 4)), quavers(24), meter="6/8", pickup=2)
    assert (str(piece.task.meter), piece.task.pickup, piece.numbers[0]) == ("6/8", 2, 0)
    later = read(marks((0, 4, 4)), quavers(24), meter="6/8", pickup=2, bars=(1, 2))
    assert (later.task.pickup, notes(later)[0][2], len(later.notes)) == (0, 69, 12)
    kept = read(marks((0, 1, 8), (240, 6, 8)), quavers(25), meter="3/4")
    assert (str(kept.task.meter), kept.task.pickup) == ("3/4", 2)
    with pytest.raises(ValueError, match="pickup"):
        read(marks((0, 4, 4)), quavers(24), pickup=16)
    unnamed = read(quavers(24))
    assert str(unnamed.task.meter) == "4/4"
    assert "names no metre" in unnamed.notices[0]


def test_notes_a_little_before_a_bar_line_are_behind_it():
    early = track(line(60, 62, 64, 65, 67, 69, 71, 72, begin=6, late=-6, gate=6))
    piece = read(marks((0, 4, 4)), early, bars=(2, 2))
    assert notes(piece) == [(0, 4, 67), (4, 4, 69), (8, 4, 71), (12, 4, 72)]
    assert not any("cut" in told for told in piece.notices)
