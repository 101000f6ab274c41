"""MIDI of other programs: notes, parts and what is told of them."""

import json
import random
from pathlib import Path

import pytest

from envs.errors import RefusedError
from envs.music.codec import Note
from envs.music.meter import Meter
from envs.music.piece import Piece, score_of
from envs.music.pitch import parse_pitch
from envs.music.task import Task
from envs.notation.reading.midi.reader import read_midi
from envs.notation.reading.readers import read_piece
from envs.notation.reading.selection import Known
from envs.notation.text_line import score_from_text
from envs.notation.writing.midi import midi_bytes
from tests.envs.notation.reading.midi.raw_midi import (
    Event,
    line,
    meta,
    metre,
    midi,
    note,
    notes,
    off,
    on,
    read,
    track,
)

FILES = Path(__file__).parents[1] / "files"
EXPECTED = json.loads((FILES / "expected.json").read_text())
HANDED = [name for name, right in EXPECTED.items() if name.endswith(".mid") and "voices" in right]
FOUR = [(0, metre(4, 4))]
CDEF = [(0, 4, 60), (4, 4, 62), (8, 4, 64), (12, 4, 65)]


def cdef(**how) -> list[Event]:
    return [*FOUR, *line(60, 62, 64, 65, **how)]


# -- the handed files ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HANDED)
def test_handed_files_are_right(name):
    words = EXPECTED[name]["voices"][0].split()
    piece = read_piece(FILES / name)
    found = [(each.pitch, each.duration) for each in piece.notes]
    split = (word.split(":") for word in words)
    assert found == [(parse_pitch(pitch), int(cells)) for pitch, cells in split]
    lengths = [each.duration for each in piece.notes]
    assert [each.start for each in piece.notes] == [sum(lengths[:n]) for n in range(len(lengths))]


def test_repeat_of_an_upbeat_is_joined_to_whole_bars():
    piece = read_piece(FILES / "midi_musescore_repeat_of_upbeat.mid")
    assert (str(piece.task.meter), piece.task.pickup, piece.bars) == ("6/8", 2, 4)
    lengths = [2, 6, 6, 6, 4]
    assert [each.duration for each in piece.notes] == lengths * 2
    named = read_piece(FILES / "midi_musescore_repeat_of_upbeat.mid", meter="6/8", pickup=2)
    assert (named.notes, named.task) == (piece.notes, piece.task)


# -- notes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "events",
    [
        cdef(),
        [(at, words[:1].replace(b"\x80", b"\x90") + words[1:]) for at, words in cdef()],
        [*cdef(), (0, b"\xc0\x28"), (960, b"\xc0\x05"), (1440, b"\xc0\x06")],
        [*cdef(), (0, b"\xf0\x03\x01\x02\xf7"), (480, b"\xf7\x01\x01"), (700, meta(5, b"la "))],
        [
            *cdef(),
            (10, b"\xb0\x40\x7f"),
            (20, b"\xe0\0\x40"),
            (30, b"\xd0\x10"),
            (30, b"\xa0\x3c\1"),
        ],
        [
            *((480 * n, b"\xb0\x7b\0") for n in (1, 2, 3, 4)),  # all notes off
            *(event for event in cdef() if event[1][0] != 0x80),
        ],
        [*cdef(), (100, off(70)), (480, off(60))],  # ends of nothing
        [*cdef(), *note(0, 480, 40, channel=9)],  # drums
        cdef(gate=24),
        cdef(gate=1, late=1),
        [
            *FOUR,
            *note(0, 490, 60),
            *note(480, 970, 62),
            *note(960, 1450, 64),
            *note(1440, 1925, 65),
        ],
    ],
    ids=[
        "",
        "off",
        "program",
        "sysex",
        "controls",
        "no off",
        "stray",
        "drums",
        "cut",
        "late",
        "legato",
    ],
)
def test_four_quarters(events):
    assert notes(read(track(events))) == CDEF
    assert notes(read(track(FOUR), track(e for e in events if e not in FOUR))) == CDEF
    assert notes(read(track(events), form=0)) == CDEF


def test_running_status_goes_on_behind_meta_events():
    data = (
        b"\0\xff\x58\4\4\2\x18\x08\0\x90\x3c\x50\x83\x60\x3c\0\0\xff\1\1a\0\x3e\x50\x83\x60\x3e\0"
    )
    assert notes(read(b"MTrk" + len(data).to_bytes(4) + data)) == CDEF[:2]


def test_notes_that_are_struck_again():
    twice = [(0, on(60)), (480, on(60)), (960, off(60)), *note(960, 1920, 62)]
    assert notes(read(track(twice))) == [(0, 4, 60), (4, 4, 60), (8, 8, 62)]
    late = [
        (0, on(60)),
        (480, on(60)),
        (490, off(60)),
        (960, on(60)),
        (970, off(60)),
        (1440, off(60)),
    ]
    assert notes(read(track(late))) == [(0, 4, 60), (4, 4, 60), (8, 4, 60)]
    at_once = [(0, on(60)), (480, on(60)), (480, off(60)), (960, off(60))]
    assert notes(read(track(at_once))) == [(0, 4, 60), (4, 4, 60)]


def test_notes_of_no_length_and_without_an_end_are_told():
    grace = read(track([*line(60, 62), *note(480, 480, 61), *note(960, 960, 63)]))
    assert (notes(grace), grace.notices[0]) == (CDEF[:2], "2 notes of no length left out")
    middle = read(track([(0, on(60)), *note(480, 960, 62), (960, on(64))], end=1440))
    assert notes(middle) == CDEF[:3]
    assert "2 notes without an end last to" in middle.notices[0]
    single = read(track([*line(60, 62), (960, on(64))], end=1440))
    assert "a note without an end lasts to" in single.notices[0]


def test_files_that_break_off_are_read_as_far_as_they_go():
    whole = midi(track(cdef()))
    for length in range(len(whole)):
        try:
            piece = read_midi(whole[:length], Known())
        except RefusedError:
            assert length < 50
            continue
        assert notes(piece) == CDEF[: len(piece.notes)]
        assert "breaks off" in piece.notices[0]
    assert not any("breaks" in told for told in read_midi(whole, Known()).notices)
    assert notes(read_midi(midi(track(cdef(), closed=False)), Known())) == CDEF
    fewer = read_midi(midi(track(cdef()), count=3), Known())
    assert "breaks off" in fewer.notices[0]
    padded = read_midi(whole + bytes(32), Known())
    assert (notes(padded), padded.notices) == (CDEF, ())
    alien = whole[:14] + b"XFIH\0\0\0\3abc" + whole[14:]
    assert notes(read_midi(alien, Known())) == CDEF


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"RIFF", "MThd"),
        (midi(track(cdef()), quarter=0xE728), "frames"),
        (midi(track(cdef()), quarter=0), "frames"),
        (midi(b"MTrk\0\0\0\3\0\x3c\x50"), "is no event"),
        (midi(b"MTrk\0\0\0\4\0\x90\x3c\x90"), "is no part of an event"),
        (midi(b"MTrk\0\0\0\5\xff\xff\xff\xff\x7f"), "ends no number"),
        (midi(b"\1\2\3\4\0\0\0\0"), "begins no track"),
        (midi(track(FOUR)), "holds no notes"),
        (midi(track([*FOUR, *note(0, 480, 40, channel=9)])), "holds no notes"),
    ],
)
def test_what_is_no_melody_is_refused(data, told):
    with pytest.raises(RefusedError, match=told):
        read_midi(data, Known())


@pytest.mark.parametrize(
    ("wheel", "told"), [(b"\0\x40", False), (b"\0\x50", True), (b"\1\x40", True)]
)
def test_bent_pitches_are_told(wheel, told):
    piece = read(track([*cdef(), (480, b"\xe0" + wheel)]))
    assert notes(piece) == CDEF
    assert any("bends" in words for words in piece.notices) == told


# -- parts -----------------------------------------------------------------------------------------


def test_channels_of_one_track_are_parts_and_those_that_take_turns_are_one():
    both = [*line(72, 74, 76, 77), *note(0, 1920, 48, channel=3)]
    for form in (0, 1):
        piece = read(track(both), form=form)
        assert piece.task.voices == 2
        assert notes(read(track(both), form=form, part=2)) == [(0, 16, 48)]
    turns = [*line(60, 62), *note(960, 1440, 64, channel=1), *note(1440, 1920, 65)]
    assert notes(read(track(turns))) == CDEF
    assert read(track(turns), form=0).task.voices == 2


def test_form_2_is_a_collection():
    pieces = [track([(0, meta(3, b"One")), *cdef()]), track([(0, metre(3, 4)), *line(67, 69, 71)])]
    with pytest.raises(RefusedError, match="2 tunes"):
        read(*pieces, form=2)
    first, second = read(*pieces, form=2, tune=1), read(*pieces, form=2, tune=2)
    assert (notes(first), first.title) == (CDEF, "One")
    assert (len(second.notes), str(second.task.meter)) == (3, "3/4")
    with pytest.raises(RefusedError, match="tune 2"):
        read(pieces[0], form=1, tune=2)


def test_chords_are_refused_by_place_and_their_top_is_an_upper_line():
    chords = [*note(0, 960, 72), *note(0, 480, 64), *note(0, 1920, 48), *note(480, 960, 65)]
    chords += [*note(960, 1440, 74), *note(1920, 2400, 71), *note(1926, 2400, 62)]
    with pytest.raises(RefusedError, match=r"at bar 1, beat 1 .*--top"):
        read(track([*FOUR, *chords]))
    top = read(track([*FOUR, *chords]), top=True)
    assert notes(top) == [(0, 8, 72), (8, 4, 74), (16, 4, 71)]
    played = [(0, 460, 60), (3, 470, 64), (6, 470, 67), (480, 950, 62), (489, 940, 59)]
    rolled = track(event for each in played for event in note(*each))
    gathered = read(rolled, top=True)
    assert notes(gathered) == [(0, 4, 67), (4, 4, 62)]
    assert any("by 0.075 of a cell" in told for told in gathered.notices)
    with pytest.raises(RefusedError, match="--top"):
        read(rolled)


# -- what a file says of itself --------------------------------------------------------------------


def test_of_several_keys_metres_and_tempos():
    fast, slow = (meta(0x51, each.to_bytes(3)) for each in (250_000, 1_000_000))
    signs = [(0, meta(0x59, b"\1\0")), (0, meta(0x59, b"\xfe\1")), (9999, meta(0x59, b"\3\0"))]
    at_once = [(0, metre(4, 4)), (0, metre(3, 4)), (9999, metre(7, 8))]
    piece = read(
        track([*at_once, *signs, (0, fast), (480, slow)]), track(line(60, 61, 62, 63, 64, 67))
    )
    assert (str(piece.task.meter), str(piece.task.key)) == ("3/4", "G minor")
    assert piece.tempo == 60
    assert piece.notices == (
        "the tempo changes; the one that holds longest is taken throughout",
        "G major and G minor stand at one time; G minor is taken",
        "4/4 and 3/4 stand at one time; 3/4 is taken",
    )
    assert read(track([(0, fast), *line(60, 62), (9999, slow)])).tempo == 240


def test_markers_name_modes_and_groups():
    words = [(0, meta(6, b"Key: D dorian")), (0, meta(6, b"Meter: 3+2+2/8"))]
    signs = [(0, meta(0x59, b"\0\0")), (0, metre(7, 8))]
    piece = read(track([*signs, *words]), track(line(62, 64, 65, 67, 69, 71, 72, step=240)))
    assert (str(piece.task.key), str(piece.task.meter)) == ("D dorian", "3+2+2/8")
    lasting = track(note(0, 480, 62) + note(480, 1680, 67))  # ends on another tone than D
    assert not read(track([*signs, *words]), lasting).notices
    assert any("may be in" in told for told in read(track(signs), lasting).notices)
    other = [(0, meta(6, b"Key: nonsense")), (0, meta(6, b"Meter: soon"))]
    assert str(read(track([*signs, *other, *line(62)])).task.key) == "C major"


def test_titles_and_names():
    titled = read(track([(0, meta(3, "Tr\xe4ume".encode("latin-1")))]), track(cdef()))
    assert titled.title == "Träume"
    assert read(track([(0, meta(3, b"Song")), *cdef()]), form=0).title == "Song"
    named = [track([(0, meta(3, b"Left")), *line(48)]), track([(0, meta(3, b"Right")), *line(72)])]
    with pytest.raises(RefusedError, match=r"1 \('Left'\), 2 \('Right'\)"):
        read(*named, part=3)


# -- our own files ---------------------------------------------------------------------------------


def test_what_is_written_is_read():
    rng = random.Random(5)
    for number in range(60):
        grid = rng.choice([4, 3, 8, 12])
        words, left = [], 4 * grid * 3
        while left:
            length = min(left, rng.randint(1, 2 * grid))
            words.append(f"{rng.choice(['r', 'C4', 'D4', 'F#4', 'B4'])}:{length}")
            left -= length
        score = score_from_text(" ".join(["C4:1", *words, "D4:1"]), "G major", "3/4", grid)
        piece = read_midi(midi_bytes(score), Known(grid=grid))
        assert [tuple(each) for each in notes(piece)] == notes(Piece(score)), (number, words)


@pytest.mark.parametrize(
    ("signature", "grid", "pickup", "bars"),
    [("3/8", 8, 4, 1), ("5/4", 3, 11, 1), ("12/8", 3, 17, 1), ("3/4", 5, 14, 1), ("4/4", 4, 0, 5)],
)
def test_silence_at_the_end_is_read(signature, grid, pickup, bars):
    task = Task(meter=Meter.parse(signature), grid=grid, pickup=pickup, bars=bars)
    piece = read_midi(midi_bytes(score_of([Note(0, 2, 67, 0)], task)), Known(grid=grid))
    found = piece.task
    assert (found.meter, found.pickup, found.bars) == (task.meter, pickup, bars)
    assert notes(piece) == [(0, 2, 67)]


def test_a_last_bar_of_a_cell_is_read():
    task = Task(meter=Meter(2, 8), grid=8, pickup=7, bars=2)
    score = score_of([Note(0, 10, 67, 0), Note(10, 6, 69, 0)], task)
    assert notes(read_midi(midi_bytes(score), Known(grid=8))) == [(0, 10, 67), (10, 6, 69)]
