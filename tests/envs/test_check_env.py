"""check_composition_env: what is built in passes, each broken environment has its own message."""

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers the ids)
from envs.check_env import EnvironmentFault, check_composition_env
from envs.composition import CompositionEnv, CompositionVectorEnv

RULES = {"reward": "rl_tuner"}
GIVEN = ((-1, 16, -1, 1) + (-1,) * 12,)
TASKS = [{}, {"meter": "6/8", "pickup": 3, "key": "D dorian"}, {"voices": 3, "bars": 1},
         {"bars": 1, "given": GIVEN}, {"bars": 1, "low": "C4", "high": "C6"}]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_single_environments_pass(task):
    check_composition_env(CompositionEnv(**RULES, **task))


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
@pytest.mark.parametrize("task", TASKS[:4])
def test_vector_environments_pass(task, mode):
    check_composition_env(CompositionVectorEnv(5, autoreset_mode=mode, **RULES, **task))


@pytest.mark.parametrize(
    "name", ["composition/RLTuner-v0", "composition/Melody-v0", "composition/Chorale-v0"]
)
def test_registered_environments_pass_in_their_wrappers(name):
    check_composition_env(gymnasium.make(name))


class Env(CompositionEnv):
    """One bar, of which a test breaks one part."""

    def __init__(self):
        super().__init__(bars=1, reward={"in_key": 1.0, "tonic": 1.0})


class Stale(Env):
    def step(self, action):
        before = self.score.tokens.copy()
        observation, *rest = super().step(action)
        return {**observation, "tokens": before[0]}, *rest


class AllAllowed(Env):
    def reset(self, **how):
        observation, info = super().reset(**how)
        return {**observation, "action_mask": np.ones_like(observation["action_mask"])}, info


class OtherMasks(Env):
    def action_masks(self):
        return np.ones(38, bool)


class NoMasks(Env):
    action_masks = property()


class EndsEarly(Env):
    def step(self, action):
        observation, reward, ended, *rest = super().step(action)
        return observation, reward, ended or self.score.n_written == 8, *rest


class NeverEnds(Env):
    def step(self, action):
        observation, reward, _, *rest = super().step(action)
        return observation, reward, False, *rest


class Truncates(Env):
    def step(self, action):
        observation, reward, ended, _, info = super().step(action)
        return observation, reward, False, ended, info


class Bonus(Env):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, reward + 1.0, *rest


class BonusInTerms(Env):
    def step(self, action):
        observation, reward, ended, cut, info = super().step(action)
        terms = info["reward_terms"]
        return observation, reward + 1, ended, cut, {"reward_terms": {**terms, "bonus": 1.0}}


class NoTerms(Env):
    def step(self, action):
        return *super().step(action)[:4], {}


class NoNumber(Env):
    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float("nan"), *rest


class Chance(Env):
    """Now and then another term has the same sum."""

    def step(self, action):
        observation, reward, ended, cut, info = super().step(action)
        noise = float(np.random.default_rng().random())
        if ended:
            noise = -self.before
        self.before = getattr(self, "before", 0.0) * (self.score.n_written > 1) + noise
        terms = {**info["reward_terms"], "noise": noise}
        return observation, reward + noise, ended, cut, {"reward_terms": terms}


class NeverCleared(Env):
    def reset(self, **how):
        if self.score.n_written in (0, 16):
            return super().reset(**how)
        return self._last, {}

    def step(self, action):
        observation, *rest = super().step(action)
        self._last = observation
        return observation, *rest


class OneArray(Env):
    page = np.zeros((1, 16), np.int16)

    def _same(self, observation):
        self.page[:] = observation["tokens"]
        return {**observation, "tokens": self.page}

    def reset(self, **how):
        observation, info = super().reset(**how)
        return self._same(observation), info

    def step(self, action):
        observation, *rest = super().step(action)
        return self._same(observation), *rest


class WrongPlace(Env):
    def step(self, action):
        observation, *rest = super().step(action)
        observation["context"][0] = 0.0
        return observation, *rest


class Wider(Env):
    def __init__(self):
        super().__init__()
        self.action_space = gymnasium.spaces.Discrete(40)


class Goal(Env):
    def compute_reward(self, *_):
        return 0.0


class WritesWhatItLikes(Env):
    def step(self, action):
        return super().step(14)


class PlaysOn(Env):
    def step(self, action):
        if self.score.finished:
            return self.last
        self.last = super().step(action)
        return self.last


class ResetsToOne(Env):
    def reset(self, **how):
        return super().reset(**how)[0]


class StepsInFour(Env):
    def step(self, action):
        observation, reward, ended, _, info = super().step(action)
        return observation, reward, ended, info


class NoPrimer(Env):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=seed)


BROKEN = {
    ResetsToOne: r"reset\(\) returned dict; expected a tuple \(observation, info\)",
    StepsInFour: r"step\(\) returned a tuple of 4; expected a tuple \(observation, reward, term",
    NoPrimer: r"after reset\(\) with a primer: cell 0 of voice 0 shows -1, expected 2",
    Stale: "after step 1 of 16: action .* left token -1 in cell 0 of voice 0; expected the action",
    AllAllowed: r"after reset\(\): action_mask allows token 1",
    OtherMasks: r"action_masks\(\) differs from observation",
    NoMasks: r"it has no action_masks\(\)",
    EndsEarly: "after step 8 of 16: terminated is True, expected False: an episode lasts 16",
    NeverEnds: "after step 16 of 16: terminated is False, expected True",
    Truncates: "after step 16 of 16: truncated is set",
    Bonus: r'the reward is .* and info\["reward_terms"\] sum to',
    BonusInTerms: "the steps of an episode paid .*, the finished piece is worth",
    NoTerms: r'info\["reward_terms"\] is missing',
    NoNumber: r"the reward is \[nan\], expected finite",
    Chance: "the same seed and actions gave another piece or other rewards",
    NeverCleared: r"after reset\(\): cell 0 of voice 0 shows 2, expected -1",
    OneArray: "the observation given before has changed; give a copy",
    WrongPlace: "context says cell = 0, expected 1",
    Wider: "observation_space and action_space are not those of the task",
    Goal: "it has a compute_reward",
    WritesWhatItLikes: "action .* left token 14 in cell 0 of voice 0; expected the action itself",
    PlaysOn: "a finished piece took a further step",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_each_broken_environment_has_its_message(kind):
    with pytest.raises(EnvironmentFault, match=BROKEN[kind]):
        check_composition_env(kind())


def test_an_environment_of_another_kind_has_no_task():
    with pytest.raises(EnvironmentFault, match="task"):
        check_composition_env(gymnasium.make("CartPole-v1"))


class Mixed(CompositionVectorEnv):
    """Pays each piece what another one earned."""

    def step(self, actions):
        observation, reward, ended, cut, info = super().step(actions)
        return observation, np.roll(reward, 1), ended, cut, info


def test_a_vector_environment_that_mixes_its_pieces_is_found():
    check_composition_env(CompositionVectorEnv(4, bars=1, **RULES))
    with pytest.raises(EnvironmentFault, match="reward"):
        check_composition_env(Mixed(4, bars=1, **RULES))
