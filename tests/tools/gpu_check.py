"""Both trainings on a GPU beside the CPU: are the losses the same, and how much faster is it?

python -m tests.tools.gpu_check
python -m tests.tools.gpu_check --device cuda:1 --seconds 600

Ends with 1 if losses differ by more than float32 explains. Without a GPU it says
so and ends with 0.
"""

import argparse
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch

from agents.settings.config import TrainConfig, from_mapping
from agents.training.job import train
from agents.training.listener import Listener
from envs.music.codec import Codec
from pretrained.corpora.folk import load_corpus
from pretrained.device import has_bf16
from pretrained.prior import draw
from pretrained.training.fit import fit
from pretrained.training.settings import PriorConfig

MODELS = ("lstm", "gru", "lstm-attention", "transformer")
ALGORITHMS = ("ppo", "rloo", "psi")
TUNES, EPOCHS, ENVS, UPDATES = 40, 2, 64, 3  # of the comparison
TUNES_TIMED = 400  # in an epoch of those that are timed
# The pieces of the first rollout are the same; weights that differ by rounding draw others later.
CLOSE = {"fit": 1e-3, "first rollout": 1e-3, "later rollouts": 3e-2}  # relative


class OverError(Exception):
    """The time is over."""


class Clock(Listener):
    """Stops a training some seconds after its first update; `speed` is in steps a second."""

    def __init__(self, seconds):
        self.seconds, self.marks = seconds, []

    def updated(self, row):
        self.marks.append((time.perf_counter(), row["steps"]))

    def stepped(self, steps):
        return len(self.marks) < 2 or time.perf_counter() - self.marks[0][0] < self.seconds

    @property
    def speed(self):
        (began, first), (ended, last) = self.marks[0], self.marks[-1]
        return (last - first) / (ended - began)


def fit_losses(model, device):
    """Return the loss and the held-out nats of each epoch of a small training in float32."""
    tunes, losses = load_corpus().select("train")[:TUNES], []
    config = PriorConfig(
        model, epochs=EPOCHS, dropout=0.0, token_dropout=0.0, bf16=False, device=device
    )

    def told(epoch):
        losses.extend((epoch.loss, epoch.valid.nats_per_token))

    fit(config, tunes, tunes[:4], Codec(), after_epoch=told)
    return losses


def on_cpu(logits):
    """Draw tokens by noise of the CPU, so that both devices draw the same."""
    return draw(logits.detach().cpu()).to(logits.device)


def rollouts(algo, device, folder):
    """Return entropy and KL of each rollout of a short run in float32 that draws on the CPU."""
    config = from_mapping({"algo": algo}, algo).changed(
        n_timesteps=10**9, n_envs=ENVS, bf16=False, device=device, runs=folder, judge=False,
        eval_freq=-1, save_freq=-1, progress=False,
    )  # fmt: skip
    config = replace(
        config, n_timesteps=UPDATES * ENVS * config.task.steps, eval_pieces=1, samples=0
    )
    with (
        mock.patch("agents.learning.policy.draw", on_cpu),
        mock.patch("agents.algorithms.q_policy.draw", on_cpu),
    ):
        rows = train(config).read_metrics()
    return [value for pair in zip(rows["entropy"], rows["return"], strict=True) for value in pair]


def differences(device, folder):
    """Yield what is compared, the figures on both devices, and how near they have to be."""
    for model in MODELS:
        yield f"fit {model}", *(fit_losses(model, each) for each in ("cpu", device)), CLOSE["fit"]
    for algo in ALGORITHMS:
        here, there = (rollouts(algo, each, folder) for each in ("cpu", device))
        yield f"train {algo}, first rollout", here[:2], there[:2], CLOSE["first rollout"]
        yield f"train {algo}, later", here[2:], there[2:], CLOSE["later rollouts"]


def fit_speed(model, device, seconds):
    """Return tokens a second of a training of a prior, the first epoch left out."""
    tunes, marks = load_corpus().select("train")[:TUNES_TIMED], []

    def told(epoch):
        marks.append(time.perf_counter())
        if len(marks) > 1 and marks[-1] - marks[0] >= seconds:
            raise OverError

    config = PriorConfig(model, epochs=10**6, plan=False, device=device)
    try:
        fit(config, tunes, tunes[:1], Codec(), after_epoch=told)
    except OverError:
        tokens = sum(len(tune.tokens) for tune in tunes) * (len(marks) - 1)
        return tokens / (marks[-1] - marks[0])


def train_speed(prior, device, seconds, folder):
    """Return steps a second of the default run from a prior, the first update left out."""
    clock = Clock(seconds)
    config = TrainConfig(
        n_timesteps=10**9, prior=prior, device=device, runs=folder, judge=False, eval_freq=-1,
        save_freq=-1, progress=False, samples=0,
    )  # fmt: skip
    train(config, None, clock)
    return clock.speed


def check(device, seconds):
    """Print losses and speeds of a device beside the CPU's; return the number of differences."""
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for what, here, there, near in differences(device, folder):
            apart = max(abs(a - b) / max(1e-2, abs(a)) for a, b in zip(here, there, strict=True))
            fine = len(here) == len(there) and math.isfinite(apart) and apart <= near
            wrong += not fine
            print(f"{what:<30} {'same' if fine else 'DIFFERENT'}, apart by {apart:.1e} of {near:g}")
        each = seconds / 8
        print(f"\n{'':<30}{'cpu':>12}{device:>12}{'ratio':>8}")
        for what, measure in (
            ("fit lstm, tokens/s", lambda d: fit_speed("lstm", d, each)),
            ("fit transformer, tokens/s", lambda d: fit_speed("transformer", d, each)),
            ("train from folk, steps/s", lambda d: train_speed("folk", d, each, folder)),
            ("train from melody, steps/s", lambda d: train_speed("melody", d, each, folder)),
        ):
            here, there = measure("cpu"), measure(device)
            print(f"{what:<30}{here:>12,.0f}{there:>12,.0f}{there / here:>8.2f}", flush=True)
    return wrong


def main(words=None):
    """Command line; return the status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=120.0, help="of training that is timed")
    asked = parser.parse_args(words)
    if asked.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"no GPU here: torch {torch.__version__} finds none, so nothing was checked")
        return 0
    cuda = asked.device.startswith("cuda")
    name = torch.cuda.get_device_name(asked.device) if cuda else asked.device
    print(f"{name}, torch {torch.__version__}, bfloat16: {has_bf16(asked.device)}\n")
    wrong = check(asked.device, asked.seconds)
    print(f"\n{f'{wrong} differ' if wrong else 'the losses are the same within tolerance'}")
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
