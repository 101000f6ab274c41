"""check_prior: what is built in passes, and each broken prior is caught with its own message."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, Codec
from envs.music.task import Task
from pretrained.conformance import PriorError, check_prior
from pretrained.networks.network_prior import RecurrentPrior
from pretrained.ngrams.judge import Judge
from pretrained.ngrams.model import GramTable, NGram


class Even:
    """Every token as likely as any other: the smallest prior there is."""

    codec = Codec()

    def require(self, task):
        if task.codec != self.codec and task.grid != self.codec.grid:
            raise ValueError("another grid")

    def log_prob(self, score):
        return np.full(score.tokens.shape, -np.log(score.task.codec.vocab), np.float32)

    def start(self, task, batch):
        return task, batch

    def step(self, token, state):
        return torch.zeros(state[1], state[0].codec.vocab), state


class Wrapped(RecurrentPrior):
    """A network of which a test breaks one part."""

    def __init__(self, prior):
        super().__init__(prior.net, prior.codec)


class Unnormalised(Even):
    def log_prob(self, score):
        return np.full(score.tokens.shape, -1.0)


class Positive(Even):
    def log_prob(self, score):
        return np.full(score.tokens.shape, 1.0)


class Infinite(Even):
    def log_prob(self, score):
        return np.where(score.rest, -np.inf, super().log_prob(score))


class PerPiece(Even):
    def log_prob(self, score):
        return super().log_prob(score).sum(axis=(1, 2))


class Dropout(Even):
    def log_prob(self, score):
        return super().log_prob(score) - np.random.default_rng().random(score.tokens.shape)


class BatchNorm(Even):
    def log_prob(self, score):
        return super().log_prob(score) - score.onset.mean()


class LooksAhead(Wrapped):
    def log_prob(self, score):
        return super().log_prob(score) - 0.1 * np.roll(score.onset, -1, axis=2)


class AnyGrid(Even):
    def require(self, task):
        pass


class NoGrid(Even):
    def require(self, task):
        raise ValueError("I know no task")


class Narrow(Even):
    def step(self, token, state):
        return super().step(token, state)[0][:, 1:], state


class NoNumber(Even):
    def step(self, token, state):
        return super().step(token, state)[0] * torch.nan, state


class Warm(Wrapped):
    def step(self, token, state):
        logits, state = super().step(token, state)
        return logits / 1.2, state


class Remembers(Wrapped):
    """Goes on from where the last piece ended."""

    last = None

    def start(self, task, batch):
        state = super().start(task, batch)
        return state if self.last is None else self._going_on(state)

    def _going_on(self, state):
        hidden = state.hidden
        return replace(state, hidden=hidden._replace(h=hidden.h + self.last))

    def step(self, token, state):
        logits, state = super().step(token, state)
        self.last = state.hidden.h.mean()
        return logits, state


class InPlace(Wrapped):
    @torch.inference_mode()
    def step(self, token, state):
        logits, after = super().step(token, state)
        if token is not None:
            state.hidden.h.add_((token == HOLD).float()[:, None])
        return logits, after


class Takes(Wrapped):
    def take(self, state, rows):
        return state


class Fails(Even):
    def log_prob(self, score):
        raise RuntimeError("out of memory")


class Lists(Even):
    def log_prob(self, score):
        return super().log_prob(score).tolist()


class Tensors(Even):
    def log_prob(self, score):
        return torch.from_numpy(super().log_prob(score))


class Leaves(Even):
    def log_prob(self, score):
        raise SystemExit(0)


class LooksOneAhead(Even):
    """At one cell only."""

    def log_prob(self, score):
        nats = super().log_prob(score).copy()
        nats[..., 4] -= 0.1 * (score.tokens[..., 5] != HOLD)
        return nats


BROKEN = {
    Lists: "list",
    Tensors: "Tensor",
    Leaves: "SystemExit",
    LooksOneAhead: "before 5",
    Unnormalised: "13.98",
    Positive: "1 nats",
    Infinite: "-inf",
    PerPiece: "4, 1, 16",
    Dropout: "net.eval",
    BatchNorm: "batch norm",
    LooksAhead: "before 1",
    AnyGrid: "grid20",
    NoGrid: "I know no task",
    Narrow: "4, 37",
    NoNumber: "no numbers",
    Warm: "temperature",
    Remembers: "memory",
    InPlace: "changes",
    Takes: "take",
    Fails: "out of memory",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_each_broken_prior_has_its_message(kind, tiny_prior):
    prior = kind(tiny_prior) if issubclass(kind, Wrapped) else kind()
    with pytest.raises(PriorError, match=f"prior {kind.__name__}: .*{BROKEN[kind]}"):
        check_prior(prior)


def test_good_priors_pass(tiny_prior):
    check_prior(tiny_prior)
    check_prior(tiny_prior, Task(key="Eb major", meter="6/8", low="C3", high="C6"))
    check_prior(Wrapped(tiny_prior))


def test_the_smallest_prior_passes():
    check_prior(Even())


def test_what_ships_passes():
    from pretrained import load

    check_prior(load("folk"))


def test_a_judge_is_a_prior_that_is_not_asked_token_by_token():
    codec = Codec()
    rng = np.random.default_rng(0)
    model = NGram(3, codec.vocab).fit(rng.integers(0, codec.vocab, (20, 64)).tolist())
    check_prior(Judge(GramTable.of(model), codec))


def test_a_codec_that_raises_is_told_with_the_name_of_its_prior():
    class Codecless(Even):
        @property
        def codec(self):
            raise RuntimeError("not loaded")

    with pytest.raises(PriorError, match="RuntimeError"):
        check_prior(Codecless())


def test_an_object_that_is_no_prior_is_told_what_it_lacks():
    with pytest.raises(PriorError, match="no codec"):
        check_prior(3)
    wrong = Even()
    wrong.codec = "grid16"
    with pytest.raises(PriorError, match="Codec"):
        check_prior(wrong)
