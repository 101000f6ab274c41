"""Bits per note of five styles before and after a prior is adapted to 5, 20 and 100 tunes of each.

python -m tests.tools.benchmarks.bench_adapt --prior melody --sizes 5 20 100 --how state lora full

The tunes come with music21: Chinese songs of Han and songs of Erk's Deutscher Liederhort (Essen),
Irish songs (Essen), sopranos of Bach's chorales, and Ryan's Mammoth Collection. The measure is on
tunes that neither the prior nor the adaptation has learned from, one of each cluster of
near-duplicates: of Ryan's, which the priors that ship know, adapted to its "valid" tunes and, from
100, training tunes, measured on its "test" tunes. The gain that the command itself would report,
from tunes left out, stands beside it.
"""

import argparse
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from pretrained.checkpoint import load
from pretrained.corpora.folder import read_folder
from pretrained.corpora.folk import load_corpus, split_tunes
from pretrained.corpora.split import clusters, near_duplicate_pairs
from pretrained.corpora.tunes import TuneError, fits, read_tune
from pretrained.training.adapting import adapt, bits_per_note, costs
from pretrained.training.changes import CHANGES
from pretrained.training.side_effects import copying, forgetting

ESSEN = {"han": ("han1.abc", "han2.abc"), "erk": ("erk10.abc",), "irl": ("irl.abc",)}
HELD_OUT = 50
HEADS = (
    "style tunes how   test  before   after    gain  reported     rounds CPU  folk  after run near"
)
LEAST = 25  # that are held out of a small book


def songs(*names):
    """Tunes of files of the Essen collection."""
    from music21 import common

    folder, tunes = Path(common.getCorpusFilePath()) / "essenFolksong", []
    for text in (text for name in names for text in split_tunes((folder / name).read_text())):
        try:
            tunes.append(read_tune(text))
        except TuneError:
            continue
    return tunes


def sopranos():
    """Upper lines of Bach's chorales."""
    from music21 import common

    folder = Path(common.getCorpusFilePath()) / "bach"
    return read_folder(sorted(path for path in folder.iterdir() if path.suffix == ".mxl")).tunes


@lru_cache(maxsize=1)
def style(name, seed):
    """Tunes to adapt to, in random order, and tunes to measure on."""
    corpus, rng = load_corpus(), np.random.default_rng(seed)
    if name == "ryan":
        book = [t for part in ("valid", "train", "test") for t in corpus.select(part)]
        book = [tune for tune in book if tune.collection == "ryansMammoth"]
        learn, test = ([t for t in book if (t.split == "test") is held] for held in (False, True))
        known = [t for t in corpus.select("train") if t.collection != "ryansMammoth"]
        return without(learn, known), test[:HELD_OUT]
    tunes = sopranos() if name == "bach" else songs(*ESSEN[name])
    cluster = clusters([tune.tokens for tune in tunes])
    first = dict(reversed([*zip(cluster, tunes, strict=True)]))
    tunes = [first[number] for number in rng.permutation(sorted(first))]
    tunes = without(tunes, corpus.select("train"))
    held = min(HELD_OUT, max(LEAST, len(tunes) - 100))
    return tunes[held:], tunes[:held]


def without(tunes, others):
    """Those of some tunes that are not like any of others."""
    pairs = near_duplicate_pairs([tune.tokens for tune in (*others, *tunes)])
    like = {j - len(others) for i, j in pairs if i < len(others) <= j}
    return [tune for number, tune in enumerate(tunes) if number not in like]


def row(prior, name, size, how, seed):
    """Print a line of the table."""
    tunes, test = style(name, seed)
    tunes, test = ([t for t in part if fits(t, prior.codec)] for part in (tunes, test))
    learned, began = tunes[:size], time.process_time()
    adapted = adapt(prior, learned, how, seed)
    seconds, gain = time.process_time() - began, adapted.gain
    before, after = (bits_per_note(costs(p.net, test, p.codec)) for p in (prior, adapted.prior))
    words = f"{name:5}{len(learned):5} {adapted.how:6}{len(test):5}{before:8.3f}{after:8.3f}"
    words += f"{before - after:8.3f}{gain.before - gain.after:8.3f} +-{gain.error:.3f}"
    words += f"{gain.rounds:4}{seconds:6.1f}s"
    if gain.certain:
        lost, copies = forgetting(prior, adapted.prior, learned), copying(adapted.prior, learned)
        words += f"{lost.before:8.3f}{lost.after:7.3f}{copies.closest.run:5}{copies.near:3}"
    else:
        words += "  kept"
    print(words, flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prior", default="melody")
    parser.add_argument("--styles", nargs="*", default=[*ESSEN, "bach", "ryan"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[5, 20, 100])
    parser.add_argument("--how", nargs="*", default=[*CHANGES])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    prior = load(options.prior)
    print(HEADS)
    for name in options.styles:
        for size in options.sizes:
            for how in options.how:
                row(prior, name, size, how, options.seed)


if __name__ == "__main__":
    main()
