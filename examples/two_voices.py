"""Rewards of one's own across voices: a rule of each pair, and an array of what sounds together.

python -m agents.check examples/two_voices.py:far_apart --task voices=2
python -m agents.train --task voices=2 --reward prior=1 examples/two_voices.py:far_apart \
    examples/two_voices.py:sweet=0.5
python -m agents.compose --task voices=2 --method prior --must examples/two_voices.py:far_apart
"""

from rewards.functions import cellwise
from rewards.rule import pair_rule


@pair_rule(
    source="my teacher",
    says="{other_voice} {other} and {voice} {note} are more than {most} semitones apart",
)
def far_apart(pair, *, most=16):
    """Two neighbours are no more than `most` semitones apart: a violation where a note begins."""
    moves = pair.moves
    return 1.0 * (pair.adjacent & moves.both & moves.begins & (abs(moves.interval) > most))


@cellwise
def sweet(score):
    """1 where a note of the second voice begins a third or a sixth below what the first one sounds.

    Voices are numbered from the highest, and written in that order, so a voice sees those above it.
    """
    above = score.beside(0).sounding
    third_or_sixth = ((above - score.pitch) % 12)[..., None] == (3, 4, 8, 9)
    return 1.0 * ((score.voice == 1) & score.onset & (above >= 0) & third_or_sixth.any(axis=-1))
