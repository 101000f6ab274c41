"""Rules: the registry of built-in terms, and what they say to a person.

A rule gives a violation in [0, 1] for each cell; a reward sum takes its weight off. Other
registered functions are rewards of any sign, and a weight multiplies them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from envs.contract import RewardFunction, cellwise
from envs.notation import score_from_text
from envs.score import Score
from envs.tape import Array
from envs.task import Task
from envs.theory import interval_name

F = TypeVar("F", bound=Callable[..., Any])

REGISTRY: dict[str, RewardFunction] = {}

MARK = (
    "If it asks facts of the score alone, cell by cell, put @cellwise of envs.contract above it; "
    "what is judged on the whole piece says nothing about the next cell"
)
NOTE_NAMES = ("note", "previous", "before", "first", "lowest", "highest", "start", "turn")
CHILDREN_PIECES, CHILDREN_CELLS = 2**13, 2**20  # looked at together: bounds memory


def term(*bare: Any, source: str = "", says: str = "", needs: str = "") -> Callable[[F], F]:
    """Register a cell-wise reward function under its own name.

    Args:
        bare: nothing; a function here was decorated without parentheses.
        source: where the formula or rule comes from.
        says: what to tell a person where it costs; may hold what `describe` fills in, and the
            function's parameters by name, such as {min_leap}.
        needs: 'chords' or 'phrases' if it has nothing to judge in a task without.

    Raises:
        TypeError: no source, as without parentheses.
        ValueError: words that `says` does not know, or the name of a term that ships.
    """
    if bare or not source:
        raise TypeError(
            "expected a source: write @rule(source='where it comes from', says='what is wrong') "
            "above the function"
        )

    def register(fn: F) -> F:
        marked: Any = cellwise(fn)
        marked.source, marked.says, marked.needs = source, says, needs
        parameters = inspect.signature(fn).parameters.values()
        marked.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        marked.violation = getattr(fn, "violation", False)
        _check_words(fn.__name__, says, marked.defaults)
        ships = getattr(REGISTRY.get(fn.__name__), "__module__", fn.__module__)
        if ships != fn.__module__ and ships.startswith("rewards."):
            raise ValueError(
                f"{fn.__name__!r} is the name of a term that ships ({ships}); give yours another"
            )
        REGISTRY[fn.__name__] = fn
        return fn

    return register


def _check_words(name: str, says: str, parameters: Mapping[str, object]) -> None:
    """Raise ValueError unless a message can be filled in."""
    known = [*NOTE_NAMES, "interval", "leap", "key", *parameters]
    try:
        says.format(**{**dict.fromkeys(known, ""), **parameters})
    except (LookupError, ValueError, AttributeError) as error:
        raise ValueError(
            f"rule {name!r}: its message {says!r} cannot be filled in ({error}); expected words "
            f"among {', '.join(f'{{{word}}}' for word in known)}"
        ) from None


def rule(
    *bare: Any, source: str = "", says: str = "", needs: str = "",
    lost: RewardFunction | None = None,
) -> Callable[[F], F]:  # fmt: skip
    """Register a rule: a function whose value is a violation in [0, 1].

    Args:
        bare, source, says, needs: as `term`.
        lost: for a rule that is judged later than it is broken: says of each cell, with the rule's
            own parameters, whether the rule can no longer be kept, whatever is written behind it.
            Without, that is known where the rule itself is broken.
    """

    def register(fn: F) -> F:
        marked: Any = fn
        marked.violation, marked.lost = True, lost
        return register_term(fn)

    register_term = term(*bare, source=source, says=says, needs=needs)
    return register


def has_to_judge(fn: RewardFunction, task: Task) -> bool:
    """Whether a task has what a rule judges: chords or phrases, where it needs them."""
    needs = getattr(fn, "needs", "")
    return not needs or bool(getattr(task, needs))


@dataclass(frozen=True)
class Remark:
    """One message about one cell. `value` is what the term gave there, unweighted."""

    term: str
    piece: int
    voice: int
    cell: int
    where: str
    text: str
    value: float

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def place(score: Score, cell: int) -> str:
    """'bar 1, beat 2.5' for a time index; a pickup is bar 0."""
    task = score.task
    bar = (cell - task.pickup) // task.bar_cells + 1
    return f"bar {bar}, beat {1 + task.place_in_bar(cell) / task.beat_cells:g}"


def _last_run(pitches: Sequence[int]) -> tuple[int, int]:
    """Numbers of the first and last note of the last straight run that is complete.

    A note that turns back completes the run before it; otherwise the run reaches the last note.
    Repeated notes are taken as one.
    """
    line = [i for i, pitch in enumerate(pitches) if i == 0 or pitch != pitches[i - 1]]
    ways = [pitches[j] > pitches[i] for i, j in pairwise(line)]
    end = len(ways) - 1 if len(ways) > 1 and ways[-1] != ways[-2] else len(ways)
    start = end
    while start > 0 and ways[start - 1] == ways[end - 1]:
        start -= 1
    return line[start], line[end]


def describe(
    score: Score,
    piece: int,
    voice: int,
    cell: int,
    says: str,
    parameters: Mapping[str, object] | None = None,
) -> str:
    """Fill a rule's message with the notes up to a cell.

    {note}, {previous}, {before}: this note and the two before it; {first}, {lowest}, {highest}:
    of the line so far; {start}, {turn}: the ends of its last straight run, complete when a note
    turns back; {interval}: from the note before; {leap}: between the two before; {key}.

    Args:
        score, piece, voice, cell: where.
        says: the message.
        parameters: of the rule; the message may hold them by name too.
    """
    notes = [n for n in score.task.codec.decode(score.tokens[piece, voice]) if n.start <= cell]
    pitches = [note.pitch for note in notes]
    chosen = dict(zip(("note", "previous", "before"), reversed(pitches), strict=False))
    if pitches:
        start, turn = _last_run(pitches)
        chosen |= {"first": pitches[0], "lowest": min(pitches), "highest": max(pitches)}
        chosen |= {"start": pitches[start], "turn": pitches[turn]}
    values = {name: score.task.key.pitch_name(pitch) for name, pitch in chosen.items()}
    moves = [b - a for a, b in pairwise([*pitches[:1] * 3, *pitches][-3:])] or [0, 0]
    leap, interval = (interval_name(move) for move in moves)
    words = {**dict.fromkeys(NOTE_NAMES, "silence"), **values, "leap": leap, "interval": interval}
    return says.format(**{**(parameters or {}), **words, "key": score.task.key})


def remarks(fn: RewardFunction, score: Score, name: str = "", sign: float = -1.0) -> list[Remark]:
    """A message for each cell where a term costs, in order of time.

    Args:
        fn: a rule or reward function that gives one number per cell.
        score: any batch.
        name: of the term, its own by default.
        sign: sign of the term's weight: a cost is where value times sign is negative.
    """
    name = name or getattr(fn, "__name__", type(fn).__name__)
    says = getattr(fn, "says", "") or "{note}: " + name
    bound = fn.keywords if isinstance(fn, functools.partial) else {}
    parameters = {**getattr(fn, "defaults", {}), **bound}
    values = np.asarray(fn(score)) * 1.0
    cost = values * sign < 0
    return [
        Remark(name, int(b), int(v), int(t), place(score, t),
               describe(score, b, v, t, says, parameters), float(values[b, v, t]))
        for b, v, t in sorted(np.argwhere(cost).tolist(), key=lambda at: (at[0], at[2], at[1]))
    ]  # fmt: skip


def children(score: Score, tokens: Array) -> Iterator[tuple[Array, Array, Score]]:
    """What a score may become by one more cell, in portions that bound memory.

    Args:
        score: unfinished; what has been asked of its newest cell is not worked out again.
        tokens: (B, vocab) bool: which tokens to try on which piece.

    Yields:
        numbers (N,) of the pieces, the token (N,) written on each, and the score of these N.
    """
    rows, written = np.nonzero(tokens)
    size = max(1, min(CHILDREN_PIECES, CHILDREN_CELLS // score.task.steps))
    for start in range(0, len(rows), size):
        row, token = rows[start : start + size], written[start : start + size]
        yield row, token, score.take(row).write(token)


def beyond_hope(fn: RewardFunction, score: Score) -> Array:
    """Whether a rule can no longer be kept at each cell seen, bool; False if it does not tell.

    Args:
        fn: a registered rule, its parameters bound or not.
        score: any batch, or one seen at a cell.
    """
    bound = fn.keywords if isinstance(fn, functools.partial) else {}
    inner = fn.func if isinstance(fn, functools.partial) else fn
    lost = getattr(inspect.unwrap(inner), "lost", None)
    if lost is None:
        return np.zeros(score.tokens.shape, bool)
    return np.asarray(lost(score, **bound))


def refused(fn: RewardFunction, score: Score, sign: float = -1.0) -> Array:
    """Whether a term counts against the piece at each cell seen, or can no longer be kept; bool.

    Args:
        fn: a cell-wise rule or reward function.
        score: any batch, or one seen at a cell.
        sign: as for `remarks`.
    """
    broken: Array = np.asarray(fn(score)) * sign < 0
    return broken | beyond_hope(fn, score) if sign < 0 else broken


def require_cellwise(fn: RewardFunction) -> None:
    """Raise ValueError unless a function can be a mask."""
    if not getattr(fn, "cellwise", False):
        raise ValueError(
            f"{getattr(fn, '__name__', fn)!r} cannot be a mask: expected a function marked "
            f"cellwise. {MARK}"
        )


def forbids(fn: RewardFunction, score: Score, sign: float = -1.0) -> Array:
    """Which tokens of the next cell a term would count against the piece, then or later.

    The term itself is asked, of every token that the grammar allows, so mask and reward cannot
    differ; a rule that is judged later also forbids what leaves it no way to be kept. A term may
    forbid all of them; whoever writes the piece then leaves it free, as `permits` does, for
    something has to be written.

    Args:
        fn: a cell-wise rule or reward function.
        score: an unfinished score.
        sign: as for `remarks`: what makes value times sign negative is forbidden.

    Returns:
        (B, vocab) bool, False also where the grammar forbids the token: join it with
        `codec.allowed`.

    Raises:
        ValueError: the function is not cell-wise, or the score is finished.
    """
    require_cellwise(fn)
    allowed = score.task.codec.allowed(score)
    forbidden = np.zeros_like(allowed)
    if score.n_written:
        fn(score.newest)  # known once here, it is not worked out by every child
    for rows, tokens, child in children(score, allowed):
        forbidden[rows, tokens] = refused(fn, child.newest, sign)[:, 0, 0]
    return forbidden


def permits(rules: Iterable[tuple[RewardFunction, float]], score: Score) -> Array:
    """Which tokens of the next cell the grammar and several rules permit, (B, vocab) bool.

    A rule that forbids all that the rules before it leave to a piece is not kept there, so each
    piece has at least one token.

    Args:
        rules: each a cell-wise function and a sign as for `forbids`, the most important first.
        score: an unfinished score.

    Raises:
        ValueError: as `forbids`.
    """
    free = score.task.codec.allowed(score)
    for fn, sign in rules:
        left = free & ~forbids(fn, score, sign)
        free = np.where(left.any(axis=1, keepdims=True), left, free)
    return free


def explain(fn: RewardFunction, piece: str | Score, **where: Any) -> None:
    """Print a rule's remarks on a score, or on notes written in a line.

    >>> from rewards.melody import in_key
    >>> explain(in_key, "C4 F#4 G4")
    bar 1, beat 2: F#4 is not in C major
    """
    score = score_from_text(piece, **where) if isinstance(piece, str) else piece
    sign = -1.0 if getattr(fn, "violation", False) else 1.0
    for remark in remarks(fn, score, sign=sign):
        print(remark)


def payments(fn: RewardFunction, score: Score, name: str = "") -> list[Remark]:
    """What a term gives while each note sounds, or a silence lasts, where that is not 0.

    Args:
        fn: a rule or reward function that gives one number per cell.
        score: any batch.
        name: of the term, its own by default.
    """
    name = name or getattr(fn, "__name__", type(fn).__name__)
    values = np.broadcast_to(np.asarray(fn(score)) * 1.0, score.tokens.shape)
    found = []
    for b, v in np.ndindex(score.tokens.shape[:2]):
        begins = score.onset[b, v] | score.rest[b, v]
        begins[0] = True
        starts = np.flatnonzero(begins)
        for t, value in zip(starts.tolist(), np.add.reduceat(values[b, v], starts), strict=True):
            pitch = int(score.pitch[b, v, t])
            said = score.task.key.pitch_name(pitch) if score.onset[b, v, t] else "silence"
            text = f"{said} {value:+.3g}"
            if value:
                found.append(Remark(name, b, v, t, place(score, t), text, float(value)))
    return sorted(found, key=lambda payment: (payment.piece, payment.cell, payment.voice))


def paid(fn: RewardFunction, piece: str | Score, **where: Any) -> None:
    """Print what a term gives for each note of a score, or of notes written in a line.

    >>> from rewards.rl_tuner import motif
    >>> paid(motif, "C4:2 D4:2 E4:2 F4:2")  # the last eight tokens, and four pitches in them
    bar 1, beat 2.5: F4 +1.1
    bar 1, beat 3: silence +2
    """
    score = score_from_text(piece, **where) if isinstance(piece, str) else piece
    for payment in payments(fn, score):
        print(payment)
