"""Bach's chorales in four voices, read from the installed music21 and kept in the cache folder.

The encodings come with music21 and are marked there as not for commercial use, so neither they nor
weights that learned from them ship with this package: they are read on the user's machine, at
first use. What is trained on them is the user's, under the same condition.

Chorales are those of music21's `bach` folder that have fermatas and a soprano, alto, tenor and
bass; the doubling instruments of some are left out. Harmonisations of one tune are in one part of
the split.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.durable_files import user_cache, write_arrays
from envs.errors import RefusedError
from envs.music.codec import FIRST_PITCH, REST, Codec
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.assemble import make_piece
from envs.notation.reading.draft import Draft
from envs.notation.reading.selection import Known
from envs.notation.reading.sheets.document import MUSIC, elements, parts, unpacked
from envs.notation.reading.sheets.musicxml import read_draft
from pretrained.corpora import split as splitting
from pretrained.corpora.tune_cache import version

NAME, FOLDER = "chorales", "bach"
VOICES = ("soprano", "alto", "tenor", "bass")
LOW, HIGH = 36, 81  # C2 to A5, all voices together
# Lowest and highest pitch of each voice, within which a chorale may be sung in another key.
RANGES = ((59, 81), (52, 76), (47, 70), (36, 65))
CODEC = Codec(30, 89)  # of a network: the range in C, by whatever interval it is moved there
LICENCE = (
    "The encodings in music21 are marked as not for commercial use; what is trained on them is for "
    "the use of whoever trained it, under the same condition, and ships with nothing."
)
_WITH_FERMATAS = {
    root: {**kept, "notations": frozenset({"tied", "fermata"})} for root, kept in MUSIC.items()
}


@dataclass(frozen=True, eq=False)
class Chorale:
    """A chorale of four voices.

    Attributes:
        tokens: int16 (4, T) of the task's codec, sixteenths, soprano first.
        task: its page: key, metre, pickup, and as phrases the bars that hold a fermata.
        name: of its file, such as "bwv269".
        cluster: number of a cluster of chorales on one tune.
        split: "train", "valid" or "test"; a cluster is in one.
    """

    tokens: npt.NDArray[np.int16]
    task: Task
    name: str
    cluster: int = 0
    split: str = ""

    @property
    def score(self) -> Score:
        """The chorale as a score of one piece."""
        return Score(self.tokens[None], self.task)

    @property
    def ends(self) -> list[int]:
        """Bars behind which a phrase ends, the last one's too."""
        return [phrase.first_bar + phrase.bars for phrase in self.task.phrase_plan]

    def part(self, first: int, end: int) -> Chorale:
        """Return the bars from `first` up to `end`, counted from the first cell.

        Nothing is held that has not begun there.
        """
        size, ends = self.task.bar_cells, [bar - first for bar in self.ends if first < bar <= end]
        tokens = self.tokens[:, first * size : end * size].copy()
        tokens[~np.maximum.accumulate(tokens >= FIRST_PITCH, axis=1)] = REST
        task = replace(self.task, bars=end - first, phrases="")
        return replace(self, tokens=tokens, task=replace(task, phrases=_plan(ends, end - first)))


def _plan(ends: Sequence[int], bars: int) -> str:
    """Return a plan of phrases that end behind these bars, for `Task.phrases`; "" for one."""
    inner = sorted({bar for bar in ends if 0 < bar < bars})
    return "+".join(str(two - one) for one, two in pairwise([0, *inner, bars])) if inner else ""


def read_chorale(data: bytes, name: str = "") -> Chorale:
    """Return a chorale of a MusicXML document.

    Raises:
        RefusedError: it has no fermatas, not the four voices, not one metre, or is beyond C2 to A5.
    """
    known = Known(grid=Codec.grid, quantize=True)
    draft = read_draft(data, known)
    chosen = [_of_voice(draft, voice) for voice in VOICES]
    draft.parts = [draft.parts[index] for index in chosen]
    times = _fermatas(data, chosen[0], draft)
    if not times:
        raise RefusedError("no fermatas")
    try:
        piece = make_piece(draft, known)
    except ValueError as error:
        raise RefusedError(f"not of one metre, or off the grid: {error}") from error
    pitches = [note.pitch for note in piece.notes]
    if piece.voices != len(VOICES):
        raise RefusedError("not one line in each voice")
    if min(pitches) < LOW or max(pitches) > HIGH:
        raise RefusedError("beyond C2 to A5")
    if piece.lost:
        raise RefusedError("notes off the grid of sixteenths")
    task = piece.task
    last = max(note.start + note.duration for note in piece.notes)
    length = sum(measure.length for measure in draft.parts[0].measures) * Codec.grid
    known_times = length == last  # else bars were filled, and times do not count cells
    ends = [int(time * Codec.grid) // task.bar_cells + 1 for time in times if known_times]
    task = replace(task, low=LOW, high=HIGH, phrases=_plan(ends, task.bars))
    return Chorale(piece.score_for(task).tokens[0], task, name)


def _of_voice(draft: Draft, voice: str) -> int:
    """Return the number of the part that a voice sings; of four parts it is by their order."""
    names = [part.name.lower() for part in draft.parts]
    found = [number for number, name in enumerate(names) if name.startswith(voice)]
    if len(found) != 1 and len(names) == len(VOICES):
        return VOICES.index(voice)
    if len(found) != 1:
        raise RefusedError("not one part for each voice")
    return found[0]


def _fermatas(data: bytes, number: int, draft: Draft) -> list[Fraction]:
    """Return the times of the notes of a part that have a fermata, in quarter notes."""
    root = elements(data, _WITH_FERMATAS, "MusicXML")
    measures = [each for _, each in parts(root)][number]
    lengths = [measure.length for measure in draft.parts[0].measures]
    found, divisions = [], 1
    for measure, start in zip(measures, accumulate(lengths, initial=Fraction(0)), strict=False):
        time = begins = Fraction(0)
        for item in measure:
            divisions = int(item.findtext("divisions") or divisions)
            length = Fraction(item.findtext("duration") or 0) / divisions
            if item.tag == "note":
                begins = begins if item.find("chord") is not None else time
                found += [start + begins] * (item.find("notations/fermata") is not None)
                time = begins + length
            elif item.tag in ("backup", "forward"):
                time += length if item.tag == "forward" else -length
    return found


# -- all of them -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Chorales:
    """The chorales, split, and why other files were left out.

    Attributes:
        pieces: ordered by name.
        left_out: number of files by reason.
    """

    pieces: tuple[Chorale, ...]
    left_out: dict[str, int]

    def select(self, part: str) -> list[Chorale]:
        """Return the chorales of a part of the split."""
        return [piece for piece in self.pieces if piece.split == part]

    @property
    def card(self) -> dict[str, Any]:
        """Where they are from, in JSON's types."""
        return {
            "name": "Bach's chorales in music21",
            "chorales": len(self.pieces),
            "clusters": len({piece.cluster for piece in self.pieces}),
            "left out": self.left_out,
            "split": "5% test, 5% valid; harmonisations of one tune in one part",
            "licence": LICENCE,
        }


def load_chorales(progress: Callable[[int, int], object] | None = None) -> Chorales:
    """Return the chorales of the installed music21; they are read once, and kept in the cache.

    Args:
        progress: called with the number of files that were read, and of all.

    Raises:
        FileNotFoundError: music21 is installed without its corpus.
    """
    path = user_cache() / f"{NAME}-{version()[:16]}.npz"
    try:
        return _cached(path)
    except Exception:  # a file that is missing or damaged raises errors of many types
        found = split_chorales(*_read_all(progress))
    path.parent.mkdir(parents=True, exist_ok=True)
    _keep(path, found)
    return found


def split_chorales(pieces: Sequence[Chorale], left_out: dict[str, int]) -> Chorales:
    """Return chorales with cluster and split: those whose sopranos are alike are in one part."""
    cluster = splitting.clusters([piece.tokens[0] for piece in pieces])
    parts = splitting.split_clusters(cluster, [piece.name for piece in pieces])
    together = zip(pieces, cluster, parts, strict=True)
    placed = [replace(piece, cluster=number, split=part) for piece, number, part in together]
    return Chorales(tuple(placed), left_out)


def _read_all(
    progress: Callable[[int, int], object] | None,
) -> tuple[list[Chorale], dict[str, int]]:
    from music21 import common

    folder = Path(common.getCorpusFilePath()) / FOLDER
    files = sorted([*folder.glob("*.mxl"), *folder.glob("*.xml")], key=lambda path: path.name)
    if not files:
        raise FileNotFoundError(
            f"music21 is installed without its corpus {FOLDER!r}, which has the chorales; get it "
            "with: pip install --force-reinstall music21"
        )
    pieces, left_out = [], Counter[str]()
    for done, file in enumerate(files, 1):
        data = file.read_bytes()
        try:
            data = unpacked(data) if file.suffix == ".mxl" else data
            pieces.append(read_chorale(data, file.stem))
        except ValueError as error:
            left_out[str(error).partition(":")[0]] += 1
        if progress is not None:
            progress(done, len(files))
    return pieces, dict(left_out)


def _keep(path: Path, found: Chorales) -> None:
    cards = [
        {
            **{"key": str(piece.task.key), "meter": str(piece.task.meter), "name": piece.name},
            **{"bars": piece.task.bars, "pickup": piece.task.pickup, "split": piece.split},
            **{"phrases": piece.task.phrases, "cluster": piece.cluster},
        }
        for piece in found.pieces
    ]
    text = json.dumps({"pieces": cards, "left_out": found.left_out}).encode()
    tokens = np.concatenate([piece.tokens for piece in found.pieces], axis=1)
    write_arrays(path, tokens=tokens, text=np.frombuffer(text, np.uint8))


def _cached(path: Path) -> Chorales:
    with np.load(path, allow_pickle=False) as file:
        tokens, text = file["tokens"], json.loads(file["text"].tobytes().decode())
    pieces, first = [], 0
    for card in text["pieces"]:
        own = {name: card.pop(name) for name in ("name", "cluster", "split")}
        task = Task(**card, low=LOW, high=HIGH, voices=len(VOICES))
        pieces.append(Chorale(tokens[:, first : first + task.cells], task, **own))
        first += task.cells
    return Chorales(tuple(pieces), text["left_out"])
