"""RuleSight against asking every rule of every piece with one more cell, one by one."""

import sys

import numpy as np
import pytest

from envs.music.noise import noise
from envs.music.score import Score
from pretrained.networks.sighted import SightError
from rewards import build
from rewards.functions import cellwise
from rewards.rule import OWN
from rewards.rules import plan
from rewards.sight import TRIED, RuleSight, fingerprint, read

SMALL = {"in_key": 1.0, "leap_recovery": {"weight": 0.5, "min_leap": 7}, "late_climax": 1.0}


def sight_of(spec):
    return RuleSight.of(build(spec).terms.values())


def beginning(task, cells, pieces=3):
    """A score whose first cells are noise."""
    tokens = noise(task, 5, pieces, holds=3.0).tokens
    return Score(tokens, task, cells)


@pytest.mark.parametrize("task", TRIED)
@pytest.mark.parametrize("cells", [0, 1, 17])
def test_columns_are_the_values_that_each_token_would_have(task, cells):
    reward = build(SMALL)
    sight, score = RuleSight.of(reward.terms.values()), beginning(task, cells)
    seen, allowed = sight.at(score), score.allowed()
    assert (seen[..., 0] == allowed).all()
    assert (seen[~allowed] == 0).all()
    for piece, token in np.argwhere(allowed):
        alone = Score(score.tokens[piece : piece + 1], task, cells).write(np.array([token]))
        finished = alone
        for number, term in enumerate(sight.terms, 1):
            value = term.rule(finished)[0, 0, cells]
            assert seen[piece, token, number] == pytest.approx(value)


@pytest.mark.parametrize("spec", [SMALL, {"common_practice": 1.0}, {"rl_tuner": 1.0}])
def test_facts_are_what_was_seen_of_the_written_tokens(spec):
    for task in TRIED:
        sight, score = sight_of(spec), noise(task, 3, 4, holds=3.0)
        along, facts = sight.along(score), sight.facts(score)
        chosen = np.take_along_axis(along, score.written_since(0)[..., None, None], 2)[:, :, 0]
        np.testing.assert_array_equal(chosen, facts)


def test_a_running_state_is_seen_before_the_rule_judges():
    sight = sight_of({"late_climax": 1.0})
    facts = sight.facts(noise(TRIED[0], 0, 8, holds=3.0))
    scans = [n for n, name in enumerate(sight.columns) if " " in name]
    assert scans
    assert (facts[:, :20, 1] == 0).all()  # the verdict is at the end
    assert facts[:, :20, scans].std() > 0


def test_weights_and_other_pieces_do_not_matter():
    task = TRIED[0]
    one, other = (
        sight_of(SMALL),
        sight_of(dict.fromkeys(SMALL, 3.0) | {"leap_recovery": SMALL["leap_recovery"]}),
    )
    score = beginning(task, 9)
    np.testing.assert_array_equal(one.at(score), other.at(score))
    np.testing.assert_array_equal(one.at(score)[1:2], one.at(score.take([1])))


def test_a_description_gives_the_same_sight_again():
    sight, score = sight_of({"common_practice": 1.0}), beginning(TRIED[1], 20)
    again = read(sight.description)
    assert again.columns == sight.columns
    np.testing.assert_array_equal(again.at(score), sight.at(score))


def test_nothing_that_a_description_names_is_imported(tmp_path, monkeypatch):
    marker = tmp_path / "ran"
    (tmp_path / "theirs.py").write_text(f"open({str(marker)!r}, 'w').close()\nsmooth = print\n")
    monkeypatch.syspath_prepend(tmp_path)
    facts = sight_of(SMALL).description
    for name in ("theirs:smooth", f"{tmp_path}/theirs.py:smooth", "os:system"):
        terms = [{**facts["terms"][0], "name": name, "rule": name}]
        with pytest.raises(SightError, match="ship"):
            read({**facts, "terms": terms})
    assert not marker.exists()
    assert "theirs" not in sys.modules


def test_a_rule_of_ones_own_is_known_once_its_reward_is_built(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from rewards.functions import cellwise\n\n\n@cellwise\n"
        "def repeats(score):\n    return 1.0 * (score.onset & (score.interval == 0))\n"
    )
    facts = sight_of({f"{file}:repeats": 1.0}).description
    assert read(facts).columns[1] == f"{file}:repeats"
    del OWN[f"{file}:repeats"]
    with pytest.raises(SightError, match="mine.py:repeats"):
        read(facts)


def test_a_rule_that_has_changed_is_refused():
    facts = sight_of({"leap_recovery": {"weight": 1.0, "min_leap": 5}}).description
    read(facts)
    changed = {**facts["terms"][0], "parameters": {"min_leap": 9}}
    with pytest.raises(SightError, match="other values"):
        read({**facts, "terms": [changed]})


def test_a_running_state_that_is_told_no_more_is_refused():
    facts = sight_of({"leap_recovery": 1.0}).description
    assert facts["columns"][-1] in read(facts).columns
    other = [*facts["columns"][:-1], "leap_recovery _follow_notes 1.0"]
    with pytest.raises(SightError, match="_follow_notes"):
        read({**facts, "columns": other})


def test_what_scans_say_is_in_the_fingerprint(monkeypatch):
    (term,) = build({"sequence": 1.0}).terms.values()
    before, follow = fingerprint(term), plan._follow_figures

    def other(state, here, size):
        state, (found,) = follow(state, here, size)
        return state, (found, found | True)  # the rule reads the first one alone

    monkeypatch.setattr(plan, "_follow_figures", other)
    assert fingerprint(term) != before


def test_a_bar_is_seen_in_one_column_in_all_metres():
    sight = sight_of({"sequence": 1.0})
    assert [name for name in sight.columns if "figures" in name] == [
        "sequence _follow_figures 1.0",
        "sequence _follow_figures 2.0",
    ]


def test_a_function_of_the_same_name_does_not_hide_a_rule_that_ships():
    facts = sight_of({"leap_recovery": {"weight": 1.0, "min_leap": 9}}).description

    def leap_recovery(score):
        return 1.0 * score.onset

    build({leap_recovery: 1.0})
    try:
        assert read(facts).columns == tuple(facts["columns"])
    finally:
        OWN.pop("leap_recovery", None)


def test_parameters_change_the_fingerprint():
    one, other = (
        next(iter(build({"leap_recovery": {"weight": 1.0, "min_leap": leap}}).terms.values()))
        for leap in (5, 9)
    )
    assert fingerprint(one) != fingerprint(other)


def test_terms_that_cannot_be_seen_are_left_out():
    def loudness(score):
        return np.zeros(score.batch, np.float32)

    @cellwise
    def in_sixteen_bars_only(score):
        if score.task.bars != 16:
            raise ValueError("sixteen bars only")
        return np.zeros(score.tokens.shape, np.float32)

    class Learning:
        cellwise = True

        def __call__(self, score):
            return np.zeros(score.tokens.shape, np.float32)

        def update(self, real, generated):
            return {}

    unseen = {loudness: 1.0, Learning(): 1.0, in_sixteen_bars_only: 1.0, "prior": 1.0}
    assert RuleSight.of(build(unseen).terms.values()) is None
    assert sight_of({"in_key": 1.0, **unseen}).columns[:2] == ("allowed", "in_key")
