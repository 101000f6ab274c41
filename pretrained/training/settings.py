"""Settings of a training of a prior."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from envs.durable_files import user_cache
from envs.errors import quoted

if TYPE_CHECKING:
    from pretrained.training.family import FamilySettings, Training

# Settings that do not shape the weights, and the data, of which a card tells.
CHORALES = "chorales"  # the data of that name
RANGE, CHORALE_RANGE = "C3-B5", "F#1-F6"  # of tunes; of chorales in the key of C
ELSEWHERE = ("out", "overwrite", "threads", "device", "data", "settings")
SUFFIX = ".safetensors"
SIZES = ("hidden", "layers", "embed", "lookback", "width", "heads", "feed", "window", "ahead")
LIMITS = {
    **{"epochs": (1, 10**6), "dropout": (0.0, 0.99), "token_dropout": (0.0, 0.99)},
    **{"batch_tokens": (1, 10**9)},
    **{"hidden": (1, 2**14), "layers": (1, 64), "embed": (1, 2**14), "lookback": (0, 8)},
    **{"width": (6, 2**12), "heads": (1, 64), "feed": (1, 2**14), "window": (1, 4096)},
    **{"ahead": (0, 4096), "learning_rate": (1e-12, 1.0), "weight_decay": (0.0, 1e3)},
    **{"average": (0.0, 0.999999), "seed": (0, 2**32 - 1), "threads": (1, 1024)},
}
# What an architecture's recipe leaves open: how the LSTM "folk" was trained.
COMMON: dict[str, Any] = {
    **{"plan": False, "epochs": 45, "dropout": 0.4, "token_dropout": 0.0, "batch_tokens": 6144},
    **{"optimizer": "adamw", "learning_rate": 4e-3, "weight_decay": 0.05, "average": 0.998},
}


@dataclass(frozen=True)
class PriorConfig:
    """Settings of a training of the prior.

    Attributes:
        model: lstm, gru, lstm-attention, transformer, or voices, which learns chorales. Settings
            below that are not given are those of its recipe. If not given lstm, or voices. Models
            that are no priors, see docs/families.md, have `settings` of their own.
        data: the tunes: "folk" or "folk2", which ship, or a folder or file of your own; or
            "chorales", Bach's in four voices, from the installed music21.
        out: the checkpoint to write; an existing file is replaced only with --overwrite. If not
            given prior.safetensors, or for chorales the prior "chorale" in the cache folder.
        epochs: passes over the training tunes.
        hidden: recurrent units per layer.
        layers: recurrent layers, or blocks of a transformer.
        embed: size of the input embedding of a recurrent network.
        lookback: bars the network looks back to.
        width: features of a transformer.
        heads: of attention.
        feed: units of a feed-forward layer beside attention.
        window: cells that attention sees.
        ahead: units that read the cells given ahead of the one to be written; 0 for none.
        plan: the network also sees the mode and how many bars are left of the phrase and of the
            piece, and is shown parts of tunes that end as pieces do; always with attention.
        dropout: share of inputs and outputs dropped while training.
        token_dropout: share of the tokens behind a cell that are not seen while training.
        batch_tokens: tokens in a batch of whole tunes of about one length.
        optimizer: adamw; or muon (Jordan et al. 2024) for the matrices inside the network and adamw
            for all else.
        learning_rate: of AdamW, and of Muon matched to it; warms up, then falls to zero along a
            cosine.
        weight_decay: of both.
        average: decay per batch of the running average of weights, which is what is kept.
        range: lowest and highest pitch of the vocabulary, C3-B5 if not given; of chorales fixed.
        seed: of weights, order and dropout.
        threads: CPU threads of torch.
        device: torch device; auto takes a GPU if there is one.
        bf16: multiply matrices in bfloat16 while training, but not on a GPU that cannot.
        overwrite: replace `out` if it exists.
        settings: of a model that is no prior, as name=value: z=64 beta=.1
    """

    model: str = ""
    data: Annotated[str, tyro.conf.arg(aliases=["--corpus"])] = "folk"
    out: Path | None = None
    epochs: int | None = None
    hidden: int | None = None
    layers: int | None = None
    embed: int | None = None
    lookback: int | None = None
    width: int | None = None
    heads: int | None = None
    feed: int | None = None
    window: int | None = None
    ahead: int | None = None
    plan: bool = False
    dropout: float | None = None
    token_dropout: float | None = None
    batch_tokens: int | None = None
    optimizer: Literal["adamw", "muon"] | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    average: float | None = None
    range: str = ""
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    bf16: bool = True
    overwrite: bool = False
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:  # refuses what is no number too
                raise ValueError(f"{name}={quoted(value)}: expected {least:g} to {most:g}")
        usual = ("voices", CHORALE_RANGE) if self.data == CHORALES else ("lstm", RANGE)
        for name, value in zip(("model", "range"), usual, strict=True):
            object.__setattr__(self, name, getattr(self, name) or value)

    @property
    def file(self) -> Path:
        """The checkpoint to write."""
        chorale = user_cache() / "chorale.safetensors"
        if self.data == CHORALES:
            return self.out or chorale
        return self.out or Path("prior.safetensors" if self.family is None else self.model + SUFFIX)

    @property
    def family(self) -> Training | None:
        """The training of a model that is no prior; None for a prior's architecture."""
        from pretrained.trainings import TRAININGS

        return TRAININGS.get(self.model)

    def family_settings(self, kind: type[FamilySettings]) -> FamilySettings:
        """Return the settings of a training of a model that is no prior.

        Those that have flags of their names, such as --epochs, may be given by them.

        Raises:
            ValueError, TypeError: a flag without effect, one that is set twice, or as `kind.read`.
        """
        usual, own = type(self)(data=self.data), {field.name for field in fields(kind)}
        names = (*SIZES, *COMMON, "seed", "threads", "device", "bf16")
        given = {name: getattr(self, name) for name in names}
        given = {name: value for name, value in given.items() if value != getattr(usual, name)}
        foreign = next((name for name in given if name not in own), None)
        if foreign is not None:
            raise ValueError(
                f"{foreign}={given[foreign]}: a {self.model} has no such setting; it has "
                f"{', '.join(sorted(own))} (--settings)"
            )
        return kind.read([*self.settings, *(f"{name}={value}" for name, value in given.items())])

    @property
    def architecture(self) -> Any:
        """The architecture that `model` names.

        Raises:
            ValueError: there is none; the message lists those known.
        """
        from pretrained.networks.architectures import model_named
        from pretrained.trainings import TRAININGS

        if self.settings:
            raise ValueError(
                f"settings={quoted(self.settings[0])}: a {self.model} is set by flags of their own"
            )
        try:
            return model_named(self.model)
        except ValueError as error:
            raise ValueError(", ".join([str(error), *TRAININGS])) from None

    def setting(self, name: str) -> Any:
        """Return a setting, as given or as in the recipe of the model."""
        value, recipe = getattr(self, name), {**COMMON, **self.architecture.recipe}
        return recipe[name] if value is None or (name == "plan" and not value) else value

    def sizes(self) -> dict[str, Any]:
        """Return the sizes of the network by name.

        Raises:
            ValueError: a size that the model does not have, or out of bounds.
        """
        recipe = self.architecture.recipe
        own = {name: value for name, value in recipe.items() if name not in COMMON}
        asked = {name: getattr(self, name) for name in SIZES if getattr(self, name) is not None}
        names = [field for field in SIZES if field in own or field == "ahead"]
        foreign = next((name for name in asked if name not in names), None)
        if foreign is not None:
            raise ValueError(
                f"{foreign}={asked[foreign]}: a {self.model} has no such size; it has "
                f"{', '.join(names)}"
            )
        return own | asked

    def settled(self) -> dict[str, Any]:
        """Return all settings that shape the weights, as the recipe completes them."""
        trained = {name: self.setting(name) for name in COMMON}
        others = {field.name for field in fields(self)} - {*COMMON, *SIZES, *ELSEWHERE}
        rest = {name: getattr(self, name) for name in sorted(others)}
        return rest | self.sizes() | trained
