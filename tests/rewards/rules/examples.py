"""Written examples of the rules, each marked by hand, as the sentence of its rule says.

A case ends in what is marked; `tests/rewards/rules/melody_examples.py` has those of the line.
"""

AB, CD = "C4:8 D4:8 ", "C4:4 D4:12 "  # bars of 4/4
EF, GH = "C4:2 D4:14 ", "C4:12 D4:4 "
MOTIF = "C4:2 D4:2 E4:2 C4:2 "
PHRASE = "C4 E4 F4:2 E4:2 D4 "

# Rule -> cases; "phrases" has those of phrase_parallelism and of phrase_contrast.
EXAMPLES = {
    # line, marked
    "leap_recovery": [
        ("C4 A4 G4 E4", []),  # a sixth up, a step back
        ("C4 A4 B4 C5", [8]),  # it goes on up
        ("A4 C4 D4 E4", []),
        ("A4 C4 B3 A3", [8]),
        ("C4 A4 A4 G4", [8]),  # a repetition is no recovery
        ("C4 F4 E4 D4", []),  # a fourth counts as a leap here
        ("C4 E4 G4 C5", []),  # thirds do not, and nothing follows the last leap
        ("C4 A4 r G4", []),  # a rest is looked through
        ("C4 A4 F4 E4", [8]),  # back, but by a leap
    ],
    # line, key, marked
    "in_key": [
        ("C4 D4 E4 F#4", "C major", [12]),
        ("C4 D4 E4 F#4", "G major", []),
        ("D4 F4 B4 C5", "D dorian", []),
        ("D4 F4 Bb4 C5", "D dorian", [8]),
        ("A4 G#4 A4 r", "A minor", []),
        ("E4 F#4 G#4 A4 G4 F4", "A minor", []),
        ("A4 Bb4 C#5 D#5", "A minor", [4, 8, 12]),
        ("E4 F#4 G#4 A4", "A natural minor", [4, 8]),
        ("E4 F#4 G#4 A4", "A aeolian", [4, 8]),
        ("E4 F#4 G#4 A4", "A 0,2,3,5,7,8,10", [4, 8]),
        ("E5 D5 C#5 D5", "D dorian", [8]),
        ("A4 G#4 F4 E4", "A harmonic minor", []),
        ("A4 B4 C5 Eb5", "A blues", [4]),
        ("r C#4 r F#4", "D major", []),
    ],
    # line, asked, cells
    "downbeat": [
        ("C4:16 D4:16", {}, []),
        ("C4 D4 E4 F4:20", {}, [16]),  # tied over
        ("C4:12 r:8 D4:12", {}, [16]),  # silent
        ("C4:16 r:16", {}, [16]),
        ("r:16 C4:16", {}, []),  # nothing was to be heard yet
        ("r:4 C4:28", {}, [16]),
        ("r:32", {}, []),
        ("C4:12 D4:8 E4:16", {"meter": "3/4", "bars": 3}, [24]),
        ("C4 D4:12 E4:6", {"meter": "6/8"}, [12]),
        ("G4:4 C5:16 C5:12", {"pickup": 4}, []),
        ("G4:8 C5:24", {"pickup": 4}, [4, 20]),
        ("r:4 C5:28", {"pickup": 4}, [20]),
    ],
    # line, asked, cells
    "ties_over_bar": [
        ("C4:16 D4:16", {}, []),
        ("C4:12 D4:8 E4:12", {}, [16]),
        ("C4:12 r:8 E4:12", {}, []),  # a rest is no tie
        ("C4:32", {}, [16]),
        ("C4:12 D4:24", {"meter": "3/4", "bars": 3}, [24]),
        ("C4:30 D4:6", {"meter": "3/4", "bars": 3}, [12, 24]),
        ("G4:4 C5:16 C5:12", {"pickup": 4}, []),
        ("G4:8 C5:24", {"pickup": 4}, [4, 20]),
        ("r:32", {}, []),
    ],
    # line, asked, expected
    "syncopation": [
        ("C4:8 E4:4 G4:4 F4:16", {}, {}),
        ("C4:6 D4:2 E4:8 F4:16", {}, {}),  # a dotted note begins on the stronger place
        ("C4:4 D4:8 E4:4 F4:16", {}, {8: 1 / 3}),  # short, long, short over the half bar
        ("C4:2 D4:4 E4:2 F4:8 G4:16", {}, {4: 1 / 3}),  # over a beat
        ("C4:6 D4:6 E4:4 F4:16", {}, {8: 2 / 3}),  # half a beat early: two levels
        ("C4:14 D4:10 E4:8", {}, {16: 1.0}),  # the bar line anticipated
        ("C4:12 D4:12 E4:8", {}, {16: 2 / 3}),  # beat 4 tied over
        ("C4:10 D4:14 E4:8", {}, {12: 1 / 3, 16: 2 / 3}),  # in all as much as to the strongest
        ("C4:15 D4:9 E4:8", {}, {16: 1.0}),  # at most 1
        ("C4:15 r:1 E4:16", {}, {}),
        ("C4:4 D4:8", {"meter": "3/4", "bars": 1}, {}),  # beats 2 and 3 of three are equal
        ("C4:2 D4:8 E4:2", {"meter": "3/4", "bars": 1}, {4: 1 / 3}),
        ("C4:8 D4:8 E4:8", {"meter": "3/4"}, {12: 1 / 3}),  # hemiola
        ("C4:2 D4:4 E4:6", {"meter": "6/8", "bars": 1}, {}),
        ("C4:4 D4:4 E4:4", {"meter": "6/8", "bars": 1}, {6: 1 / 3}),
        ("C4:4 D4:4 E4:6", {"meter": "2+2+3/8", "bars": 1}, {}),
        ("C4:6 D4:4 E4:4", {"meter": "2+2+3/8", "bars": 1}, {8: 1 / 3}),
        ("G4:4 C5:8 B4:20", {"pickup": 4}, {20: 1 / 3}),
        ("G4:8 C5:4 B4:20", {"pickup": 4}, {4: 2 / 3, 20: 1 / 3}),
        ("r:32", {}, {}),
        ("r:14 C4:18", {}, {16: 1.0}),
        ("C4:32", {}, {}),
    ],
    # line, asked, expected
    "rhythmic_variety": [
        ("C4 D4:2 E4:2 F4:8", {}, {}),  # 4, 2 and 8 cells
        ("C4 D4 E4 F4", {}, {15: 1 / 2}),
        ("C4:16", {}, {15: 1 / 2}),
        ("r:16", {}, {15: 1.0}),
        ("C4 D4 E4 F4:2 r:2", {}, {}),  # what a rest cuts off is shorter
        ("r:2 C4 D4 E4 r:2", {}, {15: 1 / 2}),  # rests are no notes
        ("C4 D4 E4:7 F4:1", {}, {}),  # a note at the last cell
        ("C4:1 D4:2 E4:3 F4:4 G4:5 r:1", {}, {}),
        ("C4:1 D4:2 E4:3 F4:4 G4:6", {"least": 4, "most": 4}, {15: 1 / 4}),
        ("C4:1 D4:2 E4:3 F4:4 G4:6", {"most": 2}, {15: 1.0}),  # 3 beyond 2, at most 1
        ("C4:4 D4:8 E4:4", {"least": 4}, {15: 1 / 2}),
    ],
    # line, asked, expected
    "rhythmic_coherence": [
        (AB * 4, {}, 0),
        (AB + CD + AB + CD, {}, 0),
        (AB + AB + CD + EF, {}, 0),  # half of the bars may be different
        (AB + CD + EF + GH, {}, 1),
        (AB + "C4:6 r:2 D4:2 r:6 " + CD + EF, {}, 0),  # rests do not matter
        ("r:64", {}, 0),
        (AB + "r:48", {}, 0),  # one bar has a rhythm, and nothing to be like
        (AB + CD + EF + "C4:16 ", {}, 1),
        (AB + AB + CD + EF + GH, {"bars": 5}, 0.2),  # 3 of 5: a fifth of what is beyond half
        ("C4:4 " + AB + CD + EF + "C4:12", {"pickup": 4}, 1),
        # The pickup and the last bar make one like the first.
        ("C4:4 C4:4 D4:8 E4:4 " + AB + CD + "C4:4 D4:8", {"pickup": 4}, 0),
        (AB + CD, {"bars": 2}, 0),  # too few bars to be judged
    ],
    # line, asked, expected
    "note_density": [
        ("C4 D4 E4 F4 G4:16", {}, {}),
        ("C4:32", {}, {31: 1.0}),  # a bar that only holds
        ("r:32", {}, {15: 1.0, 31: 1.0}),
        ("C4:12 D4:12", {"meter": "3/4"}, {}),  # one note in three beats
        ("C4:12 D4:12", {"meter": "6/8"}, {}),
        ("G4:4 C4:16 r:12", {"pickup": 4}, {31: 1.0}),
        ("r:4 C4:16 D4:12", {"pickup": 4}, {}),  # a pickup may be silent
        ("C4:1 " * 16 + "C4:16", {"meter": "4/2", "bars": 1}, {31: 0.0625}),  # 17 in 4 beats
        ("C4:1 " * 24 + "D4:12", {"meter": "6/8", "bars": 3}, {11: 0.5, 23: 0.5}),
        ("C4:1 " * 12 + "D4:2 " * 6, {"meter": "12/8", "bars": 1}, {23: 0.125}),  # 18 in 4
    ],
    # line, asked, expected
    "rest_share": [
        ("C4 D4 E4 r", {}, {}),  # a quarter may be silent
        ("C4 D4 E4:2 r:6", {}, {15: 1 / 6}),
        ("C4 r E4 r", {}, {15: 1 / 3}),
        ("r:16", {}, {15: 1.0}),
        ("r:8 C4:8", {}, {15: 1 / 3}),
        ("C4:15 r:1", {"most": 0}, {15: 1 / 16}),
        ("C4:16", {"most": 0}, {}),
        ("C4:4 r:12", {"most": 0.75}, {}),
    ],
    # line, asked, cells
    "chord_tones": [
        ("C4 D4 E4 F4", {"chords": "I"}, []),  # foreign notes on weak beats
        ("C4 E4 D4 C4", {"chords": "I"}, [8]),
        ("D4 C4 E4 C4", {"chords": "I"}, [0]),
        ("C4 E4 A4 D4", {"chords": "V7"}, [0, 8]),
        ("D4 C4 F4 E4", {"chords": "V7"}, []),  # its seventh belongs to it
        ("C4 E4 D4 F4", {"chords": "I V"}, [8]),  # one chord a bar: the next begins in bar 2
        ("C4 E4 D4 G4", {"chords": "I V | I"}, []),  # two chords share the bar
        ("C4 E4:12", {"chords": "I V | I"}, []),  # held into the next chord, begun on beat 2
        ("F#4 G4 A4 B4", {"chords": ""}, []),  # no chords: nothing to say
        ("r C4 r:8", {"chords": "V"}, []),
        ("r:16", {"chords": "I"}, []),
    ],
    # line, asked, cells
    "non_chord_resolution": [
        ("C4 D4 E4 G4", {}, []),  # passing note
        ("E4 F4 E4 C4", {}, []),  # neighbour
        ("C4 F4 E4 C4", {}, []),  # appoggiatura: reached by a leap, left by step
        ("C4 D4 G4 E4", {}, [8]),
        ("E4 F4 C4 E4", {}, [8]),  # escape note
        ("C4 E4 G4 C5", {}, []),  # nothing is foreign
        ("C4 D4 D4 E4", {}, []),  # struck again, then on
        ("C4 D4 D4 G4", {}, [12]),
        ("G4 F#4 F4 E4", {}, []),  # one foreign note after the other, by steps
        ("C4 D4 r G4", {}, [12]),  # a rest is looked through
        ("C4 D4 r E4", {}, []),
        ("C4 E4 G4 F4", {}, [15]),  # nothing resolves the last note
        ("C4 E4 G4 F4:2 r:2", {}, [15]),
        ("C4 E4 G4:7 F4:1", {}, [15]),
        ("C4 E4 A4:7 F4:1", {}, [15]),  # marked once: for the A and for the F
        ("E4 C4 D4 D4 G4:16", {"bars": 2, "chords": "I V"}, [16]),
        ("E4 C4:8 D4 D4:16", {"bars": 2, "chords": "I V"}, []),  # anticipation
        ("E4 C4:8 D4 G4:16", {"bars": 2, "chords": "I V"}, [16]),
        ("r:16", {}, []),
        ("D4:16", {}, [15]),
        ("C4 D4 G4 F#4", {"chords": ""}, []),
    ],
    # line, asked, expected
    "cadence": [
        ("C4 D4 G4:8 E4 D4 C4:8", {}, {}),
        ("C4 D4 C4:8 E4 D4 C4:8", {}, {}),
        ("C4 D4 F4:8 E4 D4 C4:8", {}, {15: 0.5}),  # no degree to close on
        ("C4 D4:8 G4 E4 D4 C4:8", {}, {15: 0.5}),  # beat 4
        ("C4 D4:8 F4 E4 D4 C4:8", {}, {15: 1.0}),
        ("C4 D4 C4:8 E4 D4 G4:8", {}, {31: 0.5}),  # the piece closes on the tonic
        ("C4 D4 G4 r E4 D4 C4 r", {}, {}),  # rests after the last note
        ("C4 D4 G4 r:20", {}, {}),  # a silent phrase
        ("C4 D4 G4:24", {}, {31: 0.5}),  # a phrase that only holds a G
        ("C4 D4 C4:24", {}, {}),
        ("C4:4 F4:20 r:8", {}, {15: 1.0, 31: 1.0}),
        ("r:32", {}, {}),
        ("r:16 E4:12 C4:4", {}, {31: 0.5}),
        ("C4 D4:8 F4 E4 D4 C4:8", {"phrases": ""}, {}),  # one phrase
        ("C4 D4:8 F4 E4 D4 C4:8", {"phrases": "A1 B1"}, {15: 1.0}),
        ("G4:4 C4 D4 E4 C4 D4:8 C4:4", {"pickup": 4}, {15: 0.5}),
        ("C4:4 C4:8 G4:4 C4 D4:8 C4:4", {"pickup": 4}, {}),  # a pickup leads into the next
        ("A3 C4 E4:8 D4 B3 A3:8", {"key": "A minor"}, {}),
        ("A3 C4 C4:8 D4 B3 A3:8", {"key": "A minor"}, {15: 0.5}),
        ("C4 D4 G4 E4 D4 C4", {"meter": "3/4"}, {}),  # beat 3 of three
        ("C4:2 D4:2 G4:8 D4:6 C4:6", {"meter": "6/8"}, {11: 0.5}),
    ],
    # line, kinds
    "motif_return": [
        (MOTIF + "C4:2 D4:2 E4:2 C4:2", {"exact", "transposed", "tonal", "rhythm"}),
        (MOTIF + "F4:2 G4:2 A4:2 F4:2", {"transposed", "tonal", "rhythm"}),
        (MOTIF + "D4:2 E4:2 F4:2 D4:2", {"tonal", "rhythm"}),  # a semitone for a tone
        (MOTIF + "D4:2 E4:2 F#4:2 D4:2", {"transposed", "tonal", "rhythm"}),  # F# as an F
        (MOTIF + "E4:2 D4:2 C4:2 E4:2", {"inverted", "rhythm"}),
        (MOTIF + "D4:2 C4:2 Bb3:2 D4:2", {"inverted", "rhythm"}),
        (MOTIF + "G4:2 D4:2 G4:2 D4:2", {"rhythm"}),
        (MOTIF + "G4:1 D4:3 G4:3 D4:1", set()),
        (MOTIF + "C4:1 D4:1 E4:3 C4:3", {"exact", "transposed", "tonal"}),  # in any rhythm
        (MOTIF + "G4:2 C4:2 D4:2 E4:2 C4:2", {"exact", "transposed", "tonal", "rhythm"}),
        ("C4:2 D4:2 E4:2 F4:2 G4:2 A4:2 G4:2 r:2", set()),  # it may not overlap itself
        (MOTIF + "C4:2 D4:2 r:2 E4:2 C4:2", {"exact", "transposed", "tonal"}),
        (MOTIF, set()),
    ],
    # line, asked, marked
    "phrase_return": [
        (PHRASE + PHRASE, {}, []),
        (PHRASE + "C4 E4 G4:2 D4:2 C4", {}, []),  # the second half of one bar ends otherwise
        (PHRASE + "C4 F4 F4:2 E4:2 D4", {}, [20]),
        (PHRASE + "C4:2 E4:6 F4:2 E4:2 D4", {}, [18]),
        (PHRASE + "C4:2 r:2 E4 F4:2 E4:2 D4", {}, [18]),  # a note cut short is another note
        (PHRASE + "G4 B4 C5:2 B4:2 A4", {}, [16]),  # transposed
        (PHRASE + PHRASE, {"phrases": "AB"}, [23]),
        (PHRASE + "C4 F4 F4:2 E4:2 D4", {"phrases": "AB"}, []),
        (PHRASE + PHRASE, {"phrases": "1+1"}, []),
        (PHRASE * 2 + PHRASE + "G4:16", {"phrases": "A2 A'2", "bars": 4}, []),
        (PHRASE * 2 + "G4:16 " + PHRASE, {"phrases": "A2 A'2", "bars": 4}, [32]),
        ("r:4 E4 F4 D4 r:4 E4 D4 C4", {}, []),
    ],
    # line, asked, differ, alike
    "phrases": [
        (PHRASE + PHRASE, {}, 0, 1),
        (PHRASE + "G4 B4 C5:2 B4:2 A4", {}, 0, 1),  # transposed
        (PHRASE + "C4 A4 B4:2 G4:2 C4", {}, 0, 1),  # the same ways up and down
        (PHRASE + "C4 E4 G4 C4", {}, 0, 4 / 5),  # the second half is free
        (PHRASE + "G4 E4 F4:2 E4:2 D4", {}, 1 / 2, 4 / 5),  # down for up
        (PHRASE + "C4 C4 F4:2 E4:2 D4", {}, 1 / 2, 4 / 5),
        (PHRASE + "C4:8 F4:2 E4:2 D4", {}, 1 / 2, 4 / 5),  # a note less
        (PHRASE + "C4:3 E4:5 F4:2 E4:2 D4", {}, 2 / 3, 4 / 6),
        (PHRASE + "r:16", {}, 1, 0),
        ("r:16 " + PHRASE, {}, 1, 0),
        ("r:32", {}, 0, 0),
        (PHRASE + "r:4 E4 F4:2 E4:2 D4", {}, 1, 3 / 5),  # its first note goes nowhere yet
        ("G4 " + PHRASE + "E4:8 D4", {"pickup": 4}, 1 / 2, 1 / 5),
    ],
}
