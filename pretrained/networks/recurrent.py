"""The recurrent architectures: an LSTM or a GRU over one line, fed as `networks.inputs` says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from pretrained.networks.inputs import METRE, Past, PlacedNetwork, check_sizes
from pretrained.networks.per_voice import PerVoice

MANY = 64  # lines that `torch.nn.LSTM` reads a cell of faster than its cells written out


class Hidden(NamedTuple):
    """State between two cells."""

    h: Tensor  # (layers, B, width)
    c: Tensor  # (layers, B, width); unused by a GRU
    past: Past


@dataclass(frozen=True)
class NetShape:
    """The sizes of the network.

    Attributes:
        vocab: number of tokens; one more input stands for "nothing yet".
        hidden: units per layer.
        layers: recurrent layers.
        embed: size of the summed input embedding.
        lookback: bars looked back to: 1 up to a number, or those listed; 0 for a network without.
        places: how many of `inputs.PLACE` it sees: METRE of them, or all.
        ahead: units that read what is given ahead, see `networks.ahead`; 0 for a network without.
    """

    vocab: int = 38
    hidden: int = 256
    layers: int = 1
    embed: int = 128
    lookback: int | tuple[int, ...] = 0
    places: int = METRE
    ahead: int = 0

    def __post_init__(self) -> None:
        sizes = {"vocab": (1, 4096), "hidden": (1, 8192), "layers": (1, 16), "embed": (1, 8192)}
        object.__setattr__(self, "lookback", check_sizes(self, sizes))


class RecurrentNet(PlacedNetwork):
    """Embedding, LSTM and linear read-out.

    Args:
        shape: sizes.
        dropout: share of inputs and outputs of the LSTM dropped while training.
    """

    shape: NetShape
    layers: ClassVar[type[nn.LSTM | nn.GRU]] = nn.LSTM

    def __init__(self, shape: NetShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.make_inputs(shape.embed)
        self.lstm = self.layers(shape.embed, shape.hidden, shape.layers, batch_first=True)
        self.make_outputs(shape.hidden)
        self.dropout = nn.Dropout(dropout)

    def along(self, tokens: Tensor, place: Tensor, bf16: bool = False) -> Tensor:
        """Return features (B, T, hidden) of whole lines; the recurrent layers may run in bf16."""
        inputs = self.dropout(self.inputs_along(tokens, place))
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=bf16):
            features: Tensor = self.lstm(inputs)[0]
        return features.to(torch.float32, memory_format=torch.contiguous_format)

    def start(self, batch: int) -> Hidden:
        """Return the state before the first cell: zeros, and nothing to look back to."""
        size = (self.shape.layers, batch, self.shape.hidden)
        zeros = self.head.weight.new_zeros(size)
        return Hidden(zeros, zeros, self.nothing_past(batch))

    def take(self, state: Hidden, rows: Tensor) -> Hidden:
        """Return the states of some pieces; `rows` are their indices and may repeat."""
        return Hidden(state.h[:, rows], state.c[:, rows], state.past.take(rows))

    def after(self, token: Tensor, place: Tensor, state: Hidden) -> tuple[Tensor, Hidden]:
        """Read a token (B,); return features (B, hidden) of the cell behind it, and the state."""
        x, past = self.step_inputs(token, place, state.past)
        x, h, c = stepped(self.lstm, x, state.h, state.c)
        return x, Hidden(h, c, past)


class GatedNet(RecurrentNet):
    """A GRU (Cho et al. 2014) in the place of the LSTM."""

    layers: ClassVar[type[nn.LSTM | nn.GRU]] = nn.GRU


class RecurrentPrior(PerVoice):
    """The LSTM as a prior; each voice is a line of its own to it."""

    format: ClassVar[str] = "recurrent/1"
    net: RecurrentNet
    network, sizes = RecurrentNet, NetShape
    recipe: ClassVar[Mapping[str, Any]] = {"hidden": 256, "layers": 1, "embed": 128, "lookback": 2}

    def plus(self, other: RecurrentPrior) -> RecurrentPrior | None:
        """Return a prior whose logits are the sum of two priors' logits, see `merge`.

        None if one of them reads what is given ahead, which does not add up.
        """
        if self.net.shape.ahead or other.net.shape.ahead:
            return None
        return RecurrentPrior(merge(self.net, other.net), self.codec)


class GatedPrior(PerVoice):
    """The GRU as a prior; each voice is a line of its own to it."""

    format: ClassVar[str] = "gru/1"
    net: GatedNet
    network, sizes = GatedNet, NetShape
    recipe = RecurrentPrior.recipe


def stepped(
    layers: nn.LSTM | nn.GRU, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the output (B, hidden) of recurrent layers behind an input, and their h and c.

    For few lines it is written out as plain cells: `torch.nn.LSTM` over a sequence of one is
    slower for them, and faster for many.

    Args:
        layers: recurrent layers, `batch_first`.
        x: (B, width).
        h, c: (layers, B, hidden); a GRU leaves c as it is.
    """
    if isinstance(layers, nn.LSTM) and len(x) >= MANY:
        out, (h, c) = layers(x[:, None], (h, c))
        return out[:, 0], h, c
    cell = _lstm_cell if isinstance(layers, nn.LSTM) else _gru_cell
    h_all, c_all = [], []
    for layer in range(layers.num_layers):
        x, c_new = cell(x, h[layer], c[layer], *layers.all_weights[layer])
        h_all.append(x)
        c_all.append(c_new)
    return x, torch.stack(h_all), torch.stack(c_all)


def _lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, w_in: Tensor, w_rec: Tensor, *bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return h and c (B, hidden) of a layer after an input."""
    gates = torch.addmm(bias[0] + bias[1], x, w_in.t()).addmm_(h, w_rec.t())
    i, f, g, o = gates.chunk(4, dim=1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def _gru_cell(
    x: Tensor, h: Tensor, c: Tensor, w_in: Tensor, w_rec: Tensor, *bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Return h (B, hidden) of a layer after an input, and `c` as it was."""
    r_in, z_in, n_in = torch.addmm(bias[0], x, w_in.t()).chunk(3, dim=1)
    r_rec, z_rec, n_rec = torch.addmm(bias[1], h, w_rec.t()).chunk(3, dim=1)
    update = (z_in + z_rec).sigmoid()
    candidate = (n_in + (r_in + r_rec).sigmoid() * n_rec).tanh()
    return (1 - update) * candidate + update * h, c


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
