"""Diversity of a batch: differences between its pieces, and variety within them.

A policy that has found one rewarding piece writes it again and again. Its return does not show
that; these numbers do. They depend on the number of pieces, so compare batches of the same size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from envs.music.score import Score
from pretrained.corpora.edit_distance import edit_distances
from rewards.measures.statistics import distinct

PAIRS = 2000  # most pairs of pieces compared by edit distance
PIECES = 256  # most pieces in a Vendi score
GRAM = 4  # tokens in a gram of the Vendi score's kernel
BLOCK = 4096  # grams compared at a time: bounds memory
MOVES = 2  # intervals or durations in a gram of the entropies: three notes
Ints = npt.NDArray[np.int64]


def diversity(
    score: Score, seed: int = 0, *, pairs: int = PAIRS, pieces: int = PIECES
) -> dict[str, float]:
    """Return measures of diversity, each higher for more varied pieces.

    distinct: share of different pieces, 1 / B to 1.
    edit_distance: mean normalised Levenshtein distance of two pieces, 0 to 1.
    vendi: effective number of different pieces, 1 to the smaller of B and `pieces`.
    interval_entropy: entropy of two successive pitch intervals, in bits.
    rhythm_entropy: entropy of two successive durations from onset to onset, in bits.

    Args:
        score: B finished pieces.
        seed: draws pairs and pieces if there are more than the limits.
        pairs: most pairs for the edit distance.
        pieces: most pieces for the Vendi score.

    Raises:
        ValueError: the pieces are not finished, or a limit is below 1.
    """
    if not score.finished:
        raise ValueError("diversity: expected finished pieces; write their remaining cells first")
    if pairs < 1 or pieces < 1:
        raise ValueError(f"pairs={pairs}, pieces={pieces}: expected at least 1 of each")
    rng = np.random.default_rng(seed)
    return {
        "distinct": distinct(score) / score.batch,
        "edit_distance": edit_distance(score, rng, pairs),
        "vendi": vendi(score, rng, pieces),
        "interval_entropy": gram_entropy(score, score.interval),
        "rhythm_entropy": gram_entropy(score, score.cell - score.previous_onset),
    }


def edit_distance(score: Score, rng: np.random.Generator, pairs: int = PAIRS) -> float:
    """Return the mean Levenshtein distance of two pieces' tokens, divided by their length.

    See `edit_distances`. The distance is 0 for a single piece.

    Args:
        score: B finished pieces.
        rng: draws the pairs.
        pairs: most pairs that are compared.
    """
    first, second = _pairs(score.batch, rng, pairs)
    if not len(first):
        return 0.0
    return float(edit_distances(score.tokens[first], score.tokens[second]).mean())


def _pairs(n: int, rng: np.random.Generator, most: int) -> tuple[Ints, Ints]:
    """Return pairs of numbers i < j below n: all, or `most` different ones drawn uniformly."""
    total = n * (n - 1) // 2
    number = (
        np.arange(total) if total <= most else rng.choice(total, most, replace=False, shuffle=False)
    )
    # Pair number k is (i, j) with k = j (j - 1) / 2 + i.
    second = ((1 + np.sqrt(1 + 8.0 * number)) / 2).astype(np.int64)
    return number - second * (second - 1) // 2, second


def vendi(score: Score, rng: np.random.Generator, pieces: int = PIECES) -> float:
    """Return the Vendi score (Friedman & Dieng 2023, arXiv 2210.02410), an effective number.

    It is exp of the entropy of the eigenvalues of K / n, where K holds the similarities of n
    pieces: the cosine between the sets of token 4-grams that occur in their voices. Sets are used
    and not counts, because most grams of slow pieces are holds only; and not edit similarity,
    whose K may not be positive semidefinite.

    Args:
        score: B finished pieces.
        rng: draws the pieces.
        pieces: most pieces that are compared.
    """
    n = min(score.batch, pieces)
    rows = np.arange(n) if n == score.batch else rng.choice(score.batch, n, replace=False)
    tokens = score.tokens[rows].astype(np.int64)
    size = min(GRAM, tokens.shape[2])
    grams = np.lib.stride_tricks.sliding_window_view(tokens, size, axis=2)
    codes = (grams @ score.task.codec.vocab ** np.arange(size)).reshape(n, -1)
    kinds, place = np.unique(codes, return_inverse=True)
    owners = np.arange(n)[:, None]
    kind, piece = np.divmod(np.unique(place.reshape(n, -1) * n + owners), n)
    shared = np.zeros((n, n))
    for start in range(0, len(kinds), BLOCK):
        low, high = np.searchsorted(kind, (start, start + BLOCK))
        has = np.zeros((n, BLOCK), np.float32)
        has[piece[low:high], kind[low:high] - start] = 1
        shared += has @ has.T
    sizes = np.diag(shared)
    weights = np.linalg.eigvalsh(shared / np.sqrt(np.outer(sizes, sizes)) / n)
    weights = weights[weights > 1e-12]
    return float(np.exp(-(weights * np.log(weights)).sum()))


def gram_entropy(score: Score, fact: npt.NDArray[np.integer], moves: int = MOVES) -> float:
    """Return the entropy in bits (Shannon 1948) of a fact at `moves` successive notes.

    It is the Ent-n of Zhang et al. (2018, arXiv 1809.05972); pitch intervals and inter-onset
    durations are features of Yang & Lerch (2020). All pieces are counted together, so it measures
    variety within pieces and between them. It is 0 if there is no gram.

    Args:
        score: B finished pieces.
        fact: (B, V, T) integers, used at each onset that has an onset before it.
        moves: length of a gram.
    """
    at = score.onset & (score.previous_onset >= 0)
    voice = np.flatnonzero(at) // score.task.cells  # number of the voice among all pieces' voices
    if len(voice) < moves:
        return 0.0
    grams = np.lib.stride_tricks.sliding_window_view(fact[at], moves)
    grams = grams[voice[: len(grams)] == voice[moves - 1 :]]
    counts = np.unique(grams, axis=0, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0
