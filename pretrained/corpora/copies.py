"""Near-copies: how much of a melody occurs in a tune of a corpus, or in one of a user's.

Two measures show it: the longest run of notes that occurs in one tune, and the share of the
melody's grams of 12 intervals that occur in one tune, as `corpora.split` compares tunes. Both use
the intervals from onset to onset, so neither the key nor rests matter, and no durations: a tune in
another rhythm is still that tune.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH
from pretrained.corpora.folk import COLLECTIONS, Tune
from pretrained.corpora.split import GRAM, SHARED
from pretrained.corpora.suffix_array import Ints, Runs

# Notes in a run that make a piece a near-copy. In excerpts of the 428 held-out tunes (valid and
# test), the longest run that occurs in a training tune has these numbers of notes at percentiles:
#              50%  75%  90%  95%  98%  99%  100%   of 20 or more   near-copies by run or share
#   2 bars      9   10   12   13   14   15    23       0.03%            4.6%
#   4 bars     11   12   15   16   21   23    32       2.5%             6.7%
#   8 bars     12   14   17   21   26   28    34       5.6%             5.6%
# A piece of up to 35 notes reaches the share with a shorter run: 13 of 13 to 15 notes, 14 of 16,
# 16 of 24, 18 of 32.
RUN = 20
INTERVALS = 128  # code point of the interval 0
Whole = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Novelty:
    """The likeness of a piece to the tunes of a corpus, measured on its most copied voice.

    Attributes:
        voice: number of the voice, from 0.
        notes: number of notes in the voice.
        run: notes in the longest run that occurs in one tune; 0 without notes, 1 if no interval
            occurs in a tune.
        start: number of the run's first note in the voice, from 0.
        tune: the tune with the run; of several, the one with the largest share. None if no
            interval occurs in a tune.
        number: the tune's number in the index; -1 for None.
        bars: first and last bar of the run in the tune; 0 is a pickup.
        share: share of the voice's different grams of 12 intervals that occur in one tune, 0 to 1.
            Grams of a single interval, such as a repeated note, are ignored. None without other
            grams, as in a voice of fewer than 13 notes: a fifth of the 2-bar excerpts of held-out
            tunes occur whole in a training tune, so they are never near-copies.
        share_tune: that tune; None if share is 0 or None.
    """

    voice: int = 0
    notes: int = 0
    run: int = 0
    start: int = 0
    tune: Tune | None = field(default=None, repr=False)
    number: int = -1
    bars: tuple[int, int] = (0, 0)
    share: float | None = None
    share_tune: Tune | None = field(default=None, repr=False)

    @property
    def near_copy(self) -> bool:
        """True if the run has at least RUN notes, or the share is at least SHARED, 0.3."""
        return self.run >= RUN or (self.share is not None and self.share >= SHARED)

    @property
    def message(self) -> str:
        """Run and share in one line of text."""
        if self.notes < 2:
            return "a single note" if self.notes else "no notes"
        of = f"of {self.notes} notes" + (f" of voice {self.voice + 1}" if self.voice else "")
        if self.tune is None:
            text = f"no two {of} as in any tune"
        else:
            text = f"{self.run} {of} as in {credit(self.tune)}, {_bars(*self.bars)}"
        if self.share is None:
            return f"{text}; no run of {GRAM + 1} to compare"
        text += f"; {self.share:.0%} of the runs of {GRAM + 1} "
        if self.share_tune is None:
            return text + "as in any tune"
        return text + ("there" if self.share_tune is self.tune else f"in {credit(self.share_tune)}")


def credit(tune: Tune) -> str:
    """Return a tune's title and its collector."""
    title = tune.title.strip().rstrip(".") or "untitled"
    return f"'{title}' ({COLLECTIONS.get(tune.collection, tune.collection).split(',')[0]})"


def _bars(first: int, last: int) -> str:
    if first == last:
        return f"bar {first}" if first else "the pickup"
    return f"bars {first}-{last}" if first else f"the pickup to bar {last}"


class TuneIndex:
    """An index of the runs of intervals in tunes.

    Args:
        tunes: at least one.

    Raises:
        ValueError: no tunes.
    """

    def __init__(self, tunes: Sequence[Tune]) -> None:
        if not tunes:
            raise ValueError("no tunes to compare with, expected at least 1")
        self.tunes = list(tunes)
        self._onsets = [np.flatnonzero(tune.tokens >= FIRST_PITCH) for tune in tunes]
        pairs = zip(tunes, self._onsets, strict=True)
        self._runs = Runs([interval_text(tune.tokens[at]) for tune, at in pairs])

    def find(self, pitches: Whole, voice: int = 0) -> Novelty:
        """Return the likeness of a melody to the tunes.

        Args:
            pitches: (N,) MIDI pitches of its notes.
            voice: copied to the result.
        """
        text = interval_text(pitches)
        grams = {text[i : i + GRAM] for i in range(len(text) - GRAM + 1)}
        grams = {gram for gram in grams if len(set(gram)) > 1}
        shared = self._shared(grams)
        most = int(shared.max())
        share = most / len(grams) if grams else None
        first, size = self._runs.longest(text)
        if not size:
            return Novelty(voice, len(pitches), min(1, len(pitches)), share=share)
        tunes, notes = self._runs.places(text[first : first + size])
        # Of several tunes the one with the largest share, else the first; the first place in it.
        place = np.lexsort((notes, tunes, -shared[tunes]))[0]
        number, note = int(tunes[place]), int(notes[place])
        tune = self.tunes[number]
        low, high = bar_numbers(tune)[self._onsets[number][[note, note + size]]].tolist()
        other = number if shared[number] == most else int(shared.argmax())
        share_tune = self.tunes[other] if most else None
        return Novelty(
            voice, len(pitches), size + 1, first, tune, number, (low, high), share, share_tune
        )

    def longest_run(self, pitches: Whole) -> int:
        """Return the notes in the longest run of a melody (N,) that occurs in one tune.

        It is `Novelty.run` of `find`, in a fraction of the time.
        """
        if not len(pitches):
            return 0
        return self._runs.longest(interval_text(pitches))[1] + 1

    def _shared(self, grams: set[str]) -> Ints:
        """Return the number of the grams that occur in each tune, (tunes,)."""
        shared = np.zeros(len(self.tunes), np.int64)
        for gram in grams:
            shared[np.unique(self._runs.places(gram)[0])] += 1
        return shared


def interval_text(pitches: Whole) -> str:
    """Return a text with a character for each interval between successive MIDI pitches (N,)."""
    return "".join(map(chr, (np.diff(pitches) + INTERVALS).tolist()))


def bar_numbers(tune: Tune) -> Ints:
    """Return the printed bar number (T,) of each cell: a pickup is 0, each ending counts."""
    begins = np.diff(tune.position, prepend=tune.position[0]) < 1
    begins[0] = tune.offset == 0
    return np.cumsum(begins)
