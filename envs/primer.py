"""A primer: the tokens that pieces begin with."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from envs.music.codec import UNWRITTEN
from envs.music.score import Score


def primed(page: Score, primer: npt.ArrayLike) -> Score:
    """Return a page with a primer written at its beginning.

    Args:
        page: a score with nothing written.
        primer: tokens (L,) or (V, L) for all pieces, or (B, V, L) for each.

    Raises:
        ValueError: a primer outside the range, as long as the piece, or against the grammar.
    """
    task, tokens = page.task, np.asarray(primer)
    length = tokens.shape[-1] if tokens.ndim else 0
    shape = (page.batch, task.voices, length)
    fits = all(own in (1, full) for own, full in zip(tokens.shape[::-1], shape[::-1], strict=False))
    if length == 0 or tokens.ndim > 3 or not fits:
        raise ValueError(
            f"primer has shape {tokens.shape}, expected (L,), ({task.voices}, L) or "
            f"({page.batch}, {task.voices}, L)"
        )
    if length >= task.cells:
        raise ValueError(
            f"primer has {length} cells and the piece {task.cells}; "
            "expected a primer shorter than the piece: shorten it or ask for more bars"
        )
    tokens = np.broadcast_to(tokens, shape)
    for voice in range(task.voices):
        task.check_tokens(tokens[:, voice], "primer", voice)
    for cell in range(length):
        for voice in range(task.voices):
            token = tokens[:, voice, cell].astype(np.int16)
            legal = page.allowed()[np.arange(page.batch), token] & (token != UNWRITTEN)
            if not legal.all():
                raise ValueError(
                    f"primer: token {int(token[~legal][0])} is not allowed at cell {cell}; "
                    "expected no gaps (-1), no hold (1) before the first note, and the tokens of "
                    "given cells"
                )
            page = page.write(token)
    return page
