"""Which cells are given in a lesson: whole bars mostly, never padding, never all of a long tune."""

from itertools import pairwise

import numpy as np
import torch

from pretrained.training import masking
from pretrained.training.fit import losses_of
from pretrained.training.masking import draw_given
from tests.pretrained.networks.hearing import hearing


def places(cells, bar, pickup=0):
    """(1, cells, 6) places of a line."""
    place = torch.zeros(1, cells, 6, dtype=torch.int64)
    place[..., 0] = (torch.arange(cells) - pickup) % bar
    place[..., 1] = bar
    return place


def kinds(given, bar, pickup):
    """Return the kind of each line (B, T): a run of bars hidden or given, some bars, or cells."""
    count, found = -(-(given.shape[1] - pickup) // bar), []
    for line in given:
        edges = [0] * bool(pickup) + [pickup + n * bar for n in range(count + 1)]
        bars = [
            set(line[a:b].tolist()) for a, b in zip(edges, [*edges[1:], len(line)], strict=True)
        ]
        bars = [b for b in bars if b]
        if any(len(b) > 1 for b in bars):
            found.append("cells")
            continue
        shown = [True in b for b in bars]
        changes = sum(a != b for a, b in pairwise(shown))
        ends = shown[0], shown[-1]
        one_run = changes <= 2 and (changes == 1 or ends[0] == ends[1])
        found.append("run" if one_run else "bars")
    return found


def test_bars_are_shown_or_hidden_as_wholes_in_the_shares_named():
    place = places(164, 16, pickup=4).expand(4000, -1, -1)
    given = draw_given(place, torch.ones(4000, 164, dtype=torch.bool), np.random.default_rng(0))
    found = kinds(given.numpy(), 16, 4)
    share = {kind: found.count(kind) / 4000 for kind in ("run", "bars", "cells")}
    runs = masking.RUN_HIDDEN + masking.RUN_GIVEN
    assert share["run"] >= runs - 0.03  # some bars may be one run too
    assert share["run"] <= runs + masking.BARS_HIDDEN * 0.5
    assert abs(share["cells"] - (1 - runs - masking.BARS_HIDDEN)) < 0.02
    assert given.all(dim=1).float().mean() < 0.08  # and nothing is left to learn


def test_every_bar_may_be_hidden_and_padding_is_never_given():
    place = places(48, 12).expand(2000, -1, -1).clone()
    real = torch.ones(2000, 48, dtype=torch.bool)
    real[1000:, 24:] = False
    place[1000:, 24:] = 0  # as in a padded batch
    given = draw_given(place, real, np.random.default_rng(1))
    assert not given[~real].any()
    hidden = ~given[:1000].reshape(1000, 4, 12).any(dim=2)
    assert (hidden.float().mean(dim=0) > 0.2).all()
    alone = [h.tolist() for h in hidden if h.sum() == 1]
    assert all([n == bar for n in range(4)] in alone for bar in range(4))
    short = given[1000:, :24].reshape(1000, 2, 12)
    assert not (short.all(dim=2).all(dim=1)).float().mean() > 0.2


def test_the_same_draw_gives_the_same_cells():
    place, real = places(64, 16).expand(8, -1, -1), torch.ones(8, 64, dtype=torch.bool)
    one, two, other = (draw_given(place, real, np.random.default_rng(n)) for n in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_tune_that_is_given_as_a_whole_teaches_nothing_and_breaks_nothing(monkeypatch):
    net = hearing("lstm").net.train().requires_grad_(True)
    shown = torch.randint(0, 30, (1, 16)), places(16, 16), torch.ones(1, 16, dtype=torch.bool)
    for share, right in ((1, lambda x: x == 0), (0, lambda x: x > 0)):
        monkeypatch.setattr(
            "pretrained.training.fit.draw_given",
            lambda place, real, rng, share=share: real & bool(share),
        )
        loss, ahead = losses_of(net, shown, np.random.default_rng(0), False)
        (loss + ahead).backward()
        assert right(ahead.item())
        assert all(torch.isfinite(w.grad).all() for w in net.parameters() if w.grad is not None)
