"""The architectures that checkpoints can hold, and the sum of two networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from envs.errors import quoted
from envs.music.codec import Codec
from pretrained.networks.lstm_attention import AttentivePrior
from pretrained.networks.network_prior import NetworkPrior
from pretrained.networks.per_voice import PerVoice
from pretrained.networks.recurrent import GatedPrior, RecurrentPrior
from pretrained.networks.sighted import SightedPrior
from pretrained.networks.transformer import TransformerPrior
from pretrained.prior import Trainable, hears_one_line


class SumPrior(NetworkPrior):
    """Two networks that are both read: their logits add up, their features stand side by side.

    Args:
        one, two: priors of one codec, neither of them a sum.
    """

    format: ClassVar[str] = "sum/1"

    def __init__(self, one: Trainable, two: Trainable) -> None:
        if one.codec != two.codec or SumPrior.format in (one.format, two.format):
            raise ValueError("expected two priors of one codec, neither of them a sum")
        self.parts, self.codec = (one, two), one.codec
        self.net = nn.ModuleList([one.net, two.net]).eval().requires_grad_(False)  # type: ignore[assignment]

    @property
    def one_line(self) -> bool:
        """True if both hear one line at a time."""
        return all(map(hears_one_line, self.parts))

    @property
    def n_features(self) -> int:
        """Number of features at a cell."""
        return sum(part.n_features for part in self.parts)

    @property
    def shape(self) -> Mapping[str, Any]:
        """Formats and shapes of the two."""
        return {"parts": [[part.format, dict(part.shape)] for part in self.parts]}

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a sum of two priors with random weights."""
        one, two = (architecture(name).build(sizes, codec) for name, sizes in shape["parts"])
        return cls(one, two)

    @property
    def hears_ahead(self) -> bool:
        """True if one of the two reads the cells that are given ahead."""
        return any(part.hears_ahead for part in self.parts)

    def _together(self, outputs: list[tuple[Any, ...]]) -> tuple[Tensor, Tensor]:
        (one, first), (two, second) = ((out[0], out[1]) for out in outputs)
        return one + two, torch.cat([first, second], dim=-1)

    def forward(
        self, pieces: Tensor, context: Tensor, bf16: bool = False, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, V * T, ...) along whole pieces, in writing order."""
        known = self._known(given=given)
        together = zip(self.parts, known, strict=True)
        return self._together([part.forward(pieces, context, bf16, **k) for part, k in together])

    def forward_at(self, pages: Tensor, context: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at one cell (B,) of each page."""
        return self._together([part.forward_at(pages, context, cell) for part in self.parts])

    def _known(self, **ahead: Tensor | None) -> list[dict[str, Tensor]]:
        """Return for each part the keywords about what is given ahead, if it hears them."""
        known = {name: value for name, value in ahead.items() if value is not None}
        return [known if part.hears_ahead else {} for part in self.parts]

    def begin(self, context: Tensor, voices: int, cells: int) -> Any:
        """Return the state before the first cell."""
        return tuple(part.begin(context, voices, cells) for part in self.parts)

    def advance(
        self, state: Any, tokens: Tensor, page: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Any]:
        """Read tokens (B, n); return logits and features (B, ...) of the cell after them."""
        together = zip(self.parts, state, self._known(page=page), strict=True)
        outputs = [part.advance(s, tokens, **known) for part, s, known in together]
        return *self._together(outputs), tuple(output[2] for output in outputs)

    def pick(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some pieces (N,)."""
        return tuple(part.pick(s, rows) for part, s in zip(self.parts, state, strict=True))


ARCHITECTURES: dict[str, type[Trainable]] = {
    RecurrentPrior.format: RecurrentPrior,
    GatedPrior.format: GatedPrior,
    AttentivePrior.format: AttentivePrior,
    TransformerPrior.format: TransformerPrior,
    SumPrior.format: SumPrior,
    SightedPrior.format: SightedPrior,
}


def architecture(name: str) -> type[Trainable]:
    """Return the architecture of a checkpoint's format.

    Raises:
        ValueError: there is none; the message lists those known.
    """
    if not isinstance(name, str) or name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"unknown architecture {quoted(name)}; known: {known}")
    return ARCHITECTURES[name]


def model_named(name: str) -> type[PerVoice]:
    """Return the architecture that `python -m pretrained.train --model NAME` trains.

    A name is a checkpoint's format without its version; "lstm" stands for "recurrent".

    Raises:
        ValueError: there is none; the message lists those known.
    """
    known = {
        "lstm" if kind is RecurrentPrior else kind.format.partition("/")[0]: kind
        for kind in ARCHITECTURES.values()
        if issubclass(kind, PerVoice)
    }
    if name not in known:
        raise ValueError(f"model={quoted(name)}: expected one of {', '.join(known)}")
    return known[name]


def plus(one: Trainable, two: Trainable) -> Trainable:
    """Return a prior whose logits are the sum of two priors' logits.

    One network if the architecture can merge them, else a SumPrior, which steps both.
    """
    merged = one.plus(two) if hasattr(one, "plus") and type(one) is type(two) else None
    return SumPrior(one, two) if merged is None else merged
