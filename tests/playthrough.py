"""Golden playthroughs: a random episode of each kind as text.

    python -m tests.playthrough     # writes tests/golden/*.txt again; read the difference

It has masks, observations and rewards in a form that people can read and a test can compare.
"""

from pathlib import Path

import gymnasium
import numpy as np

import envs  # noqa: F401  (registers the ids)
from envs.music.task import CONTEXT

GOLDEN = Path(__file__).parent / "golden"
RULES = {"rl_tuner": 1.0, "in_key": 1.0, "leap_recovery": {"weight": 0.5, "min_leap": 7}}
GIVEN = (14, 1, 1, 1) + (-1,) * 8
PLAYS = {
    "rl_tuner": ("composition/RLTuner-v0", {}, {}),
    "melody_three_four": (
        "composition/Melody-v0",
        {"meter": "3/4", "bars": 1, "low": "G3", "high": "G5", "reward": RULES},
        {"primer": [26, 1]},
    ),
    "two_voices_given": (
        "composition/Melody-v0",
        {"meter": "6/8", "bars": 1, "voices": 2, "given": (GIVEN, (-1,) * 12), "reward": RULES},
        {},
    ),
}


def ranges(numbers):
    """Return numbers as ranges: '0 14-26' for 0 and 14 to 26."""
    parts = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return " ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def play(name):
    """Play an episode and return its text."""
    env_id, arguments, options = PLAYS[name]
    env = gymnasium.make(env_id, **arguments, render_mode="ansi").unwrapped
    rng = np.random.default_rng(7)
    observation, _ = env.reset(seed=7, options=options or None)
    lines = [f"{env_id} {arguments} {options}", f"tokens {env.action_space.n}", ""]
    terminated, paid = False, 0.0
    while not terminated:
        allowed = np.flatnonzero(observation["action_mask"])
        context = zip(CONTEXT, observation["context"].tolist(), strict=True)
        lines.append(" ".join(f"{key}={value:g}" for key, value in context))
        lines.append(f"  allowed {ranges(allowed)}")
        hold = 1 in allowed and rng.random() < 0.4
        action = 1 if hold else int(rng.choice(allowed))
        observation, reward, terminated, truncated, info = env.step(action)
        paid += reward
        terms = {k: round(v, 4) for k, v in info["reward_terms"].items() if round(v, 4)}
        lines.append(f"  action {action}  reward {reward:.4f}  {terms}")
        assert not truncated
    lines += [env.render(), f"terminated, return {paid:.4f}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    for each in PLAYS:
        (GOLDEN / f"{each}.txt").write_text(play(each))
