"""Chorales written for tests, as MusicXML."""

PARTS = ("Soprano", "Alto", "Tenor", "Bass")
STEPS = "CDEFGAB"
IMPLICIT = ('"yes"', '"no"')


def note(pitch, quarters, fermata=False):
    """Return a note of a pitch such as "E4", or a rest."""
    if pitch is None:
        sound = "<rest/>"
    else:
        sound = f"<pitch><step>{pitch[0]}</step><octave>{pitch[1]}</octave></pitch>"
    marks = "<notations><fermata/></notations>" if fermata else ""
    return f"<note>{sound}<duration>{int(quarters * 4)}</duration>{marks}</note>"


def chorale(bars, parts=PARTS, pickup=None, more=()):
    """Return MusicXML of 4/4 in C, whose voices all sing bars of (pitch, quarters, fermata) notes.

    Args:
        bars: of the soprano; the alto, tenor and bass sing a third, a sixth and an octave lower.
        parts: names, from the highest.
        pickup: notes before them.
        more: names of further parts before these, which sing as the soprano.
    """
    names, lines = [*more, *parts], []
    for name in names:
        below = (0, 2, 5, 7)[parts.index(name)] if name in parts else 0
        measures = ["".join(note(_lower(p, below), *rest) for p, *rest in bar) for bar in bars]
        if pickup:
            first = "".join(note(_lower(p, below), *rest) for p, *rest in pickup)
            measures.insert(0, first)
        attributes = (
            "<attributes><divisions>4</divisions><key><fifths>0</fifths><mode>major</mode></key>"
            "<time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
        )
        measures[0] = attributes + measures[0]
        first = 0 if pickup else 1
        marked = [
            f'<measure number="{n}" implicit={IMPLICIT[n > 0]}>{measure}</measure>'
            for n, measure in enumerate(measures, first)
        ]
        lines.append(f'<part id="P{len(lines)}">{"".join(marked)}</part>')
    listed = "".join(
        f'<score-part id="P{n}"><part-name>{name}</part-name></score-part>'
        for n, name in enumerate(names)
    )
    return (
        f"<score-partwise><part-list>{listed}</part-list>{''.join(lines)}</score-partwise>".encode()
    )


def _lower(pitch, steps):
    """Return a pitch some steps of the scale of C lower."""
    if pitch is None:
        return None
    number = STEPS.index(pitch[0]) + 7 * int(pitch[1]) - steps
    return f"{STEPS[number % 7]}{number // 7}"


def tune(seed, bars=4):
    """Return bars of a chorale tune that ends on C, a fermata every other bar."""
    import numpy as np

    rng = np.random.default_rng(seed)
    found = []
    for bar in range(bars):
        steps = [f"{STEPS[step % 7]}{4 + step // 7 + 1}" for step in rng.integers(-5, 4, 4)]
        if bar == bars - 1:
            steps[3] = "C5"
        found.append([(pitch, 1, bar % 2 == 1 and n == 3) for n, pitch in enumerate(steps)])
    return found
