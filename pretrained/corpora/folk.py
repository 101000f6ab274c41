"""The folk corpus: tunes as grids of 16th notes, clustered and split, with credits.

    python -m pretrained.corpora.folk        # read music21's collections and write FOLK2 anew

It has four collections that come with music21 and whose books are in the public domain. `CACHE`,
what the prior "folk" learned, was read by an older reader of ABC and never changes. `FOLK2` is what
the reader of today makes of them; no tune that the prior has not seen is trained on there either.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from envs.notation.reading.abc import tunes as tunes_of
from pretrained.corpora import split as splitting
from pretrained.corpora.packed import FORMAT as FORMAT
from pretrained.corpora.packed import read_tunes, write_tunes
from pretrained.corpora.tunes import GridTune, TuneError, read_tune

CACHE = Path(__file__).parents[1] / "data" / "folk.npz"
FOLK2 = CACHE.with_name("folk2.npz")
GRID = 4  # cells per quarter note
# Collection -> the printed book.
COLLECTIONS = {
    "airdsAirs": "James Aird, A Selection of Scotch, English, Irish and Foreign Airs (1778-1801)",
    "oneills1850": "Francis O'Neill, Music of Ireland (1903)",
    "ryansMammoth": "William Bradbury Ryan, Ryan's Mammoth Collection (1883)",
    "miscFolk": "J. C. Bruce and J. Stokoe, Northumbrian Minstrelsy (1882)",
}
# The American fife tunes of miscFolk come without a clear licence.
LEFT_OUT = ("americanfifeopus.abc",)
# Names in the Z: fields, and in the S: and B: fields below, as written -> as credited. The fields
# themselves mix names with e-mail addresses, dates and remarks on the tunes.
TRANSCRIBERS = {
    "Campin": "Jack Campin",
    "norbeck": "Henrik Norbeck",
    "Safranek": "Bob Safranek",
    "Chambers": "John Chambers",
    "Trish": "Trish O'Neil",
    "Petersen": "Dan G. Petersen",
    "Hogan": "Michael Hogan",
    "Foy": "Stephen Foy",
    "Walsh": "John B. Walsh",
    "Keays": "Tom Keays",
    "Falt": "Chris Falt",
    "Wooldridge": "Dave Wooldridge",
    "Paap": "Norbert Paap",
    "Thorpe": "Robert Thorpe",
    "Worman": "A. Lee Worman",
    "Long": "Michael D. Long",
    "Terhorst": "Nick Terhorst",
    "mvhplank": "mvhplank",
    "Hastings": "Ted Hastings",
    "Nordberg": "Frank Nordberg",
    "McEwen": "Colin McEwen",
    "Davies": "Ray Davies",
    "Puckette": "Bob Puckette",
    "Bradley": "Ivan Bradley",
    "de Grae": "Paul de Grae",
}
BOOKS = {
    "Dance Music of Ireland": "O'Neill, The Dance Music of Ireland",
    r"^.?O.?Neill|O'Neill's Music": "O'Neill, Music of Ireland",
    "Ryan": "Ryan's Mammoth Collection",
    "Cole": "Cole's 1000 Fiddle Tunes",
    "Aird|Glen.16b": "Aird, A Selection of Airs",
    "Northumbrian": "Northumbrian Minstrelsy",
}
Credits = dict[str, dict[str, dict[str, int]]]
Report = dict[str, dict[str, int]]


@dataclass(frozen=True, eq=False)
class Tune(GridTune):
    """A tune of the corpus.

    Attributes:
        collection: a name of COLLECTIONS, or the address of a user's tune.
        split: "train", "valid" or "test".
        cluster: number of its cluster of near-duplicates, which all have the same split.
    """

    collection: str
    split: str
    cluster: int


@dataclass(frozen=True, eq=False)
class Corpus:
    """Tunes, with credits, and counts of the tunes read and dropped in each collection."""

    tunes: list[Tune]
    report: Report = field(default_factory=dict)
    credits: Credits = field(default_factory=dict)

    def select(self, split: str) -> list[Tune]:
        """Return the tunes of a split, "train", "valid" or "test".

        Raises:
            ValueError: another name.
        """
        if split not in splitting.SPLITS:
            raise ValueError(f"split must be one of {splitting.SPLITS}, got {split!r}")
        return [tune for tune in self.tunes if tune.split == split]

    def save(self, path: str | Path) -> None:
        """Write the corpus to a file, completely or not at all; see `corpora.packed`."""
        tunes = self.tunes
        names = list(dict.fromkeys([*COLLECTIONS, *(tune.collection for tune in tunes)]))
        write_tunes(
            Path(path),
            tunes,
            {"collections": names, "report": self.report, "credits": self.credits},
            collection=[names.index(tune.collection) for tune in tunes],
            split=[splitting.SPLITS.index(tune.split) for tune in tunes],
            cluster=[tune.cluster for tune in tunes],
        )


@lru_cache(maxsize=4)
def load_corpus(path: str | Path = CACHE) -> Corpus:
    """Read a corpus file, by default the one that ships; its arrays are read-only.

    Raises:
        ValueError: the file has another format.
        FileNotFoundError: there is no such file.
    """
    found, text, numbers = read_tunes(Path(path))
    rows = zip(found, *(numbers[name] for name in ("collection", "split", "cluster")), strict=True)
    books, parts = text["collections"], splitting.SPLITS
    tunes = [
        Tune(**vars(tune), collection=books[book], split=parts[part], cluster=cluster)
        for tune, book, part, cluster in rows
    ]
    return Corpus(tunes, text["report"], text["credits"])


def credits() -> Credits:
    """Return the transcribers of the shipped tunes and their books.

    Returns:
        collection -> "transcribers" or "books" -> name -> number of tunes.
    """
    return load_corpus().credits


def collection_files(collection: str) -> list[Path]:
    """Return the ABC files of a collection in the installed music21, ordered by name."""
    from music21 import common

    folder = Path(common.getCorpusFilePath()) / collection
    return sorted(path for path in folder.glob("*.abc") if path.name not in LEFT_OUT)


def split_tunes(text: str) -> list[str]:
    """Return the text of each tune of an ABC file, with what holds for every tune."""
    return tunes_of(text)


def _credited(tune: str, letters: str, names: dict[str, str]) -> set[str]:
    """Return the names that occur in the given fields of a tune."""
    lines = re.findall(rf"(?m)^[{letters}]:(?![|:])(.*)$", tune)
    return {
        name
        for pattern, name in names.items()
        if any(re.search(pattern, line, re.IGNORECASE) for line in lines)
    }


def parse_corpus(progress: bool = True) -> Corpus:
    """Read the four collections from music21, and split them as `CACHE`; it takes a minute.

    Tunes that are held out there, and their near-duplicates, are held out here too.

    Args:
        progress: True to show a progress bar for each collection.
    """
    from tqdm import tqdm

    read: list[tuple[str, GridTune]] = []
    report: Report = {}
    credit: Credits = {}
    for collection in COLLECTIONS:
        counts: Counter[str] = Counter()
        names: dict[str, Counter[str]] = {"transcribers": Counter(), "books": Counter()}
        texts = [t for p in collection_files(collection) for t in split_tunes(p.read_text("utf-8"))]
        for text in tqdm(texts, desc=collection, disable=not progress):
            counts["tunes"] += 1
            try:
                tune = read_tune(text)
            except TuneError as rejected:
                counts[f"dropped: {rejected.reason}"] += 1
                continue
            counts["kept"] += 1
            counts["out of key"] += tune.out_of_key
            read.append((collection, tune))
            names["transcribers"].update(_credited(text, "Z", TRANSCRIBERS))
            names["books"].update(_credited(text, "SB", BOOKS))
        report[collection] = dict(counts)
        credit[collection] = {kind: dict(count.most_common()) for kind, count in names.items()}
    old = load_corpus()
    cluster, split = splitting.split_as(
        [tune.tokens for _, tune in read],
        {part: [tune.tokens for tune in old.select(part)] for part in splitting.HELD_OUT},
    )
    tunes = [
        Tune(**vars(tune), collection=name, split=part, cluster=number)
        for (name, tune), part, number in zip(read, split, cluster, strict=True)
    ]
    return Corpus(tunes, report, credit)


def summary(corpus: Corpus) -> str:
    """Return the counts of a corpus as text, for each collection and for the whole."""
    lines: list[str] = []
    for name in [*COLLECTIONS, "all"]:
        tunes = [t for t in corpus.tunes if name in (t.collection, "all")]
        counts: Counter[str] = Counter()
        for collection, report in corpus.report.items():
            if name in (collection, "all"):
                counts.update(report)
        parts = Counter(tune.split for tune in tunes)
        counts["tokens"] = sum(len(tune.tokens) for tune in tunes)
        counts["onsets"] = sum(int((tune.tokens > 1).sum()) for tune in tunes)
        counts["clusters"] = len({tune.cluster for tune in tunes})
        lines.append(name)
        lines += [f"  {key:36} {value:8}" for key, value in counts.items()]
        lines += [f"  {part:36} {parts[part]:8}" for part in splitting.SPLITS]
    return "\n".join(lines)


def main() -> None:
    """Write FOLK2 and print its counts."""
    corpus = parse_corpus()
    corpus.save(FOLK2)
    print(summary(corpus))
    print(f"{FOLK2.name}: {FOLK2.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
