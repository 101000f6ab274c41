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

    from tests.helpers import small_prior

    torch.set_num_threads(1)
    return small_prior()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_prior, tmp_path_factory):
    """Path of `tiny_prior` as a file; read it only."""
    from pretrained import checkpoint

    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    checkpoint.save(path, tiny_prior.net, tiny_prior.codec, {"made": "for tests"})
    return path
