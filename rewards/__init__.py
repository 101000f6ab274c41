"""What music is good: rules, likelihood and their weighted sum. `rewards.build({...})`."""

from rewards.total import RewardSum, Term, build

__all__ = ["RewardSum", "Term", "build"]
