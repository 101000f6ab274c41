"""Voice leading of priors and agents on the pages of held-out chorales, beside Bach's own.

    python docs/chorale_samples.py chorale runs/chorale-v0-pcl-1
    python docs/chorale_samples.py chorale --mask parallel_fifths parallel_octaves --every 4

Prints a table. Pages have the key, metre, length and phrases of the chorales that no prior learned
from; each name or file is a column. Without masks the KL to the first one is measured too.
"""

from __future__ import annotations

import argparse

import torch

from agents.composing.masks import read_masks
from agents.evaluating.chorales import empty_page, write_on
from pretrained import load
from pretrained.corpora.chorales import load_chorales
from rewards.build import build
from rewards.measures.voice_leading import VoiceLeading, table, voice_leading


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("priors", nargs="+", help="names of priors, files or run directories")
    parser.add_argument("--mask", nargs="+", default=[], help="rules that are kept")
    parser.add_argument("--each", type=int, default=3, help="pieces on each page")
    parser.add_argument("--every", type=int, default=1, help="use every n-th page")
    parser.add_argument("--anywhere", action="store_true", help="voices have no range of their own")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = load_chorales()
    held_out = (found.select("valid") + found.select("test"))[:: asked.every]
    pages = [empty_page(piece, "" if asked.anywhere else "SATB") for piece in held_out]
    mask = read_masks(asked.mask, build("satb_common_practice")) if asked.mask else None
    columns = {"Bach": sum((voice_leading(p.score) for p in held_out), VoiceLeading())}
    prior, divergences = load(asked.priors[0]), [0.0]
    for name in asked.priors:
        near = None if mask else prior  # behind a mask each piece would be looked through again
        written = write_on(load(name), pages, asked.each, mask=mask, prior=near)
        columns[name] = written.counts
        divergences.append(written.kl)
    print(table(columns))
    print("| KL, nats per frame | " + " | ".join(f"{kl:.3f}" for kl in divergences) + " |")


if __name__ == "__main__":
    main()
