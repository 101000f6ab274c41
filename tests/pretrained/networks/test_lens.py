"""A network's outputs for the tokens of a task, against one look-up for each cell and token."""

import pytest
import torch

from envs.music.codec import Codec
from envs.music.task import Task
from pretrained.networks.lens import Lens, context_of
from pretrained.prior import ILLEGAL

CODEC = Codec()
TASKS = {
    "its own tokens": [Task()],
    "another key": [Task(key="D")],
    "a range that it has in part": [Task(key="Gb", low=40, high=88)],
    "keys of their own": [Task(), Task(key="Bb"), Task(key="D")],
}


def lens_of(tasks):
    return Lens.of(CODEC, torch.cat([context_of(task) for task in tasks]), 8)


@pytest.mark.parametrize("tasks", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("each", [1, 2])
def test_outputs_and_their_gradients_are_those_of_a_look_up(tasks, each):
    lens, rng = lens_of(tasks), torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 5, CODEC.vocab * each, generator=rng).requires_grad_()
    answer = lens.answer(outputs)
    weight = torch.randn(answer.shape, generator=rng).masked_fill(answer == ILLEGAL, 0.0)
    (gradient,) = torch.autograd.grad((answer * weight).sum(), outputs)
    wanted, went = torch.full_like(answer, ILLEGAL), torch.zeros_like(outputs)
    for piece in range(3):
        own = lens.own[piece % len(lens.own)].tolist()
        for token, inner in enumerate(own):
            if inner >= 0:
                here, there = (slice(n * each, (n + 1) * each) for n in (token, inner))
                wanted[piece, :, here] = outputs[piece, :, there].detach()
                went[piece, :, there] += weight[piece, :, here]
    assert torch.equal(answer, wanted)
    assert torch.allclose(gradient, went)


def test_only_the_networks_own_range_and_key_are_plain():
    plain = {name: lens_of(tasks).is_plain for name, tasks in TASKS.items()}
    assert plain == {name: name == "its own tokens" for name in TASKS}
