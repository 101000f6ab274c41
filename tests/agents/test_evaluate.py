"""The command with --limit: its table, its file, and what it refuses."""

import json

import pytest

from agents.evaluate import EvaluateConfig, evaluate
from envs.durable_files import read_facts
from tests.agents.helpers import tiny, trained


@pytest.fixture
def copied(run, tmp_path):
    import shutil

    return shutil.copytree(run.path, tmp_path / "run")


def test_the_limit_stands_beside_the_table(copied, capsys):
    evaluate(EvaluateConfig(str(copied), n=200, limit=True, pool=4000))
    text = capsys.readouterr().out
    assert "The limit of fine-tuning, from 4,000 pieces of the prior" in text
    assert "limit, at the agent's KL" in text
    assert "gap to the limit" in text
    facts = read_facts(copied / "evaluation.json")["limit"]
    assert facts["standing"]["share"] < 1
    assert facts["rows"][0]["name"] == "prior"
    json.dumps(facts, allow_nan=False)


def test_what_has_no_limit_is_refused_before_anything_is_drawn(copied, tiny_checkpoint, tmp_path):
    with pytest.raises(ValueError, match="temperature"):
        EvaluateConfig("x", limit=True, temperature=0.5)
    with pytest.raises(ValueError, match="pool=0"):
        EvaluateConfig("x", pool=0)
    config = tiny(tiny_checkpoint, tmp_path / "masked", algo="maskable_ppo", mask=("key",))
    masked = trained(config.changed(reward=("key=1", "tonic=1"), n_timesteps=256))
    with pytest.raises(ValueError, match="mask 'key'"):
        evaluate(EvaluateConfig(str(masked.path), n=5, limit=True))
    assert not (masked.path / "evaluation.json").exists()
