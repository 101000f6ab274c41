"""The network that ships for species counterpoint, in the environment that it is made for."""

import numpy as np
import pytest
import torch

from agents.composing.parts.counterpoint import demands_of
from agents.settings.config import TrainConfig
from agents.training.job import prepare
from agents.training.listener import Listener
from envs.counterpoint import CounterpointVectorEnv
from envs.music.score import Score
from envs.registration import ENVIRONMENTS
from pretrained import checkpoint
from pretrained.prior import sample

ID = "composition/Counterpoint-v0"


def kept(prior, above):
    """Share of pieces drawn once, to each cantus firmus of the environment, without a fault."""
    arguments = dict(ENVIRONMENTS[ID][1]) | ({} if above else {"ranges": "G3-E5 C3-A4"})
    env = CounterpointVectorEnv(1, above=above, **arguments)
    drawn = sample(prior, Score(env.pages, env.task, written=0), seed=1)
    whole = Score(drawn.tokens, drawn.task)
    faults = [(rule(whole) > 0).any(axis=(1, 2)) for rule in demands_of(1)]
    assert len(np.unique(whole.tokens, axis=0)) == len(env.pages)
    return float(1 - np.any(faults, axis=0).mean())


@pytest.mark.parametrize("above", [True, False])
def test_most_pieces_drawn_once_keep_all_hard_rules(above):
    torch.set_num_threads(1)
    assert kept(checkpoint.load_once("species-1"), above) < 0.1
    assert kept(checkpoint.load("counterpoint"), above) > 0.25


def test_a_training_can_start_from_it():
    job = prepare(TrainConfig(env=ID, prior="counterpoint", sight=False), Listener())
    assert job.prior.format == "voices/1"
