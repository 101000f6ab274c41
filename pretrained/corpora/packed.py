"""Tunes in one compressed file of arrays and JSON, without pickled objects."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.durable_files import write_atomic
from pretrained.corpora.tunes import GridTune

FORMAT = 1
_LINES, _NUMBERS, _TEXT = ("tokens", "position"), ("length", "meter", "tonic"), "text"


def write_tunes(
    path: Path, tunes: Sequence[GridTune], text: Mapping[str, Any], **numbers: Sequence[int]
) -> None:
    """Write tunes completely or not at all.

    Args:
        path: of the file.
        tunes: to write.
        text: what else is written, in JSON's types.
        numbers: a whole number for each tune.

    Raises:
        OSError: it cannot be written.
    """
    words = {**text, "format": FORMAT, "titles": [tune.title for tune in tunes]}
    empty = [np.zeros(0)]
    others: dict[str, Any] = {name: np.array(row, np.int32) for name, row in numbers.items()}
    data = io.BytesIO()
    np.savez_compressed(
        data,
        tokens=np.concatenate([tune.tokens for tune in tunes] or empty).astype(np.uint8),
        position=np.concatenate([tune.position for tune in tunes] or empty).astype(np.int16),
        length=np.array([len(tune.tokens) for tune in tunes], dtype=np.int32),
        meter=np.array([tune.meter for tune in tunes], dtype=np.int16).reshape(-1, 2),
        tonic=np.array([tune.tonic for tune in tunes], dtype=np.int8),
        text=np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
        **others,
    )
    write_atomic(path, data.getvalue())


def read_tunes(path: Path) -> tuple[list[GridTune], dict[str, Any], dict[str, list[int]]]:
    """Return the tunes of a file, the text and the numbers; the tunes' arrays are read-only.

    Raises:
        ValueError: it has another format. A file that is missing or damaged raises the errors of
            numpy, json and zipfile.
    """
    with np.load(path, allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    text = json.loads(data[_TEXT].tobytes().decode()) if _TEXT in data else {}
    if text.get("format") != FORMAT:
        raise ValueError(
            f"corpus file {str(path)!r} has format {text.get('format')!r}, expected {FORMAT}; "
            "write those that ship anew with: python -m pretrained.corpora.folk"
        )
    ends = np.cumsum(data["length"])[:-1]
    lines = (np.split(_frozen(data[name]), ends)[: len(text["titles"])] for name in _LINES)
    meters, tonics = data["meter"].tolist(), data["tonic"].tolist()
    tunes = [
        GridTune(tokens, position, (numerator, denominator), tonic, title)
        for title, tokens, position, (numerator, denominator), tonic in zip(
            text["titles"], *lines, meters, tonics, strict=True
        )
    ]
    others = data.keys() - {*_LINES, *_NUMBERS, _TEXT}
    return tunes, text, {name: data[name].tolist() for name in others}


def _frozen(array: NDArray[np.integer]) -> NDArray[np.int16]:
    """Return a read-only int16 copy, as loaded tunes are cached and shared."""
    out = array.astype(np.int16)
    out.flags.writeable = False
    return out
