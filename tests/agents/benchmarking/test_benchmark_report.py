"""The report: tables, comparisons and pictures, of a real benchmark and of invented numbers."""

import csv
import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from agents.benchmarking import benchmark_report as report
from agents.benchmarking import results
from agents.benchmarking.results import Results, stat
from agents.settings.config import TrainConfig
from rewards.measures.statistics import PUBLISHED
from tests.agents.benchmarking.helpers import NAMES, numbers


def test_the_report_of_a_benchmark(benchmarked):
    text = (benchmarked.out / "report.md").read_text()
    for name in NAMES:
        assert f"\n| {name} | " in text, name
    for row in PUBLISHED:
        assert row in text
    assert "| *Note RNN* | 63.3 | -0.16 |" in text
    assert "- beam, seed 0: no luck" in text
    assert "Left out: best-of-n@kl=0.2: too many" in text
    assert not re.search(r"\bnan\b", text.lower())
    for name in ("front", "curves", "goals"):
        assert f"({name}.svg)" in text
        svg = ET.parse(benchmarked.out / f"{name}.svg").getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        assert "date" not in (benchmarked.out / f"{name}.svg").read_text().lower()


def test_the_report_repeats_byte_for_byte(benchmarked, tmp_path):
    shutil.copytree(benchmarked.out, tmp_path / "copy")
    report.write(tmp_path / "copy", NAMES, {}, [])
    for name in ("front.svg", "curves.svg", "goals.svg", "cells.csv", "summary.csv"):
        first = (tmp_path / "copy" / name).read_bytes()
        assert first == (benchmarked.out / name).read_bytes(), name


def test_the_tables_hold_every_number(benchmarked):
    with (benchmarked.out / "cells.csv").open() as file:
        cells = {row["method"]: row for row in csv.DictReader(file)}
    assert float(cells["ppo"]["kl"]) == numbers(benchmarked.out, "ppo")["kl"]
    assert cells["guided-beam"]["kl"] == ""
    assert (float(cells["ppo"]["train_cpu"]) > 0, cells["prior"]["train_cpu"]) == (True, "")
    with (benchmarked.out / "summary.csv").open() as file:
        rows = {(row["method"], row["number"]): row for row in csv.DictReader(file)}
    assert float(rows["ppo", "reward"]["mean"]) == float(cells["ppo"]["reward"])
    assert rows["ppo", "reward"]["seeds"] == "1"
    assert rows["ppo", "reward"]["low"] == ""


# -- of invented numbers ---------------------------------------------------------------------------


def invented(**methods):
    """Results in which every goal and the reward of a method have the values given."""
    found = Results(TrainConfig())
    for name, (values, kl) in methods.items():
        name = name.replace("_at_", "@kl=0.").replace("best", "best-of-n")
        for seed, value in enumerate(values):
            row = dict.fromkeys((*results.GOALS, "reward", "draw_cpu"), value)
            row |= {"kl": kl, "draws": 66, "train_cpu": 30.0}
            found.rows.setdefault(name, {})[seed] = row
    return found


LOW, HIGH = [50.0, 51.0, 52.0], [60.0, 61.0, 63.0]


def test_the_report_says_where_rl_loses():
    told = report.equal_kl(invented(ppo_at_1=(LOW, 0.1), best_at_1=(HIGH, 0.1)))
    line = "unique highest note: RL is behind best of 66, 51% against 61.3%; difference -10.3 ("
    assert line in told
    assert told.count("is behind") == 5
    assert "Of 5 comparisons with best-of-n at equal KL RL is ahead in 0, behind in 5, and" in told


def test_the_report_says_where_rl_wins_and_where_nobody_knows():
    found = invented(ppo_at_1=(HIGH, 0.1), best_at_1=(LOW, 0.1), masked=([40.0, 60.0, 80.0], 0.02))
    told = report.equal_kl(found)
    assert "RL is ahead in 5, behind in 0" in told
    assert told.count("RL is ahead of best of 66") == 5
    assert told.count("RL is not clearly different from masked decoding") == 5
    assert "not clearly different in 5 (" in told


def test_a_missed_budget_is_no_equal_kl():
    told = report.equal_kl(invented(ppo_at_1=(LOW, 0.08), best_at_1=(HIGH, 0.1)))
    assert "at equal KL RL" not in told
    assert "best-of-n was allowed more" in told
    assert "Of 5 comparisons with best-of-n where a KL budget was missed RL is ahead in 0" in told
    told = report.equal_kl(invented(ppo_at_1=(LOW, 0.12), best_at_1=(HIGH, 0.1)))
    assert "RL was allowed more" in told


@pytest.mark.parametrize("seeds", [1, 2])
def test_one_or_two_seeds_prove_nothing(seeds):
    low, high = [1.0] * seeds, [9.0] * seeds
    told = report.equal_kl(invented(ppo_at_1=(low, 0.1), best_at_1=(high, 0.1)))
    assert "is behind" not in told
    assert "fewer than 3 seeds, no interval" in told
    assert not report.beats_all("unique highest note", stat([99.0] * seeds))
    assert report.entry(stat([98.0, 99.0][:seeds])) == ("98" if seeds == 1 else "98.5")


def test_when_training_pays_for_itself():
    found = invented(ppo_at_1=([1.0], 0.1), best_at_1=([61.0], 0.1))
    assert "pays for itself after 500 pieces" in report.paid_off(
        found, "ppo@kl=0.1", "best-of-n@kl=0.1"
    )
    assert "never pays" in report.paid_off(found, "best-of-n@kl=0.1", "ppo@kl=0.1")


def test_bold_is_better_than_all_that_was_published():
    def value(mean, low, high):
        return results.Stat(mean, low, high, 0.0, 3)

    assert report.beats_all("unique highest note", value(70, 65, 75))
    assert not report.beats_all("unique highest note", value(70, 64, 75))
    assert report.beats_all("notes not in key", value(0.05, 0.01, 0.09))
    assert not report.beats_all("notes not in key", value(0.05, 0.01, 0.11))
    assert report.beats_all("mean autocorrelation, lag 1", value(0.0, -0.09, 0.09))
    assert not report.beats_all("mean autocorrelation, lag 1", value(0.0, -0.11, 0.09))
    assert report.beats_all("notes excessively repeated", value(0.0, 0.0, 0.0))
    assert not report.beats_all("notes excessively repeated", value(0.01, 0.0, 0.02))


def test_a_number_far_below_the_priors_stands_out():
    found = invented(prior=([3.0, 3.0], 0.0), ppo=([1.9, 1.9], 0.1), a2c=([2.1, 2.1], 0.1))
    for rows in found.rows.values():
        for row in rows.values():
            row |= dict.fromkeys(report.WATCHED, row["reward"])
    found.warnings = {"ppo": {0: [], 1: ["the reward may be hacked: ..."]}, "a2c": {0: [], 1: []}}
    told = report.hacking(found)
    assert "| ppo | 1 of 2 | **1.90** |" in told
    assert "| a2c | 0 of 2 | 2.10 |" in told
    assert "- ppo, seed 1: the reward may be hacked: ..." in told
