"""Pieces of several voices that flags ask for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from agents.composing.composer import Composer
from agents.composing.parts.accompany import Accompaniment
from agents.composing.parts.counterpoint import CantusFirmus, Counterpoint
from agents.composing.parts.harmonise import CHANGES, Harmonisation
from agents.composing.request import Request
from agents.settings.voices_flags import VoicesFlags


class Commission(Protocol):
    """A piece of several voices that is asked for, and the composer of what is not given."""

    @property
    def notices(self) -> Sequence[str]:
        """Remarks on how a file was read."""

    def request(self, **keywords: Any) -> Request:
        """Return the request, with further keywords of `Request`."""

    def composer(self, prior: Any = "", reward: Any = None) -> Composer:
        """Return the composer that writes it by itself, or from a prior or for a reward."""


def commission(flags: VoicesFlags, key: str, bars: int | None, **said: str) -> Commission:
    """Return what flags ask for; one of `SEVERAL` is set.

    Args:
        flags: of several voices.
        key: as said; empty for that of the file.
        bars: of a cantus firmus; as usual if None.
        said: chords and phrases.

    Raises:
        RefusedError: a file that cannot be read.
        ValueError: what is asked for contradicts itself, or the file.
    """
    words = {name: word for name, word in {"key": key, **said}.items() if word}
    if flags.harmonise:
        own = {"given": flags.given_voice, "voices": flags.voices, **flags.known}
        asked = {name: value for name, value in own.items() if value}
        changes = {name: word for name, word in words.items() if name in CHANGES}
        return Harmonisation.read(flags.harmonise, allow=flags.allow, changes=changes, **asked)
    if flags.accompany:
        rhythm = {"rhythm": flags.chord_rhythm} if flags.chord_rhythm else {}
        return Accompaniment.read(flags.accompany, **words, **rhythm, **flags.known)
    if flags.cantus_firmus:
        return CantusFirmus(key or CantusFirmus.key, CantusFirmus.bars if bars is None else bars)
    species = 1 if flags.species is None else flags.species
    return Counterpoint.read(flags.counterpoint, species, not flags.below, key, **flags.known)
