"""The weighted sum of reward terms.

build("rl_tuner")                                  # a pack: the nine reference rules
build({"rl_tuner": 0.5, "prior": 1.0})             # scaled, with the prior's log-likelihood
build({"leap_recovery": {"weight": 0.5, "min_leap": 7}, "my_rewards.py:smooth": 0.3})
"""

from __future__ import annotations

import inspect
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from envs.contract import RewardFunction, RewardSpec
from envs.errors import did_you_mean
from envs.plugins import resolve
from rewards.adaptive.adversary import Adversary
from rewards.adaptive.diversity_filter import DiversityFilter
from rewards.adaptive.zero_autocorrelation import ZeroAutocorrelation
from rewards.any_order import AnyOrderLikelihood
from rewards.likelihood import Likelihood, Surprise
from rewards.measures import traits  # noqa: F401  (registers)
from rewards.objective import PRIOR
from rewards.rule import OWN, REGISTRY, Rule, as_rule
from rewards.rules import (  # noqa: F401  (registers)
    contour,
    dissonance,
    form,
    harmony,
    melody,
    part_writing,
    plan,
    progressions,
    register,
    returns,
    rhythm,
    rl_tuner,
    species,
    voices,
)
from rewards.spec import with_files_read
from rewards.sum import RewardSum
from rewards.term import Term

PACKS = Path(__file__).parent / "packs"
FACTORIES: Mapping[str, Callable[..., RewardFunction]] = {
    PRIOR: Likelihood,
    "diffusion": AnyOrderLikelihood,
    "adversary": Adversary,
    "diversity": DiversityFilter,
    "surprise": Surprise,
    "zero_autocorrelation": ZeroAutocorrelation,
}


def read_pack(name: str) -> dict[str, Any]:
    """Return the terms of a pack that ships, as {spec: weight}."""
    with pack_files()[name].open("rb") as file:
        pack: dict[str, Any] = tomllib.load(file)["reward"]
    return pack


def pack_names() -> list[str]:
    """Return the names of the packs that ship, without those of former versions."""
    return sorted(path.stem for path in PACKS.glob("*.toml"))


def pack_files() -> dict[str, Path]:
    """Return the files of all packs by name; former versions are named such as 'folk_dance-1'."""
    return {path.stem: path for path in sorted(PACKS.glob("**/*.toml"))}


def find(spec: str) -> Rule:
    """Return a reward function by built-in name, 'module:attribute' or 'file.py:attribute'.

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
    return as_rule(fn)


def read_setting(name: str, setting: Any) -> tuple[float, dict[str, Any]]:
    """Return weight and parameters of a term from a number or {"weight": w, parameter: value, ...}.

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
    """Return one term from its spec and its weight, or {"weight": w, parameter: value, ...}.

    With "normalize": True beside the weight it is a `rewards.normalize.Normalized` term.

    Raises:
        ValueError, TypeError: unknown reward or parameter, or a weight that is no finite number.
    """
    name = spec if isinstance(spec, str) else as_rule(spec).name
    weight, params = read_setting(name, setting)
    normalize = params.pop("normalize", False)
    if not isinstance(normalize, bool) or (normalize and spec == PRIOR):
        raise ValueError(
            f"reward {name!r}: normalize={normalize!r}; expected true or false, and false for the "
            "prior, whose unit is the nat"
        )
    if isinstance(spec, str) and spec in FACTORIES:
        if spec in REGISTRY:
            raise ValueError(f"{spec!r} is the name of a term that ships; give your own another")
        _check_parameters(name, FACTORIES[spec], params)
        rule = as_rule(FACTORIES[spec](**params))
    else:
        rule = find(spec) if isinstance(spec, str) else as_rule(spec)
        _check_parameters(name, rule, params)
        rule = rule.bind(params)
    if normalize:
        from rewards.normalize import Normalized  # brings Stable-Baselines3 with it

        rule = as_rule(Normalized(rule))
    return Term(name, rule, weight)


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
    """Return a reward sum from a name, a function, or a mapping of names to weights.

    A pack's name stands for its terms, each weight multiplied by the pack's; a term named beside
    its pack takes the place of the pack's. A file such as taste.toml stands for the terms of its
    table [reward] in the same way.

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
    packs, terms, spec = pack_files(), [], with_files_read(spec)
    for name, setting in spec.items():
        if isinstance(name, str) and name in packs:
            scale, params = read_setting(name, setting)
            if params:
                raise ValueError(f"pack {name!r} takes a weight only, got {sorted(params)[0]!r}")
            for inner, value in read_pack(name).items():
                if inner not in spec:
                    term = make_term(inner, value)
                    terms.append(replace(term, weight=term.weight * scale))
        else:
            terms.append(make_term(name, setting))
    OWN.update({term.name: term.rule for term in terms if not term.rule.ships})
    return RewardSum(terms)
