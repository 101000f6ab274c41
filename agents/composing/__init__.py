"""Composing: `Composer.load("composer").compose(Request(key="D minor", bars=8))`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.composing.composer import Composer
    from agents.composing.locked_bars import Bars
    from agents.composing.melody import Melody
    from agents.composing.methods import METHODS, Method
    from agents.composing.request import Request

__all__ = ["METHODS", "Bars", "Composer", "Melody", "Method", "Request"]
_HOMES = {"Bars": "locked_bars", "METHODS": "methods", "Method": "methods"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, name.lower())
    return getattr(import_module(f"{__name__}.{home}"), name)
