"""The corpora that ship, the reading of the second one, and the command that writes it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pretrained.corpora import folk as corpus
from pretrained.corpora import split
from pretrained.corpora.tunes import read_tune


@pytest.fixture(scope="module")
def shipped() -> corpus.Corpus:
    return corpus.load_corpus()


def test_cache_is_small_and_has_no_pickles() -> None:
    assert corpus.CACHE.stat().st_size < 600_000
    with np.load(corpus.CACHE, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_shipped_tunes_are_grammatical(shipped: corpus.Corpus) -> None:
    assert len(shipped.tunes) > 4000
    for tune in shipped.tunes:
        assert tune.tokens.dtype == tune.position.dtype == np.int16
        assert tune.tokens.shape == tune.position.shape
        assert tune.tokens.min() >= 0
        assert tune.tokens.max() <= 37
        first_note = int(np.argmax(tune.tokens > 1))
        assert (tune.tokens[:first_note] == 0).all()
        assert tune.position.min() >= 0
        assert tune.position.max() < tune.bar_cells
        assert tune.bar_cells % tune.beat_cells == 0
        assert not tune.tokens.flags.writeable


def test_shipped_positions_follow_the_metre(shipped: corpus.Corpus) -> None:
    """Positions count up cell by cell nearly everywhere, and notes fall on the downbeats."""
    jumps = cells = 0
    onsets: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for tune in shipped.tunes:
        jumps += int(((np.diff(tune.position) - 1) % tune.bar_cells != 0).sum())
        cells += len(tune.tokens)
        if tune.meter == (6, 8):
            for place in range(12):
                here = tune.tokens[tune.position == place]
                onsets[place][0] += int((here > 1).sum())
                onsets[place][1] += len(here)
    assert jumps < 0.001 * cells
    share = {place: hit / of for place, (hit, of) in onsets.items()}
    assert share[0] > 0.98
    assert share[6] > 0.95
    assert max(share[place] for place in (1, 3, 5, 7, 9, 11)) < 0.1


def test_no_cluster_straddles_the_splits(shipped: corpus.Corpus) -> None:
    sides = defaultdict(set)
    for tune in shipped.tunes:
        sides[tune.cluster].add(tune.split)
    assert all(len(parts) == 1 for parts in sides.values())
    total = len(shipped.tunes)
    for name, share in (("train", 0.9), ("valid", 0.05), ("test", 0.05)):
        assert abs(len(shipped.select(name)) / total - share) < 0.01


def test_no_held_out_tune_is_a_near_duplicate_of_a_training_tune(shipped: corpus.Corpus) -> None:
    known = [split.grams(tune.tokens) for tune in shipped.select("train")]
    for tune in shipped.select("test")[:40]:
        own = split.grams(tune.tokens)
        assert all(len(own & k) < split.SHARED * min(len(own), len(k)) for k in known)


def test_shipped_report_and_credits_add_up(shipped: corpus.Corpus) -> None:
    for name in corpus.COLLECTIONS:
        report = shipped.report[name]
        dropped = sum(n for reason, n in report.items() if reason.startswith("dropped"))
        assert report["tunes"] == report["kept"] + dropped
        assert report["kept"] == sum(tune.collection == name for tune in shipped.tunes)
    assert corpus.credits()["airdsAirs"]["transcribers"] == {"Jack Campin": 1171}
    assert "@" not in str(corpus.credits())


def test_shipped_tune_is_what_the_reader_makes_of_it(shipped: corpus.Corpus) -> None:
    path = corpus.collection_files("airdsAirs")[0]
    fresh = read_tune(corpus.split_tunes(path.read_text("utf-8"))[0])
    tune = next(t for t in shipped.tunes if t.collection == "airdsAirs")
    assert tune.title == fresh.title == "The Ranting Highlandman."
    assert (tune.meter, tune.offset, tune.tonic) == ((2, 2), 12, 0)
    np.testing.assert_array_equal(tune.tokens, fresh.tokens)
    np.testing.assert_array_equal(tune.position, fresh.position)


def test_save_and_load_round_trip(shipped: corpus.Corpus, tmp_path) -> None:
    small = corpus.Corpus(shipped.tunes[:5], shipped.report, shipped.credits)
    small.save(tmp_path / "small.npz")
    again = corpus.load_corpus(tmp_path / "small.npz")
    assert again.report == small.report
    for before, after in zip(small.tunes, again.tunes, strict=True):
        np.testing.assert_array_equal(before.tokens, after.tokens)
        np.testing.assert_array_equal(before.position, after.position)
        assert (before.meter, before.title, before.split) == (after.meter, after.title, after.split)


def test_errors(shipped: corpus.Corpus, tmp_path) -> None:
    with pytest.raises(ValueError, match="dev"):
        shipped.select("dev")
    np.savez(tmp_path / "other.npz", tokens=np.zeros(3))
    with pytest.raises(ValueError, match=r"pretrained.corpora.folk"):
        corpus.load_corpus(tmp_path / "other.npz")


# -- the second file -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def newer() -> corpus.Corpus:
    return corpus.load_corpus(corpus.FOLK2)


def test_the_second_file_holds_whole_bars_of_the_same_collections(shipped, newer) -> None:
    assert corpus.FOLK2.stat().st_size < 600_000
    assert 4100 < len(newer.tunes) < len(shipped.tunes)
    for tune in newer.tunes:
        assert tune.tokens.min() >= 0
        assert tune.tokens.max() <= 37
        assert (tune.tokens[: int(np.argmax(tune.tokens > 1))] == 0).all()
        count = np.arange(len(tune.tokens)) + tune.offset
        assert (tune.position == count % tune.bar_cells).all()
        end = (int(tune.position[-1]) + 1) % tune.bar_cells
        assert end in (0, tune.offset)
        assert not tune.tokens.flags.writeable
    for name in corpus.COLLECTIONS:
        report = newer.report[name]
        dropped = sum(n for reason, n in report.items() if reason.startswith("dropped"))
        assert report["tunes"] == report["kept"] + dropped == shipped.report[name]["tunes"]
        assert report["kept"] == sum(tune.collection == name for tune in newer.tunes)
        assert not any(":" in reason.removeprefix("dropped: ") for reason in report)
    assert newer.credits["airdsAirs"]["transcribers"] == {
        "Jack Campin": newer.report["airdsAirs"]["kept"]
    }


def held_out(*both: corpus.Corpus) -> list[corpus.Tune]:
    return [tune for each in both for part in split.HELD_OUT for tune in each.select(part)]


def test_no_new_training_tune_is_like_a_tune_held_out_in_either_file(shipped, newer) -> None:
    """Compared gram by gram: each gram is looked up in an index of the training tunes."""
    train = [split.grams(tune.tokens) for tune in newer.select("train")]
    holders = defaultdict(list)
    for number, grams in enumerate(train):
        for gram in grams:
            holders[gram].append(number)
    for tune in held_out(shipped, newer):
        own = split.grams(tune.tokens)
        shared = Counter(number for gram in own for number in holders[gram])
        for number, count in shared.items():
            assert count < split.SHARED * min(len(own), len(train[number])), tune.title


def test_tunes_held_out_in_the_first_file_are_held_out_in_the_second(shipped, newer) -> None:
    part = {(tune.collection, tune.title): tune.split for tune in held_out(shipped)}
    again = [tune for tune in newer.tunes if (tune.collection, tune.title) in part]
    assert len(again) > 0.95 * len(part)
    same = sum(tune.split == part[tune.collection, tune.title] for tune in again)
    assert all(tune.split in split.HELD_OUT for tune in again)
    assert same > 0.98 * len(again)
    sides = defaultdict(set)
    for tune in newer.tunes:
        sides[tune.cluster].add(tune.split)
    assert all(len(parts) == 1 for parts in sides.values())


@pytest.fixture
def few(monkeypatch, tmp_path):
    """The first tunes of each collection, as files of their own."""

    def files(collection: str) -> list[Path]:
        files = (corpus.split_tunes(file.read_text("utf-8")) for file in found(collection))
        texts = islice((text for file in files for text in file), 25)
        path = tmp_path / f"{collection}.abc"
        path.write_text("".join(texts), "utf-8")
        return [path]

    found = corpus.collection_files
    monkeypatch.setattr(corpus, "collection_files", files)
    return corpus.parse_corpus(progress=False)


def test_parsing_anew_gives_the_tunes_that_ship(few, newer: corpus.Corpus) -> None:
    known = {(t.collection, t.title, t.tokens.tobytes(), t.position.tobytes(), t.meter, t.tonic):
             t.split for t in newer.tunes}  # fmt: skip
    assert len(few.tunes) > 60
    assert {t.collection for t in few.tunes} == corpus.COLLECTIONS.keys()
    for tune in few.tunes:
        position = tune.position.astype(np.int16).tobytes()
        key = (tune.collection, tune.title, tune.tokens.astype(np.int16).tobytes())
        # A chain of tunes to one that is held out may lack a link here.
        assert tune.split in (known[*key, position, tune.meter, tune.tonic], "train")
    assert {tune.split for tune in few.tunes} == {"train", "valid", "test"}
    for name, counts in few.report.items():
        dropped = sum(count for reason, count in counts.items() if reason.startswith("dropped"))
        assert counts["kept"] + dropped == counts["tunes"] == 25
        assert counts["kept"] == sum(tune.collection == name for tune in few.tunes)
        assert few.credits[name].keys() == {"transcribers", "books"}
    assert any(few.credits[name]["books"] for name in few.credits)


def test_the_command_writes_the_second_file_and_counts(few, monkeypatch, tmp_path, capsys) -> None:
    file = tmp_path / "folk2.npz"
    monkeypatch.setattr(corpus, "FOLK2", file)
    monkeypatch.setattr(corpus, "parse_corpus", lambda: few)
    corpus.main()
    said = capsys.readouterr().out
    assert len(corpus.load_corpus(file).tunes) == len(few.tunes)
    total = said.split("\nall\n")[1]
    assert int(re.search(r"kept +(\d+)", total)[1]) == len(few.tunes)
    assert int(re.search(r"tunes +(\d+)", total)[1]) == 100
    parts = [int(re.search(rf"{part} +(\d+)", total)[1]) for part in ("train", "valid", "test")]
    assert sum(parts) == len(few.tunes)
    assert "folk2.npz: " in said
