"""Terminal: shows a training where it was started, and stops it at Ctrl-C or SIGTERM."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from agents.training.listener import Listener
from rewards.spec import short_names

if TYPE_CHECKING:
    from agents.runs.directory import Run
    from agents.settings.config import TrainConfig

FEW = 4  # terms that a progress bar names
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal that stops a run at once.

    It is no KeyboardInterrupt: where one passes through code that is compiled, as dataclasses are,
    Python ends with a signal of its own, whatever status it was to end with.
    """


class Terminal(Listener):
    """Prints notes and a progress bar; within its context signals stop the run.

    The first signal amid learning stops it between two steps, so that it is saved; another one, or
    one before learning has begun, raises Stopped at once. To be entered in the main
    thread.

    Attributes:
        run: the run, once it has begun.
        signal: number of the signal that came, 0 for none.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.signal = 0
        self._config: TrainConfig | None = None
        self._bar: Any = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Terminal:
        self._before = {number: signal.signal(number, self._stop) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        self.learned()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        at_once = self._bar is None or self.signal
        self.signal = number
        if at_once:
            raise Stopped

    def begun(self, run: Run, config: TrainConfig) -> None:
        """Print what is trained."""
        self.run, self._config = run, config
        what = f"{config.algo} on {config.env}, {config.n_timesteps:,} steps"
        print(f"{run.path}: {what}", flush=True)

    def noted(self, text: str) -> None:
        """Print it, above the progress bar if there is one."""
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def stepped(self, steps: int) -> bool:
        """Move the progress bar; False if a signal came."""
        from tqdm import tqdm

        if self._bar is None and self._config is not None:
            self._bar = tqdm(
                total=self._config.n_timesteps,
                initial=steps,
                disable=not self._config.progress,
                unit=" steps",
                unit_scale=True,
                mininterval=0.5 if sys.stderr.isatty() else 10,
                dynamic_ncols=True,
            )
        self._bar.update(steps - self._bar.n)
        return not self.signal

    def updated(self, row: Mapping[str, float]) -> None:
        """Show the return, its parts and the KL beside the progress bar."""
        self._bar.set_postfix_str(describe(row), refresh=False)

    def learned(self) -> None:
        """Close the progress bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def describe(row: Mapping[str, float]) -> str:
    """Return a row of metrics.csv in words: the return, its parts and the KL.

    The parts are the terms if they are few, else all rules together and the prior.
    """
    paid = {n.removeprefix("reward/"): row[n] for n in row if n.startswith("reward/")}
    if len(paid) > FEW:
        paid = {"rules": row["rules"], "prior": row["prior"]}
    short = short_names(paid)
    parts = " + ".join(f"{short[name]} {value:.1f}" for name, value in paid.items())
    return f"return {row['return']:.1f} = {parts}, KL {row['kl']:.3f}"
