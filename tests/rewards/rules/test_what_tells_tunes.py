"""The rules of the plan on real tunes, and on what the old agent and the old prior write."""

import numpy as np
import pytest

from agents.evaluating.sampling import sample_many
from agents.settings.begun import UNTIL_0_6
from envs.durable_files import sha256
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.corpora.folk import FOLK2, load_corpus
from rewards.rule import REGISTRY
from tests.tools.blind.sources import strain

TASK = Task(bars=8)
# Rule -> networks that break it more than held-out tunes do.
TOLD = {
    "opening_return": ["melody-1"],
    "planned_climax": ["melody-1"],
    "sequence": ["melody-1", "composer"],
    "circling": ["composer"],
}
# Names under which these files shipped in 0.6; they are found by their hashes.
OF_THEN = {"composer": "composer", "melody-1": "melody"}


@pytest.fixture(scope="module")
def pieces():
    found = {}
    for split in ("valid", "test"):
        for tune in load_corpus(FOLK2).select(split):
            drawn = strain(tune, TASK)
            if drawn is not None:
                found.setdefault(tune.cluster, drawn.score.tokens[0])
    drawn = {"real": Score(np.stack([*found.values()]), TASK)}
    files = {sha256(file): file for file in checkpoint.shipped().values()}
    for name, then in OF_THEN.items():
        prior = checkpoint.load(files[UNTIL_0_6[then]])
        drawn[name] = sample_many(prior, TASK, 160, seed=5)
    return drawn


@pytest.mark.parametrize("name", TOLD)
def test_held_out_tunes_break_it_less(pieces, name):
    broken = {source: REGISTRY[name](score).sum(axis=(1, 2)) for source, score in pieces.items()}
    real = broken["real"]
    assert len(real) > 100
    for source in TOLD[name]:
        other = broken[source]
        above = (np.sign(other[:, None] - real[None]) + 1).mean() / 2
        assert above > 0.54, (source, above)
        assert other.mean() > 1.2 * real.mean(), source
