import pytest
import torch

from pretrained.diffusion.denoiser import Denoiser, DenoiserShape
from tests.pretrained.diffusion.tiny import places, tiny_net

BAR, CELLS = 4, 16


def pieces(voices=1, batch=2, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 6, (batch, voices, CELLS), generator=rng)


@torch.inference_mode()
def answers(net, tokens):
    return net(tokens, places(CELLS, BAR))


def test_every_cell_hears_every_other_cell_of_its_line():
    net, tokens = tiny_net(), pieces()
    plain = answers(net, tokens)
    for cell in (0, 7, CELLS - 1):
        other = tokens.clone()
        other[:, :, cell] = net.mask
        assert ((answers(net, other) - plain).abs().amax(dim=(0, 1, 3)) > 0).all()


def test_a_piece_does_not_depend_on_the_others_of_its_batch():
    net, tokens = tiny_net(), pieces(batch=3)
    alone = torch.cat([answers(net, tokens[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(answers(net, tokens), alone, atol=1e-5, rtol=1e-5)


def test_places_of_each_piece_are_its_own():
    net, tokens = tiny_net(), pieces(2)
    other = places(CELLS, BAR)
    other[..., 3] = 5
    both = net(tokens, torch.cat([places(CELLS, BAR), other]))
    torch.testing.assert_close(both[0], answers(net, tokens)[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(both[1], net(tokens, other)[1], atol=1e-5, rtol=1e-5)


def test_voices_hear_each_other_only_through_mix():
    tokens = pieces(voices=2)
    other = tokens.clone()
    other[:, 1] = 3
    for net, hears in ((tiny_net(), False), (tiny_net(mix=4), True)):
        changed = (answers(net, other) - answers(net, tokens))[:, 0].abs().max() > 1e-6
        assert bool(changed) is hears


def test_a_voice_alone_is_read_as_without_mix():
    net = tiny_net(mix=4)
    plain = Denoiser(DenoiserShape(**{**vars(net.shape), "mix": 0})).eval()
    plain.load_state_dict(net.state_dict(), strict=False)
    torch.testing.assert_close(answers(net, pieces()), answers(plain, pieces()))


def test_what_is_trusted_is_copied():
    net, tokens = tiny_net(), pieces()
    plain = answers(net, tokens)
    with torch.no_grad():
        net.trust.bias[0] += 5.0  # one bar behind
    raised = answers(net, tokens) - plain
    there = tokens[:, :, :-BAR]
    torch.testing.assert_close(
        raised[:, :, BAR:].gather(3, there[..., None]), torch.full((*there.shape, 1), 5.0)
    )
    assert raised[:, :, :BAR].abs().max() < 1e-5


@pytest.mark.parametrize("sizes", [{"hidden": 0}, {"heads": 2.5}, {"head_size": 7}, {"mix": -1}])
def test_sizes_out_of_bounds_are_refused(sizes):
    with pytest.raises(ValueError, match=next(iter(sizes))):
        DenoiserShape(**sizes)
