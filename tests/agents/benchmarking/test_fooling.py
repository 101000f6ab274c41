"""Fakes win a number where they are not clearly worse than the prior, as measured."""

import json
import math

import pytest

from agents.benchmarking import benchmark_report as report
from agents.benchmarking import fooled_page, fooling
from agents.benchmarking.columns import BARS, COLUMNS, cost
from agents.benchmarking.fooling import Fooled, measure_fakes, read_fooled, write_fooled
from agents.benchmarking.results import Results
from agents.settings.config import TrainConfig
from rewards.measures.statistics import PUBLISHED
from tests.agents.benchmarking.helpers import PIECES


def fooled(**numbers):
    """Fakes whose every number has these values in three groups: prior, then a fake."""
    sets = {"prior": {}, "trill": {}}
    for number, (prior, fake) in numbers.items():
        sets["prior"][number] = [prior - 0.01, prior, prior + 0.01]
        sets["trill"][number] = [fake - 0.01, fake, fake + 0.01]
    return Fooled(8, sets)


@pytest.mark.parametrize(
    ("number", "prior", "fake", "wins"),
    [
        ("judge", -1.5, -0.5, True),
        ("judge", -1.5, -2.5, False),
        ("judge", -1.5, -1.5, True),
        ("notes not in key", 0.5, 0.0, True),
        ("notes not in key", 0.5, 2.0, False),
        ("mean autocorrelation, lag 1", -0.3, 0.1, True),
        ("mean autocorrelation, lag 1", -0.3, -0.9, False),
        ("near copies", 1.0, 100.0, False),
        ("kl", 1.0, 0.0, False),
        ("judge", -1.5, math.nan, False),
    ],
)
def test_who_wins(number, prior, fake, wins):
    found = fooled(**{number: (prior, fake)})
    assert found.winners(number) == (["trill"] if wins else [])


def test_told_apart_is_compared_by_its_intervals():
    def apart(accuracy, low, high):
        return {"told apart": [accuracy], "told apart/low": [low], "told apart/high": [high]}

    for fake, wins in ((apart(0.6, 0.5, 0.7), True), (apart(0.9, 0.86, 0.94), False)):
        found = Fooled(8, {"prior": apart(0.7, 0.6, 0.8), "scale": fake})
        assert found.wins("told apart", "scale") is wins


def test_every_number_of_the_tables_has_a_side_or_none_on_purpose():
    none = {name for name in (*COLUMNS.values(), *BARS.values()) if math.isnan(cost(name, 1.0))}
    spent = {"steps", "train_cpu", "piece_cpu", "tokens", "cells"}
    assert none == {"pieces", "kl", *spent}
    assert not any(math.isnan(cost(name, 1.0)) for name in PUBLISHED)
    assert cost("told apart", 0.4) == cost("told apart", 0.5) < cost("told apart", 0.6)


@pytest.fixture(scope="module")
def measured(benchmarked):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fooling, "DRAWS", 2)
        return measure_fakes(benchmarked)


def test_fakes_of_a_benchmark(measured):
    assert list(measured.sets)[:2] == ["prior", "held-out tunes"]
    assert {"silence", "trill", "copied tunes", "shuffled tunes"} <= set(measured.sets)
    assert measured.pieces == PIECES
    assert len(measured.sets["prior"]["reward"]) == 4
    assert measured.mean("notes not in key", "silence") == 0
    assert "silence" in measured.winners("notes not in key")
    assert "one note" in measured.winners("judge")
    assert "one note" not in measured.winners("diversity/vendi")
    assert measured.mean("near copies", "scale") == 0
    assert measured.fillers["held-out tunes"]["hidden/3-4 right"] == [100.0] * 4
    assert "a held note" in measured.fillers
    assert measured.mean("told apart", "silence") > 0.9


def test_the_file_says_what_was_measured(benchmarked, measured, monkeypatch, tmp_path):
    monkeypatch.setattr(fooling, "measure_fakes", lambda bench, note: measured)
    monkeypatch.setattr(benchmarked, "out", tmp_path)
    write_fooled(benchmarked)
    again = read_fooled(tmp_path)
    assert again.numbers() == measured.numbers()
    for number in measured.numbers():
        assert again.winners(number) == measured.winners(number)
    (tmp_path / fooling.FILE).write_text(json.dumps({"sets": 3}))
    with pytest.raises(ValueError, match="damaged"):
        read_fooled(tmp_path)
    assert read_fooled(tmp_path / "elsewhere") == Fooled()


def test_the_page_marks_what_is_won(measured):
    text = fooled_page.page(measured, "reward: tonic")
    line = next(each for each in text.splitlines() if each.startswith("| judge, nats per token |"))
    assert "one note" in line.split("|")[-2]
    assert "**" in line
    assert "- silence: wins " in text
    assert "nan" not in text.lower().split()


def test_the_report_names_the_winners():
    results = Results(TrainConfig())
    results.rows["prior"] = {0: {"judge": -1.5, "reward": 2.0, "draws": 1}}
    found = fooled(judge=(-1.5, -0.5), reward=(2.0, -1.0))
    told = report.second_table(results, found).splitlines()[-1]
    cells = [cell.strip() for cell in told.split("|")]
    heads = [cell.strip() for cell in report.second_table(results, found).split("\n")[0].split("|")]
    assert cells[1] == "*fooled by*"
    assert cells[heads.index("judge, nats per token")] == "trill"
    assert cells[heads.index("reward of the rules")] == ""
    assert "fooled" not in report.second_table(results, Fooled())


def test_several_voices_have_no_fakes(benchmarked, monkeypatch):
    monkeypatch.setattr(benchmarked, "task", benchmarked.task.changed(voices=2))
    assert "voices" in measure_fakes(benchmarked).notes[0]
