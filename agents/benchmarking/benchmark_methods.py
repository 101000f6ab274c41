"""The methods of a benchmark by name, and what a training has of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agents.algorithms.q_policy import KINDS
from agents.benchmarking.families import SEARCHES, decoders, infillers
from agents.evaluating.standing import BUDGETS
from agents.settings.algorithm import ALGORITHMS, names_with
from agents.settings.config import TrainConfig, for_budget, from_mapping
from envs.errors import did_you_mean, quoted
from rewards.objective import PRIOR

HELD_TO_BUDGETS = ("limit", "pcl", "ppo", "rloo", "best-of-n")
SWEEP = (0.6, 0.8, 0.9, 1.1, 1.2)  # temperatures of the prior
CALLS = 256  # of a network for each piece of a search, unless a name says another number
ADVERSARY, WITH_ADVERSARY = "adversary", "ppo+adversary"
# What a training has of its algorithm's preset; the rest is that of the benchmark.
OF_PRESET = (
    "algo",
    "settings",
    "mask",
    "n_envs",
    "learning_rate",
    "gamma",
    "max_grad_norm",
    "sight",
)


@dataclass(frozen=True)
class BenchMethod:
    """A way to pieces, by the name that --methods knows.

    Attributes:
        name: of the method.
        kind: prior, best-of, masked, beam, guided-beam, limit, fill, decode, search or train.
        algo: that is trained.
        n: draws of which the best is kept, 0 for those that spend the budget; or calls of a search.
        budget: KL to the prior in nats per token; 0 for none.
        temperature: of the draws.
        model: name or path of the checkpoint of a family.
        search: name of a search with that model.
        adversary: weight of an adversary beside the reward, 0 for none.
    """

    name: str
    kind: str
    algo: str = ""
    n: int = 0
    budget: float = 0.0
    temperature: float = 1.0
    model: str = ""
    search: str = ""
    adversary: float = 0.0

    @property
    def needs(self) -> str:
        """The method whose cell of the same seed has to be there first, '' for none."""
        return {"best-of": "prior", "guided-beam": "ppo"}.get(self.kind, "")

    def compute(self, steps: int, draws: float) -> str:
        """Return in words the compute that the benchmark gives for a piece.

        Args:
            steps: of each training.
            draws: of which a best-of-n keeps the best.
        """
        words = {
            "train": f"{steps:,} steps, then 1 draw",
            "best-of": f"{draws:,.0f} draws",
            "search": f"{self.n:,} calls",
            "fill": "1 filling",
            "limit": "",
            "beam": "1 beam",
            "guided-beam": f"{steps:,} steps, then 1 beam",
        }
        return words.get(self.kind, "1 draw")


# -- names -----------------------------------------------------------------------------------------


def default_methods() -> list[str]:
    """Return the names of all methods of the standard benchmark.

    Each family whose checkpoint ships has its rows: it fills pages, or decodes points, and is
    searched.
    """
    search = ["prior", *(f"prior@t={t:g}" for t in SWEEP)]
    search += ["best-of-4", "best-of-16", "best-of-64", "masked", "beam", "guided-beam"]
    families = [f"fill:{name}" for name in infillers()]
    families += [f"decode:{name}" for name in decoders()]
    for name, way in SEARCHES.items():
        families += [f"{name}:{model}" for model in way.models()]
    held = [f"{name}@kl={budget:g}" for name in HELD_TO_BUDGETS for budget in BUDGETS]
    return [*search, *families, *ALGORITHMS, WITH_ADVERSARY, *held]


def find_method(name: str) -> BenchMethod:
    """Return the method of a name: one of `default_methods`, or one with other numbers.

    Such as best-of-32, prior@t=0.7, rloo@kl=0.3, fill:my.safetensors@t=0.9, rloo+adversary=2.

    Raises:
        ValueError: there is none.
    """
    stem, numbers = _options(name)
    kind, _, model = stem.partition(":")
    found = _of_model(kind, model, numbers) if model else _of_word(stem, numbers)
    if found is not None and not numbers:
        return found
    known, held = default_methods(), ", ".join(names_with("kl_budget"))
    raise ValueError(
        f"unknown method {quoted(name)}.{did_you_mean(name, known)} Known: {', '.join(known)}; "
        f"other numbers, of {held} those with @kl=NATS, checkpoints of your own as fill:FILE, and "
        "algorithms as ALGO+adversary are known too"
    )


def _options(name: str) -> tuple[str, dict[str, float]]:
    """Return a name without the numbers behind @, and those: a KL, a temperature, calls."""
    found: dict[str, float] = {}
    pattern, limits = r"(.+)@(kl|t|calls)=(\d*\.?\d+)", {"kl": 100.0, "t": 100.0, "calls": 1e6}
    while match := re.fullmatch(pattern, name):
        stem, option, value = match[1], match[2], float(match[3])
        if option in found or not 0 < value <= limits[option]:
            break
        found[option], name = value, stem
    return name, found


def _of_model(kind: str, model: str, numbers: dict[str, float]) -> BenchMethod | None:
    """Return a method with a checkpoint of a family; it takes what it knows out of `numbers`."""
    t = numbers.pop("t", 1.0)
    warm = "" if t == 1 else f"@t={t:g}"
    if kind in ("fill", "decode"):
        return BenchMethod(f"{kind}:{model}{warm}", kind, model=model, temperature=t)
    if kind in SEARCHES and t == 1:
        calls = int(numbers.pop("calls", CALLS))
        ending = "" if calls == CALLS else f"@calls={calls}"
        return BenchMethod(f"{kind}:{model}{ending}", "search", n=calls, model=model, search=kind)
    return None


def _of_word(stem: str, numbers: dict[str, float]) -> BenchMethod | None:
    """Return a method without a checkpoint; it takes what it knows out of `numbers`."""
    algo, plus, weight = stem.partition(f"+{ADVERSARY}")
    if algo in ALGORITHMS:
        return _trained(algo, weight if plus else None, numbers)
    if stem in ("limit", "best-of-n"):
        nats = numbers.pop("kl", 0.0)
        kind = {"best-of-n": "best-of"}.get(stem, stem)
        return BenchMethod(f"{stem}@kl={nats:g}", kind, budget=nats) if nats else None
    if stem == "prior":
        t = numbers.pop("t", 1.0)
        return BenchMethod(stem if t == 1 else f"prior@t={t:g}", stem, temperature=t)
    if stem in ("masked", "beam", "guided-beam"):
        return BenchMethod(stem, stem)
    if match := re.fullmatch(r"best-of-([1-9]\d{0,8})", stem):
        return BenchMethod(stem, "best-of", n=int(match[1]))
    return None


def _trained(algo: str, weight: str | None, numbers: dict[str, float]) -> BenchMethod | None:
    """Return a training, with an adversary of a weight ('' or '=2') unless that is None."""
    nats = numbers.pop("kl", 0.0) if algo in names_with("kl_budget") else 0.0
    held, beside, told = (f"@kl={nats:g}" if nats else ""), 0.0, ""
    if weight is not None:
        match = re.fullmatch(r"(?:=(\d*\.?\d+))?", weight)
        beside = 0.0 if match is None else float(match[1] or 1)
        if not 0 < beside < math.inf:
            return None
        told = f"+{ADVERSARY}" + ("" if beside == 1 else f"={beside:g}")
    name = f"{algo}{told}{held}"
    return BenchMethod(name, "train", algo=algo, budget=nats, adversary=beside)


# -- trainings -------------------------------------------------------------------------------------


def training(base: TrainConfig, method: BenchMethod, seed: int, folder: Path) -> TrainConfig:
    """Return what a cell trains: the algorithm's preset with the benchmark's objective and steps.

    The prior has weight 1 where the policy stands beside it by construction (g), and under a KL
    budget, which brings its own objective. An adversary is one more term.
    """
    spec = base.reward_spec
    if method.algo in KINDS and KINDS[method.algo].beside_prior:
        setting = spec.get(PRIOR, {"checkpoint": base.prior})
        spec[PRIOR] = {**(setting if isinstance(setting, Mapping) else {}), "weight": 1.0}
    if method.adversary:
        spec[ADVERSARY] = method.adversary
    preset = from_mapping({"algo": method.algo, "reward": spec}, f"preset {method.algo}")
    own = {name: getattr(preset, name) for name in (*OF_PRESET, "reward")}
    own |= {"kl_budget": method.budget, "eval_pieces": 2, "runs": folder, "name": "run"}
    return for_budget(replace(base, **own, seed=seed))
