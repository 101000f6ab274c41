"""Conversions: every pair of formats, collections and folders; nothing overwritten or left half."""

import errno
import itertools
import os
import tracemalloc
from pathlib import Path

import pytest

from envs import durable_files
from envs.errors import RefusedError
from envs.notation import convert
from envs.notation.converting import conversions
from envs.notation.reading.readers import READERS, read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.writers import WRITERS, write_piece

LINE = "D4 E4 F#4 G4 A4:8 G4:2 F#4:2 E4 D4:8 r:4 A4 D4:16"


@pytest.fixture
def tune(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text(abc(score_from_text(LINE, key="E dorian"), title="Short", tempo=96))
    return path


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("one", "other"), list(itertools.product([".mid", ".musicxml", ".abc"], WRITERS))
)
def test_any_format_becomes_any_other(tune, tmp_path, one, other):
    write_piece(read_piece(tune), tmp_path / f"source{one}")
    (done,) = convert(tmp_path / f"source{one}", tmp_path / "new" / f"target{other}")
    assert (done.refusal, done.target.name) == ("", f"target{other}")
    assert done.target.stat().st_size > 60
    if other in READERS:
        before, after = read_piece(tune), read_piece(done.target)
        assert after.notes == before.notes
        assert (after.key, after.meter, after.tempo) == (before.key, before.meter, 96)
        assert after.title == "Short"


def test_a_part_of_a_file_with_what_is_known_better(tune, tmp_path):
    (done,) = convert(f"{tune}:2-3", tmp_path / "part.mid", key="B minor")
    assert done.source == f"{tune}:2-3"
    found = read_piece(done.target)
    assert str(found.key) == "B minor"
    assert [note.pitch for note in found.notes] == [
        note.pitch for note in read_piece(tune, bars=(2, 3)).notes
    ]


def test_notices_tell_what_was_changed(tune, tmp_path):
    tune.write_text("X:1\nM:4/4\nL:1/4\nK:C\n|: CDEF |1 GGGG :|2 CCCC |]\n")
    (done,) = convert(tune, tmp_path / "new.mid")
    assert any("left out" in words for words in done.notices)


def test_a_folder_with_its_folders(tune, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    (source / "sub" / ".hidden").mkdir(parents=True)
    for name in ("b.abc", "sub/a.ABC", "sub/.hidden/c.abc", ".d.abc"):
        (source / name).write_bytes(tune.read_bytes())
    (source / "notes.txt").write_text("x")
    (source / "cover.pdf").write_text("x")
    (source / "bad.mid").write_text("x")
    (source / "score.mscz").write_text("x")
    done = convert(source, out, "musicxml")
    assert tree(out) == ["b.musicxml", "sub/a.musicxml"]
    refused = {each.target.name: each.refusal for each in done if each.refusal and each.target}
    assert refused.keys() == {"bad.musicxml", "score.musicxml"}
    assert "MuseScore" in refused["score.musicxml"]
    assert sorted(each.source for each in done if each.target is None) == [
        str(source / "cover.pdf"), str(source / "notes.txt")
    ]  # fmt: skip


def test_files_of_one_name_become_files_of_two(tune, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    write_piece(read_piece(tune), source / "Tune.mid")
    (source / "tune.abc").write_bytes(tune.read_bytes())
    assert not any(each.refusal for each in convert(source, tmp_path / "out", ".abc"))
    assert tree(tmp_path / "out") == ["Tune-mid.abc", "tune-abc.abc"]


def test_what_was_written_into_the_folder_that_is_read_is_not_read_again(tune, tmp_path):
    for _ in range(2):
        done = convert(tmp_path, tmp_path / "out", ".mid")
        assert [each.source for each in done] == [str(tune)]
    assert "exists" in done[0].refusal
    assert tree(tmp_path / "out") == ["tune.mid"]


def test_a_collection_becomes_a_file_for_each_tune(tune, tmp_path):
    text = tune.read_text()
    book = tmp_path / "book.abc"
    book.write_text("\n".join([text, "X:2\nM:4/4\nK:C\n[CE]8|", *[text] * 8]))
    done = convert(book, tmp_path / "out", "mid", grid=4)
    assert tree(tmp_path / "out") == [f"book-{n:02d}.mid" for n in range(1, 11) if n != 2]
    assert [each.source for each in done] == [f"{book}#{n}" for n in range(1, 11)]
    assert [bool(each.refusal) for each in done] == [False, True, *[False] * 8]
    assert done[1].refusal.startswith(f"'{book}#2': ")
    assert tree(tmp_path / "out")[0] == "book-01.mid"
    assert read_piece(done[9].target).notes == read_piece(tune).notes


def test_a_tune_of_a_collection(tune, tmp_path):
    book = tmp_path / "book.abc"
    book.write_text("\n".join([tune.read_text()] * 2))
    (done,) = convert(f"{book}#2:1-2", tmp_path / "out", "mid")
    assert (done.source, tree(tmp_path / "out")) == (f"{book}#2:1-2", ["book-2.mid"])
    (done,) = convert(book, tmp_path / "two.mid", tune=2)
    assert (done.source, done.target.name) == (f"{book}#2", "two.mid")


def test_nothing_is_overwritten(tune, tmp_path):
    (tmp_path / "mine.mid").write_text("mine")
    (tmp_path / "link.mid").symlink_to(tmp_path / "elsewhere.mid")
    for name in ("mine.mid", "link.mid"):
        (done,) = convert(tune, tmp_path / name)
        assert "nothing is overwritten" in done.refusal
        assert done.piece is None
    assert (tmp_path / "mine.mid").read_text() == "mine"
    assert not (tmp_path / "elsewhere.mid").exists()


@pytest.mark.parametrize(
    ("source", "target", "to", "known", "word"),
    [
        ("nothing.abc", "new.mid", "", {}, "no such file"),
        ("", "new", "mid", {}, "no such file"),
        ("tune.abc", "new.xyz", "", {}, "xyz"),
        ("tune.abc", "new", "xyz", {}, "xyz"),
        ("tune.abc", "new", "", {}, "--to"),
        ("tune.abc", ".", "", {}, "--to"),
        (".", "new", "", {}, "--to"),
        (".", ".", "mid", {}, "name another"),
        ("empty", "new", "mid", {}, "no files"),
        ("tune.abc", "tune.abc", "mid", {}, "folder"),
        ("tune.abc", "new.mid", "", {"key": "Q"}, "key"),
        ("tune.abc:1-2", "new.mid", "", {"bars": (1, 2)}, "leave one out"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    tune, tmp_path, monkeypatch, source, target, to, known, word
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=word):
        convert(source, target, to, **known)
    assert tree(tmp_path) == ["tune.abc"]


def test_a_refused_file_leaves_no_folder(tmp_path):
    (tmp_path / "bad.abc").write_text("nothing")
    assert convert(tmp_path / "bad.abc", tmp_path / "out", "mid")[0].refusal
    assert not (tmp_path / "out").exists()


def test_a_full_disk_and_an_interrupt_leave_whole_files(tune, tmp_path, monkeypatch):
    source = tmp_path / "in"
    source.mkdir()
    for name in "abc":
        (source / f"{name}.abc").write_bytes(tune.read_bytes())
    going = conversions(source, tmp_path / "out", "mid")
    next(going)
    for error in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), KeyboardInterrupt()):

        def fail(file, error=error):
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(durable_files, "sync", fail)
            with pytest.raises(type(error)):
                convert(source / "b.abc", tmp_path / "out", "mid")
    assert tree(tmp_path / "out") == ["a.mid"]
    assert [each.target.name for each in going] == ["b.mid", "c.mid"]


def test_tunes_of_a_collection_in_another_encoding_keep_their_titles(tmp_path):
    book = tmp_path / "book.abc"
    words = "%abc-2.1\n%%abc-charset iso-8859-1\n\nX:1\nT:Für\nK:C\nC8|\n\nX:2\nT:Élan\nK:C\nD8|\n"
    book.write_bytes(words.encode("latin-1"))
    done = convert(book, tmp_path / "out", "abc")
    assert [each.piece.title for each in done] == ["Für", "Élan"]
    assert [read_piece(each.target).title for each in done] == ["Für", "Élan"]


def test_music_behind_the_end_of_a_tune_is_told_of_in_a_collection_too(tmp_path):
    book = tmp_path / "book.abc"
    book.write_text("X:1\nK:C\nC8|\n\nD8|\n\nX:2\nK:C\nE8|\n")
    done = convert(book, tmp_path / "out", "abc")
    told = [any("empty line" in words for words in each.notices) for each in done]
    assert told == [True, False]
    assert [len(each.piece.notes) for each in done] == [1, 1]


# -- collections of every format that has them -----------------------------------------------------


def kern(*pitches):
    return "".join(f"**kern\n*M4/4\n*k[]\n*C:\n1{pitch}\n==\n*-\n" for pitch in pitches).encode()


def midi(*pitches):
    """A file of form 2, whose tracks are pieces of their own."""
    note = "00 90 {0:02x} 40 8f 00 80 {0:02x} 40 00 ff 2f 00"
    tracks = [bytes.fromhex(note.format(pitch)) for pitch in pitches]
    head = b"MThd\0\0\0\x06\0\x02\0" + bytes([len(tracks)]) + b"\x01\xe0"
    return head + b"".join(b"MTrk" + len(t).to_bytes(4, "big") + t for t in tracks)


def book_of(*pitches):
    return "".join(f"X:1\nM:4/4\nK:C\n{pitch}8|\n\n" for pitch in pitches).encode()


BOOKS = {".abc": book_of(*"CD"), ".krn": kern("c", "d"), ".mid": midi(60, 62)}


@pytest.mark.parametrize("suffix", BOOKS)
def test_a_tune_has_one_number_in_every_format(tmp_path, suffix):
    book = tmp_path / f"two{suffix}"
    book.write_bytes(BOOKS[suffix])
    with pytest.raises(RefusedError, match="2 tunes.*FILE#1 to FILE#2") as told:
        read_piece(book)
    assert told.value.tunes == 2
    assert [read_piece(f"{book}#{n}").notes[0].pitch for n in (1, 2)] == [60, 62]
    with pytest.raises(RefusedError, match="2 tunes; expected 1 to 2") as told:
        read_piece(f"{book}#3")
    assert told.value.tunes == 0
    done = convert(book, tmp_path / "out", "abc")
    assert [each.source for each in done] == [f"{book}#1", f"{book}#2"]
    assert [read_piece(each.target).notes[0].pitch for each in done] == [60, 62]
    (done,) = convert(book, tmp_path / "one.abc")
    assert "2 tunes" in done.refusal


@pytest.mark.parametrize("suffix", [".abc", ".krn", ".mid", ".musicxml"])
def test_a_file_of_one_tune_has_no_second(tune, tmp_path, suffix):
    alone = tmp_path / f"alone{suffix}"
    if suffix == ".krn":
        alone.write_bytes(kern("c"))
    elif suffix != ".abc":
        write_piece(read_piece(tune), alone)
    alone = alone if suffix != ".abc" else tune
    assert read_piece(alone, tune=1).notes == read_piece(alone).notes
    with pytest.raises(RefusedError, match="one tune"):
        read_piece(alone, tune=2)


@pytest.mark.parametrize(
    ("name", "data", "line"),
    [
        ("err.abc", book_of("C", '"', "E"), "line 9"),
        ("err.krn", kern("c", "!", "e").replace(b"1!", b"1c\t1c"), "line 12"),
    ],
)
def test_refusals_name_the_line_of_the_file(tmp_path, name, data, line):
    (tmp_path / name).write_bytes(data)
    done = convert(tmp_path / name, tmp_path / "out", "mid")
    with pytest.raises(RefusedError, match=line) as told:
        read_piece(f"{tmp_path / name}#2")
    assert [each.refusal for each in done] == ["", str(told.value), ""]


def test_a_charset_within_a_tune_of_a_collection_is_minded_once(tmp_path):
    book = tmp_path / "book.abc"
    text = "X:1\nI:abc-charset iso-8859-1\nT:Café\nK:C\nC8|\n\nX:2\nT:Élan\nK:C\nD8|\n"
    book.write_bytes(text.encode("latin-1"))
    assert [e.piece.title for e in convert(book, tmp_path / "out", "abc")] == ["Café", "Élan"]


def test_fields_of_a_whole_collection_take_no_memory_for_each_tune(tmp_path):
    book = tmp_path / "book.abc"
    book.write_text("%%x\n" * 60_000 + "X:1\nK:C\nC8|\n" * 25_000)
    tracemalloc.start()
    done = list(itertools.islice(conversions(book, tmp_path / "out", "mid"), 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [each.target.name for each in done] == [f"book-0000{n}.mid" for n in (1, 2, 3)]
    assert peak < 20e6


# -- names that clash ------------------------------------------------------------------------------


def test_tunes_of_a_collection_and_files_of_their_names(tune, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "book.abc").write_bytes(BOOKS[".abc"])
    for name in ("Book-1.abc", "book-abc-2.abc", "other-1.abc", "other.abc"):
        (source / name).write_bytes(tune.read_bytes())
    done = convert(source, tmp_path / "out", "mid")
    assert not [each.refusal for each in done if each.refusal]
    names = ["Book-1", "book-abc-2", "book-abc-abc-1", "book-abc-abc-2", "other-1", "other"]
    assert tree(tmp_path / "out") == [f"{name}.mid" for name in names]
    assert read_piece(tmp_path / "out" / "book-abc-abc-2.mid").notes[0].pitch == 62


def test_a_file_has_a_name_that_three_files_would_share(tune, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    write_piece(read_piece(tune), source / "tune.mid")
    for name in ("tune.abc", "tune-abc.abc"):
        (source / name).write_bytes(tune.read_bytes())
    assert not any(each.refusal for each in convert(source, tmp_path / "out", "mid"))
    assert tree(tmp_path / "out") == ["tune-abc-abc.mid", "tune-abc.mid", "tune-mid.mid"]


def test_links_that_lead_nowhere_are_listed(tune, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "gone.abc").symlink_to(tmp_path / "nothing.abc")
    (source / "circle.abc").symlink_to(source / "circle.abc")
    (source / "folder").symlink_to(tmp_path)
    (source / "right.abc").symlink_to(tune)
    done = {Path(each.source).name: each for each in convert(source, tmp_path / "out", "mid")}
    assert done.keys() == {"gone.abc", "circle.abc", "folder", "right.abc"}
    assert all("no such file" in done[name].refusal for name in ("gone.abc", "circle.abc"))
    assert done["folder"].target is None
    assert tree(tmp_path / "out") == ["right.mid"]


@pytest.mark.parametrize("target", ["file/new.mid", "file/sub/new.mid", "link/new.mid"])
def test_a_file_in_the_place_of_a_folder_is_named(tune, tmp_path, target):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (done,) = convert(tune, tmp_path / target)
    assert f"{tmp_path / target.split('/')[0]} is a file" in done.refusal
    (done,) = convert(tune, tmp_path / Path(target).parent / "more", "mid")
    assert "folder" in done.refusal
    assert tree(tmp_path) == ["file", "tune.abc"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_another_program_writes_meanwhile_is_kept(tune, tmp_path, monkeypatch, links):
    target = tmp_path / "new.mid"

    def slow(piece):
        target.write_text("theirs")
        return b"ours"

    def no_links(*names):
        raise PermissionError

    monkeypatch.setitem(WRITERS, ".mid", slow)
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    (done,) = convert(tune, target)
    assert "exists" in done.refusal
    assert tree(tmp_path) == ["new.mid", "tune.abc"]
    assert target.read_text() == "theirs"


def test_a_disk_without_links_is_written_to(tune, tmp_path, monkeypatch):
    def no_links(*names):
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    assert not convert(tune, tmp_path / "new.mid")[0].refusal
    assert tree(tmp_path) == ["new.mid", "tune.abc"]


def test_a_piece_too_large_for_memory_stops_no_folder(tune, tmp_path, monkeypatch):
    source = tmp_path / "in"
    source.mkdir()
    for name in "ab":
        (source / f"{name}.abc").write_bytes(tune.read_bytes())
    (source / "c.mid").write_bytes(BOOKS[".mid"])

    def greedy(*given):
        raise MemoryError

    monkeypatch.setitem(READERS, ".abc", greedy)
    done = convert(source, tmp_path / "out", "mid")
    assert ["memory" in each.refusal for each in done] == [True, True, False, False]
    monkeypatch.setitem(WRITERS, ".wav", greedy)
    done = convert(source / "c.mid", tmp_path / "out", "wav")
    assert ["memory" in each.refusal for each in done] == [True, True]
