"""How far a chorale is from Bach's: the grading function of Fang et al. (2020).

Fang, Liu, Seetharaman and Pardo, Bach or Mock? A Grading Function for Chorales in the Style of
J.S. Bach (arXiv 2006.13329). Nine distributions of a chorale are compared with those of a corpus by
the Wasserstein distance, and the grade is the sum of the distances: lower is nearer. Values without
an order of their own, such as intervals, stand in the order of how often the corpus has them.

Three things are counted by other means than there: notes by pitch class above the tonic and
intervals by semitones, not by spelling, and chords by the kinds of `envs.music.voices.sonority`,
all others being one. Grades can be compared with each other, and with theirs by their size only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from envs.music.codec import HOLD
from envs.music.piece import spans_of
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import pairs
from envs.music.voices.sonority import sonority
from rewards.rules.voices import FIFTH, UNISON

VOICES = 4
LEAST_ONSETS = 2  # of a repeated sequence
Counts = Counter[Any]


# -- what is counted -------------------------------------------------------------------------------


def _notes(score: Score) -> Counts:
    """Count the cells of each pitch class above the tonic, and of silence."""
    tonic, found = score.task.key.pitch_class, Counter[Any]()
    for voice in range(VOICES):
        for start, end, pitch in spans_of(score, 0, voice):
            found["rest" if pitch is None else (pitch - tonic) % 12] += end - start
    return found


def _rhythm(score: Score) -> Counts:
    """Count notes and rests by their length in quarter notes."""
    grid, voices = score.task.grid, range(VOICES)
    spans = (span for voice in voices for span in spans_of(score, 0, voice))
    return Counter((end - start) / grid for start, end, _ in spans)


def _parallels(score: Score) -> Counts:
    """Count parallel fifths, and octaves and unisons, of each pair of voices."""
    found = Counter[Any]()
    for pair in pairs(score):
        for name, size in (("fifths", FIFTH), ("octaves", UNISON)):
            same = pair.moves.similar & pair.forms(size) & pair.formed(size)
            found[name] += int(np.count_nonzero(same))
    return found


def _harmony(score: Score) -> Counts:
    """Count the kinds of the chords, one for each time at which a note or a silence begins."""
    changes = (score.onset | score.rest).any(axis=1)[0]
    chord = sonority(score)
    kinds, sounds = chord.kind[0, -1][changes], chord.classes[0, -1][changes] > 0
    return Counter(kinds[sounds].tolist())


def _intervals(score: Score, voice: int) -> Counts:
    """Count the intervals of a voice from note to note, in semitones, upwards above 0."""
    second = score.onset[0, voice] & (score.previous_onset[0, voice] >= 0)
    return Counter(score.interval[0, voice][second].tolist())


def repeated_lengths(line: Sequence[int]) -> Counts:
    """Count the repeated sequences of a line by their length in cells.

    A sequence begins with a note or rest and has two or more of them. Each counts as often as it
    occurs, and not where a longer one occurs as often.

    Args:
        line: tokens (T,) of one voice.
    """
    starts = [cell for cell, token in enumerate(line) if token != HOLD]
    tokens, times = tuple(line), Counter[tuple[int, ...]]()
    first: dict[tuple[int, ...], tuple[int, int]] = {}
    alive = list(range(len(starts)))  # whose sequence of a length occurs twice, for the next length
    length = 0
    while alive:
        length += 1
        now = [
            (number, tokens[starts[number] : starts[number] + length])
            for number in alive
            if starts[number] + length <= len(tokens)
        ]
        times.update(sequence for _, sequence in now)
        for number, sequence in now:
            first.setdefault(sequence, (number, length))
        alive = [number for number, sequence in now if times[sequence] > 1]
    found = Counter[Any]()
    for sequence, (number, length) in first.items():
        count, begin = times[sequence], starts[number]
        if count < 2 or sum(token != HOLD for token in sequence) < LEAST_ONSETS:
            continue
        before = starts[number - 1] if number else begin
        longer = (tokens[begin : begin + length + 1], tokens[before : begin + length])
        if all(len(each) == length or times[each] < count for each in longer):
            found[length] += count
    return found


def _repeats(score: Score) -> Counts:
    """Count the repeated sequences of each voice by their length."""
    found = Counter[Any]()
    for line in _plain(score):
        found.update(repeated_lengths(line))
    return found


def _plain(score: Score) -> list[list[int]]:
    """Return the tokens of each voice; silence goes on as a hold."""
    tokens, rest = score.tokens[0], score.rest[0]
    again = np.zeros_like(rest)
    again[:, 1:] = rest[:, 1:] & (tokens[:, 1:] == 0) & (tokens[:, :-1] == 0)
    lines: list[list[int]] = np.where(again, HOLD, tokens).tolist()
    return lines


def _of_voice(voice: int) -> Callable[[Score], Counts]:
    return lambda score: _intervals(score, voice)


FEATURES: Mapping[str, Callable[[Score], Counts]] = {
    "note": _notes,
    "rhythm": _rhythm,
    "parallel errors": _parallels,
    "harmonic quality": _harmony,
    **{f"{name} intervals": _of_voice(voice) for voice, name in enumerate("SATB")},
    "repeated sequences": _repeats,
}
BY_MODE = ("note", "harmonic quality", *(f"{name} intervals" for name in "SATB"))


# -- the grade -------------------------------------------------------------------------------------


def ranked_distance(one: Counts, other: Counts) -> float:
    """Return the Wasserstein distance of counts whose values stand in the order of `other`.

    The most frequent value of `other` has place 0, the next 1 and so on; those it lacks stand
    behind, the rarest of `one` first.
    """
    order = [value for value, _ in other.most_common()]
    order += [value for value, _ in reversed(one.most_common()) if value not in other]
    return _distance([one[value] for value in order], [other[value] for value in order])


def length_distance(one: Counts, other: Counts) -> float:
    """Return the Wasserstein distance of counts of whole numbers; none at all counts as 0."""
    most = max((*one, *other), key=int, default=0)
    here, there = ([each[n] for n in range(int(most) + 1)] for each in (one, other))
    here[0] += not any(here)
    there[0] += not any(there)
    return _distance(here, there)


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the Wasserstein distance of two histograms over the places 0, 1, 2 and so on."""
    here, there = (np.cumsum(each) / max(np.sum(each), 1e-12) for each in (one, other))
    return float(np.abs(here - there).sum())


@dataclass(frozen=True, eq=False)
class ChoraleGrader:
    """Grades chorales by their distance from a corpus.

    Attributes:
        corpus: finished scores of one piece in four voices each, in major and minor.
    """

    corpus: Sequence[Score]

    def __post_init__(self) -> None:
        if not self.corpus:
            raise ValueError("no chorales to grade against; expected a corpus")
        for score in self.corpus:
            _require(score)

    @cached_property
    def _known(self) -> tuple[dict[tuple[str, bool], Counts], int]:
        """Counts of the corpus by feature, and mode where it matters, and its number of notes."""
        found: dict[tuple[str, bool], Counts] = {}
        for score in self.corpus:
            for name, count in FEATURES.items():
                counts = found.setdefault(_place(name, score), Counter())
                counts.update(count(score))
        return found, sum(int(score.onset.sum()) for score in self.corpus)

    def features(self, score: Score) -> dict[str, float]:
        """Return the distance of each feature of a finished score of one piece.

        Raises:
            ValueError: it has other than four voices, is not finished, or no piece of the corpus is
                in its mode.
        """
        _require(score)
        known, notes = self._known
        found = {}
        for name, count in FEATURES.items():
            own, other = count(score), known.get(_place(name, score))
            if other is None:
                raise ValueError(f"the corpus has no chorale in the mode of {score.task.key}")
            if name == "parallel errors":
                rate = sum(own.values()) / max(int(score.onset.sum()), 1)
                usual = sum(other.values()) / notes
                found[name] = ranked_distance(own, other) * rate / usual if rate and usual else rate
            elif name == "repeated sequences":
                found[name] = length_distance(own, other)
            else:
                found[name] = ranked_distance(own, other)
        return found

    def grade(self, score: Score) -> float:
        """Return the sum of all features of a piece, lower being nearer to the corpus.

        Raises:
            ValueError: as `features`.
        """
        return sum(self.features(score).values())

    def grades(self, scores: Iterable[Score]) -> Array:
        """Return the grade of each score."""
        return np.array([self.grade(score) for score in scores])


def _place(name: str, score: Score) -> tuple[str, bool]:
    """Return where a feature of a piece is counted: in minor apart, where the mode matters."""
    return name, name in BY_MODE and not _is_major(score)


def _is_major(score: Score) -> bool:
    key = score.task.key
    return (key.pitch_class + 4) % 12 in key.pitch_classes


def _require(score: Score) -> None:
    if score.batch != 1 or score.task.voices != VOICES or not score.finished:
        raise ValueError(
            f"{score.batch} pieces of {score.task.voices} voices, expected one finished piece of "
            f"{VOICES}"
        )
