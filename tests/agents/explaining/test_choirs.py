"""Explanations of several voices: both notes are named and marked, by pairs of voices."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from agents import explain as command
from agents.explaining.explainer import CHOIR, explain, rules_for
from agents.explaining.explanation import as_dict, as_text
from agents.explaining.explanation_files import files_of
from agents.explaining.page import by_note, numbered
from envs.music.piece import Piece
from envs.notation import score_from_text, written
from rewards.build import read_pack
from tests.agents.explaining.reading import Page
from tests.agents.explaining.rules import sharp
from tests.helpers import from_the_shell

# Parallel fifths of soprano and bass into beat 2, parallel octaves of alto and bass into beat 3,
# tenor above alto on beats 3 and 4.
FAULTS = "E5:4 F5:4 G5:4 G5:4 ; C5:4 C5:4 D5:4 D5:4 ; A4:4 A4:4 E5:4 F5:4 ; A3:4 Bb3:4 D3:4 G3:4"
OCTAVES = "E5 D5 ; C5 D5 ; G4 A4 ; C4 D4"
CROSSED = (
    "G5:4 G5:4 A5:4 A5:4 ; D5:4 D5:4 D5:4 C5:4 ; B4:4 F5:4 F5:2 E5:2 A4:4 ; G3:4 G3:4 A3:4 A3:4"
)


def told(music, **rules):
    return explain(Piece.of(score_from_text(music)), rules or None, None)


def test_a_fault_of_two_voices_names_and_holds_both_notes():
    (message,) = told("E5 F5 ; C5 C5 ; A4 A4 ; A3 Bb3", parallel_fifths=4.0).messages
    assert str(message) == (
        "bar 1, beat 2: parallel fifths between soprano E5-F5 and bass A3-Bb3 "
        "(parallel_fifths, weight 4)"
    )
    assert message.who == ("soprano", "bass")
    assert message.notes == ((0, 4), (3, 4))
    assert (message.bar, message.beat) == (1, 2.0)


def test_a_note_that_began_before_is_the_other_note():
    (message,) = told("C5:8 G5:8 ; C5:4 E5:12", voice_crossing=1.0).messages
    assert message.cell == 4
    assert message.notes == ((0, 0), (1, 4))


def test_messages_stand_by_their_voices():
    found = explain(Piece.of(score_from_text(FAULTS)), None, None)
    names = [name for name, _ in found.groups]
    order = ["soprano", "alto", "tenor", "bass"]
    pairs = [tuple(order.index(voice) for voice in name.split(" and ")) for name in names]
    assert [pair for pair in pairs if len(pair) == 2] == sorted(p for p in pairs if len(p) == 2)
    assert sum(len(messages) for _, messages in found.groups) == len(found.messages)
    assert [m.number for m in found.messages] == list(range(1, len(found.messages) + 1))
    text = as_text(found)
    for name, messages in found.groups:
        assert f"\n\n{name}: {len(messages)}\n{messages[0]}" in text
    melody = told("C4 F#4 D4 E4", in_key=1.0)
    assert [name for name, _ in melody.groups] == [""]


def test_a_state_is_told_once_for_as_long_as_it_lasts():
    found = told(CROSSED, voice_crossing=1.0)
    assert [(m.where, m.text) for m in found.messages] == [
        (
            "bar 1, beat 2",
            "voices cross: alto D5 and tenor F5, until bar 1, beat 3.5",
        )
    ]
    assert (found.messages[0].cost, found.cost) == (3.0, 3.0)
    apart = "E5:4 E5:4 E5:4 ; G4:4 C4:4 G4:4 ; C4:4 C4:4 C4:4 ; C3:4 C3:4 C3:4"
    found = told(apart.replace("E5:4 E5:4 E5:4", "A5:4 E5:4 A5:4"), voice_spacing=1.0)
    assert [m.cell for m in found.messages if m.who == ("soprano", "alto")] == [0]
    twice = told("E5:4 G5:4 E5:4 G5:4 ; E5:4 G5:4 E5:4 G5:4", parallel_octaves=1.0)
    assert len(twice.messages) == 3  # each motion is a fault of its own
    downbeats = "E5:16 F5:16 G5:16 ; A4:16 Bb4:16 C5:16"
    assert len(told(downbeats, downbeat_parallels=1.0).messages) == 2


def test_a_choir_is_asked_the_rules_of_its_pack():
    assert rules_for(4).terms.keys() == rules_for(3).terms.keys() == read_pack(CHOIR).keys()
    assert "leap_recovery" in rules_for(1).terms
    assert "leap_recovery" in rules_for(2).terms
    found = told(OCTAVES)
    assert "parallel_octaves" in [message.term for message in found.messages]
    assert {message.term for message in found.messages} <= read_pack(CHOIR).keys()
    assert any(CHOIR in notice for notice in found.notices)


def test_instruments_that_double_a_voice_are_no_faults_and_are_told():
    tune = "C5:4 D5:4 E5:4 F5:4 G5:4 F5:4 E5:4 D5:4 C5:16"
    lines = [tune, "G4:48", "E4:48", "C4:48", tune.replace("5", "4")]
    found = told(" ; ".join(lines), parallel_octaves=1.0)
    assert found.messages == ()
    assert "voice 5 doubles voice 1: the two are not judged as a pair" in found.notices
    four = told(" ; ".join([*lines[:3], lines[4]]), parallel_octaves=1.0)
    assert len(four.messages) == 8  # in a choir they are


def test_both_notes_are_marked_in_score_roll_and_page():
    piece = Piece.of(score_from_text(FAULTS))
    found = explain(piece, {"parallel_fifths": 1.0, "voice_crossing": 1.0}, None)
    fifths, crossing = found.messages
    assert by_note(found).keys() == {*fifths.notes, *crossing.notes}
    assert numbered(found) == {
        **dict.fromkeys(fifths.notes, "1"),
        **dict.fromkeys(crossing.notes, "2"),
    }
    files = files_of(found)
    page = Page(files["page.html"])
    items = [(item["data-note"], item["data-other"]) for item in page.of("li")]
    assert items == [("3-4", "0-4"), ("2-8", "1-8")]
    drawn = {group["data-note"] for group in page.of("g") if "data-note" in group}
    coloured = {
        bar["data-note"]
        for bar in page.of("rect")
        if bar.get("fill") == "#c2185b" and "data-note" in bar
    }
    assert drawn == coloured == {"3-4", "0-4", "2-8", "1-8"}
    lines = [line for line in page.of("line") if line["stroke"] == "#c2185b"]
    assert len(lines) == 2
    assert re.findall(r"<h3>([^<]*)", files["page.html"]) == ["soprano and bass", "alto and tenor"]
    words = [each.text for each in ET.fromstring(files["score.svg"]).iter() if each.text]
    assert [w.strip() for w in words].count("1") >= 2
    document = ET.fromstring(files["score.musicxml"])
    marked = [n.get("color") for n in document.iter("note") if n.get("color")]
    assert len(marked) == 4


def test_json_names_voices_bar_and_beat():
    found = told("E5 F5 ; C5 C5 ; A4 A4 ; A3 Bb3", parallel_fifths=4.0)
    (message,) = json.loads(json.dumps(as_dict(found)))["messages"]
    assert (message["voices"], message["bar"], message["beat"]) == (["soprano", "bass"], 1, 2)
    assert (message["voice"], message["other_voice"], message["other_note_cell"]) == (4, 1, 4)
    (alone,) = as_dict(told("C4 F#4", in_key=1.0))["messages"]
    assert (alone["voices"], alone["other_voice"], alone["other_note_cell"]) == ([], None, None)


def test_the_prior_says_that_it_hears_each_voice_alone(tiny_prior, tiny_checkpoint, monkeypatch):
    piece = Piece.of(score_from_text("C5 D5 ; G4 A4 ; E4 F4 ; C4 D4"))
    found = explain(piece, {sharp: 1.0}, tiny_checkpoint)
    assert found.judge == f"{tiny_checkpoint.stem} (each voice alone)"
    assert f"surprise of the prior {found.judge}: " in as_text(found)
    alone = explain(Piece.of(score_from_text("C5 D5")), {sharp: 1.0}, tiny_prior)
    assert alone.judge == ""

    class Together:
        def log_prob(self, score):
            return np.zeros(score.tokens.shape, np.float32) - 1

    assert explain(piece, {sharp: 1.0}, Together()).judge == ""


@pytest.mark.parametrize("trained", [False, True])
def test_four_voices_are_heard_by_the_chorale_prior_where_it_is(trained, tmp_path, monkeypatch):
    from agents.explaining.explainer import prior_for
    from pretrained import checkpoint

    monkeypatch.setattr(checkpoint, "user_cache", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    if trained:
        (tmp_path / "chorale.safetensors").write_bytes(b"")
    task = score_from_text("C5 ; G4 ; E4 ; C4").task
    assert prior_for(task) == ("chorale" if trained else "melody")
    assert prior_for(score_from_text("C5 ; G4 ; E4").task) == "melody"


@pytest.mark.parametrize("suffix", [".mid", ".musicxml", ".abc"])
@pytest.mark.parametrize("voices", range(2, 9))
def test_files_of_two_to_eight_voices_are_explained(suffix, voices, tmp_path, monkeypatch, capsys):
    lines = [
        f"{'CDEFGABC'[7 - v]}{5 - v // 4}:4 F#{5 - v // 4}:4 G{5 - v // 4}:8" for v in range(voices)
    ]
    path = tmp_path / f"choir{suffix}"
    path.write_bytes(written(Piece.of(score_from_text(" ; ".join(lines))), suffix))
    run = from_the_shell(command.main, monkeypatch, capsys)
    status, out, err = run(path, "--prior", "none", "--pack", CHOIR, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["voices"] == voices
    octaves = [m for m in found["messages"] if m["rule"] == "parallel_octaves"]
    assert octaves
    assert all(len(message["voices"]) == 2 for message in octaves)
