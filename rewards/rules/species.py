"""Rules of the species of counterpoint: how two voices begin and close, approach and vary.

A cantus firmus has a note in each bar; the species set one, two, four, tied or mixed notes against
it. What is said of two voices holds for each pair of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import OCTAVE, Pair, pairs
from envs.music.voices.species import due, leaves_florid, require_species
from rewards.rule import pair_rule, rule
from rewards.rules.melody import FUX, LEADING
from rewards.rules.rhythm import beyond, nothing
from rewards.rules.voices import BOTH, FIFTH, FUX_1, NOW, STEP, UNISON, violation

TONIC, FOURTH_LEAP, SIXTH_DEGREE = 0, 5, 9  # semitones
PERFECT = np.isin(np.arange(OCTAVE), (UNISON, FIFTH))
TRIAD = np.isin(np.arange(OCTAVE), (UNISON, 3, 4, FIFTH))
# Kinds of imperfect consonances by semitones: 1 for thirds, 2 for sixths, 0 for all else.
IMPERFECT = np.array([0, 0, 0, 1, 1, 0, 0, 0, 2, 2, 0, 0], np.int8)


# -- perfect consonances ---------------------------------------------------------------------------


@pair_rule(
    source=f"{FUX_1}: from any consonance to a perfect one by contrary or oblique motion",
    says=f"similar motion to a perfect consonance: {BOTH}",
)
def perfect_approach(pair: Pair) -> Array:
    """Two voices reach a fifth or an octave by contrary or oblique motion.

    >>> from rewards.remarks import explain
    >>> explain(perfect_approach, "E5 D5 ; C4 D4")
    >>> explain(perfect_approach, "E5 C5 ; G4 F4")
    bar 1, beat 2: similar motion to a perfect consonance: upper voice E5-C5 and lower voice G4-F4
    """
    return violation(pair.moves.similar & (pair.forms(FIFTH) | pair.forms(UNISON)))


@pair_rule(
    source=f"{FUX}, second species: a note in between saves no parallels, but by a leap of more "
    "than a third",
    says=f"fifths or octaves on both bar lines: {NOW}",
    lasts=False,
)
def downbeat_parallels(pair: Pair, *, saved: int = FOURTH_LEAP) -> Array:
    """Two voices do not have the same fifth or octave on one bar line and the next, moved.

    saved: semitones of a leap from the first bar line's note to the one before the second, in
        either voice, which excuses it.

    >>> from rewards.remarks import explain
    >>> explain(downbeat_parallels, "G4:8 D5:8 A4:16 ; C4:16 D4:16")
    >>> explain(downbeat_parallels, "G4:8 E4:8 A4:16 ; C4:16 D4:16")
    bar 2, beat 1: fifths or octaves on both bar lines: upper voice A4 and lower voice D4
    """
    score, moves = pair.score, pair.moves
    bar = score.task.bar_cells
    judged = moves.both & (score.cell_in_bar == 0) & (score.bar >= 1)
    then = score.earlier(np.maximum(score.cell - bar, 0)).sounding
    other_then = score.beside(pair.other, bar).sounding
    size, size_then = (np.abs(moves.interval) % OCTAVE, np.abs(other_then - then) % OCTAVE)
    same = judged & (then >= 0) & (other_then >= 0) & PERFECT[size] & (size == size_then)
    moved = (then != moves.pitch) & (other_then != moves.other_pitch)
    leap = np.maximum(np.abs(moves.before - then), np.abs(moves.other_before - other_then))
    return violation(same & moved & (leap < saved))


@pair_rule(
    source="Jeppesen, Counterpoint (1931), invertible counterpoint at the octave: fifths become "
    "fourths",
    says=f"a leap to or from a fifth: {BOTH}",
)
def invertible_fifth(pair: Pair) -> Array:
    """A fifth comes and goes by step, so that the voices can be exchanged at the octave.

    Upside down it is a fourth, which is dissonant. The voices that move to it or from it do so by
    step; the first two notes together are free.

    >>> from rewards.remarks import explain
    >>> explain(invertible_fifth, "E5 F5 G5 A5 ; C4 D4 C4 C4")
    >>> explain(invertible_fifth, "E5 G5 A5 ; C4 C4 C4")
    bar 1, beat 2: a leap to or from a fifth: upper voice E5-G5 and lower voice C4-C4
    """
    moves = pair.moves
    leaps = (np.abs(moves.move) > STEP) | (np.abs(moves.other_move) > STEP)
    return violation(leaps & (pair.forms(FIFTH) | pair.formed(FIFTH)))


# -- beginning and end -----------------------------------------------------------------------------


@pair_rule(
    source=f"{FUX_1}: begin and end with perfect consonances",
    says=f"{NOW} do not begin on the tonic of {{key}} together",
)
def opening_interval(pair: Pair, *, third: bool = False) -> Array:
    """The first notes that sound together are a unison, fifth or octave over the tonic.

    Pairs with the last voice are judged, where the later of the two enters.

    third: allow thirds too, as with three voices and more.

    >>> from rewards.remarks import explain
    >>> explain(opening_interval, "r:8 G4:8 E4:16 ; C4:16 C4:16")
    >>> explain(opening_interval, "E4:16 ; C4:16")
    bar 1, beat 1: upper voice E4 and lower voice C4 do not begin on the tonic of C major together
    """
    moves, here, there = pair.moves, pair.score, pair.there
    enters = here.onset & (here.previous_onset < 0)
    enters = enters | (there.onset & (there.previous_onset < 0))
    return violation(enters & moves.both & pair.with_bass & ~_on_tonic(pair, third))


def _on_tonic(pair: Pair, third: bool) -> Array:
    """True where two voices sound a perfect consonance, or a third, over the tonic."""
    moves = pair.moves
    lower = np.minimum(moves.pitch, moves.other_pitch)
    tonic = (lower - np.int16(pair.score.task.key.pitch_class)) % np.int16(OCTAVE) == TONIC
    sizes = TRIAD if third else PERFECT
    return moves.both & tonic & sizes[np.abs(moves.interval) % OCTAVE]


@pair_rule(
    source=f"{FUX_1}: the end is the octave or unison on the final",
    says=f"{NOW} do not end on the tonic of {{key}} together",
    verdict=True,
)
def closing_interval(pair: Pair, *, triad: bool = False) -> Array:
    """The last notes are a unison or octave on the tonic; the violation is at the last cell.

    Pairs with the last voice are judged.

    triad: allow the third and the fifth over the tonic too, as with three voices and more.

    >>> from rewards.remarks import explain
    >>> explain(closing_interval, "D4:16 C5:16 ; D4:16 C4:16")
    >>> explain(closing_interval, "D4:16 E4:16 ; D4:16 C4:16")
    bar 2, beat 4.75: upper voice E4 and lower voice C4 do not end on the tonic of C major together
    """
    closes = _on_tonic(pair, third=triad)
    if not triad:
        closes = closes & pair.forms(UNISON)
    return violation(pair.moves.judged & pair.with_bass & pair.score.is_last & ~closes)


def _last_move(here: Score) -> Array:
    """Semitones by which the note that sounds came, 0 for the first note."""
    return np.where(here.onset, here.interval, here.prev("interval"))


@rule(
    source=f"{FUX}: the clausula, a major sixth to the octave or a minor third to the unison",
    says="no two voices close by step from above and below on the tonic of {key}",
    needs="voices",
    verdict=True,
)
def clausula(score: Score) -> Array:
    """At the end a voice rises to the tonic by step and another falls to it, one by a semitone.

    The violation is at the last cell of the last voice.

    >>> from rewards.remarks import explain
    >>> explain(clausula, "B4:16 C5:16 ; D4:16 C4:16")
    >>> explain(clausula, "G4:16 C5:16 ; D4:16 C4:16")
    bar 2, beat 4.75: no two voices close by step from above and below on the tonic of C major
    """
    judged = score.written & score.is_last & (score.voice == score.task.voices - 1)
    if score.task.voices < 2 or not judged.any():
        return nothing(score)
    moves = [_to_tonic(score.beside(voice)) for voice in range(score.task.voices)]
    every = np.concatenate(moves, axis=1)
    rise, fall = ((every > 0) & (every <= STEP), (every < 0) & (every >= -STEP))
    closes = rise.any(axis=1) & fall.any(axis=1) & (np.abs(every) == 1).any(axis=1)
    return violation(judged & ~closes[:, None])


def _to_tonic(here: Score) -> Array:
    """Semitones by which a voice came to the tonic that it sounds; 0 for another note."""
    move, arrives = _last_move(here), (here.sounding >= 0) & (here.degree == TONIC)
    return np.where(arrives & (np.abs(move) <= STEP), move, np.int16(0))


# -- variety ---------------------------------------------------------------------------------------


def _follow_run(state: tuple[Array, ...], here: Score, other: int) -> Any:
    """Scan the number of thirds, or of sixths, in a row at notes that begin together."""
    kind, count = state
    if int(here.voice.item()) <= other:
        return state, (np.zeros(count.shape, np.int16),)
    pair = Pair(here, other)
    together = here.onset & pair.there.onset
    now = IMPERFECT[np.abs(pair.moves.interval) % OCTAVE]
    longer = np.where(
        now == 0, np.int16(0), np.where(now == kind, count + np.int16(1), np.int16(1))
    )
    count, kind = np.where(together, longer, count), np.where(together, now, kind)
    return (kind, count), (np.where(together, count, np.int16(0)),)


@pair_rule(
    source="Jeppesen, Counterpoint (1931): no more than three or four parallel thirds or sixths",
    says=f"{NOW}: more than {{most}} thirds or sixths in a row",
)
def imperfect_run(pair: Pair, *, most: int = 3) -> Array:
    """Two voices do not go on in thirds, or in sixths, for long, so that they stay independent.

    Notes that begin together are counted; each one too many is a violation.

    most: number of thirds, or of sixths, in a row.

    >>> from rewards.remarks import explain
    >>> explain(imperfect_run, "E4 F4 G4 A4 ; C4 D4 E4 C4")
    >>> explain(imperfect_run, "E4 F4 G4 A4 ; C4 D4 E4 F4")
    bar 1, beat 4: upper voice A4 and lower voice F4: more than 3 thirds or sixths in a row
    """
    if most < 1:
        raise ValueError(f"most={most}: expected 1 or more")
    (count,) = pair.score.scan(_follow_run, (np.int8(0), np.int16(0)), other=pair.other)
    return violation(pair.moves.judged & (count > most))


def _follow_perfect(state: tuple[Array, ...], here: Score, other: int) -> Any:
    """Scan the number of consonances at notes that begin together, and of perfect ones."""
    if int(here.voice.item()) <= other:
        return state, state
    pair = Pair(here, other)
    together = pair.moves.both & here.onset & pair.there.onset
    perfect = together & PERFECT[np.abs(pair.moves.interval) % OCTAVE]
    counts = (state[0] + together, state[1] + perfect)
    return counts, counts


@pair_rule(
    source=f"{FUX_1}: imperfect consonances outnumber the perfect",
    says="{other_voice} and {voice} have too many fifths and octaves",
    verdict=True,
)
def perfect_share(pair: Pair, *, most: float = 0.5) -> Array:
    """Fifths, octaves and unisons are not the greater part of what begins together.

    The violation, at the last cell, grows linearly from `most` to 1.

    most: share of the notes that begin together, less than 1.

    >>> from rewards.remarks import explain
    >>> explain(perfect_share, "G4 A4 G4 C5 ; C4 F4 E4 C4")
    >>> explain(perfect_share, "G4 A4 C5 C5 ; C4 D4 E4 C4")
    bar 1, beat 4.75: upper voice and lower voice have too many fifths and octaves
    """
    init = (np.int32(0), np.int32(0))
    total, perfect = pair.score.scan(_follow_perfect, init, other=pair.other)
    value = beyond(perfect / np.maximum(total, 1), most)
    return np.where(pair.moves.judged & pair.score.is_last, value, 0).astype(np.float32)


# -- rhythm and mode -------------------------------------------------------------------------------


def _follow_species(state: tuple[Array, ...], here: Score, species: int) -> Any:
    """Scan where a voice leaves the rhythm of its species, and where it may be a cantus firmus."""
    (plain,) = state
    cell = int(here.cell.item())
    must, may = due(here.task, cell, species)
    due_of_cantus, _ = due(here.task, cell, 1)
    late = (here.bar <= 0) & np.bool_(species > 1)
    silent = (here.previous_onset < 0) & ~here.onset & late
    stops = here.rest & (here.sounded >= 0)
    wrong = (here.onset & ~np.bool_(may)) | (~here.onset & np.bool_(must) & ~silent) | stops
    if species == 5:
        wrong = wrong | leaves_florid(here)
    plain = plain & (here.onset == np.bool_(due_of_cantus)) & ~stops
    return (plain,), (wrong, plain)


@rule(
    source=f"{FUX}: note against note, two against one, four against one, syncopation, florid; "
    "Jeppesen, Counterpoint (1931), fifth species",
    says="the {voice} leaves the rhythm of the species at {note}",
    needs="voices",
)
def species_rhythm(score: Score, *, species: int = 1) -> Array:
    """One voice at most is a cantus firmus, a note in each bar; the others keep to their species.

    1 has a note in each bar; 2 one at each half bar, or each beat of a triple bar, and in the last
    bar but one a single note may do; 3 one at each beat of a bar of four; 4 one at each half bar,
    of which those on the bar line may be tied; 5 mixes them, not all whole. There a note is held
    into a stronger place, such as half a bar from a weak beat, only over the bar line from its
    middle, and no longer than before it. Halves of a beat come in pairs on a weak beat, reached and
    left by step; compound beats have thirds. The last bar has one note; in the first, voices of 2
    to 5 may enter late.

    species: 1 to 5.

    >>> from rewards.remarks import explain
    >>> explain(species_rhythm, "G4:16 C5:16 ; C4:16 C4:16")
    >>> explain(species_rhythm, "G4:8 E4:8 C5:16 ; C4:16 C4:16")
    bar 1, beat 3: the upper voice leaves the rhythm of the species at E4
    """
    require_species(species)
    if score.task.voices < 2:
        return nothing(score)
    wrong, plain = score.scan(_follow_species, (np.True_,), species=species)
    if species == 5 and score.task.bars > 1:  # a second line of whole notes is not florid
        wrong = wrong | (plain & score.is_last)
    alone = np.ones(score.tokens.shape, bool)
    for pair in pairs(score):
        also = pair.there.scan(_follow_species, (np.True_,), species=species)[1]
        alone = alone & ~(also & (score.voice > pair.other))
    return violation(score.written & wrong & ~(plain & alone))


@rule(
    source=f"{FUX}: the modes, and the raised leading note of their cadences (musica ficta)",
    says="{note} is not of the mode {key}",
    needs="voices",
)
def modal_notes(score: Score, *, bars: int = 2) -> Array:
    """Notes belong to the mode; sixth and seventh degree may be raised at the end.

    The leading note is not raised in modes with a second degree a semitone above the tonic.

    bars: number of the last bars in which the two degrees may be raised.

    >>> from rewards.remarks import explain
    >>> explain(modal_notes, "A4:16 C#5:16 D5:16 ; F4:16 E4:16 D4:16", key="D dorian")
    >>> explain(modal_notes, "C#5:16 D5:16 E5:16 D5:16 ; E4:16 F4:16 C4:16 D4:16", key="D dorian")
    bar 1, beat 1: C#5 is not of the mode D dorian
    """
    task = score.task
    if task.voices < 2:
        return nothing(score)
    raised = (SIXTH_DEGREE,) if 1 in task.key.steps else (SIXTH_DEGREE, LEADING)
    ficta = np.isin(score.degree, raised) & (score.bar >= task.bars - bars)
    return violation(~score.in_scale & ~ficta)
