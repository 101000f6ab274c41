"""Priors, models of which music is likely, and their corpora. `pretrained.load("folk")`."""

from typing import Any

from envs.old_names import install


def __getattr__(name: str) -> Any:
    # Late, because it brings torch with it, and `--help` must not.
    if name == "load":
        from pretrained.checkpoint import load

        return load
    raise AttributeError(f"module 'pretrained' has no attribute {name!r}")


install(__name__)
