"""Named lines and the very cells that every rule marks in them, and how many examples a rule has.

Fux's cantus firmi and tunes that textbooks quote. What is marked was found by hand, by the rule's
sentence; rules that are not named mark nothing.
"""

import numpy as np
import pytest

from tests.doc_scripts import calibrate
from tests.rewards.rules.examples import EXAMPLES
from tests.rewards.rules.lines import marks, piece
from tests.rewards.rules.melody_examples import TABLE
from tests.rewards.rules.plan_examples import PLAN
from tests.rewards.rules.voice_examples import VOICES

# Ah! vous dirai-je, maman; Mozart's K. 265.
VOUS = "C4 C4 G4 G4 A4 A4 G4:8 F4 F4 E4 E4 D4 D4 C4:8 "
DIRAI = "G4 G4 F4 F4 E4 E4 D4:8 " * 2
# Ode to Joy, from Beethoven's ninth symphony: the last line comes a beat early.
FREUDE = "F#4 F#4 G4 A4 A4 G4 F#4 E4 D4 D4 E4 F#4 "
DEINE = "E4 E4 F#4 D4 E4 F#4:2 G4:2 F#4 D4 E4 F#4:2 G4:2 F#4 E4 D4 E4 A3 F#4:8 "
# Für Elise, Beethoven's WoO 59.
ELISE = "E5:1 D#5:1 E5:1 D#5:1 E5:1 B4:1 D5:1 C5:1 A4:2 r:1 C4:1 E4:1 A4:1 B4:2 r:1 E4:1 "

# Name -> notes, task, and {rule: {cell: violation}}.
REPERTOIRE = {
    "Ah! vous dirai-je": (
        VOUS + DIRAI + VOUS,
        {
            "bars": 12,
            "phrases": "A4 B4 A4",
            "chords": "C | F C | F C | G C | C F | C G | C F | C G | C | F C | F C | G C",
        },
        {
            "leap_recovery": {12: 1, 68: 1, 100: 1, 140: 1},  # it stays on the G
            "unique_climax": {191: 1},
            "late_climax": {191: 1 - 16 / 192 / 0.4},
            "phrase_contrast": dict.fromkeys((127, 191), (11 / 14 - 0.75) / 0.25),
            "cadence": {127: 0.5},  # on the second degree
            "early_close": {63: 1},
            "sequence": {95: 0.5, 191: 0.5},
        },
    ),
    "Ode to Joy": (
        FREUDE
        + "F#4:6 E4:2 E4:8 "
        + FREUDE
        + "E4:6 D4:2 D4:8 "
        + DEINE
        # the first note of the last line is the tied one
        + FREUDE.removeprefix("F#4 ")
        + "E4:6 D4:2 D4:8",
        {"key": "D major", "bars": 16, "phrases": "A4 A4 B4 A4"},
        {
            "opening_tonic": {0: 1},  # it begins on the third
            "leap_recovery": {188: 1, 196: 1},  # down to A, up to F sharp
            "step_down_close": {255: 1},  # the D is struck again
            "unique_climax": {255: 1},
            "late_climax": {255: 1 - 12 / 256 / 0.4},
            "contour_arch": {255: 1},
            "step_leap_balance": {255: (43 / 47 - 0.9) / 0.1},
            "downbeat": {192: 1},
            "ties_over_bar": {192: 1},
            "syncopation": {192: 2 / 3},
            "phrase_return": {192: 1},
            "cadence": {63: 0.5, 191: 1},
            # Four notes by step, of which 7 of 11 parts belong to a chord.
            "bar_harmony": dict.fromkeys((31, 95, 175, 223), (0.7 - 7 / 11) / 0.7),
            "static_harmony": dict.fromkeys((127, 239, 255), 1),
            "early_close": {159: 1},
            "sequence": {127: 0.5, 255: 0.5},
            "circling": {175: 1},  # D to G
            "aimless_turns": {168: 1},  # F G F, a bar after the first
        },
    ),
    "God Save the King": (
        "C4 C4 D4 B3:6 C4:2 D4 E4 E4 F4 E4:6 D4:2 C4 D4 C4 B3 C4:12 G4 G4 G4 G4:6 F4:2 E4 F4 F4 F4 "
        "F4:6 E4:2 D4 E4 F4:2 E4:2 D4:2 C4:2 E4:6 F4:2 G4 A4:2 F4:2 E4 D4 C4:12",
        {"meter": "3/4", "bars": 14, "phrases": "A6 B8"},
        {
            "leap_recovery": {76: 1},
            "tritone_outline": {36: 1},  # B C D E F, and back
            "repeated_notes": {84: 1, 108: 1},
            "motif_return": {167: 1},
            "bar_harmony": dict.fromkeys((131, 155), (0.7 - 2 / 3) / 0.7),
            "early_close": {47: 1},
            "sequence": {83: 0.5, 167: 0.5},
        },
    ),
    "Frère Jacques": (
        "C4 D4 E4 C4 " * 2
        + "E4 F4 G4:8 " * 2
        + "G4:2 A4:2 G4:2 F4:2 E4 C4 " * 2
        + "C4 G3 C4:8 " * 2,
        {"bars": 8, "phrases": "A1 A1 B1 B1 C1 C1 D1 D1", "chords": "I"},
        {
            "leap_recovery": {82: 1, 104: 1, 112: 1, 120: 1},
            "step_down_close": {127: 1},  # up a fourth, from G
            "unique_climax": {127: 1},
            "cadence": dict.fromkeys((15, 31, 79, 95), 0.5),  # on the fourth beat
            "early_close": {31: 1},
            "sequence": {63: 0.5, 127: 0.5},  # all is copied, nothing is moved
            "aimless_turns": {84: 1},
        },
    ),
    "The Star-Spangled Banner": (
        "G4:3 E4:1 C4 E4 G4 C5:8 E5:3 D5:1 C5 E4 F#4 G4:8",
        {"meter": "3/4", "bars": 4, "pickup": 4},
        {
            "in_key": {36: 1},
            "opening_tonic": {0: 1},
            "step_down_close": {47: 1},  # up, from F sharp
            "leap_recovery": {24: 1},  # the sixth down is recovered, the fourth up is not
            "final_tonic": {47: 1},
            "contour_arch": {47: 0.1},  # its middle lies 0.9 semitones above its ends
            "motif_return": {47: 1},
            "cadence": {47: 0.5},
            "static_harmony": {47: 1},
            "sequence": {27: 0.5, 47: 0.5},
        },
    ),
    "Für Elise": (
        ELISE + "G#4:1 B4:1 C5:2 r:1 E4:1 " + ELISE + "C5:1 B4:1 A4:4",
        {"key": "A minor", "meter": "3/8", "bars": 8, "pickup": 2},
        {
            "in_key": dict.fromkeys((1, 3, 25, 27), 1),  # D sharp; G sharp is the raised seventh
            "opening_tonic": {0: 1},
            # D sharp, which the names of the key's fifths call E flat
            "chromatic_step": dict.fromkeys((1, 2, 3, 4, 25, 26, 27, 28), 1),
            "leap_recovery": dict.fromkeys((6, 12, 14, 18, 24, 30, 36, 38, 42), 1),
            "leading_note": {19: 1},  # G sharp to B
            "unique_climax": {47: 1},
            "late_climax": {47: 1},
            "contour_arch": {47: 1},
            "bar_harmony": dict.fromkeys((7, 31), 0.0625),
            "aimless_turns": {4: 1, 28: 1},
        },
    ),
    "Greensleeves": (
        "A4:2 C5:4 D5:2 E5:3 F#5:1 E5:2 D5:4 B4:2 G4:3 A4:1 B4:2 C5:4 A4:2 A4:3 G#4:1 A4:2 B4:4 "
        "G#4:2 E4:4",
        {"key": "A minor", "meter": "6/8", "bars": 4, "pickup": 2},
        {
            "leading_note": {44: 1},
            "final_tonic": {47: 1},
            "step_down_close": {47: 1},  # down a third
            "late_climax": {47: 1 - 11 / 48 / 0.4},
            "motif_return": {47: 1},
            "cadence": {47: 0.5},
            "opening_return": {37: (0.75 - 0.6) / 0.75},
            "sequence": {25: 0.5, 47: 0.5},
            "planned_climax": {41: 1},
            "earned_register": {47: (6 + 17 / 19 - 5) / 7},
            "circling": {37: 1},
        },
    ),
}
# What else than their even notes; the motif of the dorian and of the phrygian line returns.
BROKEN_BY_FUX = {
    "D dorian": {"early_close": {63: 1}, "copied_bars": {175: 1}},  # its D, the sixth copy
    "E phrygian": {"contour_arch": {159: 1}},  # it hangs below its final
    # A fifth or a fourth is answered with a third.
    "F lydian": {
        "leap_recovery": {128: 1},
        "motif_return": {191: 1},
        "static_harmony": {159: 1},  # A F C A F: the triad of F
        "early_close": {63: 1, 159: 1},
    },
    "G mixolydian": {
        "leap_recovery": {80: 1, 128: 1},
        "motif_return": {223: 1},
        "early_close": {63: 1},
    },
    "A minor": {"motif_return": {191: 1}},
    "C major": {"motif_return": {191: 1}, "planned_climax": {167: 0.5}},
}
for mode, line in calibrate.CANTUS_FIRMI.items():
    notes = line.split()
    middle, end = 16 * -(-len(notes) // 2) - 1, 16 * len(notes) - 1
    broken = {
        "rhythmic_variety": {end: 0.5},
        "sequence": {middle: 0.5, end: 0.5},  # whole notes have no figures
        **BROKEN_BY_FUX.get(mode, {}),
    }
    asked = {"key": mode, "bars": len(notes)}
    REPERTOIRE[f"Fux, {mode}"] = (" ".join(f"{note}:16" for note in notes), asked, broken)


@pytest.mark.parametrize("name", REPERTOIRE)
def test_every_rule_marks_these_cells_and_no_others(name):
    line, asked, expected = REPERTOIRE[name]
    score = piece(line, **asked)
    assert score.finished
    found = {rule: marks(fn(score)) for rule, fn in calibrate.rules().items()}
    found = {rule: cells for rule, cells in found.items() if cells}
    assert found.keys() == expected.keys()
    for rule, cells in found.items():
        assert {cell: value.expected for cell, value in cells.items()} == pytest.approx(
            {cell: float(value) for cell, value in expected[rule].items()}, abs=1e-6
        ), rule


def examples():
    """Rule -> whether each of its written examples is marked."""
    tables = TABLE | EXAMPLES | PLAN | VOICES
    del tables["moving_pairs"]  # which pays, and judges nothing
    compared = tables.pop("phrases")
    found = {name: [bool(case[-1]) for case in table] for name, table in tables.items()}
    kinds = [kinds for _, kinds in EXAMPLES["motif_return"]]
    found["motif_return"] = [not kind & {"tonal", "transposed"} for kind in kinds]
    found["phrase_parallelism"] = [bool(case[2]) for case in compared]
    found["phrase_contrast"] = [bool(case[3]) for case in compared]
    return found


def test_every_rule_has_six_examples_with_exact_cells_good_and_bad():
    found = examples()
    assert found.keys() == calibrate.rules().keys()
    for name, marked in found.items():
        assert len(marked) >= 6, name
        assert 0 < np.mean(marked) < 1, name
    assert len(REPERTOIRE) >= 13
