"""Rules: reward functions with what is known of them, and the registry of those with a name.

A rule gives a violation in [0, 1] for each cell; a reward sum takes its weight off. Other
registered functions are rewards of any sign, and a weight multiplies them.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.contract import RewardFunction
from envs.music.score import Score
from envs.music.task import Task
from envs.music.voices.pairs import pairs

NOTE_NAMES = ("note", "previous", "before", "first", "lowest", "highest", "start", "turn")
PAIR_NAMES = ("voice", "other", "other_voice", "other_previous")
COUNTS = ("steps", "moves", "pitches", "climax")  # numbers in messages
# Attributes by which a foreign callable may say what it is, and what each has to be.
MARKS: Mapping[str, Any] = {
    **dict.fromkeys(("says", "source", "needs", "twin"), str),
    **dict.fromkeys(("cellwise", "violation", "verdict"), bool),
    **dict.fromkeys(("lost", "forced", "require"), Callable),
    "defaults": Mapping,
}


@dataclass(frozen=True, eq=False, repr=False)
class Rule:
    """A reward function and what is known of it; it can be called as the function itself.

    Attributes:
        name: of the function.
        fn: takes a Score and gives numbers (B, V, T) or (B,).
        says: message where it costs; may hold what `rewards.remarks.describe` fills in, and the
            function's parameters by name, such as {min_leap}.
        source: where the formula or rule comes from.
        cellwise: works through the Score's facts and scans alone, see `rewards.functions`.
        violation: its value is a violation in [0, 1], and counts against a piece.
        verdict: judges a piece once, at its last cell, where no phrases are planned.
        lost: for a rule that is judged later than it is broken: True in each cell from which on it
            cannot be kept, whatever is written behind it; takes the rule's parameters. Without it,
            that is the case where the rule itself is broken.
        forced: for a rule that may leave one token: takes an unfinished score, and the rule's
            parameters, and returns that token of the next cell (B,), -1 where it leaves several.
        against: for a rule between two voices: takes a Pair of them, and the rule's parameters, and
            gives the violation of that pair alone.
        alone: that Pair's two voices are all that it looks at, not the chord they belong to.
        lasts: that Pair breaks it by what it sounds, as long as that lasts, and not by a motion.
        needs: 'chords' or 'phrases' if it has nothing to judge in a task without; 'voices' if it
            judges several.
        twin: name of the registered term that judges the same.
        defaults: parameters and their values, those set by `bind` included.
        require: raises ValueError for a task whose pieces the function cannot value.
        base: the rule before parameters were set by `bind`.
    """

    name: str
    fn: Callable[..., Any]
    says: str = ""
    source: str = ""
    cellwise: bool = False
    violation: bool = False
    verdict: bool = False
    lost: Callable[..., Any] | None = None
    forced: Callable[..., Any] | None = None
    against: Callable[..., Any] | None = None
    alone: bool = False
    lasts: bool = False
    needs: str = ""
    twin: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    require: Callable[[Task], None] | None = None
    base: Rule | None = None

    def __post_init__(self) -> None:
        fn = self.fn
        vars(self).update(  # what doctest, inspect and pickle ask of a function
            __name__=self.name,
            __qualname__=getattr(fn, "__qualname__", self.name),
            __module__=getattr(fn, "__module__", None) or type(fn).__module__,
            __doc__=fn.__doc__,
            __wrapped__=fn,
        )

    def __call__(self, score: Any, **parameters: Any) -> Any:
        """Return the value (B, V, T) or (B,) of a score."""
        return self.fn(score, **parameters)

    def __repr__(self) -> str:
        return f"<Rule {self.__module__}:{self.name}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        qualname = vars(self)["__qualname__"]
        try:
            if attrgetter(qualname)(sys.modules[self.__module__]) is self:
                return str(qualname)  # pickled by name, as a function is
        except (AttributeError, KeyError):
            pass
        if self.base is not None and isinstance(self.fn, functools.partial):
            return Rule.bind, (self.base, self.fn.keywords)
        return Rule, tuple(getattr(self, each.name) for each in fields(self))

    @property
    def origin(self) -> Any:
        """The function that somebody wrote, inside parameters and decorators."""
        return inspect.unwrap(self)

    @property
    def ships(self) -> bool:
        """True if all of it is this project's own, which the tests have tried."""
        rule = self.base or self
        return all(_module_of(layer).startswith("rewards.") for layer in rule.layers())

    def bind(self, parameters: Mapping[str, Any]) -> Rule:
        """Return the rule with parameters set."""
        if not parameters:
            return self
        bound = functools.partial(self.fn, **parameters)
        return replace(
            self,
            fn=functools.update_wrapper(bound, self.fn, updated=()),
            lost=functools.partial(self.lost, **parameters) if self.lost else None,
            forced=functools.partial(self.forced, **parameters) if self.forced else None,
            against=functools.partial(self.against, **parameters) if self.against else None,
            defaults={**self.defaults, **parameters},
            base=self,
        )

    def judges(self, task: Task) -> bool:
        """True if a task has what the rule judges: chords, phrases or voices, as it needs them."""
        if self.needs == "voices":
            return task.voices > 1
        return not self.needs or bool(getattr(task, self.needs))

    def layers(self) -> Iterator[Any]:
        """Yield the function and what it wraps, the outermost first."""
        fn: Any = self.fn
        while fn is not None:
            yield fn
            fn = getattr(fn, "__wrapped__", None)


REGISTRY: dict[str, Rule] = {}
# Rules that do not ship, by the names of their terms in the rewards that were built. A checkpoint
# names the rules that its network sees; they are looked up here, and never imported.
OWN: dict[str, Rule] = {}


def _module_of(fn: Any) -> str:
    """Return the module whose code a callable runs, which `functools.wraps` does not hide."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return str(fn.__globals__["__name__"] if inspect.isfunction(fn) else type(fn).__module__)


def as_rule(fn: Callable[..., Any]) -> Rule:
    """Return the rule of any callable: a function, or an object such as a torch module.

    Nothing else looks at a foreign callable. Attributes named in MARKS count if they have the type
    that stands there; what wraps a rule, as by `functools.wraps`, is a rule of that kind.

    Raises:
        TypeError: a mark that is to be True or False is something else.
    """
    if isinstance(fn, Rule):
        return fn
    inner = getattr(fn, "__wrapped__", None)
    known = inner if isinstance(inner, Rule) else Rule(type(fn).__name__, fn)
    name = getattr(fn, "__name__", known.name)
    values = {mark: getattr(fn, mark, None) for mark in MARKS}
    for mark, value in values.items():
        if MARKS[mark] is bool and value is not None:
            if not isinstance(value, int | np.bool_):
                raise TypeError(
                    f"reward {name!r}: its attribute {mark} is {value!r:.60} "
                    f"({type(value).__name__}), expected True or False"
                )
            values[mark] = bool(value)
    marks = {mark: value for mark, value in values.items() if isinstance(value, MARKS[mark])}
    return replace(known, name=name, fn=fn, base=None, **marks)


def _registering(
    bare: tuple[Any, ...], source: str, facts: Mapping[str, Any]
) -> Callable[[RewardFunction], Rule]:
    """Return a decorator that registers a function as a cell-wise rule with some facts."""
    if bare or not source:
        raise TypeError(
            "expected a source: write @rule(source='where it comes from', says='what is wrong') "
            "above the function"
        )

    def register(fn: RewardFunction) -> Rule:
        parameters = inspect.signature(fn).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        made = replace(as_rule(fn), cellwise=True, source=source, defaults=defaults, **facts)
        _check_words(made)
        known = REGISTRY.get(made.name)
        if known is not None and known.ships and known.__module__ != made.__module__:
            raise ValueError(
                f"{made.name!r} is the name of a term that ships ({known.__module__}); give yours "
                "another"
            )
        REGISTRY[made.name] = made
        return made

    return register


def _check_words(made: Rule) -> None:
    """Raise ValueError unless a rule's message can be filled in."""
    known = [*NOTE_NAMES, *PAIR_NAMES, "interval", "leap", "key", *COUNTS, *made.defaults]
    try:
        made.says.format(
            **{**dict.fromkeys(known, ""), **dict.fromkeys(COUNTS, 0), **made.defaults}
        )
    except (LookupError, ValueError, AttributeError) as error:
        raise ValueError(
            f"rule {made.name!r}: its message {made.says!r} cannot be filled in ({error}); "
            f"expected words among {', '.join(f'{{{word}}}' for word in known)}"
        ) from None


def term(
    *bare: Any, source: str = "", says: str = "", needs: str = "", twin: str = ""
) -> Callable[[RewardFunction], Rule]:
    """Register a cell-wise reward function under its own name.

    Args:
        bare: nothing; a function here was decorated without parentheses.
        source, says, needs, twin: see `Rule`.

    Raises:
        TypeError: no source, as without parentheses.
        ValueError: words that `says` does not know, or the name of a term that ships.
    """
    return _registering(bare, source, {"says": says, "needs": needs, "twin": twin})


def rule(
    *bare: Any,
    source: str = "",
    says: str = "",
    needs: str = "",
    lost: RewardFunction | None = None,
    forced: Callable[..., Any] | None = None,
    verdict: bool = False,
) -> Callable[[RewardFunction], Rule]:
    """Register a rule: a function whose value is a violation in [0, 1].

    Args:
        bare: nothing; a function here was decorated without parentheses.
        source, says, needs, lost, forced, verdict: see `Rule`.

    Raises:
        TypeError, ValueError: as `term`.
    """
    facts = {"says": says, "needs": needs, "lost": lost, "forced": forced, "verdict": verdict}
    return _registering(bare, source, {**facts, "violation": True})


def pair_rule(
    *bare: Any,
    source: str = "",
    says: str = "",
    verdict: bool = False,
    alone: bool = False,
    lasts: bool | None = None,
) -> Callable[[Callable[..., Any]], Rule]:
    """Register a rule between two voices, a function of an `envs.music.voices.pairs.Pair`.

    Its violation in a cell is the worst of the cell's voice with any voice before it; so the voice
    that is written last is charged, and a message names the notes of both.

    Args:
        bare, source, says, verdict: as `rule` takes them.
        alone: see `Rule`; such a rule is judged ahead with a voice that is given.
        lasts: see `Rule`; where it is told, what lasts is one fault. If None, True for a message
            that names no note before.

    Raises:
        TypeError, ValueError: as `term`.
    """

    def decorate(fn: Callable[..., Any]) -> Rule:
        @functools.wraps(fn)
        def worst(score: Score, **parameters: Any) -> npt.NDArray[np.float32]:
            value = np.zeros(score.tokens.shape, np.float32)
            for pair in pairs(score):
                value = np.maximum(value, fn(pair, **parameters), dtype=np.float32)
            return value

        state = "previous}" not in says if lasts is None else lasts
        facts = {"says": says, "verdict": verdict, "violation": True, "needs": "voices"}
        own = {"against": fn, "alone": alone, "lasts": state}
        return _registering(bare, source, {**facts, **own})(worst)

    return decorate


def of_free_voices(rule: Rule) -> Rule:
    """Return a rule of lines that judges what is free, and not what is given."""
    judged = functools.update_wrapper(functools.partial(_free, fn=rule.fn), rule.fn, updated=())
    return replace(rule, fn=judged, base=None)


def _free(score: Any, *, fn: Callable[..., Any], **parameters: Any) -> Any:
    """Return the value of a rule in the cells that are not given, 0 in others."""
    free = score.task.free[score.voice, score.cell]
    return np.where(free, fn(score, **parameters), np.float32(0)).astype(np.float32)
