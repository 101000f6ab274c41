"""A network of 16ths on other grids: eighths and quarters, and one with triplets.

A coarser cell begins one of the network's cells; between it and the next the network reads that
nothing happens, and what it says there is not asked.

On a grid of 12 cells to the quarter the network's four cells of a quarter stand at 0, 3, 6 and 9,
and triplets at 0, 4 and 8. The network has learned triplets as the corpora have them once they are
snapped to 16ths: on its cells 0, 1 and 3. So what it says of its cell 1 is shared out between 3 and
4, and of its cell 3 between 9 and 8, by how often the tunes behind it have the one or the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import HOLD, REST, UNWRITTEN, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.network_prior import Reading
from pretrained.prior import ILLEGAL, Prior, Scorer, hears_ahead, reads_any_grid

TRIPLETS = 12  # cells to the quarter
# Of the quarters in the corpora's tunes that have an onset at 1/4 or 1/3, those that have it at
# 1/3; of those with none there and one at 3/4 or 2/3, those at 2/3; and of those with onsets at 0,
# 1/4 or 1/3, and 3/4 or 2/3 and nothing between, those that are triplets. Counted before snapping.
AT_THIRD = 4269 / 26422
AT_TWO_THIRDS = 328 / 22337
AROUND_NOTHING = 3749 / 3796
LEAST = 1e-12  # probability below which all are alike
# What is known of a quarter: an event at 1/4 and none later; it is halved; it is in thirds.
HURRIED, HALVED, THIRDS = 1, 2, 3
AFTER = {3: HURRIED, 4: THIRDS, 6: HALVED, 8: THIRDS, 9: HALVED}  # an event at these cells of it


Model = TypeVar("Model", bound=Scorer)


def on_grid(prior: Model, task: Task) -> Model | OnGrid:
    """Return the prior itself, or one of the task's grid that asks it.

    Raises:
        ValueError: a grid that it cannot be asked about.
    """
    if not isinstance(prior, Prior) or task.grid == prior.codec.grid or reads_any_grid(prior):
        return prior
    return OnGrid(prior, task.grid)


@dataclass(frozen=True)
class GridLine:
    """State of one voice on another grid.

    Attributes:
        inner: the prior's, after it was asked about the next cell of `page`.
        page: what the prior has read, in 16ths.
        chance: (B, vocab) what it answered.
        cell: next to be written, in cells of the task from the start of `page` on.
        read: (B,) token of that cell of the prior, as far as it is written.
        quarter: (B,) what is known of the quarter: 0 nothing, else HURRIED, HALVED or THIRDS.
        started: (B,) True where a note has begun.
    """

    inner: Any
    page: Score
    chance: Tensor
    cell: int
    read: Tensor
    quarter: Tensor
    started: Tensor

    @property
    def nothing(self) -> Tensor:
        """(B,) the token that stands where nothing happens."""
        return torch.where(self.started, HOLD, REST)

    @property
    def place(self) -> int:
        """Cells of a grid of triplets since the quarter began, counted from the bar line."""
        task = self.page.task
        return (self.cell - task.pickup * 3) % (task.bar_cells * 3) % TRIPLETS

    def take(self, prior: Prior, rows: Tensor) -> GridLine:
        """Return the state of some pieces (N,)."""
        inner, page = prior.take(self.inner, rows), self.page.take(rows.numpy())
        by_piece = (self.read, self.quarter, self.started)
        return GridLine(
            inner, page, self.chance[rows], self.cell, *(values[rows] for values in by_piece)
        )


class OnGrid:
    """A prior of 16ths asked on another grid; each voice is a piece of its own to it.

    Args:
        prior: of 16ths.
        grid: cells to the quarter, 1, 2 or 12.

    Raises:
        ValueError: another grid.
    """

    one_line = True

    @property
    def hears_ahead(self) -> bool:
        """True if the prior reads the cells that are given ahead."""
        return hears_ahead(self.prior)

    def __init__(self, prior: Prior, grid: int) -> None:
        if prior.codec.grid != 4 or grid not in (1, 2, TRIPLETS):
            raise ValueError(
                f"the prior knows {prior.codec.grid} cells per quarter note, the task has {grid}; "
                "expected 1, 2, 4 or 12"
            )
        self.prior, self.grid = prior, grid
        self.codec = Codec(prior.codec.low, prior.codec.high, grid)

    def require(self, task: Task) -> None:
        """Raise ValueError unless the task has this grid."""
        if task.grid != self.grid:
            raise ValueError(f"grid={task.grid}: expected {self.grid}")

    def start(self, task: Task, batch: int) -> Reading:
        """Return the state before the first cell: a GridLine for each voice."""
        self.require(task)
        # An upbeat that is no whole number of 16ths gets a longer one, silent at first.
        pickup = -(-task.pickup * 4 // self.grid)
        if pickup * self.grid >= task.bar_cells * 4:
            raise ValueError(
                f"pickup={task.pickup}: the prior thinks in 16ths, so it has to be shorter than a "
                f"bar of {task.bar_cells} cells by a 16th"
            )
        in_16ths = replace(task, grid=4, voices=1, given=(), chords="", pickup=pickup, ranges="")
        silent = pickup * self.grid // 4 - task.pickup
        pages = [in_16ths] * task.voices
        if task.given and self.hears_ahead:
            lines = (
                in_16ths_of([REST] * silent + [*row], in_16ths, self.grid) for row in task.given
            )
            pages = [replace(in_16ths, given=(line,)) for line in lines]
        zeros, first = torch.zeros(batch, dtype=torch.int64), []
        for page in (Score.page(own, batch) for own in pages):
            logits, inner = self.prior.step(self.prior.start(page.task, batch), page)
            line = GridLine(inner, page, logits.softmax(1), silent, zeros + REST, zeros, zeros > 0)
            first.append(self._ask(line))
        return Reading(tuple(first), -1, torch.empty(batch, 0))

    def step(self, state: Reading, score: Score) -> tuple[Tensor, Reading]:
        """Return logits (B, vocab) of the next cell of a score, and the state that read so far."""
        if state.is_at(score):
            return state.logits, state
        lines, read = list(state.inner), max(state.cell, 0)
        new = torch.from_numpy(score.written_since(read).astype(np.int64))
        for cell, token in enumerate(new.unbind(dim=1), read):
            voice = cell % len(lines)
            lines[voice] = self._after(token, lines[voice])
        logits = self._logits(lines[score.n_written % len(lines)])
        return logits, Reading(tuple(lines), score.n_written, logits)

    def take(self, state: Reading, rows: Tensor) -> Reading:
        """Return the state of some pieces; `rows` (N,) are their numbers and may repeat."""
        lines = tuple(line.take(self.prior, rows) for line in state.inner)
        return Reading(lines, state.cell, state.logits[rows])

    @torch.inference_mode()
    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return nats (B, V, T) of each token of finished pieces given those before it."""
        if not score.finished:
            raise ValueError("log_prob needs finished pieces; step the prior for a piece so far")
        tokens = torch.from_numpy(score.tokens.astype(np.int64))
        nats = torch.empty(tokens.shape)
        for voice, line in enumerate(self.start(score.task, score.batch).inner):
            for cell, token in enumerate(tokens[:, voice].unbind(dim=1)):
                chosen = self._logits(line).log_softmax(1).gather(1, token[:, None])
                nats[:, voice, cell] = chosen[:, 0]
                line = self._after(token, line)
        return np.asarray(nats.numpy())

    # -- how cells correspond --------------------------------------------------------------------

    def _ask(self, line: GridLine) -> GridLine:
        """Have the network read up to the cell that is to be written."""
        wanted = line.cell * 4 // self.grid
        if self.grid == TRIPLETS:
            wanted += line.place == 8  # the cell that 8 and 9 share out begins at 9
        inner, page, chance, read = line.inner, line.page, line.chance, line.read
        while page.n_written < min(wanted, page.task.cells - 1):
            page = page.write(read.numpy())
            logits, inner = self.prior.step(inner, page)
            chance, read = logits.softmax(1), line.nothing
        return replace(line, inner=inner, page=page, chance=chance, read=read)

    def _after(self, token: Tensor, line: GridLine) -> GridLine:
        """Return the state when a token is written."""
        event = token != line.nothing
        read, started = torch.where(event, token, line.read), line.started | (token > HOLD)
        quarter = line.quarter
        if line.place in AFTER:
            quarter = torch.where(event & (quarter != THIRDS), AFTER[line.place], quarter)
        after = replace(line, cell=line.cell + 1, read=read, quarter=quarter, started=started)
        if after.place == 0:
            after = replace(after, quarter=torch.zeros_like(quarter))
        return self._ask(after)

    def _logits(self, line: GridLine) -> Tensor:
        """Return logits (B, vocab) of the next token; what the grammar forbids has ILLEGAL."""
        chance = line.chance
        if self.grid == TRIPLETS:
            nothing = line.nothing[:, None]
            quiet = chance.gather(1, nothing)
            share = _share(line, quiet)
            chance = (chance * share).scatter(1, nothing, 1 - (1 - quiet) * share)
        return chance.clamp(min=LEAST).log().masked_fill(chance == 0, ILLEGAL)


def in_16ths_of(line: Sequence[int], task: Task, grid: int) -> tuple[int, ...]:
    """Return the 16ths that the network will have read of the given cells of a line.

    A 16th is free if one of the cells that it is read from is, or if what it reads depends on such
    a cell.

    Args:
        line: tokens of another grid from the beginning of the task on, UNWRITTEN where free.
        task: in 16ths.
        grid: of the line.
    """
    page = np.full(task.cells, UNWRITTEN)
    cells: list[list[int]] = [[] for _ in page]
    for cell, token in enumerate(line):
        place = (cell - task.pickup * grid // 4) % (task.bar_cells * grid // 4) % TRIPLETS
        number = cell * 4 // grid + (grid == TRIPLETS and place == 8)  # as OnGrid reads them
        if number < len(page):  # a longer upbeat moves the end out of the network's sight
            cells[number].append(token)
    started, known = False, False  # a note is given before; the 16th before is given
    for number, tokens in enumerate(cells):
        events = [token for token in tokens if token != HOLD]
        known = all(token != UNWRITTEN for token in tokens) and (bool(tokens) or known)
        token = events[-1] if events else HOLD
        started |= known and token > HOLD
        if known and (token != HOLD or started):
            page[number] = token
    return tuple(page.tolist())


def _share(line: GridLine, quiet: Tensor) -> Tensor:
    """Return the factor (B, 1) of an event's chance in a cell of triplets.

    Two cells that share out an event of the network's have one factor where nothing has come in
    the first of them, and another one before.

    Args:
        line: before the cell.
        quiet: (B, 1) the network's chance that nothing happens.
    """
    every, none = torch.ones_like(quiet), torch.zeros_like(quiet)
    quarter, place = line.quarter[:, None], line.place
    halved, thirds = (quarter == HURRIED) | (quarter == HALVED), quarter == THIRDS
    if place == 3:
        return every * (1 - AT_THIRD)
    if place == 4:
        return torch.where(halved, none, _left(AT_THIRD, quiet))
    if place == 6:
        return torch.where(thirds, none, every)
    if place == 8:
        return torch.where(halved, none, torch.where(thirds, every, AT_TWO_THIRDS))
    if place == 9:
        known = torch.where(
            quarter == HURRIED, 1 - AROUND_NOTHING, torch.where(halved, every, none)
        )
        return torch.where(quarter == 0, _left(1 - AT_TWO_THIRDS, quiet), known)
    return every if place == 0 else none


def _left(share: float, quiet: Tensor) -> Tensor:
    """Return the factor of the second of two cells, whose events are a `share` of those of both."""
    return share / (quiet + share * (1 - quiet)).clamp(min=LEAST)
