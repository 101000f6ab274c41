"""Pieces as files: sound, sheet and words of each."""

from __future__ import annotations

from pathlib import Path

from agents.run import write_atomic
from envs.abc import abc
from envs.musicxml import musicxml, svg
from envs.notation import text, write_midi
from envs.score import Score
from rewards.novelty import novelty
from rewards.rule import remarks
from rewards.total import RewardSum

MOST_REMARKS = 12  # beneath one tune


def explanation(score: Score, row: int, reward: RewardSum) -> list[str]:
    """What a piece was paid, term by term, and a remark where a term costs most."""
    piece = score[row : row + 1]
    parts = {name: float(values.sum()) for name, values in reward.breakdown(piece).items()}
    paid = ", ".join(f"{name} {value:.1f}" for name, value in parts.items() if abs(value) >= 0.05)
    found = [
        (remark.cell, abs(term.factor * remark.value), f"{remark} ({name})")
        for name, term in reward.terms.items()
        if getattr(term.fn, "says", "")
        for remark in remarks(term.fn, piece, name, sign=term.factor)
    ]
    worst = sorted(found, key=lambda entry: -entry[1])[:MOST_REMARKS]
    lines = [f"return {sum(parts.values()):.1f}" + (f" = {paid}" if paid else "")]
    lines += [text for _, _, text in sorted(worst)]
    if len(found) > len(worst):
        lines.append(f"and {len(found) - len(worst)} smaller remarks")
    return lines


def write_pieces(
    score: Score, folder: Path, reward: RewardSum, tempo: float = 80.0, copies: bool = False
) -> None:
    """Each piece as melody-01.mid, .musicxml, .abc and .svg, and all of them in melodies.txt.

    With `copies` also what of a piece stands in a tune that the prior learned from.
    """
    lines = []
    for row in range(score.batch):
        name = f"melody-{row + 1:02d}"
        title = f"Melody {row + 1}"
        said = explanation(score, row, reward)
        if copies:
            said.append(novelty(score[row : row + 1])[0].message)
        document = musicxml(score, row, title, tempo)
        write_midi(score, row, folder / f"{name}.mid", tempo)
        write_atomic(folder / f"{name}.musicxml", document)
        write_atomic(folder / f"{name}.abc", abc(score, row, title, row + 1, tempo, said))
        write_atomic(folder / f"{name}.svg", svg(document))
        lines.append(f"{name}  {text(score, row)}\n           {said[0]}\n")
        if copies:
            lines.append(f"           {said[-1]}\n")
    write_atomic(folder / "melodies.txt", "".join(lines))
