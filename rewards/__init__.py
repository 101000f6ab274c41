"""Judgements of music: rules, likelihood and their weighted sum. `rewards.build({...})`."""

from envs.old_names import install
from rewards.build import build
from rewards.functions import cellwise, per_note, per_piece
from rewards.sum import RewardSum
from rewards.term import Term

__all__ = ["RewardSum", "Term", "build", "cellwise", "per_note", "per_piece"]

install(__name__)
