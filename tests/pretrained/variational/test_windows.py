"""Windows of tunes."""

import numpy as np
import pytest

from envs.music.codec import FIRST_PITCH, HOLD, Codec
from envs.music.task import Task
from pretrained.corpora.folk import FOLK2, load_corpus
from pretrained.networks.lens import context_of, places
from pretrained.training.lessons import ends
from pretrained.variational.windows import TuneWindows, along_scale, windows_of

REEL, JIG = (16, 8), (12, 6)


@pytest.fixture(scope="module")
def tunes():
    return load_corpus(FOLK2).select("valid")


def test_windows_are_parts_of_tunes_of_their_metres(tunes):
    found = windows_of(tunes, 2, [REEL, JIG])
    assert [(w.bar, w.beat) for w in found] == [REEL, JIG]
    reels = found[0]
    assert reels.bars == 2
    assert reels.tokens.shape[1] == 32
    lines = ["".join(map(chr, t.tokens)) for t in tunes if (t.bar_cells, t.beat_cells) == REEL]
    for line in reels.tokens[::17]:
        first = int((line >= FIRST_PITCH).argmax())
        part = "".join(map(chr, line[first:]))
        assert any(part in tune for tune in lines)
        assert (line[:first] == 0).all()
        assert (line >= FIRST_PITCH).sum() >= 4


def test_bar_lines_and_pickups(tunes):
    (bars,) = windows_of(tunes, 2, [REEL], pickups=False)
    (both,) = windows_of(tunes, 2, [REEL])
    assert (bars.before == 0).all()
    assert set(both.before.tolist()) > {0}
    assert len(bars) < len(both)
    (halves,) = windows_of(tunes, 2, [REEL], hop=2, pickups=False)
    assert len(bars) * 0.4 < len(halves) < len(bars) * 0.6


def test_ends_are_those_of_strains(tunes):
    tune = next(t for t in tunes if (t.bar_cells, t.beat_cells) == REEL and not t.offset)
    (found,) = windows_of([tune], 4, [REEL])
    last = max(ends(tune))
    assert found.left[-1] == 0
    assert found.left[0] == min(end for end in ends(tune) if end >= 4) - 4
    (closing,) = windows_of([tune], 4, [REEL], ending=True)
    assert (closing.left == 0).all()
    assert len(closing) <= len(found)
    assert last * 16 >= len(tune.tokens)


def test_places_are_those_of_a_task():
    task = Task(bars=4, key="A minor", meter="6/8", pickup=4)
    rows = TuneWindows(12, 6, np.zeros((1, 48), np.int64), *(np.array([n]) for n in (8, 9, 0)))
    assert (rows.places()[0] == places(context_of(task), 48)[0].numpy()).all()


def test_a_window_that_goes_on_says_how_long():
    rows = TuneWindows(16, 4, np.zeros((1, 32), np.int64), *(np.array([n]) for n in (0, 0, 6)))
    assert rows.places()[0, [0, 31], 5].tolist() == [7, 6]


def test_steps_along_the_scale():
    line = [Codec().token(pitch) for pitch in (60, 62, 66, 70, 71)]
    moved, legal = along_scale(np.array([[line[0], HOLD, 0, *line[1:]]] * 3), np.array([1, -1, 7]))
    pitches = np.where(moved >= FIRST_PITCH, moved + 46, moved)
    assert pitches[0].tolist() == [62, HOLD, 0, 64, 68, 71, 72]  # F# to G#, B flat to C flat
    assert pitches[1].tolist() == [59, HOLD, 0, 60, 65, 68, 69]
    assert pitches[2].tolist() == [72, HOLD, 0, 74, 78, 82, 83]
    assert legal.tolist() == [True] * 3
    assert not along_scale(np.array([[37]]), np.array([1]))[1][0]


def test_moved_windows_keep_their_rhythm(tunes):
    (found,) = windows_of(tunes, 2, [REEL])
    rng = np.random.default_rng(0)
    moved = found.moved(rng, 1.0)
    assert ((moved.tokens >= FIRST_PITCH) == (found.tokens >= FIRST_PITCH)).all()
    changed = (moved.tokens != found.tokens).any(1)
    assert changed.mean() > 0.8
    assert (moved.tonic[~changed] == found.tonic[~changed]).all()
    assert (moved.tonic[changed] != found.tonic[changed]).mean() > 0.9
    assert (found.moved(rng, 0.0).tokens == found.tokens).all()
