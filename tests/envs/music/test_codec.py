"""Tokens and notes: each is written as the other and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.music.codec import Codec, Note


@st.composite
def melodies(draw, cells=24):
    notes, cell = [], 0
    while cell < cells:
        cell += draw(st.integers(0, 3))
        length = draw(st.integers(1, 6))
        if cell + length <= cells:
            notes.append(Note(cell, length, draw(st.integers(48, 83))))
        cell += length
    return notes


@given(melodies())
@settings(deadline=None)
def test_codec_round_trip(notes):
    codec = Codec()
    tokens = codec.encode(notes, 24)
    assert codec.decode(tokens) == notes
    np.testing.assert_array_equal(codec.encode(codec.decode(tokens), 24), tokens)
    onsets = np.cumsum(tokens >= 2)
    assert not (tokens[onsets == 0] == 1).any()  # no hold before a first note


@given(st.lists(st.integers(0, 37), min_size=16, max_size=16))
@settings(deadline=None)
def test_decoding_any_tokens_and_encoding_again_sounds_the_same(tokens):
    codec = Codec()
    notes = codec.decode(tokens)
    assert codec.decode(codec.encode(notes, 16)) == notes


def test_the_reference_vocabulary():
    codec = Codec()
    assert codec.vocab == 38
    assert [codec.pitch(t) for t in (2, 14, 37)] == [48, 60, 83]
    assert codec.fingerprint == "grid16/C3-B5"
    assert Codec(36, 84).fingerprint == "grid16/C2-C6"


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ([Note(0, 4, 60), Note(2, 2, 62)], "previous"),
        ([Note(6, 4, 60)], "8 cells"),
        ([Note(0, 0, 60)], "does not fit"),
        ([Note(0, 1, 30)], "C3-B5"),
    ],
)
def test_notes_that_cannot_be_encoded(notes, message):
    with pytest.raises(ValueError, match=message):
        Codec().encode(notes, 8)
