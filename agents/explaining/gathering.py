"""Remarks of rules on a piece, gathered so that one fault is one remark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from envs.errors import RewardError
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.voices.pairs import voice_name
from rewards.remarks import Remark, place, remarks
from rewards.term import Term

CHOIR_VOICES = 4
DOUBLING = 0.7  # share of the moments of two voices in unison or octaves that makes a doubling
FEWEST_MOMENTS = 8
OCTAVE = 12  # semitones


def costs_of(term: Term, piece: Piece) -> list[tuple[Remark, float]]:
    """Return the remarks of a term on a piece, each with what it costs.

    A state of two voices, such as that they cross, is told once for as long as it lasts.

    Raises:
        RewardError: words that cannot be filled in.
    """
    try:
        found = remarks(term.rule, piece.score, term.name, sign=term.factor)
    except (KeyError, IndexError, ValueError) as error:  # of the words, as the values were checked
        raise RewardError(
            f"reward term {term.name!r} has words that cannot be filled in: {error!r}"
        ) from error
    costs = [(remark, abs(term.factor * remark.value)) for remark in found]
    return _folded(costs, piece) if term.rule.lasts else costs


def _folded(costs: list[tuple[Remark, float]], piece: Piece) -> list[tuple[Remark, float]]:
    """Return remarks on states of two voices, those that follow each other without a gap as one."""
    pairs: dict[tuple[int, int], list[tuple[Remark, float]]] = {}
    for remark, cost in costs:
        pairs.setdefault((remark.other, remark.voice), []).append((remark, cost))
    folded = []
    for (other, voice), found in pairs.items():
        moments = _moments(piece.score, other, voice)
        first, total, last = found[0][0], 0.0, found[0][0].cell
        for remark, cost in found:
            if any(last < cell < remark.cell for cell in moments):
                folded.append((_lasting(first, last, piece), total))
                first, total = remark, 0.0
            total, last = total + cost, remark.cell
        folded.append((_lasting(first, last, piece), total))
    return folded


def _moments(score: Score, other: int, voice: int) -> list[int]:
    """Return the cells at which a note or a rest begins in one of two voices."""
    both = [other, voice]
    rests = score.rest[0, both]
    begins = score.onset[0, both] | (rests & ~np.roll(rests, 1, axis=-1))
    return np.flatnonzero(begins.any(axis=0)).tolist()


def _lasting(first: Remark, last: int, piece: Piece) -> Remark:
    if last == first.cell:
        return first
    return replace(first, text=f"{first.text}, until {place(piece.score, last, piece.numbers)}")


def doublings(score: Score) -> dict[tuple[int, int], str]:
    """Return the pairs of voices of which one doubles the other, with words for a notice.

    That are those in more than CHOIR_VOICES voices that sound unisons and octaves nearly all of the
    time: instruments that play along. In a choir they would be faults.
    """
    voices = score.task.voices
    found = {}
    for voice in range(voices) if voices > CHOIR_VOICES else ():
        for other in range(voice):
            cells = _moments(score, other, voice)
            pitches = score.sounding[0][[other, voice]][:, cells]
            interval = (pitches[0] - pitches[1])[(pitches >= 0).all(axis=0)]
            if len(interval) >= FEWEST_MOMENTS and (interval % OCTAVE == 0).mean() > DOUBLING:
                upper, lower = voice_name(voices, other), voice_name(voices, voice)
                found[other, voice] = f"{lower} doubles {upper}: the two are not judged as a pair"
    return found
