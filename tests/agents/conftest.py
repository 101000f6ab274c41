"""A finished run for the tests of this folder."""

import pytest


@pytest.fixture(scope="session")
def run(tiny_checkpoint, tmp_path_factory):
    """A finished run; look, do not touch."""
    from tests.agents.helpers import tiny, trained

    return trained(tiny(tiny_checkpoint, tmp_path_factory.mktemp("runs")))
