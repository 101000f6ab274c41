"""Conversions: every pair of formats, collections and folders; nothing overwritten or left half."""

import errno
import itertools
import os

import pytest

from envs import durable_files
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
