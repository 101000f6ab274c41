"""The rules of implied harmony, plan and register once more, note by note, slowly.

Each takes notes (start, duration, pitch) in order and a task, and gives {cell: violation}.
"""

from itertools import pairwise

import numpy as np

MAJOR_STEPS, MINOR_STEPS = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def steps_of(key):
    return {"major": MAJOR_STEPS, "minor": MINOR_STEPS}.get(key.written_mode, key.steps)


def degree(note, task):
    return (note.pitch - task.key.pitch_class) % 12


def level(cell, task):
    return task.meter.levels(task.grid)[task.place_in_bar(cell)]


def bars_of(task):
    """(first, end) of each bar behind the pickup."""
    size = task.bar_cells
    return [(a, min(a + size, task.cells)) for a in range(task.pickup, task.cells, size)]


def halves(task):
    beats = task.meter.numerator // 3 if task.meter.compound else task.meter.numerator
    return beats % 2 == 0 and not task.meter.groups and task.meter.factors(task.grid)[:1] == (2,)


def spelled(notes, task, start, end):
    """The chord, a tuple of root step and triad, and its share of the sound from start to end."""
    sound = [0] * 12
    for note in notes:
        first, last = max(note.start, start), min(note.start + note.duration, end)
        weight = {0: 4, 1: 3}.get(level(first, task), 2) if last > first else 0
        sound[degree(note, task)] += weight * max(0, last - first)
    if not any(sound):
        return None, 0.0
    steps, minor = steps_of(task.key), task.key.written_mode == "minor"
    found = []
    for root in (0, 4, 3, 1, 5, 2, 6):
        triad = [steps[(root + third) % 7] for third in (0, 2, 4)]
        raised = [11 if minor and root in (4, 6) and step == 10 else step for step in triad]
        found.append((root, raised))
    if minor:
        found += [(root, [steps[(root + third) % 7] for third in (0, 2, 4)]) for root in (4, 6)]
    shares = []
    for number, (_, triad) in enumerate(found):
        count = sum(sound[step] for step in triad)
        count += sound[steps[3]] / 2 if number == 1 else 0
        shares.append(count / sum(sound))
    best = max(range(len(found)), key=lambda i: (shares[i], -i))
    return (found[best][0], tuple(found[best][1])), shares[best]


def slow_bar_harmony(notes, task, least=0.7):
    out = {}
    for start, end in bars_of(task) if not task.chords else ():
        chord, share = spelled(notes, task, start, end)
        middle = start + task.bar_cells // 2
        if halves(task) and end > middle:
            parts = [spelled(notes, task, start, middle), spelled(notes, task, middle, end)]
            if all(part[0] for part in parts):
                share = max(share, (parts[0][1] + parts[1][1]) / 2 - 0.1)
        if chord:
            out[end - 1] = max(0.0, (least - share) / least)
    return out


def slow_harmonic_rhythm(notes, task, clear=0.75):
    if not halves(task) or task.chords:
        return {}
    size, out = task.bar_cells // 2, {}
    chords = {}
    for start in range(task.pickup, task.cells - size + 1, size):
        chord, share = spelled(notes, task, start, start + size)
        chords[start] = chord if share >= clear else None
    for start, _ in bars_of(task)[1:]:
        one, two, three = (chords.get(start + n * size) for n in (-2, -1, 0))
        if one and two and two == three and one != two:
            out[start + size - 1] = 1.0
    return out


def slow_static_harmony(notes, task, longest=3):
    found = [(end - 1, spelled(notes, task, start, end)[0]) for start, end in bars_of(task)]
    out = {}
    for number, (cell, chord) in enumerate(found if not task.chords else ()):
        before = [each for _, each in found[max(0, number - longest) : number + 1]]
        if chord and len(before) == longest + 1 and set(before) == {chord}:
            out[cell] = 1.0
    return out


def slow_dominant_close(notes, task, beats=2, least=0.5):
    steps, out = steps_of(task.key), {}
    dominant = {steps[1], steps[3], steps[4], steps[6]}
    dominant |= {11} if task.key.written_mode == "minor" else set()
    starts = [c for c in range(task.cells) if task.place_in_bar(c) % task.beat_cells == 0]
    for end in np.flatnonzero(task.phrase_ends).tolist() if not task.chords else ():
        line = [note for note in notes if note.start <= end]
        if not line or degree(line[-1], task):
            continue
        first = len(line) - 1
        while first and degree(line[first - 1], task) == 0:
            first -= 1
        stop = line[first].start
        beats_before = [cell for cell in starts if cell <= stop]
        start = beats_before[-1 - beats] if len(beats_before) > beats else 0
        lengths = [
            (max(0, min(n.start + n.duration, stop) - max(n.start, start)), degree(n, task))
            for n in line[:first]
        ]
        before = line[first - 1] if first else None
        if before and before.start + before.duration >= stop:
            lengths.append((stop - before.start, degree(before, task)))  # the last counts twice
        total = sum(length for length, _ in lengths)
        if total:
            share = sum(length for length, step in lengths if step in dominant) / total
            out[end] = max(0.0, (least - share) / least)
    return out


def slow_early_close(notes, task, beats=1.0):
    out = {}
    bars = bars_of(task)
    for number, (_, end) in enumerate(bars):
        place, period = number % 8, min(8, task.bars - number // 8 * 8)
        line = [note for note in notes if note.start < end]
        if place >= 1 and 2 * (place + 1) <= period and line:
            long = end - line[-1].start >= beats * task.beat_cells
            out[end - 1] = float(degree(line[-1], task) == 0 and long)
    return out


# -- the plan --------------------------------------------------------------------------------------


def inside(notes, start, end):
    return [note for note in notes if start <= note.start < end]


def likeness(one, other):
    """Of two bars, each {place: way}."""
    places = one.keys() | other.keys()
    both = one.keys() & other.keys()
    alike = sum(1.0 if one[at] == other[at] else 0.5 for at in both)
    return alike / len(places) if places else 0.0


def ways(notes, start):
    moves = [0] + [int(np.sign(b.pitch - a.pitch)) for a, b in pairwise(notes)]
    return {note.start - start: way for note, way in zip(notes, moves, strict=False)}


def slow_opening_return(notes, task, least=0.75):
    plan, count = task.phrase_plan, task.bars
    letters = [phrase.letter for phrase in plan]
    if count < 4 or (letters[0] and task.phrases and letters.count(letters[0]) == 1):
        return {}
    places = [p.first_bar + n for p in plan for n in range(0, p.bars, 2)]
    places = [bar for bar in places if 0 < bar < count - 1]
    late = [bar for bar in places if bar >= count / 2] or places[-1:]
    bars, best, out = bars_of(task), 0.0, {}
    first = ways(inside(notes, *bars[0]), bars[0][0])
    for bar in places:
        start, end = bars[bar]
        best = max(best, likeness(first, ways(inside(notes, start, end), start)))
        lost = max(0.0, (least - best) / least)
        times = (bar == late[0]) + (bar == places[-1])
        if times:
            out[end - 1] = lost * times / 2
    return out


def slow_sequence(notes, task):
    if task.bars < 4:
        return {}
    sizes, found = {task.bar_cells // 2} if halves(task) else set(), task.cells
    for size in sizes | {task.bar_cells}:
        for start in range(task.pickup, task.cells - size + 1, size):
            now, before = inside(notes, start, start + size), inside(notes, start - size, start)
            if len(now) < 3 or ways(now, start) != ways(before, start - size):
                continue
            joint = int(np.sign(now[0].pitch - before[-1].pitch))
            gone = {joint} | set(list(ways(now, start).values())[1:])
            if now[0].pitch != before[0].pitch and len(gone) > 1:
                found = min(found, start + size - 1)
    half = bars_of(task)[(task.bars + 1) // 2 - 1][1] - 1
    return {cell: 0.5 * (found > cell) for cell in (half, task.cells - 1)}


def slow_copied_bars(notes, task, most=0.5, row=2):
    bars, copies, out, seen, letters = bars_of(task), 0, {}, [], set()
    for number, (start, end) in enumerate(bars):
        phrase = next(p for p in task.phrase_plan[::-1] if p.first_bar <= number)
        if phrase.first_bar == number:
            again = bool(phrase.letter) and phrase.letter in letters
            letters.add(phrase.letter)
        content = tuple((n.start - start, n.pitch) for n in inside(notes, start, end))
        copied = bool(content) and not again and content in seen
        copies += copied
        run = 1
        if content and not again:
            for back in range(number - 1, -1, -1):
                if seen[back] != content:
                    break
                run += 1
                if not planned_free(task, back):
                    break
        seen.append(content)
        out[end - 1] = float((copied and copies > most * task.bars) or run > row)
    return out


def planned_free(task, bar):
    """True if no earlier phrase has the letter of a bar's phrase."""
    plan = task.phrase_plan
    number = max(i for i, phrase in enumerate(plan) if phrase.first_bar <= bar)
    return not plan[number].letter or plan[number].letter not in [p.letter for p in plan[:number]]


# -- register --------------------------------------------------------------------------------------


def slow_planned_climax(notes, task, full=4.0, until=0.875):
    end = int(until * task.cells)
    high = max((n.pitch for n in notes if n.start < end), default=None)
    if task.bars < 4 or high is None:
        return {}
    late = [n.pitch for n in notes if task.cells <= 2 * n.start and n.start < end]
    return {end - 1: min(1.0, max(0.0, (high - max(late, default=-1)) / full))}


def slow_earned_register(notes, task, free=5.0):
    line = [note.pitch for note in notes]
    if not line or line[-1] != min(line):
        return {}
    depth = sum(line) / len(line) - line[-1]
    return {task.cells - 1: min(1.0, max(0.0, (depth - free) / (12 - free)))}


def slow_circling(notes, task, widest=7, fewest=10):
    out = {}
    for (start, _), (_, end) in pairwise(bars_of(task)):
        line = [note.pitch for note in inside(notes, start, end)]
        calm = len(line) < max(1, fewest)
        out[end - 1] = float(not calm and max(line) - min(line) <= widest)
    return out


def slow_aimless_turns(notes, task):
    out, last = {}, None
    for one, two, three in zip(notes, notes[1:], notes[2:], strict=False):
        gaps = two.start - one.start, three.start - two.start
        moves = two.pitch - one.pitch, three.pitch - two.pitch
        even = gaps[0] == gaps[1] <= task.beat_cells / 2
        back = moves[0] * moves[1] < 0 and max(map(abs, moves)) <= 2
        if even and back and task.place_in_bar(two.start) % task.beat_cells:
            if last is not None and three.start - last <= task.bar_cells:
                out[three.start] = 1.0
            last = three.start
    return out


SLOW = {
    name.removeprefix("slow_"): fn for name, fn in vars().copy().items() if name.startswith("slow_")
}
