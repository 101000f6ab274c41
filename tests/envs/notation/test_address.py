"""Addresses: a file, a tune of it and bars, in one text; an existing file goes before."""

from pathlib import Path

import pytest

from envs.errors import RefusedError
from envs.notation.address import Address, parse_address
from envs.notation.reading.readers import READERS, read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.midi import midi_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("theme.abc", Address(Path("theme.abc"))),
        ("theme.abc#7", Address(Path("theme.abc"), 7)),
        ("theme.abc:1-32", Address(Path("theme.abc"), None, ((1, 32),))),
        ("theme.abc:0", Address(Path("theme.abc"), None, ((0, 0),))),
        ("a b/theme.abc#12:3-4", Address(Path("a b/theme.abc"), 12, ((3, 4),))),
        ("a#1/b:2/theme.abc#3:4", Address(Path("a#1/b:2/theme.abc"), 3, ((4, 4),))),
        ("my.tunes:2/theme.abc", Address(Path("my.tunes:2/theme.abc"))),
        ("#7", Address(Path("#7"))),
        (":1-2", Address(Path(":1-2"))),
    ],
)
def test_what_a_text_names(text, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    ["a.abc:", "a.abc:x", "a.abc#x", "a.abc:1-", "a.abc:2-1", "a.abc:1-99999", "a.abc#1:2#3"],
)
def test_what_names_nothing_is_refused(text):
    with pytest.raises(ValueError, match="expected such as"):
        parse_address(text)


def test_lists_of_bars():
    address = parse_address("a:b.abc:1-2,5", bars=True)
    assert (str(address.path), address.numbers) == ("a:b.abc", {1, 2, 5})
    assert parse_address("book.abc#7:3,1", bars=True) == Address(
        Path("book.abc"), 7, ((3, 3), (1, 1))
    )
    for bad in ("theme.abc", "theme.abc:", ":1", "t.abc:2-1", "t.abc:x", "t.abc:1-99999", "t#1"):
        with pytest.raises(ValueError, match="expected a file and bars|are none"):
            parse_address(bad, bars=True)
    with pytest.raises(ValueError, match="one, such as"):
        address.bars  # noqa: B018


def test_an_existing_file_goes_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("t.abc#2:1-4", "u#3", "v.abc"):
        Path(name).touch()
    assert parse_address("t.abc#2:1-4") == Address(Path("t.abc#2:1-4"))
    assert parse_address("t.abc#2:1-4:2") == Address(Path("t.abc#2:1-4"), None, ((2, 2),))
    assert parse_address("u#3:1", bars=True) == Address(Path("u#3"), None, ((1, 1),))
    assert parse_address("v.abc#3") == Address(Path("v.abc"), 3)
    for odd in ("v\0", "v" * 5000):
        assert parse_address(odd) == Address(Path(odd))


@pytest.fixture
def tune(tmp_path):
    """Four bars; the pitch tells the bar."""
    path = tmp_path / "tune.mid"
    path.write_bytes(midi_bytes(score_from_text("C4:16 D4:16 E4:16 F4:16", key="C major"), 0))
    return path


def test_a_piece_is_read_from_an_address(tune):
    def pitches(source, **known):
        return [note.pitch for note in read_piece(source, **known).notes]

    assert pitches(f"{tune}:2-3") == pitches(Path(f"{tune}:2-3")) == [62, 64]
    assert pitches(f"{tune}#1:4") == pitches(tune, tune=1, bars=(4, 4)) == [65]
    assert read_piece(f"{tune}:2-3").source == f"{tune}:2-3"
    assert read_piece(f"{tune}:2-3").numbers == (2, 3)


@pytest.mark.parametrize(
    ("more", "known", "error", "word"),
    [
        ("#2", {}, RefusedError, "holds one tune"),
        (":3-9", {}, RefusedError, "1 to 4"),
        (":1,3", {}, ValueError, "ranges"),
        (":1-2", {"bars": (1, 2)}, ValueError, "leave one out"),
        ("#1", {"tune": 1}, ValueError, "leave one out"),
        ("", {"part": 3}, RefusedError, "parts"),
        ("", {"voice": 2}, RefusedError, "voice"),
        ("", {"bars": 3}, TypeError, "first and last"),
        ("", {"bars": (3, 2)}, ValueError, "first"),
        ("", {"part": "2"}, TypeError, "part"),
        ("", {"part": 0}, ValueError, "part"),
    ],
)
def test_what_is_not_in_the_file_is_refused(tune, more, known, error, word):
    with pytest.raises(error, match=word):
        read_piece(f"{tune}{more}", **known)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("song.mscz", "MuseScore.*MusicXML"),
        ("song.MSCX", "MuseScore"),
        ("song.gp", "Guitar Pro"),
        ("song.gp5", "Guitar Pro"),
        ("song.ly", "MIDI"),
        ("song.sib", "Sibelius"),
        ("song.musx", "Finale"),
        ("song.pdf", "picture"),
        ("song.xyz", "expected .mid"),
    ],
)
def test_files_of_other_programs_get_advice(name, advice, monkeypatch):
    with pytest.raises(ValueError, match=advice):
        read_piece(name)
    monkeypatch.setitem(READERS, Path(name).suffix.lower(), READERS[".mid"])
    with pytest.raises(RefusedError, match="no such file"):
        read_piece(name)
