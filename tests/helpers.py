"""Helpers of tests in several folders."""

import sys

import numpy as np
import pytest

from envs.music.score import Score


def random_pieces(task, n, seed=0):
    """Return finished pieces of random allowed tokens, with more holds than other tokens."""
    rng = np.random.default_rng(seed)
    score = Score.page(task, n)
    while not score.finished:
        allowed = score.allowed()
        weight = allowed * np.where(np.arange(allowed.shape[1]) == 1, 12.0, 1.0)
        score = score.write((rng.random(allowed.shape) * weight).argmax(axis=1))
    return score


def step_through(reward, finished):
    """Write pieces again cell by cell and return the values (B, V, T) that each term pays."""
    task = finished.task
    out = {name: np.zeros(finished.tokens.shape, np.float32) for name in reward.terms}
    score = Score.page(task, finished.batch)
    for time in range(task.cells):
        for voice in range(task.voices):
            score = score.write(finished.tokens[:, voice, time])
            for name, value in reward.newest(score).items():
                out[name][:, voice, time] = value
    return out


def nats_by_steps(prior, score):
    """Logits (B, vocab) of each cell in writing order, asked while the pieces are written again."""
    page = Score.page(score.task, score.batch)
    state = prior.start(score.task, score.batch)
    for token in writing_order(score):
        logits, state = prior.step(state, page)
        yield logits
        page = page.write(token)


def writing_order(score):
    """Tokens (steps, B) of finished pieces, time by time and voice by voice."""
    return score.tokens.transpose(2, 1, 0).reshape(-1, score.batch)


def places_of(task):
    """(1, T, 6) int64: the places of a task's cells."""
    from pretrained.networks.lens import context_of, places

    return places(context_of(task), task.cells)


def small_prior(seed=7):
    """Return a prior of 16 units with random weights, which depends on the place in the bar too."""
    import torch

    from envs.music.codec import Codec
    from pretrained.networks.recurrent import NetShape, RecurrentNet, RecurrentPrior

    net = RecurrentNet(NetShape(Codec().vocab, hidden=16, embed=8, lookback=1))
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():  # tables of places and of looking back too, zero at first
            weight.normal_(0.0, 0.7, generator=rng)
    return RecurrentPrior(net, Codec())


def from_the_shell(main, monkeypatch, capsys):
    """Return a function that runs `main` of a verb with words: its status, output and errors."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["prog", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call
