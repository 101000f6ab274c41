"""The generator: an LSTM that writes a line from noise.

At a cell it is fed with noise of the piece and of the cell, the place of the cell, the token before
and the pitch that sounds, the tokens some bars ago, and what a backward GRU reads of those that are
given ahead. A token is chosen by the Gumbel-max trick; the gradient passes as if the softmax had
been written, the straight-through Gumbel softmax of Jang et al. (2017, arXiv 1611.01144).

Shapes: B lines of T cells; tokens are vectors (..., vocab) with a single 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.errors import quoted
from envs.music.codec import FIRST_PITCH, HOLD
from pretrained.networks.inputs import PLACE_SIZES

BARS_BACK = (1, 2, 4)  # that the generator looks back
LIMITS = {"vocab": 4096, "hidden": 4096, "noise": 1024, "ripple": 1024, "ahead": 4096}
Choose = Callable[[int, Tensor], Tensor]


@dataclass(frozen=True)
class GeneratorShape:
    """The sizes of a generator.

    Attributes:
        vocab: number of tokens.
        hidden: units of the LSTM.
        noise: numbers of noise of a piece.
        ripple: numbers of noise of a cell.
        ahead: units that read what is given ahead.
    """

    vocab: int = 38
    hidden: int = 128
    noise: int = 32
    ripple: int = 8
    ahead: int = 32

    def __post_init__(self) -> None:
        for field in fields(self):
            value, least = getattr(self, field.name), FIRST_PITCH if field.name == "vocab" else 1
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not least <= value <= LIMITS[field.name]:
                raise ValueError(
                    f"generator {field.name}={quoted(value)}: expected a whole number "
                    f"{least}..{LIMITS[field.name]}"
                )


@dataclass(frozen=True)
class Ask:
    """Noise, plan and given cells of lines that a generator is asked for.

    Attributes:
        noise: (B, noise) standard normal.
        ripple: (B, T, ripple) standard normal.
        place: (B or 1, T, 6) int64, see `pretrained.networks.inputs.PLACE`.
        bar: cells in a bar.
        page: (B, T, vocab) tokens that are given, 0 in free cells; None if none is.
    """

    noise: Tensor
    ripple: Tensor
    place: Tensor
    bar: int
    page: Tensor | None = None


class Generator(nn.Module):
    """The network of a generator.

    Args:
        shape: sizes.
    """

    def __init__(self, shape: GeneratorShape) -> None:
        super().__init__()
        self.shape, gates = shape, 4 * shape.hidden
        tables = [nn.Embedding(size, gates) for size in PLACE_SIZES]
        for table in tables:
            nn.init.normal_(table.weight, std=0.02)
        self.place = nn.ModuleList(tables)
        self.noise = nn.Linear(shape.noise, gates)
        self.ripple = nn.Linear(shape.ripple, gates, bias=False)
        self.ahead = nn.GRU(shape.vocab + 1, shape.ahead, batch_first=True)
        self.heard = nn.Linear(shape.ahead, gates, bias=False)
        lines = (2 + len(BARS_BACK)) * shape.vocab - FIRST_PITCH + shape.hidden
        self.gates = nn.Linear(lines, gates, bias=False)
        self.head = nn.Linear(shape.hidden, shape.vocab)

    def write(self, ask: Ask, choose: Choose) -> tuple[Tensor, Tensor]:
        """Return tokens (B, T, vocab) and sounding pitches (B, T, vocab - 2) of lines.

        Args:
            ask: noise and plan.
            choose: returns tokens (B, vocab), of a cell and its logits (B, vocab).
        """
        base, vocab = self._base(ask), self.shape.vocab
        silence = base.new_zeros(len(ask.noise), vocab)
        token, pitch = silence, silence[:, FIRST_PITCH:]
        h = c = base.new_zeros(len(ask.noise), self.shape.hidden)
        tokens: list[Tensor] = []
        pitches: list[Tensor] = []
        weight = self.gates.weight.t()
        for cell, around in enumerate(base.unbind(1)):
            ago = [cell - bars * ask.bar for bars in BARS_BACK]
            back = [tokens[at] if at >= 0 else silence for at in ago]
            sums = torch.addmm(around, torch.cat([token, pitch, *back, h], dim=1), weight)
            i, f, g, o = sums.chunk(4, dim=1)
            c = (f + 1).sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            token = choose(cell, self.head(h))
            pitch = sound(token, pitch)
            tokens.append(token)
            pitches.append(pitch)
        return torch.stack(tokens, dim=1), torch.stack(pitches, dim=1)

    def _base(self, ask: Ask) -> Tensor:
        """Return the part (B, T, 4 * hidden) of the gates that is known before anything is written.

        The bias of the forget gate is 1 more than its weights say (Jozefowicz et al. 2015).
        """
        base: Tensor = self.noise(ask.noise)[:, None] + self.ripple(ask.ripple)
        for number, table in enumerate(self.place):
            base = base + table(ask.place[..., number].clamp(max=PLACE_SIZES[number] - 1))
        if ask.page is None:
            return base
        known = ask.page.sum(dim=2, keepdim=True)
        seen = torch.cat([ask.page, 1 - known], dim=2)
        heard = self.ahead(seen.flip(1))[0].flip(1)
        behind = known.flip(1).cummax(dim=1).values.flip(1)  # 0 where nothing more is given
        all_known: Tensor = base + self.heard(heard * behind)
        return all_known


def sound(token: Tensor, before: Tensor) -> Tensor:
    """Return the pitches (..., vocab - 2) that sound in a cell, of its token and those before.

    An onset sounds, a hold goes on with what sounded, and a rest ends it.
    """
    return token[..., FIRST_PITCH:] + token[..., HOLD, None] * before


def soundings(tokens: Tensor) -> Tensor:
    """Return the pitches (B, T, vocab - 2) that sound in every cell of lines (B, T, vocab)."""
    pitch, found = torch.zeros_like(tokens[:, 0, FIRST_PITCH:]), []
    for token in tokens.unbind(1):
        pitch = sound(token, pitch)
        found.append(pitch)
    return torch.stack(found, dim=1)


def straight_through(logits: Tensor, gumbel: Tensor, warmth: float) -> Tensor:
    """Return tokens (B, vocab) drawn from logits, with the gradient of a softmax.

    Args:
        logits: (B, vocab).
        gumbel: (B, vocab) standard Gumbel noise.
        warmth: temperature of the softmax; the lower it is, the nearer is its gradient to that of
            what is drawn, and the larger its variance. What is drawn does not depend on it.
    """
    soft = ((logits + gumbel) / warmth).softmax(dim=-1)
    hard = functional.one_hot(soft.argmax(dim=-1), logits.shape[-1]).to(soft.dtype)
    return hard - soft.detach() + soft


def gumbel_noise(size: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Return standard Gumbel noise, float32."""
    return -torch.empty(size).exponential_(generator=rng).log()
