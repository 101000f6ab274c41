"""Train the prior on the folk corpus.

    python -m pretrained.train
    python -m pretrained.train --epochs 20 --hidden 128 --out my_prior.safetensors
    python -m pretrained.train --plan --out melody.safetensors

Reads the parsed corpus that ships, trains the LSTM, and reports held-out nats per token,
accuracy and bits per note beside n-gram baselines on the same split.
"""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from typing import Any

from envs.music.codec import Codec
from envs.music.pitch import parse_range
from pretrained.corpora.folk import load_corpus
from pretrained.training import fit as fitting
from pretrained.training.settings import PriorConfig


def train_prior(config: PriorConfig) -> dict[str, Any]:
    """Train, measure against the baselines, write the checkpoint; return its notes."""
    from tqdm import tqdm

    from pretrained.checkpoint import save

    if config.out.exists() and not config.overwrite:
        raise ValueError(f"{config.out} exists; give another --out, or --overwrite to replace it")
    if config.out.is_dir() or not config.out.parent.is_dir():
        raise ValueError(f"{config.out} cannot be written: expected a file in a folder that exists")
    codec = Codec(*parse_range(config.range))
    corpus = load_corpus()
    train, valid, test = (
        [tune for tune in corpus.select(name) if fitting.fits(tune, codec)]
        for name in ("train", "valid", "test")
    )
    if not (train and valid and test):
        raise ValueError(f"no tunes lie within {config.range}; choose a wider --range")
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
    notes = {
        "held_out": {name: asdict(row) for name, row in rows.items()},
        "held_out_tokens": tokens,
        "tunes": {"train": len(train), "valid": len(valid), "test": len(test)},
        "config": config.settled(),
        "training_minutes": round(seconds / 60, 1),
    }
    save(config.out, config.architecture(net, codec), notes=notes)
    print(f"\nwrote {config.out} ({config.out.stat().st_size / 1e6:.2f} MB)")
    return notes


def main() -> None:
    """Command line."""
    import tyro

    config = tyro.cli(PriorConfig, description=__doc__, prog="python -m pretrained.train")
    try:
        train_prior(config)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; nothing was written")


if __name__ == "__main__":
    main()
