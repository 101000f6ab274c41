"""Explaining: `explain(piece)` tells where a piece breaks which rules."""

from agents.explaining.explainer import explain, speaking_rules
from agents.explaining.explanation import Explanation

__all__ = ["Explanation", "explain", "speaking_rules"]
