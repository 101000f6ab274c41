"""Rewards of one's own. Use them by file and name:

python -m envs.check examples/my_rewards.py:smooth
python -m agents.train --reward rl_tuner=0.5 prior=1 examples/my_rewards.py:smooth=0.3
python -m agents.compose --method prior --must examples/my_rewards.py:too_wide --out tunes
"""

import numpy as np

from envs.contract import cellwise, per_note, per_piece


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


@per_note
def time_to_leap(note, previous, *, leap=5, rest=4):
    """A leap needs time: 1 behind a note of `rest` cells or more, -1 behind a shorter one."""
    if previous is None or abs(note.pitch - previous.pitch) < leap:
        return 0.0
    return 1.0 if previous.duration >= rest else -1.0


@cellwise
def too_wide(score, *, most=7):
    """Above 0 where a move is wider than `most` semitones: a hard rule for --must and --mask."""
    return (np.abs(score.interval) > most) * 1.0
