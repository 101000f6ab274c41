"""Rules of two voices: parallels, hidden parallels, unisons, crossing, spacing and ranges.

Voices are numbered from the highest. A pair is judged at the cell of its later voice, which is
written last. Two voices move together where notes begin in both, and both sounded just before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.music.pitch import CHOIR, parse_pitch
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import Pair, pairs
from rewards.rule import pair_rule, rule, term

FIFTH, UNISON, TWELFTH, OCTAVE = 7, 0, 19, 12  # semitones; unisons are octaves modulo an octave
STEP = 2  # semitones of the largest step
EVERY_LEVEL = 99  # no place of a bar is weaker
ALDWELL = "Aldwell and Schachter, Harmony and Voice Leading, ch. 5"
KOSTKA = "Kostka and Payne, Tonal Harmony, ch. 5, voice leading"
FUX_1 = "Fux, Gradus ad Parnassum (1725), first species"
BOTH = "{other_voice} {other_previous}-{other} and {voice} {previous}-{note}"
NOW = "{other_voice} {other} and {voice} {note}"


def violation(broken: Array) -> Array:
    """Return a whole violation where a rule is broken."""
    return broken.astype(np.float32)


# -- motion ----------------------------------------------------------------------------------------


def _consecutive(pair: Pair, size: int, contrary: bool) -> Array:
    """True where two voices move from an interval to the same, octaves apart or not."""
    together = pair.moves.similar | pair.moves.contrary if contrary else pair.moves.similar
    return together & pair.forms(size) & pair.formed(size)


@pair_rule(source=f"{FUX_1}; {ALDWELL}", says=f"parallel fifths between {BOTH}", alone=True)
def parallel_fifths(pair: Pair, *, contrary: bool = True) -> Array:
    """Two voices do not move from a perfect fifth to another.

    Fifths are counted in semitones, and twelfths are fifths. A diminished fifth is none.

    contrary: count those by contrary motion, from a fifth to a twelfth, too.

    >>> from rewards.remarks import explain
    >>> explain(parallel_fifths, "E5 D5 ; C4 B3")
    >>> explain(parallel_fifths, "E5 F5 ; A3 Bb3")
    bar 1, beat 2: parallel fifths between upper voice E5-F5 and lower voice A3-Bb3
    """
    return violation(_consecutive(pair, FIFTH, contrary))


@pair_rule(
    source=f"{FUX_1}; {ALDWELL}", says=f"parallel octaves or unisons between {BOTH}", alone=True
)
def parallel_octaves(pair: Pair, *, contrary: bool = True) -> Array:
    """Two voices do not move from an octave or unison to another.

    contrary: count those by contrary motion, from a unison to an octave, too.

    >>> from rewards.remarks import explain
    >>> explain(parallel_octaves, "C5 D5 ; C4 B3")
    >>> explain(parallel_octaves, "C5 D5 ; C4 D4")
    bar 1, beat 2: parallel octaves or unisons between upper voice C5-D5 and lower voice C4-D4
    """
    return violation(_consecutive(pair, UNISON, contrary))


def _hidden(pair: Pair, size: int, outer: bool, step: bool) -> Array:
    """True where two voices reach an interval from another one by similar motion."""
    reached = pair.moves.similar & pair.forms(size) & ~pair.formed(size)
    if outer:
        reached = reached & pair.outer
    if step:
        crossed = pair.moves.interval < 0
        upper = np.where(crossed, pair.moves.move, pair.moves.other_move)
        reached = reached & (np.abs(upper) > STEP)
    return reached


@pair_rule(source=f"{ALDWELL}; {KOSTKA}", says=f"hidden fifths between {BOTH}", alone=True)
def hidden_fifths(pair: Pair, *, outer: bool = True, step: bool = True) -> Array:
    """Two voices do not reach a fifth by moving in one direction.

    Parallel fifths are no hidden ones.

    outer: judge the first and the last voice only.
    step: allow it if the voice that is above then moves by step.

    >>> from rewards.remarks import explain
    >>> explain(hidden_fifths, "E5 G5 ; C4 C4")
    >>> explain(hidden_fifths, "C5 D5 ; C4 G4")
    >>> explain(hidden_fifths, "D5 A5 ; B3 D4")
    bar 1, beat 2: hidden fifths between upper voice D5-A5 and lower voice B3-D4
    """
    return violation(_hidden(pair, FIFTH, outer, step))


@pair_rule(source=f"{ALDWELL}; {KOSTKA}", says=f"hidden octaves between {BOTH}", alone=True)
def hidden_octaves(pair: Pair, *, outer: bool = True, step: bool = True) -> Array:
    """Two voices do not reach an octave or unison by moving in one direction.

    Parallel octaves are no hidden ones.

    outer: judge the first and the last voice only.
    step: allow it if the voice that is above then moves by step.

    >>> from rewards.remarks import explain
    >>> explain(hidden_octaves, "B4 C5 ; G3 C4")
    >>> explain(hidden_octaves, "G4 C5 ; A3 C4")
    bar 1, beat 2: hidden octaves between upper voice G4-C5 and lower voice A3-C4
    """
    return violation(_hidden(pair, UNISON, outer, step))


@term(
    source="docs/voices.md: rules are broken where voices move, and a rate has the pairs that move "
    "as its divisor",
    needs="voices",
)
def moving_pairs(score: Score) -> Array:
    """Pay for voices that move: 1 for each pair that goes to another pitch together.

    Rules across voices are broken where voices move, so whoever is paid by them alone writes long
    notes and rests. The pair is paid to the voice that is written last.

    >>> from rewards.remarks import paid
    >>> paid(moving_pairs, "E5 D5 D5 ; G4 F4 E4 ; C4 B3 C4")
    bar 1, beat 2: F4 +1
    bar 1, beat 2: B3 +2
    bar 1, beat 3: C4 +1
    """
    count = np.zeros(score.tokens.shape, np.float32)
    for pair in pairs(score):
        count += (pair.moves.move != 0) & (pair.moves.other_move != 0)
    return count


# -- place -----------------------------------------------------------------------------------------


@pair_rule(
    source=f"{FUX_1}: the unison belongs to the beginning and the end",
    says="{other_voice} and {voice} sound {note} in unison",
    alone=True,
)
def unison(pair: Pair, *, weakest: int = EVERY_LEVEL) -> Array:
    """Two voices do not sound one pitch, but in the first and the last note of either.

    The violation is where the unison begins. At the end, the last bar is free.

    weakest: highest metrical level of the places that are judged: 0 for bar lines only.

    >>> from rewards.remarks import explain
    >>> explain(unison, "C4 E4:12 C4:16 ; C4 C4:12 C4:16")
    >>> explain(unison, "E4 C4 D4:8 C4:16 ; C4 C4 B3:8 C4:16")
    bar 1, beat 2: upper voice and lower voice sound C4 in unison
    """
    moves, score = pair.moves, pair.score
    same = moves.both & moves.begins & (moves.interval == 0)
    same = same & ~(moves.both_before & (moves.move == 0) & (moves.other_move == 0))
    first = _is_first_note(score) | _is_first_note(pair.there)
    inside = ~first & (score.bar < score.task.bars - 1) & (score.level <= weakest)
    return violation(same & inside)


def _is_first_note(score: Score) -> Array:
    """True while the first note of a voice sounds, from its onset on."""
    return score.onset & (score.previous_onset < 0)


@pair_rule(source=f"{ALDWELL}; {KOSTKA}", says=f"voices cross: {NOW}", alone=True)
def voice_crossing(pair: Pair) -> Array:
    """No voice sounds below a later one; the violation is where a note makes or keeps it so.

    >>> from rewards.remarks import explain
    >>> explain(voice_crossing, "E4 C4 ; C4 C4")
    >>> explain(voice_crossing, "E4 C4 ; C4 D4")
    bar 1, beat 2: voices cross: upper voice C4 and lower voice D4
    """
    return violation(pair.moves.begins & (pair.moves.interval < 0))


@pair_rule(source=f"{ALDWELL}: overlap; {KOSTKA}", says=f"voices overlap: {BOTH}")
def voice_overlap(pair: Pair) -> Array:
    """No voice moves beyond the note that its neighbour has just left.

    The lower one does not rise above where the upper one was, nor the upper one fall below where
    the lower one was. Voices that cross are left to `voice_crossing`.

    >>> from rewards.remarks import explain
    >>> explain(voice_overlap, "E4 G4 ; C4 E4")
    >>> explain(voice_overlap, "E4 A4 ; C4 F4")
    bar 1, beat 2: voices overlap: upper voice E4-A4 and lower voice C4-F4
    """
    moves = pair.moves
    beyond = (moves.pitch > moves.other_before) | (moves.other_pitch < moves.before)
    uncrossed = (moves.interval >= 0) & (moves.interval_before >= 0)
    moved = moves.both & moves.both_before & moves.begins
    return violation(pair.adjacent & moved & beyond & uncrossed)


@pair_rule(source=f"{ALDWELL}; {KOSTKA}", says=f"{NOW} are too far apart")
def voice_spacing(pair: Pair, *, upper: int = OCTAVE, lowest: int = TWELFTH) -> Array:
    """Neighbouring voices are at most an octave apart, and the lowest two a twelfth.

    The violation is where a note makes or keeps them too far apart.

    upper: semitones between neighbours above the lowest voice.
    lowest: semitones between the two lowest voices.

    >>> from rewards.remarks import explain
    >>> explain(voice_spacing, "G4 C5 ; E4 E4 ; C3 C3")
    >>> explain(voice_spacing, "G4 G5 ; E4 E4 ; C3 G2")
    bar 1, beat 2: upper voice G5 and middle voice E4 are too far apart
    bar 1, beat 2: middle voice E4 and lower voice G2 are too far apart
    """
    most = np.where(pair.with_bass, lowest, upper)
    return violation(pair.adjacent & pair.moves.begins & (pair.moves.interval > most))


LOWEST, HIGHEST = zip(*CHOIR.values(), strict=True)


@rule(
    source=f"{ALDWELL}; {KOSTKA}: the ranges of soprano, alto, tenor and bass",
    says="{note} is out of the range of the {voice}",
    needs="voices",
)
def voice_range(
    score: Score, *, lowest: Sequence[str] = LOWEST, highest: Sequence[str] = HIGHEST
) -> Array:
    """Each voice keeps to its range.

    The first voice has the first range and so on; the last one has always the last range, so two
    voices are a soprano and a bass. Voices without a range of their own have the last but one.

    lowest: note names of the lowest notes, those of the soprano first.
    highest: note names of the highest notes.

    >>> from rewards.remarks import explain
    >>> explain(voice_range, "C4 A5 ; G3 G3 ; C3 C3 ; E2 D4")
    >>> explain(voice_range, "C4 E4 ; G3 F3 ; C3 C3 ; E2 D4")
    bar 1, beat 2: F3 is out of the range of the alto
    """
    if len(lowest) != len(highest) or not lowest:
        raise ValueError(
            f"{len(lowest)} lowest and {len(highest)} highest notes: expected one of each a voice"
        )
    last, spare = score.task.voices - 1, max(len(lowest) - 2, 0)
    numbers = [len(lowest) - 1 if v == last else min(v, spare) for v in range(last + 1)]
    low, high = (
        np.array([parse_pitch(notes[n]) for n in numbers])[score.voice]
        for notes in (lowest, highest)
    )
    beyond = score.onset & ((score.pitch < low) | (score.pitch > high))
    return violation(beyond & np.full(beyond.shape, last > 0))
