"""Teach a prior a few tunes.

    python -m pretrained.adapt theme.abc second.mid book.abc --out mine.safetensors
    python -m pretrained.adapt --prior folk --how full tunes --out mine.safetensors

Reads files, collections and folders of every format that is read, and lets a prior learn from them.
Tunes are left out in turn to see whether others of their kind become likelier: bits per note before
and after. If they do, the prior learns all of them and is written; if not, nothing is written, and
the status is 1. It also reports what is forgotten of the corpus that ships, and how much of the
prior's own melodies stands in the tunes.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from envs.errors import quoted
from pretrained.corpora.datasets import LICENCE
from pretrained.corpora.folder import read_folder
from pretrained.corpora.found import shown

if TYPE_CHECKING:
    from pretrained.corpora.found import Found
    from pretrained.training.adapting import Adapted
    from pretrained.training.side_effects import Copying, Forgetting

LIMITS = {"seed": (0, 2**32 - 1), "threads": (1, 1024)}


@dataclass(frozen=True)
class AdaptConfig:
    """Settings of an adaptation.

    Attributes:
        files: files, folders, and parts of files such as book.abc#7.
        prior: a checkpoint, a run directory, or the name of a prior that ships.
        out: the checkpoint to write; an existing file is replaced only with --overwrite.
        how: state, a vector at the inputs and the biases; lora, matrices of low rank as well; full,
            all weights. By default state for up to 10 tunes, else full.
        seed: of the tunes that are left out, of order and dropout.
        threads: CPU threads of torch.
        overwrite: replace `out` if it exists.
    """

    files: tyro.conf.Positional[tuple[str, ...]]
    prior: str = "melody"
    out: Path = Path("mine.safetensors")
    how: Literal["state", "lora", "full"] | None = None
    seed: int = 0
    threads: int = 1
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name, (least, most) in LIMITS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ValueError(f"{name}={quoted(value)}: expected {least} to {most}")
        if not self.files:
            raise ValueError("expected files or folders with tunes to learn from")


def adapt_prior(config: AdaptConfig) -> int:
    """Adapt, print the figures and write the checkpoint; 1 if nothing is gained and written."""
    import torch
    from tqdm import tqdm

    from pretrained import checkpoint
    from pretrained.training.adapting import adapt
    from pretrained.training.side_effects import copying, forgetting

    source = checkpoint.locate(config.prior)
    _check_out(config, source)
    prior = checkpoint.load(config.prior)
    torch.set_num_threads(config.threads)
    found = _read(config.files)
    with tqdm(desc="learning", unit=" rounds", disable=None, delay=1) as bar:

        def tell(done: int, most: int) -> None:
            bar.total = most
            bar.update(done - bar.n)

        adapted = adapt(prior, found.tunes, config.how, config.seed, progress=tell)
    print(_outcome(adapted))
    if not adapted.gain.certain:
        print(f"nothing is written; go on with --prior {config.prior}, or give more tunes")
        return 1
    lost = forgetting(prior, adapted.prior, found.tunes)
    copies = [copying(each, found.tunes, config.seed) for each in (prior, adapted.prior)]
    print(_side_effects(lost, *copies))
    base = {"name": config.prior, "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    notes = _notes(config, found, adapted, lost, copies[1]) | {"base": base}
    checkpoint.save(config.out, adapted.prior, notes=notes)
    print(f"\nwrote {config.out} ({config.out.stat().st_size / 1e6:.2f} MB)")
    return 0


def _check_out(config: AdaptConfig, source: Path) -> None:
    """Raise ValueError unless `out` can be written and is not the prior."""
    out = config.out
    if out.exists() and source.samefile(out):
        raise ValueError(f"{out} is the prior itself; give another --out")
    if out.exists() and not config.overwrite:
        raise ValueError(f"{out} exists; give another --out, or --overwrite to replace it")
    if out.is_dir() or not out.parent.is_dir():
        raise ValueError(f"{out} cannot be written: expected a file in a folder that exists")


def _read(files: tuple[str, ...]) -> Found:
    """Return the tunes of some files; print what is read and left out."""
    from tqdm import tqdm

    with tqdm(desc="reading", unit=" files", disable=None, delay=1) as bar:

        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = read_folder(files, tell)
    print(found.table() + "\n")
    return found


def _outcome(adapted: Adapted) -> str:
    """Return the gain in words."""
    gain = adapted.gain
    lines = []
    if adapted.beyond:
        lines.append(f"{adapted.beyond} tunes go beyond the range of the prior and are not used")
    way = f"{adapted.folds} parts in turn" if adapted.folds > 1 else "a part once"
    lines.append(
        f"{adapted.tunes} tunes ({adapted.clusters} that are no variants); {way} left out, "
        f"{adapted.left_out} tunes, learned as {adapted.how!r}"
    )
    lines.append(
        f"bits per note of tunes left out: {gain.before:.3f} before, {gain.after:.3f} after "
        f"(gain {gain.before - gain.after:.3f}, standard error {gain.error:.3f})"
    )
    if not gain.certain:
        lines.append("that is no certain gain: the prior is kept as it is")
    return "\n".join(lines)


def _side_effects(lost: Forgetting, before: Copying, after: Copying) -> str:
    """Return what is forgotten and copied in words."""
    lines = []
    if lost.known:
        lines.append(
            f"{lost.known} of the tunes are like tunes of the corpus that ships: a prior that "
            "learned from it knows them, and the figures above are no test of new ones"
        )
    lines.append(
        f"bits per note of {lost.tunes} test tunes of the corpus that ships: {lost.before:.3f} "
        f"before, {lost.after:.3f} after"
    )
    lines.append(
        f"near-copies of your tunes among {after.pieces} melodies of the prior: {before.near} "
        f"before, {after.near} after; the closest: {shown(after.closest.message)}"
    )
    return "\n".join(lines)


def _notes(
    config: AdaptConfig, found: Found, adapted: Adapted, lost: Forgetting, copies: Copying
) -> dict[str, Any]:
    """Return the notes of the checkpoint, in JSON's types; the tunes' names are not among them."""
    return {
        "adapted": {
            "how": adapted.how,
            "seed": config.seed,
            "files": found.files,
            "tunes": adapted.tunes,
            "clusters": adapted.clusters,
            "left out bits per note": asdict(adapted.gain),
            "forgotten bits per note": asdict(lost),
            "longest run of notes copied": copies.closest.run,
            "near-copies": [copies.near, copies.pieces],
        },
        "licence": LICENCE,
    }


def main() -> None:
    """Command line."""
    try:
        sys.exit(
            adapt_prior(
                tyro.cli(AdaptConfig, description=__doc__, prog="python -m pretrained.adapt")
            )
        )
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
