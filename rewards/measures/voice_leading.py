"""Counts of voice leading in finished pieces: parallels, crossings, chords on beats, and motion.

Parallels are counted per 1,000 pairs of voices *that move*: a pair counts once at each moment in
which both of its voices go to another pitch. Long notes, repeats and rests add nothing to that
divisor, so they cannot buy a lower rate; they show in the rows of motion, which stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.pairs import pairs
from envs.music.voices.sonority import sonority
from rewards.rule import Rule
from rewards.rules import voices

WINDOW = 4  # bars in which different pitches are counted


@dataclass(frozen=True)
class VoiceLeading:
    """Counts over pieces; those of more pieces are their sum.

    Attributes:
        bars: of four voices or however many; a pickup is a part of one.
        cells: of all voices.
        silent: cells without a sound.
        onsets: notes.
        repeats: notes at the pitch of the note before.
        outside: notes outside the key, see `Key.admitted`.
        out_of_range: notes, see `rewards.rules.voices.voice_range`.
        moving: pairs of voices that go to another pitch together.
        fifths, octaves: parallel ones, of every pair of voices; unisons count as octaves.
        crossings: of every pair, where a note makes or keeps them.
        beats: beats at which something sounds.
        chordal: beats at which what sounds is a chord, see `envs.music.voices.sonority`.
        windows: stretches of four bars of a voice, or pieces that are shorter.
        pitches: different pitches in each, added up.
    """

    bars: float = 0.0
    cells: int = 0
    silent: int = 0
    onsets: int = 0
    repeats: int = 0
    outside: int = 0
    out_of_range: int = 0
    moving: int = 0
    fifths: int = 0
    octaves: int = 0
    crossings: int = 0
    beats: int = 0
    chordal: int = 0
    windows: int = 0
    pitches: int = 0

    def __add__(self, other: VoiceLeading) -> VoiceLeading:
        return VoiceLeading(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    def rates(self) -> dict[str, float]:
        """Return the counts as rates by name; one without cases is NaN."""
        return {
            "parallel fifths per 1,000 moving pairs": _share(1000 * self.fifths, self.moving),
            "parallel octaves per 1,000 moving pairs": _share(1000 * self.octaves, self.moving),
            "moving pairs per 100 bars": _share(100 * self.moving, self.bars),
            "crossings per 100 bars": _share(100 * self.crossings, self.bars),
            "chordal beats, %": _share(100 * self.chordal, self.beats),
            "pitches of a voice in 4 bars": _share(self.pitches, self.windows),
            "notes out of range per 100 bars": _share(100 * self.out_of_range, self.bars),
            "notes out of key, %": _share(100 * self.outside, self.onsets),
            "notes per bar, all voices": _share(self.onsets, self.bars),
            "repeated notes, %": _share(100 * self.repeats, self.onsets),
            "silent cells, %": _share(100 * self.silent, self.cells),
        }


def voice_leading(score: Score) -> VoiceLeading:
    """Return the counts of finished pieces.

    Raises:
        ValueError: the pieces are not finished, or of one voice.
    """
    task = score.task
    if not score.finished or task.voices == 1:
        raise ValueError(
            f"voice leading: expected finished pieces of two voices or more, got {task.voices} "
            f"voices with {score.n_written} of {task.steps} cells written"
        )
    sounds: Array = score.sounding >= 0
    onset = score.onset
    chords = sonority(score)
    beat = np.flatnonzero(score.cell_in_bar.ravel() % task.beat_cells == 0)
    heard, chord = np.logical_or.reduce(sounds, axis=1)[:, beat], chords.kind[:, -1, beat]
    windows = _pitches(score)
    return VoiceLeading(
        bars=score.batch * task.cells / task.bar_cells,
        cells=score.tokens.size,
        silent=int((~sounds).sum()),
        onsets=int(onset.sum()),
        repeats=int((onset & (score.pitch == score.previous_pitch)).sum()),
        outside=int((~score.in_key).sum()),
        out_of_range=int((voices.voice_range(score) > 0).sum()),
        moving=int(voices.moving_pairs(score).sum()),
        fifths=int(violations(voices.parallel_fifths, score).sum()),
        octaves=int(violations(voices.parallel_octaves, score).sum()),
        crossings=int(violations(voices.voice_crossing, score).sum()),
        beats=int(heard.sum()),
        chordal=int((heard & (chord >= 0)).sum()),
        windows=windows.size,
        pitches=int(windows.sum()),
    )


def violations(rule: Rule, score: Score) -> Array:
    """Return the number (B,) of violations, of every pair of voices that a rule of pairs judges."""
    if rule.against is None:
        judged = [rule(score)]
    else:
        judged = [rule.against(pair) for pair in pairs(score)]
    return np.asarray(sum((np.asarray(value) > 0).sum(axis=(1, 2)) for value in judged))


def table(columns: Mapping[str, VoiceLeading]) -> str:
    """Return rates as a table in Markdown, a column for each batch of pieces."""
    rates = {name: counted.rates() for name, counted in columns.items()}
    lines = ["| | " + " | ".join(rates) + " |", "| --- |" + " ---: |" * len(rates)]
    for row in VoiceLeading().rates():
        lines.append(f"| {row} | " + " | ".join(f"{of[row]:.2f}" for of in rates.values()) + " |")
    return "\n".join(lines)


def _pitches(score: Score) -> Array:
    """Return the number of different pitches (B, V, windows) in each stretch of four bars."""
    size = min(WINDOW * score.task.bar_cells, score.task.cells)
    first = score.task.pickup if score.task.pickup + size <= score.task.cells else 0
    starts = range(first, score.task.cells - size + 1, size)
    begun = np.where(score.onset, score.pitch, np.int16(-1))
    parts = [np.sort(begun[:, :, at : at + size], axis=2) for at in starts]
    new = [(part[..., 1:] > part[..., :-1]).sum(axis=2) + (part[..., 0] >= 0) for part in parts]
    return np.stack(new, axis=-1)


def _share(count: float, of: float) -> float:
    return count / of if of else float("nan")
