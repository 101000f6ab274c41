"""A held-out judge: an n-gram model of other tunes than the prior's, which no agent learns from.

    python -m pretrained.ngrams.judge         # nats of held-out tunes, noise and a single note

An agent is rewarded by the prior, so the prior's likelihood is no evidence for its pieces. The
judge is counted on the European songs of the Essen collection (Schaffrath 1995) instead. Their
licence is unclear and non-commercial, so they do not ship: the judge is counted at first use on the
user's machine, from the installed music21, and stored in the user's cache folder. Bar lines are
passed over, so that songs with bars of several lengths count as well.

Notation gives the tempo of a tune only up to a factor of two, and Essen's notes are twice as long
as those of the prior's dance tunes. So tunes without 16ths are counted at double speed as well,
which makes held-out tunes of both collections likelier (Essen 0.912 -> 0.906 nats per token, the
prior's test tunes 1.618 -> 1.497). Of the orders 1 to 8, 5 is the best on the prior's test tunes
and within 0.02 nats of the best, 7, on Essen's.

Likelihood is not quality. A hold is the likeliest token, so nats per token favour long notes; nats
per note do not. By both a repeated note is likelier than any tune, so read the judge together with
measures of diversity.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from envs.durable_files import user_cache, write_atomic
from envs.music.codec import FIRST_PITCH, HOLD, Codec
from pretrained.corpora import split
from pretrained.corpora.folk import GRID, collection_files, load_corpus, split_tunes
from pretrained.corpora.tunes import MODE_TONIC, GridTune, TuneError, choose_shift, read_tune
from pretrained.ngrams.model import NGram

if TYPE_CHECKING:
    from envs.music.score import Score
    from envs.music.task import Task

COLLECTION = "essenFolksong"
LEFT_OUT = ("han1", "han2", "test0", "test1", "testd", "teste")  # China; samples of the world
ORDER = 5  # tokens of context
FORMAT = 2  # of the cached file; increase it whenever the judge is counted in another way
VOCABULARY = Codec()  # of the tunes
C_MINOR_SHARPS = -3
Tokens = npt.NDArray[np.int16]


class Judge:
    """An n-gram model of European folk songs; a `pretrained.prior.Scorer`.

    Pieces are transposed to C major or A minor, in the songs' octave. A pitch that is then outside
    C3-B5 has the probability of a pitch that no song has.

    Args:
        table: counts of the songs.
        codec: vocabulary of the scores to be judged.

    Raises:
        ValueError: the codec's cells are no 16ths.
    """

    def __init__(self, table: NGram, codec: Codec) -> None:
        require_16ths(codec)
        self.table = table
        self.codec = codec

    def require(self, task: Task) -> None:
        """Raise ValueError unless a task has the judge's codec."""
        if task.codec != self.codec:
            raise ValueError(
                f"the judge was loaded for codec {self.codec.fingerprint!r} but the task needs "
                f"{task.codec.fingerprint!r}; load it with load_judge(task.codec)"
            )

    def log_prob(self, score: Score) -> npt.NDArray[np.float32]:
        """Return the log-probability (B, V, T), in nats, of each token after those of its voice.

        Raises:
            ValueError: another codec, or pieces that are not finished.
        """
        self.require(score.task)
        if not score.finished:
            raise ValueError("the judge: expected finished pieces; write their other cells first")
        tokens = score.tokens.astype(np.int64)
        moved = tokens + self.codec.low - VOCABULARY.low + shift_to_songs(score.task)
        outside = (moved < FIRST_PITCH) | (moved >= VOCABULARY.vocab)
        moved = np.where(outside, VOCABULARY.vocab + 1, moved)
        tokens = np.where(tokens >= FIRST_PITCH, moved, tokens)
        nats = self.table.log_prob(tokens.reshape(-1, tokens.shape[2]))
        return nats.reshape(tokens.shape).astype(np.float32)

    def per_note(self, score: Score) -> float:
        """Return the log-probability per note of all pieces, in nats: about -3 for folk tunes."""
        return float(self.log_prob(score).sum(dtype=np.float64)) / max(1, int(score.onset.sum()))


def shift_to_songs(task: Task) -> int:
    """Return the semitones that cancel a task's key signature and bring its range near C3-B5."""
    centre, target = task.low + task.high, VOCABULARY.low + VOCABULARY.high
    fitting = [n for n in range(-128, 129) if (n + 7 * task.key.fifths) % 12 == 0]
    return min(fitting, key=lambda n: (abs(centre + 2 * n - target), abs(n)))


def require_16ths(codec: Codec) -> None:
    """Raise ValueError unless a codec's cells are 16ths, like those of the songs."""
    if codec.grid != GRID:
        raise ValueError(
            f"the judge knows cells of a 16th, but codec {codec.fingerprint!r} has {codec.grid} "
            f"cells per quarter note, expected {GRID}; use a task with grid={GRID}, or no judge"
        )


def load_judge(codec: Codec = VOCABULARY) -> Judge:
    """Return the judge for scores of a codec; it is counted once, in about 20 seconds.

    Raises:
        ValueError: the codec's cells are no 16ths.
        FileNotFoundError: music21 is installed without its corpus.
    """
    require_16ths(codec)
    return Judge(_cached_table(cache_file()), codec)


def cache_file() -> Path:
    """Return the path of the stored counts, in the user's cache folder."""
    return user_cache() / f"judge-{FORMAT}-music21-{metadata.version('music21')}.npz"


@lru_cache(maxsize=1)
def _cached_table(path: Path) -> NGram:
    """Return the counts in a file; if it is missing or damaged, count the songs and write it."""
    try:
        return read_table(path)
    except Exception:  # a damaged file raises errors of many types
        table = count_songs(essen_songs())
    try:
        write_table(table, path)
    except OSError as error:
        warnings.warn(
            f"the judge cannot be stored in {path} ({error}), so every start counts it again; "
            "set XDG_CACHE_HOME to a folder that can be written",
            stacklevel=3,
        )
    return table


def read_table(path: Path) -> NGram:
    """Return the counts in a file.

    Raises:
        ValueError: it has no counts of this version. A file that is missing or damaged raises the
            errors of numpy and zipfile.
    """
    with np.load(path, allow_pickle=False) as file:
        names = {"made", "grams", "counts"}
        if set(file.files) != names or str(file["made"]) != path.stem:
            raise ValueError(f"'{path}' holds no counts of version {path.stem}; delete it")
        return NGram(ORDER, VOCABULARY.vocab, file["grams"], file["counts"])


def write_table(table: NGram, path: Path) -> None:
    """Write counts to a file, completely or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    data = io.BytesIO()
    made = np.array(path.stem)
    np.savez_compressed(data, made=made, grams=table.grams, counts=table.counts)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data.getvalue())


def essen_songs(left_out: tuple[str, ...] = LEFT_OUT) -> list[Tokens]:
    """Return the tokens (T,) of the songs, without near-duplicates of tunes in the prior's corpus.

    Args:
        left_out: names of files, without suffix, that are not read.

    Raises:
        FileNotFoundError: music21 is installed without its corpus.
    """
    from tqdm import tqdm

    files = [path for path in collection_files(COLLECTION) if path.stem not in left_out]
    if not files:
        raise FileNotFoundError(
            f"music21 is installed without its corpus {COLLECTION!r}, which the judge needs; "
            "get it with: pip install --force-reinstall music21"
        )
    songs: list[Tokens] = []
    for text in tqdm(
        [text for path in files for text in split_tunes(path.read_text("utf-8"))],
        desc="reading songs for the judge, once",
        disable=None,
    ):
        try:
            songs.append(with_its_mode(read_tune(text, bars=False)).tokens)
        except TuneError:
            continue  # no metre: 3% of the songs
    tunes = [tune.tokens for tune in load_corpus().tunes]
    pairs = split.near_duplicate_pairs([*tunes, *songs])
    copies = {j - len(tunes) for i, j in pairs if i < len(tunes) <= j}
    return [song for number, song in enumerate(songs) if number not in copies]


def with_its_mode(tune: GridTune) -> GridTune:
    """Return a tune in A minor if it is called major but has more minor than major thirds.

    The thirds are counted above the tonic. Essen's key field names the tonic only: 853 of its
    major songs are minor.

    Raises:
        TuneError: the range in A minor is wider than C3-B5.
    """
    onset = tune.tokens >= FIRST_PITCH
    pitches = tune.tokens[onset] - FIRST_PITCH + VOCABULARY.low
    minor, major = ((pitches % 12 == third).sum() for third in (3, 4))
    if tune.tonic != MODE_TONIC["major"] or minor <= major:
        return tune
    shift = choose_shift(pitches.tolist(), C_MINOR_SHARPS)
    tokens = np.where(onset, tune.tokens + np.int16(shift), tune.tokens)
    return replace(tune, tokens=tokens, tonic=MODE_TONIC["minor"])


def count_songs(songs: list[Tokens], order: int = ORDER) -> NGram:
    """Count songs; those without 16ths are also counted at double speed."""
    faster = [song[::2] for song in songs if (song[1::2] == HOLD).all()]
    return NGram.of(order, VOCABULARY.vocab, [*songs, *faster])


def held_out_table() -> str:
    """Return a table of nats per token and per note, by a judge counted on 90% of the songs."""
    songs = essen_songs()
    parts = split.split_clusters(split.clusters(songs), [str(n) for n in range(len(songs))])
    table = count_songs([song for song, part in zip(songs, parts, strict=True) if part != "test"])
    rng = np.random.default_rng(0)
    pieces: dict[str, list[Tokens]] = {
        "held-out songs": [song for song, part in zip(songs, parts, strict=True) if part == "test"],
        "the prior's test tunes": [tune.tokens for tune in load_corpus().select("test")],
        "even noise": list(rng.integers(FIRST_PITCH, VOCABULARY.vocab, (100, 32), np.int16)),
        "one note, in quarters": [np.tile(np.array([14, 1, 1, 1], np.int16), 8)],
        "one note, held": [np.array([14] + [HOLD] * 31, np.int16)],
    }
    lines = [f"{'nats':<24}{'per token':>10}{'per note':>10}"]
    for name, group in pieces.items():
        total = -sum(float(table.log_prob(piece[None]).sum()) for piece in group)
        cells = sum(len(piece) for piece in group)
        notes = sum(int((piece >= FIRST_PITCH).sum()) for piece in group)
        lines.append(f"{name:<24}{total / cells:>10.3f}{total / notes:>10.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(held_out_table())
