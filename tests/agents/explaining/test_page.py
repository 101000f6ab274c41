"""A page that says what the messages say and needs nothing else, and the other files."""

import base64
import io
import json
import re
import wave
import xml.etree.ElementTree as ET
from html import unescape

import pytest

from agents.explaining.explainer import explain
from agents.explaining.explanation_files import files_of
from agents.explaining.page import html_page, numbered
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from rewards.build import build
from tests.agents.explaining.reading import Page
from tests.agents.explaining.rules import LINE, RULES


def test_the_page_stands_alone(piece, tiny_prior):
    found = explain(piece, build(RULES), tiny_prior, "a.musicxml")
    text = html_page(found, tempo=120)
    page = Page(text)
    loads = [a[k] for _, a in page.tags for k in ("src", "href", "xlink:href", "data") if k in a]
    assert all(value.startswith(("#", "data:audio/wav;base64,")) for value in loads)
    assert "@import" not in text
    assert not re.search(r"url\((?!['\"]?data:)", text)
    assert not page.of("link")
    assert len(page.of("script")) == 1
    (sound,) = page.of("audio")
    with wave.open(io.BytesIO(base64.b64decode(sound["src"].partition(",")[2]))) as file:
        assert file.getnframes() / file.getframerate() == pytest.approx(6 + 1, abs=0.01)
    policy = next(m["content"] for m in page.of("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def test_every_message_points_at_its_note_in_score_and_roll(piece):
    found = explain(piece, build(RULES), None, name="a.musicxml")
    page = Page(html_page(found))
    names = [item["data-note"] for item in page.of("li")]
    assert names == [f"0-{message.start}" for message in found.messages]
    drawn = {group["data-note"] for group in page.of("g") if "data-note" in group}
    bars = {bar["data-note"]: bar for bar in page.of("rect") if "data-note" in bar}
    assert set(names) == drawn
    assert len(bars) == len(piece.notes)
    coloured = {name for name, bar in bars.items() if bar["fill"] == "#c2185b"}
    assert coloured == set(names)
    told = " ".join(page.words)
    for message in found.messages:
        assert f"{message.where}: {message.text}" in told
    assert numbered(found) == {
        (0, 4): "1-2",
        (0, 16): "3",
        (0, 22): "4",
        (0, 24): "5",
        (0, 32): "6",
    }


EVIL = """</title><script>alert(1)</script><img src=x onerror="alert(2)">'"&amp; ${x}"""


def test_nothing_from_a_file_becomes_markup(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text(abc(score_from_text(LINE), title=EVIL))
    piece = read_piece(path)
    assert piece.title == EVIL
    written = files_of(explain(piece, build(RULES), None, name="<i>.abc"), 80.0)
    page = Page(written["page.html"])
    assert len(page.of("script")) == 1
    assert not page.of("img")
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert EVIL in unescape(written["page.html"])
    ET.fromstring(written["score.svg"])
    assert "<script" not in written["score.svg"]
    assert ET.fromstring(written["score.musicxml"]).findtext("work/work-title") == EVIL


def test_files_agree_with_each_other(piece, tmp_path):
    found = explain(piece, build(RULES), None, name="a.musicxml")
    written = files_of(found, 80.0)
    assert set(written) == {
        "explanation.json", "score.musicxml", "score.svg", "score.mid", "score.wav", "page.html"
    }  # fmt: skip
    told = json.loads(written["explanation.json"])
    assert [m["text"] for m in told["messages"]] == [m.text for m in found.messages]
    assert told["rules"][0] == {"rule": "sharp", "times": 2, "cost": 2.0}
    root = ET.fromstring(written["score.musicxml"])
    words = [each.text for each in root.iter("words")]
    assert words[0] == "F#4 is a <black> key; C4-F#4 is a tritone"
    assert len(words) == 5
    for name in ("score.musicxml", "score.mid"):
        (tmp_path / name).write_bytes(
            written[name] if isinstance(written[name], bytes) else written[name].encode()
        )
        assert read_piece(tmp_path / name).notes == piece.notes
