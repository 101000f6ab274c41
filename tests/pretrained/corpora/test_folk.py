"""The corpus: hand-written tunes, real tunes against music21's own reading, and the cache."""

from __future__ import annotations

import re
from collections import defaultdict
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from pretrained.corpora import folk as corpus
from pretrained.corpora import split
from pretrained.corpora import tunes as abc_reader

HEADER = "X:1\nT:Test\nM:{meter}\nL:1/8\nK:{key}\n"
# Token of each note name with the octave of the tune below: C4 is MIDI 60, token 14.
R, H = 0, 1
C4, D4, E4, F4, G4, A4, B4, C5, D5, E5, F5, G5 = 14, 16, 18, 19, 21, 23, 25, 26, 28, 30, 31, 33


def read(music: str, meter: str = "4/4", key: str = "C") -> abc_reader.GridTune:
    return abc_reader.read_tune(HEADER.format(meter=meter, key=key) + music + "\n")


def grid(*notes: tuple[int, int]) -> list[int]:
    """Tokens of (onset token, cells) pairs."""
    return [cell for token, cells in notes for cell in [token] + [H] * (cells - 1)]


def test_pickup_is_placed_at_the_end_of_its_bar() -> None:
    tune = read("G|CDEF GABc|c4 G3:|G|cBAG F2E2|C6 z:|")
    assert tune.tokens.tolist() == grid(
        (G4, 2), (C4, 2), (D4, 2), (E4, 2), (F4, 2), (G4, 2), (A4, 2), (B4, 2), (C5, 2),
        (C5, 8), (G4, 6), (G4, 2), (C5, 2), (B4, 2), (A4, 2), (G4, 2), (F4, 4), (E4, 4),
        (C4, 12), (R, 2),
    )  # fmt: skip
    # The short bar before the repeat sign and the pickup after it make one bar together.
    assert tune.position.tolist() == [14, 15, *range(16), *range(16), *range(16), *range(14)]


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        # 3 notes in 4 cells lie at 0, 4/3 and 8/3.
        ("(3CDE FG ABcd", [C4, D4, H, E4, F4, H, G4, H, A4, H, B4, H, C5, H, D5, H]),
        # A tuplet under a slur, with a grace note inside.
        ("(3(C{g}DE) FG ABcd", [C4, D4, H, E4, F4, H, G4, H, A4, H, B4, H, C5, H, D5, H]),
        ("C>D E<F GABc", [C4, H, H, D4, E4, F4, H, H, G4, H, A4, H, B4, H, C5, H]),
        # The dot of staccato, a bowing mark and a slur do not hide a broken rhythm.
        ("C>.D (E<)uF GABc", [C4, H, H, D4, E4, F4, H, H, G4, H, A4, H, B4, H, C5, H]),
        # A tie joins equal pitches; between different ones the sign is a slur.
        ("C-C D-E FGAB", [C4, H, H, H, D4, H, E4, H, F4, H, G4, H, A4, H, B4, H]),
        # The top note of a chord, as long as the chord.
        ("[CE]2 [Gc]D EFGA", [E4, H, H, H, C5, H, D4, H, E4, H, F4, H, G4, H, A4, H]),
        # Two rests are one; nothing can be held before the first note.
        ("z2 C z z/z/ DEF", [R, R, R, R, C4, H, R, H, H, H, D4, H, E4, H, F4, H]),
        # An ornament that shares a cell with a note on the grid is lost.
        ("C/4D/4E/4F/4 G ABc dcB", None),
    ],
)
def test_bar_by_hand(music: str, expected: list[int] | None) -> None:
    tune = read(f"{music}|CDEF GABc|cBAG FEDC|")
    if expected is None:
        expected = [C4, E4, G4, H, A4, H, B4, H, C5, H, D5, H, C5, H, B4, H]
    assert tune.tokens[:16].tolist() == expected
    assert len(tune.tokens) == 48


def test_key_signature_and_accidentals() -> None:
    # D major down a tone to C; the sharp on g lasts to the bar line, the natural on f too.
    tune = read("DEFG ABcd|^gg=ff fedc|fg a2 A4|", key="D")
    names = [C4, D4, E4, F4, G4, A4, B4, C5]
    second = [F5 + 1, F5 + 1, E5 - 1, E5 - 1, E5 - 1, D5, C5, B4]
    third = [E5, F5, G5, G4]
    assert tune.tokens[tune.tokens > 1].tolist() == names + second + third
    assert tune.tonic == 0


@pytest.mark.parametrize(
    ("key", "tonic"),
    [("G", 0), ("E Minor", 9), ("Am", 9), ("Ador", 2), ("A Mixolydian", 7), ("Hp", 7), ("Glyd", 5)],
)
def test_every_mode_loses_its_signature(key: str, tonic: int) -> None:
    tune = read("GABc defg|gfed cBAG|", key=key)
    classes = (tune.tokens[tune.tokens > 1] + 46) % 12
    assert tune.tonic == tonic
    assert set(classes.tolist()) == {0, 2, 4, 5, 7, 9, 11}


def test_accidental_of_a_tied_note_crosses_the_bar_line() -> None:
    tune = read("CDEF GA^f2-|f2 fe dcBA|")
    onsets = tune.tokens[tune.tokens > 1].tolist()
    assert onsets[6:8] == [F5 + 1, F5]


def test_note_before_a_double_repeat_is_not_taken_for_a_field() -> None:
    tune = read("CDEF GABD::CDEF GABc:|")
    assert tune.tokens[tune.tokens > 1].tolist()[7] == D4
    assert len(tune.tokens) == 32


def test_second_ending_begins_where_the_first_did() -> None:
    tune = read("G|CDEF GABc|c4 [1 G3:|[2 c4||G2|CDEF GABc|cBAG FEDC|")
    position = tune.position.tolist()
    assert position[2 + 16 : 2 + 16 + 14 + 8] == [*range(14), *range(8, 16)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("X:1\nL:1/8\nK:C\nCDEF GABc|\n", "metre"),
        ("X:1\nM:4/4\nL:1/8\nCDEF GABc|\n", "key"),
        (HEADER.format(meter="4/4", key="C") + "CDEF GABc|\nM:3/4\nCDEFGA|\n", "changes"),
        (HEADER.format(meter="4/4", key="C") + "CDEFG|ABc|CDE|FGABc|\n", "bars"),
        (HEADER.format(meter="4/4", key="C") + "C,,DEF GABc'|\n", "range"),
        (HEADER.format(meter="4/4", key="C") + "C/3D/3E/3 FGA Bcde|\n" * 3, "16th"),
        (HEADER.format(meter="4/4", key="C") + "C8|\n", "8 notes"),
    ],
)
def test_unusable_tunes_say_why(text: str, reason: str) -> None:
    with pytest.raises(abc_reader.TuneError, match=reason):
        abc_reader.read_tune(text)


REAL_TUNES = [
    ("airdsAirs", "book1.abc", 0),
    ("airdsAirs", "book1.abc", 2),
    ("airdsAirs", "book3.abc", 22),
    ("oneills1850", "1476-1555.abc", 10),
    ("oneills1850", "1001-1031.abc", 3),
    ("ryansMammoth", "AcaciaReel.abc", 0),
    ("ryansMammoth", "AlbemarleHornpipe.abc", 0),
    ("miscFolk", "northumbrianminstrelsyopus.abc", 1),
]


@pytest.mark.parametrize(("collection", "file", "number"), REAL_TUNES)
def test_real_tune_as_music21_reads_it(collection: str, file: str, number: int) -> None:
    """Pitches and onsets of music21's full converter, an independent path from text to notes."""
    converter = pytest.importorskip("music21.converter")
    path = next(p for p in corpus.collection_files(collection) if p.name == file)
    text = corpus.split_tunes(path.read_text("utf-8"))[number]
    score = converter.parse("%abc-2.1\n" + text, format="abc").flatten().stripTies()
    notes = [note for note in score.notes if not note.duration.isGrace]
    expected = [(4 * Fraction(note.offset), note.pitches[-1].midi) for note in notes]

    bars = abc_reader.read_bars(abc_reader.clean_tune(text))
    got = []
    start = Fraction(0)
    for bar in bars:
        got += [(start + e.onset, e.midi) for e in bar.events if e.midi is not None]
        start += bar.length
    assert len(got) > 20
    assert got == expected

    tune = abc_reader.read_tune(text)
    # Only notes off the grid may move or go.
    shifts = {int(tune.tokens[int(at)]) + 46 - p for at, p in expected if at.denominator == 1}
    signature = score.recurse().getElementsByClass("KeySignature").first().sharps
    assert len(shifts) == 1
    assert (shifts.pop() + 7 * signature) % 12 == 0


def melody(seed: int, length: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(10, 30, length).astype(np.int16)


def test_transposed_copy_with_another_ending_is_a_near_duplicate() -> None:
    tune = melody(1)
    copy = np.concatenate([tune[:40] + 3, melody(2, 20)])
    held = np.insert(tune, np.arange(1, len(tune)), H)  # other durations, same melody
    assert split.clusters([tune, melody(3), copy, melody(4), held]) == [0, 1, 0, 2, 0]


def test_near_duplicates_chain_into_one_cluster() -> None:
    first, second = melody(1, 80), melody(2, 80)
    bridge = np.concatenate([first[:50], second[:50]])
    assert split.clusters([first, second]) == [0, 1]
    assert split.clusters([first, second, bridge]) == [0, 0, 0]


def test_tunes_shorter_than_a_gram_are_compared_whole() -> None:
    tune = melody(1, 9)
    other = tune.copy()
    other[-1] += 1
    assert split.clusters([tune, tune + 2, other]) == [0, 0, 1]


def test_split_is_deterministic_by_cluster_and_sized() -> None:
    cluster = [i // 2 for i in range(400)]
    names = [f"tune {i}" for i in range(400)]
    parts = split.split_clusters(cluster, names)
    assert parts == split.split_clusters(cluster, names)
    assert parts != split.split_clusters(cluster, names, seed=1)
    assert parts[::2] == parts[1::2]
    assert (parts.count("test"), parts.count("valid")) == (20, 20)


def test_split_hardly_moves_when_a_tune_is_dropped() -> None:
    names = [f"tune {i}" for i in range(400)]
    before = split.split_clusters(range(400), names)
    after = split.split_clusters(range(399), names[1:])
    assert sum(a != b for a, b in zip(before[1:], after, strict=True)) <= 3


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
    fresh = abc_reader.read_tune(corpus.split_tunes(path.read_text("utf-8"))[0])
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
    with pytest.raises(ValueError, match="name"):
        split.split_clusters([0, 1], ["a"])


@pytest.mark.parametrize(
    ("meter", "bar", "beat"),
    [((6, 8), 12, 6), ((9, 8), 18, 6), ((12, 8), 24, 6), ((4, 4), 16, 4), ((2, 2), 16, 8),
     ((3, 2), 24, 8), ((3, 8), 6, 2), ((6, 4), 24, 4), ((5, 8), 10, 2)],
)  # fmt: skip
def test_beats(meter: tuple[int, int], bar: int, beat: int) -> None:
    empty = np.zeros(0, dtype=np.int16)
    tune = corpus.Tune(empty, empty, meter, 0, "", "airdsAirs", "train", 0)
    assert (tune.bar_cells, tune.beat_cells) == (bar, beat)


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


def test_parsing_anew_gives_the_tunes_that_ship(few, shipped: corpus.Corpus) -> None:
    known = {(t.collection, t.title, t.tokens.tobytes(), t.position.tobytes(), t.meter, t.tonic)
             for t in shipped.tunes}  # fmt: skip
    assert len(few.tunes) > 60
    assert {t.collection for t in few.tunes} == corpus.COLLECTIONS.keys()
    for tune in few.tunes:
        position = tune.position.astype(np.int16).tobytes()
        key = (tune.collection, tune.title, tune.tokens.astype(np.int16).tobytes())
        assert (*key, position, tune.meter, tune.tonic) in known
    for name, counts in few.report.items():
        dropped = sum(count for reason, count in counts.items() if reason.startswith("dropped"))
        assert counts["kept"] + dropped == counts["tunes"] == 25
        assert counts["kept"] == sum(tune.collection == name for tune in few.tunes)
        assert few.credits[name].keys() == {"transcribers", "books"}
    assert any(few.credits[name]["books"] for name in few.credits)


def test_the_command_rewrites_the_cache_and_counts(few, monkeypatch, tmp_path, capsys) -> None:
    cache = tmp_path / "data" / "folk.npz"
    monkeypatch.setattr(corpus, "CACHE", cache)
    monkeypatch.setattr(corpus, "parse_corpus", lambda: few)
    corpus.main()
    said = capsys.readouterr().out
    assert len(corpus.load_corpus(cache).tunes) == len(few.tunes)
    total = said.split("\nall\n")[1]
    assert int(re.search(r"kept +(\d+)", total)[1]) == len(few.tunes)
    assert int(re.search(r"tunes +(\d+)", total)[1]) == 100
    parts = [int(re.search(rf"{part} +(\d+)", total)[1]) for part in ("train", "valid", "test")]
    assert sum(parts) == len(few.tunes)
    assert "folk.npz: " in said
