"""Is a piece new, or a near-copy of a tune that the prior has learned from?

A prior that has read a tune can write it down again, and a reward that likes the prior will praise
that. Two figures tell: the longest run of notes that stands in one tune of the training corpus,
and the share of the piece's grams of 12 intervals that one tune has, as
`pretrained.corpora.split` compares tunes with each other. Both look at intervals from onset to
onset: a tune in another key is the same tune, and rests between notes do not matter. Nor do
durations, unless asked for: a tune in another
rhythm is still that tune, and long runs that tunes share by chance or custom mostly share their
rhythm too (see RUN), so durations clear hardly any piece of suspicion.

Folk tunes have turns of phrase in common, so real ones are now and then taken for copies as well:
read the rate of near-copies in a batch beside that of held-out tunes, at RUN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from envs.music.codec import FIRST_PITCH
from envs.music.score import Score
from pretrained.corpora.folk import COLLECTIONS, Tune, load_corpus
from pretrained.corpora.split import GRAM, SHARED
from rewards.measures.suffix_array import Ints, Runs

# Notes of a run that make a near-copy. Of the 428 held-out tunes (valid and test), cut into
# excerpts, the longest run that stands in a training tune has, at these percentiles:
#              50%  75%  90%  95%  98%  99%  100%   of 20 or more   near-copies by run or share
#   2 bars      9   10   12   13   14   15    23       0.03%            4.6%
#   4 bars     11   12   15   16   21   23    32       2.5%             6.7%
#   8 bars     12   14   17   21   26   28    34       5.6%             5.6%
# With durations it has 8, 9, 10 notes at 50% and 12, 15, 19 at 95%, and 20 or more in 0.03%, 2.1%
# and 4.8%; so one number does for both. A piece of up to 35 notes reaches the share by a shorter
# run: 13 of 13 to 15 notes, 14 of 16, 16 of 24, 18 of 32.
RUN = 20
INTERVALS = 128  # code point of the interval 0; all are below RATIOS
RATIOS = 256  # code point of the first ratio of durations
Whole = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Novelty:
    """How much of a piece stands in one tune: figures of its most copied voice.

    Attributes:
        voice: which of the piece's voices, from 0.
        notes: notes of that voice.
        run: notes of the longest run that stands in one tune; 0 without notes, 1 without any
            interval in common.
        start: the note of the voice that begins the run, from 0.
        in_rhythm: whether durations were compared too.
        tune: where the run stands; of several tunes, the one that shares most with the piece. None
            if no interval stands anywhere.
        number: the tune's number among those compared; -1 for None.
        bars: first and last bar of the run in the tune; 0 is a pickup.
        share: share of the voice's different grams of 12 intervals that one tune has, 0 to 1.
            Grams of one interval alone, such as a repeated note, do not count. None if there are
            no others, as with fewer than 13 notes: a fifth of the 2-bar excerpts of held-out tunes
            stand whole in a training tune, so as few notes as that are never a near-copy.
        share_tune: that tune; None if share is 0 or None.
    """

    voice: int = 0
    notes: int = 0
    run: int = 0
    start: int = 0
    in_rhythm: bool = False
    tune: Tune | None = field(default=None, repr=False)
    number: int = -1
    bars: tuple[int, int] = (0, 0)
    share: float | None = None
    share_tune: Tune | None = field(default=None, repr=False)

    @property
    def near_copy(self) -> bool:
        """Whether the run has RUN notes or the share reaches SHARED, 0.3."""
        return self.run >= RUN or (self.share is not None and self.share >= SHARED)

    @property
    def message(self) -> str:
        """Both figures in a line, for people."""
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
    """A tune's title and who collected it."""
    title = tune.title.strip().rstrip(".") or "untitled"
    return f"'{title}' ({COLLECTIONS.get(tune.collection, tune.collection).split(',')[0]})"


def _bars(first: int, last: int) -> str:
    if first == last:
        return f"bar {first}" if first else "the pickup"
    return f"bars {first}-{last}" if first else f"the pickup to bar {last}"


def novelty(
    score: Score, *, in_rhythm: bool = False, index: TuneIndex | None = None
) -> list[Novelty]:
    """What of each of B finished pieces stands in the training corpus.

    Of several voices, each is compared alone, and the piece has the figures of the most copied.

    Args:
        score: B finished pieces on any grid.
        in_rhythm: a run ends where durations differ too. They count from onset to onset and as
            ratios of one to the next, so a tune twice as fast is the same tune; a run's last note
            may last as it likes. The share knows no durations.
        index: the tunes to compare with; those that the prior is trained on by default.

    Raises:
        ValueError: the pieces are not finished.
    """
    if not score.finished:
        raise ValueError("novelty needs finished pieces; write the rest of them first")
    index = training_tunes() if index is None else index
    low = score.task.codec.low - FIRST_PITCH
    found = []
    for piece in score.tokens:
        voices = []
        for voice, tokens in enumerate(piece):
            onsets = np.flatnonzero(tokens >= FIRST_PITCH)
            pitches = tokens[onsets].astype(np.int64) + low
            voices.append(index.find(pitches, onsets, in_rhythm, voice))
        found.append(max(voices, key=lambda v: (v.near_copy, v.run, v.share or 0)))
    return found


@lru_cache(maxsize=1)
def training_tunes() -> TuneIndex:
    """The training tunes, sorted at first use: a second, a few more if durations are asked for."""
    return TuneIndex(load_corpus().select("train"))


class TuneIndex:
    """Tunes, and where in them each run of intervals stands.

    Args:
        tunes: at least one.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, tunes: Sequence[Tune]) -> None:
        if not tunes:
            raise ValueError("no tunes to compare with, expected at least 1")
        self.tunes = list(tunes)
        self._onsets = [np.flatnonzero(tune.tokens >= FIRST_PITCH) for tune in tunes]
        self._pitches = [t.tokens[at] for t, at in zip(tunes, self._onsets, strict=True)]

    @cached_property
    def _melodies(self) -> Runs:
        return Runs([interval_text(pitches) for pitches in self._pitches])

    @cached_property
    def _ratios(self) -> dict[int, str]:
        """Code points of the ratios that occur."""
        known = np.unique(np.concatenate([ratios(onsets) for onsets in self._onsets]))
        return {ratio: chr(RATIOS + place) for place, ratio in enumerate(known.tolist())}

    @cached_property
    def _in_rhythm(self) -> Runs:
        pairs = zip(self._pitches, self._onsets, strict=True)
        return Runs([self._rhythm_text(*pair) for pair in pairs], step=2)

    def _rhythm_text(self, pitches: Whole, onsets: Whole) -> str:
        """Intervals, and between two of them the ratio of the durations that they span."""
        unknown = chr(RATIOS + len(self._ratios))
        between = [self._ratios.get(ratio, unknown) for ratio in ratios(onsets).tolist()]
        steps = interval_text(pitches)
        return "".join(map("".join, zip(steps, between, strict=False))) + steps[-1:]

    def find(
        self, pitches: Whole, onsets: Whole, in_rhythm: bool = False, voice: int = 0
    ) -> Novelty:
        """What of a melody stands in the tunes.

        Args:
            pitches: (N,) MIDI.
            onsets: (N,) rising, in any unit.
            in_rhythm: whether durations are compared too.
            voice: only noted.
        """
        melody = interval_text(pitches)
        grams = {melody[i : i + GRAM] for i in range(len(melody) - GRAM + 1)}
        grams = {gram for gram in grams if len(set(gram)) > 1}
        shared = self._shared(grams)
        most = int(shared.max())
        share = most / len(grams) if grams else None
        runs = self._in_rhythm if in_rhythm else self._melodies
        text = self._rhythm_text(pitches, onsets) if in_rhythm else melody
        first, size = runs.longest(text)
        if not size:
            return Novelty(voice, len(pitches), min(1, len(pitches)), 0, in_rhythm, share=share)
        begin = first * runs.step
        tunes, notes = runs.places(text[begin : begin + (size - 1) * runs.step + 1])
        # Of several tunes the one that shares most, else the first; in it, the first place.
        place = np.lexsort((notes, tunes, -shared[tunes]))[0]
        number, note = int(tunes[place]), int(notes[place])
        tune = self.tunes[number]
        low, high = bar_numbers(tune)[self._onsets[number][[note, note + size]]].tolist()
        other = number if shared[number] == most else int(shared.argmax())
        return Novelty(
            *(voice, len(pitches), size + 1, first, in_rhythm, tune, number, (low, high), share),
            share_tune=self.tunes[other] if most else None,
        )

    def _shared(self, grams: set[str]) -> Ints:
        """(tunes,) how many of some grams stand in each tune."""
        shared = np.zeros(len(self.tunes), np.int64)
        for gram in grams:
            shared[np.unique(self._melodies.places(gram)[0])] += 1
        return shared


def interval_text(pitches: Whole) -> str:
    """A character for each semitone interval between successive pitches (N,)."""
    return "".join(map(chr, (np.diff(pitches) + INTERVALS).tolist()))


def ratios(onsets: Whole) -> Ints:
    """Ratios (N - 2,) of successive durations from onset to onset (N,), in lowest terms.

    A ratio a / b is written as the number a * 65536 + b.
    """
    durations = np.diff(onsets)
    before, after = durations[:-1], durations[1:]
    common = np.gcd(before, after)
    return (after // common << 16) + before // common


def bar_numbers(tune: Tune) -> Ints:
    """The bar (T,) of each cell as it is printed: from 1, a pickup is 0; each ending counts."""
    begins = np.diff(tune.position, prepend=tune.position[0]) < 1
    begins[0] = tune.offset == 0
    return np.cumsum(begins)
