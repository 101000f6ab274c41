"""Seconds that the copy check takes for a piece, once the training tunes are sorted.

python -m tests.tools.benchmarks.bench_novelty
"""

import time

import numpy as np

from envs.music.score import Score
from envs.music.task import Task
from rewards.measures.novelty import novelty, training_tunes

PIECES = 20


def seconds(bars: int) -> float:
    """Mean over excerpts of training tunes, which share the most and so cost the most."""
    task = Task(bars=bars, low=24, high=108)
    tunes = [tune for tune in training_tunes().tunes if len(tune.tokens) >= task.cells]
    rows = np.array([tune.tokens[: task.cells] for tune in tunes[:: len(tunes) // PIECES]])
    score = Score(np.where(rows > 1, rows + 24, rows)[:, None], task)
    novelty(score[:1])  # sorts the tunes
    begun = time.perf_counter()
    novelty(score)
    return (time.perf_counter() - begun) / score.batch


def main() -> None:
    """Print a line for each length."""
    begun = time.perf_counter()
    novelty(Score(np.full((1, 1, 32), 14), Task()))
    print(f"sorting the tunes: {time.perf_counter() - begun:.1f} s")
    for bars in (2, 4, 8, 16):
        print(f"{bars:>3} bars: {1000 * seconds(bars):.1f} ms a piece")


if __name__ == "__main__":
    main()
