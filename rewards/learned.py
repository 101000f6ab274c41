"""Rewards that learn: an update for each rollout, and a state that is kept with the run.

See `envs.contract.LearningReward` for what such a reward has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from envs.contract import LearningReward
from envs.durable_files import write_atomic
from rewards.sum import RewardSum
from rewards.term import Term

if TYPE_CHECKING:
    from torch import Tensor

MOST_BYTES = 512 * 2**20  # of a file


@runtime_checkable
class _Keeping(Protocol):
    """An object with a state that can be kept, as torch's modules have it."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any: ...


def learners(reward: RewardSum) -> Iterator[tuple[Term, LearningReward]]:
    """Yield the terms that learn, each with the object that does; a term may have several."""
    for term in reward.terms.values():
        for layer in term.rule.layers():
            if isinstance(layer, LearningReward):
                yield term, layer


def _states(reward: RewardSum) -> Iterator[tuple[str, _Keeping]]:
    for number, (term, learner) in enumerate(learners(reward)):
        if isinstance(learner, _Keeping):
            yield f"{number}:{term.name}:", learner


def tensors(reward: RewardSum) -> dict[str, Tensor]:
    """Return what the terms have learned until now, by name; empty if none keeps a state."""
    import torch

    return {
        prefix + name: torch.as_tensor(value).detach().cpu().contiguous().clone()
        for prefix, learner in _states(reward)
        for name, value in learner.state_dict().items()
    }


def restore(reward: RewardSum, kept: Mapping[str, Tensor], source: Path) -> None:
    """Put back what `tensors` gave.

    Args:
        reward: of the same terms.
        kept: the tensors.
        source: the file they come from.

    Raises:
        ValueError: they are those of another reward; the message names the file.
    """
    for prefix, learner in _states(reward):
        own = {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}
        try:
            learner.load_state_dict(own)
        except Exception as error:  # whatever a plugged-in reward raises
            raise _not_learned(source, error) from error


def save(reward: RewardSum, path: Path) -> bool:
    """Write what the terms have learned; False, and no file, if none keeps a state.

    Raises:
        OSError: it cannot be written.
    """
    from safetensors.torch import save as to_bytes

    found = tensors(reward)
    if found:
        write_atomic(path, to_bytes(found))
    return bool(found)


def load(reward: RewardSum, path: Path) -> None:
    """Put back what `save` wrote; nothing is unpickled.

    Raises:
        ValueError: the file is damaged or of another reward.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file() or path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path} is no file of at most {MOST_BYTES:,} bytes")
    try:
        kept = load_file(path)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise _not_learned(path, error) from error
    restore(reward, kept, path)


def _not_learned(path: Path, error: Exception) -> ValueError:
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    return ValueError(f"{path} is not what this reward has learned: {detail}")
