"""Voices that hear each other: one recurrent step a frame, and a read-out of each voice's cell.

An LSTM takes one step for each frame and reads all voices as the frame before left them; a block of
attention looks back over frames. In writing order the cells of the frame are then read from its
features and from the voices already written, see `singing.frames`. The logits are a sum of four: of
the pitch, of the interval from the voice's last pitch, of the pitch class in the key, and of the
intervals to the other voices, octaves apart or not. One that is told its compass has logits by the
distance from its highest and lowest note so far and from the other voices too.

Cells that are given ahead are heard too: those of later voices in the frame as if written, the next
onsets of other voices, and of the cell's own voice all that `networks.ahead` tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from envs.music.codec import FIRST_PITCH, UNWRITTEN, Codec
from pretrained.networks.ahead import Ahead, Heard
from pretrained.networks.attention import Blocks, BlockShape
from pretrained.networks.lens import Lens, shifts
from pretrained.networks.network_prior import Network, NetworkPrior
from pretrained.networks.recurrent import stepped
from pretrained.networks.singing.frames import BESIDE, SIDES, Beside, CellTables, FrameTables
from pretrained.networks.singing.sung import Coming, Compass, Sung
from pretrained.networks.singing.voices_state import FrameMemory, HeardAhead, VoicesShape

REACH = 14  # semitones from a voice's last pitch that have logits of their own
FAR = 24  # the same of the highest and lowest of its voice, and of other voices
OWN = 2  # the highest and the lowest


class VoicesNet(Network):
    """An LSTM and attention over frames, and a read-out that hears the voices of the frame.

    Args:
        shape: sizes.
        dropout: share of inputs, features and units that are dropped while training.
    """

    shape: VoicesShape
    token_dropout: float = 0.0  # share of the frames behind that it does not see while training

    def __init__(self, shape: VoicesShape, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.frame = FrameTables(shape.vocab, shape.embed)
        self.lstm = nn.LSTM(shape.embed, shape.hidden, shape.layers, batch_first=True)
        sizes = shape.heads, shape.head_size, shape.feed, shape.window
        self.blocks = Blocks(shape.blocks, BlockShape(shape.hidden, *sizes), dropout)
        told = shape.coming, bool(shape.compass)
        self.cell = CellTables(shape.vocab, shape.units, *told)
        self.enter = nn.Linear(shape.hidden, shape.units)
        self.middle = nn.Linear(shape.units, shape.units)
        deeper = (nn.Linear(shape.units, shape.units) for _ in range(1, shape.depth))
        self.deeper = nn.ModuleList(deeper)
        self.ahead = Ahead(shape.vocab, shape.units, shape.ahead)
        self.moved = nn.Linear(shape.units, 2 * REACH + 1 + 12 + BESIDE)
        around = (OWN + SIDES) * (2 * FAR + 1)
        self.around = nn.Linear(shape.units, around) if shape.compass else None
        self.head = nn.Linear(shape.units + shape.vocab, shape.vocab)
        with torch.no_grad():
            self.head.weight[:, shape.units :].zero_().diagonal().fill_(1)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        tokens: Tensor,
        place: Tensor,
        shift: Tensor,
        given: Tensor | None = None,
        bf16: bool = False,
        at: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, T, V, ...) of each cell given those before it.

        Args:
            tokens: (B, V, T) int64 of whole pieces.
            place: (B, T, 6) or (1, T, 6) int64, see `networks.inputs.PLACE`.
            shift: (B,) or (1,) semitones from the task's key to the network's.
            given: (B, V, T) bool, the cells that are given in advance; None if none is.
            bf16: compute in bfloat16.
            at: (T',) the frames whose cells are read, all of them if None.
        """
        before, now = Sung.along(tokens.transpose(1, 2))
        with torch.autocast(tokens.device.type, torch.bfloat16, enabled=bf16):
            x = self.dropout(self.frame(before, place, shift[:, None]))
            if self.training and self.token_dropout:
                seen = torch.rand(*x.shape[:2], 1, device=x.device) >= self.token_dropout
                x = x * seen
            x = self.blocks.along(self.lstm(x)[0], place)
            known, coming, heard = torch.zeros_like(now.sounds), None, None
            compass = Compass.along(tokens.transpose(1, 2)) if self.shape.compass else None
            if given is not None:
                known = given.transpose(1, 2)
                coming = Coming.along(tokens, given, self.shape.coming)
                heard = self._heard(tokens, given, place)
            if at is not None:
                x, known = x[:, at], known[:, at]
                before, now = Sung(*_at(before, at)), Sung(*_at(now, at))
                coming = coming and Coming(*_at(coming, at))
                heard = heard and Heard(*_at(heard, at))
                compass = compass and Compass(*_at(compass, at))
            every = torch.arange(tokens.shape[1], device=tokens.device)
            beside = Beside.of(every, before, now, known)
            cells = self.cell(every, before, now, beside, coming, compass)
            logits, features = self._read(x, cells, before.pitch, beside, heard, compass)
        return logits.float(), features.float()

    def _heard(self, tokens: Tensor, given: Tensor, place: Tensor) -> Heard:
        """Return what is given ahead in its own voice of each cell (B, T, V) of whole pieces."""
        pieces, voices, _ = tokens.shape
        lines = place if len(place) == 1 else place.repeat_interleave(voices, dim=0)
        heard = self.ahead.listen(tokens.flatten(0, 1), given.flatten(0, 1), lines)
        return Heard(*(part.unflatten(0, (pieces, voices)).transpose(1, 2) for part in heard))

    def _read(
        self,
        frame: Tensor,
        cells: Tensor,
        last: Tensor,
        beside: Beside,
        heard: Heard | None,
        compass: Compass | None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (..., n, ...) of n cells of each frame.

        Args:
            frame: (..., hidden) features of frames.
            cells: (..., n, units) what is told of their cells.
            last: (..., n) the last pitch of their voices.
            beside: (..., n) the other voices.
            heard: (..., n) what is given ahead of them.
            compass: (..., n) of their voices.
        """
        x = functional.gelu(self.enter(self.dropout(frame))[..., None, :] + cells)
        for layer in (self.middle, *self.deeper):
            x = x + functional.gelu(layer(x))
        x = self.dropout(x)
        if heard is not None:
            x = x + self.ahead(x, heard)
        token = torch.arange(self.shape.vocab, device=x.device)
        moved, by_class, by_interval = self.moved(x).split([2 * REACH + 1, 12, BESIDE], dim=-1)
        by_class = by_class + beside.by_class(by_interval)
        relative = self._near(moved[..., None, :], last[..., None]) + by_class[..., token % 12]
        if self.around is not None and compass is not None:
            at = beside.with_own(self.around(x).unflatten(-1, (OWN + SIDES, -1)), OWN)
            others = torch.cat([torch.stack([*compass[:OWN]], dim=-1), beside.pitch], dim=-1)
            relative = relative + self._near(at, others)
        relative = relative * (token >= FIRST_PITCH)
        features = torch.cat([x, relative.to(x.dtype)], dim=-1)
        return self.head(features), features

    def _near(self, logits: Tensor, pitch: Tensor) -> Tensor:
        """Return the sums (..., vocab) of logits by the distance from some pitches.

        Args:
            logits: (..., m, 2 * reach + 1) of the semitones from a pitch.
            pitch: (..., m) tokens, 0 for none.
        """
        reach = logits.shape[-1] // 2
        step = torch.arange(self.shape.vocab, device=pitch.device) - pitch[..., None]
        near = (step.abs() <= reach) & (pitch[..., None] > 0)
        sums: Tensor = (logits.gather(-1, step.clamp(-reach, reach) + reach) * near).sum(dim=-2)
        return sums

    def start(self, batch: int) -> FrameMemory:
        """Return what it remembers before the first frame."""
        zeros = self.head.weight.new_zeros(self.shape.layers, batch, self.shape.hidden)
        return FrameMemory(zeros, zeros, self.blocks.start(batch, self.head.weight), zeros[0])

    def after(self, before: Sung, place: Tensor, shift: Tensor, memory: FrameMemory) -> FrameMemory:
        """Return what it remembers at the next frame.

        Args:
            before: (B, V) what sounds before the frame.
            place: (B, 6) or (1, 6) of the frame.
            shift: as of `forward`.
            memory: at the frame before, or of `start`.
        """
        x = self.frame(before, place, shift)
        x, h, c = stepped(self.lstm, x, memory.h, memory.c)
        x, attended = self.blocks.after(x, place, memory.attended)
        return FrameMemory(h, c, attended, x)

    def answer(
        self,
        voice: int,
        before: Sung,
        frame: Tensor,
        memory: FrameMemory,
        heard: HeardAhead | None,
        compass: Compass | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return logits (B, vocab) and features (B, n) of the cell of a voice in a frame.

        Args:
            voice: its number.
            before: (B, V) what sounds before the frame.
            frame: (B, V) tokens of the frame, UNWRITTEN where nothing is written or given.
            memory: at the frame.
            heard: what is given ahead of the cell.
            compass: (B, V) before the frame, None if it is not told of it.
        """
        at = torch.tensor([voice], device=frame.device)
        coming, own = (None, None) if heard is None else heard
        now = before.after(frame)
        beside = Beside.of(at, before, now, frame != UNWRITTEN)
        cells = self.cell(at, before, now, beside, coming, compass)
        known = before.pitch[:, at], beside, own, compass and Compass(*_at(compass, at))
        logits, features = self._read(memory.features, cells, *known)
        return logits[:, 0], features[:, 0]

    def listen(self, page: Tensor, place: Tensor, voice: int, time: int) -> HeardAhead:
        """Return what is given ahead of a cell.

        Args:
            page: (B, V, T) int64, all that is written or given, UNWRITTEN elsewhere.
            place: (B, T, 6) or (1, T, 6).
            voice, time: of the cell.
        """
        line = page[:, voice]
        own = self.ahead.listen(line, line != UNWRITTEN, place)
        ahead = page[..., time:]
        coming = Coming.along(ahead, ahead != UNWRITTEN, self.shape.coming)
        return HeardAhead(
            Coming(*(part[:, 0] for part in coming)),
            Heard(*(part[:, time, None] for part in own)),
        )


@dataclass(frozen=True)
class Frames:
    """State of a prior of voices.

    Attributes:
        lens: of the pieces.
        shift: (B,) or (1,) semitones from the task's key to the network's.
        voices: number of voices.
        read: number of cells, in writing order, that it has read.
        before: (B, V) what sounds before the frame of the next cell.
        written: (B, n) tokens of that frame, the network's own, as far as they are read.
        memory: at that frame.
        compass: (B, V) before that frame, None if the network is not told of it.
    """

    lens: Lens
    shift: Tensor
    voices: int
    read: int
    before: Sung
    written: Tensor
    memory: FrameMemory
    compass: Compass | None = None


class VoicesPrior(NetworkPrior):
    """A prior of pieces in which each voice hears all others, in writing order."""

    format: ClassVar[str] = "voices/1"
    net: VoicesNet
    network, sizes = VoicesNet, VoicesShape
    recipe: ClassVar[Mapping[str, Any]] = {
        **{"hidden": 256, "layers": 1, "embed": 128, "blocks": 1, "heads": 4, "head_size": 32},
        **{"feed": 256, "window": 320, "units": 192, "ahead": 64},
        **{"plan": True, "epochs": 24, "dropout": 0.4, "token_dropout": 0.05},
        **{"batch_tokens": 3072, "optimizer": "adamw", "learning_rate": 4e-3},
        **{"weight_decay": 0.1, "average": 0.99},
    }

    @classmethod
    def build(cls, shape: Mapping[str, Any], codec: Codec) -> Self:
        """Return a prior with random weights."""
        return cls(cls.network(cls.sizes(**shape)), codec)

    @property
    def hears_ahead(self) -> bool:
        """True: it reads the cells that are given ahead."""
        return True

    def forward(
        self, pieces: Tensor, context: Tensor, bf16: bool = False, given: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits and features (B, V * T, ...) along whole pieces, in writing order."""
        lens = Lens.of(self.codec, context, pieces.shape[2])
        shift = shifts(self.codec, context)
        logits, features = self.net(lens.read(pieces), lens.places, shift, given, bf16)
        return lens.answer(logits.flatten(1, 2)), features.flatten(1, 2)

    def begin(self, context: Tensor, voices: int, cells: int) -> Frames:
        """Return the state before the first cell."""
        lens, shift = Lens.of(self.codec, context, cells), shifts(self.codec, context)
        before = Sung.nothing(len(context), voices, context.device)
        memory = self.net.after(before, lens.places[:, 0], shift, self.net.start(len(context)))
        told = self.net.shape.compass
        compass = Compass.nothing(len(context), voices, context.device) if told else None
        return Frames(lens, shift, voices, 0, before, before.pitch[:, :0], memory, compass)

    def advance(
        self, state: Frames, tokens: Tensor, page: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Frames]:
        """Read tokens (B, n); return logits and features (B, ...) of the cell after them."""
        voices = state.voices
        for token in state.lens.read(tokens).unbind(dim=1):
            written = torch.cat([state.written, token[:, None]], dim=1)
            state = replace(state, read=state.read + 1, written=written)
            if state.read % voices == 0:
                state = self._next_frame(state)
        time, voice = divmod(state.read, voices)
        frame, heard = functional.pad(state.written, (0, voices - voice), value=UNWRITTEN), None
        if page is not None:
            page = state.lens.read(page)
            frame = page[:, :, time]
            heard = self.net.listen(page, state.lens.places, voice, time)
        told = state.memory, heard, state.compass
        logits, features = self.net.answer(voice, state.before, frame, *told)
        return state.lens.answer(logits), features, state

    def _next_frame(self, state: Frames) -> Frames:
        """Return the state at the frame behind one that is written."""
        before, compass = state.before.after(state.written), state.compass
        compass = compass and compass.after(state.written)
        place = state.lens.places[:, state.read // state.voices]
        memory = self.net.after(before, place, state.shift, state.memory)
        none = state.written[:, :0]
        return replace(state, before=before, written=none, memory=memory, compass=compass)

    def pick(self, state: Frames, rows: Tensor) -> Frames:
        """Return the state of some pieces (N,)."""
        return replace(
            state,
            lens=state.lens.take(rows),
            shift=state.shift if len(state.shift) == 1 else state.shift[rows],
            before=state.before.of(rows),
            written=state.written[rows],
            memory=state.memory.take(rows),
            compass=state.compass and Compass(*(part[rows] for part in state.compass)),
        )


def _at(parts: Iterable[Tensor], places: Tensor) -> list[Tensor]:
    """Return the parts (B, n, ...) at some places (m,) of their second dimension."""
    return [part[:, places] for part in parts]
