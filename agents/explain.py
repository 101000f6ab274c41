"""Say where a piece breaks which rules, how badly, and how surprised the prior is there.

python -m agents.explain tune.abc

python -m agents.explain tune.mid --key "G major" --reward in_key leap_recovery=0.5 --out explained

python -m agents.explain runs/rltuner-v0-ppo-1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from agents.composing.request import PRIOR
from agents.explaining.explanation_files import TEMPO, _folder, as_json, files_of, write
from agents.settings import commands

if TYPE_CHECKING:
    from envs.music.piece import Piece
    from envs.music.score import Score
    from pretrained.prior import Prior
    from rewards.sum import RewardSum

MOST_SAMPLES = 200  # of a run


@dataclass(frozen=True)
class ExplainConfig:
    """What to explain, and how.

    Attributes:
        piece: a MIDI, MusicXML or ABC file, or a run directory, whose samples are explained.
        reward: rules to ask as name=weight, as python -m agents.train takes them; all rules that
            have words for what is wrong, with weight 1, if empty.
        key: such as "G major"; the file's if empty, or estimated.
        meter: such as 6/8; the file's if empty.
        grid: cells per quarter note; if 0 four, or what else fits.
        pickup: cells before the first bar line; -1 for the file's. MIDI files rarely tell.
        part: number of the only part to read, from 1; 0 for all, each a voice.
        chords: harmony for rules that ask for it: 'i VII i v', a bar each. Chord symbols in a file
            are not read.
        phrases: form for rules that ask for it: AABA, 4+4 or 'A4 A4 B8'.
        tempo: beats per minute of what is written; the file's, or 80, if 0.
        prior: name or path of a checkpoint, melody or the run's if empty; none for none.
        soundfont: an .sf2 file, for sound by FluidSynth; a small synthesiser if empty.
        out: folder to write to, new or empty: a page to look at and listen to, the marked score,
            MIDI, WAV and JSON. Nothing is written if it is not given.
        json: print JSON.
        trust: run the code of an environment that the run's settings name.
    """

    piece: tyro.conf.Positional[Path]
    reward: tuple[str, ...] = ()
    key: str = ""
    meter: str = ""
    grid: int = 0
    pickup: int = -1
    part: int = 0
    chords: str = ""
    phrases: str = ""
    tempo: float = 0.0
    prior: str = ""
    soundfont: str = ""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    json: bool = False
    trust: bool = False

    def __post_init__(self) -> None:
        if self.tempo and not 10 <= self.tempo <= 400:
            raise ValueError(f"tempo={self.tempo}: expected 10 to 400 beats per minute")
        for name, least in (("grid", 0), ("pickup", -1), ("part", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: expected {least} or more")

    @property
    def terms(self) -> dict[str, Any]:
        """The reward's terms as they were given."""
        from agents.settings.config import TrainConfig

        return TrainConfig(reward=self.reward).terms


def read(config: ExplainConfig) -> Iterator[tuple[str, Piece, Score]]:
    """Name, piece and score of the file, or of each sample of the run."""
    from envs.notation.reading.readers import read_piece

    known: dict[str, Any] = {
        "grid": config.grid or None,
        "key": config.key or None,
        "meter": config.meter or None,
        "pickup": None if config.pickup < 0 else config.pickup,
        "part": config.part or None,
    }
    if config.piece.is_dir():
        yield from _samples(config, known)
    else:
        piece = read_piece(config.piece, **known)
        yield commands.plain(config.piece.name), piece, _score(config, piece)


def _score(config: ExplainConfig, piece: Piece) -> Score:
    return piece.score_for(replace(piece.task, chords=config.chords, phrases=config.phrases))


def _samples(config: ExplainConfig, known: Mapping[str, Any]) -> Iterator[tuple[str, Piece, Score]]:
    """The melodies that a run left, as pieces of its task."""
    from agents.runs.directory import Run
    from agents.settings.trust import require_trust

    run = Run(config.piece)
    besides = ("reward", "mask")  # explaining asks rules of its own
    settings = require_trust(run.read_config(config.trust), run.config_file, config.trust, besides)
    files = sorted(run.samples.glob("*.musicxml"))
    if not files:
        raise ValueError(f"{run.samples} holds no melodies; expected those that training leaves")
    from envs.notation.reading.readers import read_piece

    task = settings.task
    own = {"grid": task.grid, "key": task.key, "meter": task.meter, "pickup": task.pickup}
    known = {name: own.get(name) if value is None else value for name, value in known.items()}
    for file in files[:MOST_SAMPLES]:
        piece = read_piece(file, **known)
        fits = {name: known[name] for name in own} == own and piece.voices <= task.voices
        fits = fits and piece.bars <= task.bars and not config.chords and not config.phrases
        name = commands.plain(file.name)
        yield name, piece, piece.score_for(task) if fits else _score(config, piece)


def load_prior(config: ExplainConfig) -> Prior | None:
    """The prior that is asked, None if none is wanted."""
    if config.prior == "none":
        return None
    import torch

    from agents.runs.directory import Run
    from pretrained.checkpoint import load

    torch.set_num_threads(1)
    run = Run(config.piece).config.prior if config.piece.is_dir() else PRIOR
    return load(config.prior or run)


def make_reward(config: ExplainConfig) -> RewardSum:
    """The rules to ask."""
    from agents.explaining.explanation import speaking_rules
    from rewards.build import build

    return build(config.terms) if config.reward else speaking_rules()


def explain_all(config: ExplainConfig) -> None:
    """Read, explain, print and write."""
    from agents.explaining.explanation import as_dict, as_text, explain

    if config.out is not None:
        commands.check_new_directory(config.out)  # before the work
    pieces = list(read(config))
    folders = [_folder(name) if config.piece.is_dir() else "." for name, _, _ in pieces]
    reward, lenient = make_reward(config), not config.reward
    prior = load_prior(config)
    found = [explain(piece, reward, prior, name, score, lenient) for name, piece, score in pieces]
    written = {}
    if config.out is not None:
        for folder, each in zip(folders, found, strict=True):
            tempo = config.tempo or each.piece.tempo or TEMPO
            written[folder] = files_of(each, tempo, config.soundfont)
    if config.json:
        told = [as_dict(each) for each in found]
        print(as_json(told if config.piece.is_dir() else told[0]), end="")
    else:
        print("\n".join(as_text(each) for each in found), end="")
    if config.out is not None:
        write(written, config.out)
        if not config.json:
            first = next(iter(written))
            print(f"\nwrote {config.out / first / 'page.html'} and what belongs to it")


def main() -> None:
    """Command line."""
    commands.run(lambda: explain_all(commands.parse(ExplainConfig, "explain", __doc__)))


if __name__ == "__main__":
    main()
