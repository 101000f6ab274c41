"""Judge by note lists, without the rules' code, if a melody has the key, chords and form asked for.

Scales, chord tones and strong places are written out by hand; notes are (start, duration, pitch).
"""

import re

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SCALES = {
    "major": "0 2 4 5 7 9 11",
    "minor": "0 2 3 5 7 8 9 10 11",  # sixth and seventh, natural and raised
    "natural minor": "0 2 3 5 7 8 10",
    "harmonic minor": "0 2 3 5 7 8 11",
    "melodic minor": "0 2 3 5 7 8 9 10 11",
    "dorian": "0 2 3 5 7 9 10",
    "phrygian": "0 1 3 5 7 8 10",
    "lydian": "0 2 4 6 7 9 11",
    "mixolydian": "0 2 4 5 7 9 10",
    "major pentatonic": "0 2 4 7 9",
    "minor pentatonic": "0 3 5 7 10",
    "blues": "0 3 5 6 7 10",
}
CHORDS = {"": (0, 4, 7), "m": (0, 3, 7), "7": (0, 4, 7, 10), "dim": (0, 3, 6)}
# Strong places of a bar in quarter notes, and its length.
STRONG = {
    "2/4": ((0, 1), 2),
    "3/4": ((0, 1, 2), 3),
    "4/4": ((0, 2), 4),
    "6/8": ((0, 1.5), 3),
    "9/8": ((0, 1.5, 3), 4.5),
    "12/8": ((0, 3), 6),
    "5/4": ((0, 3), 5),
    "7/8": ((0, 1, 2), 3.5),
}


def pitch_class(name):
    """Pitch class of a tonic or a root such as 'F#'."""
    return (LETTERS[name[0]] + name.count("#") - name[1:].count("b")) % 12


def scale_of(key):
    """Pitch classes of a key in words, such as 'F# dorian'."""
    tonic, _, mode = key.partition(" ")
    return {(pitch_class(tonic) + int(step)) % 12 for step in SCALES[mode or "major"].split()}


def tones_of(chord):
    """Pitch classes of a chord symbol such as 'Bbm' or 'G7'."""
    root, kind = re.fullmatch("([A-G][b#]?)(.*)", chord).groups()
    return {(pitch_class(root) + step) % 12 for step in CHORDS[kind]}


def foreign_to_key(notes, key):
    """Notes outside the scale."""
    return [note for note in notes if note[2] % 12 not in scale_of(key)]


def foreign_to_chords(notes, chords, meter, pickup=0, grid=4):
    """Notes on strong places outside the chord; `chords` has those of each bar, and repeats."""
    rows = [bar.split() for bar in chords.split("|")]
    (places, quarters), found = STRONG[meter], []
    length = int(quarters * grid)
    for start, duration, pitch in notes:
        bar, place = divmod(start - pickup, length)
        if bar < 0 or place not in [int(strong * grid) for strong in places]:
            continue
        row = rows[bar % len(rows)]
        number = max(i for i in range(len(row)) if place >= i * length / len(row))
        if pitch % 12 not in tones_of(row[number]):
            found.append((start, duration, pitch))
    return found


def phrases_of(plan, bars):
    """(name, letter, first bar, bars) of each phrase of a plan such as "A4 A'4" or AABA."""
    names = re.findall(r"([A-Za-z])('*)(\d*)", plan)
    lengths = [int(number or bars // len(names)) for _, _, number in names]
    firsts = [sum(lengths[:i]) for i in range(len(lengths))]
    return [
        (letter + primes, letter, first, length)
        for (letter, primes, _), first, length in zip(names, firsts, lengths, strict=True)
    ]


def begun(notes, first, cells):
    """Starts and pitches of the notes that begin in some cells, counted from the first."""
    return [(note[0] - first, note[2]) for note in notes if first <= note[0] < first + cells]


def departures(notes, plan, bars, meter, grid=4):
    """Pairs of phrases that do not do what their letters say; a note list has one voice."""
    length, found = int(STRONG[meter][1] * grid), []
    phrases = phrases_of(plan, bars)
    for number, (name, letter, first, size) in enumerate(phrases):
        earlier = phrases[:number]
        same = [other for other in earlier if other[0] == name]
        akin = [other for other in earlier if other[1] == letter]
        for other in (same or akin)[:1]:
            shorter = min(size, other[3])
            whole = {1: 0.5, 2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 6}.get(shorter) or (
                shorter - shorter // 4
            )
            alike = whole if same or shorter == 1 else shorter // 2
            cells = int(alike * length)
            if begun(notes, first * length, cells) != begun(notes, other[2] * length, cells):
                found.append((other[0], name))
        for other in [] if akin else earlier:
            cells = min(size, other[3]) * length
            if begun(notes, first * length, cells) == begun(notes, other[2] * length, cells):
                found.append((other[0], name))
    return found
