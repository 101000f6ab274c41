"""Tasks in settings: words, tables and the defaults of ids, there and back."""

import sys
import tomllib
from dataclasses import replace

import gymnasium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.learning import vec_env
from agents.settings import tasks
from agents.settings.arguments import parse_arguments
from agents.settings.config import TrainConfig, from_mapping, read_toml, to_toml
from envs.composition import CompositionVectorEnv
from envs.music.task import Task

MELODY = "composition/Melody-v0"


def test_a_task_begins_as_its_environments_id_has_it():
    assert TrainConfig().task == Task()
    assert TrainConfig(env=MELODY).task == Task(bars=4)
    assert TrainConfig(env=MELODY, task=("meter=3/4",)).task == Task(bars=4, meter="3/4")
    assert TrainConfig(env=MELODY, task={"bars": 8}).task == Task(bars=8)
    assert TrainConfig(env=MELODY, task=Task()).task == Task()
    assert from_mapping({"env": MELODY}, "test").task == Task(bars=4)


def test_another_environment_keeps_the_fields_that_were_changed(tmp_path):
    (tmp_path / "mine.toml").write_text("[task]\nmeter = '3/4'\n")
    words = ["--config", str(tmp_path / "mine.toml"), "--env", MELODY]
    assert parse_arguments(words)[0].task == Task(bars=4, meter="3/4")
    assert parse_arguments([*words, "--task", "low=C4"])[0].task == Task(bars=4, low=60)
    assert parse_arguments([*words, "--task"])[0].task == Task(bars=4)


@st.composite
def any_task(draw):
    task = Task(
        draw(st.sampled_from(["C major", "F# dorian", "Bb 0,2,3,7,8", "E harmonic minor"])),
        draw(st.sampled_from(["4/4", "6/8", "7/8", "3+2+2/8", "2+3+2/8"])),
        draw(st.integers(1, 8)),
        *draw(st.sampled_from([(48, 83), (60, 79)])),
        draw(st.sampled_from([4, 2, 12])),
        draw(st.integers(1, 3)),
        pickup=draw(st.integers(0, 2)),
    )
    if draw(st.booleans()):
        task = replace(task, low=48, high=83, ranges="SATB"[-task.voices :])
    if draw(st.booleans()):
        token = st.sampled_from([-1, 0, task.codec.token(60)])
        row = st.lists(token, min_size=task.cells, max_size=task.cells)
        page = draw(st.lists(row, min_size=task.voices, max_size=task.voices))
        task = replace(task, given=tuple(map(tuple, page)))
    form = {"chords": "i", "phrases": "A" + str(task.bars)} if draw(st.booleans()) else {}
    return replace(task, **form)


@given(any_task(), st.sampled_from([MELODY, "composition/RLTuner-v0"]))
@settings(deadline=None, max_examples=60)
def test_any_task_in_settings_comes_back_equal(task, env):
    config = TrainConfig(env=env, task=task)
    again = from_mapping(tomllib.loads(to_toml(config)), "test")
    assert again == config
    assert TrainConfig(env=env, task=tasks.as_words(task, env)) == config
    made = vec_env.make_env(env, task, 2)
    assert made.task == task
    assert made.num_envs == 2


def test_only_what_differs_from_the_ids_own_task_is_written():
    assert tomllib.loads(to_toml(TrainConfig(env=MELODY)))["task"] == {}
    changed = TrainConfig(env=MELODY, task=Task(bars=4, low=60))
    assert tomllib.loads(to_toml(changed))["task"] == {"low": 60}
    assert tomllib.loads(to_toml(replace(changed, task=Task())))["task"] == {"bars": 2}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bard=4",), "'bard'.*'bars'"),
        (("bars=many",), "bars: expected"),
        (("bars=1", "bars=2"), "'bars' is given twice"),
        (("reward=1",), "'reward' is no part of the task"),
    ],
)
def test_words_that_make_no_task(words, message):
    with pytest.raises((ValueError, TypeError), match=message):
        TrainConfig(task=words)
    with pytest.raises((ValueError, TypeError), match=message):
        parse_arguments(["--task", *words])


def test_an_unknown_environment_is_refused_by_name():
    with pytest.raises(ValueError, match="RLTune"):
        TrainConfig(env="composition/RLTune-v0")


def test_tasks_that_vary():
    vary = ("meter=3/4|2/4", "bars=1|2")
    config = TrainConfig(env=MELODY, task=Task(grid=2), vary=vary)
    made = [(str(task.meter), task.bars, task.grid) for task in config.tasks]
    assert made == [("3/4", 1, 2), ("3/4", 2, 2), ("2/4", 1, 2), ("2/4", 2, 2)]
    assert TrainConfig(task=Task(bars=5)).tasks == (Task(bars=5),)


# -- an environment of one's own -------------------------------------------------------------------

OWN = """
import gymnasium

from envs.composition import CompositionVectorEnv


class Own(CompositionVectorEnv):
    pass


gymnasium.register(
    "Own-v0", entry_point="envs.composition:CompositionEnv",
    vector_entry_point="own_tasks:Own", kwargs={"bars": 3, "reward": "in_key"},
)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The id of an environment whose module is not imported yet."""
    (tmp_path / "own_tasks.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_tasks:Own-v0"
    sys.modules.pop("own_tasks", None)
    gymnasium.registry.pop("Own-v0", None)


def test_reading_settings_imports_no_module_without_trust(own, tmp_path):
    file = tmp_path / "config.toml"
    file.write_text(f"env = '{own}'\n[task]\nmeter = '3/4'\n")
    read_toml(file)
    with pytest.raises(ValueError, match="add `trust`"):
        parse_arguments(["--config", str(file)])
    with pytest.raises(ValueError, match="add `trust`"):
        parse_arguments(["--config", str(file), "--task", "bars=2"])
    moved, _ = parse_arguments(["--config", str(file), "--env", MELODY])
    assert moved.task == Task(bars=4, meter="3/4")
    assert "own_tasks" not in sys.modules
    trusted, _ = parse_arguments(["--config", str(file), "--trust"])
    assert trusted.task == Task(bars=3, meter="3/4")


def test_settings_written_before_the_module_is_imported_read_the_same_after(own):
    config = TrainConfig(env=own, task=Task())
    assert "own_tasks" not in sys.modules
    text = to_toml(config)
    assert "own_tasks" not in sys.modules
    assert TrainConfig(env=own).task == Task(bars=3)
    assert from_mapping(tomllib.loads(text), "test") == config


def test_an_environment_of_ones_own_is_given_its_task(own):
    made = vec_env.make_env(own, Task(bars=5), 2)
    assert type(made).__name__ == "Own"
    assert isinstance(made, CompositionVectorEnv)
    assert made.task == Task(bars=5)


# -- several tasks ---------------------------------------------------------------------------------

VARIED = tasks.varied_tasks(("meter=4/4|3/4", "key=C major|G major|A minor"), Task(bars=1))


@pytest.mark.parametrize("n", [6, 7, 20, 600])
def test_pieces_are_divided_among_all_tasks(n):
    found = tasks.shares(VARIED, n)
    assert [task for task, _ in found] == list(VARIED)
    counts = [count for _, count in found]
    assert sum(counts) == n
    assert max(counts) - min(counts) <= 1
    assert tasks.shares([Task()], n) == [(Task(), n)]


@pytest.mark.parametrize("n", range(6))
def test_few_pieces_are_of_tasks_unlike_each_other(n):
    found = [task for task, count in tasks.shares(VARIED, n) if count == 1]
    assert len(found) == n == len(set(found))
    assert len({task.key for task in found}) == min(n, 3)
    assert len({task.meter for task in found}) == min(n, 2)


def test_more_pieces_than_tasks_are_spread_evenly():
    found = tasks.spread(VARIED, 12)
    assert all(found.count(task) == 2 for task in VARIED)


def test_the_difference_of_tasks_in_words():
    assert tasks.differences(VARIED) == "key C major, G major, A minor; meter 4/4, 3/4"
    assert tasks.differences([Task()]) == ""
