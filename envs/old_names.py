"""Import names of version 0.4 and where they stand now: old lines go on working, with a notice.

The strings below are the only names of modules further up that this package holds, beside the
builder of the default reward.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, FrameType, ModuleType
from typing import Any

# Modules of 0.4 that have kept their names and stand in a room of their package now.
MOVED = {
    "envs.music": "codec facts tape task",
    "envs.notation.writing": "abc roll",
    "pretrained.corpora": "pieces split",
    "pretrained.ngrams": "judge",
    "pretrained.training": "lessons",
    "rewards.measures": "diversity hacking likeness",
    "rewards.rules": "contour form harmony melody rhythm rl_tuner",
    "agents.algorithms": "maskable piece_gradient replay reward_weighted",
    "agents.benchmarking": "figures",
    "agents.composing": "compute ranking search",
    "agents.explaining": "page",
    "agents.learning": "policy rollout",
    "agents.runs": "curve provenance state",
    "agents.settings": "arguments commands trust",
    "agents.training": "callbacks exploit kl monitor",
}
# A module of 0.4 that is gone, or has lost names: the modules that have them, the likeliest first.
HEIRS = {
    "envs.abc_file": "envs.notation.reading.abc envs.notation.reading.abc_tune.fields",
    "envs.barlines": "envs.notation.reading.bars",
    "envs.check": "agents.check agents.training.exploit rewards.checking.check_report",
    "envs.contract": "envs.composition envs.plugins rewards.functions envs.errors",
    "envs.cost": "rewards.checking.cost",
    "envs.measures": (
        "envs.notation.writing.symbols envs.music.piece envs.music.meter envs.music.key"
    ),
    "envs.midi_file": "envs.notation.reading.midi.reader",
    "envs.musicxml": "envs.notation.writing.musicxml envs.notation.writing.engrave",
    "envs.notation": "envs.notation.text_line envs.notation.writing.midi",
    "envs.panel": "rewards.checking.panel envs.music.noise",
    "envs.piece": (
        "envs.music.piece envs.notation.reading.assemble envs.notation.reading.selection"
    ),
    "envs.plan": "envs.music.chords envs.music.phrases",
    "envs.probes": "rewards.checking.probes rewards.checking.check_report",
    "envs.reading": (
        "envs.notation.reading.readers envs.notation.reading.sheets.musicxml"
        " envs.notation.reading.sheets.document"
    ),
    "envs.render": "envs.render",
    "envs.score": "envs.music.score envs.music.view",
    "envs.sheet_file": "envs.notation.reading.readers",
    "envs.signatures": "envs.notation.reading.time_signatures",
    "envs.sounds": (
        "envs.notation.reading.times envs.notation.reading.rounding envs.notation.reading.draft "
        "envs.errors"
    ),
    "envs.synth": "envs.notation.writing.sound",
    "envs.theory": "envs.music.pitch envs.errors envs.music.meter envs.music.key",
    "envs.xml_file": (
        "envs.notation.reading.sheets.document envs.notation.reading.sheets.musicxml"
    ),
    "pretrained.abc_reader": "pretrained.corpora.tunes",
    "pretrained.check": "pretrained.conformance",
    "pretrained.corpus": "pretrained.corpora.folk",
    "pretrained.files": "envs.durable_files",
    "pretrained.grids": "pretrained.networks.regrid",
    "pretrained.ngram": "pretrained.ngrams.model",
    "pretrained.prior": (
        "pretrained.networks.recurrent pretrained.networks.network_prior pretrained.networks.lens"
    ),
    "pretrained.rnn": "pretrained.networks.recurrent pretrained.networks.inputs",
    "pretrained.train": "pretrained.training.fit pretrained.training.settings",
    "rewards.learning": "rewards.learned agents.training.reward_lessons",
    "rewards.metrics": "rewards.measures.statistics",
    "rewards.novelty": (
        "rewards.measures.novelty pretrained.corpora.copies pretrained.corpora.suffix_array"
    ),
    "rewards.rule": "rewards.masks rewards.remarks",
    "rewards.total": "rewards.build rewards.term rewards.sum",
    "agents.algorithms": "agents.settings.algorithm agents.algorithms.registry",
    "agents.alone": "agents.runs.run_lock",
    "agents.benchmark": "agents.benchmarking.cells agents.benchmarking.plan",
    "agents.compose": "agents.composing.decoding agents.composing.masks agents.composing.composer",
    "agents.config": "agents.settings.config agents.settings.presets rewards.spec "
    "agents.algorithms.catalogue",
    "agents.evaluate": "agents.evaluating.sampling agents.evaluating.comparison",
    "agents.explain": "agents.explaining.explanation_files",
    "agents.explanation": "agents.explaining.explanation agents.explaining.explainer",
    "agents.locks": "agents.composing.locked_bars agents.settings.tasks",
    "agents.matrix": (
        "agents.benchmarking.benchmark_methods agents.benchmarking.bench "
        "agents.benchmarking.measuring"
    ),
    "agents.must": ("agents.composing.demands agents.composing.masks agents.composing.ranking"),
    "agents.q_learning": "agents.algorithms.q_learning agents.algorithms.q_losses",
    "agents.q_policy": "agents.algorithms.q_policy pretrained.networks.recurrent",
    "agents.report": "agents.benchmarking.benchmark_report agents.benchmarking.columns",
    "agents.results": "agents.benchmarking.results envs.durable_files",
    "agents.run": "agents.runs.directory agents.runs.run_lock",
    "agents.sheets": "agents.composing.melody_files",
    "agents.tables": "agents.runs.csv_tables",
    "agents.tasks": "agents.training.varied_tasks agents.settings.tasks",
    "agents.train": "agents.training.job",
    "agents.values": "envs.values",
    "agents.tune": "agents.training.tuning",
    "agents.vec_env": "agents.learning.vec_env envs.composition",
    "agents.wishes": "agents.composing.request agents.composing.composer",
}
HEIRS |= {
    f"{room.partition('.')[0]}.{name}": f"{room}.{name}"
    for room, names in MOVED.items()
    for name in names.split()
}
# A name that is another one now.
RENAMED = {
    "agents.compute.BranchingPrior": "pretrained.prior.Prior",
    "agents.compute.Meter": "agents.composing.compute.ComputeMeter",
    "agents.explanation.Line": "agents.explaining.explanation.RuleLine",
    "agents.explanation.place": "rewards.remarks.place",
    "agents.maskable.MaskedSamples": "agents.algorithms.maskable.MaskableRolloutBufferSamples",
    "agents.matrix.Method": "agents.benchmarking.benchmark_methods.BenchMethod",
    "agents.search.Found": "agents.composing.search.SearchResult",
    "envs.check.Report": "rewards.checking.check_report.CheckReport",
    "envs.contract.RewardTerm": "rewards.term.Term",
    "envs.render.piano_roll": "envs.render.roll_image",
    "envs.tape.stood_before": "envs.music.tape.occurred_before",
    "envs.tape.stood_before_at": "envs.music.tape.occurred_before_at",
    "pretrained.grids.GridState": "pretrained.networks.regrid.GridLine",
    "pretrained.ngram.GramTable": "pretrained.ngrams.model.NGram",
    "pretrained.prior.AutoregressivePrior": "pretrained.prior.Prior",
    "pretrained.prior.PriorState": "pretrained.networks.network_prior.Reading",
}
# A module whose command is a script of the repository now.
SCRIPTS = {"rewards.calibrate": "docs/calibrate.py"}

_shown: set[str] = set()


class OldNameWarning(FutureWarning):
    """A name of version 0.4 was used; the message has the new one."""


def notice(old: str, new: str) -> None:
    """Warn once that `old` is written `new` now, at the line outside this file that used it."""
    if old in _shown:
        return
    _shown.add(old)
    frame: FrameType | None = sys._getframe(1)
    while frame and frame.f_code.co_filename.startswith((__file__, "<frozen ")):
        frame = frame.f_back
    place = (frame.f_code.co_filename, frame.f_lineno) if frame else ("sys", 1)
    warnings.warn_explicit(f"{old} is an old name; write: {new}", OldNameWarning, *place)


def find(old: str, name: str) -> Any:
    """Return what `name` of the old module `old` has become, and give notice of the new name.

    Raises:
        AttributeError: the old module had no such name, or it has gone for good.
    """
    homes = HEIRS.get(old, "").split()
    home, _, new = RENAMED.get(f"{old}.{name}", f".{name}").rpartition(".")
    for module in [home] if home else homes:
        values = vars(import_module(module))
        if new in values:
            defined = getattr(values[new], "__module__", module)
            home = defined if defined in homes else module
            package = home.rpartition(".")[0]
            if vars(import_module(package)).get(new) is values[new]:
                home = package  # which exports it
            notice(f"{old}.{name}", f"from {home} import {new}")
            return CALLED.get(f"{old}.{name}", values[new])
    raise AttributeError(f"module {old!r} has no attribute {name!r}")


def explain(
    piece: Any,
    reward: Any,
    prior: Any = None,
    name: str = "",
    score: Any = None,
    lenient: bool = False,
) -> Any:
    """Return the explanation of a piece, without a prior unless one is given.

    Args:
        piece, reward, prior, name, lenient: as of `agents.explaining.explain`.
        score: the piece in another task; that of `piece` if None.
    """
    piece = piece if score is None else replace(piece, score=score)
    new = import_module("agents.explaining").explain
    return new(piece, reward, prior, name, lenient=lenient)


CALLED = {"agents.explanation.explain": explain}  # as it was called, where that has changed


def page(task: object, n: int) -> Any:
    """Return the `n` empty pages that `Task.sample(rng, n)` was."""
    notice("Task.sample(rng, n)", "Score.page(task, n)")
    return import_module("envs.music.score").Score.page(task, n)


def star(old: str) -> list[str]:
    """Return the names that a star import brings; those that are the same now share one notice."""
    homes = HEIRS[old].split()
    names = {name for home in homes for name in vars(import_module(home)) if name[0] != "_"}
    notice(f"{old}.*", "; ".join(f"from {home} import *" for home in homes))
    _shown.update(f"{old}.{name}" for name in names)
    renamed = {name for place, _, name in (key.rpartition(".") for key in RENAMED) if place == old}
    return sorted(names | renamed)


def install(package: str) -> None:
    """Let the old modules of a package be imported, and be attributes of it."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        for name in HEIRS.keys() & sys.modules.keys():  # imported before this
            _extend(sys.modules[name])
        sys.meta_path.insert(0, _Finder())
    _extend(sys.modules[package])


def _extend(module: ModuleType) -> None:
    """Let a module answer for its old names too."""
    own: Callable[[str], Any] | None = vars(module).get("__getattr__")
    old = module.__name__

    def __getattr__(name: str) -> Any:  # noqa: N807
        if own is not None:
            try:
                return own(name)
            except AttributeError:
                pass
        if f"{old}.{name}" in HEIRS:
            return import_module(f"{old}.{name}")
        if name == "__all__" and isinstance(module.__loader__, _Gone):
            return star(old)
        if name.startswith("__"):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        return find(old, name)

    vars(module)["__getattr__"] = __getattr__


class _Finder(MetaPathFinder):
    """Finds the old modules that are gone, and adds the names that others have lost."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of an old module, None of any other.

        Raises:
            ModuleNotFoundError: it is a script now, which the message names.
        """
        if fullname in SCRIPTS:
            raise ModuleNotFoundError(f"{fullname} is now the script {SCRIPTS[fullname]}")
        if fullname not in HEIRS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None:
            return ModuleSpec(fullname, _Gone())
        if isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Kept(spec.loader.name, spec.loader.path)
        return spec


class _Kept(SourceFileLoader):
    """Loads a module that still exists, with fewer names than it had."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then let it answer for the names it has lost."""
        super().exec_module(module)
        _extend(module)


class _Gone(Loader):
    """Makes an empty module that answers for the names of one that is gone."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module: with a docstring for `help`, and the way to its old names."""
        new = " and ".join(HEIRS[module.__name__].split())
        module.__doc__ = f"An old name: what was here is in {new} now."
        _extend(module)

    def get_code(self, fullname: str) -> CodeType:
        """Return the program of `python -m fullname`: it runs the new module."""
        new = HEIRS[fullname].split()[0]
        notice(fullname, f"python -m {new}")
        return compile(
            f"import runpy\nrunpy.run_module({new!r}, run_name='__main__', alter_sys=True)",
            fullname,
            "exec",
        )
