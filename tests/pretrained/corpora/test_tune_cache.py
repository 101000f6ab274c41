"""Tunes of a folder are remembered, and read anew where anything is different."""

import os
from pathlib import Path

import numpy as np
import pytest

from envs.errors import UnreadError
from envs.notation import READERS, read_piece
from pretrained.corpora import folder as reading
from pretrained.corpora import tune_cache
from pretrained.corpora.folder import read_folder
from tests.pretrained.corpora.own_tunes import abc_tune, book, fill, piece, same_tune


@pytest.fixture(autouse=True)
def stores(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "composition-gym" / "tunes"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "tunes"
    folder.mkdir()
    fill(folder)
    (folder / "bad.abc").write_text("no tune")
    (folder / "mixed.abc").write_text(abc_tune(7) + "X:8\nT:Short\nM:4/4\nL:1/4\nK:C\nCDEF|\n")
    return folder


@pytest.fixture
def asked(monkeypatch):
    """The names of the files that a reader is asked to read, in order."""
    names = []

    def read(path, **known):
        names.append(os.path.basename(path))
        return read_piece(path, **known)

    monkeypatch.setattr(reading, "read_piece", read)
    return names


def test_nothing_is_read_twice_and_all_is_as_before(home, asked, stores):
    first = read_folder(home)
    assert len(first.left_out) == 2
    count = len(asked)
    calls = []
    again = read_folder(home, lambda *counts: calls.append(counts))
    assert len(asked) == count
    assert again.left_out == first.left_out
    assert again.files == first.files == len(calls) == 6
    for before, after in zip(first.tunes, again.tunes, strict=True):
        same_tune(after, before)
        assert (after.source, after.unread, after.estimated, after.title) == (
            before.source, before.unread, before.estimated, before.title,
        )  # fmt: skip
        assert after.tokens.dtype == after.position.dtype == np.int16
    assert len(list(stores.iterdir())) == 3
    for store in stores.iterdir():
        with np.load(store, allow_pickle=False) as file:
            assert all(file[name].dtype != object for name in file.files)


def test_addresses_are_as_the_folder_is_named_now(home, asked, monkeypatch):
    read_folder(home)
    asked.clear()
    monkeypatch.chdir(home.parent)
    assert read_folder("tunes").tunes[0].source == "tunes/book.abc#1"
    monkeypatch.chdir(home)
    assert [tune.source for tune in read_folder("book.abc").tunes] == ["book.abc#1", "book.abc#2"]
    assert asked == []


@pytest.mark.parametrize("how", ["content", "time", "rights"])
def test_a_file_that_changed_is_read_again(home, asked, how):
    read_folder(home)
    asked.clear()
    file = home / "book.abc"
    if how == "content":
        facts = file.stat()
        file.write_text(book([2, 1]))
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # size and time as before
        assert file.stat().st_size == facts.st_size
    elif how == "time":
        os.utime(file, ns=(1, 1))
    else:
        file.chmod(0o640)
    found = read_folder(home)
    assert set(asked) == {"book.abc"}
    titles = [tune.title for tune in found.tunes[:2]]
    assert titles == (["Tune 2", "Tune 1"] if how == "content" else ["Tune 1", "Tune 2"])


def test_a_new_file_is_read_and_a_removed_one_is_forgotten(home, asked, stores):
    read_folder(home)
    asked.clear()
    (home / "new.abc").write_text(abc_tune(9))
    (home / "mixed.abc").unlink()
    found = read_folder(home)
    assert asked == ["new.abc"]
    assert not any("mixed" in tune.source for tune in found.tunes)
    assert "mixed.abc" not in tune_cache.TuneCache(str(home)).files


def test_readers_that_changed_read_everything_again(home, asked, monkeypatch):
    read_folder(home)
    count = len(asked)
    monkeypatch.setattr(tune_cache, "version", lambda: "another")
    read_folder(home)
    assert len(asked) == 2 * count


def test_the_version_is_that_of_the_readers_source(monkeypatch, tmp_path):
    tune_cache.version.cache_clear()
    before = tune_cache.version()
    tune_cache.version.cache_clear()
    monkeypatch.setattr(tune_cache, "_ROOT", tmp_path)
    for folder in tune_cache._SOURCES:
        (tmp_path / folder).mkdir(parents=True)
    assert tune_cache.version() != before
    tune_cache.version.cache_clear()


@pytest.mark.parametrize("damage", [b"", b"no zip", "half", "other"])
def test_a_damaged_store_is_made_anew(home, asked, stores, damage):
    first = read_folder(home)
    for store in stores.iterdir():
        data = store.read_bytes()
        half = data[: len(data) // 2]
        store.write_bytes(half if damage == "half" else damage if damage != "other" else data)
        if damage == "other":
            np.savez(store.open("wb"), text=np.frombuffer(b'{"format": 1}', np.uint8))
    asked.clear()
    again = read_folder(home)
    assert len(again.tunes) == len(first.tunes)
    assert asked
    asked.clear()
    read_folder(home)
    assert asked == []


def test_ctrl_c_keeps_what_was_read(home, asked, monkeypatch):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_folder(home, stop)
    before = list(asked)
    read_folder(home)
    assert not set(before) & set(asked[len(before) :])
    assert set(before) == {"bad.abc", "book.abc", "mixed.abc"}


def test_a_long_reading_is_stored_on_the_way(home, monkeypatch, stores):
    monkeypatch.setattr(tune_cache, "SAVE_EVERY", -1.0)
    seen = []
    read_folder(home, lambda done, total: seen.append(len(list(stores.glob("*.npz")))))
    assert seen[0] == 1


def test_what_took_too_long_is_tried_again(home, monkeypatch):
    calls = []

    def slow(path, **known):
        calls.append(path)
        raise UnreadError("too long")

    monkeypatch.setattr(reading, "read_piece", slow)
    read_folder(home / "bad.abc")
    read_folder(home / "bad.abc")
    assert len(calls) == 2


def test_readers_of_ones_own_are_asked_again(home, monkeypatch):
    calls = []
    monkeypatch.setitem(READERS, ".own", lambda data, known: calls.append(data) or piece())
    (home / "a.own").write_bytes(b"x")
    for _ in range(2):
        assert len(read_folder(home / "a.own").tunes) == 1
    assert len(calls) == 2


def test_a_cache_that_cannot_be_written_is_told_and_stops_nothing(home, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    found = read_folder(home)
    assert len(found.tunes) == 6
    assert found.not_kept
    assert "not stored" in found.table()
    assert Path(tmp_path / "file").read_text() == ""
