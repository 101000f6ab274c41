"""The monitor on made-up histories, and the rules that a reward leaves out."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from rewards.measures import traits
from rewards.measures.hacking import (
    BEGINNING,
    SIGNS,
    STATISTICS,
    WINDOW,
    HackingMonitor,
    held_out_rules,
    rule_means,
)
from rewards.measures.statistics import rl_tuner_statistics
from rewards.rule import REGISTRY
from tests.helpers import random_pieces

UPDATES = 120


def history(seed=0, judge=-3.0, distinct=1.0, vendi=80.0, rise=20.0, at=40, noise=0.02):
    """Rows of a run whose watched numbers slide from 3, 1, 80 to the given ones from `at` on."""
    rng = np.random.default_rng(seed)
    start, end = np.array([-3.0, 1.0, 80.0]), np.array([judge, distinct, vendi])
    for update in range(UPDATES):
        done = np.clip((update - at) / 20, 0, 1)
        watched = (start + (end - start) * done) * (1 + noise * rng.normal(size=3))
        returned = rise * (1 - np.exp(-update / 25)) + rng.normal()
        yield update, returned, dict(zip(("judge", "distinct", "vendi"), watched, strict=True))


def feed(rows, **settings):
    """Warnings by update."""
    monitor = HackingMonitor(**settings)
    said = {update: monitor.update(8192 * update, *row) for update, *row in rows}
    return {update: text for update, text in said.items() if text}


def test_healthy_learning_raises_no_flag():
    # It pays with a fifth of its likelihood and a quarter of its variety, as runs do.
    for seed in range(20):
        assert not feed(history(seed, judge=-3.6, distinct=0.97, vendi=60.0))


def test_a_collapse_is_told_once_with_its_numbers():
    said = feed(history(distinct=0.05, vendi=1.2))
    texts = list(said.values())
    assert 40 < min(said) < 60
    assert sum("distinct" in text for text in texts) == 1
    assert sum("vendi" in text for text in texts) == 1
    assert not any("judge" in text for text in texts)
    first = texts[0]
    begun = "the reward may be hacked: from the first 3 updates (to step 16,384) to the latest 8 "
    assert first.startswith(begun)
    assert "the mean return rose from " in first
    assert "(1 to " in first or "(80" in first or "(79" in first


def test_a_judge_that_falls_is_told():
    said = feed(history(judge=-4.5))
    assert len(said) == 1
    assert "while judge (-2.98 to -3.99) fell." in next(iter(said.values()))


def test_a_slow_slide_is_told():
    rows = [
        (u, 20.0 * u / UPDATES, {"vendi": 80.0 - 50.0 * u / UPDATES + 2.0 * (-1) ** u})
        for u in range(UPDATES)
    ]
    assert len(feed(rows)) == 1


def test_a_fall_without_a_rise_of_the_return_is_no_hacking():
    assert not feed(history(distinct=0.05, vendi=1.2, rise=0.0))
    assert not feed(history(distinct=0.05, vendi=1.2, rise=-20.0))


def test_it_speaks_again_after_recovery_only():
    def rows(path):
        for update, vendi in enumerate(path):
            yield update, float(update), {"vendi": vendi + 0.1 * (-1) ** update}

    down, half, up = [80.0] * 20 + [20.0] * 30, [50.0] * 30, [79.0] * 30
    assert len(feed(rows(down + half + [20.0] * 30))) == 1
    assert len(feed(rows(down + up + [20.0] * 30))) == 2
    monitor = HackingMonitor()
    raised = []
    for update, *row in rows(down + up):
        monitor.update(update, *row)
        raised.append("vendi" in monitor.raised)
    assert raised[49]
    assert not raised[-1]


@pytest.mark.parametrize("deviation", [0.05, 0.2, 0.5])
def test_noise_raises_hardly_a_flag_even_while_the_return_rises(deviation):
    """Six numbers of white noise, 100 runs of 120 updates."""
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = (
            (u, u + rng.normal(), {str(i): 1 + deviation * rng.normal() for i in range(6)})
            for u in range(UPDATES)
        )
        alarms += bool(feed(rows))
    assert alarms <= 1


def test_nothing_is_said_before_there_are_two_groups_and_a_flat_line_is_no_fault():
    rows = [(u, 10.0 * (u >= BEGINNING), {"x": 1.0 * (u < BEGINNING)}) for u in range(20)]
    assert min(feed(rows)) == BEGINNING + WINDOW - 1
    assert not feed((u, 1.0, {"x": 1.0}) for u in range(20))


def test_rules_that_moved_are_named_and_unknown_ones_left_out():
    monitor, texts = HackingMonitor(), []
    for u in range(30):
        late = u >= 10
        wiggle = 0.01 * (-1) ** u
        rules = {"leaps": 1.0 + 4 * late + wiggle, "still": 1.0 + wiggle, "nothing": float("nan")}
        texts.append(monitor.update(u, u / 10, {"x": 1.0 - 0.9 * late + wiggle}, rules))
    said = "".join(texts)
    assert "Broken rules a piece that are not rewarded: leaps (1" in said
    assert "still" not in said
    assert "nothing" not in said


def test_bad_input():
    monitor = HackingMonitor()
    with pytest.raises(ValueError, match="nan"):
        monitor.update(1000, float("nan"), {"x": 1.0})
    with pytest.raises(ValueError, match="inf"):
        monitor.update(0, 1.0, {"x": float("inf")})
    monitor.update(0, 1.0, {"x": 1.0})
    with pytest.raises(ValueError, match="'y'"):
        monitor.update(1, 1.0, {"y": 1.0})
    for settings in ({"window": 1}, {"errors": -1.0}, {"share": float("nan")}):
        with pytest.raises(ValueError, match="window"):
            HackingMonitor(**settings)


def test_every_statistic_belongs_to_a_registered_term():
    found = rl_tuner_statistics(random_pieces(Task(), 2))
    assert STATISTICS.keys() == found.keys()
    assert set(STATISTICS.values()) <= REGISTRY.keys()
    assert not STATISTICS.keys() & REGISTRY.keys()


def test_what_a_reward_leaves_out():
    def my_own(score):
        return score.onset * 1.0

    own = {name for name, rule in REGISTRY.items() if rule.__module__ == traits.__name__}
    assert set(held_out_rules(build({my_own: 1.0}))) == {*REGISTRY, *STATISTICS} - own
    assert "note_rate" in own
    pack = held_out_rules(build("rl_tuner"))
    assert "leap_recovery" in pack
    assert not set(pack) & {*STATISTICS, "key", "in_key", "motif"}
    # Under another name, with a parameter, and its twin of RL Tuner.
    for spec in ("in_key", "rewards.rules.melody:in_key", "key"):
        names = held_out_rules(build({spec: 2.0}))
        assert not set(names) & {"in_key", "key", "notes_not_in_key"}
        assert "notes_in_motif" in names
    bound = held_out_rules(build({"leap_recovery": {"weight": 1.0, "min_leap": 7}}))
    assert "leap_recovery" not in bound
    assert "motif" in held_out_rules(build({"motif": 0.0, "key": -1.0}))


def test_means_are_those_of_the_rules_themselves():
    score = random_pieces(Task(), 40, seed=2)
    names = [*REGISTRY, *STATISTICS]
    means = rule_means(score, names)
    assert list(means) == names
    for name in REGISTRY:
        expected = np.asarray(REGISTRY[name](score), float).sum(axis=(1, 2)).mean()
        assert means[name] == pytest.approx(expected, abs=1e-5)
    assert means["in_key"] > 0  # a violation counts up, whatever its sign as a reward
    assert means["notes_not_in_key"] == means["key"]
    assert means["num_high_unique"] + means["num_low_unique"] == means["high_low_unique"]


def test_means_of_what_cannot_be_counted_and_bad_input():
    constant = Score(np.full((3, 1, 32), 14), Task())
    assert np.isnan(rule_means(constant, ["autocorrelation1"])["autocorrelation1"])
    mixed = Score(np.concatenate([constant.tokens, random_pieces(Task(), 1).tokens]), Task())
    assert np.isfinite(rule_means(mixed, ["autocorrelation1"])["autocorrelation1"])
    with pytest.raises(ValueError, match="leaps"):
        rule_means(constant, ["leaps"])
    with pytest.raises(ValueError, match="finished"):
        rule_means(Score.page(Task(), 2), ["motif"])


def against(prior, rows, **settings):
    """Warnings by update, each update compared with the prior's numbers on its task."""
    monitor = HackingMonitor(4, **settings)
    said = {}
    for update, (task, returned, numbers) in enumerate(rows):
        text = monitor.update(256 * update, returned, numbers, None, prior[task])
        said |= {update: text} if text else {}
    return said


def test_a_fall_is_measured_against_the_prior():
    prior = [{"close": 0.98, "edit_distance": 0.46, "return": -5.0, "spread": 4.0}]

    def rows(close, edit_distance, level=3.0):
        for u in range(30):
            wiggle = 0.004 * (-1) ** u
            numbers = {"close": close + wiggle, "edit_distance": edit_distance + wiggle}
            yield 0, level + wiggle, numbers

    assert not against(prior, rows(0.93, 0.40))  # 5% and 13%
    # It had fallen before the first update: no fall since the run began, and yet one.
    said = against(prior, rows(0.70, 0.40))
    assert list(said) == [3]
    assert "many pieces end with the same notes" in said[3]
    assert "rose from -5 to 3" in said[3]
    assert "close (0.98 to 0.7) fell" in said[3]
    assert "edit_distance" not in said[3]
    assert "the pieces are alike" in against(prior, rows(0.93, 0.29))[3]
    assert not against(prior, rows(0.70, 0.29, level=-5.5))  # paid no more than the prior


def test_tasks_are_compared_like_with_like():
    """Long pieces have another return and other numbers than short ones, and no fault in that."""
    prior = [
        {"vendi": 20.0, "edit_distance": 0.3, "return": -10.0, "spread": 2.0},
        {"vendi": 60.0, "edit_distance": 0.5, "return": -80.0, "spread": 9.0},
    ]

    def rows(kept, seed):
        rng = np.random.default_rng(seed)
        for update in range(60):
            task = int(update > 10 and rng.integers(2))
            base = prior[task]
            noise = 1 + 0.03 * rng.normal(size=2)
            numbers = {
                n: base[n] * kept * noise[k] for k, n in enumerate(("vendi", "edit_distance"))
            }
            yield task, base["return"] + min(update, 30) / 10 * base["spread"], numbers

    assert not any(against(prior, rows(0.9, seed)) for seed in range(10))
    for seed in range(10):
        said = against(prior, rows(0.45, seed))
        assert len(said) == 1
        assert min(said) < 15
        assert "vendi" in next(iter(said.values()))


def test_noise_about_the_prior_raises_hardly_a_flag():
    prior = dict.fromkeys(SIGNS, 1.0) | {"return": 0.0, "spread": 1.0}
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rows = ((0, u / 10, {n: 1 + 0.1 * rng.normal() for n in SIGNS}) for u in range(UPDATES))
        alarms += bool(against([prior], rows))
    assert alarms <= 2


def test_the_prior_s_numbers_have_to_be_there():
    monitor = HackingMonitor()
    with pytest.raises(ValueError, match="spread"):
        monitor.update(0, 1.0, {"x": 1.0}, None, {"x": 1.0, "return": 0.0})
    broken = {"x": float("nan"), "return": 0.0, "spread": 1.0}
    with pytest.raises(ValueError, match="nan"):
        monitor.update(0, 1.0, {"x": 1.0}, None, broken)
