"""Targets, loss, gradient and updates of QLearning against closed forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from sb3_contrib.common.utils import quantile_huber_loss as theirs

from agents.algorithms.q_losses import bootstrapped, clip_each, quantile_huber_loss
from agents.algorithms.q_policy import KINDS
from agents.learning.rollout import buffer_of
from envs.music.task import Task
from tests.agents.algorithms.q_learners import filled, kinds, state

SGD = {"optimizer_class": torch.optim.SGD, "optimizer_kwargs": {"lr": 1.0}}


def test_the_last_step_of_a_piece_does_not_bootstrap():
    rewards, values = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[10.0, 20.0, 40.0]])
    assert bootstrapped(rewards, values, 0.5).tolist() == [[11.0, 22.0, 3.0]]
    spread = torch.stack([values, 2 * values], dim=2)
    found = bootstrapped(rewards[..., None], spread, 0.5)
    assert found.tolist() == [[[11.0, 21.0], [22.0, 42.0], [3.0, 3.0]]]


def outputs_of(net, pieces, task):
    """(B, steps, vocab, n) by reading each voice from the start, one cell after the other."""
    place = torch.tensor([[t % task.bar_cells, task.bar_cells, task.beat_cells]
                          for t in range(task.cells)])  # fmt: skip
    rows = [net(pieces.tokens[:, v], place[None])[0] for v in range(task.voices)]
    by_time = torch.stack(rows, dim=2).flatten(1, 2)
    return by_time.unflatten(-1, (38, -1)).detach().double()


def slow_loss(model, pieces, task):
    """The loss, cell by cell, from the formulas."""
    online, ahead = (
        outputs_of(net, pieces, task) for net in (model.policy.net, model.policy.target)
    )
    kind, losses = KINDS[model.policy.kind_name], []
    for b, t in itertools.product(range(len(online)), range(online.shape[1])):
        reward = float(pieces.rules[b, t]) / model.c
        reward += 0.0 if kind.beside_prior else float(pieces.prior[b, t])
        targets = torch.full((online.shape[3],), reward, dtype=torch.float64)
        if t + 1 < online.shape[1]:
            allowed = torch.nonzero(pieces.masks[b, t + 1])[:, 0].tolist()
            after = ahead[b, t + 1]
            chooser = after.mean(dim=1)
            best = max(allowed, key=lambda a: float(chooser[a]))
            if model.policy.kind_name == "psi":
                value = math.log(sum(math.exp(after[a, 0]) for a in allowed))
            elif model.policy.kind_name == "g":
                log_p = pieces.log_p[b, t + 1]
                value = math.log(sum(math.exp(after[a, 0] + log_p[a]) for a in allowed))
            else:
                value = after[best]
            targets += model.gamma * value
        played = online[b, t, pieces.actions[b, t]]
        losses.append(piece_error(model, played, targets))
    return sum(losses) / len(losses)


def piece_error(model, played, targets):
    def huber(error):
        return 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5

    if model.policy.kind_name == "qrdqn":
        n, loss = len(played), 0.0
        for i, j in itertools.product(range(n), range(n)):
            error = float(targets[j] - played[i])
            loss += abs((i + 0.5) / n - (error < 0)) * huber(error) / n
        return loss
    error = float(targets[0] - played[0])
    return huber(error) if model.policy.kind_name == "dqn" else error**2


CASES = [{"kind": kind, "gamma": gamma} for kind in KINDS for gamma in (0.5, 1.0)]
CASES += [
    {"kind": kind, "c": 0.25, "task": {"bars": 1, "voices": 2}} for kind in ("q", "g", "qrdqn")
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_loss_is_its_formula(tiny_prior, case):
    task = case.get("task", {"bars": 1}) | {"low": "C4", "high": "A4"}
    model = filled(tiny_prior, **case | {"task": task})
    pieces = model.memory.take(np.arange(4))
    expected = slow_loss(model, pieces, Task(**task))
    assert model.loss(pieces).item() == pytest.approx(expected, rel=1e-4)


def test_c_may_be_turned_while_learning(tiny_prior):
    model = filled(tiny_prior, "psi")
    pieces, before = (
        model.memory.take(np.arange(4)),
        model.loss(model.memory.take(np.arange(4))).item(),
    )
    steering = buffer_of(model).steering
    steering.objective = steering.objective.with_c(0.1)
    assert model.c == 0.1
    assert model.loss(pieces).item() == pytest.approx(
        slow_loss(model, pieces, Task(bars=1)), rel=1e-4
    )
    assert model.loss(pieces).item() > 2 * before


@pytest.mark.parametrize("n", [1, 3, 25])
def test_the_quantile_loss_is_that_of_sb3_contrib(n):
    current, target = 2 * torch.randn(40, n), 3 * torch.randn(40, n) + 1
    torch.testing.assert_close(
        quantile_huber_loss(current, target), theirs(current, target, sum_over_quantiles=True)
    )


@kinds
def test_the_gradient_is_that_of_the_played_actions_alone(tiny_prior, kind):
    """Of the read-out's bias: mean over cells of dloss/dQ at the action, with targets held."""
    model = filled(tiny_prior, kind)
    pieces = model.memory.take(np.arange(4))
    with torch.no_grad():
        online = model._read(model.policy.model, pieces)
        targets = model.targets(pieces).double()
    model.loss(pieces).backward()
    found = model.policy.net.head.bias.grad.view(38, -1)
    error = online.unflatten(-1, (38, -1)).double()
    error = error.gather(2, pieces.actions[..., None, None].expand(-1, -1, 1, error.shape[3]))[
        :, :, 0
    ]
    if kind == "qrdqn":
        delta = targets[:, :, None, :] - error[:, :, :, None]
        share = (torch.arange(3) + 0.5)[:, None] / 3
        slope = -((share - (delta < 0).double()).abs() * delta.clamp(-1, 1)).mean(dim=3)
    elif kind == "dqn":
        slope = (error - targets).clamp(-1, 1)
    else:
        slope = 2 * (error - targets)
    expected = torch.zeros(38, slope.shape[2], dtype=torch.float64)
    expected.index_add_(0, pieces.actions.flatten(), slope.flatten(0, 1) / pieces.actions.numel())
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)
    for net in (model.policy.target, model.policy.reference):
        assert net is None or all(weight.grad is None for weight in net.parameters())


@kinds
def test_a_step_clips_each_tensor_moves_it_and_then_the_target(tiny_prior, kind):
    model = filled(tiny_prior, kind, max_grad_norm=0.05, tau=0.25, policy_kwargs=SGD)
    model._update_learning_rate(model.policy.optimizer)
    for group in model.policy.optimizer.param_groups:
        group["lr"] = 2.0
    pieces, before = model.memory.take(np.arange(4)), state(model)
    loss = model.loss(pieces)
    loss.backward()
    gradients = {name: w.grad.clone() for name, w in model.policy.net.named_parameters()}
    assert float(model.learn_from(pieces)) == pytest.approx(float(loss.detach()))
    assert any(g.norm() > 0.05 for g in gradients.values())
    for name, gradient in gradients.items():
        clipped = gradient * min(1.0, 0.05 / (float(gradient.norm()) + 1e-6))
        online, target = (getattr(model.policy, n).get_parameter(name) for n in ("net", "target"))
        torch.testing.assert_close(online, before[f"net.{name}"] - 2.0 * clipped)
        torch.testing.assert_close(target, 0.75 * before[f"target.{name}"] + 0.25 * online)
    assert all(torch.equal(v, state(model)[k]) for k, v in before.items() if k.startswith("ref"))


def test_small_gradients_are_not_scaled_up():
    small, large = torch.nn.Parameter(torch.zeros(4)), torch.nn.Parameter(torch.zeros(9))
    small.grad, large.grad = torch.full((4,), 0.1), torch.full((9,), 4.0)
    clip_each([small, large], 5.0)
    assert small.grad.tolist() == pytest.approx([0.1] * 4)
    assert large.grad.tolist() == pytest.approx([5 / 3] * 9, rel=1e-5)


@kinds
def test_a_minibatch_is_the_mean_of_its_halves(tiny_prior, kind):
    model = filled(tiny_prior, kind)
    rows = (np.arange(4), np.arange(2), np.arange(2, 4))
    whole, first, second = (model.loss(model.memory.take(part)).item() for part in rows)
    assert whole == pytest.approx((first + second) / 2, rel=1e-5)
