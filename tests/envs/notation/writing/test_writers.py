"""Files by suffix: every format of the table, and what no table has."""

import pytest

from envs.music.key import Key
from envs.music.piece import Piece
from envs.notation import WRITERS, read_piece, score_from_text, write_piece, written

LINE = "D4 E4:2 F#4:2 G4 A4"
READ_BACK = (".mid", ".musicxml", ".abc")


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_writer_writes_the_piece_and_its_title(tmp_path, suffix):
    piece = Piece.of(score_from_text(LINE, "D major"), title="Evening", tempo=66)
    path = tmp_path / f"a{suffix}"
    write_piece(piece, path)
    assert path.read_bytes() == written(piece, suffix)
    other = Piece.of(score_from_text(LINE.replace("A4", "B4"), "D major"), title="Evening")
    assert written(other, suffix) != written(piece, suffix)
    if suffix in READ_BACK:
        again = read_piece(path)
        assert (again.notes, again.key, again.tempo) == (piece.notes, Key("D"), 66)
    if suffix in (".musicxml", ".abc", ".svg"):
        assert b"Evening" in written(piece, suffix)


def test_a_row_of_a_batch_is_a_piece():
    score = score_from_text(LINE)
    assert Piece.of(score, -1).score is score
    with pytest.raises(ValueError, match="row 1"):
        Piece.of(score, 1)


def test_an_unknown_suffix_names_those_there_are(tmp_path):
    piece = Piece.of(score_from_text(LINE))
    for write in (lambda: write_piece(piece, tmp_path / "a.krn"), lambda: written(piece, "krn")):
        with pytest.raises(ValueError, match=r"krn.*\.roll\.svg"):
            write()
