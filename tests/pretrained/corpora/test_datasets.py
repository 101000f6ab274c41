"""The tunes of a training: shipped ones by name, a user's own by folder."""

from collections import Counter

import numpy as np
import pytest

from pretrained.corpora import split
from pretrained.corpora.datasets import data_set, own_corpus
from pretrained.corpora.folk import FOLK2, Corpus, load_corpus
from pretrained.corpora.found import FileTune
from pretrained.corpora.tunes import read_tune
from tests.pretrained.corpora.own_tunes import abc_tune, book


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def own(texts):
    return [
        FileTune(**vars(read_tune(text)), source=f"a.abc#{n}", unread=0, estimated=False)
        for n, text in enumerate(texts, 1)
    ]


def grams(tunes):
    return [split.grams(tune.tokens) for tune in tunes]


def test_folk_is_the_corpus_that_ships():
    data = data_set("folk")
    assert data.corpus is load_corpus()
    assert data.found is None


def test_folk2_trains_on_the_new_tunes_and_tests_on_the_old_ones():
    corpus = data_set("folk2").corpus
    new, old = load_corpus(FOLK2), load_corpus()
    assert corpus.select("train") == new.select("train")
    assert corpus.select("valid") == new.select("valid")
    assert corpus.select("test") == old.select("test")
    known = Counter(gram for own in grams(corpus.select("train")) for gram in own)
    for tune in grams(corpus.select("test")):
        assert sum(gram in known for gram in tune) < len(tune)  # and pairwise in test_folk


def test_a_folder_is_a_corpus_with_a_card(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "book.abc").write_text(book(range(60)))
    (tmp_path / "mine" / "no.txt").write_text("x")
    data = data_set(tmp_path / "mine")
    sizes = {part: len(data.corpus.select(part)) for part in split.SPLITS}
    assert sizes == {"train": 54, "valid": 3, "test": 3}
    card = data.card
    assert (card["name"], card["tunes"], card["clusters"], card["files"]) == ("mine", 60, 60, 1)
    assert card["left out"] == {"its format is none that is read": 1}
    assert "licence" in card["licence"]
    assert str(tmp_path) not in str(card)


def test_variants_are_in_one_part_in_any_key_and_rhythm():
    """Sixty tunes stand there four times each, in other keys, lengths, endings and names."""
    texts = []
    for number in range(60):
        text, other, third, last = (
            abc_tune(number, bars=8, title=f"{title} {number}") for title in "abcd"
        )
        texts += [text, other.replace("K:C", "K:C transpose=2"), third.replace("L:1/8", "L:1/4")]
        texts.append(last[: last.rindex(" | ")] + " | CCCC CCCC |\n")
    corpus = own_corpus(own(texts))
    parts = np.array([tune.split for tune in corpus.tunes]).reshape(60, 4)
    assert (parts == parts[:, :1]).all()
    assert {"train", "valid", "test"} == set(parts.flat)
    train = grams(corpus.select("train"))
    for tune in grams(corpus.select("test")):
        assert all(len(tune & other) < split.SHARED * min(len(tune), len(other)) for other in train)


def test_the_split_does_not_depend_on_the_folder_nor_on_more_tunes():
    few = own_corpus(own([abc_tune(n) for n in range(200)]))
    more = own_corpus(own([abc_tune(n) for n in range(201)]))
    pairs = zip(few.tunes, more.tunes, strict=False)
    assert sum(a.split != b.split for a, b in pairs) <= 2


def test_a_corpus_of_ones_own_is_saved_and_read(tmp_path):
    corpus = own_corpus(own([abc_tune(n) for n in range(20)]))
    corpus.save(tmp_path / "own.npz")
    again = load_corpus(tmp_path / "own.npz")
    for tune, before in zip(again.tunes, corpus.tunes, strict=True):
        assert (tune.collection, tune.split) == (before.collection, before.split)
    Corpus([]).save(tmp_path / "none.npz")
    assert load_corpus(tmp_path / "none.npz").tunes == []
