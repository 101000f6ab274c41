"""Chords that sound: music21's roots and inversions, and frames in the making."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from envs.music.voices.sonority import KIND_NAMES, KINDS, sonority, sonority_before
from envs.notation.text_line import score_from_text
from tests.helpers import random_pieces

SPELLED = {
    0: "P1", 3: "m3", 4: "M3", 6: "d5", 7: "P5", 8: "A5", 9: "d7", 10: "m7", 11: "M7"
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_roots_and_inversions_are_those_of_music21(kind):
    from music21.chord import Chord
    from music21.pitch import Pitch

    even = kind in ("augmented", "diminished seventh")
    names = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
    for root in (60, 65, 67):
        for bass in KINDS[kind]:
            pitches = [root - 12 + bass, *(root + tone for tone in KINDS[kind])]
            words = [f"{names[p % 12]}{p // 12 - 1}:16" for p in sorted(pitches, reverse=True)]
            found = sonority(score_from_text(" ; ".join(words)))
            place = (0, len(words) - 1, 0)
            assert KIND_NAMES[found.kind[place]] == kind
            assert found.lowest[place] == min(pitches)
            if even:
                assert found.root[place] == min(pitches) % 12
                assert found.inversion[place] == 0
                continue
            steps = [bass, *KINDS[kind]]
            spelled = [Pitch(names[root % 12] + "4").transpose(SPELLED[step]) for step in steps]
            spelled[0].octave -= 1
            chord = Chord(spelled)
            assert found.root[place] == chord.root().pitchClass
            assert found.inversion[place] == chord.inversion()


def test_chords_without_a_fifth_and_sounds_that_are_none():
    def kind(line):
        score = score_from_text(line)
        found = sonority(score)
        number = found.kind[0, score.task.voices - 1, 0]
        return KIND_NAMES[number] if number >= 0 else None

    assert kind("E4:16 ; C4:16") == "major"
    assert kind("Eb4:16 ; C4:16") == "minor"
    assert kind("E4:16 ; Bb3:16 ; C3:16") == "dominant seventh"
    assert kind("D4:16 ; C4:16") is None
    assert kind("C4:16 ; C3:16") is None
    assert kind("r:16 ; r:8 C4:8") is None


def test_the_newest_cell_sees_the_chords_of_the_whole():
    task = Task(voices=4, bars=1, low="C4", high="C5")
    whole = random_pieces(task, 9, seed=6)
    known = [sonority(whole), sonority_before(whole)]
    score = Score.page(task, 9)
    for step in range(task.steps):
        time, voice = divmod(step, 4)
        score = score.write(whole.tokens[:, voice, time])
        for ask, facts in zip((sonority, sonority_before), known, strict=True):
            for there, found in zip(facts, ask(score.newest), strict=True):
                there = np.broadcast_to(there, whole.tokens.shape)
                np.testing.assert_array_equal(found[:, 0, 0], there[:, voice, time])
