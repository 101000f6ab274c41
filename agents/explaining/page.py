"""The explanation of a piece as a single HTML page without other files.

It has the engraved score, a piano roll, a strip for each broken rule, the messages, and the sound.
Messages stand by the voices that they are about. Pointing at one highlights its note, or those of
both voices, and a click plays it. A content policy in the page's head
lets it load nothing and run only its own script, and all text that comes from a file is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain, groupby
from pathlib import Path
from string import Template

import numpy as np

from agents.explaining.explainer import note_start
from agents.explaining.explanation import Explanation, Message, RuleLine
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import Marks, musicxml, symbol_id
from envs.notation.writing.roll import Drawing, note_id, piano_roll, strips, x_of
from envs.notation.writing.sound import RATE, cell_seconds, wav_bytes
from envs.notation.writing.symbols import bars_of

MARKED = "#c2185b"  # colour of a note that breaks a rule
PAGE_RATE = RATE // 2  # of the sound: half the bytes, and no difference that is heard
HERE = Path(__file__)
TEMPLATE = Template(HERE.with_suffix(".html").read_text("utf-8"))
STYLE = HERE.with_suffix(".css").read_text("utf-8")
SCRIPT = HERE.with_suffix(".js").read_text("utf-8")


def html_page(found: Explanation, tempo: float = 80.0, soundfont: str = "") -> str:
    """Return the page as HTML.

    Args:
        found: the explanation.
        tempo: beats per minute.
        soundfont: path of a soundfont for the sound, '' for none.
    """
    sound = wav_bytes(found.score, 0, tempo, soundfont or None, PAGE_RATE)
    task, cell, drawings = found.score.task, cell_seconds(found.score, tempo), _along_time(found)
    return TEMPLATE.substitute(
        digest=base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode(),
        title=escape(found.title),
        style=STYLE,
        about=escape(f"{found.facts}, {tempo:g} beats a minute"),
        notices="".join(f"<p>{escape(notice)}</p>" for notice in found.notices),
        sound=base64.b64encode(sound).decode(),
        score=picture(found, tempo),
        cell=f"{cell:.6f}",
        second=f"{x_of(task, task.cells) / task.cells / cell:.4f}",
        names="".join(drawing.names for drawing in drawings),
        drawings="".join(drawing.time for drawing in drawings),
        heading=_heading(found),
        items="".join(_list(*group) for group in found.groups),
        table=_table(found),
        script=SCRIPT,
    )


def _heading(found: Explanation) -> str:
    count = len(found.messages)
    if not count:
        return f"No rule is broken; {len(found.table)} were asked"
    return "One remark" if count == 1 else f"{count} remarks"


def by_note(found: Explanation) -> dict[tuple[int, int], list[Message]]:
    """Return the messages at each note (voice, start), those of two voices at both."""
    at = defaultdict(list)
    for message in found.messages:
        for note in message.notes:
            at[note].append(message)
    return at


def numbered(found: Explanation) -> dict[tuple[int, int], str]:
    """Return the numbers of the messages at each note (voice, start), such as '4, 6-8'."""
    return {note: ", ".join(_runs(messages)) for note, messages in by_note(found).items()}


def _runs(messages: Iterable[Message]) -> Iterable[str]:
    for _, group in groupby(enumerate(messages), key=lambda pair: pair[1].number - pair[0]):
        run = [message.number for _, message in group]
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"


def marked_score(
    found: Explanation, words: dict[tuple[int, int], str], tempo: float, title: str = ""
) -> str:
    """Return the score as MusicXML, words at some notes (voice, start), a colour at all marked."""
    marks = Marks(words, dict.fromkeys(by_note(found), MARKED), found.piece.numbers)
    return musicxml(found.score, 0, title, tempo, marks=marks)


def picture(found: Explanation, tempo: float, title: str = "") -> str:
    """Return the engraved score as SVG; marked notes have a colour and their messages' numbers."""
    drawn = svg(marked_score(found, numbered(found), tempo, title))
    names: dict[str, str] = {}  # of coloured symbols, for the page's script
    for voice in range(found.score.task.voices):
        for symbol in chain.from_iterable(bars_of(found.score, 0, voice)):
            is_rest = symbol.pitch is None
            start = symbol.start if is_rest else note_start(found.score, voice, symbol.start)
            names[symbol_id(voice, symbol.start)] = note_id(voice, start)

    def add(match: re.Match[str]) -> str:
        return f'{match[0]} data-note="{names[match[1]]}"' if match[1] in names else match[0]

    return re.sub(r'<g id="(mark-\d+-\d+)"', add, drawn)


def _along_time(found: Explanation) -> list[Drawing]:
    """Return the piano roll, and strips of what the rules cost and of the prior's surprise."""
    score = found.score
    together = [(message.cell, message.notes) for message in found.messages]
    drawings = [piano_roll(score, 0, by_note(found), found.piece.numbers, MARKED, together)]
    costs = {line.term: np.zeros(score.task.cells) for line in found.totals[:-1]}
    for message in found.messages:
        costs[message.term][message.cell] += message.cost
    if costs:
        drawings.append(strips(score, costs, dict.fromkeys(costs, MARKED)))
    if found.surprise is not None:
        nats = {"surprise": np.nan_to_num(found.surprise).max(axis=0)}
        drawings.append(strips(score, nats, {"surprise": "#78909c"}, " nats"))
    return drawings


def _list(who: str, messages: Sequence[Message]) -> str:
    """Return the messages about some voices under their names."""
    heading = f"<h3>{escape(who)}</h3>" if who else ""
    return f"{heading}<ol>{''.join(map(_item, messages))}</ol>"


def _item(message: Message) -> str:
    surprise = "" if message.surprise is None else f", surprise {message.surprise:.1f} nats"
    pair = message.other, message.other_start
    other = f' data-other="{note_id(*pair)}"' if message.other >= 0 else ""
    detail = f"{message.term}, weight {message.weight:g}, costs {message.cost:.3g}{surprise}"
    return (
        f'<li data-note="{note_id(message.voice, message.start)}"{other} '
        'tabindex="0" role="button">'
        f"<b>{message.number}</b><span>{escape(message.where)}: {escape(message.text)}"
        f"<small>{escape(detail)}</small></span></li>"
    )


def _row(line: RuleLine) -> str:
    return (
        f'<tr><td>{escape(line.term)}</td><td class="number">{line.times}</td>'
        f'<td class="number">{line.cost:.3g}</td></tr>'
    )


def _table(found: Explanation) -> str:
    head = '<tr><th>rule</th><th class="number">times broken</th><th class="number">cost</th></tr>'
    rows = "".join(map(_row, found.totals))
    table = f"<table>{head}{rows}</table>" if rows else ""
    good = f"<p>Kept: {escape(found.kept)}</p>" if found.kept else ""
    paid = "".join(f"<p>{escape(name)} paid {value:.4g}</p>" for name, value in found.paid.items())
    return table + good + paid
