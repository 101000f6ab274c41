"""Methods of composing by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agents.composing.demands import best_kept
from agents.composing.masks import read_demands, read_masks
from agents.composing.request import Request
from agents.composing.search import Found, beam, best_known, best_of, masked
from envs.errors import did_you_mean
from envs.music.score import Score
from rewards.sum import RewardSum


@dataclass(frozen=True)
class Search:
    """All that a method needs to fill a page.

    Attributes:
        request: what is asked for.
        page: as many unfinished pieces as melodies are asked for.
        reward: what is sought.
        network: that the method draws from or is led by, on the page's grid.
        mask: rules that the network learned behind.
        chooses: True if the best of several candidates are wanted.
    """

    request: Request
    page: Score
    reward: RewardSum
    network: Any
    mask: Sequence[str]
    chooses: bool

    @property
    def draw(self) -> tuple[int, float]:
        """Seed and temperature."""
        return self.request.seed, self.request.temperature


@dataclass(frozen=True)
class Method:
    """A way to fill a page.

    Attributes:
        name: as a request names it.
        says: what it does, in words.
        fill: returns finished pieces, best first where it ranks them.
        network: the network that it uses: the trained policy, the prior it began with, or none.
        keeps_demands: True if it keeps the rules of `Request.must`.
        is_beam: True if it ends with no more pieces than its width.
    """

    name: str
    says: str
    fill: Callable[[Search], Found]
    network: Literal["policy", "prior", ""] = "prior"
    keeps_demands: bool = False
    is_beam: bool = False


def _draw(search: Search) -> Found:
    request, reward, network = search.request, search.reward, search.network
    mask = read_masks(search.mask, reward) if search.mask else None
    if request.must or search.chooses:
        demands = {**(mask.terms if mask else {}), **read_demands(request.must, reward)}
        numbers = request.n, request.candidates, *search.draw
        return best_kept(network, search.page.take([0]), demands, reward, *numbers)
    if mask is not None:  # the policy learned behind it, and plays behind it
        return masked(network, search.page, mask, *search.draw, reward)
    return best_of(network, search.page, reward, 1, *search.draw)


def _best_of_n(search: Search) -> Found:
    draws = search.request.best_of
    return best_of(search.network, search.page, search.reward, draws, *search.draw)


def _masked(search: Search) -> Found:
    rules = read_masks(search.request.mask, search.reward)
    return masked(search.network, search.page, rules, *search.draw, search.reward)


def _beam(search: Search) -> Found:
    request, page = search.request, search.page.take([0])
    return beam(page, search.reward, request.width, n=request.n, guide=search.network)


def _best_known(search: Search) -> Found:
    request = search.request
    return best_known(search.page.take([0]), search.reward, request.width, request.n)


METHODS = {
    method.name: method
    for method in (
        Method("sample", "draws from the policy", _draw, "policy", keeps_demands=True),
        Method("prior", "draws from the prior the policy began with", _draw, keeps_demands=True),
        Method("best-of-n", "keeps the best of several draws from the prior", _best_of_n),
        Method("masked", "draws from the prior what breaks no rule", _masked),
        Method("beam", "searches for what the reward pays best", _beam, "", is_beam=True),
        Method(
            "guided-beam",
            "lets the policy help to choose what is searched",
            _beam,
            "policy",
            is_beam=True,
        ),
        Method("best-known", "keeps the best of a beam behind every first note", _best_known, ""),
    )
}


def method_of(request: Request) -> Method:
    """Return the method of a request.

    Raises:
        ValueError: there is none of its name, or it cannot do what is asked.
    """
    name = request.method
    if name not in METHODS:
        raise ValueError(
            f"unknown method {name!r}.{did_you_mean(name, METHODS)} Known: {', '.join(METHODS)}"
        )
    method = METHODS[name]
    if method.is_beam and request.n > request.width:
        raise ValueError(
            f"width={request.width}: expected at least n={request.n}, as a beam ends with no more "
            "melodies than its width"
        )
    if request.must and not method.keeps_demands:
        able = ", ".join(each.name for each in METHODS.values() if each.keeps_demands)
        raise ValueError(f"must: rules are kept by the methods {able}, not by {name}")
    return method
