"""The nine reference rules written again in plain Python, token by token, for any length.

They are written from the description of the reference's behaviour and serve as an oracle: they
share no code with the rules.
"""

import math

KEY = {0, 1} | {t for t in range(2, 38) if (t - 2) % 12 in (0, 2, 4, 5, 7, 9, 11)}


def interval_code(composition, a):
    pitches = [t for t in composition if t >= 2]
    if not pitches:
        return 0
    last = pitches[-1]
    stable = (last - 2) % 12 in (0, 7)
    if a == 1:
        return -2.5 if stable else -1.5
    if a == 0:
        return -2 if stable else -1
    d = abs(a - last)
    if d == 7 and stable:
        return -5
    if d == 4 and (last - 2) % 12 in (0, 4):
        return -3
    return d


POINTS = {-1: 0.05, -1.5: 0.075, -2: 0.15, -2.5: 0.3, -5: 0.1, -3: 0.15}
POINTS |= {2: 0.08, 4: 0.09, 5: 0.07, 7: 0.02, 9: 0.05, 11: -0.3}


def repeated(composition, a):
    count, rest, hold = 0, False, False
    for t in reversed(composition):
        if t == a:
            count += 1
        elif t == 0:
            rest = True
        elif t == 1:
            hold = True
        else:
            break
    if a == 0 and count >= 2:
        return True
    if not rest and not hold and count >= 5:
        return True
    return (rest or hold) and count >= 7


def motif_size(tokens):
    if len(tokens) < 8:
        return 0
    different = len({t for t in tokens[-8:] if t >= 2})
    return different if different >= 3 else 0


def occurs(window, earlier):
    return any(earlier[i : i + 8] == window for i in range(len(earlier) - 7))


def autocorrelation(tokens, lag):
    n = len(tokens)
    mean = sum(tokens) / n
    variance = sum((t - mean) ** 2 for t in tokens) / n
    if variance < 1e-12:
        return math.nan
    products = ((tokens[i] - mean) * (tokens[i + lag] - mean) for i in range(n - lag))
    return sum(products) / n / variance


class Leaps:
    def __init__(self):
        self.direction, self.origin, self.since = 0, None, 0

    def judge(self, composition, a):
        if not composition:
            return 0
        if a < 2:
            self.since += 1
            return 0
        pitches = [t for t in composition if t >= 2]
        if pitches and abs(a - pitches[-1]) >= 7:
            way = 1 if a > pitches[-1] else -1
            result = 0
            if self.direction == 0:
                self.direction, self.origin = way, pitches[-1]
            elif self.direction == way:
                result = -1
            else:
                result = 1 if self.since > 6 else 0
                self.direction, self.origin = 0, None
            self.since = 0
            return result
        self.since += 1
        home = self.direction > 0 and a <= self.origin
        home = home or (self.direction < 0 and a >= self.origin)
        if home:
            self.direction, self.origin = 0, None
            return 1
        return 0


def rewards(melody):
    """Return the weighted rewards {rule: [value of each step]} of a melody of any length."""
    length, leaps, out = len(melody), Leaps(), {}
    for beat, a in enumerate(melody):
        before, so_far = melody[:beat], melody[: beat + 1]
        end = length - 4
        tonic = (beat in (0, end) and a == 14) or (beat == end + 1 and a == 1)
        tonic = tonic or (beat > end + 1 and a in (0, 1))
        coefficients = [autocorrelation(so_far, lag) for lag in (1, 2, 3)]
        size = motif_size(so_far)
        again = size and occurs(so_far[-8:], before[: max(0, beat + 1 - 8)])
        code = interval_code(before, a)
        unique = 0
        if beat == length - 1:
            unique += melody.count(max(melody)) == 1
            pitches = [t for t in melody if t >= 2]
            unique += bool(pitches) and pitches.count(min(pitches)) == 1
        values = {
            "key": -1.0 * (a not in KEY),
            "tonic": 3.0 * tonic,
            "penalize_repeating": -100.0 * repeated(before, a),
            "penalize_autocorrelation": -3.0 * sum(abs(c) for c in coefficients if abs(c) > 0.15),
            "motif": 3 + 0.3 * (size - 3) if size else 0.0,
            "repeated_motif": 4.0 + (size - 3) if again else 0.0,
            "preferred_intervals": 5 * (-1.0 if code > 12 else POINTS.get(code, 0.0)),
            "leap_up_back": 5.0 * leaps.judge(before, a),
            "high_low_unique": 3.0 * unique,
        }
        for name, value in values.items():
            out.setdefault(name, []).append(value)
    return out
