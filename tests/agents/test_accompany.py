"""The verb accompanies the melody of a file; the files have the same notes, and chord symbols."""

import pytest
from music21 import converter

from agents import compose
from agents.compose import ComposeConfig
from envs.music.piece import notes_of
from envs.notation.reading.readers import read_piece
from envs.notation.writing.abc import abc
from tests.agents.composing.parts.melodies import TWINKLE, melody


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "twinkle.abc"
    path.write_text(abc(melody(TWINKLE), 0, "Twinkle", tempo=100))
    return path


def flags(file, tmp_path, **more):
    plain = {"pictures": False, "sound": False, "n": 2, "out": tmp_path / "out"}
    return ComposeConfig(accompany=str(file), **{**plain, **more})


def test_a_melody_is_accompanied(file, tmp_path, capsys):
    compose.compose(flags(file, tmp_path, chords="auto"))
    said = capsys.readouterr().out
    assert "key: C major" in said
    assert "chords: C | F C | F C | G C" in said
    first = read_piece(tmp_path / "out" / "melody-01.abc")
    assert (first.title, first.tempo, first.voices) == ("Twinkle", 100, 2)
    assert [n.pitch for n in first.notes if n.voice == 0] == [
        note.pitch for note in notes_of(melody(TWINKLE))
    ]
    for suffix in ("mid", "musicxml", "abc"):
        path = tmp_path / "out" / f"melody-01.{suffix}"
        other = read_piece(path, grid=4)
        assert [(n.start, n.duration, n.pitch, n.voice) for n in other.notes] == [
            (n.start, n.duration, n.pitch, n.voice) for n in first.notes
        ]
        found = converter.parse(path)
        pitches = [[n.pitch.midi for n in part.flatten().notes if n.isNote] for part in found.parts]
        assert pitches == [[n.pitch for n in first.notes if n.voice == v] for v in (0, 1)]
        symbols = [chord.figure for chord in found.recurse().getElementsByClass("ChordSymbol")]
        assert symbols == (["C", "F", "C", "F", "C", "G", "C"] if suffix != "mid" else [])


def test_chords_alone(file, tmp_path, capsys):
    compose.compose(flags(file, tmp_path, bass=False, chord_rhythm="bar", n=3))
    said = capsys.readouterr().out
    assert said.count("chords: ") == 3
    assert read_piece(tmp_path / "out" / "melody-03.musicxml").voices == 1


def test_a_key_that_is_not_named_is_said_to_be_a_guess(file, tmp_path, capsys):
    path = tmp_path / "nokey.abc"
    path.write_text(file.read_text().replace("K:C\n", "K:\n"))
    compose.compose(flags(path, tmp_path, bass=False, n=1))
    assert "estimated" in capsys.readouterr().err
    compose.compose(flags(path, tmp_path, bass=False, n=1, key="F major", out=tmp_path / "f"))
    told = capsys.readouterr()
    assert "estimated" not in told.err
    assert "key: F major" in told.out


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"meter": "3/4"}, "--meter"),
        ({"run": "runs/x"}, "a run"),
        ({"wish": ("chords",)}, "--wish"),
        ({"lock": "a.abc:1"}, "--lock and --accompany"),
        ({"method": "beam"}, "--method"),
        ({"bass": False, "must": ("final_tonic",)}, "--no-bass"),
        ({"bass": False, "temperature": 0.5}, "--no-bass"),
    ],
)
def test_flags_without_effect_are_refused(file, tmp_path, more, word):
    with pytest.raises(ValueError, match=word):
        flags(file, tmp_path, **more)


@pytest.mark.parametrize("more", [{"bass": False}, {"chord_rhythm": "bar"}])
def test_flags_of_an_accompaniment_need_one(more):
    with pytest.raises(ValueError, match="--accompany"):
        ComposeConfig(**more)


def test_what_cannot_be_kept_writes_nothing(file, tmp_path):
    asked = flags(file, tmp_path, must=("final_tonic",), chords="C F G Am")
    with pytest.raises(ValueError, match="final_tonic"):
        compose.compose(asked)
    assert not (tmp_path / "out").exists()
