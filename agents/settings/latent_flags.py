"""Flags that ask a latent model for melodies: near a theme, or between two."""

from __future__ import annotations

from dataclasses import dataclass

from agents.settings.reading_flags import PartFlags

DISTANCE = 0.3  # of variations, if nothing is said


@dataclass(frozen=True, kw_only=True)
class LatentFlags(PartFlags):
    """Flags that ask a latent model for melodies.

    Attributes:
        near: a theme, theme.abc:1-2 or book.abc#7:1-8, of which variations are written by a
            variational autoencoder that knows as many bars.
        distance: of each from the theme: edits of its 16ths over their number, within .05; 0.3 if
            nothing is said. Tunes that have nothing to do with each other are about .5 apart.
        between: two themes of one metre and length; melodies on the way from one to the other.
        latent: name or path of the model of near and between; if empty the one that ships for as
            many bars.
    """

    near: str = ""
    distance: float | None = None
    between: tuple[str, ...] = ()
    latent: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distance is not None and not self.near:
            raise ValueError("--distance says how far from a theme; add --near FILE")
        if self.latent and not (self.near or self.between):
            raise ValueError("--latent is the model of --near FILE or --between FILE FILE; add one")
        if len(self.between) not in (0, 2):
            raise ValueError(f"--between: {len(self.between)} files, expected two themes")

    @property
    def far(self) -> float:
        """The distance that is asked for."""
        return DISTANCE if self.distance is None else self.distance
