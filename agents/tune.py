"""Search an algorithm's settings with Optuna, and leave the best as its preset.

    python -m agents.tune --algo rloo --trials 20 -n 300000

Each trial trains with drawn settings and is judged by its objective on fresh pieces: the mean of
reward / c + log p - log pi of a piece, what every algorithm is after. Trials are kept as they end,
in a journal that a second call goes on with, and are written as a table beside the best settings.
"""

from __future__ import annotations

from agents.settings import commands
from agents.training.tuning import TuneConfig, tune


def show(config: TuneConfig) -> None:
    """Search, and print what was found."""
    best = tune(config)
    print(f"best objective {best.objective:.3f}; wrote {best.preset}")


def main() -> None:
    """Command line."""
    commands.run(lambda: show(commands.parse(TuneConfig, "tune", __doc__)))


if __name__ == "__main__":
    main()
