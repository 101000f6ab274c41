"""Fitting a network to tunes, and measuring it beside n-grams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from envs.music.codec import HOLD, Codec
from pretrained.corpora.folk import Tune
from pretrained.corpora.tunes import GridTune, for_codec
from pretrained.corpora.tunes import fits as fits
from pretrained.device import find_device, has_bf16, whole_float32
from pretrained.training.by_bar import bars_of, by_bar, by_bar_table
from pretrained.training.lessons import Lesson, lesson
from pretrained.training.masking import draw_given
from pretrained.training.schedule import warm_cosine
from pretrained.training.settings import PriorConfig

if TYPE_CHECKING:
    from torch import Tensor

    from pretrained.networks.per_voice import LineNetwork

AnyLesson = TypeVar("AnyLesson", bound=Any)
N_GRAM_ORDERS = (1, 2, 3, 4, 5, 6, 7)


@dataclass(frozen=True)
class HeldOut:
    """Held-out figures of one model, per token or as their names say.

    Attributes:
        nats_per_token: the mean.
        bits_per_note: of all tokens, over the number of onsets.
        accuracy: share of tokens that were the likeliest.
        onset_accuracy: the same of onsets.
        by_bar: nats per token by the bar of the piece, see `training.by_bar`.
    """

    nats_per_token: float
    bits_per_note: float
    accuracy: float
    onset_accuracy: float
    by_bar: Mapping[str, float] = field(default_factory=dict)

    @staticmethod
    def of(
        nats: npt.NDArray[np.floating],
        right: npt.NDArray[np.bool_],
        onset: npt.NDArray[np.bool_],
        bars: npt.NDArray[np.integer],
    ) -> HeldOut:
        """Return the figures of nats, hits, onsets and bars of every held-out token, each (N,)."""
        total = float(nats.sum())
        return HeldOut(
            nats_per_token=total / len(nats),
            bits_per_note=total / np.log(2) / int(onset.sum()),
            accuracy=float(right.mean()),
            onset_accuracy=float(right[onset].mean()),
            by_bar=by_bar(nats, bars),
        )

    def __str__(self) -> str:
        return f"{self.nats_per_token:.4f} nats/token  accuracy {self.accuracy:.3f}"


@dataclass(frozen=True)
class Epoch:
    """Figures of one pass over the training tunes.

    Attributes:
        number: from 1.
        loss: mean over the batches, nats per token.
        valid: figures of the averaged weights on pieces that are not trained on.
        seconds: of wall time.
    """

    number: int
    loss: float
    valid: Any
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.number:3d}  train {self.loss:.4f}  valid {self.valid}  "
            f"{self.seconds:.0f} s"
        )


def collate(lessons: Sequence[Lesson], codec: Codec) -> tuple[Tensor, Tensor, Tensor]:
    """Return tokens (B, T), places (B, T, 6) and which are real (B, T), padded to one length."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = [torch.from_numpy(for_codec(lesson.tokens, codec)) for lesson in lessons]
    places = [torch.from_numpy(lesson.place) for lesson in lessons]
    real = [torch.ones(len(lesson.tokens), dtype=torch.bool) for lesson in lessons]
    return (
        pad_sequence(tokens, batch_first=True),
        pad_sequence(places, batch_first=True),
        pad_sequence(real, batch_first=True),
    )


def batches(
    lessons: Sequence[AnyLesson], batch_tokens: int, rng: np.random.Generator
) -> Iterator[list[AnyLesson]]:
    """Yield lessons of about one length together, in random order; they have `tokens`."""
    jitter = rng.uniform(0.9, 1.1, len(lessons))  # so that the batches differ between epochs
    order = np.argsort([x.tokens.size * j for x, j in zip(lessons, jitter, strict=True)])
    groups: list[list[AnyLesson]] = [[]]
    for index in order:
        shown = lessons[index]
        longest = max(shown.tokens.size, *(x.tokens.size for x in groups[-1]), 1)
        if groups[-1] and longest * (len(groups[-1]) + 1) > batch_tokens:
            groups.append([])
        groups[-1].append(shown)
    for index in rng.permutation(len(groups)):
        yield groups[index]


def held_out(net: LineNetwork, tunes: Sequence[Tune], codec: Codec) -> HeldOut:
    """Return the figures of a network on whole tunes, teacher-forced, with the grammar applied."""
    import torch

    nats, right, onset = [], [], []
    for tokens, logits, real in answers(net, tunes, codec):
        chosen = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
        nats.append(-chosen[real])
        right.append((logits.argmax(-1) == tokens)[real])
        onset.append((tokens > HOLD)[real])
    costs, hits, onsets = (torch.cat(part).cpu().numpy() for part in (nats, right, onset))
    return HeldOut.of(costs, hits, onsets, bars_of(tunes))


def answers(
    net: LineNetwork, tunes: Sequence[GridTune], codec: Codec
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield tokens (B, T), logits (B, T, vocab) and which cells are real (B, T), 16 tunes a time.

    Each tune is shown whole; what the grammar forbids has ILLEGAL.
    """
    import torch

    from pretrained.networks.lens import has_started
    from pretrained.prior import ILLEGAL

    device = net.head.weight.device
    legal = torch.from_numpy(codec.legal(np.array([False, True]))).to(device)
    net.eval()
    with torch.inference_mode():
        for start in range(0, len(tunes), 16):
            shown = [lesson(tune) for tune in tunes[start : start + 16]]
            tokens, place, real = (part.to(device) for part in collate(shown, codec))
            logits, _ = net(tokens, place)
            logits = logits.masked_fill(~legal[has_started(tokens).long()], ILLEGAL)
            yield tokens, logits, real


def baseline(order: int, train: Sequence[Tune], test: Sequence[Tune], codec: Codec) -> HeldOut:
    """Return the figures of an n-gram model that learned from `train`, on `test`."""
    from pretrained.ngrams.model import NGram

    model = NGram.of(order, codec.vocab, (for_codec(tune.tokens, codec) for tune in train))
    pieces = [for_codec(tune.tokens, codec) for tune in test]
    nats = np.concatenate([-model.log_prob(piece[None])[0] for piece in pieces])
    guess = np.concatenate([model.best(piece[None])[0] for piece in pieces])
    tokens = np.concatenate(pieces)
    return HeldOut.of(nats, guess == tokens, tokens > HOLD, bars_of(test))


def untrained(config: PriorConfig, codec: Codec) -> Any:
    """Return the network of some settings, with random weights.

    Raises:
        ValueError: an unknown model, or a size that it does not have.
    """
    from pretrained.networks.inputs import METRE, PLACE

    kind, sizes = config.architecture, config.sizes()
    if "places" in {field.name for field in fields(kind.sizes)}:
        sizes["places"] = len(PLACE) if config.setting("plan") else METRE
    net = kind.network(kind.sizes(vocab=codec.vocab, **sizes), config.setting("dropout"))
    net.token_dropout = config.setting("token_dropout")
    return net


class Course(Protocol):
    """How a network learns pieces of a kind, and is measured by them."""

    def lessons(self, pieces: Sequence[Any], plan: bool, rng: np.random.Generator) -> list[Any]:
        """Return what is shown of pieces in an epoch, with `tokens`; with the plan if asked."""

    def collate(self, lessons: Sequence[Any], codec: Codec) -> tuple[Tensor, ...]:
        """Return a batch of lessons, padded to one length."""

    def losses(
        self, net: Any, shown: Sequence[Tensor], rng: np.random.Generator, bf16: bool
    ) -> tuple[Tensor, Tensor | float]:
        """Return losses whose sum is descended, the first in nats per token."""

    def held_out(self, net: Any, pieces: Sequence[Any], codec: Codec) -> Any:
        """Return figures of a network on whole pieces; their text is shown behind each epoch."""


class TuneCourse:
    """How a network of one line learns tunes."""

    def lessons(self, pieces: Sequence[Tune], plan: bool, rng: np.random.Generator) -> list[Lesson]:
        """Return a part of each tune, or whole tunes without the plan."""
        return [lesson(tune, rng if plan else None) for tune in pieces]

    def collate(self, lessons: Sequence[Lesson], codec: Codec) -> tuple[Tensor, ...]:
        """Return `collate`."""
        return collate(lessons, codec)

    def losses(
        self, net: Any, shown: Sequence[Tensor], rng: np.random.Generator, bf16: bool
    ) -> tuple[Tensor, Tensor | float]:
        """Return `losses_of`."""
        return losses_of(net, shown, rng, bf16)

    def held_out(self, net: Any, pieces: Sequence[Tune], codec: Codec) -> HeldOut:
        """Return `held_out`."""
        return held_out(net, pieces, codec)


@whole_float32()
def fit(
    config: PriorConfig,
    train: Sequence[Any],
    valid: Sequence[Any],
    codec: Codec,
    build: Callable[[PriorConfig, Codec], Any] | None = None,
    after_epoch: Callable[[Epoch], object] | None = None,
    course: Course | None = None,
) -> Any:
    """Train a network and return the running average of its weights.

    Args:
        config: sizes and schedule.
        train: pieces to learn from.
        valid: pieces to report on after each epoch; nothing is chosen by them.
        codec: the vocabulary.
        build: makes the network that is trained, `untrained` if None.
        after_epoch: called with the figures of each epoch.
        course: how it learns, that of tunes if None.

    Raises:
        ValueError: a device that is not there.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    from pretrained.training.optimizers import Optimizers

    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    rng, device = np.random.default_rng(config.seed), find_device(config.device)
    bf16 = config.bf16 and (device == "cpu" or has_bf16(device))
    course = course or TuneCourse()
    net = (build or untrained)(config, codec).to(device)
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(config.setting("average")))
    kept: Any = averaged.module
    optimizers, epochs = Optimizers(net, config), config.setting("epochs")
    for epoch in range(epochs):
        net.train()
        losses, began = [], time.monotonic()
        lessons = course.lessons(train, config.setting("plan"), rng)
        groups = list(batches(lessons, config.setting("batch_tokens"), rng))
        for done, group in enumerate(groups):
            shown = [part.to(device) for part in course.collate(group, codec)]
            loss, ahead = course.losses(net, shown, rng, bf16)
            optimizers.descend(loss + ahead, warm_cosine((epoch + done / len(groups)) / epochs))
            averaged.update_parameters(net)
            losses.append(loss.item())
        figures = course.held_out(kept, valid, codec)
        if after_epoch is not None:
            seconds = time.monotonic() - began
            after_epoch(Epoch(epoch + 1, float(np.mean(losses)), figures, seconds))
    return kept.cpu()


def losses_of(
    net: LineNetwork, shown: Sequence[Tensor], rng: np.random.Generator, bf16: bool
) -> tuple[Tensor, Tensor | float]:
    """Return the mean nats per token of a batch, and those behind cells that are given at random.

    The second is of the part of the network alone that reads what is given ahead.

    Args:
        net: in training.
        shown: see `collate`.
        rng: draws which cells are given.
        bf16: multiply matrices in bfloat16.
    """
    import torch
    from torch.nn import functional

    tokens, place, real = shown
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16):
        logits, features = net(tokens, place)
    loss = functional.cross_entropy(logits[real].float(), tokens[real])
    if not net.hears_ahead:
        return loss, 0.0
    given = draw_given(place, real, rng)
    hidden = real & ~given
    with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16):
        logits = net.answer_ahead(features.detach(), tokens, place, given)
    nats = functional.cross_entropy(logits[hidden].float(), tokens[hidden], reduction="sum")
    return loss, nats / hidden.sum().clamp(min=1)  # a single short tune may be given as a whole


def report(rows: dict[str, HeldOut], tokens: int) -> str:
    """Return the held-out figures as a table."""
    lines = [f"held out: {tokens:,} tokens of tunes in clusters never trained on", ""]
    heads = ("nats/token", "bits/note", "accuracy", "onsets")
    lines.append(f"{'model':<16}" + "".join(f"{head:>11}" for head in heads))
    for name, row in rows.items():
        lines.append(
            f"{name:<16}{row.nats_per_token:>11.4f}{row.bits_per_note:>11.3f}"
            f"{row.accuracy:>11.3f}{row.onset_accuracy:>11.3f}"
        )
    lines += ["", by_bar_table({name: row.by_bar for name, row in rows.items()})]
    return "\n".join(lines)
