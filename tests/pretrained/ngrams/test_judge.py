"""The judge: reading Essen, the cache, and what it thinks of music and of noise."""

import os

import numpy as np
import pytest

from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora import split
from pretrained.corpora.folk import collection_files, load_corpus, split_tunes
from pretrained.corpora.tunes import read_tune
from pretrained.ngrams import judge as judging
from pretrained.ngrams.judge import Judge, count_songs, load_judge, shift_to_songs, with_its_mode
from pretrained.ngrams.model import NGram
from pretrained.prior import Scorer
from tests.helpers import random_pieces

OUTSIDE = Codec().vocab + 1


@pytest.fixture(scope="module")
def songs():
    """The songs of four small files."""
    files = {path.stem for path in collection_files(judging.COLLECTION)}
    few = {"irl", "erk5", "variant0", "folkHaydn"}
    return judging.essen_songs(left_out=tuple(files - few))


@pytest.fixture(scope="module")
def table(songs):
    return count_songs(songs)


@pytest.fixture(scope="module")
def whole(request, tmp_path_factory):
    """The judge as users get it, counted once and kept in pytest's cache folder."""
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(request.config.cache.mkdir("judge")))
    found = load_judge()
    yield found
    patch.undo()


@pytest.fixture
def cache(tmp_path, monkeypatch, songs):
    """An empty cache folder, and a judge that is counted from few songs."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    counted = []

    def few():
        counted.append(1)
        return songs

    monkeypatch.setattr(judging, "essen_songs", few)
    judging._cached_table.cache_clear()
    yield counted
    judging._cached_table.cache_clear()


# -- the model -------------------------------------------------------------------------------------


def slow_chances(order, vocab, pieces, context):
    """(vocab,) next-token probabilities after a context of at most n - 1 tokens, by counting."""
    if context is None:
        return np.full(vocab, 1 / vocab)
    shorter = slow_chances(order, vocab, pieces, context[1:] if context else None)
    count = np.zeros(vocab)
    for piece in pieces:
        padded = [vocab] * (order - 1) + piece
        for end in range(order - 1, len(padded)):
            if tuple(padded[end - len(context) : end]) == context:
                count[padded[end]] += 1
    kinds = (count > 0).sum()
    return (count + kinds * shorter) / (count.sum() + kinds) if kinds else shorter


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_a_model_gives_what_counting_gives(order):
    rng = np.random.default_rng(order)
    pieces = rng.choice(6, (6, 30), p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]).tolist()
    model = NGram.of(order, 7, pieces)  # token 6 is never seen
    new = rng.integers(0, 7, (3, 15))
    nats, best = model.log_prob(new), model.best(new)
    for row, piece in enumerate(new.tolist()):
        padded = [7] * (order - 1) + piece
        for at, token in enumerate(piece):
            chances = slow_chances(order, 7, pieces, tuple(padded[at : at + order - 1]))
            assert chances.sum() == pytest.approx(1)
            assert nats[row, at] == pytest.approx(np.log(chances[token]), rel=1e-12)
            assert best[row, at] == chances.argmax()


def test_a_token_outside_the_vocabulary_gets_the_floor_and_is_no_context():
    model = NGram.of(3, 4, [[0, 1, 0, 1, 2]])
    outside, unseen = model.log_prob(np.array([[0, 5], [0, 3]]))
    np.testing.assert_allclose(outside, unseen)
    after = model.log_prob(np.array([[0, 5, 1]]))[0, 2]
    np.testing.assert_allclose(after, np.log(slow_chances(3, 4, [[0, 1, 0, 1, 2]], ())[1]))


def test_tables_that_are_none():
    good = np.array([1, 5], np.int64)
    ones = np.ones(2, np.int64)
    NGram(2, 3, good, ones)
    for grams, counts in (
        (good[::-1], ones),
        (good, ones[:1]),
        (good, ones - 1),
        (good + 21, ones),
        (good - 2, ones),
        (good[:0], ones[:0]),
        (good.astype(np.int32), ones),
        (good[None], ones[None]),
    ):
        with pytest.raises(ValueError, match="grams"):
            NGram(2, 3, grams, counts)
    with pytest.raises(ValueError, match="64 bits"):
        NGram(12, 38, good, ones)


# -- reading the songs ----------------------------------------------------------------------------

SONG = "X:1\nT:Test\nM:4/4\nL:1/16\nK:{key}\n{music}\n"
MINOR = "G4A4_B4c4|d4_B4G4^F4|G4_B4d4_B4|A4^F4G8"


def classes(tokens):
    return set(((tokens[tokens > 1] - 2) % 12).tolist())


def test_a_song_called_major_is_minor_by_its_third():
    tune = read_tune(SONG.format(key="G", music=MINOR))
    tokens = with_its_mode(tune).tokens
    assert classes(tokens) == {9, 11, 0, 2, 4, 8}  # A minor with its leading note
    assert (tokens[tune.tokens <= 1] == tune.tokens[tune.tokens <= 1]).all()
    assert abs(tokens[tokens > 1].mean() + 46 - 66) <= 6
    major = read_tune(SONG.format(key="G", music=MINOR.replace("_", "")))
    assert with_its_mode(major) is major
    said = read_tune(SONG.format(key="Gm", music=MINOR.replace("_", "")))
    assert with_its_mode(said) is said


def test_a_song_without_16ths_counts_at_double_pace_too():
    slow = np.array([14, 1, 16, 1, 18, 1, 1, 1], np.int16)
    fast = np.array([14, 16, 1, 18, 1, 1, 20, 1], np.int16)
    assert count_songs([slow]).counts.sum() == 8 + 4
    assert count_songs([fast]).counts.sum() == 8


def test_songs_are_grammatical_and_not_in_the_priors_corpus(songs):
    assert len(songs) > 90
    for tokens in songs:
        assert tokens.dtype == np.int16
        assert tokens.min() >= 0
        assert tokens.max() < Codec().vocab
        assert tokens[0] != 1
    known = [tune.tokens for tune in load_corpus().tunes]
    pairs = split.near_duplicate_pairs([*known, *songs])
    assert not [j for i, j in pairs if i < len(known) <= j]
    # Some of the Irish tunes are in O'Neill as well.
    path = next(p for p in collection_files(judging.COLLECTION) if p.stem == "irl")
    irish = judging.essen_songs(
        tuple(p.stem for p in collection_files(judging.COLLECTION) if p.stem != "irl")
    )
    assert 50 < len(irish) < len(split_tunes(path.read_text("utf-8")))


def test_songs_from_china_and_samples_of_the_world_are_left_out(monkeypatch):
    read = []
    monkeypatch.setattr(judging, "split_tunes", lambda text: read.append(text) or [])
    judging.essen_songs()
    assert len(read) == 25
    assert not any("China" in text or "Asien" in text for text in read)


def test_a_music21_without_corpus_is_told(monkeypatch):
    monkeypatch.setattr(judging, "collection_files", lambda name: [])
    with pytest.raises(FileNotFoundError, match="music21"):
        judging.essen_songs()


# -- the cache ------------------------------------------------------------------------------------


def score_of(judge):
    return judge.log_prob(random_pieces(Task(), 5))


def test_it_is_counted_once_and_read_after_that(cache, monkeypatch):
    first = score_of(load_judge())
    file = judging.cache_file()
    assert file.is_file()
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    judging._cached_table.cache_clear()
    np.testing.assert_array_equal(score_of(load_judge()), first)
    assert len(cache) == 1
    with np.load(file, allow_pickle=False) as stored:
        assert all(stored[name].dtype != object for name in stored.files)


def npy_instead(file):
    with file.open("wb") as out:
        np.save(out, np.zeros(3))


def other_version(file):
    with np.load(file) as stored:
        arrays = dict(stored)
    np.savez(file, **{**arrays, "made": np.array("judge-0")})


class Trap:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def pickled(file):
    trap = np.array([Trap()], dtype=object)
    np.savez(file, made=np.array(file.stem), grams=trap, counts=trap)


def flipped(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"not a cache"),
        lambda file: file.write_bytes(file.read_bytes()[:-100]),
        lambda file: np.savez(file, tokens=np.zeros(3)),
        npy_instead,
        other_version,
        pickled,
        flipped,
    ],
    ids=["empty", "text", "cut", "foreign", "npy", "version", "pickled", "flipped"],
)
def test_a_damaged_or_foreign_cache_is_counted_anew(cache, damage):
    first = score_of(load_judge())
    file = judging.cache_file()
    damage(file)
    judging._cached_table.cache_clear()
    np.testing.assert_array_equal(score_of(load_judge()), first)
    assert len(cache) == 2
    judging._cached_table.cache_clear()
    load_judge()
    assert len(cache) == 2  # the file is whole again


def test_it_works_where_nothing_can_be_written(cache, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="XDG_CACHE_HOME"):
        judge = load_judge()
    assert np.isfinite(score_of(judge)).all()


def test_the_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for folder in ("", "relative/path"):  # XDG has relative ones ignored
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
        assert judging.cache_file().parent == tmp_path / ".cache" / "composition-gym"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert judging.cache_file().parent == tmp_path / "x" / "composition-gym"


def test_nothing_of_the_songs_ships():
    here = os.path.dirname(judging.__file__)
    names = {name for _, _, files in os.walk(here) for name in files}
    assert not any("essen" in name or name.startswith("judge-") for name in names)


# -- judging --------------------------------------------------------------------------------------


def test_the_protocol_is_kept(table):
    judge = Judge(table, Codec())
    assert isinstance(judge, Scorer)
    task = Task(voices=2, bars=1)
    score = random_pieces(task, 4)
    nats = judge.log_prob(score)
    assert nats.shape == (4, 2, 16)
    assert nats.dtype == np.float32
    assert (nats < 0).all()
    alone = Score(score.tokens[:, 1:], Task(bars=1))
    np.testing.assert_array_equal(judge.log_prob(alone)[:, 0], nats[:, 1])
    expected = table.log_prob(alone.tokens[:, 0].astype(np.int64))
    np.testing.assert_allclose(nats[:, 1], expected, rtol=1e-6)
    assert judge.per_note(score) == pytest.approx(nats.sum() / score.onset.sum(), rel=1e-5)


def test_silence_has_no_notes_and_no_division_by_zero(table):
    assert Judge(table, Codec()).per_note(Score(np.zeros((2, 1, 32), int), Task())) < 0


@pytest.mark.parametrize(
    ("task", "shift"),
    [
        (Task(), 0),
        (Task(key="A minor"), 0),
        (Task(key="D dorian"), 0),
        (Task(key="D"), -2),
        (Task(key="C minor"), -3),
        (Task(key="F#"), 6),
        (Task(low="C2", high="B4"), 12),
        (Task(low="C2", high="C7"), 0),
        (Task(low="C5", high="B6"), -12),
    ],
)
def test_pieces_are_moved_to_where_the_songs_lie(table, task, shift):
    assert shift_to_songs(task) in (shift, shift - 12 if shift == 6 else shift)
    shift = shift_to_songs(task)
    score = random_pieces(task, 6, seed=1)
    pitch = score.tokens[:, 0] - 2 + task.codec.low + shift
    inside = (pitch >= 48) & (pitch <= 83)
    moved = np.where(inside, pitch - 46, OUTSIDE)
    moved = np.where(score.tokens[:, 0] >= 2, moved, score.tokens[:, 0])
    nats = Judge(table, task.codec).log_prob(score)[:, 0]
    np.testing.assert_allclose(nats, table.log_prob(moved), rtol=1e-6)
    assert np.isfinite(nats).all()


def test_bad_input(table):
    judge = Judge(table, Codec())
    with pytest.raises(ValueError, match=r"load_judge\(task\.codec\)"):
        judge.log_prob(random_pieces(Task(low="C2"), 1))
    with pytest.raises(ValueError, match="finished"):
        judge.log_prob(Score.page(Task(), 1))
    with pytest.raises(ValueError, match="3 cells"):
        load_judge(Codec(grid=3))
    with pytest.raises(ValueError, match="grid=4"):
        Judge(table, Codec(grid=8))


def test_music_is_likelier_than_noise_and_a_worn_note_is_no_proof(whole):
    cuts = [
        tune.tokens[-tune.offset % 16 :][:32]
        for tune in load_corpus().select("test")
        if tune.bar_cells == 16
    ]
    tunes = [cut for cut in cuts if len(cut) == 32 and cut[0] != 1]
    assert len(tunes) > 50
    folk = Score(np.stack(tunes)[:, None], Task())
    uniform = np.random.default_rng(0).integers(2, 38, (100, 1, 32))
    noise, even = random_pieces(Task(), 100), Score(uniform, Task())
    assert -4 < whole.per_note(folk) < -2.8
    assert whole.per_note(noise) < -15
    assert whole.per_note(even) < -10
    assert -1.8 < whole.log_prob(folk).mean() < -1.2
    held = Score(np.array([[[14] + [1] * 31]]), Task())
    assert whole.log_prob(held).mean() > -0.5  # a hold is likely: nats per token praise it
    assert whole.per_note(held) < -5  # nats per note do not


def test_ten_thousand_pieces_are_judged_at_once(whole):
    nats = whole.log_prob(random_pieces(Task(), 10_000))
    assert nats.shape == (10_000, 1, 32)
    assert np.isfinite(nats).all()


def test_the_shipped_table_is_that_of_the_songs(whole):
    assert (whole.table.order, whole.table.vocab) == (judging.ORDER, Codec().vocab)
    assert 1_700_000 < whole.table.counts.sum() < 1_850_000
