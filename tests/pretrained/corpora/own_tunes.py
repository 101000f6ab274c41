"""Small files of tunes for tests, as a user may have them."""

import numpy as np

from envs.music.piece import Piece
from envs.notation import score_from_text, written

KERN = "**kern\n*k[]\n*C:\n*M4/4\n=1\n4c\n4d\n4e\n4f\n=2\n4g\n4a\n4b\n4cc\n==\n*-\n"


def abc_tune(number, seed=None, bars=4, title=None):
    """Return a tune of random eighths in ABC, the same for the same seed."""
    rng = np.random.default_rng(number if seed is None else seed)
    line = " | ".join("".join(rng.choice(list("CDEFGABcdefg"), 8)) for _ in range(bars))
    name = f"Tune {number}" if title is None else title
    return f"X:{number}\nT:{name}\nM:4/4\nL:1/8\nK:C\n{line} |\n\n"


def book(numbers, **how):
    """Return a collection of tunes in ABC."""
    return "".join(abc_tune(number, **how) for number in numbers)


def piece(words="C4 D4 E4 F4 G4 A4 B4 C5 D5:8"):
    """Return a piece of one voice."""
    return Piece.of(score_from_text(words))


def fill(folder):
    """Write five tunes in four formats, and a folder, into a folder; return their addresses."""
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "book.abc").write_text(book([1, 2]))
    (folder / "deep" / "a.mid").write_bytes(written(piece(), ".mid"))
    (folder / "deep" / "er" / "b.musicxml").write_bytes(written(piece(), ".musicxml"))
    (folder / "deep" / "er" / "c.krn").write_text(KERN)
    names = ("book.abc#1", "book.abc#2", "deep/a.mid", "deep/er/b.musicxml", "deep/er/c.krn")
    return [f"{folder}/{name}" for name in names]


def same_tune(tune, expected):
    """Assert that two tunes have the same notes, bars and key."""
    np.testing.assert_array_equal(tune.tokens, expected.tokens)
    np.testing.assert_array_equal(tune.position, expected.position)
    assert (tune.meter, tune.tonic) == (expected.meter, expected.tonic)
