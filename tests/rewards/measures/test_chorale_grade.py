"""The grade of chorales: distances in closed form, repeats by hand, and what makes it worse."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from envs.music.score import Score
from envs.notation.text_line import score_from_text
from rewards.measures.chorale_grade import (
    FEATURES,
    ChoraleGrader,
    length_distance,
    ranked_distance,
    repeated_lengths,
)

HYMN = (
    "C5 D5 E5 C5 F5 E5 D5:8 E5 D5 C5 B4 C5:16 ; G4 G4 G4 A4 A4 C5 B4:8 G4 A4 G4 G4 E4:16 ; "
    "E4 D4 C4 E4 D4 G4 G4:8 C4 F4 E4 D4 C4:16 ; C3 B2 C3 A2 D3 E3 G2:8 C3 F3 G3 G2 C3:16"
)
PARALLEL = (
    "C5 D5 E5 F5 G5 F5 E5:8 E5 D5 C5 B4 C5:16 ; G4 A4 B4 C5 D5 C5 B4:8 G4 A4 G4 G4 E4:16 ; "
    "E4 F4 G4 A4 B4 A4 G4:8 C4 F4 E4 D4 C4:16 ; C3 D3 E3 F3 G3 F3 E3:8 C3 F3 G3 G2 C3:16"
)


def test_distances_in_closed_form():
    assert ranked_distance(Counter(a=1), Counter(a=3, b=1)) == pytest.approx(0.25)
    assert ranked_distance(Counter(b=1), Counter(a=3, b=1)) == pytest.approx(0.75)
    assert ranked_distance(Counter(z=1), Counter(a=1)) == pytest.approx(1)  # behind all it knows
    assert length_distance(Counter({4: 1}), Counter({8: 2})) == pytest.approx(4)
    assert length_distance(Counter(), Counter({3: 1})) == pytest.approx(3)


def slow_repeats(line):
    """Every sequence, counted place by place, without those inside a longer one as frequent."""
    cells = range(len(line))
    spans = [(a, b) for a in cells for b in cells if b > a]
    found = {}
    for a, b in spans:
        sequence = tuple(line[a : b + 1])
        if sequence[0] != 1 and sum(token != 1 for token in sequence) > 1:
            places = [i for i in cells if tuple(line[i : i + len(sequence)]) == sequence]
            found[sequence] = len(places)
    found = {sequence: count for sequence, count in found.items() if count > 1}

    def inside(one, other):
        size = len(one)
        return any(other[i : i + size] == one for i in range(len(other) - size + 1))

    kept = Counter()
    for one, count in found.items():
        larger = (two for two, times in found.items() if len(two) > len(one) and times == count)
        if not any(inside(one, two) for two in larger):
            kept[len(one)] += count
    return kept


def test_repeats_by_hand_and_slowly():
    # two notes come back once: A A' of 4 cells each
    assert repeated_lengths([5, 1, 7, 1, 5, 1, 7, 1]) == Counter({4: 2})
    assert repeated_lengths([5, 1, 7, 1, 9, 1, 4, 1]) == Counter()
    rng = np.random.default_rng(1)
    for _ in range(40):
        line = rng.choice([1, 1, 2, 3, 4], 16).tolist()
        line[0] = 2
        assert repeated_lengths(line) == slow_repeats(line), line


def test_a_corpus_is_nearest_to_itself_and_parallels_are_far():
    hymn, parallel = score_from_text(HYMN), score_from_text(PARALLEL)
    grader = ChoraleGrader([hymn])
    assert grader.grade(hymn) == pytest.approx(0)
    assert set(grader.features(hymn)) == set(FEATURES)
    assert grader.grade(parallel) > 1
    still = score_from_text("C5:16 C5:16 ; G4:16 G4:16 ; E4:16 E4:16 ; C3:16 C3:16")
    assert grader.features(still)["parallel errors"] == 0
    counts = FEATURES["parallel errors"](parallel)
    assert counts["octaves"] >= 5


def test_twice_the_rate_of_parallels_is_twice_as_far():
    one = score_from_text("C5 D5 E5:8 C5:16 ; A4:8 A4:8 A4:16 ; E4:8 E4:8 E4:16 ; C3 D3 E3:8 C3:16")
    more = score_from_text(
        "C5 D5 E5 C5 C5:16 ; A4:8 A4:8 A4:16 ; E4:8 E4:8 E4:16 ; C3 D3 E3 C3 C3:16"
    )
    counts = [FEATURES["parallel errors"](each) for each in (one, more)]
    assert [count["octaves"] for count in counts] == [3, 3]
    fifths = score_from_text("C5 D5 C5:8 ; G4:16 ; E4:16 ; F3 G3 F3:8")
    grader = ChoraleGrader([fifths])
    found = [grader.features(each)["parallel errors"] for each in (one, more)]
    notes = [int(each.onset.sum()) for each in (one, more)]
    assert found[1] * notes[1] == pytest.approx(found[0] * notes[0])


def test_the_key_does_not_matter_and_the_mode_does():
    hymn = score_from_text(HYMN, key="C major")
    task = replace(hymn.task, key="D major", low=hymn.task.low, high=hymn.task.high + 2)
    shift = 2 + hymn.task.codec.low - task.codec.low
    tokens = np.where(hymn.tokens > 1, hymn.tokens + shift, hymn.tokens)
    assert ChoraleGrader([hymn]).grade(Score(tokens, task)) == pytest.approx(0)
    with pytest.raises(ValueError, match="minor"):
        ChoraleGrader([hymn]).grade(Score(hymn.tokens, replace(hymn.task, key="C minor")))


def test_what_cannot_be_graded_is_refused():
    with pytest.raises(ValueError, match="voices"):
        ChoraleGrader([score_from_text("C4 D4 ; C3 B2")])
    with pytest.raises(ValueError, match="corpus"):
        ChoraleGrader([])
