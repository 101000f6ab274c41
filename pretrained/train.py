"""Train a prior on the folk corpus, or on tunes of your own.

    python -m pretrained.train
    python -m pretrained.train --epochs 20 --hidden 128 --out my_prior.safetensors
    python -m pretrained.train --plan --out melody.safetensors
    python -m pretrained.train --data tunes --out mine.safetensors

Reads the corpus that ships, or with --data every file of music in a folder and its folders, trains
the network, and reports held-out nats per token, accuracy and bits per note beside n-gram baselines
on the same split. Tunes that are like each other are never in different parts of the split. What
is left out of a folder is listed beside the checkpoint, in its name with .left_out.txt.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Any

from envs.durable_files import write_atomic
from envs.music.codec import Codec
from envs.music.pitch import parse_range
from pretrained.corpora.datasets import DataSet, data_set
from pretrained.corpora.folk import Tune
from pretrained.corpora.split import SPLITS
from pretrained.device import require_device
from pretrained.training import fit as fitting
from pretrained.training.settings import PriorConfig

LEAST_TUNES = 50  # of a user, to train on


def train_prior(config: PriorConfig) -> dict[str, Any]:
    """Train, measure against the baselines, write the checkpoint; return its notes."""
    from tqdm import tqdm

    from pretrained.checkpoint import save

    if config.out.is_dir():
        raise ValueError(f"{config.out} is a folder; expected a file, such as mine.safetensors")
    if config.out.exists() and not config.overwrite:
        raise ValueError(f"{config.out} exists; give another --out, or --overwrite to replace it")
    if not config.out.parent.is_dir():
        raise ValueError(f"{config.out} cannot be written: expected a file in a folder that exists")
    codec = Codec(*parse_range(config.range))
    config.sizes()  # refuses a model or a device that there is not before files are read
    require_device(config.device)
    data = _read(config)
    train, valid, test = _parts(config, data, codec)
    began = time.monotonic()
    with tqdm(total=config.setting("epochs"), desc="epochs", disable=None, mininterval=1) as bar:

        def tell(epoch: fitting.Epoch) -> None:
            bar.write(str(epoch))
            sys.stdout.flush()
            bar.update()

        net = fitting.fit(config, train, valid, codec, after_epoch=tell)
    seconds = time.monotonic() - began
    rows = {f"{n}-gram": fitting.baseline(n, train, test, codec) for n in fitting.N_GRAM_ORDERS}
    rows[config.model] = fitting.held_out(net, test, codec)
    tokens = sum(len(tune.tokens) for tune in test)
    print("\n" + fitting.report(rows, tokens))
    if rows[config.model].nats_per_token > rows["1-gram"].nats_per_token:
        print(
            "\nthe network knows less than the 1-gram, which knows how often each token is: train "
            "it longer (--epochs), or teach one that ships: python -m pretrained.adapt"
        )
    notes = {
        "data": data.card,
        "held_out": {name: asdict(row) for name, row in rows.items()},
        "held_out_tokens": tokens,
        "tunes": {"train": len(train), "valid": len(valid), "test": len(test)},
        "config": config.settled(),
        "training_minutes": round(seconds / 60, 1),
    }
    save(config.out, config.architecture(net, codec), notes=notes)
    print(f"\nwrote {config.out} ({config.out.stat().st_size / 1e6:.2f} MB)")
    return notes


def _read(config: PriorConfig) -> DataSet:
    """Return the tunes that are asked for; print what is read of a user's files, and list the rest.

    Raises:
        ValueError, OSError: there are no such files, or the list cannot be written.
    """
    from tqdm import tqdm

    with tqdm(desc="reading", unit=" files", disable=None, delay=1) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        data = data_set(config.data, tell)
    if data.found is not None:
        listed = config.out.with_suffix(".left_out.txt")
        print(data.found.table())
        write_atomic(listed, data.found.list_left_out())
        print(f"what is left out, one by one: {listed}\n")
    return data


def _parts(config: PriorConfig, data: DataSet, codec: Codec) -> list[list[Tune]]:
    """Return the tunes to train on, to watch the training by, and to test on.

    Raises:
        ValueError: they are too few.
    """
    parts = [
        [tune for tune in data.corpus.select(part) if fitting.fits(tune, codec)] for part in SPLITS
    ]
    count = sum(map(len, parts))
    beyond = sum(len(data.corpus.select(part)) for part in SPLITS) - count
    if data.found is not None and count < LEAST_TUNES:
        few = (
            "A few tunes can change a prior that ships: "
            f"python -m pretrained.adapt --prior melody {config.data} --out {config.out}"
        )
        raise ValueError(
            f"{config.data}: {count} tunes can be read within {config.range}"
            + (f", {beyond} are beyond it (--range)" if beyond else "")
            + f"; expected at least {LEAST_TUNES} to train on. "
            + (few if count > 1 else "Is it the folder that you meant?")
        )
    if beyond:
        print(f"{beyond} tunes are left out, as they are beyond {config.range} (--range)")
    names = ", ".join(f"{len(part)} {name}" for part, name in zip(parts, SPLITS, strict=True))
    print(f"tunes: {names}\n")
    if data.found is not None and not all(parts):
        raise ValueError(
            f"{config.data}: its {count} tunes are variants of a few, so that none can be held "
            "out; expected more that are different"
        )
    if not all(parts):
        raise ValueError(f"no tunes lie within {config.range}; choose a wider --range")
    return parts


def main() -> None:
    """Command line."""
    import tyro

    config = tyro.cli(PriorConfig, description=__doc__, prog="python -m pretrained.train")
    try:
        train_prior(config)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; no prior was written; tunes of --data that were read are remembered")


if __name__ == "__main__":
    main()
