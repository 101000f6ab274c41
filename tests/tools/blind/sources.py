"""Sources of melodies of one task: held-out tunes, priors, runs and the agent that ships."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from agents.composing import METHODS, Composer, Request
from agents.composing.composer import MELODY
from agents.composing.decoding import method_of
from agents.runs.directory import Run
from agents.settings.tasks import arguments_of
from envs.errors import did_you_mean, quoted, unknown
from envs.music.codec import FIRST_PITCH, HOLD
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import locate
from pretrained.corpora.folk import CACHE, FOLK2, GRID, Tune, load_corpus
from pretrained.corpora.pieces import WHITE_KEYS, moved, same_bars
from pretrained.training.lessons import STRAIN, ends, part
from rewards.measures.novelty import TuneIndex, novelty

CORPUS = "corpus"
OPTIONS = ("method", "temperature", "candidates", "best_of", "width")
SPARE = 20  # melodies that may be passed over, and as many again for each one wanted


@dataclass(frozen=True)
class Drawn:
    """A melody, a score of one piece, and where it is from, for the key."""

    score: Score
    origin: dict[str, Any]


class Source(Protocol):
    """A source of melodies.

    Attributes:
        label: its name in keys and tables.
        original: True if near-copies of the corpus are passed over.
        facts: options, and hashes of the files that it reads.
    """

    label: str
    original: bool

    @property
    def facts(self) -> dict[str, Any]: ...

    def draw(self, task: Task, seed: int) -> Iterator[Drawn]:
        """Yield melodies of a task."""


def collect(
    source: Source, task: Task, seed: int, n: int, taken: set[bytes]
) -> tuple[list[Drawn], dict[str, int]]:
    """Return the first `n` melodies of a source's seed, and how many were passed over, and why.

    The last note of each is held to the end.

    Args:
        source: draws them.
        task: of the melodies.
        seed: of the draw.
        n: number of melodies.
        taken: melodies that are on a sheet already; those that are returned are added.

    Raises:
        ValueError: it has not as many, or too many are passed over.
    """
    kept: list[Drawn] = []
    passed: Counter[str] = Counter({"near-copies": 0, "doubles": 0})
    for drawn in islice(source.draw(task, seed), (SPARE + 1) * n):
        drawn = replace(drawn, score=held_to_the_end(drawn.score))
        tokens = drawn.score.tokens.tobytes()
        if tokens in taken:
            passed["doubles"] += 1
        elif source.original and novelty(drawn.score, index=all_tunes())[0].near_copy:
            passed["near-copies"] += 1
        else:
            taken.add(tokens)
            kept.append(drawn)
        if len(kept) == n:
            return kept, dict(passed)
    raise ValueError(
        f"{source.label} has {len(kept)} melodies for this task (passed over: "
        f"{passed['near-copies']} near-copies, {passed['doubles']} doubles), expected {n}; ask for "
        "fewer --sheets or --pieces, or another --task"
    )


def held_to_the_end(score: Score) -> Score:
    """Return a piece whose last note is held to its end.

    Tunes with an upbeat end before their last bar does, and what stands there would tell them.
    """
    tokens = score.tokens.copy()
    for line in tokens[0]:
        onsets = np.flatnonzero(line >= FIRST_PITCH)
        line[onsets[-1] + 1 if len(onsets) else len(line) :] = HOLD
    return Score(tokens, score.task)


@lru_cache(maxsize=1)
def all_tunes() -> TuneIndex:
    """Return the index of every tune of the corpus, held out or not, in both readings."""
    return TuneIndex([tune for path in (CACHE, FOLK2) for tune in load_corpus(path).tunes])


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()


class Corpus:
    """Held-out tunes of the folk corpus, as strains in a task's key and range."""

    label, original = CORPUS, False

    @property
    def facts(self) -> dict[str, Any]:
        """Hash of the corpus file."""
        return {"files": {FOLK2.name: digest(FOLK2)}}

    def draw(self, task: Task, seed: int) -> Iterator[Drawn]:
        """Yield a strain of each cluster, in random order.

        Tunes of the task's own metre come first, then those with the same beats, such as 2/2 for
        4/4; among them the test tunes before those of validation.

        Raises:
            ValueError: the task has another grid than the corpus, voices, given cells or chords.
        """
        if task.grid != GRID or task.voices > 1 or task.given or task.chords:
            raise ValueError(
                f"corpus: its tunes have one voice and {GRID} cells to a quarter note; leave grid, "
                "voices, given and chords out of --task"
            )
        tunes = [tune for split in ("test", "valid") for tune in load_corpus(FOLK2).select(split)]
        order = np.random.default_rng(seed).permutation(len(tunes)).tolist()
        meter = task.meter.numerator, task.meter.denominator

        def rank(number: int) -> tuple[bool, bool]:
            return tunes[number].meter != meter, tunes[number].split != "test"

        used: set[int] = set()
        for tune in (tunes[number] for number in sorted(order, key=rank)):
            drawn = strain(tune, task) if tune.cluster not in used else None
            if drawn is not None:
                used.add(tune.cluster)
                yield drawn


def strain(tune: Tune, task: Task) -> Drawn | None:
    """Return the first whole strain of a tune as a piece of a task; None if it has none that fits.

    It ends as `ends` says, and what follows are whole strains as well. What the upbeat has more
    than the task's pickup is left out, and the last note is held for as long.
    """
    drop = -tune.offset % tune.bar_cells - task.pickup
    mode = WHITE_KEYS[tune.tonic].mode
    if drop < 0 or not same_bars(tune, task) or mode != task.key.written_mode:
        return None
    stops = ends(tune)  # the first is that of the tune
    for end in sorted(stop for stop in stops if (stops[0] - stop) % STRAIN == 0):
        cells = part(tune, end, task.bars)
        if cells is None or tune.tokens[(end - task.bars) * tune.bar_cells + drop] == HOLD:
            continue
        row = np.concatenate([cells[drop:], np.full(drop, HOLD, np.int16)])
        tokens = moved(replace(tune, tokens=row), task)
        if tokens is not None:
            origin = {
                "title": tune.title,
                "collection": tune.collection,
                "split": tune.split,
                "cluster": tune.cluster,
                "meter": "{}/{}".format(*tune.meter),
                "bars": [end - task.bars + 1, end],
                "upbeat left out": drop,
            }
            return Drawn(Score(tokens[None, None], task), origin)
    return None


class Machine:
    """A composer that is asked for one melody after another, each with the next seed.

    Args:
        label: its name.
        composer: what composes.
        options: of each request; with `candidates` of 1 melodies are drawn and none is chosen.
    """

    original = True

    def __init__(self, label: str, composer: Composer, options: dict[str, Any]) -> None:
        self.label, self.composer, self.options = label, composer, options

    @property
    def facts(self) -> dict[str, Any]:
        """Options, terms of the reward, and hashes of the checkpoints."""
        composer, policy = self.composer, self.composer.policy
        files = {"prior": locate(str(composer.prior))}
        if METHODS[self.options.get("method", "sample")].network == "policy":
            files["policy"] = (
                policy.saved_policy if isinstance(policy, Run) else locate(str(policy))
            )
        return {
            "options": self.options,
            "reward": list(composer.objective.reward.terms),
            "files": {f"{kind} {path.name}": digest(path) for kind, path in files.items()},
        }

    def draw(self, task: Task, seed: int) -> Iterator[Drawn]:
        """Yield the melody of each seed from `seed` on."""
        options, asked = dict(self.options), {"task": task}
        if options.get("candidates") == 1:
            self.composer.chooses, self.composer.task, asked = False, task, {}
        for number in count(seed):
            melody = self.composer.compose(Request(**asked, **options, n=1, seed=number))[0]
            yield Drawn(melody.score, {"seed": number})


def read_sources(words: Sequence[str], trust: bool = False) -> list[Source]:
    """Return the sources that words name, see `tests.tools.blind`.

    Args:
        words: corpus, agent, prior:NAME or run:DIR, with options behind commas.
        trust: run the code that a run's settings name.

    Raises:
        ValueError: an unknown source or option, one that is named twice, or no corpus.
        FileNotFoundError: there is no such checkpoint.
    """
    for word in words:
        if words.count(word) > 1:
            raise ValueError(f"source {quoted(word)} is given twice; expected it once")
    if CORPUS not in words:
        raise ValueError(
            "no real tunes among the sources: a reading counts only if they are heard to be real; "
            f"add {CORPUS}"
        )
    return [read_source(word, trust) for word in words]


def read_source(word: str, trust: bool = False) -> Source:
    """Return the source that a word names, see `read_sources`."""
    head, *tail = re.split(r",(?=\w+=)", word)
    kind, _, name = head.partition(":")
    options = arguments_of(tail)
    for option in options:
        if kind == CORPUS or option not in OPTIONS:
            raise ValueError(
                f"source {quoted(word)} has no option {quoted(option)}."
                f"{did_you_mean(option, OPTIONS)} Expected of composers: {', '.join(OPTIONS)}; of "
                f"{CORPUS}: none"
            )
    if kind in ("prior", "run") and not name:
        raise ValueError(f"source {quoted(word)}: expected a name, such as {kind}:NAME")
    if kind == CORPUS and not name:
        return Corpus()
    if kind == "agent" and not name:
        composer = Composer.load()
    elif kind == "prior":
        composer = Composer.load(prior=name)
        options = {"method": "prior", **options}
    elif kind == "run":
        composer = Composer.load(name, env=MELODY, trust=trust)
    else:
        raise unknown("source", word, (CORPUS, "agent", "prior:NAME", "run:DIR"))
    method_of(Request(**options))  # so that a wrong value is refused before anything is drawn
    return Machine(word, composer, options)
