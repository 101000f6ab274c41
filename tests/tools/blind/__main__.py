"""Write blind sheets, or score them: python -m tests.tools.blind --help."""

from __future__ import annotations

import argparse
from pathlib import Path

from agents.settings import commands
from agents.settings.tasks import arguments_of
from envs.durable_files import write_atomic
from envs.music.task import Task
from tests.tools import blind
from tests.tools.blind.scoring import read_forms, read_keys, report
from tests.tools.blind.sheets import make_sheets
from tests.tools.blind.sources import read_sources

TASK = {"bars": 8, "low": "G3", "high": "A5"}
SEED = 1


def write(given: argparse.Namespace) -> None:
    """Write sheets, forms and keys, and print how many melodies were passed over."""
    keys = keys_of(given)
    if given.out.resolve() in (keys.resolve(), *keys.resolve().parents):
        raise ValueError(
            f"--keys {keys} is in --out {given.out}, which a reader sees; name another"
        )
    for folder in (given.out, keys):
        commands.check_new_directory(folder)  # before the draw, which takes a while
    task = Task(**{**TASK, **arguments_of(given.task)})
    sources = read_sources(given.sources, given.trust)
    sheets, facts = make_sheets(sources, task, given.sheets, given.pieces, given.seed)
    for folder in (given.out, keys):
        commands.new_directory(folder)
    for number, sheet in enumerate(sheets, 1):
        write_atomic(given.out / f"sheet-{number}.md", sheet.text)
        write_atomic(given.out / f"sheet-{number}.csv", sheet.form)
        write_atomic(keys / f"sheet-{number}.json", sheet.key(facts))
    for label, about in facts["sources"].items():
        passed = ", ".join(f"{count} {why}" for why, count in about["passed over"].items())
        print(f"{label}: {given.pieces * given.sheets} melodies; passed over: {passed}")
    print(f"wrote {len(sheets)} sheets to {given.out}, which is all that a reader may see")
    print(f"the keys are in {keys}")


def keys_of(given: argparse.Namespace) -> Path:
    """Return the folder of the keys."""
    return given.keys or given.out.with_name(f"{given.out.name}-keys")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=blind.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--sources", nargs="+", help="corpus, prior:NAME, run:DIR, agent")
    what.add_argument("--score", nargs="+", type=Path, help="score filled-in forms of one reader")
    parser.add_argument("--keys", type=Path, help="folder of the keys; that of --out with -keys")
    parser.add_argument("--out", type=Path, default=Path("blind"), help="new folder for the sheets")
    parser.add_argument("--sheets", type=int, default=1, help="number of sheets")
    parser.add_argument("--pieces", type=int, default=12, help="melodies of a source on a sheet")
    parser.add_argument("--seed", type=int, default=SEED, help="fixed before anything is seen")
    parser.add_argument("--task", nargs="*", default=[], help="fields of Task: bars=8 meter=3/4")
    parser.add_argument("--trust", action="store_true", help="run the code that a run names")
    given = parser.parse_args()
    if given.score:
        commands.run(lambda: print(report(read_forms(given.score, read_keys(keys_of(given))))))
    commands.run(lambda: write(given))


if __name__ == "__main__":
    main()
