"""The recurrent network: an LSTM over tokens that also sees where in the bar it is.

The input at a cell is the token before it and the place of the cell itself: its position in the
bar, the bar's length and the beat's length, all in cells. Tables of embeddings are added up and
fed to `torch.nn.LSTM`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

PLACE = ("cell_in_bar", "bar_cells", "beat_cells")
PLACE_SIZES = (64, 65, 17)  # a longer bar or beat shares the last row of its table

Hidden = tuple[Tensor, Tensor]  # h and c, each (layers, B, width)


@dataclass(frozen=True)
class NetShape:
    """Everything needed to build the network again.

    Attributes:
        vocab: number of tokens; one more input stands for "nothing yet".
        hidden: LSTM units per layer.
        layers: LSTM layers.
        embed: size of the summed input embedding.
    """

    vocab: int = 38
    hidden: int = 256
    layers: int = 1
    embed: int = 128

    def __post_init__(self) -> None:
        bounds = {"vocab": 4096, "hidden": 8192, "layers": 16, "embed": 8192}
        for name, most in bounds.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
                raise ValueError(f"network {name}={value!r}: expected a whole number 1..{most}")


class RecurrentNet(nn.Module):
    """Embedding, LSTM and linear read-out.

    Args:
        shape: sizes.
        dropout: share of inputs and outputs of the LSTM dropped while training.
    """

    def __init__(self, shape: NetShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.token = nn.Embedding(shape.vocab + 1, shape.embed)
        tables = [nn.Embedding(size, shape.embed) for size in PLACE_SIZES]
        for table in tables:
            nn.init.zeros_(table.weight)  # a bar length never trained on changes nothing
        self.place = nn.ModuleList(tables)
        self.lstm = nn.LSTM(shape.embed, shape.hidden, shape.layers, batch_first=True)
        self.head = nn.Linear(shape.hidden, shape.vocab)
        self.dropout = nn.Dropout(dropout)

    @property
    def start_token(self) -> int:
        """The input that stands for "nothing yet"."""
        return self.shape.vocab

    def embed(self, token: Tensor, place: Tensor) -> Tensor:
        """Input vectors (..., embed) of previous tokens (...) and places (..., 3), both int64.

        Places may have fewer rows than tokens and are broadcast.
        """
        x = self.token(token)
        for i, table in enumerate(self.place):
            x = x + table(place[..., i].clamp(max=PLACE_SIZES[i] - 1))
        return x

    def forward(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> tuple[Tensor, Tensor]:
        """Teacher-forced pass over whole pieces from the start.

        Args:
            tokens: (B, T) int64; the last one is not read.
            place: (B, T, 3) or (1, T, 3) int64, see PLACE.
            bf16: run the LSTM in bfloat16; the read-out stays in float32.

        Returns:
            logits (B, T, vocab) of the token at each cell given those before it, and the
            features (B, T, hidden) they are read from.
        """
        start = tokens.new_full((len(tokens), 1), self.start_token)
        previous = torch.cat([start, tokens[:, :-1]], dim=1)
        inputs = self.dropout(self.embed(previous, place))
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
            features, _ = self.lstm(inputs)
        features = features.float()
        return self.head(self.dropout(features)), features

    def start(self, batch: int) -> Hidden:
        """The state before the first cell: zeros."""
        size = (self.shape.layers, batch, self.shape.hidden)
        weight = self.head.weight
        return weight.new_zeros(size), weight.new_zeros(size)

    def step(self, token: Tensor, place: Tensor, state: Hidden) -> tuple[Tensor, Tensor, Hidden]:
        """One cell: logits (B, vocab), features (B, hidden) and the next state.

        Written out as plain cells: `torch.nn.LSTM` over a sequence of one is slower.

        Args:
            token: (B,) previous tokens, `start_token` at the first cell.
            place: (B, 3) or (1, 3) of the cell to come.
            state: from `start` or the step before.
        """
        x = self.embed(token, place)
        h_all, c_all = [], []
        for layer in range(self.shape.layers):
            w_in, w_rec, b_in, b_rec = self.lstm.all_weights[layer]
            gates = torch.addmm(b_in + b_rec, x, w_in.t()).addmm_(state[0][layer], w_rec.t())
            i, f, g, o = gates.chunk(4, dim=1)
            c = f.sigmoid() * state[1][layer] + i.sigmoid() * g.tanh()
            x = o.sigmoid() * c.tanh()
            h_all.append(x)
            c_all.append(c)
        return self.head(x), x, (torch.stack(h_all), torch.stack(c_all))
