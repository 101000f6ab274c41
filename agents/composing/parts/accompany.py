"""Chords for a melody and a bass under it: what is asked for, and who composes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.composing.composer import Composer
from agents.composing.compute import Compute
from agents.composing.melody import Melody, melodies_of
from agents.composing.parts.bass import BASS_TONES, BassPrior
from agents.composing.parts.chord_line import ChordLine
from agents.composing.parts.harmoniser import AUTO, chords_for
from agents.composing.request import ASKED, Request
from agents.composing.search import SearchResult
from envs.music.codec import FIRST_PITCH, REST, UNWRITTEN
from envs.music.key import C_MAJOR
from envs.music.piece import Piece, require_tempo
from envs.music.pitch import CHOIR, parse_pitch
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.writing.writers import TEMPO
from rewards.build import build

OCTAVE = 12
LOW, HIGH = map(parse_pitch, CHOIR["B"])
MELODY = 69  # A4: around which the melody over it lies
LOWEST = 21  # A0
SPACING = 36  # semitones between melody and bass, more where a melody goes higher
KEPT = ("parallel_fifths", "parallel_octaves", "voice_crossing", "doubled_leading_note")
# By which basses are ranked. The likelihood is that of `BassPrior`.
REWARD: Mapping[str, Any] = {
    **{"hidden_fifths": 2.0, "hidden_octaves": 2.0, "unresolved_leading_note": 1.0},
    **{"unresolved_seventh": 1.0, "cross_relation": 0.5, "prior": 0.1},
}


@dataclass(frozen=True)
class Accompaniment:
    """A melody that is to have chords, and a bass under it.

    Attributes:
        piece: the melody.
        chords: as `Task.chords` has them, or 'auto' for those that `chords_for` finds.
        rhythm: where a chord may begin: 'bar', 'half' (half bars, and beats of a triple bar) or
            'beat'.
        phrases: plan of the form; each phrase ends with a cadence.
        source: name of the melody in messages.

    Raises:
        ValueError: several voices, fewer than two notes, a melody too low for a bass under it, or
            chords or phrases that do not fit.
    """

    piece: Piece
    chords: str = AUTO
    rhythm: str = "half"
    phrases: str = ""
    source: str = "the melody"

    def __post_init__(self) -> None:
        if self.piece.voices > 1:
            raise ValueError(
                f"{self.source} has {self.piece.voices} voices; expected a melody of one, so "
                "choose it (part=, voice=, top=; --part, --voice, --top)"
            )
        if self.chords != AUTO and self.rhythm != "half":
            raise ValueError(
                f"rhythm={self.rhythm!r} says where a chord may begin, and chords are given; leave "
                "one of them out"
            )
        if len(self.piece.notes) < 2:
            raise ValueError(
                f"{self.source} has {len(self.piece.notes)} notes; expected a melody of two or more"
            )
        _ = self.sheet  # wrong chords and phrases are refused here

    @classmethod
    def read(
        cls, text: str, chords: str = AUTO, rhythm: str = "half", phrases: str = "", **known: Any
    ) -> Accompaniment:
        """Read a melody of a file, or of a part of it such as "book.abc#7:1-8".

        Args:
            text: the file.
            chords, rhythm, phrases: see the class.
            known: as `read_piece`, such as key="D dorian", part=2, voice=1 or top=True.

        Raises:
            ValueError: a file that cannot be read, or as the class.
        """
        return cls(read_piece(text, **known), chords, rhythm, phrases, text)

    @property
    def notices(self) -> tuple[str, ...]:
        """Remarks on how the file was read, and on a key that it does not name."""
        key = (
            f"{self.source} names no key: {self.piece.key} is estimated by its notes (key=, --key)"
        )
        return (*self.piece.notices, *([key] if self.piece.estimated else []))

    # -- chords ------------------------------------------------------------------------------------

    def lines(self, n: int = 1, seed: int = 1) -> list[ChordLine]:
        """Return the best chords and others that are drawn, whatever chords are given.

        Args:
            n, seed: as `chords_for` takes them.
        """
        task = replace(self.piece.task, phrases=self.phrases)
        return chords_for(self.piece.score_for(task), self.rhythm, n, seed)

    @cached_property
    def line(self) -> ChordLine | None:
        """The best chords, None where chords are given."""
        return self.lines()[0] if self.chords == AUTO else None

    @cached_property
    def sheet(self) -> Score:
        """The melody with its chords, a score of one voice."""
        return self._with_chords(self.line.symbols if self.line else self.chords)

    def _with_chords(self, chords: str) -> Score:
        task = replace(self.piece.task, phrases=self.phrases, chords=chords)
        return self.piece.score_for(task)

    def lead_sheets(self, n: int = 1, seed: int = 1, tempo: float | None = None) -> list[Melody]:
        """Return the melody with chord symbols and no other voice: the best, then others.

        Args:
            n: number of lead sheets; one where chords are given, and fewer where the draws give no
                more.
            seed: of the draws.
            tempo: beats per minute; that of the melody, or 80, if None.

        Raises:
            ValueError: a tempo that cannot be listened to.
        """
        tempo = (self.piece.tempo or TEMPO) if tempo is None else tempo
        require_tempo(tempo)
        scores = [self.sheet]
        if self.line:
            scores = [self._with_chords(line.symbols) for line in self.lines(n, seed)]
        found = []
        for number, score in enumerate(scores, 1):
            result = SearchResult(score, np.zeros(1), Compute())
            (melody,) = melodies_of(result, build({"chord_tones": 1.0}), tempo)
            found.append(replace(melody, number=number, title=self.piece.title))
        return found

    # -- bass --------------------------------------------------------------------------------------

    @cached_property
    def task(self) -> Task:
        """The page of two voices: the melody is given, the bass is free behind the pickup."""
        pitches = [note.pitch for note in self.piece.notes]
        shift = int((np.mean(pitches) - MELODY) / OCTAVE) * OCTAVE
        low, high = LOW + shift, HIGH + shift
        if low < LOWEST:
            raise ValueError(
                f"{self.source} lies too low for a bass under it; expected a melody around "
                "C3 or higher, or ask for chords alone (bass=False; --no-bass)"
            )
        name = C_MAJOR.pitch_name
        task = replace(
            self.sheet.task,
            voices=2,
            ranges=f"{name(min(pitches))}-{name(max(pitches))} {name(low)}-{name(high)}",
            low=Task.low,
            high=Task.high,
        )
        line = self.piece.score_for(task).tokens[0, 0].copy()
        line[~np.maximum.accumulate(line >= FIRST_PITCH)] = REST
        begins = task.chord_starts[0][0]
        bass = [REST] * begins + [UNWRITTEN] * (task.cells - begins)
        return replace(task, given=(tuple(line.tolist()), tuple(bass)))

    def request(self, **keywords: Any) -> Request:
        """Return the request to a composer: the rules of the bass are demands.

        Args:
            keywords: those of `Request`, such as n, seed and must; the page is set.
        """
        top, high = self.task.spans[0][1], self.task.spans[1][1]
        spacing = f"voice_spacing,lowest={max(SPACING, top - high + OCTAVE)}"
        must = (BASS_TONES, *KEPT, spacing, *keywords.pop("must", ()))
        usual = {"method": "prior", "wish": ASKED}
        request = Request(self.task, **{**usual, **keywords, "must": must})
        request.piece = self.piece
        return request

    def composer(self, prior: Any = "", reward: Any = None) -> Composer:
        """Return the composer of the bass; without another prior it learned from no music."""
        return Composer(prior or BassPrior(self.task), reward or REWARD, task=self.task)

    def compose(
        self, n: int = 1, seed: int = 1, tempo: float | None = None, **keywords: Any
    ) -> list[Melody]:
        """Return the melody with its chords and `n` different basses under it, best first.

        Args:
            n, seed, keywords: as `Request` takes them.
            tempo: beats per minute; that of the melody, or 80, if None.

        Raises:
            ValueError: no bass keeps what is demanded; says which rule stands in the way.
        """
        return self.composer().compose(self.request(n=n, seed=seed, **keywords), tempo=tempo)
