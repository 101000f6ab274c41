"""Explaining: `explain(piece)` tells where a piece breaks which rules."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agents.explaining.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.explanation"), name)
