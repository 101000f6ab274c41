"""The state of a run, stored in its state.zip, from which it is resumed.

It has the networks, the optimiser, the number of steps, the memory of Q-learning, the weights of a
learned reward, and every random generator, at the beginning of a rollout. On the same machine and
versions a resumed run equals one that was not stopped, bit by bit.

The archive has JSON and safetensors and nothing pickled. It serves to resume one's own run; the
file to share is policy.safetensors.
"""

from __future__ import annotations

import io
import json
import math
import random
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Tensor

from envs.errors import quoted

FORMAT = 1
FACTS, TENSORS = "state.json", "tensors.safetensors"
POLICY, OPTIMISER, MEMORY, NOTEBOOK = "policy.", "optimiser.", "memory.", "notebook."
LEARNED = "reward."
MOST_BYTES = {FACTS: 2**24, TENSORS: 2**32}
MOST_STEPS = 2**62
MOST_MEMORY = 256 * 2**20  # bytes of remembered pieces; a larger memory is not stored


# -- random generators -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Generators:
    """States of all random generators of a training, in types that JSON has."""

    python: list[Any]
    numpy: dict[str, Any]
    torch: list[int]
    cuda: list[int] | None  # of the model's device
    envs: list[dict[str, Any]]

    @classmethod
    def of(cls, model: BaseAlgorithm) -> Generators:
        """Return the present states of the generators that a model uses."""
        version, words, gauss = random.getstate()
        state: Any = np.random.get_state(legacy=False)
        key = state["state"]["key"].tolist()
        cuda = model.device.type == "cuda"
        return cls(
            [version, list(words), gauss],
            {**state, "state": {**state["state"], "key": key}},
            torch.get_rng_state().tolist(),
            torch.cuda.get_rng_state(model.device).tolist() if cuda else None,
            [env.np_random.bit_generator.state for env in _environments(model)],
        )

    def check(self, model: BaseAlgorithm) -> None:
        """Raise an error unless these are states of a model's generators.

        numpy and torch would read past the end of their memory with a wrong position.
        """
        key, place = self.numpy["state"]["key"], self.numpy["state"]["pos"]
        if np.shape(key) != (624,) or not all(0 <= word < 2**32 for word in key):
            raise ValueError("the key of numpy's generator has not 624 words")
        if not (type(place) is int and 0 <= place <= 624):
            raise ValueError(f"numpy's generator is at {quoted(place)}, expected 0 to 624")
        spare = (self.python[2] or 0.0, self.numpy["gauss"], self.numpy["has_gauss"])
        if not all(map(math.isfinite, spare)):
            raise ValueError("the spare normal number of a generator is not finite")
        left, _, following = struct.unpack_from("<iiQ", bytes(self.torch), 8)
        if left + following > 625:
            raise ValueError("torch's generator is past its end")
        if self.cuda is not None and len(bytes(self.cuda)) != 16:
            raise ValueError("the state of the GPU's generator has not 16 bytes")
        envs = [np.random.PCG64() for _ in _environments(model)]
        self._put(random.Random(), np.random.RandomState(), torch.Generator(), envs)

    def restore(self, model: BaseAlgorithm) -> None:
        """Set all generators to these states."""
        envs = [env.np_random.bit_generator for env in _environments(model)]
        self._put(random, np.random, torch.default_generator, envs)
        if self.cuda is not None and model.device.type == "cuda":
            torch.cuda.set_rng_state(torch.tensor(self.cuda, dtype=torch.uint8), model.device)

    def _put(self, python: Any, numpy: Any, cpu: Any, envs: list[Any]) -> None:
        version, words, gauss = self.python
        python.setstate((version, tuple(words), gauss))
        numpy.set_state(self.numpy)
        cpu.set_state(torch.tensor(self.torch, dtype=torch.uint8))
        for generator, state in zip(envs, self.envs, strict=True):
            generator.state = state


def _environments(model: BaseAlgorithm) -> list[Any]:
    """Return the environments that a model plays in: one, or one for each task."""
    venv: Any = model.env  # a CompositionVecEnv
    return [each.env for each in venv.alternatives]


# -- the archive -----------------------------------------------------------------------------------


def pack(
    model: BaseAlgorithm,
    generators: Generators | None = None,
    learned: Mapping[str, Tensor] | None = None,
) -> bytes:
    """Return the state of a model at the beginning of a rollout, as the bytes of an archive.

    Args:
        model: its networks, optimiser, steps and memory are stored.
        generators: states at that time; the present ones if None.
        learned: weights of the reward at that time, see `rewards.learned.tensors`.
    """
    tensors = {POLICY + name: value for name, value in model.policy.state_dict().items()}
    for number, values in model.policy.optimizer.state_dict()["state"].items():
        tensors |= {f"{OPTIMISER}{number}.{name}": value for name, value in values.items()}
    facts: dict[str, Any] = {
        "format": FORMAT,
        "num_timesteps": model.num_timesteps,
        "n_updates": model._n_updates,
        "generators": vars(generators or Generators.of(model)),
        "learned": len(learned or ()),
    }
    tensors |= {LEARNED + name: value for name, value in (learned or {}).items()}
    memory = getattr(model, "memory", None)
    if memory is not None:
        facts["owed"], facts["next"] = model._owed, memory.next  # type: ignore[attr-defined]
        facts["remembered"] = memory.bytes <= MOST_MEMORY
        if facts["remembered"]:
            kept = {MEMORY + name: torch.from_numpy(v) for name, v in memory.columns().items()}
            tensors |= kept
    if hasattr(model, "notebook"):
        tensors |= {NOTEBOOK + name: value for name, value in model.notebook().items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:  # its checksums show damage
        for name, part in ((FACTS, json.dumps(facts).encode()), (TENSORS, to_bytes(plain))):
            archive.writestr(zipfile.ZipInfo(name), part)  # dated 1980, so that bytes repeat
    return data.getvalue()


class Saved:
    """A saved state.

    Args:
        file: the archive.

    Attributes:
        facts: the values that are no tensors.
        steps: number of steps done.
        generators: states of the random generators.
        learned: weights of the reward; None if an earlier version saved it.

    Raises:
        ValueError: it is damaged, or was saved by another version.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            with zipfile.ZipFile(file) as archive:
                if FACTS not in archive.namelist():
                    raise ValueError("it was saved by an earlier version")
                self.facts: dict[str, Any] = json.loads(_member(archive, FACTS))
                self.tensors = from_bytes(_member(archive, TENSORS))
            if self.facts["format"] != FORMAT:
                raise ValueError(f"it has format {self.facts['format']}, expected {FORMAT}")
            self.steps = int(self.facts["num_timesteps"])
            if not 0 <= self.steps < MOST_STEPS:
                raise ValueError(f"it has {quoted(self.steps)} steps")
            self.generators = Generators(**self.facts["generators"])
            has_learned = "learned" in self.facts
            self.learned = dict(self._named(LEARNED)) if has_learned else None
        except Exception as error:  # whatever zipfile, numpy and torch raise
            raise self._unusable(error) from error

    def restore(self, model: BaseAlgorithm) -> None:
        """Put networks, optimiser, steps and memory into a model, but not yet the generators.

        Raises:
            ValueError: the state is of another model.
        """
        try:
            self.generators.check(model)
            model.policy.load_state_dict(self._named(POLICY))
            values: dict[int, dict[str, Tensor]] = {}
            for name, value in self._named(OPTIMISER).items():
                number, _, kind = name.partition(".")
                values.setdefault(int(number), {})[kind] = value
            optimiser = model.policy.optimizer
            _check_sizes(values, optimiser)
            groups = optimiser.state_dict()["param_groups"]  # made from the settings
            optimiser.load_state_dict({"state": values, "param_groups": groups})
            model._n_updates = int(self.facts["n_updates"])
            memory = getattr(model, "memory", None)
            if memory is not None and self.facts["remembered"]:
                model._owed = float(self.facts["owed"])  # type: ignore[attr-defined]
                arrays = {name: value.numpy() for name, value in self._named(MEMORY).items()}
                memory.restore(arrays, int(self.facts["next"]))
            if hasattr(model, "take_up"):
                model.take_up(self._named(NOTEBOOK))
        except Exception as error:  # whatever zipfile, numpy and torch raise
            raise self._unusable(error) from error
        model.num_timesteps = self.steps

    def _named(self, prefix: str) -> Mapping[str, Tensor]:
        tensors = self.tensors.items()
        return {k.removeprefix(prefix): v for k, v in tensors if k.startswith(prefix)}

    def _unusable(self, error: Exception) -> ValueError:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return ValueError(
            f"{self.file} cannot be resumed from ({reason}); start a new run from the policy with "
            f"--prior {self.file.parent}"
        )


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Return a file of an archive; refuse a compressed one, which `pack` never writes."""
    member, most = archive.getinfo(name), MOST_BYTES[name]
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} in it is compressed")
    if member.file_size > most:
        raise ValueError(f"{name} in it has {member.file_size:,} bytes, expected {most:,} at most")
    return archive.read(member)


def _check_sizes(
    values: Mapping[int, Mapping[str, Tensor]], optimiser: torch.optim.Optimizer
) -> None:
    """Raise ValueError unless an optimiser's values have the shapes of its parameters."""
    parameters = [weight for group in optimiser.param_groups for weight in group["params"]]
    for number, of_weight in values.items():
        if not 0 <= number < len(parameters):
            raise ValueError(f"it has a weight number {number} of {len(parameters)}")
        for name, value in of_weight.items():
            if value.shape not in ((), parameters[number].shape):
                raise ValueError(f"{name} of weight number {number} has another size than it")
