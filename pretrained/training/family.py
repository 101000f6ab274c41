"""How a model that is no prior is trained and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envs.checked import Checked, bounded

if TYPE_CHECKING:
    from envs.music.codec import Codec
    from pretrained.corpora.folk import Tune
    from pretrained.saved_model import Model


@dataclass(frozen=True)
class FamilySettings(Checked):
    """The settings of a training of a model that is no prior; a subclass adds its own.

    Attributes:
        epochs: passes over the training tunes.
        seed: of weights, order and draws.
        threads: CPU threads of torch.
        device: torch device; auto takes a GPU if there is one.
    """

    epochs: int = bounded(10, 1, 10**6)
    seed: int = bounded(0, 0, 2**32 - 1)
    threads: int = bounded(1, 1, 1024)
    device: str = "cpu"


@dataclass(frozen=True)
class Pass:
    """Progress of a training.

    Attributes:
        done: epochs that are done.
        says: figures of the last one, in words; a collapse is named there.
    """

    done: int
    says: str

    def __str__(self) -> str:
        return f"epoch {self.done:3d}  {self.says}"


Tell = Callable[[Pass], object]


@dataclass(frozen=True)
class Training:
    """How a model of a family is trained.

    Attributes:
        name: as --model takes it.
        says: what it is, in a few words.
        settings: a dataclass of its settings.
        fit: returns a model on the CPU, of settings, training tunes, tunes to report on, the
            codec, and what is told after each epoch. ValueError if the tunes do not serve.
        measure: returns the figures of a model by name, of it and of held-out tunes.
    """

    name: str
    says: str
    settings: type[FamilySettings]
    fit: Callable[[Any, Sequence[Tune], Sequence[Tune], Codec, Tell], Model]
    measure: Callable[[Any, Sequence[Tune]], Mapping[str, float]]
