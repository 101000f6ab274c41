"""Make the prior `counterpoint`: python -m tests.tools.teach_counterpoint --out FILE

A prior draws counterpoints of the first species to random cantus firmi, above and below: at first
`counterpoint-1`, which learned from the exhaustive search, and then each network that was taught.
A network learns the pieces that keep all hard rules, and in the others to leave the note with which
the first one is broken. No music is read. The figure is the share of pieces drawn once, to cantus
firmi of another seed, which keep all hard rules.
"""

import argparse
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from agents.composing.parts.counterpoint import ROOM, CantusFirmus, demands_of
from envs.music.codec import HOLD, UNWRITTEN, Codec
from envs.music.key import C_MAJOR
from envs.music.score import Score
from envs.music.task import Task
from envs.music.voices.cantus import MODES, cantus_row
from pretrained import checkpoint
from pretrained.networks.lens import context_of, own_tokens, places
from pretrained.networks.voices import VoicesNet, VoicesPrior, VoicesShape
from pretrained.prior import sample
from pretrained.training.chorale_lessons import FrameLesson, collate_frames
from pretrained.training.fit import fit
from pretrained.training.settings import PriorConfig
from tests.tools.counterpoint import FINALS

SPECIES, GRID = 1, 2  # of composition/Counterpoint-v0
CODEC = Codec(30, 89, GRID)  # E2 to A5 in C, by whatever interval it is moved there
BAR = 4 * GRID  # cells
SHAPE = {"hidden": 64, "embed": 24, "head_size": 16, "feed": 64, "units": 104, "ahead": 16}
SHAPE |= {"coming": 6, "compass": 1, "depth": 3}
LENGTHS = range(8, 13)  # notes of a cantus firmus
VERDICTS = ("closing_interval", "clausula", "unique_climax")
HELD = 6  # cells besides the beginnings of bars that a batch learns
COOL = 0.8  # temperature of the network taught last that is 1 in what ships
SEED = 17


@dataclass(frozen=True)
class Round:
    """Cantus firmi of each mode and length, how pieces are drawn to them, and how often learned.

    A network begins anew or with the weights of the round before, and learns the pieces of as many
    rounds back.
    """

    each: int
    draws: tuple[float, ...]  # the temperature of each
    epochs: int
    anew: bool = False
    back: int = 1
    rate: float = 4e-3


ROUNDS = (
    Round(40, (1.0,) * 4, 7, anew=True),
    Round(80, (1.0,) * 4, 6, anew=True, back=2),
    Round(90, (0.85, 0.85, 1.0), 4, back=2, rate=2.5e-3),
)


# -- what is drawn ---------------------------------------------------------------------------------


def firmi(each, seed):
    """Random cantus firmi in all modes, by key and length: sorted pitches."""
    found = {}
    for place, mode in MODES.items():
        for bars in LENGTHS:
            asked = CantusFirmus(key=f"{FINALS[place]} {mode}", bars=bars)
            lines = asked.composer().compose(asked.request(n=each, candidates=1, seed=seed))
            pitches = (line.score.pitch[line.score.onset].tolist() for line in lines)
            found[str(asked.key), bars] = sorted(set(map(tuple, pitches)))
    return found


def pages_of(key, lines, above):
    """An unfinished score of a page for each cantus firmus (pitches) of one key and length."""
    low, high = min(map(min, lines)), max(map(max, lines))
    free = (low, high + ROOM) if above else (low - ROOM, high)
    name, voice = C_MAJOR.pitch_name, int(above)
    spans = [f"{name(a)}-{name(b)}" for a, b in (free, (low, high))]
    ranges = " ".join(spans if above else reversed(spans))
    task = Task(key=key, bars=len(lines[0]), grid=GRID, voices=2, ranges=ranges)
    rows = np.full((len(lines), 2, task.cells), UNWRITTEN, np.int16)
    rows[:, voice] = [cantus_row(pitches, task) for pitches in lines]
    return Score(rows, replace(task, given=tuple(map(tuple, rows[0].tolist()))), written=0)


def blame(score):
    """The cell (B,) with which each piece breaks its first hard rule, and that rule's name.

    -1 and "" where none is broken. A second climax is to blame for the last of its strokes, and a
    wrong close for its last note, or the one before.
    """
    whole, cells = Score(score.tokens, score.task), score.task.cells
    at, names = np.full(score.batch, cells), np.full(score.batch, "", object)
    broken = {rule.name: (rule(whole) > 0).any(axis=1) for rule in demands_of(SPECIES)}
    for name, where in broken.items():
        first = np.where(where.any(axis=1), where.argmax(axis=1), cells)
        if name not in VERDICTS:
            names, at = np.where(first < at, name, names), np.minimum(first, at)
    free = next(v for v, row in enumerate(score.task.given) if UNWRITTEN in row)
    notes = score.tokens[:, free, :-BAR:BAR].astype(int)
    top = notes == notes.max(axis=1, keepdims=True)
    again = (top.shape[1] - 1 - top[:, ::-1].argmax(axis=1)) * BAR
    for name, cell in zip(VERDICTS, (cells - BAR, cells - 2 * BAR, again), strict=True):
        lost = (names == "") & broken[name].any(axis=1)
        names, at = np.where(lost, name, names), np.where(lost, cell, at)
    return np.where(names == "", -1, at), names


def draw(prior, found, temperatures, seed):
    """Pieces drawn to all cantus firmi, above and below: scores with their blame (B,)."""
    drawn, names = [], Counter()
    for number, ((key, _), lines) in enumerate(found.items()):
        for above in (True, False):
            for draws, temperature in enumerate(temperatures):
                of = seed + 1000 * draws + 2 * number + above
                score = sample(prior, pages_of(key, lines, above), of, temperature)
                at, why = blame(score)
                drawn.append((Score(score.tokens, score.task), at))
                names.update(why)
    total = sum(names.values())
    most = ", ".join(f"{name} {count}" for name, count in names.most_common(6) if name)
    print(
        f"{names['']} of {total} keep all hard rules ({names[''] / total:.1%}); {most}", flush=True
    )
    return drawn


# -- how they are learned --------------------------------------------------------------------------


@dataclass(frozen=True)
class CantusLesson(FrameLesson):
    """A lesson, the voice of the cantus firmus, and the cell to blame, -1 if there is none."""

    voice: int
    blame: int


@dataclass(frozen=True)
class Nats:
    """Held-out nats per note of the free voice."""

    nats_per_note: float

    def __str__(self):
        return f"{self.nats_per_note:.4f} nats/note"


class CantusCourse:
    """A `pretrained.training.fit.Course`: one voice is given, the other is learned."""

    def lessons(self, pieces, plan, rng):
        """A lesson of each solution, in one of the octaves and keys that can be sung."""
        return [each for score, at in pieces for each in lessons_of(score, at, rng)]

    def collate(self, lessons, codec):
        """Tokens, places, shifts, which frames are real, the voices given, and the blame."""
        voices, at = ([each.voice for each in lessons], [each.blame for each in lessons])
        return *collate_frames(lessons), torch.tensor(voices), torch.tensor(at)

    def losses(self, net, shown, rng, bf16):
        """The mean nats per token of what is right, and -log(1 - p) of what is wrong beside it."""
        tokens, place, shift, real, voice, at = shown
        cells = np.arange(0, tokens.shape[2], BAR)
        if net.training:
            cells = np.union1d(cells, rng.choice(tokens.shape[2], HELD))
        cells = torch.from_numpy(cells)
        given = (torch.arange(2) == voice[:, None])[..., None] & real[:, None]
        logits, _ = net(tokens, place, shift, given, bf16, cells)
        asked, target = ((real[:, None] & ~given)[..., cells], tokens[..., cells])
        asked, target = asked.transpose(1, 2), target.transpose(1, 2)
        right = asked & (at < 0)[:, None, None]
        wrong = asked & (cells == at[:, None])[..., None]
        many = right.sum().clamp(min=1)
        loss = functional.cross_entropy(logits[right], target[right], reduction="sum") / many
        chosen = logits[wrong].log_softmax(-1).gather(1, target[wrong][:, None])
        left = -torch.log1p(-chosen.clamp(max=-1e-4).exp()).sum()
        return loss, left / many

    def held_out(self, net, pieces, codec):
        """The nats of the notes of whole pieces as they are."""
        net.eval()
        rows = [each for score, at in pieces for each in lessons_of(score, at) if each.blame < 0]
        with torch.inference_mode():
            loss, _ = self.losses(net, self.collate(rows, codec), np.random.default_rng(0), False)
        return Nats(float(loss))


def lessons_of(score, at, rng=None):
    """A lesson of each piece that differs; with a generator moved by octaves and to other keys."""
    task = score.task
    where = task.key.home, task.low, task.high
    shift, place = CODEC.shift_for(*where), places(context_of(task), task.cells)[0].numpy()
    _, rows = np.unique(score.tokens.reshape(score.batch, -1), axis=0, return_index=True)
    rows = rows[(at[rows] < 0) | (at[rows] % BAR == 0)]
    own = own_tokens(CODEC, *where).numpy()[score.tokens[rows]]
    voice = next(v for v, row in enumerate(task.given) if UNWRITTEN not in row)
    for tokens, cell in zip(own, at[rows].tolist(), strict=True):
        heard = shift
        if rng is not None:
            onset = tokens > HOLD
            low, high = tokens[onset].min(), tokens[onset].max()
            octaves = [12 * n for n in (-1, 0, 1) if low + 12 * n > 7 and high + 12 * n < 58]
            tokens = tokens + rng.choice(octaves or [0]) * onset
            heard = int(rng.integers(-6, 6))
        yield CantusLesson(tokens, place, heard, voice, cell)


def teach(pieces, asked, start=None):
    """Train the network of a round on pieces, and return its prior."""
    config = PriorConfig(
        model="voices",
        epochs=asked.epochs,
        dropout=0.0,
        batch_tokens=16_000,
        learning_rate=asked.rate,
        weight_decay=0.05,
        average=0.98,
        seed=SEED,
        bf16=False,
    )

    def build(settings, codec):
        net = VoicesNet(VoicesShape(vocab=codec.vocab, **SHAPE), settings.setting("dropout"))
        if start is not None and not asked.anew:
            net.load_state_dict(start.net.state_dict())
        return net

    net = fit(
        config, pieces[5:], pieces[:5], CODEC, build, lambda e: print(e, flush=True), CantusCourse()
    )
    return VoicesPrior(net, CODEC)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--from", dest="first", default="counterpoint-1")
    out, first = vars(parser.parse_args()).values()
    torch.set_num_threads(1)
    began, prior, rounds = time.process_time(), checkpoint.load(first), []
    for number, asked in enumerate(ROUNDS):
        found = firmi(asked.each, SEED + number)
        rounds.append(draw(prior, found, asked.draws, SEED + number))
        prior = teach([*chain(*rounds[-asked.back :])], asked, prior)
        print(f"round {number + 1}: {time.process_time() - began:.0f} CPU s", flush=True)
    with torch.no_grad():
        prior.net.head.weight /= COOL
        prior.net.head.bias /= COOL
    checkpoint.save(out, prior, notes=notes_of(rounds))
    draw(prior, firmi(8, SEED - 1), (1.0,), SEED)


def notes_of(rounds):
    """Return the notes of a checkpoint: its data, command and figures."""
    kept = sum(int((at < 0).sum()) for pieces in rounds for _, at in pieces)
    return {
        "data": {"name": "counterpoints drawn that keep all hard rules", "pieces": kept},
        "config": {**SHAPE},
        "command": "python -m tests.tools.teach_counterpoint",
    }


if __name__ == "__main__":
    main()
