"""The library behind `python -m agents.compose`: networks and a reward that compose on request."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from agents.composing.asked import asked_demands, given_as_it_returns, in_words
from agents.composing.decoding import METHODS, Search, fill, method_of
from agents.composing.latent.points import Points
from agents.composing.masks import read_demands
from agents.composing.melody import Melody, melodies_of
from agents.composing.request import Request, require_kind
from agents.composing.theme import name_of
from agents.runs.directory import Run
from agents.runs.run_lock import CONFIG
from agents.settings.config import TrainConfig
from agents.settings.tasks import arguments_of
from agents.settings.trust import require_trust
from envs.contract import RewardSpec
from envs.errors import did_you_mean
from envs.music.piece import require_tempo
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import parse_voices
from envs.notation.writing.writers import TEMPO
from envs.primer import primed
from pretrained.checkpoint import SHIPPED, load_model, locate
from pretrained.infiller import Infiller, only_fills
from pretrained.networks.regrid import on_grid
from pretrained.prior import Prior, hears_ahead, hears_one_line
from rewards.build import build
from rewards.objective import PRIOR as PRIOR_TERM
from rewards.objective import Objective
from rewards.spec import with_checkpoint
from rewards.sum import RewardSum

if TYPE_CHECKING:
    Network = Prior | Infiller | Run | str | os.PathLike[str]

MELODY = "composition/Melody-v0"  # the environment of melodies that are asked for in words
AGENT = "composer"  # checkpoint of the agent that ships, trained by --preset composer
# The reward by which it is ranked, and the prior that knows of modes, phrases and ends. Likelihood
# only decides between melodies that keep the rules equally well: the likeliest one is dull.
STYLE = {"common_practice": 1.0, "prior": 0.02}
PRIOR = "melody"
RANGE = {"low": "C4", "high": "A5"}  # of a melody, if nothing is said
CHANGES = ("env", "task", "reward", "prior", "c", "mask")  # settings that composing depends on


class Composer:
    """Networks and a reward that compose what a request asks for; safe to share among threads.

    Args:
        prior: from which melodies are drawn; a checkpoint's name or path is loaded when needed.
        objective: what is sought; or a reward, as `rewards.build.build` takes it. The likelihood
            of a reward is that of `prior`, unless the reward names another checkpoint.
        policy: a trained network, likewise, or the run that has it; None if there is none.
        task: where a request leaves it open; four bars of C major if None.
        mask: rules that the policy learned behind, by name.
        chooses: draw several candidates even where a request asks for nothing, and keep the best.

    Attributes:
        notes: what has changed since the run began that the networks come from.

    Raises:
        ValueError, TypeError: a reward that cannot be built.
    """

    def __init__(
        self,
        prior: Network,
        objective: Objective | RewardSpec | RewardSum,
        *,
        policy: Network | None = None,
        task: Task | None = None,
        mask: Sequence[str] = (),
        chooses: bool = True,
    ) -> None:
        self.prior, self.policy = prior, policy
        if not isinstance(objective, Objective):
            objective = Objective(_reward(objective, prior))
        self.objective: Objective = objective
        self.task = task or Task(bars=4)
        self.mask, self.chooses = tuple(mask), chooses
        self.notes: tuple[str, ...] = ()

    @classmethod
    def load(
        cls,
        name: str | os.PathLike[str] | Run | None = None,
        *,
        trust: bool = False,
        **changes: Any,
    ) -> Composer:
        """Load the composer of a run directory, or of a checkpoint: a file or one that ships.

        Args:
            name: of them; a directory is a run's if it has a config.toml. The agent that ships if
                None, whatever lies in the working directory.
            trust: run the code that a run's settings name, such as rewards of its author's own.
            changes: fields of `agents.settings.TrainConfig` in place of the run's: env, task,
                reward, prior, c and mask.

        Raises:
            FileNotFoundError: there is no such checkpoint.
            ValueError: a run names code and is not trusted; or as TrainConfig.
            TypeError: a change of another name.
        """
        for change in changes:
            if change not in CHANGES:
                raise TypeError(
                    f"{change} has no effect on a composer.{did_you_mean(change, CHANGES)} "
                    f"Expected changes of {', '.join(CHANGES)}"
                )
        if name is None:
            return cls._of_checkpoint(SHIPPED / f"{AGENT}.safetensors", changes)
        if not isinstance(name, Run) and not (Path(name) / CONFIG).is_file():
            return cls._of_checkpoint(locate(name), changes)
        run = name if isinstance(name, Run) else Run(name)
        own = require_trust(run.read_config(trust), run.config_file, trust, changes)
        settings = own.changed(**changes)
        composer = cls.of(settings, run, chooses=changes.get("env") == MELODY)
        if settings.reward == own.reward:
            run.restore_reward(composer.objective.reward)
            composer.notes = tuple(run.changed(locate(settings.prior), composer.objective.reward))
        turns = run.turns() if settings.kl_budget and "c" not in changes else []
        if turns:
            composer.objective = composer.objective.with_c(turns[-1].c)
        return composer

    @classmethod
    def _of_checkpoint(cls, policy: Path, changes: dict[str, Any]) -> Composer:
        """Return the composer of a checkpoint, with the style and range of the shipped agent.

        A prior that writes no piece cell by cell is not to be weighed: it takes the agent's place.
        """
        task = changes.get("task", ())
        if not isinstance(task, Task):
            task = dict(task if isinstance(task, Mapping) else arguments_of(task))
            task = task if task.get("ranges") else RANGE | task
        settings = TrainConfig(**{"env": MELODY, "prior": PRIOR, **changes, "task": task})
        reward = _reward(settings.terms if "reward" in changes else STYLE, settings.prior)
        fills = only_fills(_read(settings.prior))
        return cls(
            settings.prior,
            Objective(reward, settings.c),
            policy=settings.prior if fills else policy,
            task=settings.task,
            mask=settings.mask,
        )

    @classmethod
    def of(
        cls, settings: TrainConfig, policy: Network | None = None, chooses: bool = False
    ) -> Composer:
        """Return the composer of a training's settings, with or without a trained policy."""
        return cls(
            settings.prior,
            Objective(_reward(settings.terms, settings.prior), settings.c),
            policy=policy,
            task=settings.task,
            mask=settings.mask,
            chooses=chooses,
        )

    def compose(
        self, request: Request | None = None, *, tempo: float | None = None, **keywords: Any
    ) -> list[Melody]:
        """Return the melodies of a request, as many as it asks for; best first where ranked.

        Args:
            request: what is asked for.
            tempo: of the melodies, 10 to 400 beats per minute; if None that of the piece whose bars
                are given, or 80.
            keywords: those of `Request`, in its place.

        Raises:
            ValueError, TypeError: the request cannot be kept, or would take too long; says why.
            RewardError: a term of the reward fails or looks ahead.
        """
        if request is not None and keywords:
            raise TypeError(f"expected a request or keywords, got both: {', '.join(keywords)}")
        request = request or Request(**keywords)
        hint = 'a Request, or its keywords, as compose(key="D minor", bars=8)'
        require_kind("request", request, Request, hint)
        piece = request.piece
        title, own_tempo = (piece.title, piece.tempo) if piece else ("", None)
        tempo = (own_tempo or TEMPO) if tempo is None else tempo
        require_tempo(tempo)  # before the search, which takes a while
        method, task, objective = method_of(request), request.task_on(self.task), self.objective
        if request.wishes:  # a wish takes the place of a term of its name
            prior = objective.likelihood.prior if objective.likelihood else self.prior
            terms = {**objective.reward.terms, **_reward(request.wishes, prior).terms}
            objective = replace(objective, reward=RewardSum(list(terms.values())))
        demands = read_demands(request.must, objective.scaled, task)
        demands = asked_demands(request.demanded, demands, task)
        if "phrases" in request.demanded:
            task = given_as_it_returns(task)
        page = Score.page(task, request.n)
        if request.primer:
            page = primed(page, read_primer(request.primer, task))
        network = self._network(request.method) if method.network else None
        search = Search(
            request=request,
            page=page,
            reward=objective.scaled,
            network=network and _loaded(network, task),
            mask=self.mask if method.network == "policy" else (),
            chooses=self.chooses or request.chooses,
            demands=demands,
            style=_name(self.prior),
        )
        objective.reward.prepare(task)
        source = "" if network is None else _name(network)
        if isinstance(request.given, Points):
            source = request.given.name
        if task.given and search.network is not None:
            hears = "hears" if hears_ahead(search.network) else "does not hear"
            source += f", which {hears} what is given ahead"
        if task.voices > 1 and search.network is not None and hears_one_line(search.network):
            source += "; it writes each voice by itself, and none hears another"
        found, kept = fill(search), in_words(demands, task)
        return melodies_of(found, objective.reward, tempo, title, source, kept, request.method)

    def _network(self, method: str) -> Network:
        """Return the network that a method uses, before it is loaded."""
        network = self.policy if METHODS[method].network == "policy" else self.prior
        if network is None:
            others = ", ".join(other for other in METHODS if METHODS[other].network != "policy")
            raise ValueError(
                f"method {method} needs a policy: name a run directory; or ask in words, by key, "
                "meter or bars, for a melody of the agent that ships; or use another method: "
                f"{others}"
            )
        return network

    def __repr__(self) -> str:
        name, task = _name(self.policy or self.prior), self.task
        terms = ", ".join(self.objective.reward.terms)
        return f"<Composer of {name}: {task.key}, {task.meter}, {task.bars} bars; reward: {terms}>"


def _name(network: Network) -> str:
    """Return what a network is called: its run, or as `name_of` says."""
    return str(network.path) if isinstance(network, Run) else name_of(network)


def _loaded(network: Network, task: Task) -> Prior | Infiller:
    """Return a network that reads a task's grid.

    Raises:
        ValueError: it can neither write nor fill a page of the task.
    """
    found = _read(network)
    if isinstance(found, Infiller) and only_fills(found):
        found.require(task)
        return found
    return on_grid(cast("Prior", found), task)


def _read(network: Network) -> Prior | Infiller:
    """Return a network, loaded if it is a run or the name of a checkpoint."""
    source = _source(network)
    found = load_model(source) if isinstance(source, str) else source
    if not (only_fills(found) or hasattr(found, "step")):
        raise ValueError(
            f"{_name(network)} neither writes a piece cell by cell nor fills a page; expected a "
            "prior, such as 'melody'"
        )
    return cast("Prior | Infiller", found)


def _source(network: Network) -> Prior | Infiller | str:
    """Return a network, or the name or path of its checkpoint."""
    if isinstance(network, Run):
        network = network.saved_policy
    return os.fspath(network) if isinstance(network, os.PathLike) else network


def _reward(reward: RewardSpec | RewardSum, prior: Network) -> RewardSum:
    """Return the reward that is meant.

    Its likelihood is that of `prior` unless it names another, and of PRIOR where `prior` writes no
    piece cell by cell.
    """
    if reward == PRIOR_TERM:
        reward = {PRIOR_TERM: 1.0}
    if not isinstance(reward, Mapping) or PRIOR_TERM not in reward:
        return build(reward)
    likely = PRIOR if only_fills(_read(prior)) else _source(prior)
    return build(with_checkpoint(reward, likely))


def read_primer(line: str, task: Task) -> np.ndarray:
    """Return the tokens (V, L) with which a piece begins, from a line of notes.

    Raises:
        ValueError: no notes, notes outside the range, another number of voices, or no cell left
            to write.
    """
    voices, end = parse_voices(line, task.beat_cells)
    if len(voices) != task.voices:
        raise ValueError(
            f"primer has {len(voices)} voices and the piece {task.voices}; part them by ';'"
        )
    if not 0 < end < task.cells:
        raise ValueError(
            f"primer has {end} cells and the piece {task.cells}; expected notes shorter than the "
            "piece"
        )
    return np.stack([task.codec.encode(notes, end) for notes in voices])
