"""Train a prior on the folk corpus, on tunes of your own, or on Bach's chorales.

    python -m pretrained.train
    python -m pretrained.train --epochs 20 --hidden 128 --out my_prior.safetensors
    python -m pretrained.train --plan --out melody.safetensors
    python -m pretrained.train --data tunes --out mine.safetensors
    python -m pretrained.train --corpus chorales

Reads the corpus that ships, or with --data every file of music in a folder and its folders, trains
the network, and reports held-out nats per token, accuracy and bits per note beside n-gram baselines
on the same split. Tunes that are like each other are never in different parts of the split. What
is left out of a folder is listed beside the checkpoint, in its name with .left_out.txt.

With --corpus chorales (which is --data chorales) a network of four voices that hear each other
learns Bach's chorales, as the installed music21 has them. Those encodings are not for commercial
use, so what learns from them does not ship: it is made here, and kept in the cache folder as the
prior "chorale".
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from envs.durable_files import write_atomic
from envs.music.codec import Codec
from envs.music.pitch import parse_range
from pretrained.corpora.datasets import DataSet, data_set
from pretrained.corpora.folk import Tune
from pretrained.corpora.split import SPLITS
from pretrained.corpora.tunes import fits
from pretrained.device import require_device
from pretrained.training import fit as fitting
from pretrained.training.family import Pass, Training
from pretrained.training.settings import CHORALE_RANGE, CHORALES, PriorConfig

LEAST_TUNES = 50  # of a user, to train on


def train_prior(config: PriorConfig) -> dict[str, Any]:
    """Train, measure against the baselines, write the checkpoint; return its notes."""
    from tqdm import tqdm

    from pretrained.checkpoint import save

    _require(config)
    if config.family is not None:
        return _train_family(config, config.family)
    study = _chorales(config) if config.data == CHORALES else _tunes(config)
    train, valid, test = study.parts
    began = time.monotonic()
    with tqdm(total=config.setting("epochs"), desc="epochs", disable=None, mininterval=1) as bar:

        def tell(epoch: fitting.Epoch) -> None:
            bar.write(str(epoch))
            sys.stdout.flush()
            bar.update()

        net = fitting.fit(config, train, valid, study.codec, after_epoch=tell, course=study.course)
    seconds = time.monotonic() - began
    tokens = sum(int(piece.tokens.size) for piece in test)
    rows = study.baselines()
    least = next(iter(rows.values()))
    rows[config.model] = study.course.held_out(net, test, study.codec)
    print("\n" + study.report(rows))
    if rows[config.model].nats_per_token > least.nats_per_token:
        print(
            "\nthe network knows less than the 1-gram, which knows how often each token is: train "
            "it longer (--epochs)"
            + ", or teach one that ships: python -m pretrained.adapt"
            * (config.data != CHORALES)
        )
    notes = {
        "data": study.card,
        "held_out": {name: asdict(row) for name, row in rows.items()},
        "held_out_tokens": tokens,
        "tunes": {"train": len(train), "valid": len(valid), "test": len(test)},
        "config": config.settled(),
        "training_minutes": round(seconds / 60, 1),
    }
    save(config.file, config.architecture(net, study.codec), notes=notes)
    print(f"\nwrote {config.file} ({config.file.stat().st_size / 1e6:.2f} MB)")
    return notes


def _train_family(config: PriorConfig, training: Training) -> dict[str, Any]:
    """Train a model that is no prior, write its checkpoint; return its notes."""
    from tqdm import tqdm

    from pretrained.checkpoint import save

    settings = config.family_settings(training.settings)
    codec = Codec(*parse_range(config.range))
    data = _read(config)
    train, valid, test = _parts(config, data, codec)
    began = time.monotonic()
    with tqdm(total=settings.epochs, desc="epochs", disable=None, mininterval=1) as bar:

        def tell(progress: Pass) -> None:
            bar.write(str(progress))
            sys.stdout.flush()
            bar.update()

        model = training.fit(settings, train, valid, codec, tell)
    seconds = time.monotonic() - began
    figures = dict(training.measure(model, test))
    print("\n" + "\n".join(f"{name:<40}{value:>12.4g}" for name, value in figures.items()))
    notes = {
        "data": data.card,
        "held_out": figures,
        "tunes": {"train": len(train), "valid": len(valid), "test": len(test)},
        "config": {"model": config.model, **asdict(settings)},
        "training_minutes": round(seconds / 60, 1),
    }
    save(config.file, model, notes=notes)
    print(f"\nwrote {config.file} ({config.file.stat().st_size / 1e6:.2f} MB)")
    return notes


def _require(config: PriorConfig) -> None:
    """Raise ValueError unless a training can be begun and its checkpoint be written."""
    if config.file.is_dir():
        raise ValueError(f"{config.file} is a folder; expected a file, such as mine.safetensors")
    if config.file.exists() and not config.overwrite:
        raise ValueError(f"{config.file} exists; give another --out, or --overwrite to replace it")
    if config.out is None:
        config.file.parent.mkdir(parents=True, exist_ok=True)
    if not config.file.parent.is_dir():
        raise ValueError(f"{config.file} cannot be written: expected a folder that exists")
    if config.family is not None:
        config.family_settings(config.family.settings)
    else:
        config.sizes()  # refuses a model or a device that there is not before files are read
    require_device(config.device)
    if (config.data == CHORALES) != (config.model == "voices"):
        raise ValueError(
            f"--model {config.model} cannot learn {config.data}: voices learns --corpus chorales, "
            "and all others learn tunes; leave --model out for the usual one"
        )


@dataclass(frozen=True)
class Study:
    """The pieces that a network learns, and how.

    Attributes:
        parts: pieces to train on, to watch the training by, and to test on.
        codec: of the network.
        card: where the pieces are from, in JSON's types.
        course: how they are learned.
        baselines: makes the test figures of n-grams by name, of the 1-gram first.
        report: returns figures by name as a table.
    """

    parts: Sequence[Sequence[Any]]
    codec: Codec
    card: dict[str, Any]
    course: fitting.Course
    baselines: Callable[[], dict[str, Any]]
    report: Callable[[dict[str, Any]], str]


def _tunes(config: PriorConfig) -> Study:
    """Return the tunes that are asked for.

    Raises:
        ValueError, OSError: as `_read` and `_parts`.
    """
    codec = Codec(*parse_range(config.range))
    data = _read(config)
    train, valid, test = _parts(config, data, codec)
    tokens = sum(len(tune.tokens) for tune in test)

    def baselines() -> dict[str, Any]:
        orders = fitting.N_GRAM_ORDERS
        return {f"{n}-gram": fitting.baseline(n, train, test, codec) for n in orders}

    return Study(
        (train, valid, test),
        codec,
        data.card,
        fitting.TuneCourse(),
        baselines,
        lambda rows: fitting.report(rows, tokens),
    )


def _chorales(config: PriorConfig) -> Study:
    """Return Bach's chorales.

    Raises:
        ValueError: another range than theirs.
        FileNotFoundError: music21 is installed without its corpus.
    """
    from tqdm import tqdm

    from pretrained.corpora.chorales import CODEC, LICENCE, load_chorales
    from pretrained.training.chorale_course import ChoraleCourse, frames_report, voice_by_voice

    if Codec(*parse_range(config.range)) != CODEC:
        raise ValueError(f"--range {config.range}: chorales have {CHORALE_RANGE}; leave it out")
    print(f"Bach's chorales from the installed music21. {LICENCE}")
    with tqdm(desc="reading, once", unit=" files", disable=None, delay=1) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = load_chorales(tell)
    train, valid, test = (found.select(part) for part in SPLITS)
    print(f"chorales: {len(train)} train, {len(valid)} valid, {len(test)} test\n")
    test = [*valid, *test]  # 20 alone have an error of .1

    def baselines() -> dict[str, Any]:
        return {
            f"{n}-gram of each voice": voice_by_voice(n, train, test, CODEC)
            for n in fitting.N_GRAM_ORDERS
        }

    return Study(
        (train, valid, test),
        CODEC,
        found.card,
        ChoraleCourse(),
        baselines,
        lambda rows: frames_report(rows, len(test)),
    )


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
        listed = config.file.with_suffix(".left_out.txt")
        print(data.found.table())
        write_atomic(listed, data.found.list_left_out())
        print(f"what is left out, one by one: {listed}\n")
    return data


def _parts(config: PriorConfig, data: DataSet, codec: Codec) -> list[list[Tune]]:
    """Return the tunes to train on, to watch the training by, and to test on.

    Raises:
        ValueError: they are too few.
    """
    parts = [[tune for tune in data.corpus.select(part) if fits(tune, codec)] for part in SPLITS]
    count = sum(map(len, parts))
    beyond = sum(len(data.corpus.select(part)) for part in SPLITS) - count
    if data.found is not None and count < LEAST_TUNES:
        few = (
            "A few tunes can change a prior that ships: "
            f"python -m pretrained.adapt --prior melody {config.data} --out {config.file}"
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
