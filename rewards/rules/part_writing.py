"""Rules of chords in several voices: leading notes, sevenths, cross relations, six-four chords.

A chord is known at the cell of the last voice, once its frame is written; what happens to it is
judged there.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from envs.music.key import Key
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import OCTAVE, Pair
from envs.music.voices.sonority import CLASSES, KIND_NAMES, Sonority, sonority, sonority_before
from rewards.rule import pair_rule, rule
from rewards.rules.melody import LEADING
from rewards.rules.rhythm import nothing
from rewards.rules.voices import ALDWELL, BOTH, KOSTKA, NOW, STEP, violation

DOMINANT = 7  # semitones above the tonic
LEADING_TRIAD = (LEADING, 2)  # what sounds with the leading note where it is of the dominant
MINOR_SEVENTH = 10
SEVENTHS = tuple(
    KIND_NAMES.index(kind)
    for kind in ("dominant seventh", "minor seventh", "half-diminished seventh")
)


def _degree(pitch: Array, key: Key) -> Array:
    """Return semitones above the tonic; of silence too, so that it must be left out."""
    return (pitch - np.int16(key.pitch_class)) % np.int16(CLASSES)


def _holds(classes: Array, pitch_class: Array | int) -> Array:
    """True where a set of pitch classes has one of them."""
    return (classes >> pitch_class & 1).astype(bool)


# -- the leading note ------------------------------------------------------------------------------


@pair_rule(
    source=f"{ALDWELL}: never double the leading note; {KOSTKA}",
    says=f"{NOW} double the leading note",
    alone=True,
)
def doubled_leading_note(pair: Pair) -> Array:
    """Two voices do not sound the leading note, a semitone below the tonic, together.

    The violation is where a note makes or keeps it doubled.

    >>> from rewards.remarks import explain
    >>> explain(doubled_leading_note, "D5 B4 ; B3 D4")
    >>> explain(doubled_leading_note, "D5 B4 ; B3 B3")
    bar 1, beat 2: upper voice B4 and lower voice B3 double the leading note
    """
    leading = _degree(pair.moves.pitch, pair.score.task.key) == LEADING
    return violation(pair.moves.begins & pair.forms(0) & leading)


def _is_dominant(chord: Sonority, key: Key) -> Array:
    """True where the leading note sounds with the second degree: in a chord of the dominant."""
    degrees = [(key.pitch_class + degree) % CLASSES for degree in LEADING_TRIAD]
    return _holds(chord.classes, degrees[0]) & _holds(chord.classes, degrees[1])


def _resolves(here: Score, before: Array, up: bool) -> Array:
    """True where a voice that sounded `before` goes on a step, up a semitone or down, or stays."""
    pitch = here.sounding
    move = pitch - before
    step = move == 1 if up else (move >= -STEP) & (move <= -1)
    return (pitch >= 0) & (step | (move == 0))


@pair_rule(
    source=f"{ALDWELL}, ch. 6: in an outer voice the leading note of the dominant rises to the "
    f"tonic; {KOSTKA}",
    says=f"the leading note does not rise: {BOTH}",
)
def unresolved_leading_note(pair: Pair, *, inner: bool = False) -> Array:
    """Where a chord of the dominant goes to the tonic, its leading note rises, or is held.

    The tonic is there if it sounds in the lowest voice, or is the root of the chord. The violation
    is of the last voice with the one that has the leading note, or with the first if it has it
    itself.

    inner: judge voices between the outer ones too.

    >>> from rewards.remarks import explain
    >>> explain(unresolved_leading_note, "B4 C5 ; D4 C4 ; G3 C3")
    >>> explain(unresolved_leading_note, "B4 G4 ; D4 E4 ; G3 C3")
    bar 1, beat 2: the leading note does not rise: upper voice B4-G4 and lower voice G3-C3
    """
    score, key, there = pair.score, pair.score.task.key, pair.there
    if pair.other > 0 and not inner:
        return nothing(score)
    before, now = sonority_before(score), sonority(score)
    tonic = (_degree(now.lowest, key) == 0) & (now.classes > 0) | (now.root == key.pitch_class)
    arrives = pair.moves.judged & pair.with_bass & _is_dominant(before, key) & tonic
    dropped = _leads(there, key) & ~_resolves(there, there.sounded, up=True)
    if pair.other == 0:
        dropped = dropped | (_leads(score, key) & ~_resolves(score, score.sounded, up=True))
    return violation(arrives & dropped)


def _leads(here: Score, key: Key) -> Array:
    """True where a voice sounded the leading note in the cell before."""
    return (here.sounded >= 0) & (_degree(here.sounded, key) == LEADING)


# -- sevenths --------------------------------------------------------------------------------------


def _left_seventh(here: Score, before: Sonority, now: Sonority) -> Array:
    """True where a voice leaves the seventh of the chord before, neither down by step nor held.

    Where the chord's seventh goes on in another voice, it is handed over.
    """
    sounded = here.sounded
    seventh = (before.root + np.int8(MINOR_SEVENTH)) % CLASSES
    has = np.isin(before.kind, SEVENTHS) & (sounded >= 0) & (sounded % CLASSES == seventh)
    return has & ~_resolves(here, sounded, up=False) & ~_holds(now.classes, seventh)


@pair_rule(
    source=f"{ALDWELL}, ch. 8: the seventh descends by step; {KOSTKA}",
    says=f"the seventh does not fall: {BOTH}",
)
def unresolved_seventh(pair: Pair) -> Array:
    """The minor seventh of a chord falls by step, is held, or goes on in another voice.

    Chords are dominant, minor and half-diminished sevenths. The violation is of the last voice with
    the one that has the seventh, or with the first if it has it itself.

    >>> from rewards.remarks import explain
    >>> explain(unresolved_seventh, "F5 E5 ; B4 C5 ; G3 C4")
    >>> explain(unresolved_seventh, "F5 G5 ; B4 C5 ; G3 C4")
    bar 1, beat 2: the seventh does not fall: upper voice F5-G5 and lower voice G3-C4
    """
    score = pair.score
    before, now = sonority_before(score), sonority(score)
    left = _left_seventh(pair.there, before, now)
    if pair.other == 0:
        left = left | _left_seventh(score, before, now)
    return violation(left & pair.moves.judged & pair.with_bass)


# -- chromatic voices ------------------------------------------------------------------------------


@cache
def _same_letter(key: Key) -> Array:
    """True (12, 12) for two pitch classes that the key spells with one letter and other signs."""
    letters = [key.spell(60 + pitch_class)[0][0] for pitch_class in range(CLASSES)]
    return np.array(
        [[a == b and i != j for j, b in enumerate(letters)] for i, a in enumerate(letters)]
    )


@pair_rule(
    source=f"{ALDWELL}: cross-relation; Piston, Harmony (1941): false relation",
    says=f"cross relation between {BOTH}",
    alone=True,
)
def cross_relation(pair: Pair) -> Array:
    """A note is not followed, or met, by its chromatic variant in another voice.

    The two have one letter in the spelling of the key, such as F and F sharp. There is none where
    the voice that had the first note makes the chromatic step itself.

    >>> from rewards.remarks import explain
    >>> explain(cross_relation, "A4 A4 ; F4 F#4")
    >>> explain(cross_relation, "A4 F#5 ; F4 D4")
    bar 1, beat 2: cross relation between upper voice A4-F#5 and lower voice F4-D4
    """
    moves, near = pair.moves, _same_letter(pair.score.task.key)
    both_before = moves.both & moves.both_before
    after_mine = near[moves.before % CLASSES, moves.other_pitch % CLASSES] & pair.there.onset
    after_mine &= moves.pitch % CLASSES != moves.other_pitch % CLASSES
    after_its = near[moves.other_before % CLASSES, moves.pitch % CLASSES] & pair.score.onset
    after_its &= moves.other_pitch % CLASSES != moves.pitch % CLASSES
    met = near[moves.pitch % CLASSES, moves.other_pitch % CLASSES] & moves.begins & moves.both
    return violation((both_before & (after_mine | after_its)) | met)


# -- six-four chords -------------------------------------------------------------------------------


@rule(
    source=f"{ALDWELL}, ch. 10 and 19: cadential, passing, neighbouring and arpeggiated six-four "
    f"chords; {KOSTKA}",
    says="the bass leaps {previous}-{note} to or from a six-four chord",
    needs="voices",
)
def six_four(score: Score, *, strong: int = 2) -> Array:
    """The bass of a six-four chord comes and goes by step, stays, or keeps to the chord.

    On strong places it may come by a leap, as at a cadence. A leap of an octave is none. The
    violation is of the last voice, at the note after the leap.

    strong: highest metrical level of a strong place: 2 in 4/4 for its beats.

    >>> from rewards.remarks import explain
    >>> explain(six_four, "A4 G4 G4 G4 ; F4 E4 D4 E4 ; C4 C4 B3 C4 ; F3 G3 G3 C3")
    >>> explain(six_four, "A4 G4 A4:8 ; F4 E4 F4:8 ; C4 C4 C4:8 ; F3 G3 D3:8")
    bar 1, beat 3: the bass leaps G3-D3 to or from a six-four chord
    """
    now, before = sonority(score), sonority_before(score)
    move = score.sounding - score.sounded
    leaps = score.onset & (score.sounded >= 0) & (np.abs(move) > STEP) & (move % OCTAVE != 0)
    leaps = leaps & (now.lowest == score.sounding) & (before.lowest == score.sounded)
    triads = KIND_NAMES.index("minor")
    left = (before.inversion == 2) & (before.kind <= triads)
    met = (now.inversion == 2) & (now.kind <= triads) & (now.kind >= 0) & (score.level > strong)
    kept = before.root == now.root
    last = np.full(leaps.shape, score.task.voices > 2) & (score.voice == score.task.voices - 1)
    return violation(leaps & last & (left | met) & ~kept)


# -- chords ----------------------------------------------------------------------------------------


@rule(
    source="Bach's chorales: nine beats in ten sound a triad or a seventh chord",
    says="what sounds with {note} is no chord",
    needs="voices",
)
def chordal_beat(score: Score) -> Array:
    """Voices sound a triad or a seventh chord on each beat, in any inversion.

    The fifth may be missing where there is a third. Silence is free. The violation is of the last
    voice, at the beat.

    >>> from rewards.remarks import explain
    >>> explain(chordal_beat, "E5 D5 ; G4 G4 ; C4 B3")
    >>> explain(chordal_beat, "E5 D5 ; G4 G4 ; C4 C4")
    bar 1, beat 2: what sounds with C4 is no chord
    """
    chord, beats = sonority(score), score.cell_in_bar % score.task.beat_cells == 0
    last = np.full(score.tokens.shape, score.task.voices > 2) & (
        score.voice == score.task.voices - 1
    )
    return violation(last & beats & (chord.classes > 0) & (chord.kind < 0))
