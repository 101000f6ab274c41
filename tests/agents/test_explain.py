"""Messages at the right notes, and a page that says the same and needs nothing else."""

import base64
import io
import json
import re
import sys
import wave
import xml.etree.ElementTree as ET
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from agents import explain as command
from agents.explain import ExplainConfig, explain_all
from agents.explaining.explanation import (
    as_dict,
    as_text,
    explain,
    place,
    speaking_rules,
    surprises,
)
from agents.explaining.explanation_files import files_of
from agents.explaining.page import html_page, numbered
from envs.errors import RewardError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.midi import midi_bytes
from envs.notation.writing.musicxml import musicxml
from rewards.build import build

LINE = "C4 F#4 D4:8 C5 B4:2 Bb4:2 C4:8 C4:16"


def sharp(score):
    """Broken by every black key."""
    return (score.onset & np.isin(score.pitch % 12, [1, 3, 6, 8, 10])).astype(np.float32)


def wide(score):
    """Broken by leaps, the more the wider they are."""
    return np.clip(np.abs(score.interval) / 12.0, 0, 1) * (np.abs(score.interval) > 5)


def short(score):
    """Broken at the end."""
    return (score.is_last & score.written).astype(np.float32)


def quiet(score):
    """A reward that names no places."""
    return np.full(score.batch, 2.5)


sharp.violation = wide.violation = short.violation = True
sharp.says, wide.says = "{note} is a <black> key", "{previous}-{note} is a {interval}"
short.says = "it ends on {note}"
RULES = {sharp: 1.0, wide: 0.5, short: 2.0, quiet: 1.0}


@pytest.fixture
def piece(tmp_path):
    path = tmp_path / "a.musicxml"
    path.write_text(musicxml(score_from_text(LINE), title="A & <b>"))
    return read_piece(path)


# -- messages --------------------------------------------------------------------------------------


def test_messages_stand_in_order_at_their_notes(piece):
    found = explain(piece, build(RULES), name="a.musicxml")
    assert [str(message) for message in found.messages] == [
        "bar 1, beat 2: F#4 is a <black> key (sharp, weight 1)",
        "bar 1, beat 2: C4-F#4 is a tritone (wide, weight 0.5, costs 0.25)",
        "bar 2, beat 1: D4-C5 is a minor seventh (wide, weight 0.5, costs 0.417)",
        "bar 2, beat 2.5: Bb4 is a <black> key (sharp, weight 1)",
        "bar 2, beat 3: Bb4-C4 is a minor seventh (wide, weight 0.5, costs 0.417)",
        "at the end: it ends on C4 (short, weight 2)",
    ]
    assert [(m.cell, m.start) for m in found.messages] == [
        (4, 4), (4, 4), (16, 16), (22, 22), (24, 24), (47, 32)
    ]  # fmt: skip
    assert [(line.term, line.times, round(line.cost, 3)) for line in found.table] == [
        ("sharp", 2, 2.0), ("short", 1, 2.0), ("wide", 3, 1.083)
    ]  # fmt: skip
    assert found.paid == {"quiet": 2.5}
    text = as_text(found)
    assert text.startswith("A & <b>: C major, 4/4, 3 bars, 1 voice, 8 notes\n")
    assert re.search(r"(?m)^rule   times   cost$", text)
    assert re.search(r"(?m)^together      6   5.08$", text)
    assert "quiet paid 2.5" in text


def test_places_know_upbeats_voices_and_the_numbers_of_the_file():
    task = Task(Key("C"), Meter(6, 8), 3, pickup=4)
    score = Score(np.ones((1, 1, task.cells), int), task)
    assert place(score, 0) == "bar 0, beat 2.33"
    assert place(score, 4) == "bar 1, beat 1"
    assert place(score, 18) == "bar 2, beat 1.33"
    assert place(score, 18, [0, 1, 7]) == "bar 7, beat 1.33"
    from envs.music.piece import Piece

    both = Piece.of(score_from_text("C4 ; F#3"))
    (message,) = explain(both, build({sharp: 1.0})).messages
    assert message.where == "bar 1, beat 1, voice 2"


def test_a_clean_piece_says_so(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text(abc(score_from_text("C4 D4 E4 C4")))
    found = explain(read_piece(path), build({sharp: 1.0, wide: 1.0}))
    assert found.messages == ()
    assert "\nno rule is broken; 2 were asked\n" in as_text(found)
    assert "kept: sharp, wide" in as_text(found)
    assert "No rule is broken; 2 were asked" in html_page(found)


def test_only_rules_that_can_speak_are_asked_unless_others_are_named():
    rules = speaking_rules()
    assert {"in_key", "leap_recovery"} <= set(rules.terms)
    assert not {"prior", "motif", "key"} & set(rules.terms)
    assert all(term.weight == 1 and term.fn.says for term in rules.terms.values())


def test_a_rule_that_fails(piece):
    def breaks(score):
        raise KeyError("swing")

    def mumbles(score):
        return sharp(score)

    breaks.violation = mumbles.violation = True
    breaks.says, mumbles.says = "{note}", "{nothing} of that name"
    for rule in (breaks, mumbles):
        with pytest.raises(RewardError, match=rule.__name__):
            explain(piece, build({rule: 1.0}))
        found = explain(piece, build({rule: 1.0, sharp: 1.0}), lenient=True)
        assert len(found.messages) == 2
        assert found.notices[0].startswith(f"rule {rule.__name__} is left out: ")


# -- the prior -------------------------------------------------------------------------------------


def test_the_prior_tells_its_surprise_at_the_note(piece, tiny_prior):
    found = explain(piece, build(RULES), tiny_prior)
    nats = -tiny_prior.log_prob(found.score)[0]
    assert [m.surprise for m in found.messages] == pytest.approx(
        [float(nats[0, m.start]) for m in found.messages], abs=1e-4
    )
    assert f"; surprising to the prior: {found.messages[0].surprise:.1f} nats" in as_text(found)
    assert "nats a cell on average" in as_text(found)


def test_each_voice_is_read_alone(tiny_prior):
    lines = ("C5 D5 E5 F5", "C3 G3 E3 C3")
    both = surprises(tiny_prior, score_from_text(" ; ".join(lines)))
    assert both.shape == (2, 16)
    assert np.isfinite(both).all()
    assert (both[0] != both[1]).any()


def test_what_the_prior_cannot_read_is_told_in_a_line(tmp_path, tiny_prior):
    path = tmp_path / "a.mid"
    path.write_bytes(midi_bytes(score_from_text("C4:1 D4:1 E4:1", grid=3)))
    found = explain(read_piece(path), build({sharp: 1.0}), tiny_prior)
    assert found.surprise is None
    (notice,) = found.notices
    assert notice.startswith("no surprise of the prior: ")
    assert "\n" not in notice

    class Deaf:
        def log_prob(self, score):
            return np.where(score.onset, -1e9, -0.5).astype(np.float32)

    deaf = explain(read_piece(path), build({short: 1.0}), Deaf())
    assert deaf.notices == ("3 cells hold what the prior cannot write",)
    assert deaf.messages[0].surprise is None
    assert "0.50 nats a cell" in as_text(deaf)
    assert json.loads(json.dumps(as_dict(deaf)))["mean_surprise"] == 0.5


# -- what is written -------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    handle_startendtag = handle_starttag

    def handle_data(self, data):
        self.words.append(data)

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]


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
    found = explain(piece, build(RULES), name="a.musicxml")
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
    written = files_of(explain(piece, build(RULES), name="<i>.abc"), 80.0)
    page = Page(written["page.html"])
    assert len(page.of("script")) == 1
    assert not page.of("img")
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert EVIL in unescape(written["page.html"])
    ET.fromstring(written["score.svg"])
    assert "<script" not in written["score.svg"]
    assert ET.fromstring(written["score.musicxml"]).findtext("work/work-title") == EVIL


def test_files_agree_with_each_other(piece, tmp_path):
    found = explain(piece, build(RULES), name="a.musicxml")
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


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def run_command(monkeypatch, capsys):
    """Run it as from the shell; gives its status and what it printed."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["prog", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.fixture
def tune(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text(abc(score_from_text("C4 A4 B4 F#4"), title="Short"))
    return path


def test_the_command_prints_and_writes(tune, tmp_path, run_command):
    words = (tune, "--reward", "in_key=2", "leap_recovery=0.5", "--out", tmp_path / "out")
    status, out, err = run_command(*words, "--prior", "none")
    assert (status, err) == (0, "")
    assert re.search(r"(?m)^bar 1, beat 3: B4 .*\(leap_recovery, weight 0.5\)$", out)
    assert re.search(r"(?m)^bar 1, beat 4: F#4 .*\(in_key, weight 2\)$", out)
    assert (tmp_path / "out" / "page.html").read_text().startswith("<!DOCTYPE html>")
    status, out, err = run_command(*words)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.endswith("out exists and is not empty; nothing is overwritten, name another\n")


def test_the_command_prints_json_and_surprise(tune, tiny_checkpoint, run_command):
    status, out, _ = run_command(tune, "--json", "--prior", tiny_checkpoint, "--key", "G major")
    told = json.loads(out)
    assert (status, told["key"], told["title"]) == (0, "G major", "Short")
    assert {"in_key", "leap_recovery"} <= {each["rule"] for each in told["rules"]}
    assert all(message["surprise"] > 0 for message in told["messages"])
    assert not any(message["rule"] == "in_key" for message in told["messages"])


def test_the_samples_of_a_run_are_explained(run, tmp_path, capsys):
    count = len(list(run.samples.glob("*.musicxml")))
    assert count
    explain_all(ExplainConfig(run.path, reward=("in_key",), out=tmp_path / "out"))
    out = capsys.readouterr().out
    assert out.count("surprise of the prior") == count
    folders = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert folders == sorted(path.stem for path in run.samples.glob("*.musicxml"))
    for folder in folders:
        assert (tmp_path / "out" / folder / "page.html").is_file()


@pytest.mark.parametrize(
    ("name", "content", "words", "told"),
    [
        ("a.mid", b"", (), "the file is empty; expected a piece of music"),
        ("a.mid", b"MThd nonsense", (), "not readable as MIDI"),
        ("a.xml", b"<score-partwise><b>", (), "not readable as MusicXML"),
        ("a.xml", b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>', (), "XML entities"),
        ("a.txt", b"C D E", (), "cannot read '.txt' files; expected .mid"),
        ("a.abc", None, ("--reward", "in_kay"), "unknown reward 'in_kay'. Did you mean 'in_key'?"),
        ("a.abc", None, ("--key", "H"), "'H' is no tonic"),
        ("a.abc", None, ("--meter", "waltz"), "metre 'waltz': expected"),
        ("a.abc", None, ("--grid", "99"), "grid of 99 cells per quarter note: expected 1..24"),
        ("a.abc", None, ("--part", "2"), "part 2 holds no notes; parts that do: 1"),
        ("a.abc", None, ("--prior", "volk"), "no checkpoint 'volk'"),
        ("a.abc", None, ("--soundfont", "no.sf2", "--out", "out"), "there is no such soundfont"),
        ("a.abc", None, ("--phrases", "7+9"), "phrase"),
        ("nothing.abc", b"-", (), "there is no such file"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, run_command, name, content, words, told):
    monkeypatch.chdir(tmp_path)
    if content != b"-":
        data = content if content is not None else abc(score_from_text("C4 D4")).encode()
        (tmp_path / name).write_bytes(data)
    status, out, err = run_command(name, "--prior", "none", *words)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert told in err
    assert not (tmp_path / "out").exists()


def test_a_huge_file_and_a_folder_that_is_no_run(tmp_path, run_command):
    with (tmp_path / "huge.mid").open("wb") as file:
        file.truncate(100_000_000)
    assert "larger than 10 MB" in run_command(tmp_path / "huge.mid")[2]
    assert "is no run directory" in run_command(tmp_path)[2]
