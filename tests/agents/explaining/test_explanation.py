"""Messages at the right notes, for pieces, scores and files."""

import json
import re
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from agents.explaining.explainer import explain, speaking_rules, surprises
from agents.explaining.explanation import as_dict, as_text
from agents.explaining.explanation_files import files_of
from agents.explaining.page import html_page
from envs.errors import RewardError
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.midi import midi_bytes
from pretrained.networks.architectures import SumPrior
from pretrained.networks.regrid import on_grid
from pretrained.prior import hears_one_line
from rewards.build import build
from rewards.remarks import place
from tests.agents.explaining.rules import RULES, sharp, short, wide


def test_messages_stand_in_order_at_their_notes(piece):
    found = explain(piece, build(RULES), None, name="a.musicxml")
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
    (message,) = explain(both, build({sharp: 1.0}), None).messages
    assert message.where == "bar 1, beat 1, lower voice"


def test_a_clean_piece_says_so(tmp_path):
    path = tmp_path / "a.abc"
    path.write_text(abc(score_from_text("C4 D4 E4 C4")))
    found = explain(read_piece(path), build({sharp: 1.0, wide: 1.0}), None)
    assert found.messages == ()
    assert "\nno rule is broken; 2 were asked\n" in as_text(found)
    assert "kept: sharp, wide" in as_text(found)
    assert "No rule is broken; 2 were asked" in html_page(found)


def test_only_rules_that_can_speak_are_asked_unless_others_are_named():
    rules = speaking_rules()
    assert {"in_key", "leap_recovery"} <= set(rules.terms)
    assert not {"prior", "motif", "key"} & set(rules.terms)
    assert {"parallel_fifths", "six_four"} <= set(rules.terms)
    assert not {"perfect_approach", "species_rhythm"} & set(rules.terms)  # a chorale is no exercise
    assert all(term.weight == 1 and term.fn.says for term in rules.terms.values())


def test_a_choir_is_told_its_parallels_with_both_voices():
    line = "C5 C5 D5 C5 ; G4 A4 B4 G4 ; E4 F4 G4 E4 ; C3 F3 G3 C3"
    found = explain(score_from_text(line), None, None)
    texts = [str(message.text) for message in found.messages]
    assert "parallel fifths between soprano C5-D5 and bass F3-G3" in texts
    alone = explain(score_from_text("C4 D4 E4 C4"), None, None)
    assert not any("parallel_fifths" in notice for notice in alone.notices)


def test_a_rule_that_fails(piece):
    def breaks(score):
        raise KeyError("swing")

    def mumbles(score):
        return sharp(score)

    breaks.violation = mumbles.violation = True
    breaks.says, mumbles.says = "{note}", "{nothing} of that name"
    for rule in (breaks, mumbles):
        with pytest.raises(RewardError, match=rule.__name__):
            explain(piece, build({rule: 1.0}), None)
        found = explain(piece, build({rule: 1.0, sharp: 1.0}), None, lenient=True)
        assert len(found.messages) == 2
        assert found.notices[0].startswith(f"rule {rule.__name__} is left out: ")


# -- the prior ------------------------------------------------------------------------------------


def test_the_prior_tells_its_surprise_at_the_note(piece, tiny_prior):
    found = explain(piece, build(RULES), tiny_prior)
    nats = -tiny_prior.log_prob(found.score)[0]
    assert [m.surprise for m in found.messages] == pytest.approx(
        [float(nats[0, m.start]) for m in found.messages], abs=1e-4
    )
    assert f"; surprising to the prior: {found.messages[0].surprise:.1f} nats" in as_text(found)
    assert "nats a cell on average" in as_text(found)


def test_a_path_is_explained_by_its_file_s_name(tmp_path):
    path = tmp_path / "own.mid"
    path.write_bytes(midi_bytes(score_from_text("C4 D4 E4 F4")))
    found = explain(path, build(RULES), None)
    assert (found.name, found.title) == ("own.mid", "own.mid")
    for name, content in files_of(found).items():
        assert str(tmp_path).encode() not in (
            content if isinstance(content, bytes) else content.encode()
        ), name


def test_a_prior_says_whether_it_hears_one_line(tiny_prior):
    class Chorus(type(tiny_prior)):
        one_line = False

    chorus, score = Chorus(tiny_prior.net, tiny_prior.codec), score_from_text("C5 D5 ; G3 E3")
    np.testing.assert_array_equal(surprises(chorus, score), -tiny_prior.log_prob(score)[0])
    assert (surprises(tiny_prior, score) != surprises(chorus, score)).any()
    for prior, one_line in ((tiny_prior, True), (chorus, False), (object(), False)):
        assert hears_one_line(prior) is one_line
    assert SumPrior(tiny_prior, tiny_prior).one_line
    assert not SumPrior(tiny_prior, chorus).one_line
    assert on_grid(tiny_prior, Task(grid=2)).one_line


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


# -- music of every kind --------------------------------------------------------------------------


def test_pieces_scores_and_files_are_explained_alike_in_a_thread(tmp_path, capfd, monkeypatch):
    tune = tmp_path / "tune.abc"
    tune.write_text(abc(score_from_text("C4 A4 B4 F#4")))
    monkeypatch.setattr(sys, "argv", ["a-web-server", "--piece", "nonsense"])
    found = []

    def work():
        from agents.explaining import explain

        piece = read_piece(tune)
        batch = np.concatenate([score_from_text("C4 D4 E4 C4").tokens, piece.score.tokens])
        both = Score(batch, replace(piece.task, low=48, high=83))
        for music in (piece, piece.score, tune, str(tune), both[1:2]):
            found.append(explain(music))
        found.append(explain(both, row=1))
        found.append(explain(both))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert capfd.readouterr() == ("", "")
    *alike, clean = found
    assert len(alike) == 6
    texts = [[message.text for message in each.messages] for each in alike]
    assert all(text == texts[0] for text in texts)
    assert any("F#4" in text for text in texts[0])
    assert alike[0].surprise.shape == (1, 16)  # the shipped prior was asked
    assert not any("F#4" in message.text for message in clean.messages)


def test_what_cannot_be_explained_is_refused():
    page = Score.page(Task(), 1)
    with pytest.raises(ValueError, match="not finished"):
        explain(page)
    with pytest.raises(TypeError, match="ndarray"):
        explain(page.tokens)
    with pytest.raises(ValueError, match="row 3"):
        explain(score_from_text("C4"), row=3, prior=None)
    with pytest.raises(TypeError, match="prior=3"):
        explain(score_from_text("C4"), prior=3)
    with pytest.raises(FileNotFoundError, match="no checkpoint 'volk'"):
        explain(score_from_text("C4"), prior="volk")
    with pytest.raises(ValueError, match="Did you mean 'in_key'"):
        explain(score_from_text("C4"), {"in_kay": 1.0}, None)
