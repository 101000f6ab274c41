"""A composed melody, what it was paid and why, and its files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from agents.composing.compute import Compute
from agents.composing.latent.points import Apart
from agents.composing.search import SearchResult
from agents.composing.theme import Movement
from envs.music.piece import Piece
from envs.music.score import Score
from envs.notation.text_line import text
from envs.notation.writing.abc import abc
from envs.notation.writing.sound import wav_bytes
from envs.notation.writing.writers import TEMPO, written
from pretrained.corpora.copies import Novelty
from rewards.measures.novelty import novelty
from rewards.remarks import remarks
from rewards.sum import RewardSum

MOST_REMARKS = 12  # beneath one tune


@dataclass(frozen=True, repr=False)
class MelodyReport:
    """Payments of a reward for a melody, and the search behind it.

    Attributes:
        score: the melody, a score of one piece.
        reward: pays.
        searched: the return in the search: of the objective, whose terms may be divided.
        compute: of the search, for all melodies of the request together.
        network: name of the network that was drawn from, and whether it hears what is given ahead;
            empty if there was none.
        kept: what was demanded and found kept on the finished melody: key, chords and phrases, with
            what was asked for, and names of other rules.
        movement: from its theme or themes, and from one style to the other; None if there is none.
        method: name of the method that found it; empty if none was asked for.
    """

    score: Score
    reward: RewardSum
    searched: float
    compute: Compute
    network: str = ""
    kept: tuple[str, ...] = ()
    movement: Movement | Apart | None = None
    method: str = ""

    @cached_property
    def paid(self) -> dict[str, float]:
        """The sum that each term paid, weights included."""
        parts = self.reward.breakdown(self.score)
        return {name: float(values.sum()) for name, values in parts.items()}

    @property
    def total(self) -> float:
        """The sum that all terms paid."""
        return sum(self.paid.values())

    @cached_property
    def remarks(self) -> tuple[str, ...]:
        """The costliest remarks of the terms that can speak, in order of time."""
        found = [
            (remark.cell, abs(term.factor * remark.value), f"{remark} ({name})")
            for name, term in self.reward.terms.items()
            if term.rule.says
            for remark in remarks(term.rule, self.score, name, sign=term.factor)
        ]
        worst = sorted(found, key=lambda entry: -entry[1])[:MOST_REMARKS]
        lines = [text for _, _, text in sorted(worst)]
        if len(found) > MOST_REMARKS:
            lines.append(f"and {len(found) - MOST_REMARKS} smaller remarks")
        return tuple(lines)

    @cached_property
    def likeness(self) -> Novelty:
        """How much of the melody stands in a tune that the prior learned from."""
        return novelty(self.score)[0]

    @property
    def lines(self) -> list[str]:
        """The payments, what is kept, and the movement from a theme, a line each."""
        kept = [f"kept: {', '.join(self.kept)}"] if self.kept else []
        return [str(self), *kept, *([str(self.movement)] if self.movement else [])]

    def __str__(self) -> str:
        paid = [f"{name} {value:.1f}" for name, value in self.paid.items() if abs(value) >= 0.05]
        return f"return {self.total:.1f}" + (f" = {', '.join(paid)}" if paid else "")

    def __repr__(self) -> str:
        return f"<MelodyReport: {self}>"


@dataclass(frozen=True, repr=False)
class Melody:
    """A composed melody.

    Attributes:
        score: a score of one piece.
        report: what it was paid and how it was found.
        number: of the melody among those of its request, from 1.
        tempo: beats per minute, see `beat_quarters`.
        title: of the piece that it continues; empty if there is none.
    """

    score: Score
    report: MelodyReport
    number: int
    tempo: float
    title: str = ""

    @property
    def kind(self) -> str:
        """Melody, or Piece where it has several voices."""
        return "Melody" if self.score.task.voices == 1 else "Piece"

    @cached_property
    def piece(self) -> Piece:
        """The melody as a piece with a title."""
        return Piece.of(self.score, 0, self.title or f"{self.kind} {self.number}", self.tempo)

    def written(self, suffix: str, soundfont: str = "", likeness: bool = True) -> bytes:
        """Return the content of a file.

        Args:
            suffix: the format, one of `envs.notation.WRITERS`.
            soundfont: path of an .sf2 file for sound; a small synthesiser if empty.
            likeness: add to ABC how much of the melody stands in a known tune.

        Raises:
            ValueError: no such format, or it cannot hold the melody.
        """
        if suffix == ".wav" and soundfont:
            return wav_bytes(self.score, 0, self.tempo, soundfont)
        if suffix == ".abc":
            lines = [*self.report.lines, *self.report.remarks]
            if self.score.task.given and self.report.network:
                lines.append(f"drawn from {self.report.network}")
            lines += [self.report.likeness.message] * likeness
            title = self.piece.title
            return abc(self.score, 0, title, self.number, self.tempo, lines).encode()
        return written(self.piece, suffix)

    def midi(self) -> bytes:
        """Return a MIDI file."""
        return self.written(".mid")

    def musicxml(self) -> str:
        """Return a MusicXML document."""
        return self.written(".musicxml").decode()

    def abc(self) -> str:
        """Return a tune in ABC, with the report beneath it as comments."""
        return self.written(".abc").decode()

    def svg(self) -> str:
        """Return a picture of the score."""
        return self.written(".svg").decode()

    def wav(self, soundfont: str = "") -> bytes:
        """Return a WAV file; by FluidSynth if a soundfont is named."""
        return self.written(".wav", soundfont)

    def __str__(self) -> str:
        return text(self.score)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.number}: {self}; {self.report}>"


def melodies_of(
    result: SearchResult,
    reward: RewardSum,
    tempo: float = TEMPO,
    title: str = "",
    network: str = "",
    kept: tuple[str, ...] = (),
    method: str = "",
) -> list[Melody]:
    """Return each piece of a search as a melody, with the payments of a reward."""
    melodies = []
    for row, searched in enumerate(result.returns.tolist()):
        piece, moved = result.score[row : row + 1], result.movements
        movement = moved[row] if moved else None
        found = result.compute, network, kept, movement, method
        report = MelodyReport(piece, reward, searched, *found)
        melodies.append(Melody(piece, report, row + 1, tempo, title))
    return melodies
