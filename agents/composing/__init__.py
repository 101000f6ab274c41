"""Composing: `Composer.load("composer").compose(Request(key="D minor", bars=8))`."""

from agents.composing.composer import Composer
from agents.composing.decoding import METHODS
from agents.composing.latent.points import Between, Variation
from agents.composing.locked_bars import Bars
from agents.composing.melody import Melody
from agents.composing.request import Request
from agents.composing.theme import Theme

__all__ = ["METHODS", "Bars", "Between", "Composer", "Melody", "Request", "Theme", "Variation"]
