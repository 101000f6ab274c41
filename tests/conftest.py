"""What several tests need: a tiny prior, and the checkpoint it is kept in."""

import sys

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small are only slowed down by more, and commands set what they like."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_prior():
    """A prior of 16 units with random weights; where in the bar a cell is matters to it too."""
    import torch

    from envs.codec import Codec
    from pretrained.prior import RecurrentPrior
    from pretrained.rnn import NetShape, RecurrentNet

    torch.set_num_threads(1)
    net = RecurrentNet(NetShape(Codec().vocab, hidden=16, embed=8, lookback=1))
    rng = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in net.parameters():  # tables of places and of looking back too, zero at first
            weight.normal_(0.0, 0.7, generator=rng)
    return RecurrentPrior(net, Codec())


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_prior, tmp_path_factory):
    """Path of `tiny_prior` as a file; read it only."""
    from pretrained import checkpoint

    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    checkpoint.save(path, tiny_prior.net, tiny_prior.codec, {"made": "for tests"})
    return path
