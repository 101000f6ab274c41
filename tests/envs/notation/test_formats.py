"""A format is one line in each of two tables, and everything that reads or writes files has it."""

import io

import pytest

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.piece import Piece
from envs.notation import READERS, WRITERS, read_piece, score_from_text, text, write_piece, written

LINE = "C4 D4:2 E4:2 G4 r ; C3:16"


def read_words(data, known):
    return Piece.of(score_from_text(data.decode(), key=known.key or "C"), title="words")


def write_words(piece):
    return text(piece.score).encode()


@pytest.fixture
def words(monkeypatch):
    monkeypatch.setitem(READERS, ".words", read_words)
    monkeypatch.setitem(WRITERS, ".words", write_words)


def test_a_new_format_is_read_and_written(words, tmp_path):
    piece, path = Piece.of(score_from_text(LINE)), tmp_path / "a.WORDS"
    write_piece(piece, path)
    assert path.read_bytes() == written(piece, ".words") == LINE.encode()
    again = read_piece(path, key="G")
    assert (again.score.tokens == piece.score.tokens).all()
    assert (again.key, again.title, again.source) == (Key("G"), "words", str(path))


def test_what_a_new_reader_raises_is_told_with_the_file_s_name(words, tmp_path):
    (tmp_path / "b.words").write_text("C4 H4")
    with pytest.raises(RefusedError, match=r"b\.words.*H4"):
        read_piece(tmp_path / "b.words")


@pytest.mark.parametrize("suffix", [".mid", ".abc", ".musicxml"])
def test_a_path_bytes_and_an_open_file_are_the_same_piece(tmp_path, suffix):
    piece, path = Piece.of(score_from_text(LINE), title="T"), tmp_path / f"a{suffix}"
    write_piece(piece, path)
    data = path.read_bytes()
    sources = [(str(path), None), (path, None), (data, suffix), (io.BytesIO(data), suffix)]
    other = tmp_path / "no suffix"
    other.write_bytes(data)
    with path.open("rb") as named, path.open(errors="ignore") as lines:
        sources += [(named, None), (other, suffix)]
        sources += [] if suffix == ".mid" else [(lines, None), (io.StringIO(data.decode()), suffix)]
        for source, given in sources:
            assert read_piece(source, given).notes == piece.notes
    assert read_piece(path).source == str(path)
    assert read_piece(data, suffix).source == ""


def test_bytes_without_a_suffix_and_what_is_no_file():
    for source in (b"X:1", io.BytesIO(b"X:1")):
        with pytest.raises(ValueError, match="suffix"):
            read_piece(source)
    with pytest.raises(TypeError, match=r"open file.*int"):
        read_piece(3, ".mid")
    with pytest.raises(TypeError, match="colour"):
        read_piece(b"X:1", ".abc", colour="red")
    with pytest.raises(ValueError, match=r"mei.*\.musicxml"):
        read_piece(b"X:1", ".mei")
