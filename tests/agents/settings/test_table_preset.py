"""The preset of the published table: the paper's nine rules on the paper's task."""

from agents.settings import from_preset
from envs.music.task import Task
from rewards.build import build, read_pack


def test_the_run_is_shown_beside_the_published_figures():
    config = from_preset("rl_tuner_table")
    assert config.tasks == (Task(),)
    assert read_pack("rl_tuner").keys() <= build(config.reward_spec).terms.keys()
    assert config.entropy == config.last_entropy == config.terms["prior"] == config.c == 1
