"""The table of an evaluation: what each term of a reward pays, prior beside agent."""

import copy
import json

import numpy as np
import pytest
import torch

from agents.evaluating.comparison import PAID, RETURN, as_json, compare, table
from agents.evaluating.sampling import sample_many
from envs.music.task import Task
from rewards.build import build
from rewards.functions import per_note
from rewards.likelihood import Likelihood
from rewards.sum import RewardSum
from rewards.term import Term


@per_note
def upwards(note, previous):
    return float(previous is not None and note.pitch > previous.pitch)


@pytest.mark.parametrize("task", [Task(), Task(bars=1, key="G major")], ids=["paper's", "another"])
def test_every_term_of_a_reward_has_a_row(tiny_prior, task):
    terms = build({upwards: -2.0, "in_key": 1.0, "tonic": 0.5}).terms.values()
    reward = RewardSum([*terms, Term("prior", Likelihood(checkpoint=tiny_prior), 0.3)])
    other = copy.deepcopy(tiny_prior)
    with torch.no_grad():
        for weight in other.net.parameters():
            weight.mul_(0.5)
    columns = compare(other, tiny_prior, task, 30, 1, reward=reward)
    names = ["upwards", "in_key", "tonic", "prior"]
    for head, network in (("prior", tiny_prior), ("agent", other)):
        rows = columns[head]
        assert [n.removeprefix(PAID) for n in rows if n.startswith(PAID)] == names
        score = sample_many(network, task, 30, 1)
        rising = score.onset & (score.previous_pitch >= 0) & (score.interval > 0)
        assert rows[f"{PAID}upwards"] == pytest.approx(-2 * rising.sum() / 30, abs=1e-4)
        assert sum(rows[PAID + name] for name in names) == pytest.approx(rows[RETURN], abs=1e-3)
    text = table(columns, 30, task).splitlines()
    (line,) = [line for line in text if line.startswith(f"{PAID}upwards ")]
    values = [f"{columns[head][f'{PAID}upwards']:.2f}" for head in ("prior", "agent")]
    assert line.split()[-2:] == values
    assert len(set(values)) == 2
    written = json.loads(as_json({}, columns))["columns"]["agent"]
    assert np.isclose(written[f"{PAID}tonic"], columns["agent"][f"{PAID}tonic"])
