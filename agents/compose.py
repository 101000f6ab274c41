"""Write melodies of a trained agent: MIDI, MusicXML, ABC with remarks, and a score picture.

python -m agents.compose runs/rltuner-v0-ppo-1 -n 20 --out melodies
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from agents import commands

if TYPE_CHECKING:
    from envs.score import Score
    from envs.task import Task
    from rewards.total import RewardSum

MOST_REMARKS = 12  # beneath one tune


@dataclass(frozen=True)
class ComposeConfig:
    """What to compose.

    Attributes:
        run: run directory.
        n: number of melodies.
        out: folder to write to, new or empty.
        seed: of the draw; the same seed gives the same melodies.
        temperature: 1 draws as trained, lower is more cautious.
        primer: notes to begin with, such as "C4 E4:2 G4:2"; a name alone lasts a beat.
        tempo: beats per minute.
    """

    run: tyro.conf.Positional[str]
    n: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 8
    out: Path = Path("melodies")
    seed: int = 1
    temperature: float = 1.0
    primer: str = ""
    tempo: float = 80.0

    def __post_init__(self) -> None:
        if not 1 <= self.n <= 10_000:
            raise ValueError(f"n={self.n}: expected 1 to 10,000 melodies")
        if not 10 <= self.tempo <= 400:
            raise ValueError(f"tempo={self.tempo}: expected 10 to 400 beats per minute")


def explanation(score: Score, row: int, reward: RewardSum) -> list[str]:
    """What a piece was paid, term by term, and a remark where a term costs most."""
    from rewards.rule import remarks

    piece = score[row : row + 1]
    parts = {name: float(values.sum()) for name, values in reward.breakdown(piece).items()}
    paid = ", ".join(f"{name} {value:.1f}" for name, value in parts.items())
    found = [
        (remark.cell, abs(term.factor * remark.value), f"{remark} ({name})")
        for name, term in reward.terms.items()
        if getattr(term.fn, "says", "")
        for remark in remarks(term.fn, piece, name, sign=term.factor)
    ]
    worst = sorted(found, key=lambda entry: -entry[1])[:MOST_REMARKS]
    lines = [f"return {sum(parts.values()):.1f} = {paid}"]
    lines += [text for _, _, text in sorted(worst)]
    if len(found) > len(worst):
        lines.append(f"and {len(found) - len(worst)} smaller remarks")
    return lines


def write_pieces(score: Score, folder: Path, reward: RewardSum, tempo: float = 80.0) -> None:
    """Each piece as melody-01.mid, .musicxml, .abc and .svg, and all of them in melodies.txt."""
    from agents.run import write_atomic
    from envs.abc import abc
    from envs.musicxml import musicxml, svg
    from envs.notation import text, write_midi

    lines = []
    for row in range(score.batch):
        name = f"melody-{row + 1:02d}"
        title = f"Melody {row + 1}"
        remarks = explanation(score, row, reward)
        document = musicxml(score, row, title, tempo)
        write_midi(score, row, folder / f"{name}.mid", tempo)
        write_atomic(folder / f"{name}.musicxml", document)
        write_atomic(folder / f"{name}.abc", abc(score, row, title, row + 1, tempo, remarks))
        write_atomic(folder / f"{name}.svg", svg(document))
        lines.append(f"{name}  {text(score, row)}\n           {remarks[0]}\n")
    write_atomic(folder / "melodies.txt", "".join(lines))


def read_primer(line: str, task: Task) -> Score:
    """A page of one piece that begins with the notes of a line, voices parted by ';'.

    Raises:
        ValueError: no notes, notes outside the range, another number of voices, or no cell left
            to write.
    """
    import numpy as np

    from envs.composition import primed
    from envs.notation import parse_voices

    voices, end = parse_voices(line, task.beat_cells)
    if len(voices) != task.voices:
        raise ValueError(
            f"primer has {len(voices)} voices and the piece {task.voices}; part them by ';'"
        )
    if not 0 < end < task.cells:
        raise ValueError(
            f"primer has {end} cells and the piece {task.cells}; expected notes shorter than the "
            "piece"
        )
    tokens = np.stack([task.codec.encode(notes, end) for notes in voices])
    return primed(task.sample(np.random.default_rng(0), 1), tokens)


def compose(config: ComposeConfig) -> None:
    """Sample, write, say where."""
    import numpy as np
    import torch

    from agents.run import Run
    from agents.vec_env import make_task
    from envs.composition import primed
    from pretrained.checkpoint import load
    from pretrained.prior import sample
    from rewards.total import build

    run = Run(config.run)
    settings = run.config
    task = make_task(settings)
    agent = load(run.policy_file, task.codec)
    reward = build(settings.reward_spec)
    page = task.sample(np.random.default_rng(config.seed), config.n)
    if config.primer:
        start = read_primer(config.primer, task)
        page = primed(page, start.tokens[0, :, : start.n_written // task.voices])
    rng = torch.Generator().manual_seed(config.seed)
    score = sample(agent, page, rng, config.temperature)
    write_pieces(score, commands.new_directory(config.out), reward, config.tempo)
    many = "melody" if config.n == 1 else "melodies"
    print(f"wrote {config.n} {many} to {config.out}: MIDI, MusicXML, ABC and SVG of each")


def main() -> None:
    """Command line."""
    commands.run(lambda: compose(commands.parse(ComposeConfig, "compose", __doc__)))


if __name__ == "__main__":
    main()
