"""MIDI files through symusic: their notes, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast

from envs.errors import RefusedError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.pitch import line_of_fifths_name
from envs.notation.reading.bars import Layout
from envs.notation.reading.times import Facts, Sound, bound_notes, broken, changed_meter, read_meter

MAX_CHANGES = 10_000  # of metre, key or tempo


class MidiFile:
    """A MIDI file.

    Args:
        data: its bytes.

    Raises:
        RefusedError: it is broken, counts frames, or holds too many notes.
    """

    def __init__(self, data: bytes) -> None:
        import symusic

        try:
            self.score = cast(Any, symusic.Score.from_midi(data))
        except Exception as error:  # symusic names its errors differently from version to version
            raise broken("MIDI", error) from None
        self.quarter = self.score.ticks_per_quarter
        if self.quarter < 1:
            raise RefusedError("it counts frames, not quarter notes; export it with musical time")
        bound_notes(self.score.note_num())
        for told in ("time_signatures", "key_signatures", "tempos"):
            count = len(getattr(self.score, told))
            if count > MAX_CHANGES:
                told = told.replace("_", " ")
                raise RefusedError(f"it has {count} {told}; expected {MAX_CHANGES} at most")

    def sounds(self, part: int | None = None) -> Iterator[Sound]:
        """The notes; each track that has any is a voice.

        Args:
            part: number of the only voice to read, from 0.
        """
        tracks = [track for track in self.score.tracks if len(track.notes) and not track.is_drum]
        for voice, track in enumerate(tracks):
            if part not in (None, voice):
                continue
            for note in track.notes:
                start = Fraction(note.time, self.quarter)
                yield Sound(voice, start, start + Fraction(note.duration, self.quarter), note.pitch)

    def facts(self, meter: Meter | None = None) -> Facts:
        """What the file says of itself.

        Args:
            meter: known better than by the file.

        Raises:
            RefusedError: the metre changes, or is one that bars of cells cannot have.
        """
        facts = Facts(tick=Fraction(1, self.quarter), title=self._title())
        try:
            facts.meter, pickup = self._meter()
        except RefusedError:
            if meter is None:
                raise
            pickup = Fraction(0)
        facts.meter = meter or facts.meter
        facts.layout = Layout(pickup=pickup)
        if len(self.score.tempos):
            facts.tempo = float(self.score.tempos[0].qpm)
        keys = sorted({(each.time, each.key, each.tonality) for each in self.score.key_signatures})
        if keys and abs(keys[0][1]) <= 7:
            _, fifths, minor = keys[0]
            mode, place = ("minor", fifths + 3) if minor else ("major", fifths)
            facts.key = Key(line_of_fifths_name(place), mode)
        if len({each[1:] for each in keys}) > 1:
            facts.notices.append("the key signature changes; the first is taken throughout")
        return facts

    def _title(self) -> str:
        """The name of the first track if it holds no notes: that is where titles stand."""
        tracks = list(self.score.tracks)
        return str(tracks[0].name) if len(tracks) > 1 and not len(tracks[0].notes) else ""

    def _meter(self) -> tuple[Meter | None, Fraction]:
        """The metre, and the length of an upbeat."""
        found = sorted(
            {(each.time, each.numerator, each.denominator) for each in self.score.time_signatures}
        )
        changes = [each for i, each in enumerate(found) if i == 0 or each[1:] != found[i - 1][1:]]
        if not changes:
            return None, Fraction(0)
        (_, *first), *others = changes
        if not others:
            return read_meter("{}/{}".format(*first)), Fraction(0)
        (time, *second), *more = others
        # Programs write an upbeat as a bar of a metre of its own.
        bars = [Fraction(4 * beats, max(1, unit)) for beats, unit in (first, second)]
        if not more and Fraction(time, self.quarter) == bars[0] < bars[1]:
            return read_meter("{}/{}".format(*second)), bars[0]
        bar = 1 + int(Fraction(time, self.quarter) / bars[0]) if bars[0] else 1
        raise changed_meter("{}/{}".format(*first), "{}/{}".format(*second), bar)
