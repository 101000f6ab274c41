"""Rules of the species of counterpoint told note by note; see `slow_voices`."""

import functools
from itertools import combinations, pairwise

from tests.rewards.rules.slow_voices import (
    at,
    before,
    degree,
    starting,
    starts,
    together,
    verticals,
)

PERFECT, IMPERFECT = {0, 7}, {3: "third", 4: "third", 8: "sixth", 9: "sixth"}


def perfect_approach(voices, task):
    return {
        (u, v, cell)
        for u, v, cell, (a, b), (c, d) in together(voices)
        if abs(c - d) % 12 in PERFECT and (c > a) == (d > b)
    }


def downbeat_parallels(voices, task, saved=5):
    marked, lines = set(), range(task.pickup, task.cells, task.bar_cells)
    for u, v in combinations(range(len(voices)), 2):
        for first, second in pairwise(lines):
            notes = [[at(voices[w], t) for w in (u, v)] for t in (first, second - 1, second)]
            if None in notes[0] + notes[2]:
                continue
            sizes = [abs(a.pitch - b.pitch) % 12 for a, b in (notes[0], notes[2])]
            stays = any(a.pitch == b.pitch for a, b in zip(notes[0], notes[2], strict=False))
            leaps = [
                abs((b.pitch if b else -1) - a.pitch)
                for a, b in zip(notes[0], notes[1], strict=False)
            ]
            if sizes[0] == sizes[1] in PERFECT and not stays and max(leaps) < saved:
                marked.add((u, v, second))
    return marked


def invertible_fifth(voices, task):
    marked = set()
    for u, v, t, above, below in verticals(voices):
        old, low = at(voices[u], t - 1), at(voices[v], t - 1)
        if not old or not low:
            continue
        leaps = max(abs(above.pitch - old.pitch), abs(below.pitch - low.pitch)) > 2
        if leaps and 7 in (abs(above.pitch - below.pitch) % 12, abs(old.pitch - low.pitch) % 12):
            marked.add((u, v, t))
    return marked


def over_tonic(task, above, below, sizes):
    low = min(above.pitch, below.pitch)
    return degree(task, low) == 0 and abs(above.pitch - below.pitch) % 12 in sizes


def opening_interval(voices, task, third=False):
    sizes = {0, 7, 3, 4} if third else {0, 7}
    return {
        (u, v, t)
        for u, v, t, above, below in verticals(voices)
        if v == len(voices) - 1 and t in (voices[u][0].start, voices[v][0].start)
        if not over_tonic(task, above, below, sizes)
    }


def closing_interval(voices, task, triad=False):
    last, end, marked = len(voices) - 1, task.cells - 1, set()
    for u in range(last):
        above, below = at(voices[u], end), at(voices[last], end)
        sizes = {0, 3, 4, 7} if triad else {0}
        if not above or not below or not over_tonic(task, above, below, sizes):
            marked.add((u, last, end))
    return marked


def clausula(voices, task):
    end, ways = task.cells - 1, set()
    for notes in voices:
        final = at(notes, end)
        old = before(notes, final) if final else None
        if old and degree(task, final.pitch) == 0:
            ways.add(final.pitch - old.pitch)
    rises, falls = ways & {1, 2}, ways & {-1, -2}
    closes = rises and falls and (1 in rises or -1 in falls)
    return set() if closes or len(voices) < 2 else {(len(voices) - 1, end)}


def struck_together(voices, u, v):
    for note in voices[u]:
        other = starting(voices[v], note.start)
        if other:
            yield note.start, note.pitch - other.pitch


def imperfect_run(voices, task, most=3):
    marked = set()
    for u, v in combinations(range(len(voices)), 2):
        run = []
        for t, interval in struck_together(voices, u, v):
            kind = IMPERFECT.get(abs(interval) % 12)
            run = [*run, kind] if kind and run[-1:] in ([], [kind]) else [kind] if kind else []
            if len(run) > most:
                marked.add((u, v, t))
    return marked


def perfect_share(voices, task, most=0.5):
    marked = set()
    for u, v in combinations(range(len(voices)), 2):
        sizes = [abs(interval) % 12 in PERFECT for _, interval in struck_together(voices, u, v)]
        if sizes and sum(sizes) / len(sizes) > most:
            marked.add((u, v, task.cells - 1))
    return marked


def clash(voices, u, v, t):
    """True if two voices sound a dissonance in a cell."""
    above, below = at(voices[u], t), at(voices[v], t)
    rough = {1, 2, 10, 11} | ({5, 6} if v == len(voices) - 1 else set())
    return above and below and abs(above.pitch - below.pitch) % 12 in rough


def following(task, notes, note):
    """The next note, if it comes at once, and where that is, or the last cell."""
    end = note.start + note.duration
    return starting(notes, end), min(end, task.cells - 1)


def level(task, cell):
    """The metrical level of a cell."""
    return task.meter.levels(task.grid)[(cell - task.pickup) % task.bar_cells]


def held_into_stronger(task, note):
    """The first cell stronger than its beginning into which a note is held, or None."""
    held = range(note.start + 1, note.start + note.duration)
    return next((cell for cell in held if level(task, cell) < level(task, note.start)), None)


def dissonance(
    voices, task, passing=True, neighbour=True, suspension=True, cambiata=True, strong=0
):
    marked, last = set(), len(voices) - 1
    clashes = functools.partial(clash, voices)
    follows = functools.partial(following, task)

    for u, v in combinations(range(last + 1), 2):
        free, risen = 0, 0  # until when a voice is bound by the last dissonance
        for t in starts(voices[u], voices[v]):
            if not clashes(u, v, t):
                continue
            if t < free:
                if t >= risen:
                    marked.add((u, v, t))
                continue
            movers = [w for w in (u, v) if starting(voices[w], t)]
            sounded = at(voices[u], t - 1) and at(voices[v], t - 1)
            if len(movers) == 2 or not sounded:
                marked.add((u, v, t))
                continue
            (mover,) = movers
            note = starting(voices[mover], t)
            entry = note.pitch - before(voices[mover], note).pitch
            weak = level(task, t) > strong
            if weak and 1 <= abs(entry) <= 2 and (passing or neighbour or cambiata):
                if over := held_into_stronger(task, note):
                    free = risen = over
                    marked.add((u, v, over))
                    continue
                then, free = follows(voices[mover], note)
                risen, move = free + 1, then.pitch - note.pitch if then else 0
                goes_on = passing and 1 <= abs(move) <= 2 and (move > 0) == (entry > 0)
                if then and cambiata and entry < 0 and move in (-3, -4):
                    risen = free
                    rise, free = follows(voices[mover], then)
                    if not rise or rise.pitch - then.pitch not in (1, 2):
                        marked.add((u, v, free))
                elif not (then and (goes_on or (neighbour and move == -entry))):
                    marked.add((u, v, free))
            elif not weak and suspension and not clashes(u, v, t - 1):
                held = u + v - mover
                note = at(voices[held], t)
                then, free = follows(voices[held], note)
                risen = free + 1
                skip = then and abs(then.pitch - note.pitch) > 2 and not clashes(u, v, then.start)
                if skip and at(voices[mover], then.start) and level(task, then.start) > strong:
                    risen = free
                    then, free = follows(voices[held], then)
                if not then or then.pitch - note.pitch not in (-1, -2):
                    marked.add((u, v, free))
                elif clashes(u, v, free):
                    marked.add((u, v, free))
                    free += 1
            else:
                marked.add((u, v, t))
    return marked


def florid(notes, task):
    """Cells at which a voice leaves the fifth species."""
    levels = task.meter.levels(task.grid)
    beat, bar, half = task.beat_cells, task.bar_cells, max(task.beat_cells // 2, 1)
    found, weakest = set(), max(levels[0:bar:beat])
    for number, note in enumerate(notes):
        place = (note.start - task.pickup) % bar
        for cell in range(note.start + 1, note.start + note.duration):
            now = (cell - task.pickup) % bar
            over_bar = now == 0 and levels[place] == 1
            if levels[now] < levels[place] and not over_bar:
                found.add(cell)  # a syncope
            if cell - note.start == (bar if place == 0 else 2 * (bar - place)):
                found.add(cell)  # tied to a longer one
        if task.meter.compound or place % beat != half:
            continue
        old = notes[number - 1] if number else None
        older = notes[number - 2] if number > 1 else None
        after = notes[number + 1] if number + 1 < len(notes) else None
        pair = old and older and note.start - old.start == half
        steps = pair and all(
            abs(a.pitch - b.pitch) in (1, 2) for a, b in ((older, old), (old, note))
        )
        if not (steps and levels[place - half] == weakest):
            found.add(note.start)
        leaves = after and after.start - note.start == half
        if leaves and abs(after.pitch - note.pitch) not in (1, 2):
            found.add(after.start)
    return found


def species_rhythm(voices, task, species=1):
    marked, levels = set(), task.meter.levels(task.grid)

    def due(cell, kind):
        place = (cell - task.pickup) % task.bar_cells
        if kind == 1 or (cell - task.pickup) // task.bar_cells >= task.bars - 1:
            return place == 0, place == 0
        if kind == 5:
            eighths = 3 if task.meter.numerator in (6, 9, 12) else 2
            return False, place % (task.beat_cells // eighths) == 0
        if kind == 2 and (cell - task.pickup) // task.bar_cells == task.bars - 2:
            return place == 0, levels[place] < 2
        return (levels[place] == 1, levels[place] < 2) if kind == 4 else (levels[place] < kind,) * 2

    def events(notes):
        """(cell, whether a note begins, whether one ends in silence, whether none began yet)."""
        for cell in range(task.cells):
            quiet = not any(n.start <= cell for n in notes)
            ends = at(notes, cell) is None and at(notes, cell - 1) is not None
            yield cell, starting(notes, cell) is not None, ends, quiet

    cantus = [task.cells] * len(voices)  # up to where each voice may be one
    for v, notes in enumerate(voices):
        for cell, begins, ends, _ in events(notes):
            if begins != due(cell, 1)[0] or ends:
                cantus[v] = cell
                break
    for v, notes in enumerate(voices):
        breaks = florid(notes, task) if species == 5 else ()
        for cell, begins, ends, quiet in events(notes):
            must, may = due(cell, species)
            late = species > 1 and quiet and (cell - task.pickup) // task.bar_cells <= 0
            wrong = (
                (begins and not may) or (must and not begins and not late) or ends or cell in breaks
            )
            is_cantus = cell < cantus[v] and not any(cell < cantus[u] for u in range(v))
            if wrong and not is_cantus:
                marked.add((v, cell))
        if species == 5 and task.bars > 1 and task.cells in cantus[:v] and cantus[v] == task.cells:
            marked.add((v, task.cells - 1))
    return marked


def modal_notes(voices, task, bars=2):
    raised = {9} if 1 in task.key.steps else {9, 11}
    return {
        (v, note.start)
        for v, notes in enumerate(voices)
        for note in notes
        for bar in [(note.start - task.pickup) // task.bar_cells]
        if note.pitch % 12 not in task.key.pitch_classes
        and not (degree(task, note.pitch) in raised and bar >= task.bars - bars)
    }
