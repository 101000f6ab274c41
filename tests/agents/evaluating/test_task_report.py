"""The report of a run: prior and agent on the same tasks, term by term and rule by rule."""

import copy

import numpy as np
import pytest
import torch

from agents.evaluating.comparison import BROKEN, COSTS, DISTINCT, EDIT, KL, PAID, RETURN, compare
from agents.evaluating.task_report import TaskReport, as_text, report_on
from envs.music.task import Task
from rewards.build import build

TASKS = [Task(bars=1, key=key, meter=meter) for key in ("C major", "D minor") for meter in
         ("4/4", "3/4")]  # fmt: skip
OWN = """
import numpy as np

def smooth(score):
    return -np.abs(score.interval) / 12 * score.onset
"""


@pytest.fixture(scope="module")
def agent(tiny_prior):
    other = copy.deepcopy(tiny_prior)
    with torch.no_grad():
        for weight in other.net.parameters():
            weight.mul_(0.5)
    return other


@pytest.fixture(scope="module")
def reward(tmp_path_factory, tiny_checkpoint):
    file = tmp_path_factory.mktemp("own") / "mine.py"
    file.write_text(OWN)
    spec = {"prior": {"weight": 1.0, "checkpoint": str(tiny_checkpoint)}, f"{file}:smooth": 0.5}
    return build(spec | {"in_key": 2.0, "leap_size": 1.0, "augmented_second": 0.0})


def made(terms, reward):
    rows = {f"{PAID}{name}": pair for name, pair in terms.items()} | {RETURN: (0, 0), KL: (0, 0.1)}
    heads = {h: {k: v[i] for k, v in rows.items()} for i, h in enumerate(("prior", "agent"))}
    return TaskReport(heads, 40, TASKS, reward)


def test_on_one_task_its_columns_are_those_of_the_table(agent, tiny_prior, reward):
    task = TASKS[3]
    report = report_on(agent, tiny_prior, [task], 20, 3, reward)
    assert report.columns == compare(agent, tiny_prior, task, 20, 3, reward=reward)
    assert (report.pieces, list(report.tasks)) == (20, [task])


def test_on_several_tasks_each_row_is_the_mean_over_them(agent, tiny_prior, reward):
    report = report_on(agent, tiny_prior, TASKS, 40, 3, reward)
    parts = [compare(agent, tiny_prior, task, 10, 3 + n, reward=reward)
             for n, task in enumerate(TASKS)]  # fmt: skip
    for head in ("prior", "agent"):
        for name in (RETURN, KL, EDIT, f"{PAID}in_key", f"{BROKEN}in_key", *COSTS):
            expected = np.mean([part[head][name] for part in parts])
            assert report.columns[head][name] == pytest.approx(expected)
        assert report.columns[head][DISTINCT] == sum(part[head][DISTINCT] for part in parts)
        paid = sum(v for name, v in report.columns[head].items() if name.startswith(PAID))
        assert paid == pytest.approx(report.columns[head][RETURN], abs=1e-3)
    assert report.columns["prior"][KL] == 0
    assert report.columns["agent"][KL] > 0
    assert report.cost.prior == pytest.approx(-report.columns["prior"][COSTS[0]], abs=1e-4)


def test_a_row_that_one_task_lacks_is_the_mean_of_the_others(agent, tiny_prior, reward):
    few = report_on(agent, tiny_prior, TASKS[:2], 3, 3, reward)  # two pieces, and a single one
    known = compare(agent, tiny_prior, TASKS[0], 2, 3, reward=reward)
    for head in ("prior", "agent"):
        assert few.columns[head][EDIT] == known[head][EDIT] > 0
    single = report_on(agent, tiny_prior, TASKS, 4, 3, reward)
    assert np.isnan(single.columns["agent"][EDIT])
    assert EDIT not in str(single)
    assert EDIT in str(few)


def test_fewer_pieces_than_tasks_are_of_different_tasks(agent, tiny_prior, reward):
    report = report_on(agent, tiny_prior, TASKS, 3, 3, reward)
    assert len(set(report.tasks)) == 3
    assert set(report.tasks) < set(TASKS)


def test_terms_stand_apart_from_broken_rules_the_costliest_first(reward):
    names = {name.rpartition(":")[2]: name for name in reward.terms}
    terms = {"prior": (-60, -61), names["smooth"]: (-4, -1), "in_key": (-2, -0.5)}
    terms |= {"leap_size": (-1, -0.75), "augmented_second": (0, 0)}
    report = made(terms, reward)
    assert [each.name for each in report.terms] == ["prior", "smooth"]
    assert report.terms[1][1:] == (-4, -1)
    assert [each.name for each in report.broken] == ["leap_size", "in_key", "augmented_second"]
    assert report.cost[1:] == (-3, -1.25)
    text = str(report)
    rows = {line[:44].strip(): line[44:].split() for line in text.splitlines() if len(line) > 44}
    assert rows["smooth"] == ["-4.00", "-1.00", "+3.00"]
    assert rows["all broken rules"] == ["-3.00", "-1.25", "+1.75", "(-58%)"]
    assert rows[KL] == ["0.00", "0.10", "+0.10"]
    assert "not broken by either: augmented_second" in text
    assert text.index("leap_size") < text.index("in_key")
    assert "mine.py" not in text
    assert "over 4 tasks: key C major, D minor; meter 4/4, 3/4" in text


def test_the_papers_task_has_the_papers_table(agent, tiny_prior, reward):
    report = report_on(agent, tiny_prior, [Task()], 8, 1, reward)
    assert "leaps resolved" in as_text(report)
    assert "leaps resolved" not in str(report)
    other = report_on(agent, tiny_prior, TASKS[:1], 8, 1, reward)
    assert as_text(other) == str(other)
