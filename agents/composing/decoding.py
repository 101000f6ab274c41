"""Decoding methods by name: the ways in which a page is filled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agents.composing.infilling.filling import best_filled, filled
from agents.composing.infilling.guidance import Guidance, best_guided
from agents.composing.latent.pieces import AROUND, pieces_at_points
from agents.composing.latent.points import Points
from agents.composing.masks import Demands, read_masks
from agents.composing.parts.exhaustive import search_exhaustively
from agents.composing.ranking import best_kept
from agents.composing.request import Request
from agents.composing.restyling import beginnings, restyle
from agents.composing.search import SearchResult, beam, best_known, best_of, masked
from agents.composing.theme import Theme
from envs.errors import did_you_mean
from envs.music.score import Score
from pretrained.infiller import only_fills
from rewards.sum import RewardSum

MOST_CELLS = 200_000_000  # that a request may look at: hours of one processor


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
        demands: rules that every piece keeps, by name.
        style: name of the prior, for reports.
    """

    request: Request
    page: Score
    reward: RewardSum
    network: Any
    mask: Sequence[str]
    chooses: bool
    demands: Demands
    style: str = ""

    def require_bounded(self, field: str, tries: int) -> None:
        """Raise ValueError if a field of the request asks for too many pieces or ways to go on."""
        request, cells = self.request, tries * self.page.task.steps
        if cells > MOST_CELLS:
            raise ValueError(
                f"{field}={getattr(request, field)}: method {request.method} would look at "
                f"{cells:,} cells for n={request.n}, expected at most {MOST_CELLS:,}; ask for less"
            )


@dataclass(frozen=True)
class DecodingMethod:
    """A way to fill a page.

    Attributes:
        fill: returns finished pieces, best first where it ranks them.
        network: the network that it uses: the trained policy, the prior it began with, or none.
        infill: does so with an `Infiller` for a network; None if the method needs a prior.
    """

    fill: Callable[[Search], SearchResult]
    network: Literal["policy", "prior", ""] = "prior"
    infill: Callable[[Search], SearchResult] | None = None


def _draw(search: Search) -> SearchResult:
    request, page, reward, network = search.request, search.page, search.reward, search.network
    mask = read_masks(search.mask, reward) if search.mask else None
    draw = request.seed, request.temperature
    if isinstance(request.given, Theme):
        search.require_bounded("n", request.n * beginnings(request.given))
        pieces = page.task, request.n
        return restyle(request.given, network, reward, *pieces, *draw, name=search.style)
    if search.demands or search.chooses:
        search.require_bounded("candidates", request.n * request.candidates)
        demands = {**(mask.terms if mask else {}), **search.demands}
        numbers = request.n, request.candidates, *draw
        return best_kept(network, page.take([0]), demands, reward, *numbers)
    if mask is not None:  # the policy learned behind it, and plays behind it
        return masked(network, page, mask, *draw, reward)
    return best_of(network, page, reward, 1, *draw)


def _infill(search: Search) -> SearchResult:
    request, network, reward = search.request, search.network, search.reward
    page, draw = search.page.take([0]), (request.seed, request.temperature)
    if not (search.demands or search.chooses):
        return filled(network, page, reward, request.n, *draw)
    search.require_bounded("candidates", request.n * request.candidates)
    numbers = request.n, request.candidates, *draw
    return best_filled(network, page, search.demands, reward, *numbers)


def _infill_best(search: Search) -> SearchResult:
    request = search.request
    search.require_bounded("best_of", request.n * request.best_of)
    draw = request.n, request.best_of, request.seed, request.temperature
    return best_filled(search.network, search.page.take([0]), search.demands, search.reward, *draw)


def _guide(search: Search) -> SearchResult:
    request = search.request
    tries = request.n * request.candidates * request.calls
    search.require_bounded("calls", tries)
    draw = request.n, request.candidates, request.seed, request.temperature
    settings = Guidance(calls=request.calls)
    page = search.page.take([0])
    return best_guided(search.network, page, search.demands, search.reward, *draw, settings)


def _needs_infiller(search: Search) -> SearchResult:
    raise ValueError(
        f"method {search.request.method} guides a model that fills cells in any order, which "
        f"{search.style} does not; expected one such as 'diffusion' (prior=, --prior)"
    )


def _draw_best(search: Search) -> SearchResult:
    request = search.request
    search.require_bounded("best_of", request.n * request.best_of)
    draw = request.best_of, request.seed, request.temperature
    if search.demands:
        page = search.page.take([0])
        return best_kept(search.network, page, search.demands, search.reward, request.n, *draw)
    return best_of(search.network, search.page, search.reward, *draw)


def _draw_masked(search: Search) -> SearchResult:
    request, rules = search.request, read_masks(search.request.mask, search.reward)
    draw = request.seed, request.temperature
    if search.demands:
        pieces, numbers = search.page.take([0]), (request.n, 1, *draw)
        return best_kept(search.network, pieces, search.demands, search.reward, *numbers, rules)
    return masked(search.network, search.page, rules, *draw, search.reward)


def _beam(search: Search) -> SearchResult:
    request, page = search.request, search.page.take([0])
    search.require_bounded("width", request.width * page.allowed().size)
    ways = {"n": request.n, "guide": search.network, "demands": search.demands}
    return beam(page, search.reward, request.width, **ways)


def _beam_behind_each(search: Search) -> SearchResult:
    request, page = search.request, search.page.take([0])
    search.require_bounded("width", request.width * page.allowed().size ** 2)
    return best_known(page, search.reward, request.width, request.n, search.demands)


def _exhaust(search: Search) -> SearchResult:
    request, page = search.request, search.page.take([0])
    search.require_bounded("candidates", request.n * request.candidates)
    numbers = request.n, request.candidates, request.seed, request.temperature
    return search_exhaustively(search.network, page, search.demands, search.reward, *numbers)


def _at_points(search: Search) -> SearchResult:
    request = search.request
    search.require_bounded("candidates", request.n * request.candidates * AROUND)
    numbers = request.n, request.candidates, request.seed, request.temperature
    page = search.page.take([0])
    return pieces_at_points(request.given, page, search.demands, search.reward, *numbers)


AT_POINTS = DecodingMethod(_at_points, "")  # of what is given, whatever the method
METHODS = {
    "sample": DecodingMethod(_draw, "policy", _infill),
    "prior": DecodingMethod(_draw, infill=_infill),
    "best-of-n": DecodingMethod(_draw_best, infill=_infill_best),
    "masked": DecodingMethod(_draw_masked),
    "beam": DecodingMethod(_beam, ""),
    "guided-beam": DecodingMethod(_beam, "policy"),
    "best-known": DecodingMethod(_beam_behind_each, ""),
    "exhaustive": DecodingMethod(_exhaust),
    "guided-infill": DecodingMethod(_needs_infiller, infill=_guide),
}


def fill(search: Search) -> SearchResult:
    """Fill a page by the method of its request, with whatever its network is.

    Raises:
        ValueError: the method cannot use a network of this kind, or as the method.
    """
    name, network = search.request.method, search.network
    method = method_of(search.request)
    if not only_fills(network):
        return method.fill(search)
    if method.infill is None or isinstance(search.request.given, Theme):
        what = "a theme is restyled" if method.infill else f"method {name} writes"
        ways = ", ".join(each for each, way in METHODS.items() if way.infill)
        raise ValueError(
            f"{what} cell by cell, which {search.style} does not; expected a prior, such as "
            f"'melody', or one of the methods {ways}"
        )
    return method.infill(search)


def method_of(request: Request) -> DecodingMethod:
    """Return the method of a request.

    Raises:
        ValueError: there is none of its name, or it cannot do what is asked.
    """
    name = request.method
    if name not in METHODS:
        raise ValueError(
            f"unknown method {name!r}.{did_you_mean(name, METHODS)} Known: {', '.join(METHODS)}"
        )
    if isinstance(request.given, Points):
        if name not in ("sample", "prior"):
            raise ValueError(
                f"method={name}: pieces near a theme or between two are drawn from the latent "
                "model; leave the method out"
            )
        return AT_POINTS
    if isinstance(request.given, Theme):
        if name != "prior":
            raise ValueError(
                f"method={name}: a theme is written in the style of the prior; expected "
                "method='prior'"
            )
        for field in ("must", "wishes", "wish", "primer"):
            if getattr(request, field):
                raise ValueError(
                    f"{field}: cannot be asked for with a theme, which is held to its budget and "
                    f"to what `keep` names; leave {field} out"
                )
    return METHODS[name]
