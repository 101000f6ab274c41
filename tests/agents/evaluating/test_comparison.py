"""The table of an evaluation: what each term of a reward pays, prior beside agent."""

import copy
import json

import numpy as np
import pytest
import torch

from agents.evaluating.comparison import KL, PAID, RETURN, as_json, compare, table
from agents.evaluating.sampling import sample_many
from agents.runs import curve
from agents.training.terminal import describe
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


# -- order and names -------------------------------------------------------------------------------

OWN = """
import numpy as np

def smooth(score):
    return -np.abs(score.interval) / 12

def rests(score):
    return score.rest * 1.0
"""
PAPERS = {"rl_tuner": 0.5, "prior": 1.0}


@pytest.fixture
def own(tmp_path, tiny_checkpoint):
    """A reward of two terms of one's own, a rule and the prior."""
    (tmp_path / "mine.py").write_text(OWN)
    spec = {"prior": {"weight": 0.5, "checkpoint": str(tiny_checkpoint)}, "in_key": 2.0}
    return build(spec | {f"{tmp_path}/mine.py:{name}": 3.0 for name in ("smooth", "rests")})


def columns(prior, reward, task=None):
    return compare(prior, prior, task or Task(), 20, 1, reward=reward)


def heads(text):
    """The names of the rows, in their order."""
    lines = text.splitlines()[3:]
    return [line[: line.index("  ")] for line in lines if "  " in line]


def test_ones_own_reward_comes_first_and_beside_no_published_figures(own, tiny_prior):
    found = columns(tiny_prior, own)
    text = table(found, 20, Task(), own)
    names = [RETURN, *(PAID + name for name in ("prior", "in_key", "smooth", "rests")), KL]
    assert heads(text)[: len(names)] == names
    assert "*" not in text
    assert "mine.py" not in text
    assert len(heads(text)) == len(found["agent"])  # no row is lost


def test_the_papers_rules_on_the_papers_task_stand_beside_its_figures(tiny_prior, tiny_checkpoint):
    reward = build({**PAPERS, "prior": {"weight": 1.0, "checkpoint": str(tiny_checkpoint)}})
    found = columns(tiny_prior, reward)
    text = table(found, 20, Task(), reward)
    assert heads(text)[0] == "notes excessively repeated"
    assert {PAID + name for name in reward.terms} <= set(heads(text))
    assert "Note RNN*" in text
    other = Task(bars=1)
    assert "*" not in table(columns(tiny_prior, reward, other), 20, other, reward)


def test_terms_of_one_name_are_told_apart_by_their_files(tmp_path, tiny_prior):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text(OWN)
    reward = build({f"{tmp_path}/{name}:smooth": 1.0 for name in ("a.py", "b.py")})
    found = heads(table(columns(tiny_prior, reward), 20, Task(), reward))
    assert found[1:3] == [f"{PAID}{tmp_path}/{name}:smooth" for name in ("a.py", "b.py")]


# -- while it learns -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paid", "shown"),
    [
        (
            {"prior": -4.0, "x/mine.py:smooth": -0.5},
            "return 1.5 = prior -4.0 + smooth -0.5, KL 0.250",
        ),
        (dict.fromkeys("abcde", 1.0), "return 1.5 = rules 5.5 + prior -4.0, KL 0.250"),
    ],
)
def test_the_progress_bar_names_terms_if_they_are_few(paid, shown):
    row = {"return": 1.5, "rules": 5.5, "prior": -4.0, "kl": 0.25}
    row |= {f"reward/{name}": value for name, value in paid.items()}
    assert describe(row) == shown


@pytest.mark.usefixtures("drawn")
def test_the_learning_curve_names_terms_as_the_table_does(tmp_path, monkeypatch):
    from matplotlib.axes import Axes

    shown, plot = [], Axes.plot

    def spy(self, *values, **settings):
        shown.append(settings.get("label"))
        return plot(self, *values, **settings)

    monkeypatch.setattr(Axes, "plot", spy)
    metrics = {name: [1.0, 2.0] for name in (*curve.PARTS, "reward/prior", "reward/a/b.py:smooth")}
    curve.draw(metrics, tmp_path / "curve.png")
    assert {"smooth", "prior", "all terms but the prior"} <= set(shown)
    assert not {"rules", "a/b.py:smooth"} & set(shown)
