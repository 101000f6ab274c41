"""How a network of voices learns chorales, and what it is worth beside n-grams of each voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from envs.music.codec import HOLD, Codec
from pretrained.corpora.chorales import VOICES, Chorale
from pretrained.training.chorale_lessons import (
    FrameLesson,
    chorale_lesson,
    collate_frames,
    fewer_voices,
    given_cells,
)

if TYPE_CHECKING:
    from torch import Tensor

AT_ONCE = 10  # held-out chorales in one pass
PUBLISHED = """
Key and bars of phrases are shown; a note held and one struck again are different tokens. Published
figures count otherwise. .335 nats per token (Huang et al. 2019, Music Transformer) are of JSB
Chorales in another split, where a note struck again is a held one, and no key is shown. 5 to 9 nats
per frame (Boulanger-Lewandowski et al. 2012) are of frames of a quarter note."""
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class FrameFigures:
    """Held-out figures of a model of voices.

    Attributes:
        nats_per_frame: of all voices of a sixteenth.
        nats_per_token: of one cell of one voice.
        nats_per_note: of all tokens, over the number of onsets.
        error: standard error of the nats per frame, over chorales.
        by_voice: nats per frame of each voice by name.
    """

    nats_per_frame: float
    nats_per_token: float
    nats_per_note: float
    error: float
    by_voice: dict[str, float]

    @staticmethod
    def of(nats: Sequence[Floats], pieces: Sequence[Chorale]) -> FrameFigures:
        """Return the figures of nats (V, T) of each token of each piece."""
        total, frames = sum(float(each.sum()) for each in nats), sum(n.shape[1] for n in nats)
        onsets = sum(int((piece.tokens > HOLD).sum()) for piece in pieces)
        over = [each.sum() - total / frames * each.shape[1] for each in nats]
        by_voice = sum((each.sum(axis=1) for each in nats), np.zeros(len(nats[0]))) / frames
        return FrameFigures(
            nats_per_frame=total / frames,
            nats_per_token=total / frames / len(by_voice),
            nats_per_note=total / onsets,
            error=float(np.sqrt(np.square(over).sum()) / frames),
            by_voice=dict(zip(VOICES, map(float, by_voice), strict=True)),
        )

    def __str__(self) -> str:
        return f"{self.nats_per_frame:.4f} nats/frame"


class ChoraleCourse:
    """A `pretrained.training.fit.Course` for networks of voices."""

    def lessons(
        self, pieces: Sequence[Chorale], plan: bool, rng: np.random.Generator
    ) -> list[FrameLesson]:
        """Return what is shown of chorales in an epoch; the plan of phrases is always learned."""
        return [chorale_lesson(piece, rng) for piece in pieces]

    def collate(self, lessons: Sequence[FrameLesson], codec: Codec) -> tuple[Tensor, ...]:
        """Return `collate_frames`."""
        return collate_frames(lessons)

    def losses(
        self, net: Any, shown: Sequence[Tensor], rng: np.random.Generator, bf16: bool
    ) -> tuple[Tensor, float]:
        """Return the mean nats per token of the cells of a batch that are not given, and 0."""
        from torch.nn import functional

        tokens, place, shift, real = shown
        tokens = fewer_voices(tokens, rng)
        given = given_cells(tokens, place, real, rng)
        logits, _ = net(tokens, place, shift, given if given.any() else None, bf16)
        asked = (real[:, None] & ~given).transpose(1, 2)
        return functional.cross_entropy(logits[asked], tokens.transpose(1, 2)[asked]), 0.0

    def held_out(self, net: Any, pieces: Sequence[Chorale], codec: Codec) -> FrameFigures:
        """Return the figures of a network on whole chorales, with the grammar applied."""
        import torch

        from pretrained.networks.lens import has_started
        from pretrained.prior import ILLEGAL

        device, nats = net.head.weight.device, []
        legal = torch.from_numpy(codec.legal(np.array([False, True]))).to(device)
        net.eval()
        with torch.inference_mode():
            for start in range(0, len(pieces), AT_ONCE):
                lessons = [chorale_lesson(piece) for piece in pieces[start : start + AT_ONCE]]
                tokens, place, shift, _ = (x.to(device) for x in collate_frames(lessons))
                logits = net(tokens, place, shift)[0].transpose(1, 2)
                logits = logits.masked_fill(~legal[has_started(tokens).long()], ILLEGAL)
                chosen = logits.log_softmax(-1).gather(3, tokens[..., None])[..., 0]
                lengths = (lesson.place.shape[0] for lesson in lessons)
                parts = zip(chosen.cpu().numpy(), lengths, strict=True)
                nats += [-piece[:, :length] for piece, length in parts]
        return FrameFigures.of(nats, pieces)


def voice_by_voice(
    order: int, train: Sequence[Chorale], test: Sequence[Chorale], codec: Codec
) -> FrameFigures:
    """Return the figures of n-grams of each voice that learned from `train`, on `test`."""
    from pretrained.ngrams.model import NGram

    known = [chorale_lesson(piece).tokens for piece in train]
    models = [
        NGram.of(order, codec.vocab, (tokens[voice] for tokens in known))
        for voice in range(len(VOICES))
    ]
    nats = []
    for piece in test:
        lines = chorale_lesson(piece).tokens
        pairs = zip(models, lines, strict=True)
        nats.append(np.stack([-model.log_prob(line[None])[0] for model, line in pairs]))
    return FrameFigures.of(nats, test)


def frames_report(rows: dict[str, FrameFigures], pieces: int) -> str:
    """Return held-out figures as a table, and what published ones count."""
    heads = ("per frame", "error", "per token", "per note", *VOICES)
    lines = [
        f"held out: nats of {pieces} chorales on tunes never trained on; a frame is a sixteenth in "
        "all voices, a token one voice of it",
        "",
        f"{'model':<22}" + "".join(f"{head:>10}" for head in heads),
    ]
    for name, row in rows.items():
        numbers = [row.nats_per_frame, row.error, row.nats_per_token, row.nats_per_note]
        numbers += [row.by_voice[voice] for voice in VOICES]
        lines.append(f"{name:<22}" + "".join(f"{number:>10.3f}" for number in numbers))
    return "\n".join([*lines, PUBLISHED])
