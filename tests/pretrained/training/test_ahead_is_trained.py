"""Training of the part that reads what is given ahead, apart from the rest of the network."""

import numpy as np
import torch

from envs.music.codec import Codec
from pretrained.corpora.folk import load_corpus
from pretrained.training.fit import collate, fit, losses_of, untrained
from pretrained.training.lessons import lesson
from pretrained.training.settings import PriorConfig

SMALL = PriorConfig(hidden=8, embed=8, ahead=8, epochs=1, dropout=0.0, bf16=False, average=0.0)


def test_a_training_moves_what_reads_ahead():
    tunes = load_corpus().select("test")[:6]
    net = fit(SMALL, tunes, tunes[:1], Codec())
    assert net.ahead.leave.weight.abs().max() > 0
    assert net.ahead.copy.weight.abs().max() > 0


def test_what_reads_ahead_leaves_the_gradients_of_the_rest_as_they_are():
    torch.manual_seed(0)
    net = untrained(SMALL, Codec()).train()
    with torch.no_grad():
        net.ahead.leave.weight.normal_()
    shown = collate([lesson(tune) for tune in load_corpus().select("test")[:3]], Codec())
    loss, ahead = losses_of(net, shown, np.random.default_rng(0), bf16=False)
    rest = [w for name, w in net.named_parameters() if not name.startswith("ahead.")]
    own = [w for name, w in net.named_parameters() if name.startswith("ahead.")]
    alone = torch.autograd.grad(ahead, rest, retain_graph=True, allow_unused=True)
    assert all(grad is None for grad in alone)
    assert all(grad is None for grad in torch.autograd.grad(loss, own, allow_unused=True))
