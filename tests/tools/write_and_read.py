"""Writes random pieces and reads them with other programs; prints every piece that is not the same.

    python -m tests.tools.write_and_read --pieces 20000 --workers 2

MIDI is read by mido, MusicXML element by element and, of each tenth piece, by music21, ABC by
abc2midi. A piece is its number, so that one can be tried again: --first 1234 --pieces 1.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from random import Random

from envs.notation import written
from tests.envs.notation.other_readers import (
    ABC2MIDI,
    ROUNDED,
    alike,
    by_abc2midi,
    by_mido,
    by_music21,
    written_notes,
)
from tests.envs.notation.random_pieces import random_piece
from tests.envs.notation.sheet import check_bars, read_sheet

BATCH = 100


def main():
    """Try the pieces and print how many each reader read, and the faults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pieces", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first piece")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--music21", type=int, default=10, help="every n-th piece is read by it")
    options = parser.parse_args()
    last = options.first + options.pieces
    batches = [
        (range(first, min(first + BATCH, last)), options.music21)
        for first in range(options.first, last, BATCH)
    ]
    counts, faults, begun = Counter(), [], time.monotonic()
    with ProcessPoolExecutor(options.workers) as pool:
        for read, found in pool.map(tried, batches):
            counts += read
            faults += found
            for fault in found:
                print(fault)
            print(f"\r{counts['pieces']:,} pieces ", end="", file=sys.stderr, flush=True)
    for name, count in sorted(counts.items()):
        print(f"{count:7,}  {name}")
    print(f"{len(faults):7,}  faults, {time.monotonic() - begun:.0f} s")
    return len(faults) > 0


def bars_are_full(piece):
    """True if the symbols fill each bar of each voice."""
    for voice in range(piece.voices):
        check_bars(piece.score, voice)
    return True


READERS = {
    "bars of symbols": bars_are_full,
    "mido": lambda piece: same(piece, by_mido(written(piece, ".mid"), piece.grid)),
    "elements of MusicXML": lambda piece: same(piece, read_sheet(document(piece), piece)),
    "music21": lambda piece: same(piece, by_music21(document(piece), piece.grid)),
}


def same(piece, heard, off=Fraction(0)):
    """True if the notes heard are those of the piece."""
    return alike(heard, written_notes(piece), off)


def document(piece):
    """The piece as MusicXML."""
    return written(piece, ".musicxml").decode()


def fault(reader, piece):
    """The fault that a reader finds, '' if it reads the piece."""
    try:
        return "" if reader(piece) else "other notes"
    except Exception:
        return traceback.format_exc(limit=-1)


def tried(batch):
    """Counts of what was read of a batch of pieces, and its faults."""
    numbers, every = batch
    counts, faults, tunes = Counter(pieces=len(numbers)), [], {}
    for number in numbers:
        piece = random_piece(Random(number))
        for name, reader in READERS.items():
            if name != "music21" or number % every == 0:
                counts[name] += 1
                found = fault(reader, piece)
                faults += [f"piece {number}, {name}: {found}"] if found else []
        try:
            tunes[number] = piece, written(piece, ".abc").decode()
        except ValueError:
            counts["refused by ABC: a tuplet of more than nine"] += 1
    if ABC2MIDI:
        counts["abc2midi"] += len(tunes)
        faults += [f"piece {number}, abc2midi: {found}" for number, found in sung(tunes)]
    return counts, faults


def sung(tunes):
    """Yield number and fault of the tunes that abc2midi does not read as written."""
    pieces = [piece for piece, _ in tunes.values()]
    try:
        heard = by_abc2midi([tune for _, tune in tunes.values()], [each.grid for each in pieces])
    except AssertionError as complaint:
        for number, tune in tunes.items():
            yield from sung({number: tune}) if len(tunes) > 1 else [(number, complaint)]
        return
    for number, piece, notes in zip(tunes, pieces, heard, strict=True):
        if not same(piece, notes, ROUNDED):
            yield number, "other notes"


if __name__ == "__main__":
    raise SystemExit(main())
