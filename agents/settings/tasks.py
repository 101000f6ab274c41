"""Tasks in settings: words, tables and the defaults of an environment's id become a Task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from envs.errors import quoted
from envs.music.task import Task
from envs.values import parse_assignment
from rewards.spec import as_text

if TYPE_CHECKING:
    from gymnasium.envs.registration import EnvSpec

T = TypeVar("T")
MOST = 256  # tasks of --vary
NAMES = tuple(field.name for field in fields(Task))
OF_THE_RUN = ("num_envs", "reward", "render_mode", "autoreset_mode")


def unique(entries: Iterable[tuple[str, T]], table: str) -> dict[str, T]:
    """Return entries as a dict; ValueError if a name is given twice."""
    result: dict[str, T] = {}
    for name, value in entries:
        if name in result:
            raise ValueError(f"{table} {quoted(name)} is given twice; expected it once")
        result[name] = value
    return result


def is_known(env: str) -> bool:
    """True if the defaults of an environment's id can be read without importing its module."""
    from gymnasium.envs.registration import registry

    return ":" not in env or env.rpartition(":")[2] in registry


def find_spec(env: str) -> EnvSpec:
    """Return what is registered under an environment's id; `module:My-v0` imports its module.

    Raises:
        ValueError: an unknown id, or a module that cannot be imported.
    """
    import gymnasium

    import envs  # noqa: F401  (registers the ids)

    module, _, name = env.rpartition(":")
    try:
        if module and not is_known(env):
            import_module(module)
        return gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(f"--env {quoted(env)}: {error}") from None


def default_task(env: str) -> Task:
    """Return the task that an environment's id sets by itself, without building the environment.

    Raises:
        ValueError: as `find_spec`.
    """
    spec = find_spec(env)
    return Task(**{name: value for name, value in spec.kwargs.items() if name in NAMES})


def arguments_of(words: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a task that words name=value name.

    Raises:
        ValueError: a word that is no name=value, or a name given twice.
    """
    return unique(map(parse_assignment, words), "task argument")


def read_task(arguments: Mapping[str, Any] | Sequence[str], base: Task) -> Task:
    """Return a task with some of its fields replaced.

    Args:
        arguments: the fields by name, or words name=value.
        base: has the fields that are not named.

    Raises:
        ValueError: a word that is no name=value, a name given twice, or a value out of range.
        TypeError: an unknown name, or a value of another type.
    """
    from envs.composition import make_task

    if isinstance(arguments, str) or not isinstance(arguments, Iterable):
        raise TypeError(f"task={quoted(arguments)}: expected a Task, or its fields by name")
    if not isinstance(arguments, Mapping):
        arguments = arguments_of(arguments)
    for name in arguments:
        if name in OF_THE_RUN:
            raise ValueError(f"--task: {name!r} is no part of the task; see --help")
    return make_task(arguments, base)


def starting_task(env: str) -> Task:
    """Return the `default_task` of an id, or that of no id where a module would be imported."""
    return default_task(env) if is_known(env) else Task()


def changed_fields(task: Task, base: Task | None) -> dict[str, Any]:
    """Return the fields in which a task differs from another, all if there is none, as for TOML."""
    found: dict[str, Any] = {}
    for name in NAMES:
        value = getattr(task, name)
        if value != getattr(base, name) if base else value not in ("", ()):
            found[name] = value if isinstance(value, (int, str, tuple)) else str(value)
    if "given" in found:
        found["given"] = [list(row) for row in task.given]
    return found


def as_table(task: Task, env: str) -> dict[str, Any]:
    """Return the fields that make a task of that of its environment's id, all if it is unknown."""
    return changed_fields(task, default_task(env) if is_known(env) else None)


def as_words(task: Task, env: str) -> tuple[str, ...]:
    """Return the words name=value that make a task of that of its environment's id."""
    return tuple(as_text(name, value) for name, value in as_table(task, env).items())


def variants(vary: Sequence[str]) -> list[tuple[str, ...]]:
    """Return all combinations of task arguments, each given as name=value|value|...

    Raises:
        ValueError: no '=', an argument given twice, or more combinations than MOST.
    """
    named: dict[str, list[str]] = {}
    for text in vary:
        parse_assignment(text)  # says what is wrong with it
        name, _, values = text.partition("=")
        if name in named:
            raise ValueError(f"vary: {name} is given twice; expected name=value|value|...")
        named[name] = [f"{name}={value}" for value in values.split("|")]
    count = prod(map(len, named.values()))
    if count > MOST:
        raise ValueError(f"vary: {quoted(count)} tasks, expected at most {MOST}")
    return list(product(*named.values()))


def varied_tasks(vary: Sequence[str], base: Task) -> tuple[Task, ...]:
    """Return the tasks that a run learns on, each with some fields of `base` replaced.

    Raises:
        ValueError, TypeError: as `variants` and `read_task`, or tasks that one policy cannot
            serve, as their vocabularies or voices differ.
    """
    tasks = tuple(read_task(words, base) for words in variants(vary))
    if len({(task.codec, task.voices) for task in tasks}) > 1:
        raise ValueError(
            "vary: these tasks need different vocabularies or voices; expected one range, grid and "
            "number of voices"
        )
    return tasks


def shares(tasks: Sequence[Task], n: int) -> list[tuple[Task, int]]:
    """Return tasks with their numbers of pieces, of `n` in all, divided as evenly as possible.

    Where there are fewer pieces than tasks, each is of another task, see `spread`.
    """
    if n < len(tasks):
        return [(task, 1) for task in spread(tasks, n)]
    least, more = divmod(n, len(tasks))
    return [(task, least + (number < more)) for number, task in enumerate(tasks)]


def spread(tasks: Sequence[Task], n: int) -> list[Task]:
    """Return `n` tasks, each as unlike those before it as one of `tasks` can be.

    The first is the first of `tasks`. The next one is that whose fields have the values which were
    taken least often, the earlier one of equals.
    """
    varied = [name for name in NAMES if len({getattr(task, name) for task in tasks}) > 1]
    taken: Counter[tuple[str, Any]] = Counter()
    found: list[Task] = []

    def fields_of(task: Task) -> list[tuple[str, Any]]:
        return [("task", task), *((name, getattr(task, name)) for name in varied)]

    while len(found) < n:
        best = min(tasks, key=lambda task: sum(taken[each] for each in fields_of(task)))
        taken.update(fields_of(best))
        found.append(best)
    return found


def differences(tasks: Sequence[Task]) -> str:
    """Return the fields in which tasks differ, with their values, in words."""
    values = {name: dict.fromkeys(str(getattr(task, name)) for task in tasks) for name in NAMES}
    return "; ".join(f"{name} {', '.join(v)}" for name, v in values.items() if len(v) > 1)
