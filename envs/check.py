"""Forward `python -m envs.check`, the name of this verb until version 0.4."""

from __future__ import annotations

import runpy
import sys

VERB = "agents.check"


def main() -> None:
    """Print a notice with the new name, then run it with the same arguments."""
    print(f"notice: python -m envs.check is now python -m {VERB}", file=sys.stderr)
    runpy.run_module(VERB, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
