"""Rules of the line written again in plain Python over a list of notes, as an oracle.

Each returns {number of the note, or END for the last cell: value} for the default parameters. They
share no code with the rules; music21 names the intervals.
"""

import functools
import math
from collections import Counter
from itertools import groupby, pairwise

from music21 import interval, pitch, scale

END = "end"


def at_end(value):
    return {END: value} if value > 0 else {}


def beyond(value, least, most, top):
    return max(0, (least - value) / least, (value - most) / (top - most))


def merged(p):
    """Return (number of the first stroke, pitch) of the notes without repeated ones."""
    return [next(run) for _, run in groupby(enumerate(p), key=lambda note: note[1])]


@functools.cache
def pitch_classes_of(key):
    """Return the key's pitch classes by music21; minor has those of both melodic scales."""
    kinds = {"major": scale.MajorScale, "natural minor": scale.MinorScale}
    kinds |= {"minor": scale.MelodicMinorScale, "dorian": scale.DorianScale}
    theirs = kinds[key.mode](key.tonic.replace("b", "-"))
    ways = (scale.Direction.ASCENDING, scale.Direction.DESCENDING)
    pitches = [theirs.getPitches("C4", "C6", direction=way) for way in ways]
    return {each.pitchClass for found in pitches for each in found}


def slow_in_key(p, key, **_):
    return {i: 1 for i, each in enumerate(p) if each % 12 not in pitch_classes_of(key)}


def slow_leap_size(p, **_):
    sizes = [abs(b - a) for a, b in pairwise(p)]
    return {i: min(1, (size - 12) / 12) for i, size in enumerate(sizes, 1) if size > 12}


def slow_repeated_notes(p, **_):
    return {i: 1 for i in range(3, len(p)) if len(set(p[i - 3 : i + 1])) == 1}


def slow_tritone_outline(p, **_):
    line = merged(p)
    inner = range(1, len(line) - 1)
    turns = [i for i in inner if (line[i][1] > line[i - 1][1]) == (line[i][1] > line[i + 1][1])]
    found = {}
    for a, b in pairwise([0, *turns, len(line) - 1]):
        if b - a >= 2 and abs(line[a][1] - line[b][1]) == 6:
            found[line[b + 1][0] if b + 1 < len(line) else END] = 1
    return found


def slow_two_leaps(p, **_):
    triads = [{root, root + third, root + 7} for root in range(12) for third in (3, 4)]
    triads = [{note % 12 for note in triad} for triad in triads]
    found = {}
    for i in range(2, len(p)):
        a, b, c = p[i - 2 : i + 1]
        leaps = min(abs(b - a), abs(c - b)) >= 3 and (b > a) == (c > b)
        fine = abs(c - a) <= 12 and any({a % 12, b % 12, c % 12} <= triad for triad in triads)
        if leaps and not fine:
            found[i] = 1
    return found


def slow_leading_note(p, key, **_):
    line, found = merged(p), {}
    for j, ((_, a), (i, b)) in enumerate(pairwise(line)):
        if (a - key.pitch_class) % 12 == 11 and b != a + 1:
            from_tonic = j > 0 and line[j - 1][1] == a + 1
            if not (from_tonic and b in (a - 1, a - 2)):
                found[i] = 1
    return found


@functools.cache
def interval_between(key, a, b):
    names = (key.pitch_name(each).replace("b", "-") for each in (a, b))
    return interval.Interval(*(pitch.Pitch(name) for name in names))


def slow_augmented_second(p, key, **_):
    return {i: 1 for i in range(1, len(p)) if interval_between(key, p[i - 1], p[i]).name == "A2"}


def slow_chromatic_step(p, key, **_):
    moves = ((i, interval_between(key, *pair)) for i, pair in enumerate(pairwise(p), 1))
    return {i: 1 for i, move in moves if move.generic.undirected == 1 and move.semitones}


def slow_dissonant_leap(p, **_):
    sizes = [interval.Interval(abs(b - a)) for a, b in pairwise(p)]
    bad = ("A4", "d5", "m7", "M7")
    return {i: 1 for i, size in enumerate(sizes, 1) if size.name in bad or size.semitones > 12}


def slow_tessitura(p, **_):
    spans = [max(p[:i]) - min(p[:i]) for i in range(1, len(p) + 1)]
    return {i: 1 for i in range(1, len(p)) if spans[i] > max(16, spans[i - 1])}


def slow_late_climax(p, starts, cells, **_):
    if len(p) < 2:
        return {}
    first = p.index(max(p))
    return at_end(1 if first == len(p) - 1 else (0.4 - starts[first] / cells) / 0.4)


def slow_step_leap_balance(p, **_):
    moves = [abs(b - a) for a, b in pairwise(p) if b != a]
    share = sum(move <= 2 for move in moves) / (len(moves) or 1)
    return at_end(beyond(share, 0.35, 0.9, 1) if len(moves) >= 8 else 0)


def slow_pitch_entropy(p, **_):
    shares = [count / len(p) for count in Counter(x % 12 for x in p).values()]
    bits = -sum(share * math.log2(share) for share in shares)
    return at_end(beyond(bits, 1.5, 3, math.log2(12)))


def slow_contour_arch(p, **_):
    middle = sum(p[1:-1]) / max(len(p) - 2, 1)
    return at_end(min(1, 1 - middle + max(p[0], p[-1])) if len(p) > 2 else 0)


SLOW = {
    "in_key": slow_in_key,
    "leap_size": slow_leap_size,
    "dissonant_leap": slow_dissonant_leap,
    "two_leaps": slow_two_leaps,
    "tritone_outline": slow_tritone_outline,
    "augmented_second": slow_augmented_second,
    "chromatic_step": slow_chromatic_step,
    "opening_tonic": lambda p, key, **_: {0: 1} if p and p[0] % 12 != key.pitch_class else {},
    "step_down_close": lambda p, **_: at_end(len(p) > 1 and p[-2] - p[-1] not in (1, 2)),
    "repeated_notes": slow_repeated_notes,
    "leading_note": slow_leading_note,
    "final_tonic": lambda p, key, **_: at_end(bool(p) and p[-1] % 12 != key.pitch_class),
    "tessitura": slow_tessitura,
    "step_leap_balance": slow_step_leap_balance,
    "unique_climax": lambda p, **_: at_end(bool(p) and p.count(max(p)) > 1),
    "late_climax": slow_late_climax,
    "contour_arch": slow_contour_arch,
    "pitch_entropy": slow_pitch_entropy,
    "pitch_variety": lambda p, **_: at_end((4 - len(set(p))) / 4),
}
