"""Sources, sheets and forms for the tests."""

import csv
import io
import json

from envs.music.task import Task
from tests.helpers import random_pieces
from tests.tools.blind.scoring import read_keys
from tests.tools.blind.sheets import COLUMNS, MARKS, make_sheets
from tests.tools.blind.sources import Drawn

TASK = Task(bars=2)


class Fake:
    """A source of given pieces (B, 1, T), each of them once."""

    def __init__(self, label, pieces, original=True, files=None):
        self.label, self.pieces, self.original = label, pieces, original
        self.facts = {"files": files or {"a": "1"}}

    def draw(self, task, seed):
        for row in range(self.pieces.batch):
            yield Drawn(self.pieces[row : row + 1], {"row": row})


def fake(label, n=40, seed=0, task=TASK, **facts):
    return Fake(label, random_pieces(task, n, seed), **facts)


def written(folder, sources, sheets=1, n=12, seed=1):
    """Write the keys of sheets to a folder; return sheets and keys as read, in their order."""
    made, facts = make_sheets(sources, TASK, sheets, n, seed)
    folder.mkdir(exist_ok=True)
    for sheet in made:
        (folder / f"{sheet.name}.json").write_text(sheet.key(facts))
    keys = read_keys(folder)
    return made, [keys[sheet.name] for sheet in made]


def filled(path, sheet, judge):
    """Write a form in which `judge(label, k)` is a call and marks, for the k-th of its source."""
    rows = list(csv.DictReader(io.StringIO(sheet.form)))
    seen = {}
    for row, label in zip(rows, sheet.labels, strict=True):
        called, marks = judge(label, seen.get(label, 0))
        seen[label] = seen.get(label, 0) + 1
        row.update(called=called, **dict(zip(MARKS, map(str, marks), strict=True)))
    return save(path, rows)


def save(path, rows, delimiter=","):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def load(path):
    return list(csv.DictReader(path.open()))


def edited(path, change):
    """Change the JSON object in a file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
