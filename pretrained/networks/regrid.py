"""A network of 16ths on other grids: eighths and quarters, and one with triplets.

A coarser cell begins one of the network's cells; between it and the next the network reads that
nothing happens, and what it says there is not asked.

On a grid of 12 cells to the quarter the network's four cells of a quarter stand at 0, 3, 6 and 9,
and triplets at 0, 4 and 8. The network has learned triplets as the corpora have them once they are
snapped to 16ths: on its cells 0, 1 and 3. So what it says of its cell 1 is shared out between 3 and
4, and of its cell 3 between 9 and 8, by how often the tunes behind it have the one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from envs.music.codec import HOLD, REST, Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.network_prior import Reading
from pretrained.prior import ILLEGAL, Prior, Scorer

TRIPLETS = 12  # cells to the quarter
# Of the quarters in the corpora's tunes that have an onset at 1/4 or 1/3, those that have it at
# 1/3; of those with none there and one at 3/4 or 2/3, those at 2/3; and of those with onsets at 0,
# 1/4 or 1/3, and 3/4 or 2/3 and nothing between, those that are triplets. Counted before snapping.
AT_THIRD = 4269 / 26422
AT_TWO_THIRDS = 328 / 22337
AROUND_NOTHING = 3749 / 3796
LEAST = 1e-12  # probability below which all are alike


Model = TypeVar("Model", bound=Scorer)


def on_grid(prior: Model, task: Task) -> Model | OnGrid:
    """Return the prior itself, or one of the task's grid that asks it.

    Raises:
        ValueError: a grid that it cannot be asked about.
    """
    if not isinstance(prior, Prior) or task.grid == prior.codec.grid:
        return prior
    return OnGrid(prior, task.grid)


@dataclass(frozen=True)
class GridLine:
    """State of one voice on another grid.

    Attributes:
        inner: the prior's, after it was asked about the next cell of `page`.
        page: what the prior has read, in 16ths.
        chance: (B, vocab) what it answered.
        cell: of the task, next to be written.
        read: (B,) token of that cell of the prior, as far as it is written.
        division: (B,) what is known of the quarter: 0 nothing, 2 that it is halved, 3 in thirds.
        hurried: (B,) True where its events so far are at 0 and 1/4 only.
        started: (B,) True where a note has begun.
    """

    inner: Any
    page: Score
    chance: Tensor
    cell: int
    read: Tensor
    division: Tensor
    hurried: Tensor
    started: Tensor

    def take(self, prior: Prior, rows: Tensor) -> GridLine:
        """Return the state of some pieces (N,)."""
        parts = ("chance", "read", "division", "hurried", "started")
        chosen: dict[str, Any] = {name: getattr(self, name)[rows] for name in parts}
        page = self.page.take(rows.numpy())
        return replace(self, inner=prior.take(self.inner, rows), page=page, **chosen)


class OnGrid:
    """A prior of 16ths asked on another grid; each voice is a piece of its own to it.

    Args:
        prior: of 16ths.
        grid: cells to the quarter, 1, 2 or 12.

    Raises:
        ValueError: another grid.
    """

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
        in_16ths = replace(task, grid=4, voices=1, given=(), chords="", pickup=pickup)
        page = Score.page(in_16ths, batch)
        logits, inner = self.prior.step(self.prior.start(in_16ths, batch), page)
        zeros = torch.zeros(batch, dtype=torch.int64)
        none = torch.zeros(batch, dtype=torch.bool)
        first = GridLine(inner, page, logits.softmax(1), 0, zeros + REST, zeros, none, none)
        lines = (self._ask(first, task.pickup),) * task.voices
        return Reading(lines, -1, torch.empty(batch, 0))

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

    def _logits(self, line: GridLine) -> Tensor:
        """Return logits (B, vocab) of the next token; what the grammar forbids has ILLEGAL."""
        chance = self._shared_out(line) if self.grid == TRIPLETS else line.chance
        return chance.clamp(min=LEAST).log().masked_fill(chance == 0, ILLEGAL)

    # -- how cells correspond --------------------------------------------------------------------

    def _place(self, state: GridLine) -> int:
        """Cells since the quarter began, counted from the bar line."""
        task, upbeat = state.page.task, state.page.task.pickup * 3
        bar = task.bar_cells * 3
        return (state.cell - upbeat) % bar % TRIPLETS

    def _ask(self, state: GridLine, upbeat: int) -> GridLine:
        """Have the network read up to the cell that is to be written; `upbeat` of the task."""
        task = state.page.task
        if self.grid == TRIPLETS:
            state = replace(state, cell=state.cell or task.pickup * 3 - upbeat)
            wanted = state.cell // 3 + (self._place(state) == 8)
        else:
            wanted = state.cell * 4 // self.grid
        nothing = torch.where(state.started, HOLD, REST)
        inner, page, chance, read = state.inner, state.page, state.chance, state.read
        while page.n_written < min(wanted, task.cells - 1):
            page = page.write(read.numpy())
            logits, inner = self.prior.step(inner, page)
            chance, read = logits.softmax(1), nothing
        return replace(state, inner=inner, page=page, chance=chance, read=read)

    def _after(self, token: Tensor, state: GridLine) -> GridLine:
        """The state when a token is written."""
        event = token != torch.where(state.started, HOLD, REST)
        read = torch.where(event, token, state.read)
        division, hurried = state.division, state.hurried
        if self.grid == TRIPLETS:
            place = self._place(state)
            if place in (3, 6, 9):
                division = torch.where(event & (division == 0), 2, division)
                hurried = event if place == 3 else hurried & ~event
            elif place in (4, 8):
                division = torch.where(event, 3, division)
            if self._place(replace(state, cell=state.cell + 1)) == 0:
                division, hurried = torch.zeros_like(division), torch.zeros_like(hurried)
        started = state.started | (token > HOLD)
        cell = state.cell + 1
        after = replace(
            state, cell=cell, read=read, division=division, hurried=hurried, started=started
        )
        return self._ask(after, 0)

    def _shared_out(self, state: GridLine) -> Tensor:
        """(B, vocab) chance of each token in a cell of the triplet grid."""
        place, division = self._place(state), state.division
        nothing = torch.where(state.started, HOLD, REST)[:, None]
        quiet = state.chance.gather(1, nothing)
        if place in (1, 2, 5, 7, 10, 11):
            scale = torch.zeros(len(quiet), 1)
        elif place in (3, 4):
            scale = _split(quiet, AT_THIRD, second=place == 4)
            scale = torch.where((division == 2)[:, None], 0.0, scale) if place == 4 else scale
        elif place in (8, 9):
            scale = _split(quiet, 1 - AT_TWO_THIRDS, second=place == 9)
            sure = (division == 3) if place == 8 else (division == 2)
            scale = torch.where((division > 0)[:, None], sure[:, None].float(), scale)
            if place == 9:
                rare = (state.hurried & sure)[:, None]
                scale = torch.where(rare, 1 - AROUND_NOTHING, scale)
        else:
            scale = torch.ones(len(quiet), 1)
            if place == 6:
                scale = torch.where((division == 3)[:, None], 0.0, scale)
        chance = state.chance * scale
        return chance.scatter(1, nothing, 1 - (1 - quiet) * scale)


def _split(quiet: Tensor, share: float, second: bool) -> Tensor:
    """Factor of an event's chance at one of two places that share it out.

    Args:
        quiet: (B, 1) chance that there is no event at either.
        share: of the events that come at the second place.
        second: whether it is the second that is asked about, nothing having come at the first.
    """
    if not second:
        return torch.full_like(quiet, 1 - share)
    return share / (quiet + share * (1 - quiet)).clamp(min=LEAST)
