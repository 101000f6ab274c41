"""The network that ships for species counterpoint, in the environment that it is made for."""

import numpy as np
import pytest
import torch

from agents.composing.parts.counterpoint import demands_of
from agents.settings.config import TrainConfig
from agents.training.job import prepare
from agents.training.listener import Listener
from envs.counterpoint import CounterpointVectorEnv
from envs.music.pitch import parse_pitch
from envs.music.score import Score
from envs.music.voices.cantus import Cantus, cantus_row
from envs.registration import ENVIRONMENTS
from pretrained import checkpoint
from pretrained.prior import sample
from tests.tools.teach_counterpoint import blame, pages_of

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
    assert kept(checkpoint.load("counterpoint-1"), above) > 0.25
    assert kept(checkpoint.load("counterpoint"), above) > 0.8


def test_a_training_can_start_from_it():
    job = prepare(TrainConfig(env=ID, prior="counterpoint", sight=False), Listener())
    assert job.prior.format == "voices/1"


FUX_D = "A4 A4 G4 A4 B4 C5 C5 B4 D5 C#5 D5"  # Fux's own solution to his cantus firmus in D, above


@pytest.mark.parametrize(
    ("notes", "bar", "rule"),
    [
        (FUX_D, -1, ""),
        (FUX_D.replace("G4", "F4"), 2, "dissonance"),  # F4 over E4: a ninth
        (FUX_D.replace("A4 A4", "A4 E4"), 1, "dissonance"),  # a second
        (FUX_D.replace("B4 C5 C5", "B4 D5 C5"), 8, "unique_climax"),
        (FUX_D.replace("C#5 D5", "G4 D5"), 9, "clausula"),
    ],
)
def test_the_note_with_which_the_first_hard_rule_is_broken_is_to_blame(notes, bar, rule):
    cantus = Cantus.fux("D")
    page = pages_of(str(cantus.key), [cantus.pitches], above=True)
    row = cantus_row([parse_pitch(note) for note in notes.split()], page.task)
    at, names = blame(Score([[row, page.tokens[0, 1]]], page.task))
    assert (at.tolist(), names.tolist()) == ([bar * 8 if bar >= 0 else -1], [rule])
