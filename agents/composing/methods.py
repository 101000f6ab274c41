"""Methods of composing by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.composing.masks import read_demands, read_masks
from agents.settings.config import TrainConfig
from envs.errors import did_you_mean

if TYPE_CHECKING:
    from agents.compose import ComposeConfig
    from agents.composing.search import Found
    from envs.music.score import Score
    from envs.music.task import Task
    from rewards.sum import RewardSum

METHODS = ("sample", "prior", "best-of-n", "masked", "beam", "guided-beam", "best-known")
OF_A_RUN = ("sample", "guided-beam")  # methods that need a trained policy, a run's or the shipped
BEAMS = ("beam", "guided-beam")


def read_primer(line: str, task: Task) -> Score:
    """A page of one piece that begins with the notes of a line, voices parted by ';'.

    Raises:
        ValueError: no notes, notes outside the range, another number of voices, or no cell left
            to write.
    """
    import numpy as np

    from envs.music.score import Score
    from envs.notation.text_line import parse_voices
    from envs.primer import primed

    voices, end = parse_voices(line, task.beat_cells)
    if len(voices) != task.voices:
        raise ValueError(
            f"primer has {len(voices)} voices and the piece {task.voices}; part them by ';'"
        )
    if not 0 < end < task.cells:
        raise ValueError(
            f"primer has {end} cells and the piece {task.cells}; expected notes shorter than the "
            "piece"
        )
    tokens = np.stack([task.codec.encode(notes, end) for notes in voices])
    return primed(Score.page(task, 1), tokens)


def check_method(config: ComposeConfig) -> None:
    """Raise ValueError unless the method is known and has what it needs."""
    if config.candidates < 1:
        raise ValueError(f"candidates={config.candidates}: expected at least 1")
    if config.best_of < 1:
        raise ValueError(f"best_of={config.best_of}: expected at least 1 draw")
    if not config.temperature > 0:
        raise ValueError(f"temperature={config.temperature}: expected a number above 0")
    if config.method not in METHODS:
        raise ValueError(
            f"unknown method {config.method!r}.{did_you_mean(config.method, METHODS)} "
            f"Known: {', '.join(METHODS)}"
        )
    if config.method in OF_A_RUN and not (config.run or config.in_words):
        raise ValueError(
            f"--method {config.method} needs a policy: name a run directory; or ask in words, by "
            "--key, --meter or --bars, for a melody of the agent that ships; or use --method "
            "prior, best-of-n, masked, beam or best-known"
        )
    if config.method in BEAMS and config.n > config.width:
        raise ValueError(
            f"width={config.width}: expected at least n={config.n}, as a beam ends with no more "
            "melodies than its width"
        )
    if config.must and config.method not in ("sample", "prior"):
        raise ValueError(f"--must is kept by --method sample and prior, not by {config.method}")
    if config.task and (config.lock or config.rewrite):
        raise ValueError("--lock and --rewrite take the task from the file; leave --task out")
    if config.lock and config.rewrite:
        raise ValueError("--lock and --rewrite both say what stays; leave one out")


def make_search(
    config: ComposeConfig, settings: TrainConfig, task: Task, reward: RewardSum
) -> Callable[[Score], Found]:
    """What fills a page by the method asked for, its networks loaded and its masks read.

    Raises:
        FileNotFoundError, ValueError: a checkpoint or a mask that cannot be used.
    """
    from agents.composing.demands import best_kept
    from agents.composing.search import beam, best_known, best_of, masked
    from pretrained.checkpoint import load
    from pretrained.networks.regrid import on_grid

    policy = on_grid(load(config.policy), task) if config.method in OF_A_RUN else None
    if config.method in BEAMS:
        width, n = config.width, config.n
        return lambda page: beam(page.take([0]), reward, width, n=n, guide=policy)
    if config.method == "best-known":
        return lambda page: best_known(page.take([0]), reward, config.width, config.n)
    network = on_grid(load(settings.prior), task) if policy is None else policy
    seed, temperature = config.seed, config.temperature
    if config.method == "masked":
        rules = read_masks(config.mask, reward)
        return lambda page: masked(network, page, rules, seed, temperature, reward)
    if config.must or (config.in_words and config.method != "best-of-n"):
        demands = read_masks(settings.mask, reward).terms if settings.mask and policy else {}
        demands = {**demands, **read_demands(config.must, reward)}
        draw = config.candidates, seed, temperature
        return lambda page: best_kept(network, page.take([0]), demands, reward, config.n, *draw)
    if config.method == "sample" and settings.mask:  # it learned behind them, and plays behind them
        rules = read_masks(settings.mask, reward)
        return lambda page: masked(network, page, rules, seed, temperature, reward)
    draws = config.best_of if config.method == "best-of-n" else 1
    return lambda page: best_of(network, page, reward, draws, seed, temperature)


def last_c(config: ComposeConfig, settings: TrainConfig) -> float:
    """c of the objective: the settings', or where the controller of a KL budget left it."""
    from agents.runs.directory import Run

    turned = Run(config.run).turns() if config.run and settings.kl_budget else []
    return turned[-1][0] if turned else settings.c
