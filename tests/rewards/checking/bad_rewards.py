"""Rewards that each break one promise of the contract, and some that keep all of them."""

import itertools
import sys
import time

import numpy as np

from envs.music.codec import HOLD, Note
from rewards.functions import cellwise, per_piece

_CALLS = itertools.count()
_SEEN: set = set()
_BEFORE: set = set()


def peeks_ahead(score):
    return np.roll(score.onset, -1, axis=2) * 1.0


def knows_the_end(score):
    """Paid at the beginning for what stands at the end."""
    return (score.cell == 0) * (score.degree[:, :, -1:] == 0) * np.ones(score.tokens.shape)


def peeks_near_the_end(score):
    """One cell ahead, at one cell only."""
    paid = np.zeros(score.tokens.shape)
    paid[:, :, -4] = score.onset[:, :, -3]
    return paid


def peeks_for_one_pitch(score):
    """Paid before a C, and nowhere else."""
    return 1.0 * (np.roll(score.onset & (score.degree == 0), -1, axis=2))


def uses_the_batch_mean(score):
    count = score.onset.sum(axis=(1, 2))
    return count - count.mean()


def uses_the_row(score):
    return np.arange(score.batch)[::-1] - float(score.batch)


def squeezes(score):
    return np.squeeze(score.onset * 1.0, axis=0) if score.batch == 1 else score.onset * 1.0


def counts_unwritten(score):
    return np.zeros(score.tokens.shape) + (score.tokens < 0).sum(axis=2, keepdims=True)


def fails_on_unwritten(score):
    return np.eye(40)[0][score.tokens + 0] / (score.tokens >= 0)


def remembers(score):
    """Pays a piece the first time only."""
    paid = np.zeros(score.batch)
    for row, piece in enumerate(score.tokens):
        paid[row] = float(piece.tobytes() not in _SEEN)
        _SEEN.add(piece.tobytes())
    return paid


def echoes_the_call_before(score):
    """Pays pieces that are other ones than those of the call before."""
    known = {score.tokens.tobytes()} == _BEFORE
    _BEFORE.clear()
    _BEFORE.add(score.tokens.tobytes())
    return np.full(score.batch, 0.0 if known else 1.0)


def counts_its_calls(score):
    return np.full(score.batch, float(next(_CALLS)))


def draws(score):
    return np.random.default_rng().random(score.batch)


def draws_a_little(score):
    return 5 + 1e-5 * np.random.default_rng().random(score.batch)


def tells_the_time(score):
    return np.full(score.batch, time.time())


def gives_masked_arrays(score):
    return np.ma.masked_invalid(np.zeros(score.batch))


def changes_the_task(score):
    score.task.__dict__["bars"] = 7
    return np.zeros(score.batch)


def leaves(score):
    sys.exit(0)


def gives_lists(score):
    return [0.0] * score.batch


def gives_complex(score):
    return np.zeros(score.batch, complex)


def gives_words(score):
    return np.array(["good"] * score.batch)


def nan_on_rests(score):
    with np.errstate(invalid="ignore"):
        return score.pitch.sum(axis=(1, 2)) / score.onset.sum(axis=(1, 2)) * (score.onset.any())


def infinite_on_one_note(score):
    with np.errstate(divide="ignore"):
        return 1.0 / np.ptp(score.pitch, axis=(1, 2))


def mutates(score):
    score.pitch[score.rest] = 0
    return score.pitch * 1.0


def mutates_by_force(score):
    tokens = score.tokens
    tokens.flags.writeable = True
    tokens[tokens == HOLD] = 0
    return np.zeros(score.batch)


def mutates_the_task(score):
    score.task.chord_tones[0] = False
    return np.zeros(score.batch)


def wrong_shape(score):
    return np.zeros((score.batch, 7))


def raises(score):
    return np.zeros(score.batch) + {}["missing"]


not_picklable = lambda score: np.zeros(score.batch)  # noqa: E731


@cellwise
def not_cellwise(score):
    return np.cumsum(score.onset, axis=2) * 1.0


@cellwise
def cellwise_per_piece(score):
    return score.onset.sum(axis=(1, 2)) * 1.0


def too_strict(score):
    """Marked as a rule, as `rewards.rule.rule` does it."""
    return score.onset * 5.0


too_strict.violation = True  # type: ignore[attr-defined]


def pays_for_silence(score):
    return score.rest * 1.0


def pays_for_repetition(score):
    return (score.onset & (score.previous_pitch == score.pitch)) * 1.0


def pays_for_nothing(score):
    return np.zeros(score.batch)


def good(score):
    """Pays for steps, and takes off for leaps."""
    moves = score.onset & (score.interval != 0)
    return np.where(moves, np.where(np.abs(score.interval) <= 2, 1.0, -1.0), 0.0)


@per_piece
def good_per_piece(notes: list[Note]) -> float:
    return float(len({note.pitch for note in notes}))
