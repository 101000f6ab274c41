"""The explanation of a piece as a single HTML page without other files.

It has the engraved score, a piano roll, a strip for each broken rule, the messages, and the sound.
Pointing at a message highlights its note, a click plays it. A content policy in the page's head
lets it load nothing and run only its own script, and all text that comes from a file is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from agents.explaining.explanation import Explanation, Message, facts
from envs.music.piece import notes_of
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import Marks, musicxml, symbol_id
from envs.notation.writing.roll import note_id, piano_roll, strips, x_of
from envs.notation.writing.sound import RATE, cell_seconds, wav_bytes
from envs.notation.writing.symbols import bars_of

if TYPE_CHECKING:
    from envs.music.score import Score

MARKED = "#c2185b"  # colour of a note that breaks a rule
PAGE_RATE = RATE // 2  # of the sound: half the bytes, and no difference that is heard
STYLE = """
:root { --ink: #222; --faint: #666; --line: #ddd; --mark: #c2185b; --lit: #ffe082; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.2rem 4rem; max-width: 62rem; color: var(--ink);
  background: #fff; font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { margin: .2rem 0; color: var(--faint); overflow-wrap: anywhere; }
audio { width: 100%; margin: 1rem 0 0; }
.score { overflow-x: auto; } .score > svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; border: 1px solid var(--line); padding: .4rem 0; }
.pair { display: flex; width: max-content; }
.pair svg { display: block; flex: none; }
.names { position: sticky; left: 0; background: #fff; z-index: 1; }
.time { position: relative; }
#head { position: absolute; top: 0; bottom: 0; width: 2px; background: #2e7d32; display: none; }
ol { list-style: none; margin: 0; padding: 0; }
li { display: flex; gap: .7rem; padding: .35rem .5rem; border-bottom: 1px solid var(--line);
  cursor: pointer; }
li:focus-visible { outline: 2px solid #1565c0; outline-offset: -2px; }
li b { color: var(--mark); min-width: 1.8rem; text-align: right; }
li small { color: var(--faint); display: block; }
li.lit { background: #fff6d8; }
[data-note] { cursor: pointer; }
.lit[data-note] { fill: #e65100; color: #e65100; stroke: #e65100; }
.score .lit[data-note] * { fill: #e65100; stroke: #e65100; }
table { border-collapse: collapse; } td, th { padding: .2rem .9rem .2rem 0; text-align: left;
  border-bottom: 1px solid var(--line); font-weight: normal; }
th { color: var(--faint); } .number { text-align: right; font-variant-numeric: tabular-nums; }
"""
SCRIPT = """
const all = selector => [...document.querySelectorAll(selector)];
const sound = document.querySelector('audio'), head = document.getElementById('head');
const scroll = document.querySelector('.scroll'), second = Number(scroll.dataset.second);
function light(note, on) {
  for (const each of all('[data-note="' + note + '"]')) each.classList.toggle('lit', on);
}
function show(element) {
  const note = element.dataset.note;
  sound.currentTime = Number(scroll.dataset.cell) * Number(note.split('-')[1]);
  const inRoll = document.querySelector('.time [data-note="' + note + '"]');
  if (inRoll) {
    const x = Number(inRoll.getAttribute('x'));
    scroll.scrollTo({left: x - scroll.clientWidth / 2, behavior: 'smooth'});
  }
  const here = element.tagName === 'LI' ? '.score ' : 'li';
  const there = document.querySelector(here + '[data-note="' + note + '"]');
  if (there) there.scrollIntoView({block: 'nearest', behavior: 'smooth'});
  sound.play().catch(() => {});
}
for (const element of all('[data-note]')) {
  element.addEventListener('mouseenter', () => light(element.dataset.note, true));
  element.addEventListener('mouseleave', () => light(element.dataset.note, false));
  element.addEventListener('focus', () => light(element.dataset.note, true));
  element.addEventListener('blur', () => light(element.dataset.note, false));
  element.addEventListener('click', () => show(element));
  element.addEventListener('keydown', event => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); show(element); }
  });
}
function follow() {
  const x = sound.currentTime * second;
  head.style.display = 'block';
  head.style.left = x + 'px';
  if (!sound.paused) {
    const seen = x - scroll.scrollLeft;
    if (seen < 0 || seen > scroll.clientWidth - 200) scroll.scrollLeft = x - 60;
    requestAnimationFrame(follow);
  }
}
sound.addEventListener('play', follow);
sound.addEventListener('seeked', follow);
"""


def html_page(found: Explanation, tempo: float = 80.0, soundfont: str = "") -> str:
    """Return the page as HTML.

    Args:
        found: the explanation.
        tempo: beats per minute.
        soundfont: path of a soundfont for the sound, '' for none.
    """
    sound = wav_bytes(found.score, 0, tempo, soundfont or None, PAGE_RATE)
    notices = "".join(f"<p>{escape(notice)}</p>" for notice in found.notices)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(found.title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(found.title)}</h1>
<p>{escape(_about(found, tempo))}</p>
{notices}
<audio controls src="data:audio/wav;base64,{base64.b64encode(sound).decode()}"></audio>
<h2>Score</h2>
<div class="score">{picture(found, tempo)}</div>
<h2>Along time</h2>
{_along_time(found, tempo)}
<h2>{_heading(found)}</h2>
<ol>{"".join(_item(message) for message in found.messages)}</ol>
<h2>Rules</h2>
{_table(found)}
<script>{SCRIPT}</script>
</body>
</html>
"""


def _policy() -> str:
    """Return the page's content policy: show its own content and run its own script."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        f"media-src data:; script-src 'sha256-{digest}'"
    )


def _about(found: Explanation, tempo: float) -> str:
    return f"{facts(found).removeprefix(f'{found.title}: ')}, {tempo:g} beats a minute"


def _heading(found: Explanation) -> str:
    count = len(found.messages)
    if not count:
        return f"No rule is broken; {len(found.table)} were asked"
    return "One remark" if count == 1 else f"{count} remarks"


def numbered(found: Explanation) -> dict[tuple[int, int], str]:
    """Return the numbers of the messages at each note (voice, start), such as '4, 6-8'."""
    at = defaultdict(list)
    for message in found.messages:
        at[message.voice, message.start].append(message.number)
    return {note: ", ".join(_runs(numbers)) for note, numbers in at.items()}


def _runs(numbers: Iterable[int]) -> Iterable[str]:
    for _, group in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"


def picture(found: Explanation, tempo: float, title: str = "") -> str:
    """Return the engraved score as SVG; marked notes have a colour and their messages' numbers."""
    words = numbered(found)
    marks = Marks(words, dict.fromkeys(words, MARKED), found.piece.numbers)
    drawn = svg(musicxml(found.score, 0, title, tempo, marks=marks))
    return _name_notes(drawn, found.score)


def _name_notes(drawn: str, score: Score) -> str:
    """Add the attribute data-note to each coloured symbol of an SVG, for the page's script."""
    names: dict[str, str] = {}
    for voice in range(score.task.voices):
        notes = [note for note in notes_of(score, 0) if note.voice == voice]
        for symbol in (symbol for bar in bars_of(score, 0, voice) for symbol in bar):
            starts = [n.start for n in notes if n.start <= symbol.start < n.start + n.duration]
            name = note_id(voice, starts[0] if starts else symbol.start)
            names[symbol_id(voice, symbol.start)] = name

    def add(match: re.Match[str]) -> str:
        return f'{match[0]} data-note="{names[match[1]]}"' if match[1] in names else match[0]

    return re.sub(r'<g id="(mark-\d+-\d+)"', add, drawn)


def _along_time(found: Explanation, tempo: float) -> str:
    score = found.score
    cell = cell_seconds(score, tempo)
    marked = [(message.voice, message.start) for message in found.messages]
    drawings = [piano_roll(score, 0, marked, found.piece.numbers, MARKED)]
    costs = {line.term: np.zeros(score.task.cells) for line in found.table if line.times}
    for message in found.messages:
        costs[message.term][message.cell] += message.cost
    if costs:
        drawings.append(strips(score, costs, dict.fromkeys(costs, MARKED)))
    if found.surprise is not None:
        nats = {"surprise": np.nan_to_num(found.surprise).max(axis=0)}
        drawings.append(strips(score, nats, dict.fromkeys(nats, "#78909c"), " nats"))
    per_second = x_of(score.task, score.task.cells) / score.task.cells / cell
    return (
        f'<div class="scroll" data-cell="{cell:.6f}" data-second="{per_second:.4f}">'
        f'<div class="pair"><div class="names">{"".join(d.names for d in drawings)}</div>'
        f'<div class="time">{"".join(d.time for d in drawings)}<div id="head"></div></div></div>'
        "</div>"
    )


def _item(message: Message) -> str:
    surprise = "" if message.surprise is None else f", surprise {message.surprise:.1f} nats"
    detail = f"{message.term}, weight {message.weight:g}, costs {message.cost:.3g}{surprise}"
    return (
        f'<li data-note="{note_id(message.voice, message.start)}" tabindex="0" role="button">'
        f"<b>{message.number}</b><span>{escape(message.where)}: {escape(message.text)}"
        f"<small>{escape(detail)}</small></span></li>"
    )


def _table(found: Explanation) -> str:
    rows = "".join(
        f'<tr><td>{escape(line.term)}</td><td class="number">{line.times}</td>'
        f'<td class="number">{line.cost:.3g}</td></tr>'
        for line in found.table
        if line.times
    )
    kept = [line.term for line in found.table if not line.times]
    head = '<tr><th>rule</th><th class="number">times broken</th><th class="number">cost</th></tr>'
    total = (
        f'<tr><td>together</td><td class="number">{len(found.messages)}</td>'
        f'<td class="number">{found.cost:.3g}</td></tr>'
    )
    table = f"<table>{head}{rows}{total}</table>" if rows else ""
    paid = "".join(f"<p>{escape(name)} paid {value:.4g}</p>" for name, value in found.paid.items())
    good = f"<p>Kept: {escape(', '.join(kept))}</p>" if kept else ""
    return table + good + paid
