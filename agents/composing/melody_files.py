"""Pieces as files: sound, sheet and words of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envs.durable_files import write_atomic
from envs.music.score import Score
from envs.notation.text_line import text
from envs.notation.writing.abc import abc
from envs.notation.writing.engrave import svg
from envs.notation.writing.midi import midi_bytes
from envs.notation.writing.musicxml import musicxml
from envs.notation.writing.roll import roll_svg
from envs.notation.writing.sound import wav_bytes
from rewards.measures.novelty import novelty
from rewards.remarks import remarks
from rewards.sum import RewardSum

MOST_REMARKS = 12  # beneath one tune


def explanation(score: Score, row: int, reward: RewardSum) -> list[str]:
    """What a piece was paid, term by term, and a remark where a term costs most."""
    piece = score[row : row + 1]
    parts = {name: float(values.sum()) for name, values in reward.breakdown(piece).items()}
    paid = ", ".join(f"{name} {value:.1f}" for name, value in parts.items() if abs(value) >= 0.05)
    found = [
        (remark.cell, abs(term.factor * remark.value), f"{remark} ({name})")
        for name, term in reward.terms.items()
        if term.rule.says
        for remark in remarks(term.rule, piece, name, sign=term.factor)
    ]
    worst = sorted(found, key=lambda entry: -entry[1])[:MOST_REMARKS]
    lines = [f"return {sum(parts.values()):.1f}" + (f" = {paid}" if paid else "")]
    lines += [text for _, _, text in sorted(worst)]
    if len(found) > len(worst):
        lines.append(f"and {len(found) - len(worst)} smaller remarks")
    return lines


@dataclass(frozen=True)
class Extras:
    """What is written of each piece beside MIDI, MusicXML and ABC.

    Attributes:
        pictures: score and piano roll as SVG.
        sound: WAV.
        soundfont: path of an .sf2 file, for sound by FluidSynth; a small synthesiser if empty.
        copies: what of a piece stands in a tune that the prior learned from, in words.
    """

    pictures: bool = True
    sound: bool = False
    soundfont: str = ""
    copies: bool = False


def write_pieces(
    score: Score, folder: Path, reward: RewardSum, tempo: float = 80.0, extras: Extras | None = None
) -> None:
    """Each piece as melody-01.mid and so on, and all of them in words in melodies.txt."""
    extras = extras or Extras()
    lines = []
    for row in range(score.batch):
        name, title = f"melody-{row + 1:02d}", f"Melody {row + 1}"
        said = explanation(score, row, reward)
        lines.append(f"{name}  {text(score, row)}\n           {said[0]}\n")
        if extras.copies:
            said.append(novelty(score[row : row + 1])[0].message)
            lines.append(f"           {said[-1]}\n")
        document = musicxml(score, row, title, tempo)
        files: dict[str, str | bytes] = {
            "mid": midi_bytes(score, row, tempo),
            "musicxml": document,
            "abc": abc(score, row, title, row + 1, tempo, said),
        }
        if extras.pictures:
            files |= {"svg": svg(document), "roll.svg": roll_svg(score, row)}
        if extras.sound:
            files["wav"] = wav_bytes(score, row, tempo, extras.soundfont or None)
        for ending, content in files.items():
            write_atomic(folder / f"{name}.{ending}", content)
    write_atomic(folder / "melodies.txt", "".join(lines))
