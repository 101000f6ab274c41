"""Hidden bars of held-out tunes: how well a model fills them, and how what it fills joins the rest.

Bars 3-4, or 5-6, of eight are hidden, in windows of tunes with bars of 16 cells that the shipped
models have not learned from. A joint is the interval, and the time, from the last note on one side
of an end of the hidden bars to the first on the other. Its nats are those of trigrams counted on
the training tunes, which know no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch

from envs.music.codec import FIRST_PITCH, HOLD, UNWRITTEN, Codec
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from pretrained.corpora.folk import load_corpus
from pretrained.corpora.pieces import WHITE_KEYS
from pretrained.corpora.tunes import GridTune
from pretrained.infiller import Infiller
from pretrained.ngrams.model import NGram
from pretrained.prior import Prior, Scorer, hears_ahead, sample
from pretrained.training.lessons import part

BARS, BAR = 8, 16  # of a window; cells of a bar
HIDDEN = ((3, 4), (5, 6))
WIDEST, LONGEST = 24, 32  # semitones, cells; more count as that
Bars = tuple[int, int]


@dataclass(frozen=True)
class Windows:
    """Windows of tunes with one task, and the number (N,) of each one's tune."""

    score: Score
    tunes: Array

    def hidden(self, bars: Bars) -> tuple[int, int]:
        """Return the first cell of the hidden bars, and the first behind them."""
        first, last = bars
        return self.score.task.pickup + (first - 1) * BAR, self.score.task.pickup + last * BAR

    def pages(self, bars: Bars) -> Iterator[Score]:
        """Yield a page for each window, on which all but the hidden bars is given."""
        start, end = self.hidden(bars)
        given = self.score.tokens.astype(int)
        given[..., start:end] = UNWRITTEN
        for lines in given:
            yield Score.page(replace(self.score.task, given=tuple(map(tuple, lines.tolist()))), 1)


def windows(tunes: Iterable[GridTune]) -> Iterator[Windows]:
    """Yield the windows of tunes, into none of whose hidden bars' ends a note is held."""
    found: dict[Task, list[tuple[int, Array]]] = {}
    for number, tune in enumerate(tunes):
        if tune.bar_cells != BAR:
            continue
        pickup = -tune.offset % BAR
        key = WHITE_KEYS[tune.tonic]
        task = Task(key=key, meter=Meter(*tune.meter), bars=BARS, pickup=pickup)
        for end in range(BARS, len(tune.tokens) // BAR + 1, BARS):
            tokens = part(tune, end, BARS)
            if tokens is not None and all(
                tokens[pickup + last * BAR] != HOLD for _, last in HIDDEN
            ):
                found.setdefault(task, []).append((number, tokens))
    for task, pairs in found.items():
        numbers, rows = zip(*pairs, strict=True)
        yield Windows(Score(np.stack(rows)[:, None], task), np.array(numbers))


# -- joints ----------------------------------------------------------------------------------------


def _codes(line: Array, pickup: int) -> tuple[Array, Array, Array]:
    """Return the cells of the notes of a line, and a code of each one's interval and time.

    An interval is coded with the pitch class it leads to, the time since the note before with the
    place in the bar: so what an n-gram of codes predicts is an interval, or a time, alone.
    """
    at = np.flatnonzero(line >= FIRST_PITCH)
    pitch = line[at].astype(int) - FIRST_PITCH + Codec().low
    interval = np.diff(pitch, prepend=pitch[:1]).clip(-WIDEST, WIDEST) + WIDEST
    time = np.diff(at, prepend=at[:1]).clip(max=LONGEST)
    melody = pitch % 12 * (2 * WIDEST + 1) + interval
    return at, melody, (at - pickup) % BAR * (LONGEST + 1) + time


class Joints:
    """A judge of joints, counted on tunes."""

    def __init__(self, tunes: Iterable[GridTune]) -> None:
        lines = [_codes(tune.tokens, -tune.offset % BAR) for tune in tunes if tune.bar_cells == BAR]
        lines = [line for line in lines if len(line[0])]
        self.models = [
            NGram.of(3, vocab, [line[which] for line in lines])
            for which, vocab in ((1, 12 * (2 * WIDEST + 1)), (2, BAR * (LONGEST + 1)))
        ]

    def nats(self, line: Array, ends: tuple[int, int], pickup: int) -> Array:
        """Return nats (2, 2) of interval and time at two ends of a line; NaN beyond its notes."""
        at, *coded = _codes(line, pickup)
        found = np.full((2, 2), np.nan)
        for which, (model, code) in enumerate(zip(self.models, coded, strict=True)):
            nats = -model.log_prob(code[None])[0] if len(code) else code
            for end, cell in enumerate(ends):
                note = int(np.searchsorted(at, cell))
                if 0 < note < len(at):
                    found[end, which] = nats[note]
        return found


# -- filling ---------------------------------------------------------------------------------------


def drawn(
    prior: Prior,
    group: Windows,
    bars: Bars,
    draws: int,
    seed: int | torch.Generator,
    hears: bool,
    temperature: float = 1.0,
) -> Array:
    """Return pieces (N * draws, T) whose hidden bars a prior draws, from both sides or the left.

    The cells behind the hidden bars are the original's in both.
    """
    start, end = group.hidden(bars)
    tokens = np.repeat(group.score.tokens, draws, axis=0)
    page = tokens.copy()
    page[..., start : end if hears else None] = UNWRITTEN
    filled = sample(prior, Score(page, group.score.task, written=start), seed, temperature)
    pieces = filled.tokens.copy()
    pieces[..., end:] = tokens[..., end:]
    return pieces[:, 0]


def filled(
    model: Prior | Infiller,
    group: Windows,
    bars: Bars,
    seed: int | torch.Generator,
    temperature: float = 1.0,
) -> Array:
    """Return pieces (N, T) whose hidden bars a model fills once, with all that it can hear."""
    if isinstance(model, Prior):
        return drawn(model, group, bars, 1, seed, hears_ahead(model), temperature)
    rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
    pages = group.pages(bars)
    return np.concatenate([model.fill(page, 1, rng, temperature).tokens[:, 0] for page in pages])


def nats_beside(scorer: Scorer, group: Windows, bars: Bars) -> Array:
    """Return nats per token (N,) of the true hidden bars, with the bars on both sides given."""
    start, end = group.hidden(bars)
    pairs = zip(group.score.tokens, group.pages(bars), strict=True)
    nats = [
        scorer.log_prob(Score(piece[None], page.task))[0, 0, start:end] for piece, page in pairs
    ]
    return -np.stack(nats).mean(axis=1)


class LikeliestOf:
    """An infiller that draws from a prior, and keeps the likeliest of several draws.

    Args:
        prior: draws and chooses.
        draws: from which one is kept.
    """

    def __init__(self, prior: Prior, draws: int) -> None:
        self.prior, self.draws, self.codec = prior, draws, prior.codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless the prior can read pieces of this task."""
        self.prior.require(task)

    def fill(
        self, page: Score, n: int = 1, seed: int | torch.Generator = 0, temperature: float = 1.0
    ) -> Score:
        """Return the likeliest of each `draws` pieces, as `Infiller.fill` does."""
        pages = page.take(np.zeros(n * self.draws, int))
        pieces = sample(self.prior, pages, seed, temperature)
        nats = self.prior.log_prob(pieces).sum(axis=(1, 2)).reshape(n, self.draws)
        return pieces.take(np.arange(n) * self.draws + nats.argmax(axis=1))


# -- figures ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class HiddenBars:
    """Windows of held-out tunes, and the judges of what is filled in.

    Attributes:
        groups: the windows.
        joints: judges the joints.
        judge: another model that tells how likely the bars are, with what stands on both sides.
    """

    groups: Sequence[Windows]
    joints: Joints
    judge: Scorer | None = None

    def figures(
        self, model: Prior | Infiller, seed: int | torch.Generator = 0, temperature: float = 1.0
    ) -> dict[str, float]:
        """Return how a model fills hidden bars, one draw for each window.

        right: per cent of the notes of the hidden bars that the draw has, begun in the same cell.
        nats: per token of the true bars, of a model that tells it; with the bars on both sides.
        judge: nats per token of the bars drawn, and of those behind them, under the judge.
        in, out: nats of the interval into the bars drawn, and out of them.

        Each name begins with the bars, such as "3-4 right".

        Raises:
            ValueError: the model cannot fill windows of one of the tasks.
        """
        rng = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        found: dict[str, float] = {}
        for bars in HIDDEN:
            lines = [filled(model, group, bars, rng, temperature) for group in self.groups]
            told = self._of(bars, lines)
            if isinstance(model, Scorer) and temperature == 1:
                nats = [nats_beside(model, group, bars) for group in self.groups]
                told["nats"] = float(np.concatenate(nats).mean())
            found |= {f"{bars[0]}-{bars[1]} {name}": value for name, value in told.items()}
        return found

    def some(self, most: int, first: int = 0, step: int = 1) -> HiddenBars:
        """Return at most `most` windows: number `first`, and every `step`-th after it."""
        sizes = [group.score.batch for group in self.groups]
        chosen = np.arange(sum(sizes))[first::step][:most]
        begins = np.cumsum([0, *sizes[:-1]])
        parts = []
        for group, begin, size in zip(self.groups, begins.tolist(), sizes, strict=True):
            rows = chosen[(chosen >= begin) & (chosen < begin + size)] - begin
            if len(rows):
                parts.append(Windows(group.score.take(rows), group.tunes[rows]))
        return replace(self, groups=parts)

    def originals(self) -> dict[str, float]:
        """Return the figures of the tunes themselves."""
        lines = [group.score.tokens[:, 0] for group in self.groups]
        told = {bars: self._of(bars, lines) for bars in HIDDEN}
        return {f"{a}-{b} {name}": v for (a, b), each in told.items() for name, v in each.items()}

    def _of(self, bars: Bars, lines: Sequence[Array]) -> dict[str, float]:
        right, joints, judged = [], [], []
        for group, pieces in zip(self.groups, lines, strict=True):
            (start, end), task = group.hidden(bars), group.score.task
            true = group.score.tokens[:, 0, start:end]
            begun = true >= FIRST_PITCH
            right += (pieces[:, start:end] == true)[begun].astype(float).tolist()
            joints += [self.joints.nats(line, (start, end), task.pickup)[:, 0] for line in pieces]
            if self.judge is not None:
                nats = self.judge.log_prob(Score(pieces[:, None], task))[:, 0, start:]
                judged += (-nats.mean(axis=1)).tolist()
        into, out = [_mean(np.array(joints)[:, end]) for end in (0, 1)]
        told = {"right": 100 * _mean(np.array(right)), "in": into, "out": out}
        return told | ({"judge": float(np.mean(judged))} if judged else {})


def _mean(values: Array) -> float:
    """Return the mean of what is known; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


@lru_cache(maxsize=1)
def held_out_bars() -> HiddenBars:
    """Return the windows of the test tunes of the shipped corpus, without a judge."""
    corpus = load_corpus()
    return HiddenBars(list(windows(corpus.select("test"))), Joints(corpus.select("train")))


# -- fakes -----------------------------------------------------------------------------------------


@dataclass
class FakeFiller:
    """An infiller that has learned nothing.

    Attributes:
        held: True to hold the note before the free cells; False to copy what stood as many cells
            before them as there are free ones.
    """

    held: bool
    codec: Codec = field(default_factory=Codec)

    def require(self, task: Task) -> None:
        """Do nothing: it fills any page whose free cells stand in a row behind others."""

    def fill(
        self, page: Score, n: int = 1, seed: int | torch.Generator = 0, temperature: float = 1.0
    ) -> Score:
        """Return the same piece `n` times, as `Infiller.fill` does."""
        tokens = page.tokens.copy()
        free = np.flatnonzero(tokens[0, 0] == UNWRITTEN)
        copied = tokens[..., free - len(free)]
        tokens[..., free] = HOLD if self.held else np.where(copied == UNWRITTEN, HOLD, copied)
        return Score(np.repeat(tokens, n, axis=0), page.task)


FAKE_FILLERS: dict[str, Infiller] = {
    "a held note": FakeFiller(held=True),
    "the bars before": FakeFiller(held=False),
}
