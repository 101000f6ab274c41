"""A piece from a file that breaks rules."""

import pytest

from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.musicxml import musicxml
from tests.agents.explaining.rules import LINE


@pytest.fixture
def piece(tmp_path):
    path = tmp_path / "a.musicxml"
    path.write_text(musicxml(score_from_text(LINE), title="A & <b>"))
    return read_piece(path)
