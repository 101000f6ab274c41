"""Written examples of the rules of the line."""

from tests.rewards.rules.slow_melody import END

TWINKLE = "C4 C4 G4 G4 A4 A4 G4 r"
WHOLE_TWINKLE = f"{TWINKLE} F4 F4 E4 E4 D4 D4 C4 r"
ODE_TO_JOY = "E4 E4 F4 G4 G4 F4 E4 D4"
ANTHEM = "G4 E4 C4 E4 G4 C5"  # The Star-Spangled Banner, to the tune of John Stafford Smith
ROCKETS = f"{ANTHEM} E5 E5 F5 G5"  # where it is said to be hard to sing
GREENSLEEVES = "A4 C5 D5 E5 F#5 E5 D5 B4 G4 A4 B4 C5 A4 A4 G#4 A4 B4 G#4 E4"
FATE = "G4 G4 G4 Eb4 F4 F4 F4 D4"  # Beethoven's fifth symphony
SCALE = "C4 D4 E4 F4 G4 A4 B4 C5"

# Lines of quarter notes and rests: the words, counted from 0, at which each rule is broken.
TABLE = {
    "leap_size": [
        ("C4 C5 B4 C5", []),
        ("C4 C#5 C5 C4", [1]),
        ("C5 B3 C4 C4", [1]),
        ("C4 r C6 B5", [2]),  # a rest is looked through
        ("A3 A4 G4 E4 F4 E4", []),  # the octave in Fux's third mode
        (ANTHEM, []),
    ],
    "dissonant_leap": [
        ("F4 B4 C5 r", [1]),
        ("B4 F4 E4 C4", [1]),
        ("C4 Bb4 A4 G4", [1]),
        ("C4 B4 C5 r", [1]),
        ("C4 C5 D4 C4", [2]),
        ("C4 D5 C5 r", [1]),  # a ninth
        ("C4 A4 C4 Ab4", []),
        (ROCKETS, []),
        ("F4 r B4 C5", [2]),
    ],
    "two_leaps": [
        (ANTHEM, []),
        ("C4 F4 Bb4 A4", [2]),  # fourth on fourth
        ("B3 D4 F4 E4", [2]),  # a diminished triad
        ("C4 E4 G#4 A4", [2]),  # an augmented one
        ("C4 A4 E5 D5", [2]),  # A minor, but beyond the octave
        ("C5 G4 C4 D4", []),
        ("C5 A4 E4 F4", []),
        ("E4 G4 C5 B4", []),  # a sixth chord
        ("C5 A4 F#4 G4", [2]),
        ("C4 E4 E4 G#4", []),  # parted by a repetition
        ("C4 F4 B3 E4", []),  # leaps to and fro
        ("C4 D4 F4 B4", [3]),  # the step is no leap, F4-B4 is the second
    ],
    "tritone_outline": [
        ("F4 G4 A4 B4 A4 G4", [4]),
        ("F4 G4 A4 B4 C5 B4", []),  # it goes on to C
        ("B4 A4 G4 F4 G4 A4", [4]),
        ("F4 A4 B4 A4", [3]),
        ("F4 B4 A4 G4", []),  # one leap, which dissonant_leap marks
        ("F4 G4 G4 A4 B4 B4 A4 C5", [6]),
        ("C5 B4 A4 G4 F4 r r r", []),
        ("G4 B4 A4 G4 F4 r r r", [END]),
        ("E4 F4 G4 A4 Bb4 A4 G4 F4", [5]),
        ("F4 G4 B4 A4 F4 A4 B4 C5", [3, 5]),  # up, down, and then a fifth
    ],
    "augmented_second": [
        ("E4 F4 G#4 A4", "A minor", [2]),
        ("A4 G#4 F4 E4", "A minor", [2]),
        ("E4 F#4 G#4 A4", "A minor", []),
        ("A4 C5 B4 A4", "A minor", []),  # a minor third
        ("D4 Bb4 C#5 D5", "D dorian", [2]),
        ("E4 F4 G#4 F4 E4", "E phrygian", [2, 3]),
        ("E4 G#4 B4 E5", "C major", []),
        ("G4 Ab4 B4 C5", "C minor", [2]),
        ("C4 Eb4 D4 C4", "C minor", []),
        (GREENSLEEVES, "A minor", []),
    ],
    "repeated_notes": [
        ("C4 C4 C4 D4", []),
        ("C4 C4 C4 C4 C4 D4", [3, 4]),
        ("C4 r C4 C4 r C4", [5]),
        ("C4 C4 C4 D4 C4 C4", []),
        ("C4 C5 C4 C5 C4 C5", []),  # the octave is another note
        (TWINKLE, []),
        (FATE, "C minor", []),
    ],
    "leading_note": [
        ("D4 B3 C4 r", []),
        ("D4 B3 G3 C4", [2]),
        ("C5 B4 A4 G4", []),
        ("D5 B4 A4 G4", [2]),  # down, but not from the tonic
        ("C4 B4 A4 r", [2]),  # nor from this tonic
        ("C5 B4 B4 A4", []),
        ("B3 B3 r C4", []),
        ("C5 B4 G4 C5", [2]),  # from the tonic, but no step
        ("C4 B3 C5 r", [2]),  # another octave's tonic
        ("C4 D4 B3 r", []),  # nothing follows
        ("A4 G4 E4 D4", "A minor", []),  # no leading note
        ("A4 G#4 F4 E4", "A minor", [2]),
        (GREENSLEEVES, "A minor", [18]),  # its half cadence
    ],
    "final_tonic": [
        ("E4 D4 C4 r", []),
        ("C4 D4 E4 F4", [END]),
        ("G4 F4 C3 r", []),
        ("G4 F#4 G4 r", "G major", []),
        ("D4 E4 D4 C4", "D dorian", [END]),
        (TWINKLE, [END]),
        (WHOLE_TWINKLE, []),
    ],
    "opening_tonic": [
        (SCALE, []),
        (ODE_TO_JOY, [0]),
        ("r C5 G4 E4", []),  # the first note, after a rest
        ("r G4 C5 E5", [1]),  # a fourth below it
        ("D4 F4 E4 D4", "D dorian", []),  # Fux's first mode
        ("D4 F4 E4 D4", [0]),
        (GREENSLEEVES, "A minor", []),
        (FATE, "C minor", [0]),
    ],
    "step_down_close": [
        ("C4 E4 D4 C4", []),
        ("C4 D4 B3 C4", [END]),  # up
        ("C4 E4 G4 C4", [END]),
        ("E4 D4 C4 C4", [END]),  # it is struck again
        ("D4 C4 r r", []),
        ("G4 A4 F4 E4", "E phrygian", []),  # a semitone
        ("C5 C4 r r", [END]),
        ("C4 r r r", []),  # nothing before it
        (WHOLE_TWINKLE, []),
        (GREENSLEEVES, "A minor", [END]),
    ],
    "chromatic_step": [
        ("A4 B4 C#5 D5", "D dorian", []),
        ("B4 C5 C#5 D5", "D dorian", [2]),
        ("D5 C#5 C5 B4", "D dorian", [2]),
        ("A4 Bb4 B4 C5", "F major", [2]),
        ("E4 F4 B4 C5", []),  # the semitones of the scale
        ("F4 F#4 G4 A4", [1]),
        ("F4 G4 F#4 G4", []),
        ("F4 r F#4 G4", [2]),  # a rest is looked through
        ("F4 F#5 G5 F5", []),  # an octave on, no step
        ("G4 Ab4 G4 B4", "C minor", []),  # two letters
        ("G4 F#4 G4 r", "C minor", [1, 2]),  # which names it G flat
        ("A4 G#4 G4 F#4", "A minor", [2]),  # its seventh degree, raised and not
    ],
    "tessitura": [
        ("C4 E5 C5 C4", []),
        ("C4 F5 E5 C4", [1]),
        ("C4 E5 B3 E5", [2]),
        ("C4 F5 F5 E5", [1]),  # again there is nothing new
        ("C4 F5 F#5 E5", [1, 2]),
        ("C5 r G3 D5", [2, 3]),
        (ROCKETS, [8, 9]),
    ],
    "step_leap_balance": [
        (f"{SCALE} B4", [END]),  # eight moves, all steps
        (SCALE, []),  # seven are not judged
        (f"{SCALE} B4 A4 F4", []),  # nine steps of ten
        ("C4 E4 G4 C5 B4 G4 E4 C4 D4", [END]),  # two of eight
        ("C4 E4 G4 C5 B4 A4 F4 C4 D4", []),  # three of eight
        ("C4 C4 D4 D4 E4 E4 F4 F4 G4 G4", []),  # four moves
    ],
    "unique_climax": [
        ("C4 E4 G4 E4", []),
        ("C4 G4 E4 G4", [END]),
        ("C4 G4 G4 E4", [END]),
        ("C4 C5 B4 C5 D5 C5", []),
        (TWINKLE, [END]),
        (ODE_TO_JOY, [END]),
        (GREENSLEEVES, "A minor", []),
    ],
    "late_climax": [
        ("C4 E4 D4 F4 A4 G4 E4 C4", []),
        ("C4 E4 D4 A4 F4 G4 E4 C4", [END]),  # 3/8 of the way
        ("C4 E4 D4 F4 A4 A4 E4 C4", []),
        (SCALE, [END]),  # the last note
        ("C4 D4 E4 C5 r r r r", [END]),
        ("A4 C4 D4 E4 G4 A4 D4 C4", [END]),  # its first stroke counts
        (FATE, "C minor", [END]),
        (TWINKLE, []),
    ],
    "contour_arch": [
        ("C4 F4 E4 D4", []),
        ("E4 C4 D4 E4", [END]),
        ("C4 D4 E4 F4", [END]),
        ("C4 C4 C4 C4", [END]),
        ("C4 G4 r r", []),  # it has no middle
        (" ".join(reversed(SCALE.split())), [END]),  # Joy to the World
        (ODE_TO_JOY, []),
        (TWINKLE, [END]),
        (WHOLE_TWINKLE, []),
    ],
    "pitch_entropy": [
        ("C4 G4 C4 G4", [END]),
        ("C4 D4 E4 F4", []),
        ("C4 D4 E4 r", []),
        ("C4 C5 C3 C4", [END]),  # one pitch class
        (SCALE, []),
        ("C4 C#4 D4 Eb4 E4 F4 F#4 G4 G#4 A4 Bb4 B4", [END]),
    ],
    "pitch_variety": [
        ("C4 D4 E4 F4", []),
        ("C4 D4 C4 E4", [END]),
        ("C4 C5 C4 C5", [END]),
        ("C4 C5 D4 D5", []),
        (TWINKLE, [END]),
        (WHOLE_TWINKLE, []),
    ],
}
