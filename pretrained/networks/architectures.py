"""The architectures that checkpoints can hold, and those that are made of others."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from envs.errors import quoted
from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained.networks.lstm_attention import AttentivePrior
from pretrained.networks.network_prior import NetworkPrior, device_of
from pretrained.networks.per_voice import PerVoice
from pretrained.networks.recurrent import GatedPrior, RecurrentPrior
from pretrained.networks.sighted import Sight, SightedNet, SightError
from pretrained.networks.transformer import TransformerPrior
from pretrained.networks.voices import VoicesPrior
from pretrained.prior import Trainable, hears_one_line, sample

READER = "rewards.sight"  # whose `read` makes a sight of its description
PIECES = 32  # of the prior, by which the columns of a sight are scaled


class SumPrior(NetworkPrior):
    """Two networks that are both read: their logits add up, their features stand side by side.

    Args:
        one, two: priors of one codec, neither of them a sum.
    """

    format: ClassVar[str] = "sum/1"

    def __init__(self, one: Trainable, two: Trainable) -> None:
        if one.codec != two.codec or SumPrior.format in (one.format, two.format):
            raise ValueError("expected two priors of one codec, neither of them a sum")
        if one.sight is not None or two.sight is not None:
            raise ValueError("expected two priors without sight; a sum does not pass it on")
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


class SightedPrior(NetworkPrior):
    """A prior whose network is told what a sight sees; it begins with the inner prior's logits.

    `forward`, `forward_at` and `advance` take `seen`, which a policy has from its observations.
    Its features are those of the inner network.

    Args:
        inner: prior of any other architecture.
        sight: the numbers.
    """

    format: ClassVar[str] = "sighted/1"
    net: SightedNet  # type: ignore[assignment]
    most_cells = 8192  # what is seen of them takes memory

    def __init__(self, inner: Trainable, sight: Sight) -> None:
        if isinstance(inner, SightedPrior):
            raise SightError("expected a prior without sight, got one that has it already")
        self.inner, self._sight, self.codec = inner, sight, inner.codec
        net = SightedNet(inner.net, inner.n_features, sight.width)
        self.net = net.eval().requires_grad_(False)

    @classmethod
    def over(cls, inner: Trainable, sight: Sight, tasks: Sequence[Task]) -> Self:
        """Return a prior of an inner prior's probabilities, scaled by its pieces of some tasks."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            new = cls(copy.deepcopy(inner), sight)
        seen = []
        for number, task in enumerate(tasks):
            score = sample(inner, Score.page(task, PIECES), number)
            seen.append(torch.from_numpy(sight.along(score)).flatten(0, 1))
        new.net.fit_scale(seen)
        return new

    @property
    def sight(self) -> Sight:
        """The numbers that it is told."""
        return self._sight

    @property
    def one_line(self) -> bool:
        """False: what rules see of a token may lie in another voice."""
        return False

    @property
    def hears_ahead(self) -> bool:
        """True if the inner prior reads the cells that are given ahead."""
        return self.inner.hears_ahead

    @property
    def n_features(self) -> int:
        """Number of features at a cell."""
        return self.inner.n_features

    @property
    def shape(self) -> Mapping[str, Any]:
        """Format and shape of the inner network, and the description of the sight."""
        inner = [self.inner.format, dict(self.inner.shape)]
        return {"inner": inner, "sight": dict(self._sight.description)}

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a prior with random weights; rules of its sight are never imported by their names.

        Raises:
            SightError: a rule that neither ships nor was made known, or that has changed.
        """
        name, sizes = shape["inner"]
        sight = importlib.import_module(READER).read(shape["sight"])
        return cls(architecture(name).build(sizes, codec), sight)

    def require(self, task: Task) -> None:
        """Raise ValueError unless network and sight can read pieces of this task."""
        self.inner.require(task)
        self._sight.require(task)

    # -- reading ---------------------------------------------------------------------------------

    def _told(self, logits: Tensor, features: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        if seen is None:
            raise ValueError(
                "this network was trained with what rules see of each token; expected `seen` "
                "beside the pieces, as its policy's observations have it"
            )
        return logits + self.net.change(features, seen.float()), features

    def forward(
        self,
        pieces: Tensor,
        context: Tensor,
        bf16: bool = False,
        given: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, V * T, ...); `seen` is (B, V * T, vocab, width)."""
        known = {} if given is None else {"given": given}
        return self._told(*self.inner.forward(pieces, context, bf16, **known), seen)

    def forward_at(
        self, pages: Tensor, context: Tensor, cell: Tensor, seen: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, ...) at one cell; `seen` is (B, vocab, width)."""
        return self._told(*self.inner.forward_at(pages, context, cell), seen)

    def begin(self, context: Tensor, voices: int, cells: int) -> Any:
        """Return the state before the first cell."""
        return self.inner.begin(context, voices, cells)

    def advance(
        self,
        state: Any,
        tokens: Tensor,
        page: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Any]:
        """Read tokens (B, n); `seen` (B, vocab, width) is of the cell after them."""
        known = {} if page is None else {"page": page}
        logits, features, state = self.inner.advance(state, tokens, **known)
        return *self._told(logits, features, seen), state

    def pick(self, state: Any, rows: Tensor) -> Any:
        """Return the state of some pieces (N,)."""
        return self.inner.pick(state, rows)

    def _seen_at(self, score: Score) -> dict[str, Tensor]:
        return {"seen": torch.from_numpy(self._sight.at(score)).to(device_of(self))}

    def _seen_along(self, score: Score) -> dict[str, Tensor]:
        return {"seen": torch.from_numpy(self._sight.along(score)).to(device_of(self))}


ARCHITECTURES: dict[str, type[Trainable]] = {
    RecurrentPrior.format: RecurrentPrior,
    GatedPrior.format: GatedPrior,
    AttentivePrior.format: AttentivePrior,
    TransformerPrior.format: TransformerPrior,
    VoicesPrior.format: VoicesPrior,
    SightedPrior.format: SightedPrior,
    SumPrior.format: SumPrior,
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


def model_named(name: str) -> type[PerVoice] | type[VoicesPrior]:
    """Return the architecture that `python -m pretrained.train --model NAME` trains.

    A name is a checkpoint's format without its version; "lstm" stands for "recurrent".

    Raises:
        ValueError: there is none; the message lists those known.
    """
    known = {
        "lstm" if kind is RecurrentPrior else kind.format.partition("/")[0]: kind
        for kind in ARCHITECTURES.values()
        if issubclass(kind, (PerVoice, VoicesPrior))
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
