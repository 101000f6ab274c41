"""The environment of counterpoint draws a cantus firmus for each piece, or keeps a given one."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  (registers the ids)
from envs.check_env import check_composition_env
from envs.music.codec import UNWRITTEN
from envs.music.voices.cantus import cantus_row, drawn_firmi
from rewards.build import build

ID = "composition/Counterpoint-v0"


def vector(n, **arguments):
    return gymnasium.make_vec(ID, num_envs=n, vectorization_mode="vector_entry_point", **arguments)


@pytest.mark.parametrize("arguments", [{}, {"species": 5, "above": False, "key": "A minor"}])
def test_it_passes_both_checks(arguments):
    check_env(gymnasium.make(ID, **arguments).unwrapped)
    check_composition_env(gymnasium.make(ID, **arguments))
    check_composition_env(vector(3, **arguments))


@pytest.mark.parametrize("above", [True, False])
def test_each_piece_has_a_cantus_firmus_of_the_mode(above):
    env = vector(64, above=above, key="E phrygian")
    tokens = env.reset(seed=3)[0]["tokens"]
    given, free = tokens[:, 1 if above else 0], tokens[:, 0 if above else 1]
    assert (free == UNWRITTEN).all()
    task = env.unwrapped.task
    known = set(drawn_firmi(task.key, *task.spans[1 if above else 0]))
    lines = {tuple(n.pitch for n in task.codec.decode(row)) for row in given}
    assert lines <= known
    assert len(lines) > 20
    again = env.reset(seed=3)[0]["tokens"]
    np.testing.assert_array_equal(tokens, again)
    assert (env.reset()[0]["tokens"] != tokens).any()


@pytest.mark.parametrize("mode", ["C major", "D dorian", "E phrygian", "F lydian", "G mixolydian"])
def test_what_is_drawn_keeps_the_rules_of_a_cantus_firmus(mode):
    from envs.music.score import Score
    from envs.music.task import Task

    task = Task(key=mode, bars=11, grid=1, low="G3", high="G5")
    rows = [[cantus_row(pitches, task)] for pitches in drawn_firmi(task.key, 55, 79)]
    paid = build("cantus_firmus")(Score(rows, task)).sum(axis=(1, 2))
    assert paid.min() > -0.01


def test_a_cantus_firmus_of_ones_own_is_in_every_piece():
    task = vector(1).unwrapped.task
    own = [list(row) for row in task.given]
    own[1][0] = own[1][0] + 2
    tokens = vector(5, given=own).reset(seed=1)[0]["tokens"]
    assert (tokens == np.array(own)).all()


def test_the_first_of_those_drawn_is_in_every_piece_if_none_is_to_be_drawn():
    first = vector(1).unwrapped.task.given
    tokens = vector(64, given=first).reset(seed=1)[0]["tokens"]
    assert len(np.unique(tokens[:, 1], axis=0)) > 20  # it stands for all, so that tasks come back
    tokens = vector(64, given=first, drawn=False).reset(seed=1)[0]["tokens"]
    assert (tokens == np.array(first)).all()


@pytest.mark.parametrize("arguments", [{"ranges": "C5-A5 A4-D5"}, {"key": "D 0,2,3,5,9,10"}])
def test_one_of_ones_own_needs_none_that_could_be_drawn(arguments):
    with pytest.raises(ValueError, match=r"ranges|degrees"):
        vector(1, **arguments)
    task = vector(1).unwrapped.task
    pitches = [74, 72, 74, 70 if "ranges" not in arguments else 71, 72, 69, 70, 72, 74, 72, 74]
    row = cantus_row(pitches, task)
    tokens = vector(3, given=[[UNWRITTEN] * task.cells, row], **arguments).reset(seed=1)[0]
    assert (tokens["tokens"][:, 1] == row).all()


def test_a_given_cantus_firmus_in_the_other_voice_is_refused():
    own = vector(1).unwrapped.task.given
    with pytest.raises(ValueError, match="above=False"):
        vector(1, given=own, above=False, ranges="G3-E5 G3-E5")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"species": 6}, "species"),
        ({"bars": 9}, "given"),
        ({"ranges": "C4-D4 C4-D4"}, "ranges"),
        ({"key": "D blues"}, "degrees"),
        ({"pickup": 2}, "pickup"),
        ({"drawn": False}, "given"),
    ],
)
def test_what_cannot_be_is_refused(arguments, word):
    with pytest.raises(ValueError, match=word):
        vector(2, **arguments)


def test_the_reward_is_that_of_the_species():
    assert vector(1, species=3).unwrapped.reward.terms.keys() == build("fux_species_3").terms.keys()
