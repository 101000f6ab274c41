"""Humdrum kern: spines, subspines, ties, keys, metres, sections; music21 as second reader."""

import time
import warnings
from pathlib import Path

import pytest

from envs.errors import RefusedError
from envs.music.codec import Note
from envs.music.key import Key
from envs.notation.reading.readers import _document, read_piece
from envs.notation.reading.selection import Known
from envs.notation.reading.sheets import musicxml
from envs.notation.reading.sheets.kern import read_draft


def kern(*lines: str) -> bytes:
    """A file of lines, whose columns are parted by blanks and its chords by commas."""
    return "\n".join(line.replace(" ", "\t").replace(",", " ") for line in lines).encode()


def reads(*lines: str, **known):
    return read_piece(kern(*lines), ".krn", **known)


BEGIN = ("**kern", "*M4/4")
BAR = ("4c", "4d", "4e", "4f", "=2")


def test_a_melody_with_title_key_metre_tempo_and_upbeat():
    piece = reads(
        "!!!COM:\tSomeone", "!!!OTL@@DE: Lied &uuml;ber", "**kern", "*clefG2", "*k[b-]", "*F:",
        "*M3/4", "*MM90", "4c", "=1", "4f", "8g#L", "8g-J", "4cc", "=2", "8r", "8B", "2F#;", "==",
        "*-",
    )  # fmt: skip
    assert (piece.title, piece.key, str(piece.meter)) == ("Lied über", Key("F"), "3/4")
    assert (piece.tempo, piece.pickup, piece.numbers[:2]) == (90, 4, (0, 1))
    assert [n.pitch for n in piece.notes] == [60, 65, 68, 66, 72, 59, 54]
    assert [n.duration for n in piece.notes] == [4, 4, 2, 2, 4, 2, 8]


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        (("*k[]", "*a:"), "A minor"), (("*a:", "*k[]"), "A minor"),
        (("*k[f#c#]", "*e:dor"), "E dorian"), (("*k[]", "*d:"), "D minor"),
        (("*k[b-e-]", "*B-:"), "Bb major"), (("*k[f#]", "*a:aeo"), "A natural minor"),
    ],
)  # fmt: skip
def test_keys(lines, key):
    piece = reads(*BEGIN, *lines, *BAR, "*G:", *BAR, "*-")  # a key on the way is no signature
    assert (piece.key, piece.estimated, piece.notices) == (Key.parse(key), False, ())
    changed = reads(*BEGIN, *lines, *BAR, "*k[f#c#g#d#]", *BAR, "*-")
    assert "changes at bar 2" in changed.notices[0]


def test_a_signature_alone_is_no_major_key():
    piece = reads(*BEGIN, "*k[]", "4a", "4b", "4cc", "4dd", "=2", "2ee", "2a", "=3", "1a", "*-")
    assert (piece.key, piece.estimated) == (Key("A", "minor"), True)


def test_parts_from_the_right_and_other_spines_left_out():
    piece = reads(
        "**kern **text **kern **dynam", '*I"Bass * *I"Soprano *', "*M4/4 * *M4/4 *",
        "1C la 2c,2e f", ". . 2d .", "== == == ==", "*- *- *- *-", top=True,
    )  # fmt: skip
    assert piece.notes == (Note(0, 8, 64, 0), Note(8, 8, 62, 0), Note(0, 16, 48, 1))
    draft = read_draft(kern("**kern **kern", '*I"A *I"B', "4c 4d", "*- *-"), Known())
    assert [part.name for part in draft.parts] == ["B", "A"]
    with pytest.raises(RefusedError, match="--top"):
        reads(*BEGIN, "1c,1e", "*-")


def test_subspines_are_voices_and_ties_go_on_where_they_join():
    piece = reads(
        "**kern", "*M4/4", "1c", "=2", "*^", "4e 2g", "4f .", "2d [2a", "=3 =3", "*v *v", "4a]",
        "4g", "2f", "=4", "*^", "2e 1c", "2f .", "*v *v", "*-",
    )  # fmt: skip
    first, second = ([n for n in piece.notes if n.voice == voice] for voice in (0, 1))
    assert [n.pitch for n in first] == [60, 64, 65, 62, 67, 65, 64, 65]
    assert [(n.start, n.duration, n.pitch) for n in second] == [
        (16, 8, 67),
        (24, 12, 69),
        (48, 16, 60),
    ]


def test_spines_are_exchanged_added_and_ended():
    piece = reads(
        "**kern **text", "*M2/4 *", "2c a", "*x *x", "b 2d", "* *+", "* * **kern", "c 2e 2f",
        "*- *- *", "2g", "*-",
    )  # fmt: skip
    assert [(n.start, n.pitch, n.voice) for n in piece.notes] == [
        (16, 65, 0), (24, 67, 0), (0, 60, 1), (8, 62, 1), (16, 64, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("token", "quarters"),
    [
        ("4", "1"), ("4.", "3/2"), ("4..", "7/4"), ("0", "8"), ("00", "16"), ("0.", "12"),
        ("12", "1/3"), ("6", "2/3"), ("3%2", "8/3"), ("20", "1/5"), ("24.", "1/4"),
    ],
)  # fmt: skip
def test_durations(token, quarters):
    draft = read_draft(kern("**kern", f"{token}c", "4d", "*-"), Known())
    assert str(draft.parts[0].voices[0][0].end) == quarters


@pytest.mark.parametrize("token", ["16ddq", "ddqq", "8ccQ", "ccq,eeq"])
def test_grace_notes_take_no_time(token):
    assert reads(*BEGIN, *BAR[:2], token, *BAR[2:], "*-").notes == reads(*BEGIN, *BAR, "*-").notes


def test_what_is_played_once():
    sections = ("*>A", *BAR, "*>A1", "1g", "=3", "*>A2", "1a", "==", "*-")
    for expansion in (("*>[A,A1,A,A2]",), ("*>[A,A1,A,A2]", "*>norep[A,A2]")):
        piece = read_piece("\n".join(["**kern", *expansion, "*M4/4", *sections]).encode(), ".krn")
        assert [n.pitch for n in piece.notes] == [60, 62, 64, 65, 69]
        assert "left out" in piece.notices[0]
    assert len(reads(*BEGIN, *sections).notes) == 6  # names of sections say nothing of repeats


def test_many_sections_take_no_time():
    lines = [line for at in range(3000) for line in (f"*>A{at}", "1c", f"={at}")]
    begun = time.perf_counter()
    draft = read_draft(kern("**kern", "*>norep[A7]", "*M4/4", *lines, "*-"), Known())
    assert time.perf_counter() - begun < 5
    played = [measure.number for measure in draft.parts[0].measures if not measure.skipped]
    assert played == [6]  # which is behind the bar line of 6


def test_collections_are_read_by_number():
    data = kern(*BEGIN, *BAR, "*-", "**kern", "*M4/4", "1g", "*-", "")
    with pytest.raises(RefusedError, match="2 tunes"):
        read_piece(data, ".krn")
    assert read_piece(data, ".krn", tune=2).notes == (Note(0, 16, 67),)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("**text", "la", "*-"), "kern"),
        (("**kern **kern", "4c", "*- *-"), "1 columns; expected 2"),
        (("**kern", "c", "*-"), "no duration"),
        (("**kern", "4", "*-"), "no note"),
        (("**kern", "4ccccccccc", "*-"), "beyond"),
        (("**kern **kern", "4c 2d", "4e 4f", "*- *-"), "do not begin together"),
        (("**kern", "*M4/5", "4c", "*-"), "metre"),
        (("**kern", "*M4/4", *BAR, "*M3/4", "2.c", "*-"), "bar 2"),
        (("**kern", "*M4/4", "4r", "*-"), "no notes"),
        (("**kern", "*M4/4", "*Trd1c2", *BAR, "*-"), "line 3.*concert"),
    ],
)
def test_what_is_refused(lines, told):
    with pytest.raises(RefusedError, match=told):
        reads(*lines)


@pytest.mark.parametrize(
    "name", ["bach/bwv277.krn", "chopin/mazurka06-2.krn", "palestrina/Agnus_II_64.krn"]
)
def test_another_reader_finds_the_same_notes(name):
    from music21 import converter, corpus

    path = Path(corpus.getWork(name))
    ours = read_draft(path.read_bytes(), Known())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = converter.parseData(path.read_text("latin-1"), format="humdrum")
        theirs = musicxml.read_draft(_document(stream), Known())
    assert len(ours.parts) == len(theirs.parts)
    for one, other in zip(ours.parts, theirs.parts, strict=True):
        sounds = [sorted({s for voice in part.voices for s in voice}) for part in (one, other)]
        assert sounds[0] == sounds[1]
        assert one.meters == other.meters
