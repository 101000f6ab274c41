"""Fixtures of all tests: a tiny prior and its checkpoint."""

import sys

import pytest


@pytest.fixture(autouse=True)
def one_thread():
    """Set torch to one thread, which is fastest for small networks; commands may change it."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(autouse=True)
def registry():
    """Take out of the table of rules what a test, or a page that it follows, has registered."""
    before = set(sys.modules["rewards.rule"].REGISTRY) if "rewards.rule" in sys.modules else None
    yield
    if before is not None:
        table = sys.modules["rewards.rule"].REGISTRY
        for name in set(table) - before:
            del table[name]


@pytest.fixture(scope="session")
def tiny_prior():
    """A prior of 16 units with random weights, which depends on the place in the bar too."""
    import torch

    from tests.helpers import small_prior

    torch.set_num_threads(1)
    return small_prior()


@pytest.fixture(scope="session")
def tiny_checkpoint(tiny_prior, tmp_path_factory):
    """Path of the checkpoint of `tiny_prior`; tests must not change it."""
    from pretrained import checkpoint

    path = tmp_path_factory.mktemp("prior") / "tiny.safetensors"
    checkpoint.save(path, tiny_prior.net, tiny_prior.codec, {"made": "for tests"})
    return path


@pytest.fixture(scope="session")
def pages_cache(tmp_path_factory):
    """A cache folder that pages may fill, beside the user's own; its judge is made once for all."""
    return tmp_path_factory.mktemp("cache")
