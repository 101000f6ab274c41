import numpy as np
import torch

from pretrained.diffusion.bars_apart import BUCKETS, COUNTS, NEAR, SHIFTS, likeness, there

MASK, BAR, CELLS = 9, 4, 40


def lines(seed=0):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, MASK + 1, (3, CELLS)))


def test_tokens_at_the_same_place_of_other_bars():
    tokens, bar = lines(), torch.tensor([BAR, 5, 8])
    found = there(tokens, bar, MASK)
    for row in range(3):
        for cell in range(CELLS):
            for number, shift in enumerate(SHIFTS):
                at = cell + shift * int(bar[row])
                inside = 0 <= at < CELLS
                expected = int(tokens[row, at]) if inside else MASK + 1
                assert found[row, cell, number] == expected


def test_likeness_counts_equal_onsets_and_different_tokens_by_a_slow_twin():
    tokens, bar = lines(1), torch.tensor([BAR])
    others = there(tokens, bar, MASK)
    near, wide = likeness(tokens, others, bar, MASK)
    for found, width in ((near, NEAR), (wide, BAR)):
        for row in range(3):
            for cell in range(CELLS):
                for number in range(len(SHIFTS)):
                    span = range(max(0, cell - width), min(CELLS, cell + width + 1))
                    pairs = [(int(tokens[row, c]), int(others[row, c, number])) for c in span]
                    pairs = [(a, b) for a, b in pairs if a < MASK and b < MASK]
                    same = sum(a == b and a >= 2 for a, b in pairs)
                    differ = sum(a != b for a, b in pairs)
                    bucket = [COUNTS[min(n, len(COUNTS) - 1)] for n in (same, differ)]
                    assert found[row, cell, number] == bucket[0] * BUCKETS + bucket[1]


def test_masked_cells_count_for_nothing():
    tokens = torch.full((1, CELLS), MASK)
    near, wide = likeness(
        tokens, there(tokens, torch.tensor([BAR]), MASK), torch.tensor([BAR]), MASK
    )
    assert not near.any()
    assert not wide.any()
