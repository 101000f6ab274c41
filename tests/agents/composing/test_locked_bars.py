"""Bars that stay: to the cell, through every file, and what cannot be kept is told."""

import numpy as np
import pytest

from agents import compose
from agents.compose import ComposeConfig
from agents.composing.composer import Composer
from agents.composing.locked_bars import Bars
from agents.composing.theme import Theme
from envs.music.piece import Piece, notes_of
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.midi import write_midi
from envs.notation.writing.musicxml import musicxml

TUNE = "B4 B4 C5 D5 D5 C5 B4 A4 G4 G4 A4 B4 B4:6 A4:2 A4:8"


@pytest.fixture
def theme(tmp_path):
    """Four bars in G as a MusicXML file."""
    score = score_from_text(TUNE, key="G major")
    path = tmp_path / "theme.musicxml"
    path.write_text(musicxml(score, 0, "Theme"))
    return path


def test_locked_bars_are_given_and_the_others_free(theme):
    task = Bars.read(f"{theme}:1,3").task_with({})
    assert (str(task.key), str(task.meter), task.bars) == ("G major", "4/4", 4)
    free = task.free[0].reshape(4, 16)
    assert free.any(axis=1).tolist() == [False, True, False, True]
    other = Bars.read(f"{theme}:2,4", rewrite=True).task_with({})
    assert other.given == task.given


def test_a_piece_of_which_everything_stays_is_refused(theme):
    with pytest.raises(ValueError, match="every bar stays, nothing is left to write"):
        Bars.read(f"{theme}:1-4").task_with({})


def test_more_bars_than_the_file_has_are_free(theme):
    task = Bars.read(f"{theme}:1-4").task_with({"bars": 6, "phrases": "4+2"})
    assert task.bars == 6
    assert task.free[0].reshape(6, 16).all(axis=1).tolist() == [False] * 4 + [True] * 2


def test_bars_that_the_file_does_not_have_are_written_anew(theme):
    task = Bars.read(f"{theme}:1", rewrite=True).task_with({"bars": 6})
    assert task.free[0].reshape(6, 16).all(axis=1).tolist() == [True, *[False] * 3, True, True]
    with pytest.raises(ValueError, match="the piece has bars 1 to 4"):
        Bars.read(f"{theme}:6").task_with({"bars": 8})
    with pytest.raises(ValueError, match="leave --task out"):
        ComposeConfig(lock=f"{theme}:1", method="prior", task=("bars=2",))


def test_a_note_held_into_a_locked_bar_is_locked_from_its_beginning(tmp_path):
    held = score_from_text("C4:12 D4:12 r:4 r:16 E4:4", key="C major")
    path = tmp_path / "held.mid"
    write_midi(held, 0, path)
    task = Bars.read(f"{path}:2").task_with({"key": "C major"})
    given = np.array(task.given[0])
    assert given[12:25].tolist() == held.tokens[0, 0, 12:25].tolist()
    assert given[24:32].tolist() == [0, *[1] * 7]  # silence goes on, as a note was kept before
    assert (given[:12] == -1).all()
    silent = np.array(Bars.read(f"{path}:3").task_with({"key": "C major"}).given[0])
    assert silent[32:48].tolist() == [*[0] * 12, 18, 1, 1, 1]  # silence, said in every cell


@pytest.mark.parametrize("form", ["abc", "musicxml", "mid"])
def test_locked_cells_come_back_through_every_file(theme, tiny_checkpoint, tmp_path, form):
    before = read_piece(theme).score
    path = theme.with_suffix(f".{form}")
    if form == "mid":
        write_midi(before, 0, path)
    else:
        path.write_text(abc(before, 0) if form == "abc" else musicxml(before, 0))
    out = tmp_path / "out"
    compose.compose(
        ComposeConfig(
            lock=f"{path}:1,3", method="prior", prior=str(tiny_checkpoint), out=out, n=2,
            candidates=3, reward=("in_key=1",),
        )
    )  # fmt: skip
    notes = read_piece(theme).notes
    kept = [n for n in notes if n.start // 16 in (0, 2)]
    for number in (1, 2):
        for ending in ("mid", "musicxml", "abc"):
            found = read_piece(out / f"melody-{number:02d}.{ending}", key="G major", grid=4).notes
            there = {(n.start, n.pitch): n.duration for n in found}
            for note in kept:
                assert (note.start, note.pitch) in there, ending
                if (note.start + note.duration) % 16:  # the next bar may hold the last one on
                    assert there[note.start, note.pitch] == note.duration


def test_title_and_tempo_of_the_file_are_kept(theme, tiny_checkpoint, tmp_path):
    path = theme.with_name("slow.abc")
    path.write_text(abc(read_piece(theme).score, 0, "Slow Air", tempo=52))
    flags = {"rewrite": f"{path}:3-4", "method": "prior", "prior": str(tiny_checkpoint), "n": 2}
    for more, tempo in (({}, 52), ({"tempo": 70.0}, 70)):
        out = tmp_path / f"at {tempo}"
        compose.compose(ComposeConfig(out=out, candidates=2, reward=("in_key=1",), **flags, **more))
        for number in (1, 2):
            piece = read_piece(out / f"melody-{number:02d}.musicxml")
            assert (piece.title, piece.tempo) == ("Slow Air", tempo)


def test_bars_are_numbered_as_the_file_prints_them(theme):
    text = theme.read_text()
    for number in range(4, 0, -1):
        assert f'number="{number}"' in text
        text = text.replace(f'number="{number}"', f'number="{number + 16}"')
    theme.write_text(text)
    free = Bars.read(f"{theme}:17,19").task_with({"bars": 5}).free[0].reshape(5, 16)
    assert free.any(axis=1).tolist() == [False, True, False, True, True]
    with pytest.raises(ValueError, match="17 to 20"):
        Bars.read(f"{theme}:1").task_with({})


def test_bars_of_a_piece_that_no_file_numbers_are_counted(theme):
    piece = Piece.of(read_piece(theme).score)
    free = Bars(piece, {2, 4}).task_with({}).free[0].reshape(4, 16)
    assert free.any(axis=1).tolist() == [True, False, True, False]


def test_a_part_is_chosen(tmp_path, theme):
    path = tmp_path / "two.mid"
    write_midi(score_from_text(f"{TUNE} ; G3:16 B3:16 D4:16 G3:16", key="G major"), 0, path)
    assert Bars.read(f"{path}:1").piece.voices == 2
    notes = [note.pitch for note in Bars.read(f"{path}:1", part=2).piece.notes]
    assert notes == [55, 59, 62, 55]
    assert Bars.read(f"{path}#1:1,3", part=1).numbers == {1, 3}
    assert [n.pitch for n in Bars.read(f"{theme}:1", part=1, top=True).piece.notes] == [
        n.pitch for n in read_piece(theme).notes
    ]


@pytest.mark.parametrize(
    ("bars", "wish", "message"),
    [
        ("9", {}, "the piece has bars 1 to 4"),
        ("0", {}, "the piece has bars 1 to 4"),
        ("1", {"meter": "3/4"}, "cannot be kept in another metre"),
        ("1", {"low": 60, "high": 69}, "outside the range"),
        ("1-4", {"bars": 2}, "the piece has bars 1 to 2"),
        ("1-3", {"low": 69, "high": 86}, "G4 is in a bar that is kept and outside the range"),
        (
            "1",
            {"grid": 12},
            "has 4 cells per quarter note; its bars cannot be kept on a grid of 12",
        ),
    ],
)
def test_what_cannot_be_locked(theme, bars, wish, message):
    with pytest.raises(ValueError, match=message):
        Bars.read(f"{theme}:{bars}").task_with(wish)


def begun(score):
    """(T, V): the pitch that begins in a cell, -1 for none, -2 for a rest."""
    return np.where(score.onset, score.pitch, np.where(score.rest, -2, -1))[0].T


def lines_of(score):
    return [[n.pitch for n in notes_of(score) if n.voice == v] for v in range(score.task.voices)]


TWO = "C5 D5 E5 F5 G5:16 C5:16 ; C3:8 G3:8 G3:4 F3:24 r:4"


def test_bars_of_all_voices_stay(tmp_path):
    """A held note is kept from its beginning in its own voice alone."""
    path = tmp_path / "two.mid"
    score = score_from_text(TWO, key="C major")
    write_midi(score, 0, path)
    task = Bars.read(f"{path}:3").task_with({"key": "C major"})
    page = task.page
    expected = np.full((2, 48), -1)
    expected[0, 32:], expected[1, 20:] = score.tokens[0, 0, 32:], score.tokens[0, 1, 20:]
    up = score.task.codec.low - task.codec.low
    assert page.tolist() == np.where(expected > 1, expected + up, expected).tolist()
    other = Bars.read(f"{path}:1-2", rewrite=True).task_with({"key": "C major"})
    assert (other.page == page).all()


@pytest.mark.parametrize("voices", [2, 4])
def test_kept_bars_of_several_voices_are_in_each_piece(voices, tiny_prior):
    line = [
        "C5 D5 E5 F5 G5:16 C5:16",
        "E4:16 D4:16 E4:16",
        "G3:16 B3:16 G3:16",
        "C3:16 G3:16 C3:16",
    ]
    score = score_from_text(" ; ".join(line[:voices]), key="C major")
    bars = Bars(Piece.of(score), {2}, rewrite=True)
    composer = Composer(tiny_prior, {"in_key": 1.0})
    melodies = composer.compose(given=bars, method="prior", n=3, candidates=2)
    anew = np.repeat([False, True, False], 16)
    for melody in melodies:
        differs = begun(melody.score) != begun(score)
        assert not differs[~anew].any()
        assert differs[anew].any(axis=0).all()
    for (low, high), line in zip(melodies[0].score.task.spans, lines_of(score), strict=True):
        assert low <= min(line) <= max(line) <= high
        assert high - low == 16 or (low, high) == (min(line), max(line))


def test_what_cannot_be_done_with_several_voices(tmp_path):
    path = tmp_path / "two.mid"
    write_midi(score_from_text(TWO, key="C major"), 0, path)
    with pytest.raises(ValueError, match="2 voices, not 3"):
        Bars.read(f"{path}:1").task_with({"voices": 3})
    with pytest.raises(ValueError, match="--voice"):
        Theme.read(str(path))
    with pytest.raises(ValueError, match="no such file"):
        Bars.read("nothing.mid:1").task_with({})


def test_a_note_that_is_held_through_all_leaves_nothing_to_write():
    held = Piece.of(score_from_text("C4:32", key="C major"))
    with pytest.raises(ValueError, match="nothing to write"):
        Bars(held, {2}).task_with({})
