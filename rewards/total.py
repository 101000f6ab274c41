"""The weighted sum of reward terms.

build("rl_tuner")                                  # a pack: the nine reference rules
build({"rl_tuner": 0.5, "prior": 1.0})             # scaled, with the prior's log-likelihood
build({"leap_recovery": {"weight": 0.5, "min_leap": 7}, "my_rewards.py:smooth": 0.3})
"""

from __future__ import annotations

import functools
import inspect
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.contract import RewardError, RewardFunction, RewardSpec, place_of, resolve
from envs.panel import noise
from envs.probes import Trial, is_causal
from envs.score import Score
from envs.task import Task
from envs.theory import did_you_mean
from rewards import contour, form, harmony, melody, rhythm, rl_tuner  # noqa: F401  (registers)
from rewards.likelihood import Likelihood
from rewards.rule import REGISTRY

Values = npt.NDArray[np.float32]

PACKS = Path(__file__).parent / "packs"
# Cell-wise terms are scored a column of pieces at a time: enough pieces to be worth a numpy call,
# few enough for a column to stay in cache and the whole in memory.
CHUNK_PIECES, CHUNK_CELLS = 4096, 2**21
PROBED_CELLS = 2**13  # written anew to look for look-ahead before a run
PRIOR = "prior"  # name of the likelihood term
FACTORIES: Mapping[str, Callable[..., RewardFunction]] = {PRIOR: Likelihood}


@dataclass(frozen=True)
class Term:
    """One summand: a reward function and its weight. A rule's violation counts against it."""

    name: str
    fn: RewardFunction
    weight: float = 1.0

    @property
    def factor(self) -> float:
        """What the function's value is multiplied by."""
        return -self.weight if getattr(self.fn, "violation", False) else self.weight

    @property
    def cellwise(self) -> bool:
        """Whether the function may be asked at one cell, see `envs.contract.cellwise`."""
        return bool(getattr(self.fn, "cellwise", False))

    def raw(self, score: Score) -> npt.NDArray[Any]:
        """The function's value, checked: (B, V, T) or (B,).

        Raises:
            RewardError: it raised, or gave a wrong type, shape or a number that is not finite.
        """
        try:
            value = self.fn(score)
        except (Exception, SystemExit) as error:  # whatever it raises, name the term
            raise RewardError(f"reward term {self.name!r} {_told(error, self.fn)}") from error
        shape = score.tokens.shape
        if type(value) is not np.ndarray or value.dtype.kind not in "biuf":
            dtype = f" of {value.dtype}" if isinstance(value, np.ndarray) else ""
            raise RewardError(
                f"reward term {self.name!r} returned {type(value).__name__}{dtype}, expected a "
                f"numpy array of real numbers with shape {shape} per cell or {shape[:1]} per piece"
            )
        if value.shape not in (shape, shape[:1]):
            raise RewardError(
                f"reward term {self.name!r} returned shape {value.shape} for {shape[0]} pieces of "
                f"{shape[1]}x{shape[2]} cells; expected {shape} per cell or {shape[:1]} per piece"
            )
        if not np.isfinite(value).all():
            at = np.argwhere(~np.isfinite(value))[0]
            where = f"piece {at[0]}" + (f", cell {at[-1]}" if len(at) == 3 else "")
            raise RewardError(
                f"reward term {self.name!r} returned {value[tuple(at)]} for {where}; "
                "expected finite numbers"
            )
        return value

    @property
    def _ships(self) -> bool:
        """Whether it is one of ours, which the tests have tried."""
        inner = self.fn.func if isinstance(self.fn, functools.partial) else self.fn
        return inner in REGISTRY.values() or isinstance(inner, Likelihood)

    @functools.cached_property
    def _kinds(self) -> dict[Task, bool]:
        return {}

    def is_per_piece(self, task: Task) -> bool:
        """Whether the function gives one number a piece; asked once a task, on pieces of noise.

        Raises:
            RewardError: it failed, or its value at a cell depends on cells written later.
        """
        if task not in self._kinds:
            value = self.raw(noise(task, 0))
            self._kinds[task] = value.ndim == 1
            if value.ndim == 1 and self.cellwise:
                raise RewardError(
                    f"reward term {self.name!r} is marked cellwise but returned one number per "
                    "piece; leave the mark out"
                )
            if value.ndim == 3 and not self._ships:
                said = is_causal(Trial(self, task, PROBED_CELLS))
                if said:
                    raise RewardError(f"reward term {self.name!r} {said}")
        return self._kinds[task]

    def _weigh(self, value: npt.NDArray[Any]) -> Values:
        with np.errstate(over="ignore", invalid="ignore"):
            paid = (value * self.factor + 0.0).astype(np.float32)  # + 0.0 turns -0.0 into 0.0
        if not np.isfinite(paid).all():
            raise RewardError(
                f"reward term {self.name!r} is too large for a float32 with weight {self.weight:g}"
            )
        return paid

    def newest(self, score: Score) -> Values:
        """Weighted value (B,) at the last written cell; a per-piece value at the piece's end."""
        if self.cellwise:
            value = self.raw(score.newest)[:, 0, 0]
        elif not score.finished and self.is_per_piece(score.task):
            return np.zeros(score.batch, np.float32)
        else:
            value = self.raw(score)
            time, voice = divmod(score.n_written - 1, score.task.voices)
            value = value if value.ndim == 1 else value[:, voice, time]
        return self._weigh(value)

    def whole(self, score: Score) -> Values:
        """Weighted value (B, V, T) of finished pieces."""
        size = score.batch
        if self.cellwise:
            size = max(1, min(CHUNK_PIECES, CHUNK_CELLS // score.task.steps))
        parts = []
        for part in score.chunks(size):
            value = self.raw(part)
            if value.ndim == 1:
                paid = np.zeros(part.tokens.shape, np.float32)
                paid[:, -1, -1] = value
                value = paid
            parts.append(self._weigh(value))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _told(error: BaseException, fn: Any) -> str:
    """What a function did that raised, and where."""
    where = place_of(error, fn)
    if isinstance(error, ValueError) and "read-only" in str(error):
        return (
            f"writes into the score {where}, which others read too: its arrays are read-only. "
            "Write into a copy, such as score.pitch.copy()"
        )
    return f"raised {type(error).__name__}: {error} {where}"


class RewardSum:
    """Terms by name, and their sum: itself a reward function.

    Args:
        terms: the summands; names must differ.
    """

    def __init__(self, terms: list[Term]) -> None:
        names = [term.name for term in terms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"reward term {twice[0]!r} is given twice; expected it once")
        if not terms:
            raise ValueError("a reward needs at least one term, such as rl_tuner=1")
        hidden = [name for name in names if name.startswith("_")]
        if hidden:
            raise ValueError(f"reward term {hidden[0]!r}: a name may not begin with '_'")
        self.terms: Mapping[str, Term] = MappingProxyType({term.name: term for term in terms})

    def __getstate__(self) -> list[Term]:
        return list(self.terms.values())

    def __setstate__(self, terms: list[Term]) -> None:
        self.terms = MappingProxyType({term.name: term for term in terms})

    def __call__(self, score: Score) -> Values:
        """Sum (B, V, T) of the weighted terms on finished pieces."""
        return total(self.breakdown(score))

    def divided(self, c: float) -> RewardSum:
        """The sum with every term but the prior's divided by c."""
        if c == 1.0:
            return self
        terms = self.terms.values()
        return RewardSum(
            [t if t.name == PRIOR else Term(t.name, t.fn, t.weight / c) for t in terms]
        )

    def prepare(self, task: Task) -> None:
        """Try every term on two pieces of noise, so that a fault shows before the work begins.

        Raises:
            RewardError: a term fails, breaks the protocol, or looks ahead.
            ValueError: a prior of another codec.
        """
        for term in self.terms.values():
            if isinstance(term.fn, Likelihood):
                term.fn.require(task)
            term.is_per_piece(task)

    def breakdown(self, score: Score) -> dict[str, Values]:
        """Weighted value (B, V, T) of each term on finished pieces.

        Raises:
            RewardError: a term failed.
            ValueError: the pieces are not finished.
        """
        if not score.finished:
            raise ValueError("only finished pieces are scored whole; use newest() step by step")
        return {name: term.whole(score) for name, term in self.terms.items()}

    def newest(self, score: Score) -> dict[str, Values]:
        """Weighted value (B,) of each term at the last written cell.

        Raises:
            RewardError: a term failed.
        """
        return {name: term.newest(score) for name, term in self.terms.items()}


def total(parts: Mapping[str, Values], c: float = 1.0) -> Values:
    """Sum of the terms' values, in their order, in float32; all but the prior's divided by c."""
    if c == 1.0:
        return functools.reduce(np.add, parts.values())
    shares = {n: v if n == PRIOR else v / np.float32(c) for n, v in parts.items()}
    return functools.reduce(np.add, shares.values())


def read_pack(name: str) -> dict[str, Any]:
    """Terms of a pack that ships, as {spec: weight}."""
    with (PACKS / f"{name}.toml").open("rb") as file:
        pack: dict[str, Any] = tomllib.load(file)["reward"]
    return pack


def pack_names() -> list[str]:
    """Packs that ship."""
    return sorted(path.stem for path in PACKS.glob("*.toml"))


def find(spec: str) -> RewardFunction:
    """A reward function by built-in name, 'module:attribute' or 'file.py:attribute'.

    Raises:
        ValueError: no such thing; or what is found cannot be called.
    """
    if spec in REGISTRY:
        return REGISTRY[spec]
    if spec.endswith(".py"):
        raise ValueError(f"reward {spec!r} names a file; expected {spec}:function")
    if ":" not in spec:
        known = [*REGISTRY, *FACTORIES, *pack_names()]
        raise ValueError(
            f"unknown reward {spec!r}.{did_you_mean(spec, known)} "
            f"Your own functions are written 'module:function' or 'file.py:function'. "
            f"Built in: {', '.join(known)}"
        )
    fn = resolve(spec)
    if isinstance(fn, type):
        raise ValueError(
            f"reward {spec!r} is a class; expected an instance of it, such as one that the file "
            f"makes by mine = {fn.__name__}()"
        )
    if not callable(fn):
        raise ValueError(f"reward {spec!r} is {type(fn).__name__}, expected a function of a Score")
    return fn


def read_setting(name: str, setting: Any) -> tuple[float, dict[str, Any]]:
    """Weight and parameters of a term from a number or {"weight": w, parameter: value, ...}.

    Raises:
        ValueError: the weight is no finite number.
    """
    params = dict(setting) if isinstance(setting, Mapping) else {"weight": setting}
    weight = params.pop("weight", 1.0)
    number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not number or not math.isfinite(weight):
        raise ValueError(f"reward {name!r}: weight {weight!r}, expected a finite number")
    return float(weight), params


def make_term(spec: str | RewardFunction, setting: Any) -> Term:
    """One term from its spec and its weight, or {"weight": w, parameter: value, ...}.

    With "normalize": True beside the weight it is a `rewards.normalize.Normalized` term.

    Raises:
        ValueError, TypeError: unknown reward or parameter, or a weight that is no finite number.
    """
    name = spec if isinstance(spec, str) else getattr(spec, "__name__", type(spec).__name__)
    weight, params = read_setting(name, setting)
    normalize = params.pop("normalize", False)
    if not isinstance(normalize, bool) or (normalize and spec in FACTORIES):
        raise ValueError(
            f"reward {name!r}: normalize={normalize!r}; expected true or false, and false for the "
            "prior, whose unit is the nat"
        )
    if isinstance(spec, str) and spec in FACTORIES:
        _check_parameters(name, FACTORIES[spec], params)
        return Term(name, FACTORIES[spec](**params), weight)
    fn = find(spec) if isinstance(spec, str) else spec
    _check_parameters(name, fn, params)
    fn = _bind(fn, params) if params else fn
    if normalize:
        from rewards.normalize import Normalized  # brings Stable-Baselines3 with it

        fn = Normalized(fn)
    return Term(name, fn, weight)


def _bind(fn: RewardFunction, params: dict[str, Any]) -> RewardFunction:
    """The function with its parameters set, still a rule if it was one."""
    bound = functools.partial(fn, **params)
    functools.update_wrapper(bound, fn)
    return bound


def _check_parameters(name: str, fn: Callable[..., Any], params: dict[str, Any]) -> None:
    if not params:
        return
    first, *others = inspect.signature(fn).parameters.values()
    takes_score = first.kind is not first.KEYWORD_ONLY  # a factory takes none
    named = (first.KEYWORD_ONLY, first.POSITIONAL_OR_KEYWORD)
    known = [p.name for p in ([] if takes_score else [first]) + others if p.kind in named]
    for param in params:
        if param not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise ValueError(
                f"reward {name!r} has no parameter {param!r}.{did_you_mean(param, known)} "
                f"Beside its weight {takes}"
            )
    for other in others:
        value, default = params.get(other.name, other.default), other.default
        number = isinstance(default, (int, float)) and not isinstance(default, bool)
        if number and (not isinstance(value, (int, float)) or isinstance(value, bool)):
            raise ValueError(
                f"reward {name!r}: {other.name}={value!r}, expected a number such as {default!r}"
            )


def build(spec: RewardSpec | RewardSum) -> RewardSum:
    """A reward sum from a name, a function, or a mapping of names to weights.

    A pack's name stands for its terms, each weight multiplied by the pack's; a term named beside
    its pack takes the place of the pack's.

    Raises:
        ValueError, TypeError: as `make_term`; or a term given twice.
    """
    if isinstance(spec, RewardSum):
        return spec
    if isinstance(spec, str) or callable(spec):
        spec = {spec: 1.0}  # type: ignore[dict-item]
    if not isinstance(spec, Mapping):
        raise TypeError(
            f"a reward is a name, a function or a mapping of names to weights, got {spec!r}"
        )
    packs, terms = pack_names(), []
    for name, setting in spec.items():
        if isinstance(name, str) and name in packs:
            scale, params = read_setting(name, setting)
            if params:
                raise ValueError(f"pack {name!r} takes a weight only, got {sorted(params)[0]!r}")
            for inner, value in read_pack(name).items():
                if inner not in spec:
                    term = make_term(inner, value)
                    terms.append(Term(term.name, term.fn, term.weight * scale))
        else:
            terms.append(make_term(name, setting))
    return RewardSum(terms)
