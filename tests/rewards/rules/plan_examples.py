"""Written examples of the rules of implied harmony, plan and register.

Each is a line, its task, and what is marked: {cell: violation}.
"""

PLAN = {
    "bar_harmony": [
        ("C4 E4 G4 C5", {"bars": 1}, {}),
        # a scale of quavers
        ("C4:2 D4:2 E4:2 F4:2 G4:2 A4:2 B4:2 C5:2", {"bars": 1}, {15: 0.172932}),
        # a chord in each half
        ("C4 E4 D4 B3", {"bars": 1}, {}),
        ("C4 D4 E4 D4", {"bars": 1}, {15: 0.0909091}),
        ("C4 D4 F4 E4", {"bars": 1}, {15: 0.0909091}),
        # accented foreign notes
        ("C#4 C4 F#4 G4", {"bars": 1}, {15: 0.480519}),
        # the raised seventh of minor is no chord tone, but short
        ("A3 C4 E4 G#4", {"bars": 1, "key": "A minor"}, {}),
        ("r:16", {"bars": 1}, {}),
        ("D4 E4 F4", {"meter": "3/4", "bars": 1}, {}),
        ("C4:2 D4:2 E4:2 B3:2 C4:2 D4:2", {"meter": "6/8", "bars": 1}, {11: 0.0969388}),
        ("F4:4 C4:2 E4:2 G4:2 E4:2 D4:4", {"bars": 1, "pickup": 4}, {}),
    ],
    "harmonic_rhythm": [
        # V comes on beat 3 and lasts over the bar line
        ("C4 E4 D4 G4 B4 G4 E4 C4", {}, {23: 1.0}),
        # it gives way
        ("C4 E4 D4 G4 E4 C4 D4 B3", {}, {}),
        ("C4 E4 G4 C4 E4 G4 D4 B3", {}, {}),
        ("C4 E4 D4 G4 B4:12 C4", {}, {23: 1.0}),
        ("C4 E4 D4 E4 B4 G4 E4 C4", {}, {}),
        (
            "C4:2 E4:2 G4:2 D4:2 G4:2 B4:2 D4:2 B3:2 G3:2 C4:2 E4:2 C4:2",
            {"meter": "6/8"},
            {17: 1.0},
        ),
        # no halves
        ("C4 E4 G4 B3 D4 G4", {"meter": "3/4"}, {}),
        # chords are given
        ("C4 E4 D4 G4 B4 G4 E4 C4", {"chords": "I V"}, {}),
    ],
    "static_harmony": [
        ("C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 B3 D4 G4 D4", {"bars": 4}, {}),
        ("C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4", {"bars": 4}, {63: 1.0}),
        ("C4 E4 G4 E4 " * 6, {"bars": 6}, {63: 1.0, 79: 1.0, 95: 1.0}),
        (
            "C4 E4 G4 E4 C4 E4 G4 E4 B3 D4 G4 D4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4",
            {"bars": 6},
            {},
        ),
        # silence parts them
        (
            "C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 r:16 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4",
            {"bars": 7},
            {},
        ),
        ("C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4", {"bars": 4, "chords": "I"}, {}),
        ("G4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 B3 D4 G4", {"bars": 4, "pickup": 4}, {}),
    ],
    "dominant_close": [
        ("E4 C4 D4 B3 C4:16", {}, {}),
        # E C E
        ("G4 F4 E4:2 C4:2 E4 C4:16", {}, {31: 1.0}),
        # D E: half of it, but E counts twice
        ("C4 E4 D4 E4 C4 C4 C4:8", {}, {31: 0.333333}),
        ("C4 E4 E4 D4 C4:16", {}, {}),
        ("C4 E4 D4 E4 G4:16", {}, {}),
        ("E4 C4 F4 D4 C4:8 C5:8", {}, {}),
        ("A4 C5 B4 G#4 A4:16", {"key": "A minor"}, {}),
        # C is the seventh of the mode
        ("D4 F4 E4 C4 D4:16", {"key": "D dorian"}, {}),
        # nothing before it
        ("C4:32", {}, {}),
        # each phrase
        ("G4 E4 C4:8 E4 D4 C4:8", {"phrases": "AA"}, {15: 0.333333}),
        ("G4:2 F4:2 E4:2 D4:4 C4:2 C4:12", {"meter": "6/8"}, {}),
        ("E4 C4 D4 B3 C4:16", {"chords": "I"}, {}),
        # D E C C C
        ("C4 E4 G4 E4:2 F4:2 D4:2 E4:2 C4:2 C4:2 C4:8", {}, {31: 0.2}),
        ("C4 E4 G4 G4 E4 C4:2 D4:2 C4:8", {}, {31: 0.2}),
        ("G4:2 F4:2 E4:2 D4:2 C4:8 C4:16", {}, {}),
    ],
    "early_close": [
        ("C4 E4 G4 E4 D4 E4 D4:8 C4 E4 G4 E4 D4 B3 C4:8", {"bars": 4}, {}),
        ("C4 E4 G4 E4 D4 B3 C4:8 C4 E4 G4 E4 D4 B3 C4:8", {"bars": 4}, {31: 1.0}),
        # a beat
        ("C4 E4 G4 E4 D4 E4 D4 C4:4 C4 E4 G4 E4 D4 B3 C4:8", {"bars": 4}, {31: 1.0}),
        # half a beat
        ("C4 E4 G4 E4 D4 E4 D4:6 C4:2 C4 E4 G4 E4 D4 B3 C4:8", {"bars": 4}, {}),
        # the first bar may
        ("C4:16 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4", {"bars": 4}, {}),
        # with the rest after it
        ("C4 E4 G4 E4 D4 B3 C4 r C4 E4 G4 E4 C4 E4 G4 E4", {"bars": 4}, {31: 1.0}),
        ("C4 E4 G4 E4 D4 B3 C4:8 " * 4, {"bars": 8}, {31: 1.0, 63: 1.0}),
        # the end of a period of eight bars is free
        ("C4 E4 G4 E4 D4 B3 G3:8 C4 E4 G4 E4 D4 B3 C4:8 " * 4, {"bars": 16}, {63: 1.0, 191: 1.0}),
        ("G4:4 C4 E4 G4 E4 D4 B3 C4:8 C4 E4 G4 E4 D4 B3 G3", {"bars": 4, "pickup": 4}, {35: 1.0}),
    ],
    "opening_return": [
        ("C4 E4 G4 E4 D4 B3 C4:8 C4 E4 G4 E4 D4 B3 C4:8", {"bars": 4}, {}),
        ("C4 E4 G4 E4 D4 B3 C4:8 C5:6 B4:2 A4:8 D4 B3 C4:8", {"bars": 4}, {47: 0.6}),
        # moved
        ("C4 E4 G4 E4 D4 B3 C4:8 D4 F4 A4 F4 D4 B3 C4:8", {"bars": 4}, {}),
        # in its rhythm: a half of each note that goes elsewhere
        ("C4 E4 G4 E4 D4 B3 C4:8 G4 E4 C4 E4 D4 B3 C4:8", {"bars": 4}, {47: 0.166667}),
        # late
        (
            "C4 E4 G4 E4 D4:8 F4:8 C5:6 B4:2 A4:8 G4:16 F4:6 E4:2 D4:8 G4:16 C4 E4 G4 E4 C4:16",
            {"bars": 8},
            {79: 0.3},
        ),
        (
            "C4 E4 G4 E4 D4:16 C5:6 B4:2 A4:8 G4:16 C5:6 B4:2 A4:8 G4:16 C5:6 B4:2 A4:8 G4:16",
            {"bars": 8},
            {79: 0.3, 111: 0.3},
        ),
        ("C4 E4 G4 E4 C5:6 B4:2 A4:8", {"bars": 2}, {}),
        # the plan does not bring it back
        (
            "C4 E4 G4 E4 D4:8 F4:8 C5:6 B4:2 A4:8 G4:16 C5:6 B4:2 A4:8 G4:16 C5:6 B4:2 A4:8 G4:16",
            {"bars": 8, "phrases": "AB"},
            {},
        ),
        (
            "C4 E4 G4 E4 D4:8 F4:8 C5:6 B4:2 A4:8 G4:16 C5:6 B4:2 A4:8 G4:16 C5:6 B4:2 A4:8 G4:16",
            {"bars": 8, "phrases": "AA"},
            {79: 0.3, 111: 0.3},
        ),
    ],
    "sequence": [
        ("C4 E4 D4:8 D4 F4 E4:8 G4 F4 E4 D4 C4:16", {"bars": 4}, {}),
        ("C4 E4 D4:8 G4 F4 E4:8 G4 F4 E4 D4 C4:16", {"bars": 4}, {31: 0.5, 63: 0.5}),
        # a scale
        (
            "C4:2 D4:2 E4:2 F4:2 G4:2 A4:2 B4:2 C5:2 C5:16 C5:16 C5:16",
            {"bars": 4},
            {31: 0.5, 63: 0.5},
        ),
        # a step up, with a step back between
        ("C4:2 D4:2 E4:2 F4:2 D4:2 E4:2 F4:2 G4:2 G4:16 G4:16 G4:16", {"bars": 4}, {}),
        # a copy
        ("C4 E4 D4:8 C4 E4 D4:8 G4:16 G4:16", {"bars": 4}, {31: 0.5, 63: 0.5}),
        # only in the second half
        ("G4:16 G4:16 C4 E4 D4:8 D4 F4 E4:8", {"bars": 4}, {31: 0.5}),
        ("C4 E4 D4:8 D4 F4 E4:8", {"bars": 2}, {}),
        ("C4 E4 D4 D4 F4 E4 G4:12 C4:12", {"bars": 4, "meter": "3/4"}, {}),
    ],
    "copied_bars": [
        ("C4 E4 G4 E4 D4 F4 A4 F4 C4 E4 G4 E4 B3 D4 G4 D4", {"bars": 4}, {}),
        ("C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 B3 D4 G4 D4", {"bars": 4}, {47: 1.0}),
        ("C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4", {"bars": 4}, {47: 1.0, 63: 1.0}),
        # six copies among eight bars
        ("C4 E4 G4 E4 D4 F4 A4 F4 " * 4, {"bars": 8}, {111: 1.0, 127: 1.0}),
        ("C4 E4 G4 E4 D4 F4 A4 F4 C4 E4 G4 E4 D4 F4 A4 F4", {"bars": 4}, {}),
        # no notes begin
        ("C4:32 r:32", {"bars": 4}, {}),
        # as planned
        ("C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4", {"bars": 4, "phrases": "AAAA"}, {}),
        ("G4 C4 E4 G4 E4 C4 E4 G4 E4 C4 E4 G4 E4 C4:12", {"bars": 4, "pickup": 4}, {51: 1.0}),
    ],
    "planned_climax": [
        ("C4 E4 G4 E4 D4 F4 E4:8 A4 G4 F4 E4 D4:8 C4:8", {"bars": 4}, {}),
        ("C4 E4 A4 E4 D4 F4 E4:8 F4 E4 F4 E4 D4:8 C4:8", {"bars": 4}, {55: 1.0}),
        # a tone short
        ("C4 E4 A4 E4 D4 F4 E4:8 G4 E4 F4 E4 D4:8 C4:8", {"bars": 4}, {55: 0.5}),
        ("C4 E4 C5 E4 D4 F4 E4:8 F4 E4 F4 E4 D4:8 C4:8", {"bars": 4}, {55: 1.0}),
        # too late
        ("C4 E4 A4 E4 D4 F4 E4:8 C4 E4 F4 E4 D4:8 A4:8", {"bars": 4}, {55: 1.0}),
        ("C4 E4 A4 E4 r:48", {"bars": 4}, {55: 1.0}),
        ("r:64", {"bars": 4}, {}),
        ("C4 A4 E4 C4:20", {"bars": 2}, {}),
    ],
    "earned_register": [
        ("G4 B4 D5 B4 C5 A4 F#4 G4", {"key": "G major"}, {}),
        ("G4 B4 D5 B4 C5 A4 F#4 G3", {"key": "G major"}, {31: 1.0}),
        ("C4 E4 G4 E4 D4 F4 D4 C4", {}, {}),
        ("C5 E5 G5 E5 C5 E5 C5 C4", {}, {31: 1.0}),
        # it was lower before
        ("C5 E5 G5 E5 B3 C4 C5 C4", {}, {}),
        ("C4:32", {}, {}),
        ("r:32", {}, {}),
        ("G4 G4 G4 G4 G4 G4 G4 C4", {}, {31: 0.160714}),
    ],
    "circling": [
        ("C4 E4:2 D4:2 E4:2 F4:2 D4 C4 E4:2 F4:2 G4:2 F4:2 A4", {}, {}),
        ("C4 E4:2 D4:2 E4:2 F4:2 D4 C4 E4:2 F4:2 G4:2 F4:2 D4", {}, {31: 1.0}),
        # calm
        ("C4 E4 D4 F4 C4 E4 D4 F4", {}, {}),
        ("C4 E4:2 D4:2 E4:2 F4:2 D4 " * 4, {"bars": 4}, {31: 1.0, 47: 1.0, 63: 1.0}),
        ("C4:2 " * 16, {}, {31: 1.0}),
        ("r:32", {}, {}),
        (
            "G4:4 C4:2 E4:2 C4:2 E4:2 C4:2 E4:2 C4:2 E4:2 C4:2 E4:2 C4:2 E4:2 C4:2 E4:2",
            {"pickup": 4},
            {31: 1.0},
        ),
        (
            "C4:2 D4:2 E4:2 F4:2 G4:2 C4:2 C4:2 D4:2 E4:2 F4:2 G4:2 C4:2",
            {"meter": "6/8"},
            {23: 1.0},
        ),
    ],
    "aimless_turns": [
        ("C4:2 D4:2 E4:2 F4:2 G4:2 F4:2 E4:2 D4:2", {"bars": 1}, {}),
        ("C4:2 D4:2 C4:2 D4:2 E4:2 F4:2 E4:2 D4:2", {"bars": 1}, {12: 1.0}),
        # only one
        ("C4:2 E4:2 C4:2 D4:2 E4:2 F4:2 E4:2 D4:2", {"bars": 1}, {}),
        # quarters are no run
        ("C4 D4 C4 D4 C4 D4 C4 D4", {}, {}),
        ("C4:2 D4:2 C4:2 D4:2 C4:2 D4:2 C4:2 D4:2", {"bars": 1}, {8: 1.0, 12: 1.0}),
        # D is off the beat in both
        ("C4:2 D4:2 C4:4 C4:2 D4:2 C4:4", {"bars": 1}, {12: 1.0}),
        (
            "C4:1 D4:1 " * 8,
            {"bars": 1},
            {3: 1.0, 4: 1.0, 6: 1.0, 7: 1.0, 8: 1.0, 10: 1.0, 11: 1.0, 12: 1.0, 14: 1.0, 15: 1.0},
        ),
        # more than a bar apart
        ("C4:2 D4:2 C4:12 E4:16 E4:2 F4:2 E4:12", {"bars": 3}, {}),
        ("C4:2 D4:2 E4:2 D4:2 C4:2 D4:2", {"meter": "6/8", "bars": 1}, {10: 1.0}),
    ],
}
