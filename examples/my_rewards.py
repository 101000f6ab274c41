"""Rewards of one's own. Use them by file and name:

python -m agents.train --reward rl_tuner=0.5 prior=1 examples/my_rewards.py:smooth=0.3
"""

import numpy as np

from envs.contract import cellwise, per_piece


@cellwise
def smooth(score):
    """Minus the size of each move, in octaves: arrays in, an array out."""
    return -np.abs(score.interval) / 12.0


@per_piece
def arch(notes):
    """1 if the highest note lies in the middle half of the piece: plain notes in, a number out."""
    if not notes:
        return 0.0
    highest = max(notes, key=lambda note: note.pitch)
    end = notes[-1].start + notes[-1].duration
    return float(end / 4 <= highest.start <= 3 * end / 4)
