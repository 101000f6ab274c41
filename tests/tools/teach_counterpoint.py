"""Make the prior `counterpoint`: python -m tests.tools.teach_counterpoint --out FILE

Random cantus firmi are drawn, above or below, and the exhaustive search writes counterpoints of
the first species to each, which keep all hard rules. A small network of voices learns these with
the cantus firmus given. No music is read. The figure is the share of pieces drawn once, to cantus
firmi that it has not seen, which keep all hard rules.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from agents.composing.parts.counterpoint import Counterpoint
from envs.music.codec import HOLD, UNWRITTEN, Codec
from envs.music.score import Score
from pretrained import checkpoint
from pretrained.networks.lens import context_of, own_tokens, places
from pretrained.networks.voices import VoicesNet, VoicesPrior, VoicesShape
from pretrained.prior import sample
from pretrained.training.chorale_lessons import FrameLesson, collate_frames
from pretrained.training.fit import fit
from pretrained.training.settings import PriorConfig
from tests.tools.counterpoint import cantus_firmi, keeps

SPECIES, GRID = 1, 2  # of composition/Counterpoint-v0
CODEC = Codec(30, 89, GRID)  # E2 to A5 in C, by whatever interval it is moved there
SHAPE = {"hidden": 96, "embed": 32, "head_size": 16, "feed": 96, "units": 64, "ahead": 16}
LEARNT, WATCHED, TESTED = 400, 40, 100  # cantus firmi
SOLUTIONS = 16  # to each, above and below
SEED = 17


def solutions(cantus, above, n, seed):
    """Counterpoints on the environment's grid that keep all hard rules; None if there is none."""
    asked = Counterpoint(cantus, SPECIES, above)
    try:
        found = asked.composer().compose(asked.request(n=n, candidates=1, seed=seed))
    except ValueError:
        return None
    return on_grid(np.concatenate([melody.score.tokens for melody in found]), asked.task)


def on_grid(tokens, task):
    """Pieces (B, 2, T) of quarter notes on the environment's grid, the cantus firmus given."""
    fine = np.full((*tokens.shape, GRID), HOLD, tokens.dtype)
    fine[..., 0] = tokens
    return Score(fine.reshape(*tokens.shape[:2], -1), page_of(task))


def page_of(task):
    """The task of quarter notes on the environment's grid."""
    fine = replace(task, grid=GRID, given=())
    rows = np.full((2, fine.cells), UNWRITTEN)
    for line, row in zip(task.given, rows, strict=True):
        if UNWRITTEN not in line:
            row[:], row[::GRID] = HOLD, line
    return replace(fine, given=tuple(map(tuple, rows.tolist())))


def _search(job):
    torch.set_num_threads(1)
    return solutions(*job)


def search(firmi, seed, processes=2):
    """All solutions found to cantus firmi, above and below: scores."""
    jobs = [
        (cantus, above, SOLUTIONS, seed + number)
        for number, cantus in enumerate(firmi)
        for above in (True, False)
    ]
    with ProcessPoolExecutor(processes) as pool:
        found = list(pool.map(_search, jobs, chunksize=8))
    return [score for score in found if score is not None]


# -- how they are learned --------------------------------------------------------------------------


@dataclass(frozen=True)
class CantusLesson(FrameLesson):
    """A lesson, and the voice of the cantus firmus."""

    voice: int


@dataclass(frozen=True)
class Nats:
    """Held-out nats per token of the free voice."""

    nats_per_token: float

    def __str__(self):
        return f"{self.nats_per_token:.4f} nats/token"


class CantusCourse:
    """A `pretrained.training.fit.Course`: one voice is given, the other is learned."""

    def lessons(self, pieces, plan, rng):
        """A lesson of each solution, in one of the octaves and keys that can be sung."""
        return [each for score in pieces for each in lessons_of(score, rng)]

    def collate(self, lessons, codec):
        """Tokens, places, shifts, which frames are real (see `collate_frames`), and the voices."""
        return *collate_frames(lessons), torch.tensor([each.voice for each in lessons])

    def losses(self, net, shown, rng, bf16):
        """The mean nats per token of the free voices, and 0."""
        tokens, place, shift, real, voice = shown
        given = (torch.arange(2) == voice[:, None])[..., None] & real[:, None]
        logits, _ = net(tokens, place, shift, given, bf16)
        asked = (real[:, None] & ~given).transpose(1, 2)
        return functional.cross_entropy(logits[asked], tokens.transpose(1, 2)[asked]), 0.0

    def held_out(self, net, pieces, codec):
        """The nats of whole pieces as they are."""
        net.eval()
        shown = self.collate([each for score in pieces for each in lessons_of(score)], codec)
        with torch.inference_mode():
            loss, _ = self.losses(net, shown, np.random.default_rng(0), False)
        return Nats(float(loss))


def lessons_of(score, rng=None):
    """A lesson of each piece; without a generator as it is, else moved by octaves and keys."""
    task = score.task
    where = task.key.home, task.low, task.high
    shift, place = CODEC.shift_for(*where), places(context_of(task), task.cells)[0].numpy()
    own = own_tokens(CODEC, *where).numpy()[score.tokens]
    voice = next(v for v, row in enumerate(task.given) if UNWRITTEN not in row)
    for tokens in own:
        heard = shift
        if rng is not None:
            onset = tokens > HOLD
            low, high = tokens[onset].min(), tokens[onset].max()
            octaves = [12 * n for n in (-1, 0, 1) if low + 12 * n > 7 and high + 12 * n < 58]
            tokens = tokens + rng.choice(octaves or [0]) * onset
            heard = int(rng.integers(-6, 6))
        yield CantusLesson(tokens, place, heard, voice)


# -- what it knows ---------------------------------------------------------------------------------


def one_pass(prior, firmi, draws=4, seed=0, temperature=1.0):
    """The share of pieces drawn once that keep all hard rules."""
    good = []
    for number, cantus in enumerate(firmi):
        page = page_of(Counterpoint(cantus, SPECIES, number % 2 == 0).task)
        drawn = sample(prior, Score.page(page, draws), seed + number, temperature)
        good.append(keeps(drawn, SPECIES))
    return float(np.mean(good))


def _tell(epoch):
    print(epoch, flush=True)


def teach(train, valid, out, epochs):
    """Train the network on scores, write its checkpoint and return the prior."""
    config = PriorConfig(
        model="voices",
        epochs=epochs,
        dropout=0.1,
        batch_tokens=6000,
        learning_rate=4e-3,
        weight_decay=0.05,
        average=0.98,
        seed=SEED,
        bf16=False,
    )

    def build(settings, codec):
        return VoicesNet(VoicesShape(vocab=codec.vocab, **SHAPE), settings.setting("dropout"))

    began = time.process_time()
    net = fit(config, train, valid, CODEC, build, _tell, CantusCourse())
    prior = VoicesPrior(net, CODEC)
    notes = {
        "data": {"name": "counterpoints found by search", "solutions": sum(s.batch for s in train)},
        "config": config.settled() | SHAPE,
        "command": "python -m tests.tools.teach_counterpoint",
    }
    checkpoint.save(out, prior, notes=notes)
    print(
        f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB), {time.process_time() - began:.0f} CPU s"
    )
    return prior


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    firmi = cantus_firmi(LEARNT + WATCHED, SEED)
    train, valid = search(firmi[:LEARNT], SEED), search(firmi[LEARNT:], SEED + LEARNT)
    print(f"{sum(s.batch for s in train)} solutions to {LEARNT} cantus firmi", flush=True)
    prior = teach(train, valid, asked.out, asked.epochs)
    new = [c for c in cantus_firmi(TESTED + 20, SEED + 1) if c not in firmi][:TESTED]
    print(f"one pass: {one_pass(prior, new):.1%} of 4 draws to each of {len(new)} cantus firmi")


if __name__ == "__main__":
    main()
