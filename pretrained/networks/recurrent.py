"""The recurrent architecture: an LSTM over one line that sees its place in the bar and looks back.

The input at a cell is the token before it and the place of the cell itself: its position in the
bar, the bar's length and the beat's length, all in cells. A network that knows the plan also sees
the mode, and how many bars are left of the phrase and of the piece, so it can come to an end. A
network that looks back also sees the token that stood at the cell one bar (two bars, ...) ago, and
how many of the last tokens in a row were those of a bar before, as in Magenta's Lookback RNN (Waite
2016): what an LSTM would have to remember to repeat itself. Tables of embeddings are added up and
fed to `torch.nn.LSTM`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import quoted
from envs.music.codec import Codec
from pretrained.networks.per_voice import LineNetwork, PerVoice

# What is known of a cell's place. Bars left are those after the cell's own; the mode is the tonic's
# pitch class where the key signature is that of C.
PLACE = ("cell_in_bar", "bar_cells", "beat_cells", "mode", "phrase_bars_left", "piece_bars_left")
PLACE_SIZES = (64, 65, 17, 12, 9, 33)  # what is larger shares the last row of its table
METRE = 3  # of them; all of them are the plan
LONGEST_BAR = PLACE_SIZES[0]  # cells; in longer bars there is no looking back
LONGEST_RUN = 16  # repeated tokens in a row; more count as this many


class Hidden(NamedTuple):
    """State between two cells."""

    h: Tensor  # (layers, B, width)
    c: Tensor  # (layers, B, width)
    past: Tensor  # (B, lookback * LONGEST_BAR + 1) int64: the last tokens read, the newest last
    run: Tensor  # (B, lookback) int64: tokens in a row equal to those 1, 2, ... bars before


@dataclass(frozen=True)
class NetShape:
    """The sizes of the network.

    Attributes:
        vocab: number of tokens; one more input stands for "nothing yet".
        hidden: LSTM units per layer.
        layers: LSTM layers.
        embed: size of the summed input embedding.
        lookback: bars looked back to; 0 for a network without.
        places: how many of PLACE it sees: METRE of them, or all.
    """

    vocab: int = 38
    hidden: int = 256
    layers: int = 1
    embed: int = 128
    lookback: int = 0
    places: int = METRE

    def __post_init__(self) -> None:
        bounds = {"vocab": 4096, "hidden": 8192, "layers": 16, "embed": 8192}
        least = {"lookback": 0, "places": METRE}
        for name, most in (bounds | {"lookback": 8, "places": len(PLACE)}).items():
            value, low = getattr(self, name), least.get(name, 1)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= most:
                raise ValueError(
                    f"network {name}={quoted(value)}: expected a whole number {low}..{most}"
                )


class RecurrentNet(LineNetwork):
    """Embedding, LSTM and linear read-out.

    Args:
        shape: sizes.
        dropout: share of inputs and outputs of the LSTM dropped while training.
    """

    shape: NetShape

    def __init__(self, shape: NetShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape, self.start_token = shape, shape.vocab
        self.token = nn.Embedding(shape.vocab + 1, shape.embed)
        tables = [nn.Embedding(size, shape.embed) for size in PLACE_SIZES[: shape.places]]
        for table in tables:
            nn.init.zeros_(table.weight)  # a bar length never trained on changes nothing
        self.place = nn.ModuleList(tables)
        if shape.lookback:
            self.back = nn.Embedding(shape.lookback * self._rows, shape.embed)
            nn.init.zeros_(self.back.weight)  # at first looking back changes nothing
        self.lstm = nn.LSTM(shape.embed, shape.hidden, shape.layers, batch_first=True)
        self.head = nn.Linear(shape.hidden, shape.vocab)
        self.dropout = nn.Dropout(dropout)

    @property
    def _rows(self) -> int:
        """Rows of `back` for each bar looked back to: tokens, nothing, and lengths of runs."""
        return self.shape.vocab + 1 + LONGEST_RUN + 1

    def embed(self, token: Tensor, place: Tensor, back: Tensor) -> Tensor:
        """Return input vectors (..., embed) of previous tokens (...) and places (..., 6), int64.

        Places may have fewer rows than tokens and are broadcast. `back` (..., 2 * lookback) are
        rows of the table of what is seen in looking back.
        """
        x: Tensor = self.token(token)
        if self.shape.lookback:
            seen = functional.embedding_bag(back.flatten(0, -2), self.back.weight, mode="sum")
            x = x + seen.view(x.shape)
        for i, table in enumerate(self.place):
            x = x + table(place[..., i].clamp(max=PLACE_SIZES[i] - 1))
        return x

    def _back_rows(self, tokens: list[Tensor], runs: list[Tensor]) -> Tensor:
        """Return rows (..., 2 * lookback) of `back` for tokens and runs at 1, 2, ... bars."""
        rows = []
        for bars, (token, run) in enumerate(zip(tokens, runs, strict=True)):
            first = bars * self._rows
            rows += [token + first, run + (first + self.shape.vocab + 1)]
        return torch.stack(rows, dim=-1) if rows else torch.empty(0)

    def _look_back(self, tokens: Tensor, place: Tensor) -> Tensor:
        """Return rows (B, T, 2 * lookback) of `back` at every cell of whole pieces."""
        cell = torch.arange(tokens.shape[1], device=tokens.device)
        seen, runs = [], []
        for bars in range(1, self.shape.lookback + 1):
            bar = place[..., 1]
            known = (bar > 0) & (bar <= LONGEST_BAR)
            at = (cell - bars * bar).expand(tokens.shape)
            there = tokens.gather(1, at.clamp(min=0))
            there = there.masked_fill(~(known & (at >= 0)), self.start_token)
            differs = there != tokens  # whether the run ends with the token of this cell
            ended = cell.expand(tokens.shape).masked_fill(~differs, -1).cummax(dim=1).values
            run = (cell - ended).clamp(max=LONGEST_RUN)
            runs.append(functional.pad(run[:, :-1], (1, 0)))
            seen.append(there)
        return self._back_rows(seen, runs)

    def forward(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
        """Teacher-forced pass over whole pieces from the start.

        Args:
            tokens: (B, T) int64; the last one is not read.
            place: (B, T, 6) or (1, T, 6) int64, see PLACE.
            bf16: run the LSTM in bfloat16; the read-out stays in float32.

        Returns:
            logits (B, T, vocab) of the token at each cell given those before it, and the
            features (B, T, hidden) they are read from.
        """
        start = tokens.new_full((len(tokens), 1), self.start_token)
        previous = torch.cat([start, tokens[:, :-1]], dim=1)
        inputs = self.dropout(self.embed(previous, place, self._look_back(tokens, place)))
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
            features, _ = self.lstm(inputs)
        features = features.float()
        return self.head(self.dropout(features)), features

    def start(self, batch: int) -> Hidden:
        """Return the state before the first cell: zeros, and nothing to look back to."""
        size = (self.shape.layers, batch, self.shape.hidden)
        weight, bars = self.head.weight, self.shape.lookback
        past = weight.new_full((batch, bars * LONGEST_BAR + 1), self.start_token, dtype=torch.int64)
        run = torch.zeros(batch, bars, dtype=torch.int64, device=weight.device)
        return Hidden(weight.new_zeros(size), weight.new_zeros(size), past, run)

    def take(self, state: Hidden, rows: Tensor) -> Hidden:
        """Return the states of some pieces; `rows` are their indices and may repeat."""
        return Hidden(state.h[:, rows], state.c[:, rows], state.past[rows], state.run[rows])

    def _step_back(self, token: Tensor, place: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        """Return rows (B, 2 * lookback) of `back` for the next cell, and the next state."""
        past = torch.cat([state.past[:, 1:], token[:, None]], dim=1)
        bar = place[:, 1].expand(len(token))
        known = (bar > 0) & (bar <= LONGEST_BAR)
        seen, runs = [], []
        for bars in range(1, self.shape.lookback + 1):
            ago = torch.where(known, bars * bar, 1)[:, None]
            before = past.gather(1, past.shape[1] - 1 - ago)[:, 0]
            same = known & (before == token) & (token != self.start_token)
            run = torch.where(same, state.run[:, bars - 1] + 1, 0).clamp(max=LONGEST_RUN)
            there = past.gather(1, past.shape[1] - ago)[:, 0]
            seen.append(there.masked_fill(~known, self.start_token))
            runs.append(run)
        return self._back_rows(seen, runs), state._replace(past=past, run=torch.stack(runs, dim=1))

    def step(self, token: Tensor, place: Tensor, state: Hidden) -> tuple[Tensor, Tensor, Hidden]:
        """Read a cell; return logits (B, vocab), features (B, hidden) and the next state.

        Written out as plain cells: `torch.nn.LSTM` over a sequence of one is slower.

        Args:
            token: (B,) previous tokens, `start_token` at the first cell.
            place: (B, 6) or (1, 6) of the cell to come.
            state: from `start` or the step before.
        """
        back = torch.empty(0)
        if self.shape.lookback:
            back, state = self._step_back(token, place, state)
        x = self.embed(token, place, back)
        h_all, c_all = [], []
        for layer in range(self.shape.layers):
            w_in, w_rec, b_in, b_rec = self.lstm.all_weights[layer]
            gates = torch.addmm(b_in + b_rec, x, w_in.t()).addmm_(state.h[layer], w_rec.t())
            i, f, g, o = gates.chunk(4, dim=1)
            c = f.sigmoid() * state.c[layer] + i.sigmoid() * g.tanh()
            x = o.sigmoid() * c.tanh()
            h_all.append(x)
            c_all.append(c)
        return self.head(x), x, state._replace(h=torch.stack(h_all), c=torch.stack(c_all))


class RecurrentPrior(PerVoice):
    """The recurrent network as a prior; each voice is a line of its own to it."""

    format: ClassVar[str] = "recurrent/1"
    net: RecurrentNet

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a prior with random weights."""
        return cls(RecurrentNet(NetShape(**shape)), codec)

    def plus(self, other: RecurrentPrior) -> RecurrentPrior:
        """Return a prior whose logits are the sum of two priors' logits, see `merge`."""
        return RecurrentPrior(merge(self.net, other.net), self.codec)


def merge(a: RecurrentNet, b: RecurrentNet) -> RecurrentNet:
    """Return one network whose logits are the sum of two networks' logits.

    Embeddings and LSTM units stand side by side, with no weights between the two: block-diagonal
    matrices, gate by gate. The read-out adds up.

    Args:
        a, b: of the same shape but for their widths, on the CPU.

    Raises:
        ValueError: shapes that differ otherwise, or a layer of an unknown sort.
    """
    widths = {"hidden": a.shape.hidden + b.shape.hidden, "embed": a.shape.embed + b.shape.embed}
    shape = replace(a.shape, **widths)
    if replace(b.shape, **widths) != shape:
        raise ValueError(
            f"networks of shapes {a.shape} and {b.shape} cannot be merged; "
            "expected the same but for hidden and embed"
        )
    net = RecurrentNet(shape)
    with torch.no_grad():
        for name, weight in net.named_parameters():
            layer, _, key = name.rpartition(".")
            pair = a.get_parameter(name), b.get_parameter(name)
            weight.copy_(_side_by_side(net.get_submodule(layer), key, *pair))
    return net


def _side_by_side(module: nn.Module, key: str, one: Tensor, two: Tensor) -> Tensor:
    """Return the merged weight of a layer's two weights."""
    if isinstance(module, nn.LSTM):  # four gates above each other, each with blocks of its own
        gates = zip(one.chunk(4), two.chunk(4), strict=True)
        if key.startswith("bias"):
            return torch.cat([bias for pair in gates for bias in pair])
        return torch.cat([torch.block_diag(*pair) for pair in gates])
    if isinstance(module, nn.Linear) and key == "bias":
        return one + two
    if isinstance(module, (nn.Embedding, nn.Linear)):
        return torch.cat([one, two], dim=1)
    raise ValueError(
        f"a {type(module).__name__} with {key!r} is no layer that merge knows; expected "
        "an Embedding, an LSTM or a Linear read-out"
    )
