"""Algorithm: how one is declared, with settings of its own; and the table of those that are known.

The table is filled when `agents` is imported, see `agents.algorithms.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

from envs.checked import Checked
from envs.checked import bounded as bounded  # here as algorithms of one's own import them
from envs.checked import one_of as one_of
from envs.errors import unknown

if TYPE_CHECKING:
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


@dataclass(frozen=True)
class Settings(Checked):
    """The settings that one algorithm has and others do not; a subclass adds fields.

    Its docstring explains each of them in a section `Attributes:`, which `--help` shows.
    """


@dataclass(frozen=True)
class Algorithm:
    """A way to learn. Adding one to ALGORITHMS makes it known to the verbs and to settings files.

    Attributes:
        name: as --algo takes it.
        says: what it is, in a few words.
        make: builds the SB3 algorithm of its settings and of the arguments that all of them take,
            see `agents.algorithms.registry.make`.
        settings: a dataclass of the settings that it has besides those of TrainConfig.
        space: what `python -m agents.tune` searches: (low, high) or a list of values by setting.
        kl_budget: whether c of its objective may be turned while it learns.
        mask: whether it can act behind masks.
        tasks: whether it can learn on several tasks.
        check: raises ValueError for a TrainConfig that it cannot follow.
        note: returns what a TrainConfig has without effect on it, in words; '' for nothing.
    """

    name: str
    says: str
    make: Callable[[Any, dict[str, Any]], OnPolicyAlgorithm]
    settings: type[Settings] = Settings
    space: Mapping[str, Any] = field(default_factory=dict)
    kl_budget: bool = False
    mask: bool = False
    tasks: bool = False
    check: Callable[[Any], None] = lambda config: None
    note: Callable[[Any], str] = lambda config: ""


ALGORITHMS: dict[str, Algorithm] = {}


def register(algorithm: Algorithm) -> Algorithm:
    """Make an algorithm known."""
    ALGORITHMS[algorithm.name] = algorithm
    return algorithm


def find_algorithm(name: str) -> Algorithm:
    """Return the algorithm of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, ALGORITHMS)
    return ALGORITHMS[name]


def names_with(ability: str) -> list[str]:
    """Return the names of the algorithms with an ability: kl_budget, mask or tasks."""
    return [name for name, algorithm in ALGORITHMS.items() if getattr(algorithm, ability)]


@dataclass(frozen=True)
class Shared:
    """A setting that some algorithms have.

    Attributes:
        field: of the first algorithm that has it.
        kind: its type.
        says: what its docstring says of it.
        algorithms: names of those that have it.
    """

    field: Field[Any]
    kind: Any
    says: str
    algorithms: tuple[str, ...]


@lru_cache(maxsize=64)
def _described(docstring: str) -> dict[str, str]:
    """Return what a docstring says of attributes, by name."""
    from docstring_parser import parse

    return {each.arg_name: each.description or "" for each in parse(docstring).params}


def algorithm_settings() -> dict[str, Shared]:
    """Return the settings that algorithms have of their own, by name."""
    found: dict[str, Shared] = {}
    for name, algorithm in ALGORITHMS.items():
        kinds = get_type_hints(algorithm.settings)
        says: dict[str, str] = {}
        for kind in algorithm.settings.__mro__:
            says |= _described(kind.__doc__ or "")
        for each in fields(algorithm.settings):
            own = Shared(each, kinds[each.name], says.get(each.name, ""), ())
            first = found.get(each.name, own)
            found[each.name] = replace(first, algorithms=(*first.algorithms, name))
    return found
