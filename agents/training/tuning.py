"""The search for an algorithm's settings: trials, their journal, the best as a preset.

The objective is that of the preset `reference`, unless the algorithm's preset has its own.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import tomli_w
import tyro

from agents.settings.algorithm import ALGORITHMS, find_algorithm
from agents.settings.config import TrainConfig, as_flags, from_mapping
from agents.settings.presets import preset_of
from envs.checked import bounded, check_field

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True)
class TuneConfig:
    """Settings of a search.

    Attributes:
        algo: algorithm whose settings are searched.
        trials: to make in all, those already in the journal included.
        n_timesteps: steps of a trial.
        seeds: runs a trial is averaged over.
        pieces: fresh pieces a trial is judged by.
        out: folder of the journal and the table of trials.
        preset: file of the best settings, for --config; in `out`, named as the algorithm, if empty.
        prior: checkpoint to start from.
    """

    algo: str = "ppo"
    trials: int = bounded(20, 1, 10**6)
    n_timesteps: Annotated[int, tyro.conf.arg(aliases=["-n"])] = bounded(300_000, 1, 10**15)
    seeds: int = bounded(1, 1, 10**6)
    pieces: int = bounded(1000, 1, 10**7)
    out: Path = Path("tuning")
    preset: str = ""
    prior: str = TrainConfig.prior

    def __post_init__(self) -> None:
        for setting in fields(self):
            check_field(setting, getattr(self, setting.name))
        if not find_algorithm(self.algo).space:
            searched = [name for name, each in ALGORITHMS.items() if each.space]
            raise ValueError(
                f"nothing is searched for algorithm {self.algo!r}; "
                f"expected one of {', '.join(searched)}"
            )


def run_once(config: TrainConfig, pieces: int) -> float:
    """Train in a folder that is thrown away; return the objective reached.

    Raises:
        ValueError: learning diverged.
    """
    from agents.composing.masks import read_masks
    from agents.evaluating.sampling import objective, sample_many
    from agents.training.job import train
    from pretrained.checkpoint import load
    from rewards.build import build

    with tempfile.TemporaryDirectory() as folder:
        train(replace(config, runs=Path(folder), name="trial"))
        agent = load(Path(folder) / "trial")
    reward = build(config.reward_spec)
    mask = read_masks(config.mask, reward) if config.mask else None
    score = sample_many(agent, config.task, pieces, config.seed + 1, mask=mask)
    return objective(agent, score, reward, config, mask)


def as_preset(algo: str, values: Mapping[str, Any], study: optuna.Study, config: TuneConfig) -> str:
    """Return the text of a preset: the best settings, and how they were found."""
    count = sum(trial.state.is_finished() for trial in study.trials)
    head = (
        f"# Best of {count} Optuna trials of {config.n_timesteps:,} steps, "
        f"{config.seeds} seed(s) each: objective {study.best_value:.2f} nats a piece.\n"
        f"# python -m agents.tune --algo {algo} --trials {count} "
        f"-n {config.n_timesteps} --seeds {config.seeds}\n"
    )
    return head + tomli_w.dumps({"algo": algo, **values})


def as_table(study: optuna.Study) -> str:
    """Return the trials as CSV: number, state, objective, and the settings drawn."""
    names = sorted({name for trial in study.trials for name in trial.params})
    rows = [["trial", "state", "objective", *names]]
    for trial in study.trials:
        value = "" if trial.value is None else f"{trial.value:.4f}"
        drawn = [str(trial.params.get(name, "")) for name in names]
        rows.append([str(trial.number), trial.state.name.lower(), value, *drawn])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _open_study(config: TuneConfig, space: Mapping[str, Any], fixed: Iterable[str]) -> optuna.Study:
    """Return the study of a journal; a new one begins with the algorithm's own settings.

    Those that the space does not hold are drawn.

    Raises:
        ValueError: it holds trials of another search.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    file = config.out / f"{config.algo}.journal"
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))),
        study_name=config.algo,
        direction="maximize",
        load_if_exists=True,
    )
    # A search that goes on must not draw what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials), n_startup_trials=6)
    defaults = as_flags(from_mapping({"algo": config.algo}, "defaults"))
    asked = {name: getattr(config, name) for name in ("n_timesteps", "seeds", "pieces", "prior")}
    asked["settings"] = {k: str(v) for k, v in defaults.items() if k not in (*space, *fixed)}
    if study.user_attrs.get("asked", asked) != asked:
        raise ValueError(
            f"{file} holds trials of another search, whose objective is no measure for this one; "
            "name another --out"
        )
    study.set_user_attr("asked", asked)
    if not any(trial.state.is_finished() for trial in study.trials):
        known = {name: defaults[name] for name, values in space.items()}
        known = {name: value for name, value in known.items() if _is_in(value, space[name])}
        study.enqueue_trial(known, skip_if_exists=True)
    return study


def _is_in(value: Any, values: Any) -> bool:
    """True if a value is in a list, or between the (low, high) of a range."""
    return value in values if isinstance(values, list) else values[0] <= value <= values[1]


def draw(trial: optuna.Trial, space: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings drawn for a trial: of a list one, of (low, high) a number of three digits."""
    drawn: dict[str, Any] = {}
    for name, values in space.items():
        if isinstance(values, list):
            drawn[name] = trial.suggest_categorical(name, values)
        else:
            low, high = values
            drawn[name] = float(f"{trial.suggest_float(name, low, high, log=low > 0):.3g}")
    return drawn


class Best(NamedTuple):
    """The best trial's objective, and the file of its settings."""

    objective: float
    preset: Path


def tune(config: TuneConfig) -> Best:
    """Make the missing trials; write the table, and the preset of the best.

    Raises:
        ValueError: Optuna is not installed, or the folder holds trials of another search.
    """
    try:
        import optuna
    except ImportError:
        raise ValueError("the search needs Optuna: pip install 'composition-gym[tune]'") from None

    from agents.training.callbacks import DivergedError
    from envs.durable_files import write_atomic

    config.out.mkdir(parents=True, exist_ok=True)
    space = find_algorithm(config.algo).space
    kept = {name: value for name, value in preset_of(config.algo).items() if name not in space}
    fixed = {"n_timesteps": config.n_timesteps, "prior": config.prior, "eval_freq": -1}
    fixed |= {"judge": False, "save_freq": -1, "eval_pieces": 1, "samples": 0, "progress": False}

    def trial_value(trial: optuna.Trial) -> float:
        drawn = draw(trial, space)
        settings = kept | {"algo": config.algo} | drawn | fixed
        values = []
        for seed in range(config.seeds):
            base = from_mapping(settings, "trial")
            try:
                values.append(run_once(replace(base, seed=seed), config.pieces))
            except DivergedError as error:  # a result too
                trial.set_user_attr("failed", str(error))
                raise optuna.TrialPruned from error
        trial.set_user_attr("settings", drawn)
        return sum(values) / len(values)

    study = _open_study(config, space, fixed)
    done = sum(trial.state.is_finished() for trial in study.trials)
    study.optimize(trial_value, n_trials=max(0, config.trials - done))
    write_atomic(config.out / f"{config.algo}.csv", as_table(study))
    values = kept | study.best_trial.user_attrs["settings"]
    values.pop("algo", None)
    target = Path(config.preset) if config.preset else config.out / f"{config.algo}.toml"
    write_atomic(target, as_preset(config.algo, values, study, config))
    return Best(study.best_value, target)
