"""Say where a piece breaks which rules, how badly, and how surprised the prior is there.

python -m agents.explain tune.abc

python -m agents.explain tune.mid --key "G major" --reward in_key leap_recovery=0.5 --out explained

python -m agents.explain book.abc#7:1-16

python -m agents.explain chorale.mxl --pack satb_common_practice --out explained

python -m agents.explain runs/rltuner-v0-ppo-1
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from agents.settings import commands
from agents.settings.reading_flags import ReadingFlags
from envs.music.piece import require_tempo

if TYPE_CHECKING:
    from agents.explaining.explanation import Explanation


@dataclass(frozen=True)
class ExplainConfig(ReadingFlags):
    """Settings of an explanation.

    Attributes:
        piece: a MIDI, MusicXML, ABC or kern file, FILE#7 for its seventh tune, FILE:1-32 for bars
            of it, or a run directory, whose samples are explained.
        reward: rules to ask as name=weight, as python -m agents.train takes them; if empty those
            of the run that have words for what is wrong, for three voices and more those of
            satb_common_practice, else all such rules, with weight 1.
        pack: name of a pack of rules to ask, such as satb_common_practice or fux_species_1.
        chords: harmony for rules that ask for it: 'i VII i v', a bar each. Chord symbols in a file
            are not read.
        phrases: form for rules that ask for it: AABA, 4+4 or 'A4 A4 B8'.
        tempo: beats per minute of what is written; the file's, or 80, if 0.
        prior: name or path of a checkpoint, none for none. If empty the run's, or chorale for four
            voices if it has been trained here, else melody, which hears each voice alone. With
            +memory behind it, as in folk+memory, it also expects what the piece has done so far.
        soundfont: an .sf2 file, for sound by FluidSynth; a small synthesiser if empty.
        out: folder to write to, new or empty: a page to look at and listen to, the marked score,
            MIDI, WAV and JSON. Nothing is written if it is not given.
        json: print JSON.
        trust: run the code that the run's settings name, such as rewards of its author's own.
    """

    piece: tyro.conf.Positional[Path]
    reward: tuple[str, ...] = ()
    pack: str = ""
    chords: str = ""
    phrases: str = ""
    tempo: float = 0.0
    prior: str = ""
    soundfont: str = ""
    out: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    json: bool = False
    trust: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tempo:
            require_tempo(self.tempo)


def explanations(config: ExplainConfig) -> list[Explanation]:
    """Return the explanation of the file, or of each sample of the run.

    Raises:
        ValueError: a file that cannot be read, or a run whose code is not trusted.
        RewardError: a term that was named failed.
    """
    from agents.explaining.explainer import explain
    from agents.explaining.sources import read_with_plan, rules_of, samples_of
    from agents.runs.directory import Run
    from agents.settings.config import TrainConfig
    from agents.settings.trust import code_of, require_trust
    from rewards.build import build

    plan = {"chords": config.chords, "phrases": config.phrases}
    named = (*[config.pack] * bool(config.pack), *config.reward)
    reward = build(TrainConfig(reward=named).terms) if named else None
    lenient, prior = reward is None, config.prior
    if config.piece.is_dir():
        run, trust = Run(config.piece), config.trust
        besides = ("mask", "reward")
        settings = require_trust(run.read_config(trust), run.config_file, trust, besides)
        pieces = list(samples_of(run, settings.task, config.known, plan))
        if reward is None:
            without = [] if trust else code_of(settings, ["reward"])
            if without:
                note = f"note: not asked without --trust, as it is code: {', '.join(without)}"
                print(commands.plain(note), file=sys.stderr)
            reward = rules_of(run, settings, without)
        prior = config.prior or settings.prior
    else:
        pieces = [(config.piece.name, read_with_plan(config.piece, config.known, plan))]
    asked = None if prior == "none" else prior
    return [
        explain(piece, reward, asked, commands.plain(name), lenient=lenient)
        for name, piece in pieces
    ]


def explain_all(config: ExplainConfig) -> None:
    """Explain, print and write."""
    import torch

    from agents.explaining.explanation import as_dict
    from agents.explaining.explanation_files import as_json, files_of
    from envs.durable_files import write_atomic

    torch.set_num_threads(1)
    if config.out is not None:
        commands.check_new_directory(config.out)  # before the work
    is_run = config.piece.is_dir()
    found = explanations(config)
    written = {}
    if config.out is not None:
        for each in found:
            folder = config.out / folder_of(each.name) if is_run else config.out
            written[folder] = files_of(each, config.tempo, config.soundfont)
        commands.new_directory(config.out)
        for folder, files in written.items():
            folder.mkdir(exist_ok=True)
            for name, data in files.items():
                write_atomic(folder / name, data)
    if config.json:
        values = [as_dict(each) for each in found]
        print(as_json(values if is_run else values[0]), end="")
        return
    print("\n".join(map(str, found)), end="")
    if written:
        print(f"\nwrote {next(iter(written)) / 'page.html'} and what belongs to it")


def folder_of(name: str) -> str:
    """Return the folder of what is written about a sample.

    Raises:
        ValueError: its name is that of a folder that is there already, such as the one above.
    """
    stem = Path(name).stem
    if not stem.strip("."):
        raise ValueError(f"{name!r}: nothing can be written under this name; rename the sample")
    return stem


def main() -> None:
    """Command line."""
    commands.run(lambda: explain_all(commands.parse(ExplainConfig, "explain", __doc__)))


if __name__ == "__main__":
    main()
