"""Agreement of chords for the sopranos of held-out chorales with the chords that Bach set.

    python -m tests.tools.chord_agreement            # valid and test chorales
    python -m tests.tools.chord_agreement train

A chord of Bach's is one that his four voices sound, see `envs.music.voices.sonority`, in the most
cells of the beat or bar. Beside `chords_for` stand the tonic throughout, and the triad of the key
that the soprano spells best in each bar, or beat, by `envs.music.implied`. Rows have the share of
places with Bach's root, and with his root and triad; a mean over chorales, with the 95% interval
of a bootstrap over them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from agents.composing.parts.harmoniser import ChordModel
from agents.composing.parts.vocabulary import harmonies_of
from envs.music.implied import chords_of
from envs.music.score import Score
from envs.music.voices.sonority import KIND_NAMES, KINDS, sonority
from pretrained.corpora.chorales import Chorale, load_chorales

Heard = tuple[int, tuple[int, ...]]  # root, and third and fifth above it in semitones
DRAWS = 10_000  # of the bootstrap


def soprano(chorale: Chorale) -> Score:
    """Return the soprano alone, with the phrases of its fermatas."""
    return Score(chorale.tokens[None, :1], replace(chorale.task, voices=1))


def spans(chorale: Chorale, cells: int) -> list[range]:
    """Return the cells of each place of some length, from the first bar line on."""
    task = chorale.task
    starts = range(task.pickup, task.cells, cells)
    return [range(start, min(start + cells, task.cells)) for start in starts]


def of_bach(chorale: Chorale, cells: int) -> list[Heard | None]:
    """Return the chord that sounds longest in each place; None where no chord sounds."""
    sound = sonority(chorale.score)
    roots, kinds = sound.root[0, -1].tolist(), sound.kind[0, -1].tolist()
    each = [
        (r, KINDS[KIND_NAMES[k]][1:3]) if k >= 0 else None
        for r, k in zip(roots, kinds, strict=True)
    ]
    found: list[Heard | None] = []
    for span in spans(chorale, cells):
        counts = Counter(each[cell] for cell in span if each[cell] is not None)
        found.append(max(counts, key=lambda chord: counts[chord]) if counts else None)
    return found


def ours(chorale: Chorale, cells: int, rhythm: str) -> list[Heard | None]:
    """Return the chord of `chords_for` at the beginning of each place."""
    model = ChordModel(soprano(chorale), rhythm)
    chords = model.lines()[0].chords
    found: list[Heard | None] = []
    for span in spans(chorale, cells):
        chord = chords[int(np.searchsorted(model.starts, span.start, side="right")) - 1]
        found.append((chord.root, (chord.third, chord.fifth)))
    return found


def tonic(chorale: Chorale, cells: int) -> list[Heard | None]:
    """Return the tonic at each place."""
    chord = harmonies_of(chorale.task.key)[0]
    return [(chord.root, (chord.third, chord.fifth))] * len(spans(chorale, cells))


def overlap(chorale: Chorale, cells: int, each: int) -> list[Heard | None]:
    """Return the triad of the key with the most cells of the soprano in each stretch of `each`."""
    key, pitch = chorale.task.key, soprano(chorale).sounding[0, 0]
    chords = {frozenset(c.tones): c for c in harmonies_of(key)}
    triads = [
        chords[frozenset((t + key.pitch_class) % 12 for t in triad)] for triad, _ in chords_of(key)
    ]
    found: list[Heard | None] = []
    for span in spans(chorale, cells):
        first = span.start - (span.start - chorale.task.pickup) % each
        heard = Counter(
            (pitch[first : first + each] % 12)[pitch[first : first + each] >= 0].tolist()
        )
        best = max(triads, key=lambda c: sum(heard[tone] for tone in c.tones))
        found.append((best.root, (best.third, best.fifth)))
    return found


def shares(
    chorales: Sequence[Chorale], ways: Callable[[Chorale], Sequence[Heard | None]], size: str
) -> np.ndarray:
    """Return the shares (chorales, 2) of places with Bach's root, and with his root and triad."""
    rows = []
    for chorale in chorales:
        pairs = zip(of_bach(chorale, getattr(chorale.task, size)), ways(chorale), strict=True)
        both = [(bach, chord) for bach, chord in pairs if bach is not None and chord is not None]
        rows.append([np.mean([a[0] == b[0] for a, b in both]), np.mean([a == b for a, b in both])])
    return np.array(rows)


def interval(values: np.ndarray, rng: np.random.Generator) -> str:
    """Return the mean of values and its 95% interval, in percent."""
    means = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return f"{100 * values.mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def table(chorales: Sequence[Chorale], size: str) -> list[str]:
    """Return the lines of a table of agreement per beat ('beat_cells') or bar ('bar_cells')."""
    ways: dict[str, Callable[[Chorale], list[Heard | None]]] = {
        "tonic throughout": lambda c: tonic(c, getattr(c.task, size)),
        "best triad of a bar": lambda c: overlap(c, getattr(c.task, size), c.task.bar_cells),
    }
    if size == "beat_cells":
        ways["best triad of a beat"] = lambda c: overlap(c, c.task.beat_cells, c.task.beat_cells)
    for name in ("bar", "half", "beat"):
        ways[f"chords_for, {name}"] = lambda c, name=name: ours(c, getattr(c.task, size), name)  # type: ignore[misc]
    rng, lines = np.random.default_rng(0), []
    found = {name: shares(chorales, way, size) for name, way in ways.items()}
    for name in ways:
        other = "best triad of a " + ("beat" if name == "chords_for, beat" else "bar")
        other = other if other in ways else "best triad of a bar"
        root, triad = (interval(column, rng) for column in found[name].T)
        more = "; ".join(interval(column, rng) for column in (found[name] - found[other]).T)
        ahead = f"ahead of {other}: {more}" if name.startswith("chords_for") else ""
        lines.append(f"{name:22s} root {root:20s} triad {triad:20s} {ahead}".rstrip())
    return lines


def main() -> None:
    """Command line."""
    parts = sys.argv[1:] or ["valid", "test"]
    corpus = load_chorales()
    chorales = [chorale for part in parts for chorale in corpus.select(part)]
    for size in ("beat_cells", "bar_cells"):
        named = f"{len(chorales)} chorales ({' and '.join(parts)})"
        print(f"{named}, per {size.split('_')[0]}, in percent")
        print("\n".join(table(chorales, size)))


if __name__ == "__main__":
    main()
