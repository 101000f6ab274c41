"""Reading a user's files: every format, collections, and what no reader can do anything with."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from envs.notation import READERS, read_piece, written
from envs.notation.reading.sandbox import Limits
from pretrained.corpora import folder as reading
from pretrained.corpora.folder import read_folder
from pretrained.corpora.tunes import read_tune
from tests.pretrained.corpora.own_tunes import abc_tune, book, fill, piece, same_tune


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def home(tmp_path):
    (tmp_path / "tunes").mkdir()
    return tmp_path / "tunes"


def hanging(data, known):
    time.sleep(0.2)
    while data != b"good":
        pass
    return piece()


@pytest.fixture
def quick(monkeypatch):
    """Limits of half a second, and a reader that hangs with all files but one."""
    monkeypatch.setitem(READERS, ".hang", hanging)
    monkeypatch.setattr(
        reading, "read_piece", lambda *a, **k: read_piece(*a, limits=Limits(seconds=0.3), **k)
    )


def reasons(found):
    return {Path(source).name: reason for source, reason in found.left_out}


def test_every_format_sub_folders_and_collections_are_read_in_order(home):
    addresses = fill(home)
    calls = []
    found = read_folder(home, lambda *counts: calls.append(counts))
    assert [tune.source for tune in found.tunes] == addresses
    assert (found.left_out, found.not_kept) == ([], "")
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found.files == 4
    assert [tune.title for tune in found.tunes[:2]] == ["Tune 1", "Tune 2"]
    for tune, number in zip(found.tunes, (1, 2), strict=False):
        same_tune(tune, read_tune(abc_tune(number)))


def test_a_collection_is_sent_to_its_reader_once(home, monkeypatch):
    from envs.notation.reading import sandbox

    (home / "book.abc").write_text(book(range(1, 31)))
    sent = []
    write = sandbox._write

    def counted(pipe, line):
        sent.append(len(line))
        write(pipe, line)

    monkeypatch.setattr(sandbox, "_write", counted)
    found = read_folder(home)
    assert len(found.tunes) == 30
    size = (home / "book.abc").stat().st_size
    assert sum(length > size for length in sent) == 1
    assert len(sent) == 31


def test_files_of_no_format_are_named_and_hidden_ones_are_not(home):
    fill(home)
    (home / "notes.txt").write_text("no music")
    (home / "song.mscz").write_bytes(b"x")
    (home / ".hidden.abc").write_text(abc_tune(1))
    (home / ".git").mkdir()
    (home / ".git" / "b.abc").write_text(abc_tune(1))
    found = read_folder(home)
    assert len(found.tunes) == 5
    assert reasons(found).keys() == {"notes.txt", "song.mscz"}
    assert "MuseScore" in reasons(found)["song.mscz"]


def test_an_empty_folder_holds_nothing(home):
    found = read_folder(home)
    assert (found.tunes, found.left_out, found.files) == ([], [], 0)


def test_a_path_that_names_nothing_is_an_error(home):
    with pytest.raises(ValueError, match="no such file"):
        read_folder([home, home / "missing.abc"])


def test_paths_may_be_files_and_tunes_and_bars_each_read_once(home):
    file = home / "book.abc"
    file.write_text(book([1, 2, 3]))
    found = read_folder([f"{file}#2", str(file), home, f"{file}#3:1-2"])
    names = [tune.source.removeprefix(str(home)) for tune in found.tunes]
    assert names == ["/book.abc#2", "/book.abc#1", "/book.abc#2", "/book.abc#3", "/book.abc#3:1-2"]
    assert len(found.tunes[-1].tokens) == 32


def test_of_several_voices_the_first_is_read_and_the_others_are_counted(home):
    two = "X:1\nT:Two\nM:4/4\nL:1/4\nK:C\nV:1\ncdef|gabc'|\nV:2\nCDEF|GABc|\n"
    (home / "two.abc").write_text(two)
    (home / "one.abc").write_text(abc_tune(1))
    one, both = read_folder(home).tunes
    assert (one.unread, both.unread) == (0, 1)
    same_tune(both, read_tune(two.split("V:2")[0].replace("V:1\n", "")))


def test_tunes_of_another_grid_are_quantized_or_left_out_with_the_reason(home):
    head = "X:1\nM:4/4\nK:C\n"
    (home / "few.abc").write_text(f"{head}L:1/8\n" + "CDEFGABc|" * 6 + "(3CDE FGABc|\n")
    (home / "many.abc").write_text(f"{head}L:1/64\n" + "CDEFGABc" * 8 + "|\n")
    found = read_folder(home)
    assert [Path(tune.source).name for tune in found.tunes] == ["few.abc"]
    assert "no length" in reasons(found)["many.abc"]
    assert [left.kind for left in found.left_out] == ["a note at bar N, beat N has no length"]


def test_broken_files_are_one_line_each_and_the_rest_is_read(home):
    addresses = fill(home)
    (home / "deep" / "broken.mid").write_bytes(b"MThd\x00\x00")
    (home / "empty.abc").write_bytes(b"")
    (home / "prose.abc").write_text("Dear reader,\n")
    (home / "zip.mxl").write_bytes(b"PK\x03\x04 no")
    found = read_folder(home)
    assert [tune.source for tune in found.tunes] == addresses
    assert reasons(found).keys() == {"broken.mid", "empty.abc", "prose.abc", "zip.mxl"}


def test_a_file_that_hangs_its_reader_costs_one_line(home, quick):
    addresses = fill(home)
    (home / "a.hang").write_bytes(b"bad")
    (home / "b.hang").write_bytes(b"good")
    found = read_folder(home)
    assert {tune.source for tune in found.tunes} == {*addresses, f"{home}/b.hang"}
    assert "CPU" in reasons(found)["a.hang"]


def test_a_collection_whose_tunes_hang_is_given_up_after_three(home, monkeypatch):
    from envs.errors import UnreadError

    (home / "book.abc").write_text(book(range(1, 11)))

    def read(path, **known):
        if known.get("tune", 1) % 2 == 0:
            raise UnreadError("too long")
        return read_piece(path, **known)

    monkeypatch.setattr(reading, "read_piece", read)
    found = read_folder(home)
    assert [tune.source[-2:] for tune in found.tunes] == ["#1", "#3", "#5"]
    assert [source[-2:] for source, _ in found.left_out] == ["#2", "#4", "#6", "#7"]
    assert "4 tunes" in found.left_out[-1].reason


def test_a_collection_that_takes_too_long_is_given_up(home, monkeypatch):
    (home / "book.abc").write_text(book(range(1, 6)))
    (home / "other.abc").write_text(abc_tune(1))
    monkeypatch.setattr(reading, "SECONDS", -1.0)
    found = read_folder(home)
    assert [Path(tune.source).name for tune in found.tunes] == ["other.abc"]
    assert reasons(found) == {"book.abc#1": "5 tunes are not read, as those before take too long"}


def test_what_may_not_be_opened_is_left_out(home, monkeypatch):
    addresses = fill(home)
    for name in ("locked.abc", "box/in.abc"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(abc_tune(1))
        (home / name).chmod(0)
    (home / "box").chmod(0)
    real, scan = Path.open, os.scandir

    def refuse(path, action, *more):  # root may open everything
        if os.path.basename(path) in ("locked.abc", "box"):
            raise PermissionError(13, "Permission denied", str(path))
        return action(path, *more)

    monkeypatch.setattr(Path, "open", lambda path, *mode: refuse(path, real, *mode))
    monkeypatch.setattr(os, "scandir", lambda path: refuse(path, scan))
    found = read_folder(home)
    (home / "box").chmod(0o700)
    assert [tune.source for tune in found.tunes] == addresses
    assert reasons(found).keys() == {"locked.abc", "box"}
    assert all("Permission denied" in reason for reason in reasons(found).values())


def test_links_in_a_circle_and_links_to_nothing_end(home):
    addresses = fill(home)
    (home / "deep" / "up").symlink_to(home)
    (home / "self.abc").symlink_to(home / "self.abc")
    (home / "away.abc").symlink_to(home / "nothing.abc")
    (home / "again.krn").symlink_to(home / "deep" / "er" / "c.krn")
    found = read_folder(home)
    assert [tune.source for tune in found.tunes] == [f"{home}/again.krn", *addresses]
    assert reasons(found).keys() == {"up", "self.abc", "away.abc"}


def test_pipes_do_not_block(home):
    os.mkfifo(home / "pipe.mid")
    (home / "one.abc").write_text(abc_tune(1))
    found = read_folder(home)
    assert (len(found.tunes), list(reasons(found))) == (1, ["pipe.mid"])


def test_names_of_any_bytes_are_read_and_shown(home):
    strange = [b"caf\xe9.abc", b"new\nline.abc", b"a#1:2.abc", "žluť.abc".encode()]
    for number, name in enumerate(strange, 1):
        Path(os.fsdecode(os.path.join(os.fsencode(home), name))).write_text(abc_tune(number))
    Path(os.fsdecode(os.path.join(os.fsencode(home), b"bad\xff.abc"))).write_text("x")
    for _ in range(2):  # read, then remembered
        found = read_folder(home)
        names = [os.fsencode(os.path.basename(tune.source)) for tune in found.tunes]
        assert sorted(names) == sorted(strange)
        assert "bad?.abc" in found.list_left_out()
        assert found.not_kept == ""
        (found.table() + found.list_left_out()).encode()


def test_a_reader_of_ones_own_reads_and_may_be_wrong(home, monkeypatch):
    monkeypatch.setitem(READERS, ".mine", lambda data, known: piece() if data == b"good" else 3)
    (home / "a.mine").write_bytes(b"good")
    (home / "b.mine").write_bytes(b"bad")
    found = read_folder(home)
    assert [Path(tune.source).name for tune in found.tunes] == ["a.mine"]
    assert "Piece" in reasons(found)["b.mine"]


def test_the_tune_of_a_file_is_that_of_its_notes(home):
    (home / "a.mid").write_bytes(written(piece(), ".mid"))
    (home / "b.musicxml").write_bytes(written(piece(), ".musicxml"))
    first, second = read_folder(home).tunes
    np.testing.assert_array_equal(first.tokens, second.tokens)
    onsets = first.tokens[first.tokens > 1]
    assert np.diff(onsets).tolist() == [2, 2, 1, 2, 2, 2, 1, 2]
