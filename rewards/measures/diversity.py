"""How different the pieces of a batch are from each other, and how varied in themselves.

A policy that found one piece that pays writes it again and again: the return says nothing about
that, these numbers do. All of them depend on the number of pieces, so compare batches of one size.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from envs.music.score import Score
from rewards.measures.statistics import distinct

PAIRS = 2000  # most pairs of pieces compared by edit distance
PIECES = 256  # most pieces in a Vendi score
GRAM = 4  # tokens in a gram of the Vendi score's kernel
BLOCK = 4096  # grams looked at together there: bounds memory
MOVES = 2  # intervals or durations in a gram of the entropies: three notes
Ints = npt.NDArray[np.int64]


def diversity(
    score: Score, seed: int = 0, *, pairs: int = PAIRS, pieces: int = PIECES
) -> dict[str, float]:
    """Diversity of finished pieces; every number is higher for more varied pieces.

    distinct: share of different pieces, 1 / B to 1.
    edit_distance: mean normalised Levenshtein distance of two pieces, 0 to 1.
    vendi: effective number of different pieces, 1 to the smaller of B and `pieces`.
    interval_entropy: bits of two successive pitch intervals.
    rhythm_entropy: bits of two successive durations from onset to onset.

    Args:
        score: B finished pieces.
        seed: of the pairs and pieces that are drawn where there are more than the limits.
        pairs: most pairs for the edit distance.
        pieces: most pieces for the Vendi score.

    Raises:
        ValueError: the pieces are not finished, or a limit is below 1.
    """
    if not score.finished:
        raise ValueError("diversity needs finished pieces; write the rest of them first")
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
    """Mean Levenshtein distance of the tokens of two pieces, divided by their length.

    Insertions, deletions and substitutions cost 1 each (Levenshtein 1966). A piece of several
    voices is read voice after voice. One piece alone has distance 0.

    Args:
        score: B finished pieces.
        rng: draws the pairs.
        pairs: all pairs are compared if there are no more than that, else that many.
    """
    # One character a token: the fastest for rapidfuzz; no codec has more than 130 tokens.
    texts = [piece.astype(np.uint8).tobytes().decode("latin-1") for piece in score.tokens]
    first, second = _pairs(score.batch, rng, pairs)
    if not len(first):
        return 0.0
    distances = cpdist(
        [texts[i] for i in first],
        [texts[i] for i in second],
        scorer=Levenshtein.normalized_distance,
        workers=1,
    )
    return float(distances.mean(dtype=np.float64))


def _pairs(n: int, rng: np.random.Generator, most: int) -> tuple[Ints, Ints]:
    """Pairs i < j of n things: all, or `most` different ones drawn evenly."""
    total = n * (n - 1) // 2
    number = (
        np.arange(total) if total <= most else rng.choice(total, most, replace=False, shuffle=False)
    )
    # Pair number k is (i, j) with k = j (j - 1) / 2 + i.
    second = ((1 + np.sqrt(1 + 8.0 * number)) / 2).astype(np.int64)
    return number - second * (second - 1) // 2, second


def vendi(score: Score, rng: np.random.Generator, pieces: int = PIECES) -> float:
    """Vendi score (Friedman & Dieng 2023, arXiv 2210.02410): how many pieces there seem to be.

    exp of the entropy of the eigenvalues of K / n, where K holds the similarities of n pieces:
    the cosine between the sets of token 4-grams that occur in them, each gram within a voice.
    Pieces that share none have similarity 0. Sets and not counts, because most grams of slow
    pieces are nothing but holds; and not edit similarity, whose K need not be positive
    semidefinite.

    Args:
        score: B finished pieces.
        rng: draws the pieces.
        pieces: all are compared if there are no more than that, else that many.
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
    """Entropy in bits (Shannon 1948) of a fact at `moves` successive moves to another note.

    That of n-grams is the Ent-n of Zhang et al. (2018, arXiv 1809.05972); pitch intervals and
    inter-onset durations are features of Yang & Lerch (2020). Counted over all pieces together,
    so it sees variety within pieces and between them. 0 if there is no gram.

    Args:
        score: B finished pieces.
        fact: (B, V, T) whole numbers, looked at where a note begins that has one before it.
        moves: length of a gram.
    """
    at = score.onset & (score.previous_onset >= 0)
    voice = np.flatnonzero(at) // score.task.cells  # which voice of which piece
    if len(voice) < moves:
        return 0.0
    grams = np.lib.stride_tricks.sliding_window_view(fact[at], moves)
    grams = grams[voice[: len(grams)] == voice[moves - 1 :]]
    counts = np.unique(grams, axis=0, return_counts=True)[1]
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0
