"""Pieces from drafts: the key that a file cannot name."""

import pytest
import symusic

from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.midi import midi_bytes


@pytest.mark.parametrize(
    ("key", "line", "other"),
    [
        ("D dorian", "D4 E4 F4 G4 A4 B4 A4 D4:8", "D dorian"),
        ("G mixolydian", "G4 B4 D5 F5 E5 D5 B4 G4:8", "G mixolydian"),
        ("E phrygian", "E4:8 F4 G4 F4 E4:8", "E phrygian"),
        ("D dorian", "D5 F5 D5:8 ; D4 F4 D4:8", "D dorian"),
        ("C major", "D5 E5:2 D5:10 ; D4 D4 C4:8", ""),  # the lowest note is the last one
        ("C minor", "C5 Eb5 G5 F5 Eb5:8", "Eb major"),
        ("C major", "C4:8 E4 G4 E4:4", ""),  # E does not sound longer than C
        ("A minor", "C5 B4 A4:8", ""),
        ("C major", "E4 C4 C#5:8", ""),  # no note of the key
    ],
)
def test_a_midi_file_in_another_mode_than_it_can_name_is_told(key, line, other):
    score = score_from_text(line, key=key)
    named = "minor" if score.task.key.written_mode == "minor" else "major"
    file = symusic.Score.from_midi(midi_bytes(score))
    file.markers = []  # as other programs write it
    found = read_piece(file.dumps_midi(), suffix=".mid")
    told = [words for words in found.notices if "MIDI names" in words]
    assert (found.key.mode, len(told)) == (named, bool(other))
    assert all(other in words for words in told)
    assert not read_piece(file.dumps_midi(), suffix=".mid", key=key).notices
