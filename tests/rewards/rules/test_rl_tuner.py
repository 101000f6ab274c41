"""The nine rules and the statistics against the reference's recorded values and a slow oracle."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.build import build, read_pack
from rewards.measures.statistics import collect, distinct, format_table, table_rows
from rewards.rule import REGISTRY
from rewards.rules.rl_tuner import autocorrelation, motif_pitches
from rewards.sum import total
from tests.rewards.rules import slow_rl_tuner

RULES = list(read_pack("rl_tuner"))
REFERENCE = np.load(Path(__file__).parent / "rl_tuner_reference.npz")
STATISTICS = [name.removeprefix("stat_") for name in REFERENCE if name.startswith("stat_")]


@pytest.fixture(scope="module")
def recorded():
    return Score(REFERENCE["tokens"][:, None], Task())


@pytest.fixture(scope="module")
def ours(recorded):
    return build("rl_tuner").breakdown(recorded)


def test_the_pack_has_the_nine_rules_of_the_recording():
    recorded = {name.removeprefix("reward_") for name in REFERENCE if name.startswith("reward_")}
    assert set(RULES) == recorded - {"music_theory"}
    assert len(RULES) == 9


@pytest.mark.parametrize("rule", RULES)
def test_rule_equals_the_recorded_values_at_every_step(rule, ours):
    difference = np.abs(ours[rule][:, 0] - REFERENCE[f"reward_{rule}"])
    allowed = np.full(difference.shape, 1e-5)
    if rule == "penalize_autocorrelation":
        # A coefficient of exactly .15 costs 3 * .15 or nothing, at up to three lags.
        allowed[REFERENCE["autocorrelation_near_threshold"]] += 3 * 0.45
    assert (difference <= allowed).all()


def test_near_threshold_differences_are_whole_lags(ours):
    near = REFERENCE["autocorrelation_near_threshold"]
    rule = "penalize_autocorrelation"
    lags = (ours[rule][:, 0] - REFERENCE[f"reward_{rule}"])[near] / 0.45
    np.testing.assert_allclose(lags, np.round(lags), atol=1e-4)


def test_total_is_the_sum_of_the_nine(ours):
    near = REFERENCE["autocorrelation_near_threshold"]
    difference = np.abs(total(ours)[:, 0] - REFERENCE["reward_music_theory"])
    assert difference[~near].max() < 1e-4  # float32 sums of up to a hundred


@pytest.mark.parametrize("name", STATISTICS)
def test_statistic_equals_the_recorded_one(name, recorded):
    values = collect(recorded, chunk=500)[name]
    np.testing.assert_allclose(values, REFERENCE[f"stat_{name}"], atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("bars", [1, 2, 5])
def test_rules_equal_the_slow_oracle_at_other_lengths(bars):
    task = Task(bars=bars, meter="3/4")
    rng = np.random.default_rng(bars)
    width = rng.integers(3, 38, 40)  # few different tokens make repeats and motifs
    melodies = np.stack([rng.integers(0, w, task.cells) + (37 - w) // 2 * (w < 20) for w in width])
    ours = build("rl_tuner").breakdown(Score(melodies[:, None], task))
    for row, melody in enumerate(melodies.tolist()):
        for name, expected in slow_rl_tuner.rewards(melody).items():
            atol = 0.451 * 3 if name == "penalize_autocorrelation" else 1e-4
            np.testing.assert_allclose(ours[name][row, 0], expected, atol=atol, err_msg=name)


@given(st.lists(st.integers(0, 37), min_size=32, max_size=32))
@settings(max_examples=60, deadline=None)
def test_slow_oracle_agrees_on_any_melody(melody):
    ours = build("rl_tuner").breakdown(Score(np.array([[melody]]), Task()))
    for name, expected in slow_rl_tuner.rewards(melody).items():
        atol = 0.451 * 3 if name == "penalize_autocorrelation" else 1e-4
        np.testing.assert_allclose(ours[name][0, 0], expected, atol=atol, err_msg=name)


def test_repeated_motifs_are_found_far_apart_and_never_overlapping():
    motif = [14, 16, 18, 19, 21, 23, 25, 26]
    filler = [14, 1] * 8
    task = Task(bars=3)
    far = motif + filler + motif + filler
    near = motif[:4] * 2 + motif[:4] * 2 + filler * 2
    values = build({"repeated_motif": 1.0})(Score(np.array([[far], [near]]), task))[:, 0]
    assert values[0, 31] == 1 + 0.25 * 5  # eight pitches
    assert np.flatnonzero(values[0])[0] == 31
    assert np.flatnonzero(values[1])[0] == 15  # the window of 8 closes again at the 16th token


def test_a_piece_without_notes_has_no_lowest_one():
    silence = np.array([[[0] * 32], [[0] + [1] * 31], [[1] * 31 + [0]]])
    paid = build({"high_low_unique": 1.0})(Score(silence, Task()))
    assert paid.sum(axis=(1, 2)).tolist() == [0, 0, 0]
    once = build({"high_low_unique": 1.0})(Score(np.array([[[14] + [1] * 31]]), Task()))
    assert once.sum() == 2


def test_motifs_count_pitches_of_every_register():
    """Of more than 64 pitches too, which stand in a second word of bits."""
    task = Task(bars=3, low=12, high=115)
    some = [0, 1, 2, 3, 64, 65, 66, 67, 105]
    tokens = np.random.default_rng(4).choice(some, (40, 1, task.cells))
    for pitches, found in ((3, motif_pitches(Score(tokens, task))), (5, None)):
        found = motif_pitches(Score(tokens, task), pitches=pitches) if found is None else found
        for row, line in enumerate(tokens[:, 0].tolist()):
            sizes = [len({t for t in line[max(0, i - 7) : i + 1] if t >= 2}) for i in range(48)]
            expected = [n if i >= 7 and n >= pitches else 0 for i, n in enumerate(sizes)]
            assert found[row, 0].tolist() == expected


def test_long_and_short_pieces_find_the_same_repeats(monkeypatch):
    task = Task(bars=8, voices=2)
    tokens = np.random.default_rng(0).integers(2, 6, (30, 2, task.cells))
    tokens[0, 0, :16] = [14, 16, 18, 19, 21, 23, 25, 26] * 2  # again after just eight cells
    compared = build({"repeated_motif": 1.0})(Score(tokens, task))
    monkeypatch.setattr("envs.music.tape.SHORT_CELLS", 0)
    by_sorting = build({"repeated_motif": 1.0})(Score(tokens, task))
    assert compared[0, 0, 15]
    np.testing.assert_array_equal(compared, by_sorting)


def test_a_threshold_met_exactly_is_not_exceeded():
    # Two values x times and y times with a lag-1 coefficient of exactly .15 in the reference's
    # flagged steps: whole-number arithmetic must call every one of them "not above".
    near = np.argwhere(REFERENCE["autocorrelation_near_threshold"])
    penalty = build({"penalize_autocorrelation": -3.0})
    for row, step in near[:40]:
        tokens = REFERENCE["tokens"][row, : step + 1].astype(int).tolist()
        n, total_, square = len(tokens), sum(tokens), sum(t * t for t in tokens)
        exact = []
        for lag in (1, 2, 3):
            products = sum(tokens[i] * tokens[i + lag] for i in range(n - lag))
            ends = sum(tokens[: n - lag]) + sum(tokens[lag:])
            above = n * n * products - n * total_ * ends + max(n - lag, 0) * total_**2
            exact.append((above, n * (n * square - total_**2)))
        score = Score(REFERENCE["tokens"][row][None, None], Task())
        over = [abs(above) / below for above, below in exact if 20 * abs(above) > 3 * below]
        assert penalty(score)[0, 0, step] == pytest.approx(-3 * sum(over))
        for (above, below), ours in zip(exact, autocorrelation(score), strict=True):
            assert (abs(ours[0, 0, step]) > 0.15) == (20 * abs(above) > 3 * below)


def test_table_rates_follow_from_the_recorded_statistics(recorded):
    rows = table_rows(recorded)
    resolved, twice = REFERENCE["stat_num_resolved_leaps"], REFERENCE["stat_num_leap_twice"]
    assert rows["leaps resolved"] == pytest.approx(
        100 * resolved.sum() / (resolved.sum() + twice.sum())
    )
    assert rows["notes in a motif"] == pytest.approx(
        100 * REFERENCE["stat_notes_in_motif"].sum() / REFERENCE["tokens"].size
    )
    assert rows["unique lowest note"] == pytest.approx(
        100 * REFERENCE["stat_num_low_unique"].mean()
    )
    assert rows["mean autocorrelation, lag 2"] == pytest.approx(
        np.nanmean(REFERENCE["stat_autocorrelation2"])
    )


def test_distinct_counts_different_pieces(recorded):
    doubled = Score(np.concatenate([recorded.tokens, recorded.tokens]), Task())
    assert distinct(doubled) == len({row.tobytes() for row in REFERENCE["tokens"]})


def test_table_text_has_our_columns_and_the_published_ones(recorded):
    text = format_table({"ours": table_rows(recorded)})
    line = next(row for row in text.splitlines() if row.startswith("leaps resolved"))
    assert line.split()[-4:] == ["77.2%", "91.1%", "90.0%", "52.2%"]
    assert "ours" in text.splitlines()[0]


def test_the_key_of_the_paper_is_the_scale_in_minor_too():
    score = score_from_text("E4 F#4 G#4 A4", key="A minor")
    assert np.flatnonzero(REGISTRY["key"](score)).tolist() == [4, 8]
    assert not REGISTRY["in_key"](score).any()
