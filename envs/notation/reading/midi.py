"""MIDI files through symusic: their notes, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.piece import Piece
from envs.music.pitch import line_of_fifths_name
from envs.notation.reading.assemble import Draft, Known, make_piece, sounds_of
from envs.notation.reading.bars import Layout
from envs.notation.reading.time_signatures import Signature
from envs.notation.reading.times import Sound, one_meter, read_meter, refusing


def read_midi(data: bytes, known: Known) -> Piece:
    """Read a MIDI file; each track that has notes and is no percussion is a voice.

    Raises:
        RefusedError: it is broken, counts frames, changes its metre, or fits no task.
    """
    import symusic

    with refusing("MIDI"):
        file: Any = symusic.Score.from_midi(data)
    quarter = file.ticks_per_quarter
    if quarter < 1:
        raise RefusedError("it counts frames, not quarter notes; export it with musical time")
    tracks = [track for track in file.tracks if len(track.notes) and not track.is_drum]
    parts = [_sounds(track, voice, quarter) for voice, track in enumerate(tracks)]
    draft = Draft(sounds_of(parts, known.part), title=_title(file), tick=Fraction(1, quarter))
    pickup = Fraction(0)
    try:
        draft.meter, pickup = _meter(file, quarter)
    except RefusedError:
        if known.meter is None:
            raise
    draft.layout = Layout(pickup=pickup)
    if len(file.tempos):
        draft.tempo = float(file.tempos[0].qpm)
    keys = sorted({(each.time, each.key, each.tonality) for each in file.key_signatures})
    if keys and abs(keys[0][1]) <= 7:
        _, fifths, minor = keys[0]
        mode, place = ("minor", fifths + 3) if minor else ("major", fifths)
        draft.key = Key(line_of_fifths_name(place), mode)
    if len({each[1:] for each in keys}) > 1:
        draft.notices.append("the key signature changes; the first is taken throughout")
    return make_piece(draft, known)


def _sounds(track: Any, voice: int, quarter: int) -> Iterator[Sound]:
    for note in track.notes:
        start = Fraction(note.time, quarter)
        yield Sound(voice, start, start + Fraction(note.duration, quarter), note.pitch)


def _title(file: Any) -> str:
    """Return the name of the first track if it holds no notes: that is where titles stand."""
    tracks = list(file.tracks)
    return str(tracks[0].name) if len(tracks) > 1 and not len(tracks[0].notes) else ""


def _meter(file: Any, quarter: int) -> tuple[Meter | None, Fraction]:
    """Return the metre, and the length of an upbeat in quarter notes."""
    named = sorted({(each.time, each.numerator, each.denominator) for each in file.time_signatures})
    signatures = [Signature.parse(f"{beats}/{unit}") for _, beats, unit in named]
    starts = [Fraction(time, quarter) for time, _, _ in named]
    bars = [1 + int(start / signatures[0].bar) for start in starts]
    signature, upbeat = one_meter(list(zip(signatures, starts, bars, strict=True)))
    return (read_meter(signature.spelled) if signature else None), upbeat
