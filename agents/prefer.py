"""Compare pieces, learn the taste behind the answers, and write it as a reward.

python -m agents.prefer --ask answers.jsonl

python -m agents.prefer --fit answers.jsonl --out taste.toml

python -m agents.prefer --draw 20 --out pairs

python -m agents.train --reward prior=1 taste.toml=1

python -m agents.compose --key "C major" --bars 8 --reward taste.toml=1
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from agents.settings import commands
from envs.music.piece import require_tempo

if TYPE_CHECKING:
    from agents.preferring.questions import Questions

MODES = ("ask", "fit", "draw")


@dataclass(frozen=True)
class PreferConfig:
    """Settings of a comparison of pieces.

    Attributes:
        ask: file of comparisons to which answers are appended: two pieces are played, or their
            files are named, and you say left, right, tie or neither. What would teach most is asked
            next, and nothing twice.
        fit: file of comparisons to learn a taste from.
        draw: number of pairs to write for comparison elsewhere: sounds, notes, and a file to be
            filled in.
        out: what --fit writes, a reward in TOML, or a folder, new or empty, for --draw.
        pool: pieces drawn from the prior to choose pairs from.
        task: of the pieces as name=value: bars=4 meter=3/4 key="G major"; a file that exists has
            its own.
        prior: name or path of the prior that writes the pieces, and whose surprise is a feature;
            none for a fit without.
        tempo: beats per minute.
        seed: of the draw.
    """

    ask: str = ""
    fit: str = ""
    draw: int = 0
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    pool: int = 400
    task: tuple[str, ...] = ()
    prior: str = "melody"
    tempo: float = 120.0
    seed: int = 0

    def __post_init__(self) -> None:
        require_tempo(self.tempo)
        given = [f"--{name}" for name in MODES if getattr(self, name)]
        if len(given) != 1:
            got = " and ".join(given) or "none of them"
            raise ValueError(f"expected one of --ask FILE, --fit FILE and --draw N; got {got}")
        if self.draw < 0 or self.pool < 2:
            raise ValueError(
                f"--draw {self.draw}, --pool {self.pool}: expected a number of pairs, and at least "
                "2 pieces"
            )
        if self.ask and self.out is not None:
            raise ValueError(
                f"--ask writes answers to {self.ask} alone; leave --out out, and learn from them "
                "with --fit"
            )
        if self.fit and self.task:
            raise ValueError("--fit: the file says the task of its pieces; leave --task out")
        if self.draw and self.out is None:
            raise ValueError("--draw writes files; expected a folder, --out FOLDER")


def questions_of(config: PreferConfig) -> Questions:
    """Return questions about pieces of the prior.

    Raises:
        ValueError: a task or prior that cannot be had.
        RefusedError: the file is none of comparisons.
    """
    from agents.preferring.comparisons import read_task_of
    from agents.preferring.features import Features, feature_spec
    from agents.preferring.questions import Questions, draw
    from agents.settings.config import from_preset
    from agents.settings.tasks import read_task
    from envs.music.score import Score
    from pretrained.checkpoint import load

    file = Path(config.ask) if config.ask else None
    own = read_task_of(file) if file is not None else None
    task = own or read_task(config.task, from_preset().task)
    if own is not None and config.task and read_task(config.task, own) != own:
        raise ValueError(
            f"{file} has pieces of another task; leave --task out, or begin a new file"
        )
    pool = draw(load(config.prior, task), Score.page(task, config.pool), config.seed)
    features = Features.of(pool, feature_spec(task, config.prior))
    return Questions(pool, features, file, config.seed)


def ask(config: PreferConfig) -> None:
    """Ask in the terminal, then say what was learned."""
    from agents.preferring.listening import ask as ask_pairs
    from agents.preferring.listening import find_player
    from agents.preferring.taste import FEWEST

    file = Path(config.ask)
    questions = questions_of(config)
    folder = file.with_name(f"{file.name}.sounds")
    folder.mkdir(parents=True, exist_ok=True)
    answered = ask_pairs(questions, folder, print, input, find_player(), config.tempo)
    print(f"{answered} answers more in {file}, {questions.choices.size} in all")
    if questions.choices.size >= FEWEST:
        print(f"learn from them: python -m agents.prefer --fit {file} --out taste.toml")


def fit(config: PreferConfig) -> None:
    """Learn a taste, say it, and write it."""
    from agents.preferring.comparisons import read_comparisons
    from agents.preferring.questions import taste_of
    from agents.preferring.taste_file import as_toml, in_words
    from envs.durable_files import write_atomic

    known = read_comparisons(config.fit)
    for words in known.notices:
        commands.note(words)
    if known.open:
        commands.note(f"{known.open} pairs have no answer yet, and are left out")
    taste = taste_of(known, "" if config.prior == "none" else config.prior)
    print(in_words(taste))
    if config.out is not None:
        write_atomic(config.out, as_toml(taste))
        print(f"wrote {config.out}; tune to it: --reward prior=1 {config.out}=1")


def draw(config: PreferConfig) -> None:
    """Write pairs to be compared elsewhere."""
    from agents.preferring.listening import PAIRS, write_pairs

    folder = config.out or Path()
    commands.check_new_directory(folder)
    questions = questions_of(config)
    write_pairs(questions, config.draw, commands.new_directory(folder), config.tempo)
    print(f"wrote {config.draw} pairs to {folder}; fill in {folder / PAIRS}, and give it to --fit")


def prefer(config: PreferConfig) -> None:
    """Do what is asked for."""
    import torch

    torch.set_num_threads(1)
    (ask if config.ask else fit if config.fit else draw)(config)


def main() -> None:
    """Command line."""
    commands.run(lambda: prefer(commands.parse(PreferConfig, "prefer", __doc__)))


if __name__ == "__main__":
    main()
