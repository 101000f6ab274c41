"""Checkpoints: safetensors with a JSON header. Nothing is ever unpickled.

The header names the architecture, the network's sizes and the codec, so a file describes itself;
extra tensors (a policy's value head) ride along and are ignored by a prior.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor
from torch.overrides import TorchFunctionMode

from envs.durable_files import user_cache, write_atomic
from envs.errors import quoted
from envs.music.codec import Codec
from envs.music.voices.species import SPECIES
from pretrained.families import model_kinds
from pretrained.memory import WithMemory
from pretrained.networks.recurrent import RecurrentNet, RecurrentPrior
from pretrained.networks.sighted import SightError
from pretrained.prior import Prior, Scorer, Trainable
from pretrained.saved_model import Model
from pretrained.species import SpeciesPrior

if TYPE_CHECKING:
    from envs.music.task import Task

HEADER = "composition-gym"  # one entry: the order of several is not kept, and bytes would differ
MAX_BYTES = 512 * 2**20
MAX_HEADER = 2**20  # bytes
SHIPPED = Path(__file__).parent / "checkpoints"
CHORALE = "chorale"  # name of the prior that is trained on the user's machine, in the cache folder
CHORALE_COMMAND = "python -m pretrained.train --corpus chorales"  # makes it
MEMORY = "+memory"  # behind a checkpoint's name: its prior with a memory of the piece
_NET = "net."


def save(
    path: str | os.PathLike[str],
    model: Model | RecurrentNet,
    codec: Codec | None = None,
    notes: Mapping[str, Any] | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a model in one atomic step.

    Args:
        path: the file, replaced if it is there.
        model: a prior or of another family; or a recurrent network alone, with its codec.
        codec: meaning of the tokens of a network alone.
        notes: anything JSON can hold, for people: figures, data, command.
        extra: further tensors; names must not begin with 'net.'.

    Raises:
        OSError: it cannot be written; what the file held before stays.
    """
    write_atomic(Path(path), pack(model, codec, notes, extra))


def pack(
    model: Model | RecurrentNet,
    codec: Codec | None = None,
    notes: Mapping[str, Any] | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> bytes:
    """Return the bytes that `save` writes."""
    if isinstance(model, RecurrentNet):
        return pack(RecurrentPrior(copy.deepcopy(model), codec or Codec()), None, notes, extra)
    header = {
        "format": model.format,
        "codec": asdict(model.codec),
        "shape": dict(model.shape),
        "notes": dict(notes or {}),
    }
    tensors = {_NET + name: weight for name, weight in model.net.state_dict().items()}
    tensors |= extra or {}
    plain = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    return to_bytes(plain, metadata={HEADER: json.dumps(header)})


def shipped() -> dict[str, Path]:
    """Return the files of the checkpoints that ship, by name."""
    return {file.stem: file for file in sorted(SHIPPED.glob("*.safetensors"))}


def locate(name_or_path: str | os.PathLike[str]) -> Path:
    """Return the path of a checkpoint: a file, a run directory, or the name of one that ships.

    "chorale" is the one that `python -m pretrained.train --corpus chorales` made in the cache
    folder. With MEMORY behind it, it is that of the name before.

    Raises:
        FileNotFoundError: neither; the message lists what ships.
    """
    if remembers(name_or_path):
        return locate(os.fspath(name_or_path).removesuffix(MEMORY))
    path = Path(name_or_path)
    ships = shipped()
    # A file of one's own that has a shipped name, and so no suffix, is no checkpoint.
    named = {**ships, CHORALE: user_cache() / f"{CHORALE}.safetensors"}
    for candidate in (path / "policy.safetensors", named.get(str(name_or_path), path)):
        if candidate.is_file():
            return candidate
    if str(name_or_path) == CHORALE:
        raise FileNotFoundError(
            f"the prior {CHORALE!r} learns Bach's chorales here, once, in a few minutes: "
            f"{CHORALE_COMMAND}"
        )
    names = ", ".join(ships) or "none"
    raise FileNotFoundError(
        f"no checkpoint {str(name_or_path)!r}: expected a .safetensors file, a run directory, "
        f"or one that ships ({names})"
    )


def remembers(name_or_path: str | os.PathLike[str]) -> bool:
    """True if a name asks for a prior with a memory, as 'melody+memory' does, and is no file."""
    return os.fspath(name_or_path).endswith(MEMORY) and not Path(name_or_path).exists()


def species_of(name_or_path: str | os.PathLike[str]) -> int:
    """Return the species of 'species-1' to 'species-5', priors that no file holds; 0 for others."""
    word, _, number = os.fspath(name_or_path).partition("-")
    known = word == "species" and number in map(str, SPECIES)
    return int(number) if known and not Path(name_or_path).exists() else 0


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return header and tensors of a checkpoint.

    Raises:
        ValueError: too large, truncated, not safetensors, or of an unknown architecture.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"checkpoint '{path}' has {size:,} bytes, expected at most {MAX_BYTES:,}")
    with path.open("rb") as start:
        length = int.from_bytes(start.read(8), "little")
    if MAX_HEADER < length < size:
        raise ValueError(
            f"checkpoint '{path}' has a header of {length:,} bytes, expected {MAX_HEADER:,} at most"
        )
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER, "{}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"checkpoint '{path}' is not a whole safetensors file ({error}); "
            "it may be truncated: copy it again, or write one with python -m pretrained.train"
        ) from error
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    name = header.get("format") if isinstance(header, dict) else None
    if not isinstance(name, str) or name not in model_kinds():
        raise ValueError(
            f"checkpoint '{path}' has format {quoted(name)}, expected a known architecture "
            f"({', '.join(model_kinds())}); write one with python -m pretrained.train"
        )
    return header, tensors


class _Undrawn(TorchFunctionMode):
    """Leaves out the draw of first weights: without memory it would import torch's compiler."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if function is torch.nn.init.normal_:
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return function(*args, **(kwargs or {}))


def load(name_or_path: str | os.PathLike[str] = "folk", task: Task | None = None) -> Trainable:
    """Load a prior: a checkpoint file, a run directory's policy, or one that ships.

    Args:
        name_or_path: 'folk', a path to a file, or a run directory.
        task: refuse the checkpoint unless it can read pieces of this.

    Raises:
        FileNotFoundError: no such checkpoint.
        ValueError: not a checkpoint, damaged, or of another grid; or a model that is no prior, or a
            prior with a memory, which has no network to train, see `load_once`.
    """
    if remembers(name_or_path):
        raise ValueError(
            f"{os.fspath(name_or_path)!r} composes, scores and explains, but a memory has no "
            "network to train or to start from; expected the name of a checkpoint, such as "
            f"{os.fspath(name_or_path).removesuffix(MEMORY)!r}. In Python: "
            "pretrained.memory.WithMemory(pretrained.load(name))"
        )
    if species_of(name_or_path):
        raise ValueError(
            f"{os.fspath(name_or_path)!r} composes and scores, but has no network to train or to "
            "start from; expected the name of a checkpoint"
        )
    path = locate(name_or_path)
    prior = _load(path)
    if not isinstance(prior, Trainable):
        raise ValueError(
            f"checkpoint '{path}' holds a {_family(prior)}, which writes no piece cell by cell. It "
            "can be no policy and no prior of a training, but composes: python -m "
            "agents.compose. Expected a prior, such as 'melody'"
        )
    if task is not None:
        try:
            prior.require(task)
        except ValueError as error:
            raise ValueError(f"checkpoint '{path}': {error}") from None
    return prior


def _family(model: Model) -> str:
    """Return the name of a model's family."""
    return model.format.partition("/")[0]


def _load(path: Path) -> Model:
    """Return the model of a file.

    Raises:
        ValueError: as `load`.
    """
    header, tensors = read(path)
    try:
        kind, theirs = model_kinds()[header["format"]], Codec(**header["codec"])
        weights = {k.removeprefix(_NET): v for k, v in tensors.items() if k.startswith(_NET)}
        if theirs.high - theirs.low < 11:
            raise ValueError(f"codec {theirs.fingerprint!r} has less than an octave")
        # This takes no memory where the sizes are not those of the weights.
        with torch.device("meta"), _Undrawn():
            kind.build(header["shape"], theirs).net.load_state_dict(weights, assign=True)
        other = [name for name, t in weights.items() if t.dtype != torch.float32]
        if other:
            raise ValueError(f"{other[0]} is {weights[other[0]].dtype}, expected torch.float32")
        model = kind.build(header["shape"], theirs)
        model.net.load_state_dict(weights)
    except SightError as error:
        raise SightError(f"checkpoint '{path}': {error}") from None
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        words = " ".join(str(error).split())[:300]
        detail = "".join(c if c.isprintable() else "?" for c in words)
        raise ValueError(f"checkpoint '{path}' does not describe its network: {detail}") from error
    bad = [name for name, t in weights.items() if not torch.isfinite(t).all()]
    if bad:
        raise ValueError(f"checkpoint '{path}' holds numbers that are not finite in {bad[0]!r}")
    return model


def load_once(name_or_path: str | os.PathLike[str]) -> Prior:
    """Return a prior that is only asked, of one network for all callers.

    Its file is loaded again once it has changed. A name such as 'melody+memory' gives it a memory
    of the piece, see `pretrained.memory`.

    Raises:
        FileNotFoundError, ValueError: see `load`; or a model that cannot write cell by cell.
    """
    found = load_model(name_or_path)
    if not isinstance(found, Prior):
        raise ValueError(
            f"{os.fspath(name_or_path)!r} is a {_family(found)}, which writes no piece cell by "
            "cell; expected a prior, such as 'melody'"
        )
    return found


def load_scorer(name_or_path: str | os.PathLike[str]) -> Scorer:
    """Return a model that tells how likely pieces are, of one network for all callers.

    Raises:
        FileNotFoundError, ValueError: see `load`; or a model that does not tell it.
    """
    found = load_model(name_or_path)
    if not isinstance(found, Scorer):
        raise ValueError(
            f"{os.fspath(name_or_path)!r} is a {_family(found)}, which does not tell how likely a "
            "piece is; expected a prior, such as 'melody'"
        )
    return found


def load_model(name_or_path: str | os.PathLike[str]) -> Prior | Model:
    """Return a model of any family that is only asked, of one network for all callers.

    Raises:
        FileNotFoundError, ValueError: see `load`.
    """
    species = species_of(name_or_path)
    if species:
        return SpeciesPrior(species)
    path = locate(name_or_path)
    facts = path.stat()
    model = _loaded(path.absolute(), facts.st_mtime_ns, facts.st_size)
    if not remembers(name_or_path):
        return model
    if not isinstance(model, Trainable):
        raise ValueError(f"{os.fspath(name_or_path)!r}: a {_family(model)} takes no {MEMORY}")
    return WithMemory(model)


@lru_cache(maxsize=8)
def _loaded(path: Path, changed: int, size: int) -> Model:
    return _load(path)


def notes(name_or_path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the header's notes for people: figures, data, the command that made it."""
    header, _ = read(locate(name_or_path))
    notes = header.get("notes")
    return notes if isinstance(notes, dict) else {}
