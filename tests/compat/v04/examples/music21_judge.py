"""A judgement by music21, once for each finished piece. About a millisecond a note, so give a
training few pieces:

python -m agents.train --algo rloo --reward prior=1 examples/music21_judge.py:clear_key=4 -n 20000
"""

from envs.contract import per_piece


@per_piece
def clear_key(notes):
    """How well one key explains the notes: its correlation (Krumhansl 1990), -1..1."""
    from music21 import note, stream

    if len({each.pitch % 12 for each in notes}) < 2:
        return 0.0  # no key, and music21 divides by 0
    line = stream.Stream()
    for each in notes:
        sound = note.Note(each.pitch, quarterLength=each.duration / 4)
        line.insert(each.start / 4, sound)
    return float(line.analyze("key").correlationCoefficient)
