"""check_prior: what is built in passes, and each broken prior is caught with its own message."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, Codec
from envs.music.task import Task
from pretrained.conformance import PriorError, check_prior
from pretrained.networks.recurrent import RecurrentPrior
from pretrained.ngrams.judge import Judge
from pretrained.ngrams.model import NGram


class Even:
    """Every token as likely as any other: the smallest prior there is."""

    codec = Codec()

    def require(self, task):
        if task.codec != self.codec and task.grid != self.codec.grid:
            raise ValueError("another grid")

    def log_prob(self, score):
        return np.full(score.tokens.shape, -np.log(score.task.codec.vocab), np.float32)

    def start(self, task, batch):
        return None

    def step(self, state, score):
        return torch.zeros(score.batch, score.task.codec.vocab), state

    def take(self, state, rows):
        return state


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
    def step(self, state, score):
        return super().step(state, score)[0][:, 1:], state


class NoNumber(Even):
    def step(self, state, score):
        return super().step(state, score)[0] * torch.nan, state


class Warm(Wrapped):
    def step(self, state, score):
        logits, state = super().step(state, score)
        return logits / 1.2, state


class Remembers(Wrapped):
    """Goes on from where the last piece ended."""

    last = None

    def begin(self, context, voices, cells):
        state = super().begin(context, voices, cells)
        return state if self.last is None else replace(state, hidden=self.last)

    def advance(self, state, tokens):
        logits, features, state = super().advance(state, tokens)
        self.last = state.hidden
        return logits, features, state


class InPlace(Wrapped):
    @torch.inference_mode()
    def advance(self, state, tokens):
        answer = super().advance(state, tokens)
        if tokens.shape[1]:
            for hidden in state.hidden:
                hidden.h.add_((tokens[:, -1] == HOLD).float()[:, None])
        return answer


class NoPrimer(Wrapped):
    """Reads the newest cell alone."""

    def advance(self, state, tokens):
        if tokens.shape[1] > 1:
            state = replace(state, asked=state.asked + tokens.shape[1] - (state.asked > 0))
        return super().advance(state, tokens[:, -1:])


class ReadsAgain(Wrapped):
    """Takes no notice that nothing was written since."""

    def step(self, state, score):
        if state.cell == score.n_written > 0:
            token = torch.from_numpy(score.tokens[:, 0, score.n_written - 1].astype(np.int64))
            logits, _, _ = self.advance(state.inner, token[:, None])
            return logits, state
        return super().step(state, score)


class HearsLaterVoice(Even):
    """Voice 0 hears what voice 1 does at the same time."""

    def log_prob(self, score):
        nats = super().log_prob(score).copy()
        if score.task.voices > 1:
            nats[:, 0] -= 0.1 * (score.tokens[:, 1] == HOLD)
        return nats


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
    HearsLaterVoice: "of voice 1",
    NoPrimer: "behind a primer",
    ReadsAgain: "asked again about one cell",
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
    model = NGram.of(3, codec.vocab, rng.integers(0, codec.vocab, (20, 64)))
    check_prior(Judge(model, codec))


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
