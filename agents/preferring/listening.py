"""Pairs of pieces to listen to: played and asked about in a terminal, or written as files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from agents.preferring.comparisons import heading, written_comparison
from agents.preferring.pairs import Pair
from agents.preferring.questions import Questions
from agents.preferring.taste import ANSWERS
from envs.durable_files import write_atomic
from envs.music.piece import Piece
from envs.notation.writing.writers import written

PLAYERS = (
    ("afplay",),
    ("pw-play",),
    ("paplay",),
    ("aplay", "-q"),
    ("ffplay", "-nodisp", "-autoexit", "-loglevel", "quiet"),
)
LONGEST = 120  # seconds that a player is waited for
QUIT, AGAIN = "quit", "again"
FORMATS = (".wav", ".abc")
PAIRS = "pairs.jsonl"
TEMPO = 120.0  # beats per minute


def find_player() -> tuple[str, ...]:
    """Return the command of the system's player of WAV files; empty if there is none."""
    for command in PLAYERS:
        found = shutil.which(command[0])
        if found:
            return (found, *command[1:])
    return ()


def play(player: tuple[str, ...], file: Path) -> bool:
    """Play a WAV file; False if the player cannot."""
    try:
        done = subprocess.run(
            [*player, str(file.resolve())], capture_output=True, timeout=LONGEST, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def read_answer(word: str) -> str:
    """Return the answer that a word or its beginning stands for; '' for none.

    It is one of ANSWERS, QUIT or AGAIN.
    """
    word = word.strip().lower()
    fitting = [answer for answer in (*ANSWERS, QUIT, AGAIN) if answer.startswith(word)]
    return fitting[0] if word and len(fitting) == 1 else ""


def write_side(questions: Questions, number: int, path: Path, tempo: float) -> None:
    """Write a piece of the pool in the format of a path's suffix.

    Raises:
        OSError: it cannot be written.
    """
    piece = Piece.of(questions.piece(number), 0, path.stem.replace("-", " "), tempo)
    write_atomic(path, written(piece, path.suffix))


def ask(
    questions: Questions,
    folder: Path,
    say: Callable[[str], None],
    hear: Callable[[str], str],
    player: tuple[str, ...] = (),
    tempo: float = TEMPO,
) -> int:
    """Ask about one pair after another until somebody quits; return the number of answers.

    Args:
        questions: which pairs, and where answers go.
        folder: that exists, for left.wav and right.wav of each pair.
        say: shows a line.
        hear: shows a question and returns the answer; EOFError quits too.
        player: command that plays a WAV file; the path is said where there is none or it fails.
        tempo: beats per minute.

    Raises:
        OSError: a sound or an answer cannot be written.
    """
    sides = [folder / "left.wav", folder / "right.wav"]
    answered = 0
    while True:
        (pair,) = questions.next()
        for number, file in zip(pair, sides, strict=True):
            write_side(questions, number, file, tempo)
        liked = AGAIN
        while liked == AGAIN:
            for file in sides:
                say(f"{file.stem}: {file}")
                if player and not play(player, file):
                    player = ()
                    say("the player does not play; listen to the files themselves")
            liked = ""
            while not liked:
                try:
                    liked = read_answer(hear("left, right, tie, neither, again or quit? "))
                except EOFError:
                    liked = QUIT
        if liked == QUIT:
            return answered
        questions.answer(pair, liked)
        answered += 1


def write_pairs(questions: Questions, n: int, folder: Path, tempo: float = TEMPO) -> list[Pair]:
    """Write pairs to be compared: sound and notes of each piece, and a file to be filled in.

    In that file, pairs.jsonl, each ? behind "liked" is to become left, right, tie or neither.

    Args:
        questions: which pairs.
        n: number of pairs.
        folder: that exists.
        tempo: beats per minute.

    Raises:
        ValueError: there are no such many pairs.
        OSError: a file cannot be written.
    """
    pairs = questions.next(n)
    lines = [heading(questions.pool.task)]
    for place, pair in enumerate(pairs, 1):
        for side, number in zip(("left", "right"), pair, strict=True):
            for suffix in FORMATS:
                write_side(questions, number, folder / f"{place:03d}-{side}{suffix}", tempo)
        left, right = (questions.piece(number) for number in pair)
        lines.append(written_comparison(left, right))
    write_atomic(folder / PAIRS, "".join(lines))
    return pairs
