"""Rules across voices told note by note, in another way than the rules themselves.

Each takes the voices of one piece, lists of notes from the highest, and its task, and returns the
marked (voice, cell), or (other, voice, cell) for rules of pairs.
"""

from itertools import combinations, pairwise


def at(notes, cell):
    """The note that sounds in a cell."""
    return next((n for n in notes if n.start <= cell < n.start + n.duration), None)


def starting(notes, cell):
    return next((n for n in notes if n.start == cell), None)


def before(notes, note):
    """The note before a note, with or without a rest between."""
    earlier = [n for n in notes if n.start < note.start]
    return earlier[-1] if earlier else None


def starts(*voices):
    return sorted({n.start for notes in voices for n in notes})


def degree(task, pitch):
    return (pitch - task.key.pitch_class) % 12


def together(voices):
    """(other, voice, cell, notes before, notes after) where two voices go to other pitches."""
    for u, v in combinations(range(len(voices)), 2):
        for cell in starts(voices[u], voices[v]):
            after = [starting(voices[w], cell) for w in (u, v)]
            old = [at(voices[w], cell - 1) for w in (u, v)]
            if None not in after + old and all(
                a.pitch != b.pitch for a, b in zip(after, old, strict=False)
            ):
                yield u, v, cell, [n.pitch for n in old], [n.pitch for n in after]


def consecutive(voices, size, contrary):
    for u, v, cell, (a, b), (c, d) in together(voices):
        if abs(a - b) % 12 == size == abs(c - d) % 12 and (contrary or (c > a) == (d > b)):
            yield u, v, cell


def parallel_fifths(voices, task, contrary=True):
    return set(consecutive(voices, 7, contrary))


def parallel_octaves(voices, task, contrary=True):
    return set(consecutive(voices, 0, contrary))


def hidden(voices, size, outer, step):
    for u, v, cell, (a, b), (c, d) in together(voices):
        if abs(a - b) % 12 != size == abs(c - d) % 12 and (c > a) == (d > b):
            judged = not outer or (u, v) == (0, len(voices) - 1)
            if judged and not (step and abs(c - a if c >= d else d - b) <= 2):
                yield u, v, cell


def hidden_fifths(voices, task, outer=True, step=True):
    return set(hidden(voices, 7, outer, step))


def hidden_octaves(voices, task, outer=True, step=True):
    return set(hidden(voices, 0, outer, step))


def verticals(voices):
    """(other, voice, cell, upper note, lower note) where a note begins and both sound."""
    for u, v in combinations(range(len(voices)), 2):
        for cell in starts(voices[u], voices[v]):
            above, below = at(voices[u], cell), at(voices[v], cell)
            if above and below:
                yield u, v, cell, above, below


def unison(voices, task, weakest=99):
    marked = set()
    levels = task.meter.levels(task.grid)
    for u, v, cell, above, below in verticals(voices):
        place = (cell - task.pickup) % task.bar_cells
        bar = (cell - task.pickup) // task.bar_cells
        opens = cell in (voices[u][0].start, voices[v][0].start)
        was = [at(voices[w], cell - 1) for w in (u, v)]
        lasts = None not in was and [n.pitch for n in was] == [above.pitch, below.pitch]
        free = opens or lasts or bar >= task.bars - 1 or levels[place] > weakest
        if above.pitch == below.pitch and not free:
            marked.add((u, v, cell))
    return marked


def voice_crossing(voices, task):
    return {(u, v, t) for u, v, t, above, below in verticals(voices) if above.pitch < below.pitch}


def voice_overlap(voices, task):
    marked = set()
    for u, v, t, above, below in verticals(voices):
        old, low = at(voices[u], t - 1), at(voices[v], t - 1)
        if v != u + 1 or not old or not low:
            continue
        crossed = old.pitch < low.pitch or above.pitch < below.pitch
        if not crossed and (below.pitch > old.pitch or above.pitch < low.pitch):
            marked.add((u, v, t))
    return marked


def voice_spacing(voices, task, upper=12, lowest=19):
    last = len(voices) - 1
    return {
        (u, v, t)
        for u, v, t, above, below in verticals(voices)
        if v == u + 1 and above.pitch - below.pitch > (lowest if v == last else upper)
    }


def voice_range(voices, task):
    ranges = [(60, 81), (55, 74), (48, 69), (40, 62)]
    return {
        (v, note.start)
        for v, notes in enumerate(voices)
        for note in notes
        for low, high in [ranges[3] if v == len(voices) - 1 else ranges[min(v, 2)]]
        if not low <= note.pitch <= high
    }


def doubled_leading_note(voices, task):
    return {
        (u, v, t)
        for u, v, t, above, below in verticals(voices)
        if degree(task, above.pitch) == degree(task, below.pitch) == 11
    }


def chord_before(voices, cell):
    return [at(notes, cell - 1) for notes in voices]


def root_of(pitches):
    """Root and kind by stacking thirds over each note; of equal thirds, the lowest note."""
    kinds = {
        (4, 7): "", (3, 7): "m", (3, 6): "dim", (4, 8): "aug", (4, 7, 10): "7", (3, 7, 10): "m7",
        (4, 7, 11): "maj7", (3, 6, 10): "ø", (3, 6, 9): "o7", (4,): "", (3,): "m", (4, 10): "7",
    }  # fmt: skip
    classes = {p % 12 for p in pitches}
    for root in [min(pitches) % 12, *sorted(classes)] if pitches else []:
        above = tuple(sorted((c - root) % 12 for c in classes - {root}))
        if above in kinds:
            return root, kinds[above]
    return None, None


def sounding(voices, cell):
    return [n.pitch for n in (at(notes, cell) for notes in voices) if n]


def frames(voices, cells):
    """Cells in which the last voice completes a frame, with what was there before."""
    for cell in range(1, cells):
        yield cell, sounding(voices, cell - 1), sounding(voices, cell)


def left(voices, u, cell, steps):
    """True if a voice goes on otherwise than by one of these moves."""
    old, new = at(voices[u], cell - 1), at(voices[u], cell)
    return new is None or new.pitch - old.pitch not in steps


def unresolved_leading_note(voices, task, inner=False):
    last, marked = len(voices) - 1, set()
    for cell, old, new in frames(voices, task.cells):
        is_dominant = {11, 2} <= {degree(task, p) for p in old}
        tonic = new and (degree(task, min(new)) == 0 or root_of(new)[0] == task.key.pitch_class)
        if not is_dominant or not tonic:
            continue
        for u in range(last + 1):
            note = at(voices[u], cell - 1)
            leads = note and degree(task, note.pitch) == 11 and left(voices, u, cell, (0, 1))
            if leads and (inner or u in (0, last)):
                marked.add((0 if u == last else u, last, cell))
    return marked


def unresolved_seventh(voices, task):
    last, marked = len(voices) - 1, set()
    for cell, old, new in frames(voices, task.cells):
        root, kind = root_of(old)
        if kind not in ("7", "m7", "ø"):
            continue
        seventh = (root + 10) % 12
        for u in range(last + 1):
            note = at(voices[u], cell - 1)
            has = note and note.pitch % 12 == seventh
            gone = seventh not in {p % 12 for p in new}
            if has and gone and left(voices, u, cell, (0, -1, -2)):
                marked.add((0 if u == last else u, last, cell))
    return marked


def variants(task, a, b):
    """True if two pitches have one letter and different signs."""
    names = [task.key.spell(p)[0] for p in (a, b)]
    return names[0][0] == names[1][0] and names[0] != names[1]


def cross_relation(voices, task):
    marked = set()
    for u, v, t, above, below in verticals(voices):
        if variants(task, above.pitch, below.pitch):
            marked.add((u, v, t))
        old = [at(voices[w], t - 1) for w in (u, v)]
        now = [above, below]
        if None in old:
            continue
        for mine, its in ((0, 1), (1, 0)):
            fresh = now[its].start == t and variants(task, old[mine].pitch, now[its].pitch)
            if fresh and (now[mine].pitch - now[its].pitch) % 12:
                marked.add((u, v, t))
    return marked


def six_four(voices, task, strong=2):
    marked, levels = set(), task.meter.levels(task.grid)
    if len(voices) < 3:
        return marked

    def is_six_four(pitches):
        root, kind = root_of(pitches)
        return kind in ("", "m") and (min(pitches) - root) % 12 == 7

    for a, b in pairwise(voices[-1]):
        t = b.start
        old, new = sounding(voices, t - 1), sounding(voices, t)
        if a.start + a.duration != t or min(old) != a.pitch or min(new) != b.pitch:
            continue
        leap = abs(b.pitch - a.pitch) > 2 and (b.pitch - a.pitch) % 12
        weak = levels[(t - task.pickup) % task.bar_cells] > strong
        judged = leap and root_of(old)[0] != root_of(new)[0]
        if judged and (is_six_four(old) or (weak and is_six_four(new))):
            marked.add((len(voices) - 1, t))
    return marked


def chordal_beat(voices, task):
    beats = [
        t for t in range(task.cells) if (t - task.pickup) % task.bar_cells % task.beat_cells == 0
    ]
    heard = {t: sounding(voices, t) for t in beats if len(voices) > 2}
    return {(len(voices) - 1, t) for t, new in heard.items() if new and root_of(new)[0] is None}


def moving_pairs(voices, task):
    moved = set()
    for t in range(1, task.cells):
        notes = [(at(notes, t - 1), at(notes, t)) for notes in voices]
        moving = [v for v, (old, new) in enumerate(notes) if old and new and old.pitch != new.pitch]
        moved |= {(v, t) for v in moving[1:]}
    return moved
