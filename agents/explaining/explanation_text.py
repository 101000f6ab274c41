"""An explanation in lines for people, and as a mapping for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from agents.explaining.explanation import Explanation


def as_text(explanation: Explanation) -> str:
    """Return the explanation in lines: what the piece is, the messages, and a table."""
    lines = [facts(explanation)]
    lines += [f"({notice})" for notice in explanation.notices]
    lines += ["", *map(str, explanation.messages)]
    if not explanation.messages:
        count = len(explanation.table)
        lines.append(f"no rule is broken; {count} {'was' if count == 1 else 'were'} asked")
    lines += ["", *_summary(explanation)]
    return "\n".join(lines).rstrip() + "\n"


def facts(explanation: Explanation) -> str:
    """Return one line with the title, key, metre and size of the piece."""
    task, piece = explanation.score.task, explanation.piece
    many = [(task.bars, "bar"), (task.voices, "voice"), (len(piece.notes), "note")]
    counts = ", ".join(f"{count} {what}{'s' * (count != 1)}" for count, what in many)
    key = f"{task.key}{' (estimated)' * piece.estimated}"
    return f"{explanation.title}: {key}, {task.meter}, {counts}"


def _summary(explanation: Explanation) -> list[str]:
    broken = [line for line in explanation.table if line.times]
    kept = [line.term for line in explanation.table if not line.times]
    lines = []
    if broken:
        width = max(len("rule"), *(len(line.term) for line in broken))
        lines.append(f"{'rule':{width}}  times   cost")
        lines += [f"{line.term:{width}}  {line.times:5d}  {line.cost:5.3g}" for line in broken]
        total = len(explanation.messages)
        lines.append(f"{'together':{width}}  {total:5d}  {explanation.cost:5.3g}")
    if kept:
        lines.append("kept: " + ", ".join(kept))
    lines += [f"{name} paid {value:.4g}" for name, value in explanation.paid.items()]
    if explanation.surprise is not None and not np.isnan(explanation.surprise).all():
        mean = float(np.nanmean(explanation.surprise))
        lines.append(f"surprise of the prior: {mean:.2f} nats a cell on average")
    return lines


def as_dict(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as a JSON file has it."""
    piece, task = explanation.piece, explanation.score.task
    nats = explanation.surprise
    mean = None if nats is None or np.isnan(nats).all() else round(float(np.nanmean(nats)), 4)
    return {
        "file": explanation.name,
        "title": piece.title,
        "key": str(task.key),
        "key_estimated": piece.estimated,
        "meter": str(task.meter),
        "tempo": piece.tempo,
        "grid": task.grid,
        "pickup": task.pickup,
        "bars": task.bars,
        "voices": task.voices,
        "notices": list(explanation.notices),
        "messages": [
            {
                "where": message.where,
                "text": message.text,
                "rule": message.term,
                "weight": message.weight,
                "value": round(message.value, 6),
                "cost": round(message.cost, 6),
                "voice": message.voice + 1,
                "cell": message.cell,
                "note_cell": message.start,
                "surprise": None if message.surprise is None else round(message.surprise, 4),
            }
            for message in explanation.messages
        ],
        "rules": [
            {"rule": line.term, "times": line.times, "cost": round(line.cost, 6)}
            for line in explanation.table
        ],
        "cost": round(explanation.cost, 6),
        "paid": {name: round(value, 6) for name, value in explanation.paid.items()},
        "mean_surprise": mean,
    }
