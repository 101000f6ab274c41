"""Fine-tune the pretrained network as an agent's policy.

    python -m agents.train
    python -m agents.train --reward rl_tuner=0.5 prior=1 my_rewards.py:smooth=0.3
    python -m agents.train --env composition/Melody-v0 --task bars=4 meter=3/4
    python -m agents.train --resume runs/rltuner-v0-ppo-1

Prints the statistics of agent and prior beside the published ones, and leaves a run directory
with the policy, metrics, a learning curve and melodies.
"""

from __future__ import annotations

from agents.settings import commands
from agents.settings.arguments import parse_arguments
from agents.training.job import train


def main() -> None:
    """Command line."""
    commands.run(lambda: train(*parse_arguments(description=__doc__ or "")))


if __name__ == "__main__":
    main()
