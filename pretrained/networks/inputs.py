"""The inputs of a network of one line: the token before, the place of the cell, and a look back.

The input at a cell is the token before it and the place of the cell itself: its position in the
bar, the bar's length and the beat's length, all in cells. A network that knows the plan also sees
the mode, and how many bars are left of the phrase and of the piece, so it can come to an end. A
network that looks back also sees the token that stood at the cell one bar (two bars, ...) ago, and
how many of the last tokens in a row were those of that bar, as in Magenta's Lookback RNN (Waite
2016): what a network would have to remember to repeat itself. Tables of embeddings are added up.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import quoted
from envs.music.codec import UNWRITTEN
from pretrained.networks.ahead import Ahead, Heard
from pretrained.networks.per_voice import LineNetwork

# What is known of a cell's place. Bars left are those after the cell's own; the mode is the tonic's
# pitch class where the key signature is that of C.
PLACE = ("cell_in_bar", "bar_cells", "beat_cells", "mode", "phrase_bars_left", "piece_bars_left")
PLACE_SIZES = (64, 65, 17, 12, 9, 33)  # what is larger shares the last row of its table
METRE = 3  # of them; all of them are the plan
LONGEST_BAR = PLACE_SIZES[0]  # cells; in longer bars there is no looking back
LONGEST_RUN = 16  # repeated tokens in a row; more count as this many
MOST_BARS = 8  # that a network may look back to


class Past(NamedTuple):
    """Tokens that a line can look back to."""

    tokens: Tensor  # (B, furthest bar * LONGEST_BAR + 1) int16: those read last, the newest last
    run: Tensor  # (B, bars looked back to) int64: tokens in a row equal to those as far back

    def take(self, rows: Tensor) -> Past:
        """Return the past of some lines (N,)."""
        return Past(self.tokens[rows], self.run[rows])


def bars_back(lookback: int | Sequence[int]) -> tuple[int, ...]:
    """Return the bars looked back to: 1 to a number, or those of a list."""
    return tuple(range(1, lookback + 1)) if isinstance(lookback, int) else tuple(lookback)


def check_sizes(shape: Any, bounds: Mapping[str, tuple[int, int]]) -> int | tuple[int, ...]:
    """Return `lookback` of a network's shape, a list as a tuple.

    Args:
        shape: a dataclass with `lookback`, `places`, `ahead` and the sizes of `bounds`.
        bounds: least and most of each size by name.

    Raises:
        ValueError: a size that is no whole number within its bounds.
    """
    back = shape.lookback
    listed = isinstance(back, (list, tuple))
    limits = {**bounds, "places": (METRE, len(PLACE)), "ahead": (0, 4096)}
    values = [(name, getattr(shape, name), *limits[name]) for name in limits]
    values += [("lookback", bars, int(listed), MOST_BARS) for bars in (back if listed else [back])]
    for name, value, low, high in values:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not low <= value <= high:
            raise ValueError(
                f"network {name}={quoted(value)}: expected a whole number {low}..{high}"
            )
    if listed and len(set(back)) < len(back):
        raise ValueError(f"network lookback={quoted(back)}: expected each bar once")
    return tuple(back) if listed else int(back)


class PlacedNetwork(LineNetwork):
    """A network that is fed with the token before a cell, its place, and a look back.

    A subclass calls `make_inputs` and `make_outputs`, and computes the features between the two:
    those of whole lines from `inputs_along` and those of one cell from `step_inputs`.
    """

    dropout: nn.Dropout
    ahead: Ahead | None

    @abstractmethod
    def along(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> Tensor:
        """Return features (B, T, n) of whole lines, given the tokens before each cell."""

    @abstractmethod
    def after(self, token: Tensor, place: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read a token (B,); return features (B, n) of the cell behind it, and the state."""

    def forward(
        self, tokens: Tensor, place: Tensor, bf16: bool = False, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Teacher-forced pass over whole pieces from the start.

        Args:
            tokens: (B, T) int64; the last one is not read.
            place: (B, T, 6) or (1, T, 6) int64, see PLACE.
            bf16: compute the features in bfloat16; the read-out stays in float32.
            given: (B, T) bool, the cells that are given in advance; None if none is.

        Returns:
            logits (B, T, vocab) of the token at each cell given those before it, and the
            features (B, T, n) they are read from.
        """
        features = self.along(tokens, place, bf16)
        if given is not None and self.ahead is not None:
            features = features + self.ahead(features, self.ahead.listen(tokens, given, place))
        return self.head(self.dropout(features)), features

    def step(self, token: Tensor, place: Tensor, state: Any) -> tuple[Tensor, Tensor, Any]:
        """Read a cell; return logits (B, vocab), features (B, n) and the next state.

        Args:
            token: (B,) previous tokens, `start_token` at the first cell.
            place: (B, 6) or (1, 6) of the cell to come.
            state: from `start` or the step before.
        """
        features, state = self.after(token, place, state)
        return self.head(features), features, state

    @property
    def hears_ahead(self) -> bool:
        """True if the network reads what is given ahead."""
        return self.ahead is not None

    def hear(
        self, features: Tensor, page: Tensor, place: Tensor, time: int | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits (B, vocab) and features (B, n) of a cell, see `LineNetwork.hear`."""
        if self.ahead is not None:
            rows = torch.arange(len(page), device=page.device)
            heard = self.ahead.listen(page, page != UNWRITTEN, place)
            features = features + self.ahead(features, Heard(*(x[rows, time] for x in heard)))
        return self.head(features), features

    def answer_ahead(
        self, features: Tensor, tokens: Tensor, place: Tensor, given: Tensor
    ) -> Tensor:
        """Return logits (B, T, vocab), see `LineNetwork.answer_ahead`."""
        if self.ahead is None:
            raise ValueError("the network has nothing that reads ahead; expected ahead above 0")
        features = features + self.ahead(features, self.ahead.listen(tokens, given, place))
        head = self.head
        return functional.linear(features, head.weight.detach(), head.bias.detach())

    def make_outputs(self, features: int) -> None:
        """Make the read-out of as many features, and what reads the cells given ahead."""
        shape = self.shape
        self.head = nn.Linear(features, shape.vocab)
        self.ahead = Ahead(shape.vocab, features, shape.ahead) if shape.ahead else None

    def make_inputs(self, width: int) -> None:
        """Make the tables of embeddings (..., width)."""
        shape = self.shape
        self.start_token, self.bars = shape.vocab, bars_back(shape.lookback)
        self.token = nn.Embedding(shape.vocab + 1, width)
        tables = [nn.Embedding(size, width) for size in PLACE_SIZES[: shape.places]]
        for table in tables:
            nn.init.zeros_(table.weight)  # a bar length never trained on changes nothing
        self.place = nn.ModuleList(tables)
        if self.bars:
            self.back = nn.Embedding(len(self.bars) * self._rows, width)
            nn.init.zeros_(self.back.weight)  # at first looking back changes nothing

    @property
    def _rows(self) -> int:
        """Rows of `back` for each bar looked back to: tokens, nothing, and lengths of runs."""
        return int(self.shape.vocab) + 1 + LONGEST_RUN + 1

    def embed(self, token: Tensor, place: Tensor, back: Tensor) -> Tensor:
        """Return input vectors (..., width) of previous tokens (...) and places (..., 6), int64.

        Places may have fewer rows than tokens and are broadcast. `back` (..., 2 * bars) are rows
        of the table of what is seen in looking back.
        """
        x: Tensor = self.token(token)
        if self.bars:
            seen = functional.embedding_bag(back.flatten(0, -2), self.back.weight, mode="sum")
            x = x + seen.view(x.shape)
        for i, table in enumerate(self.place):
            x = x + table(place[..., i].clamp(max=PLACE_SIZES[i] - 1))
        return x

    def inputs_along(self, tokens: Tensor, place: Tensor) -> Tensor:
        """Return input vectors (B, T, width) of whole lines; the last token is not read."""
        previous = functional.pad(tokens[:, :-1], (1, 0), value=self.start_token)
        back = self._look_back(tokens, place) if self.bars else tokens
        return self.embed(self._blurred(previous), place, back)

    def _blurred(self, tokens: Tensor) -> Tensor:
        """Return tokens, in training with some unseen (word dropout, Bowman et al. 2016)."""
        if not (self.training and self.token_dropout):
            return tokens
        unseen = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
        return tokens.masked_fill(unseen, self.start_token)

    def nothing_past(self, batch: int) -> Past:
        """Return the past of lines before their first cell."""
        device, furthest = self.head.weight.device, max(self.bars, default=0)
        size = (batch, furthest * LONGEST_BAR + 1)
        tokens = torch.full(size, self.start_token, dtype=torch.int16, device=device)
        run = torch.zeros(batch, len(self.bars), dtype=torch.int64, device=device)
        return Past(tokens, run)

    def step_inputs(self, token: Tensor, place: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Return input vectors (B, width) of the next cell, and the past with its token before.

        Args:
            token: (B,) previous tokens, `start_token` at the first cell.
            place: (B, 6) or (1, 6) of the cell to come.
            past: before the token.
        """
        if not self.bars:
            return self.embed(token, place, torch.empty(0)), past
        back, past = self._step_back(token, place, past)
        return self.embed(token, place, back), past

    def _back_rows(self, tokens: Tensor, runs: Tensor) -> Tensor:
        """Return rows (..., 2 * bars) of `back` for the tokens and runs (..., bars)."""
        first = torch.arange(len(self.bars), device=tokens.device) * self._rows
        rows = [tokens + first, runs + (first + self.shape.vocab + 1)]
        return torch.stack(rows, dim=-1).flatten(-2)

    def _look_back(self, tokens: Tensor, place: Tensor) -> Tensor:
        """Return rows (B, T, 2 * bars) of `back` at every cell of whole lines."""
        cell = torch.arange(tokens.shape[1], device=tokens.device)
        seen, runs = [], []
        for bars in self.bars:
            bar = place[..., 1]
            known = (bar > 0) & (bar <= LONGEST_BAR)
            at = (cell - bars * bar).expand(tokens.shape)
            there = tokens.gather(1, at.clamp(min=0))
            there = there.masked_fill(~(known & (at >= 0)), self.start_token)
            differs = there != tokens  # whether the run ends with the token of this cell
            ended = cell.expand(tokens.shape).masked_fill(~differs, -1).cummax(dim=1).values
            run = (cell - ended).clamp(max=LONGEST_RUN)
            runs.append(functional.pad(run[:, :-1], (1, 0)))
            seen.append(self._blurred(there))
        return self._back_rows(torch.stack(seen, dim=-1), torch.stack(runs, dim=-1))

    def _step_back(self, token: Tensor, place: Tensor, past: Past) -> tuple[Tensor, Past]:
        """Return rows (B, 2 * bars) of `back` for the next cell, and the next past."""
        token = token[:, None]
        tokens = torch.cat([past.tokens[:, 1:], token.to(past.tokens.dtype)], dim=1)
        bars, bar = torch.tensor(self.bars, device=token.device), place[:, 1:2]
        known = (bar > 0) & (bar <= LONGEST_BAR)
        at = tokens.shape[1] - torch.where(known, bars * bar, 1).expand(len(token), -1)
        before, there = tokens.gather(1, torch.cat([at - 1, at], dim=1)).long().chunk(2, dim=1)
        same = known & (before == token) & (token != self.start_token)
        run = torch.where(same, past.run + 1, 0).clamp(max=LONGEST_RUN)
        seen = there.masked_fill(~known, self.start_token)
        return self._back_rows(seen, run), Past(tokens, run)
