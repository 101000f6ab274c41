"""The tunes of a training: a corpus that ships, or the user's own files, split by clusters."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pretrained.corpora import split as splitting
from pretrained.corpora.folder import read_folder
from pretrained.corpora.folk import FOLK2, Corpus, Tune, load_corpus
from pretrained.corpora.found import FileTune, Found, shown

FOLK, NEWER = "folk", "folk2"
LICENCE = "The licence of the tunes is a matter of whoever trained this; it was not checked."


@dataclass(frozen=True)
class DataSet:
    """Tunes to train on, to watch a training by, and to measure it on.

    Attributes:
        corpus: the tunes.
        card: where they are from, in JSON's types.
        found: what was read of the user's files; None for a corpus that ships.
    """

    corpus: Corpus
    card: dict[str, Any]
    found: Found | None = None


def data_set(data: str | Path, progress: Callable[[int, int], object] | None = None) -> DataSet:
    """Return the tunes that a name or a path stands for.

    Args:
        data: "folk"; "folk2", the training tunes of the newer file with the test tunes of the
            older; else a folder or file, also one of those names as "./folk".
        progress: as `read_folder`.

    Raises:
        ValueError: there is no such folder or file.
    """
    if str(data) == FOLK:
        corpus = load_corpus()
        return DataSet(corpus, {"name": FOLK, "split": "as shipped"})
    if str(data) == NEWER:
        newer = load_corpus(FOLK2)
        tunes = [*newer.select("train"), *newer.select("valid"), *load_corpus().select("test")]
        split = f"train and valid as shipped, test as of {FOLK!r}"
        return DataSet(Corpus(tunes, newer.report, newer.credits), {"name": NEWER, "split": split})
    found = read_folder(data, progress)
    corpus = own_corpus(found.tunes)
    card: dict[str, Any] = {
        "name": shown(os.path.basename(os.path.abspath(data))),
        "files": found.files,
        "tunes": len(found.tunes),
        "clusters": len({tune.cluster for tune in corpus.tunes}),
        "left out": found.reasons,
        "first of several voices": found.one_of_several,
        "keys estimated": found.keys_estimated,
        "split": "5% test, 5% valid; near-duplicates in one part",
        "licence": LICENCE,
    }
    return DataSet(corpus, card, found)


def own_corpus(tunes: Sequence[FileTune]) -> Corpus:
    """Return tunes as a corpus of which no near-duplicates are in different parts.

    The part of a cluster depends on the title, or the file name, of its first tune.
    """
    cluster = splitting.clusters([tune.tokens for tune in tunes])
    names = [shown(tune.title or os.path.basename(tune.source)) for tune in tunes]
    parts = splitting.split_clusters(cluster, names)
    return Corpus(
        [
            Tune(t.tokens, t.position, t.meter, t.tonic, t.title, t.source, part, number)
            for t, part, number in zip(tunes, parts, cluster, strict=True)
        ]
    )
