"""Chorales: what is read of a file, the plan of its fermatas, the split, and the cache."""

from dataclasses import replace

import numpy as np
import pytest

from envs.errors import RefusedError
from envs.music.codec import HOLD
from envs.music.pitch import parse_pitch
from pretrained.corpora import chorales
from pretrained.corpora.chorales import Chorale, load_chorales, read_chorale, split_chorales
from tests.pretrained.corpora.own_chorales import PARTS, chorale, tune

BARS = [
    [("C5", 1), ("D5", 2), ("E5", 1, True)],
    [("F5", 2), ("E5", 2)],
    [("D5", 3), (None, 1)],
    [("C5", 4, True)],
]


def pitches(piece, voice):
    return [note.pitch for note in piece.task.codec.decode(piece.tokens[voice])]


def test_voices_are_read_highest_first_and_fermatas_end_phrases():
    piece = read_chorale(chorale(BARS), "mine")
    assert piece.name == "mine"
    assert pitches(piece, 0) == [parse_pitch(p) for p in ("C5", "D5", "E5", "F5", "E5", "D5", "C5")]
    assert pitches(piece, 3)[:3] == [parse_pitch(p) for p in ("C4", "D4", "E4")]
    assert pitches(piece, 2)[0] == parse_pitch("E4")
    assert piece.task.phrases == "1+3"
    assert piece.ends == [1, 4]
    assert piece.score.task is piece.task


def test_a_pickup_moves_bars_and_fermatas():
    piece = read_chorale(chorale([*BARS[:3], [("C5", 3, True)]], pickup=[("B4", 1)]))
    assert piece.task.pickup == 4
    assert piece.task.bars == 4
    assert piece.ends == [2, 4]  # beat 4 of bar 1 is in the second bar from the first cell on
    piece = read_chorale(chorale([BARS[0], BARS[3]], pickup=[("B4", 1)]))
    assert piece.ends == [2, 3]


def test_instruments_are_left_out_and_voices_found_by_name():
    plain, full = (read_chorale(chorale(BARS, more=more)) for more in ((), ("Horn", "Oboe")))
    assert np.array_equal(plain.tokens, full.tokens)
    assert np.array_equal(plain.tokens, read_chorale(chorale(BARS, tuple("1234"))).tokens)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (chorale([[(p, q) for p, q, *_ in bar] for bar in BARS]), "fermata"),
        (chorale(BARS, PARTS[:3]), "voice"),
        (chorale(BARS, ("One", "Two", "Three", "Four"), more=("Horn",)), "voice"),
        (chorale([[("C7", 4, True)]]), "beyond"),
        (chorale([[("C5", 10, True)], [("C5", 4)]]), "metre"),
    ],
)
def test_what_is_no_chorale_is_left_out_with_its_reason(data, word):
    with pytest.raises(RefusedError, match=word):
        read_chorale(data)


def test_a_part_holds_nothing_that_began_before_it():
    piece = read_chorale(chorale([[("C5", 2), ("D5", 2, True)], *BARS[1:]]))
    tokens = piece.tokens.copy()
    tokens[:, 16] = HOLD  # tied over the bar line
    piece = replace(piece, tokens=tokens)
    part = piece.part(1, 4)
    assert part.tokens.shape == (4, 48)
    assert (part.tokens[:, 0] == 0).all()
    assert part.task.bars == 3
    assert part.ends == [3]
    assert piece.tokens[0, 16] == HOLD


def test_harmonisations_of_a_tune_are_in_one_part_of_the_split():
    names = [f"bwv{n}" for n in range(80)]
    pieces = [read_chorale(chorale(tune(n // 2, 6)), name) for n, name in enumerate(names)]
    found = split_chorales(pieces, {"no fermatas": 2})
    assert {piece.split for piece in found.pieces} == {"train", "valid", "test"}
    for one, two in zip(found.pieces[::2], found.pieces[1::2], strict=True):
        assert (one.cluster, one.split) == (two.cluster, two.split)
    assert found.card["clusters"] == 40
    assert "not for commercial use" in found.card["licence"]


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A corpus of music21 with four chorales and what is none."""
    folder = tmp_path / "corpus" / "bach"
    folder.mkdir(parents=True)
    for n in range(4):
        (folder / f"bwv{n}.xml").write_bytes(chorale(tune(n)))
    (folder / "bwv9.xml").write_bytes(chorale([[("C5", 4)]]))
    (folder / "bwv8.xml").write_bytes(b"<broken")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("music21.common.getCorpusFilePath", lambda: str(folder.parent))
    return folder


def test_the_corpus_is_read_once_and_kept(corpus, monkeypatch):
    told = []
    first = load_chorales(lambda done, total: told.append((done, total)))
    assert told[-1] == (6, 6)
    assert [piece.name for piece in first.pieces] == [f"bwv{n}" for n in range(4)]
    assert sum(first.left_out.values()) == 2
    monkeypatch.setattr(chorales, "_read_all", None)
    again = load_chorales()
    assert again.left_out == first.left_out
    for one, two in zip(first.pieces, again.pieces, strict=True):
        assert np.array_equal(one.tokens, two.tokens)
        assert (one.task, one.name, one.cluster, one.split) == (
            (two.task, two.name, two.cluster, two.split)
        )


def test_a_damaged_cache_is_made_anew(corpus, tmp_path):
    load_chorales()
    (file,) = (tmp_path / "cache").rglob("chorales-*.npz")
    file.write_bytes(b"nonsense")
    assert len(load_chorales().pieces) == 4
    assert isinstance(load_chorales().pieces[0], Chorale)


def test_music21_without_its_corpus_is_refused(corpus):
    for file in corpus.iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match="music21"):
        load_chorales()
