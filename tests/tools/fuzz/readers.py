"""Everything that reads what strangers write, by name: how to call it, seeds and words to try."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from zlib import crc32

from tests.tools.fuzz import seeds
from tests.tools.fuzz.mutation import MOST_BYTES
from tests.tools.fuzz.vocabulary import (
    ABC_WORDS,
    KERN_WORDS,
    LINE_WORDS,
    MIDI_WORDS,
    SAFETENSORS_WORDS,
    TOML_WORDS,
    XML_WORDS,
    ZIP_WORDS,
    words,
)

APART = True  # files of music are read in the child process
READING = 2.0  # seconds of processor time for a file of music


@dataclass(frozen=True)
class Reader:
    """One of them.

    Attributes:
        read: what takes the bytes.
        seeds: makes good inputs.
        words: of the format.
    """

    read: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    words: tuple[bytes, ...]


@cache
def folder() -> Path:
    """A folder for inputs that have to be files, in memory where there is such a disk."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz", dir=shared if shared.is_dir() else None))


def as_file(name: str, data: bytes) -> Path:
    """The input as a file."""
    path = folder() / f"{os.getpid()}{name}"
    path.write_bytes(data)
    return path


def text_of(data: bytes) -> str:
    """The input as what a person may type or paste."""
    return data.decode("utf-8", "surrogateescape" if crc32(data) % 8 == 0 else "replace")


# -- files -----------------------------------------------------------------------------------------


def read_file(suffix: str, data: bytes) -> str:
    """A file of music, in the child process or, where coverage guides, in this one; its notes."""
    from envs.notation.reading import readers
    from envs.notation.reading.sandbox import Limits
    from envs.notation.reading.selection import Known
    from envs.notation.text_line import text

    if not APART:
        return text(readers.READERS[suffix](data, Known()).score)
    try:
        score = readers.read_piece(as_file(suffix, data), limits=Limits(seconds=READING)).score
    except ValueError as error:
        slow = "CPU time" in str(error) and len(data) <= MOST_BYTES
        if slow or "its reader failed" in str(error):
            raise AssertionError(str(error)) from error
        raise
    if not score.finished or not text(score):
        raise AssertionError("a piece that was read is not finished")
    return text(score)


def read_archive(data: bytes) -> str:
    """An .mxl file; what is no zip archive is its members, parted by a zero, and packed here."""
    if not data.startswith(b"PK"):
        container, _, score = data.partition(b"\x00")
        data = seeds.packed_score(score, container=container)
    return read_file(".mxl", data)


def read_corpus_tune(data: bytes) -> None:
    """A tune as the corpus reads it."""
    from pretrained.corpora.tunes import read_tune

    read_tune(text_of(data))


def read_checkpoint(data: bytes) -> None:
    """A checkpoint, and a step of its network."""
    from envs.music.score import Score
    from envs.music.task import Task
    from pretrained import checkpoint
    from pretrained.prior import sample

    path = as_file(".safetensors", data)
    if crc32(data) % 4 == 0:
        checkpoint.notes(path)
    prior = checkpoint.load(path)
    task = Task(bars=1, grid=prior.codec.grid)
    sample(prior, Score.page(task, 1), seed=0)


def read_config(data: bytes) -> None:
    """Settings, written back and read again, and the reward that they ask for."""
    from agents.settings.config import for_budget, from_mapping, read_toml, to_toml
    from rewards.build import build

    config = read_toml(as_file(".toml", data))
    again = as_file("-again.toml", to_toml(config).encode())
    if read_toml(again) != config and "nan" not in to_toml(config):
        raise AssertionError("settings do not survive writing")
    for_budget(config)
    named = config.reward_spec.items()
    build({name: setting for name, setting in named if ":" not in name and name != "prior"})
    _ = config.tasks
    from_mapping({}, "nothing")


def read_explained(data: bytes) -> None:
    """A tune as `agents.explain` reads and explains it, in words and in files."""
    from agents.explaining import explain
    from agents.explaining.explanation import as_dict, as_text
    from envs.notation.reading.readers import read_piece
    from envs.notation.writing.writers import WRITERS

    found = explain(read_piece(as_file(".abc", data)), prior=None)
    as_text(found), as_dict(found)
    for suffix in (".musicxml", ".abc", ".mid"):
        WRITERS[suffix](found.piece)


def read_locked(data: bytes) -> None:
    """A tune, bars of which are locked; the bars stand before the first end of line."""
    from agents.composing.locked_bars import Bars

    bars, _, tune = data.partition(b"\n")
    path = as_file(".abc", tune)
    Bars.read(f"{path}:{text_of(bars)}", rewrite=bool(crc32(data) % 2)).task_with({})


# -- lines of text ---------------------------------------------------------------------------------


def read_key(data: bytes) -> None:
    """A key."""
    from envs.music.key import Key

    key = Key.parse(text_of(data))
    if Key.parse(str(key)) != key or not key.pitch_classes or key.spell(60)[1] not in (3, 4, 5):
        raise AssertionError("a key does not survive writing")


def read_meter(data: bytes) -> None:
    """A metre."""
    from envs.music.meter import Meter

    meter = Meter.parse(text_of(data))
    if Meter.parse(str(meter)) != meter:
        raise AssertionError("a metre does not survive writing")
    for grid in (4, 12):
        if 4 * grid * meter.numerator % meter.denominator == 0:
            meter.levels(grid), meter.group_starts(grid)


def read_range(data: bytes) -> None:
    """A range, or a pitch."""
    from envs.music.pitch import parse_pitch, parse_range

    text = text_of(data)
    low, high = parse_range(text) if b"-" in data[1:] else 2 * (parse_pitch(text),)
    if not (0 <= low <= 127 and 0 <= high <= 127):
        raise AssertionError("a pitch that is none")


def read_chords(data: bytes) -> None:
    """Chords."""
    from envs.music.chords import parse_chords
    from envs.music.key import Key

    parse_chords(text_of(data), Key("C", ("minor", "major")[crc32(data) % 2]), 8)


def read_phrases(data: bytes) -> None:
    """A plan of phrases."""
    from envs.music.phrases import parse_phrases

    if sum(phrase.bars for phrase in parse_phrases(text_of(data), 16)) != 16:
        raise AssertionError("a plan that fills other bars")


def read_notes_text(data: bytes) -> None:
    """A line of notes, written and read again."""
    from envs.notation.text_line import parse_voices, score_from_text, text

    line = text_of(data)
    if crc32(data) % 4 == 0:
        parse_voices(line, 4)
        return
    score = score_from_text(line)
    if (score_from_text(text(score)).tokens != score.tokens).any():
        raise AssertionError("a line does not survive writing")


def read_term(data: bytes) -> None:
    """A term of the reward on the command line, and an argument of the task."""
    from agents.settings.tasks import variants
    from envs.notation.address import parse_address
    from envs.values import parse_assignment
    from rewards.spec import parse_term

    text = text_of(data)
    which = crc32(data) % 4
    reads = (parse_term, parse_assignment, parse_address, lambda vary: variants(vary.split()))
    reads[which](text)  # type: ignore[operator]


READERS: dict[str, Reader] = {
    "midi": Reader(partial(read_file, ".mid"), seeds.midi, MIDI_WORDS),
    "xml": Reader(partial(read_file, ".musicxml"), seeds.xml, XML_WORDS),
    "mxl": Reader(read_archive, seeds.mxl, (*XML_WORDS, *ZIP_WORDS)),
    "abc": Reader(partial(read_file, ".abc"), seeds.tunes, ABC_WORDS),
    "kern": Reader(partial(read_file, ".krn"), seeds.kern, KERN_WORDS),
    "tune": Reader(read_corpus_tune, seeds.tunes, ABC_WORDS),
    "explain": Reader(read_explained, seeds.tunes, ABC_WORDS),
    "lock": Reader(
        read_locked,
        lambda: [b"1\n" + tune for tune in seeds.tunes()],
        (*ABC_WORDS, *words("0~ 1-99~ 1,1~ 9999~ -1~ 2-1~ 1-2~")),
    ),
    "checkpoint": Reader(read_checkpoint, seeds.checkpoints, SAFETENSORS_WORDS),
    "config": Reader(read_config, seeds.configs, TOML_WORDS),
    "key": Reader(read_key, partial(seeds.lines, "key"), LINE_WORDS["key"]),
    "meter": Reader(read_meter, partial(seeds.lines, "meter"), LINE_WORDS["meter"]),
    "range": Reader(read_range, partial(seeds.lines, "range"), LINE_WORDS["range"]),
    "chords": Reader(read_chords, partial(seeds.lines, "chords"), LINE_WORDS["chords"]),
    "phrases": Reader(read_phrases, partial(seeds.lines, "phrases"), LINE_WORDS["phrases"]),
    "notes": Reader(read_notes_text, partial(seeds.lines, "notes"), LINE_WORDS["notes"]),
    "term": Reader(read_term, partial(seeds.lines, "term"), LINE_WORDS["term"]),
}
