"""Looking back: whole pieces and single steps agree, and see what stood a bar before."""

import pytest
import torch

from pretrained.networks import recurrent
from pretrained.networks.inputs import LONGEST_RUN
from pretrained.networks.recurrent import NetShape, RecurrentNet

VOCAB, NOTHING = 6, 6


def make(lookback, seed=0):
    net = RecurrentNet(NetShape(VOCAB, hidden=8, layers=2, embed=4, lookback=lookback)).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0.0, 0.5, generator=rng)
    return net


def places(bars, cells):
    bar = torch.tensor(bars)[:, None].expand(-1, cells)
    return torch.stack([torch.arange(cells) % bar, bar, torch.full_like(bar, 4)], dim=2)


def stepped(net, tokens, place):
    state = net.start(len(tokens))
    previous = torch.full((len(tokens),), net.start_token)
    for cell in range(tokens.shape[1]):
        logits, _, state = net.step(previous, place[:, cell], state)
        yield logits, state
        previous = tokens[:, cell]


@pytest.mark.parametrize("lookback", [0, 1, 3])
@torch.no_grad()
def test_steps_equal_the_whole_in_every_metre(lookback):
    net, bars = make(lookback), [16, 12, 64, 65, 3, 100]
    tokens = torch.randint(0, 2, (len(bars), 200), generator=torch.Generator().manual_seed(1))
    place = places(bars, 200)
    whole, _ = net(tokens, place)
    found = torch.stack([logits for logits, _ in stepped(net, tokens, place)], dim=1)
    assert torch.allclose(whole, found, atol=1e-5)


@pytest.mark.parametrize("lookback", [0, 2])
@torch.no_grad()
def test_a_kernel_over_one_cell_equals_the_cells_written_out(lookback, monkeypatch):
    net, place = make(lookback), places([4, 3, 65], 20)
    tokens = torch.randint(0, 2, (3, 20), generator=torch.Generator().manual_seed(3))
    written, _ = list(zip(*stepped(net, tokens, place), strict=True))
    kernels = []
    net.lstm.register_forward_hook(lambda *arguments: kernels.append(arguments))
    monkeypatch.setattr(recurrent, "MANY", 3)
    at_once, states = list(zip(*stepped(net, tokens, place), strict=True))
    assert len(kernels) == 20
    assert torch.allclose(torch.stack(at_once), torch.stack(written), atol=1e-5)
    assert states[-1].h.shape == states[-1].c.shape == (2, 3, 8)


@torch.no_grad()
def test_what_is_seen_is_the_token_a_bar_ago_and_the_run_of_repeats():
    net = make(2)
    tokens = torch.tensor([[1, 2, 3, 4, 1, 2, 5, 4, 1, 2, 5, 0]])
    place = places([4], 12)
    back = net._look_back(tokens, place)[0]
    first, second = back[:, :2], back[:, 2:] - net._rows
    assert first[:, 0].tolist() == [NOTHING] * 4 + tokens[0, :8].tolist()
    assert second[:, 0].tolist() == [NOTHING] * 8 + tokens[0, :4].tolist()
    run = first[:, 1] - (VOCAB + 1)  # before each cell: 1 2 repeat, 5 does not, 4 1 2 5 repeat
    assert run.tolist() == [0, 0, 0, 0, 0, 1, 2, 0, 1, 2, 3, 4]
    assert (second[:, 1] - (VOCAB + 1)).tolist() == [0] * 9 + [1, 2, 0]


@torch.no_grad()
def test_a_long_run_counts_as_the_longest():
    net = make(1)
    back = net._look_back(torch.zeros(1, 40, dtype=torch.int64), places([2], 40))[0]
    assert back[-1, 1] - (VOCAB + 1) == LONGEST_RUN


@torch.no_grad()
def test_states_of_some_pieces_go_on_alike():
    net, rows = make(2), torch.tensor([2, 0, 2])
    tokens = torch.randint(0, VOCAB, (3, 20), generator=torch.Generator().manual_seed(2))
    place = places([4, 6, 16], 20)
    states = [state for _, state in stepped(net, tokens, place)]
    taken = net.take(states[9], rows)
    logits, _, _ = net.step(tokens[rows, 9], place[rows, 10], taken)
    assert torch.allclose(logits, net(tokens, place)[0][rows, 10], atol=1e-5)


def test_a_new_network_looks_back_without_effect():
    torch.manual_seed(0)
    plain = RecurrentNet(NetShape(VOCAB, 8, 1, 4)).eval()
    looking = RecurrentNet(NetShape(VOCAB, 8, 1, 4, lookback=2)).eval()
    looking.load_state_dict(plain.state_dict(), strict=False)
    tokens = torch.zeros(2, 30, dtype=torch.int64)
    assert torch.equal(plain(tokens, places([4, 8], 30))[0], looking(tokens, places([4, 8], 30))[0])


@pytest.mark.parametrize("bars", [-1, 9, 1.0, True])
def test_bars_out_of_range_are_refused(bars):
    with pytest.raises(ValueError, match="lookback"):
        NetShape(VOCAB, lookback=bars)
