"""Attacks by hand are refused by name, soon and in little memory."""

import json
import os
import random
import re

import pytest

from agents.settings.config import read_toml
from envs.notation.reading import readers
from envs.notation.reading.readers import read_piece
from pretrained import checkpoint
from tests.tools.fuzz.attacks import ATTACKS, END, FAR, LINES
from tests.tools.fuzz.readers import READERS
from tests.tools.fuzz.seeds import midi_file
from tests.tools.fuzz.watch import Watch


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """Import everything first, so that no attack is charged for it."""
    for name in ("midi", "xml", "abc", "kern", "tune", "checkpoint", "config", "lock"):
        Watch(60).check(READERS[name].read, READERS[name].seeds()[0])


def outcome(reader: str, data: bytes) -> str:
    """How a reader refuses an input, '=' and its notes if it takes it; fails if it does badly."""
    told = [""]

    def read(data: bytes) -> None:
        try:
            told[0] = f"={READERS[reader].read(data)}"
        except Exception as error:
            told[0] = str(error)
            raise

    Watch(3.0).check(read, data)  # generous: some inputs have ten megabytes
    return told[0]


@pytest.mark.parametrize(
    ("reader", "attack"), [(reader, name) for reader in ATTACKS for name in ATTACKS[reader]]
)
def test_an_attack_by_hand(reader, attack):

    make, expected = ATTACKS[reader][attack]
    told = outcome(reader, make())
    if expected.startswith("="):
        assert told in expected.split("|") or re.search(expected.partition("|")[2] or "(?!)", told)
    elif expected:
        assert re.search(expected, "" if told.startswith("=") else told)
    else:
        assert told.startswith("=")


@pytest.mark.parametrize(
    ("reader", "number"),
    [(reader, number) for reader in LINES for number in range(len(LINES[reader]))],
)
def test_a_line_of_a_million_characters(reader, number):
    told = outcome(reader, LINES[reader][number].encode())
    assert reader == "term" or not told.startswith("=")


@pytest.mark.parametrize("suffix", [*readers.READERS, ".toml", ".safetensors"])
def test_a_file_of_100_mb_an_empty_one_noise_and_a_pipe(tmp_path, suffix):
    read = {".toml": read_toml, ".safetensors": checkpoint.load}.get(suffix, read_piece)
    path = tmp_path / f"a{suffix}"
    for content in (b"", random.Random(0).randbytes(100_000), b"\0" * 1000):
        path.write_bytes(content)
        if suffix == ".toml" and not content:
            continue  # no settings are the default ones
        with pytest.raises(ValueError, match=r"a\.") as refused:
            read(path)
        assert len(str(refused.value)) < 1000
    with path.open("wb") as file:
        file.truncate(100_000_000)  # sparse: takes no room
    Watch().check(lambda data: read(path), b"")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises((ValueError, FileNotFoundError), match=r"a\."):
        read(path)


def test_times_beyond_31_bits_are_refused(tmp_path):
    path = tmp_path / "a.mid"
    path.write_bytes(midi_file([(FAR + b"\x90\x3c\x50" + FAR + b"\x3c\x00") * 5 + END], 0, 1))
    with pytest.raises(ValueError, match="10000 bars; choose some"):
        read_piece(path)


@pytest.mark.parametrize("kind", ["float64", "int32", "bool", "complex64", "float8_e5m2"])
def test_weights_of_another_type_are_refused(tmp_path, tiny_checkpoint, kind):
    import torch
    from safetensors.torch import save_file

    header, tensors = checkpoint.read(tiny_checkpoint)
    tensors["net.head.bias"] = tensors["net.head.bias"].to(getattr(torch, kind))
    path = tmp_path / "a.safetensors"
    save_file(tensors, path, {checkpoint.HEADER: json.dumps(header)})
    with pytest.raises(ValueError, match=f"torch.{kind}"):
        checkpoint.load(path)
