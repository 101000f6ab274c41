"""Explaining: `explain(piece)` tells where a piece breaks which rules."""

from agents.explaining.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
