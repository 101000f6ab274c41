"""The settings of a training run: one dataclass, read from TOML and written back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from agents.settings import tasks
from agents.settings.algorithm import Settings, algorithm_settings, find_algorithm
from agents.settings.presets import DEFAULT, REFERENCE, completed, read_preset
from envs.checked import Checked, bounded, check_field
from envs.errors import did_you_mean, quoted
from envs.music.task import Task
from envs.values import MAX_TOML, parse_toml
from rewards.spec import SUFFIX, as_text, is_file_name, parse_term, with_checkpoint, with_files_read

_REFERENCE = read_preset(REFERENCE)
LISTS = ("mask", "vary")


@dataclass(frozen=True)
class TrainConfig(Checked):
    """Settings of a run.

    Attributes:
        n_timesteps: environment steps (cells written) in all; the last rollout is finished.
        reward: terms as name=weight, further parameters behind commas: rl_tuner=0.5 prior=1
            leap_recovery=0.5,min_leap=7 my_rewards.py:smooth=0.3. A file such as taste.toml=1, as
            python -m agents.prefer writes it, stands for its terms, which the run writes down.
        c: divides every term but the prior's: the objective is reward / c + log p - log pi.
        kl_budget: KL to the prior, in nats per token, that a controller holds by turning c; log p
            and log pi then have weight 1, whatever else is said. 0 for none.
        mask: rules the agent cannot break, as it is never offered the tokens that would
            (maskable_ppo).
        algo: how to learn; see `agents.settings.algorithm.ALGORITHMS`.
        settings: those that this algorithm has of its own, as its dataclass or by name.
        vary: task arguments that are drawn anew for each rollout, as name=value|value|...:
            meter=3/4|4/4|6/8 bars=4|8; the run is evaluated on all of these tasks.
        env: id of the environment.
        task: what is composed: a Task, or fields of it as name=value, bars=8 meter=3/4 low=C4, in
            place of those of the environment's id.
        prior: name or path of the checkpoint to measure the KL against, and to start from.
        start: name or path of a checkpoint to start from in its place, such as a run's.
        sight: the policy also sees, of each token that it may write next, the value that each rule
            of the reward would have and the running state of its scans. A policy with sight
            composes as any other, but more slowly.
        name: of the run directory under --runs; made up from env and algo if empty.
        runs: folder of the run directories.
        seed: of everything drawn.
        n_envs: pieces written at once.
        device: torch device; auto takes a GPU if there is one.
        threads: CPU threads of torch. A second one gains a fifth where its core is free, and
            makes everything many times slower where another program wants it.
        learning_rate: of Adam, falls to a tenth along the run, of pcl along half a cosine to 3%.
        gamma: discount; 1 because every piece has the same length.
        entropy: weight of the policy's entropy, in nats, beside the reward; with prior=1 and
            entropy=1 a piece pays for its KL to the prior, more keeps pieces more varied.
        entropy_end: weight of the entropy from 60% of the run on, moving there linearly; -1 for
            the same all along. A run resumed with a larger -n moves along its new length.
        max_grad_norm: gradients are clipped to this norm.
        bf16: learn in bfloat16 where the processor does that in hardware.
        eval_pieces: pieces sampled for the table at the end.
        samples: melodies written at the end.
        judge: log what the reward does not see, such as a model of another corpus, and warn if
            it falls while the return rises.
        eval_freq: steps between evaluations, after which the best policy is kept; -1 for none.
        eval_episodes: pieces of such an evaluation.
        save_freq: steps between saves of policy and state; -1 for none but the last.
        progress: show a progress bar.
        tensorboard: also log for TensorBoard, into the run directory.
    """

    n_timesteps: Annotated[int, tyro.conf.arg(aliases=["-n"])] = bounded(2_500_000, 1, 10**15)
    reward: tuple[str, ...] = tuple(
        map(as_text, _REFERENCE["reward"], _REFERENCE["reward"].values())
    )
    c: float = bounded(1.0, 1e-6, 1e6)
    kl_budget: float = bounded(0.0, 0.0, 1e3)
    mask: tuple[str, ...] = ()
    vary: tuple[str, ...] = ()
    algo: str = "ppo"
    settings: Any = None  # a `Settings`, made of what is given in __post_init__
    env: str = _REFERENCE["env"]
    task: Task = None  # type: ignore[assignment]  # read in __post_init__
    prior: str = _REFERENCE["prior"]
    start: str = ""
    sight: bool = False
    name: str = ""
    runs: Path = Path("runs")
    seed: int = bounded(0, 0, 2**32 - 2)  # numpy's; evaluations take the next
    n_envs: int = bounded(512, 2, 2**20)
    device: str = "auto"
    threads: int = bounded(1, 1, 1024)
    learning_rate: float = bounded(1e-3, 1e-12, 1.0)
    gamma: float = bounded(1.0, 0.0, 1.0)
    entropy: float = bounded(1.0, 0.0, 1e6)
    entropy_end: float = bounded(-1.0, 0.0, 1e6, or_else=-1)
    max_grad_norm: float = bounded(0.5, 1e-9, 1e9)
    bf16: bool = True
    eval_pieces: int = bounded(4000, 1, 10**7)
    samples: int = bounded(8, 0, 10**5)
    judge: bool = True
    eval_freq: int = bounded(250_000, 1, 10**15, or_else=-1)
    eval_episodes: int = bounded(500, 1, 10**7)
    save_freq: int = bounded(250_000, 1, 10**15, or_else=-1)
    progress: bool = True
    tensorboard: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "reward", self._read_reward(self.reward))
        super().__post_init__()
        if not isinstance(self.task, Task):
            task = tasks.read_task(self.task or (), tasks.default_task(self.env))
            object.__setattr__(self, "task", task)
        object.__setattr__(self, "settings", self._read_settings(self.settings or {}))

    @staticmethod
    def _read_reward(given: Sequence[str] | Mapping[str, Any] | str) -> tuple[str, ...]:
        """Return the words of a reward that may be given as one word or as a table of terms.

        A file of terms is read now, so that the run does not depend on it later.
        """
        terms = tuple(given) if isinstance(given, (Mapping, Sequence)) else ()
        terms = (given,) if isinstance(given, str) else terms
        if not all(isinstance(term, str) for term in terms) or not (terms or given == ()):
            raise TypeError(
                f"reward={quoted(given)}: expected names of terms, as in {{'in_key': 2.0}}; a run "
                "writes its settings down, so name a function by 'file.py:function'"
            )
        words = tuple(map(as_text, terms, given.values())) if isinstance(given, Mapping) else terms
        if not any(SUFFIX in word for word in words):
            return words
        named = [parse_term(word) for word in words]
        if not any(is_file_name(name) for name, _ in named):
            return words
        found = with_files_read(tasks.unique(named, "reward"))
        return tuple(map(as_text, found, found.values()))

    def _read_settings(self, given: Settings | Mapping[str, Any]) -> Settings:
        """Return the algorithm's settings; of another algorithm's those that both have are kept."""
        kind = find_algorithm(self.algo).settings
        if type(given) is kind:
            return given
        known = [each.name for each in fields(kind)]
        if isinstance(given, Settings):
            given = {name: value for name, value in vars(given).items() if name in known}
        for name in given:
            if name not in known:
                raise ValueError(
                    f"{self.algo} has no setting {quoted(name)}.{did_you_mean(name, known)}"
                )
        return kind(**given)

    def changed(self, **values: Any) -> TrainConfig:
        """Return settings with some changed, those of the algorithm among them, by their names.

        The task of another environment is its own, with the fields changed that were changed here.
        """
        names = {each.name for each in fields(self)}
        common = {name: value for name, value in values.items() if name in names}
        own = {name: value for name, value in values.items() if name not in names}
        env = values.get("env", self.env)
        if env != self.env and "task" not in values:
            moved = tasks.changed_fields(self.task, tasks.starting_task(self.env))
            common["task"] = tasks.read_task(moved, tasks.default_task(env))
        config = replace(self, **common)
        return replace(config, settings={**vars(config.settings), **own})

    @property
    def last_entropy(self) -> float:
        """Weight of the entropy at the end of the run."""
        return self.entropy if self.entropy_end == -1 else self.entropy_end

    @property
    def terms(self) -> dict[str, Any]:
        """The reward's terms and their settings, as they were given."""
        return tasks.unique(map(parse_term, self.reward), "reward")

    @property
    def reward_spec(self) -> dict[str, Any]:
        """The reward as `rewards.build.build` takes it; its prior is the run's unless named."""
        if self.prior == TrainConfig.prior:
            return self.terms
        return with_checkpoint(self.terms, self.prior)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that it learns on: those of `vary`, or `task` alone.

        Raises:
            ValueError, TypeError: as `agents.settings.tasks.varied_tasks`.
        """
        return tasks.varied_tasks(self.vary, self.task)


def for_budget(config: TrainConfig) -> TrainConfig:
    """Return the settings with the objective of their KL budget, if they have one.

    It is reward / c + log p - log pi, so the prior and the entropy have weight 1 all along.
    """
    if not config.kl_budget:
        return config
    spec = config.terms
    prior = spec.get("prior")
    spec["prior"] = {**prior, "weight": 1.0} if isinstance(prior, Mapping) else 1.0
    reward = tuple(as_text(name, value) for name, value in spec.items())
    return replace(config, reward=reward, entropy=1.0, entropy_end=-1.0)


def _flat(config: TrainConfig) -> dict[str, Any]:
    """Return all settings by name but the task, the algorithm's beside the others."""
    found = {each.name: getattr(config, each.name) for each in fields(config)}
    del found["task"]
    return found | vars(found.pop("settings"))


def as_flags(config: TrainConfig) -> dict[str, Any]:
    """Return all settings by name as the command line takes them, the task as words."""
    return _flat(config) | {"task": tasks.as_words(config.task, config.env)}


def to_toml(config: TrainConfig) -> str:
    """Return the resolved settings as TOML; feeding them back repeats the run."""
    import tomli_w

    def line(name: str, value: Any) -> str:
        if not isinstance(value, Mapping):
            return tomli_w.dumps({name: value})
        # Inline, as tables of their own would come last: the order of the terms is kept.
        inner = ", ".join(line(key, item).strip() for key, item in value.items())
        return tomli_w.dumps({name: ""}).removesuffix('""\n') + f"{{ {inner} }}\n"

    flat = {**_flat(config), "runs": str(config.runs)}
    del flat["reward"]
    tables = {"reward": config.terms, "task": tasks.as_table(config.task, config.env)}
    text = tomli_w.dumps(flat)
    for table, entries in tables.items():
        text += f"\n[{table}]\n" + "".join(line(*entry) for entry in entries.items())
    return text


def from_preset(name: str = DEFAULT) -> TrainConfig:
    """Return the settings of a preset that ships; without a name those of `python -m agents.train`.

    Raises:
        ValueError: there is none of that name.
    """
    return from_mapping(read_preset(name), f"preset {name}")


def from_mapping(values: Mapping[str, Any], source: str, trust: bool = False) -> TrainConfig:
    """Return settings of a mapping as TOML gives it.

    What it leaves out is as the preset of its algorithm has it, and then as the preset `reference`.

    Args:
        values: settings by name.
        source: of the settings, for messages.
        trust: import the module that an environment's id names, to know its own task. Without, an
            id that is not registered yet has the task of none.

    Raises:
        ValueError: an unknown name or a value of a wrong type; the message names `source`.
        TypeError: a field of the task that is unknown or of a wrong type.
    """
    values = completed(values)
    shared = algorithm_settings()
    hints = {**get_type_hints(TrainConfig), **{name: each.kind for name, each in shared.items()}}
    del hints["settings"]
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            raise ValueError(
                f"{source}: unknown setting {quoted(name)}.{did_you_mean(name, list(hints))}"
            )
        read[name] = _read_value(name, value, hints[name], source)
        if name in shared:  # also those of other algorithms, which 0.4 wrote down
            check_field(shared[name].field, read[name])
    env = read.get("env", TrainConfig.env)
    start = tasks.default_task(env) if trust else tasks.starting_task(env)
    read["task"] = tasks.read_task(read.get("task", {}), start)
    own = {
        each.name for each in fields(find_algorithm(read.get("algo", TrainConfig.algo)).settings)
    }
    settings = {name: value for name, value in read.items() if name in own}
    common = {name: value for name, value in read.items() if name not in shared}
    return TrainConfig(**common, settings=settings)


def _read_value(name: str, value: Any, kind: Any, source: str) -> Any:
    """Return a setting's value from what TOML holds, a ValueError if it is of another type."""
    if name in ("reward", "task"):
        if not isinstance(value, Mapping):
            raise ValueError(f"{source}: [{name}] must be a table of names and values")
        return tuple(map(as_text, value, value.values())) if name == "reward" else value
    if name in LISTS:
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError(f"{source}: {name} = {quoted(value)}, expected a list of words")
        return tuple(value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{source}: {name} = {quoted(value)}, expected {kind.__name__}")
    return value


def read_values(path: Path) -> dict[str, Any]:
    """Return the settings that a TOML file names, as `from_mapping` takes them.

    Raises:
        ValueError: there is no such file, or it is not TOML.
    """
    if not path.is_file():  # a pipe could block for ever
        raise ValueError(f"there is no file {quoted(str(path))}; expected settings in TOML")
    with path.open("rb") as file:
        data = file.read(MAX_TOML + 1)
    try:
        return parse_toml(data.decode())
    except ValueError as error:
        raise ValueError(f"{path} is not TOML for settings: {error}") from None


def read_toml(path: Path, trust: bool = False) -> TrainConfig:
    """Return the settings of a TOML file; `trust` as in `from_mapping`.

    Raises:
        ValueError: as `read_values` and `from_mapping`.
        TypeError: as `from_mapping`.
    """
    return from_mapping(read_values(path), str(path), trust)
