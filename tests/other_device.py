"""A second device where there is none: tensors that say they are on it, computed on the CPU.

As on a GPU an operation on tensors of two devices is refused, and so are numpy's view of a tensor
there and a generator of the other device. The values are real, so a whole training can run on it.
"""

from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "mps"  # Stable-Baselines3 takes this name even where there is no such device
DEVICE = torch.device(NAME)


class MixedError(AssertionError):
    """Tensors of two devices met."""


class There(Tensor):
    """A tensor on the device.

    Attributes:
        held: its values, on the CPU.
    """

    @staticmethod
    def __new__(cls, held):
        shape, strides = held.shape, held.stride()
        made = Tensor._make_wrapper_subclass(cls, shape, strides, dtype=held.dtype)
        made.held = held
        return made

    @property
    def device(self):
        return DEVICE

    def __tensor_flatten__(self):
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner, context, shape, strides):
        return There(inner["held"])

    def __repr__(self):
        return f"There({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        given = (args, kwargs or {})
        _refuse_mixed(function, args, tree_leaves(given))
        plain = tree_map(_held, given)
        answer = function(*plain[0], **plain[1])
        if torch.Tag.inplace_view in function.tags:  # the shape and strides of ours change, too
            with no_dispatch():
                function(*args, **(kwargs or {}))
        ours = {id(x.held): x for x in tree_leaves(given) if isinstance(x, There)}
        return tree_map(lambda x: _there(x, ours), answer)


def _held(x):
    return x.held if isinstance(x, There) else x


def _there(x, ours):
    """A result on the device; the very object where an operation was in place."""
    if not isinstance(x, Tensor) or isinstance(x, There):
        return x
    return ours[id(x)] if id(x) in ours else There(x)


def _refuse_mixed(function, args, leaves):
    """Raise MixedError for a tensor of the CPU, unless it is a number or holds indices."""
    for x in leaves:
        if isinstance(x, torch.Generator):
            raise MixedError(f"{function}: a generator of the CPU")
        by_index = "index" in function.__name__ and x is not args[0]
        by_index |= function is torch.ops.aten.copy_.default
        if isinstance(x, Tensor) and not isinstance(x, There) and x.dim() and not by_index:
            raise MixedError(
                f"{function}: a tensor {tuple(x.shape)} of the CPU among those of {DEVICE}"
            )


class _Device(TorchFunctionMode):
    """Makes, brings and fetches the tensors of the device."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        first = args[0] if args else None
        if isinstance(first, There):
            if function in (Tensor.numpy, Tensor.__array__):
                raise MixedError("numpy cannot see a tensor that is not on the CPU")
            if function in (Tensor.cpu, Tensor.tolist):
                return function(first.held.detach())
        words = [*args[1:], *kwargs.values()]
        if function is Tensor.to and isinstance(first, Tensor):
            to = next((torch.device(x) for x in words if isinstance(x, (str, torch.device))), None)
            if to is not None:
                rest = [x for x in words if isinstance(x, torch.dtype)]
                moved = _held(first.detach()).to(*rest) if rest else _held(first.detach())
                return There(moved.clone()) if to.type == NAME else moved
        to = kwargs.get("device")
        if to is None or torch.device(to).type != NAME:
            return function(*args, **kwargs)
        del kwargs["device"]
        return _there(function(*args, **kwargs), {})


class _Factories(TorchDispatchMode):
    """Makes tensors of the device for functions of torch that are made of others."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        to = kwargs.get("device")
        if to is None or to.type != NAME:
            return function(*args, **kwargs)
        del kwargs["device"]
        return _there(function(*args, **kwargs), {})


def _moving(self, fn, recurse=True, *, apply=nn.Module._apply):
    """Move a module; its weights stay the same objects, as on a GPU."""
    future = torch.__future__
    future.set_swap_module_params_on_conversion(True)
    try:
        return apply(self, fn, recurse)
    finally:
        future.set_swap_module_params_on_conversion(False)


def _no_grad(mode):
    """Stand in for inference mode, whose tensors cannot be held by others."""
    return torch.no_grad()


@contextmanager
def other_device():
    """A context in which the device can be used."""
    with (
        mock.patch.object(nn.Module, "_apply", _moving),
        mock.patch.object(torch._C, "_InferenceMode", _no_grad),
        _Factories(),
        _Device(),
    ):
        yield DEVICE
