"""Notes of the voices of a part: tied ones are joined, also over endings that are not played."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from envs.notation.reading.draft import Sound

Voice = tuple[str, str]  # labels of a staff and of a voice in it


@dataclass
class Tone:
    """A note of a part; times in quarter notes from the beginning of the file.

    Attributes:
        voice: that it stands in.
        start: time at which it begins.
        end: time at which it ends.
        pitch: MIDI number.
        tied: to the next note of its pitch.
        ends_tie: it is tied to a note before it.
        played: it is not in an ending that is left out.
    """

    voice: Voice
    start: Fraction
    end: Fraction
    pitch: int
    tied: bool = False
    ends_tie: bool = False
    played: bool = True


def gaps(starts: Sequence[Fraction], skipped: Collection[int]) -> dict[Fraction, Fraction]:
    """Return the times at which measures that are left out begin, with those at which they end.

    Args:
        starts: of the measures, and the end of the last.
        skipped: indices of the measures that are left out.
    """
    found: dict[Fraction, Fraction] = {}
    for at in sorted(skipped, reverse=True):
        end = starts[at + 1]
        found[starts[at]] = found.get(end, end)
    return found


def joined(notes: Iterable[Tone], gaps: Mapping[Fraction, Fraction]) -> dict[Voice, list[Sound]]:
    """Return the sounds of each voice in order; a tie may go on in another voice.

    Args:
        notes: of a part.
        gaps: beginnings and ends of times without notes, as `gaps` returns; a tie goes on behind.
    """
    ordered = sorted(notes, key=lambda note: note.start)
    result: list[Tone] = []
    # Notes that are tied to the next, by what it has to be.
    open_: dict[tuple[bool, int, Fraction], list[Tone]] = {}
    before_gaps: dict[Fraction, list[Fraction]] = {}
    for begin, end in gaps.items():
        before_gaps.setdefault(end, []).append(begin)
    starts = {(note.voice, note.start) for note in ordered}
    pitches = {(note.voice, note.start, note.pitch) for note in ordered}
    for note in ordered:
        ends = [note.start, *(before_gaps.get(note.start, ()) if note.ends_tie else ())]
        waiting = (each for end in ends for each in open_.get((note.played, note.pitch, end), ()))
        before = next((each for each in waiting if _may_go_on(each, note, pitches)), None)
        kept = note
        if before is None:
            kept = replace(note)
            result.append(kept)
        else:
            kept = before
            open_[note.played, note.pitch, before.end].remove(before)
            before.end = note.end
            if (before.voice, note.start) in starts:  # where another note begins instead
                before.voice = note.voice
        if note.tied:
            open_.setdefault((note.played, note.pitch, kept.end), []).append(kept)
    voices: dict[Voice, list[Sound]] = {}
    for note in result:
        voices.setdefault(note.voice, []).append(Sound(note.start, note.end, note.pitch))
    return {voice: sorted(set(sounds)) for voice, sounds in voices.items()}


def _may_go_on(before: Tone, note: Tone, pitches: Collection[tuple[Voice, Fraction, int]]) -> bool:
    """Return True if no note of its own voice is what one before is tied to."""
    return before.voice == note.voice or (before.voice, note.start, note.pitch) not in pitches
