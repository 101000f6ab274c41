"""Packs: what they hold exists, and none of them pays for a piece that is no music."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from pretrained.corpora.folk import load_corpus
from pretrained.corpora.pieces import scores
from rewards.build import build, pack_names

STYLES = ("common_practice", "folk_dance", "pentatonic")
TASK = Task(bars=8)


def cells(*pitches):
    """Quarter notes up to the end of eight bars."""
    return np.resize(np.array([[TASK.codec.token(p), 1, 1, 1] for p in pitches]).ravel(), 128)


UP = (60, 62, 64, 65, 67, 69, 71, 72)
PANEL = {
    "all rest": np.zeros(128, int),
    "all hold": np.ones(128, int),
    "one note held": np.array([26] + [1] * 127),
    "one note repeated": cells(72),
    "a bare scale": cells(*UP, *UP[::-1]),
    "a trill": np.tile([26, 1, 28, 1], 32),
    "an arpeggio": cells(60, 64, 67, 72),
    "one bar eight times": np.tile([26, 1, 30, 1, 33, 1, 30, 1, 31, 1, 28, 1, 26, 1, 1, 1], 8),
    "even noise": np.where(
        np.random.default_rng(0).random(128) < 0.3, np.random.default_rng(1).integers(2, 38, 128), 1
    ),
}


@pytest.fixture(scope="module")
def tunes():
    """Real tunes of 8 or 16 bars of 4/4 or 2/2 that begin on the bar."""
    found = scores(tune for tune in load_corpus().tunes if tune.meter in ((4, 4), (2, 2)))
    return [s for s in found if s.task.bars in (8, 16) and not s.task.pickup]


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("piece", PANEL)
def test_real_tunes_are_worth_more_than_what_is_no_music(tunes, name, piece):
    pack = build(name)
    worth = float(pack(Score(PANEL[piece][None, None], TASK)).sum())
    real = np.concatenate([pack(s).sum(axis=(1, 2)) * 8 / s.task.bars for s in tunes])
    assert len(real) > 100
    assert (real > worth).mean() > 0.95
    assert np.median(real) > worth + 3


# -- held-out tunes and pieces of the same task ----------------------------------------------------


def degenerate(task):
    """Pieces that are no music, by name: tokens (T,) of the task."""
    tonic, beat = task.tonic_pitch, task.beat_cells
    scale = [tonic + step for step in (*task.key.steps, 12)]
    rng = np.random.default_rng(0)

    def line(pitches, size):
        notes = [[task.codec.token(pitch)] + [1] * (size - 1) for pitch in pitches]
        return np.resize(np.concatenate(notes), task.cells)

    found = {
        "all rest": np.zeros(task.cells, int),
        "all hold": np.ones(task.cells, int),
        "one note held": np.array([task.codec.token(tonic)] + [1] * (task.cells - 1)),
    }
    for size in (1, 2, beat):
        found |= {
            f"one note, each of {size}": line([tonic], size),
            f"a bare scale, each of {size}": line([*scale, *scale[::-1]], size),
            f"a trill, each of {size}": line([scale[1], scale[0]], size),
        }
    return found | {
        f"random tokens {n}": rng.integers(0, task.codec.vocab, task.cells) for n in range(3)
    }


@pytest.fixture(scope="module")
def above():
    """Kind of piece -> for each task with ten or more held-out tunes, how many are worth more."""
    corpus = load_corpus()
    held_out = scores([*corpus.select("valid"), *corpus.select("test")])
    pack, found = build("common_practice"), {}
    for score in [score for score in held_out if score.batch >= 10]:
        pieces = degenerate(score.task)
        real = pack(score).sum(axis=(1, 2))
        worth = pack(Score(np.stack(list(pieces.values()))[:, None], score.task)).sum(axis=(1, 2))
        for name, value in zip(pieces, worth, strict=True):
            name = name.replace(f"of {score.task.beat_cells}", "of a beat")
            found.setdefault(name, []).append(real > value)
    return found


@pytest.mark.parametrize(
    "kind", ["all rest", "all hold", "one note", "a bare scale", "a trill", "random tokens"]
)
def test_held_out_tunes_are_worth_more_than_what_is_no_music_on_their_task(above, kind):
    pieces = [name for name in above if name.startswith(kind)]
    assert pieces
    for name in pieces:
        tasks = above[name]
        assert sum(len(worth_more) for worth_more in tasks) >= 30
        assert np.concatenate(tasks).mean() > 0.95, name
        for worth_more in tasks:  # on no task more than one tune in ten is worth less
            assert worth_more.mean() >= 0.9, name


def test_a_pack_can_be_told_of_every_key_and_metre():
    for name in pack_names():
        pack = build(name)
        for task in (Task(key="F# dorian", meter="7/8", bars=3), Task(key="D blues", grid=12)):
            pack.prepare(task)
