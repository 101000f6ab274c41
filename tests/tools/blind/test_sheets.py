"""Sheets: the text says nothing of the sources, no melody comes twice, keys fit their sheets."""

import json
import re

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from envs.notation import read_piece
from tests.helpers import random_pieces
from tests.tools.blind.fakes import TASK, Fake, edited, fake, written
from tests.tools.blind.sheets import make_sheets, read_key, tune_of
from tests.tools.blind.sources import Corpus, Drawn, collect, strain


def tunes_in(sheet):
    return re.findall(r"```abc\n(.*?)```", sheet.text, re.DOTALL)


def test_sheet_and_form_are_the_same_whichever_source_a_melody_is_from():
    one, other = random_pieces(TASK, 6, 1), random_pieces(TASK, 6, 2)
    (sheet,), _ = make_sheets([Fake("corpus", one, False), Fake("x", other)], TASK, n=6)
    (twin,), _ = make_sheets([Fake("x", one), Fake("corpus", other, False)], TASK, n=6)
    assert (sheet.text, sheet.form) == (twin.text, twin.form)
    assert {*zip(sheet.labels, twin.labels, strict=True)} == {("corpus", "x"), ("x", "corpus")}


def test_every_melody_has_the_same_fields_in_the_same_order():
    low = Fake("low", Score(np.full((1, 1, TASK.cells), 2), TASK))  # has a bass clef elsewhere
    (sheet,), _ = make_sheets([fake("a"), low, Corpus()], Task(bars=8), n=1)
    tunes = tunes_in(sheet)
    assert tuple(tunes) == sheet.tunes
    for number, tune in enumerate(tunes, 1):
        head = f"X:{number}\nT:Melody {number}\nM:4/4\nL:1/16\nQ:1/4=80\nK:C\n"
        assert tune.startswith(head)
        assert re.fullmatch(r"[a-gA-Gz\d',_^=| \n-]+\]\n", tune[len(head) :])


def test_tunes_are_the_melodies():
    task = Task(bars=8)
    drawn = next(Corpus().draw(task, 3))
    piece = read_piece(tune_of(drawn, 1).encode(), ".abc", grid=4)
    want = [(note.start, note.pitch) for note in _notes(drawn.score)]
    assert [(note.start, note.pitch) for note in piece.notes] == want


def _notes(score):
    return score.task.codec.decode(score.tokens[0, 0])


def test_the_order_depends_on_the_seed_and_mixes_the_sources():
    sources = [fake("a", seed=1), fake("b", seed=2)]
    orders = [make_sheets(sources, TASK, seed=seed)[0][0].labels for seed in range(10)]
    assert len(set(orders)) == 10
    first = [order[0] for order in orders]
    assert 0 < first.count("a") < 10


def test_the_same_command_writes_the_same():
    def texts():
        sheets, facts = make_sheets([fake("corpus"), fake("b", seed=5)], TASK, 2, 3)
        return [(sheet.text, sheet.form, sheet.key(facts)) for sheet in sheets]

    assert texts() == texts()


def test_no_melody_comes_twice_on_any_sheet():
    pieces = random_pieces(TASK, 30, 1)
    again = Fake("b", pieces.take([0, 0, 1, *range(30)]))
    sheets, facts = make_sheets([Fake("a", pieces.take(range(6))), again], TASK, 3, 2)
    bodies = [tune.partition("K:C")[2] for sheet in sheets for tune in sheet.tunes]
    assert len(bodies) == len(set(bodies)) == 12
    assert [sorted(sheet.labels) for sheet in sheets] == [["a", "a", "b", "b"]] * 3
    assert facts["sources"]["b"]["passed over"] == {"near-copies": 0, "doubles": 9}
    pairs = [pair for sheet in sheets for pair in zip(sheet.labels, sheet.origins, strict=True)]
    assert sorted(o["row"] for label, o in pairs if label == "b") == [*range(9, 15)]


def test_near_copies_of_the_corpus_are_passed_over_but_not_among_real_tunes():
    task = Task(bars=8)
    real = [next(iter(Corpus().draw(task, seed))).score for seed in range(3)]
    fresh = random_pieces(task, 4, 1)
    pieces = Score(np.concatenate([*(score.tokens for score in real), fresh.tokens]), task)
    kept, passed = collect(Fake("a", pieces), task, 1, 4, set())
    assert passed["near-copies"] == 3
    assert [drawn.origin["row"] for drawn in kept] == [3, 4, 5, 6]
    kept, passed = collect(Fake("a", pieces, original=False), task, 1, 4, set())
    assert passed["near-copies"] == 0
    assert [drawn.origin["row"] for drawn in kept] == [0, 1, 2, 3]


def test_what_follows_the_last_note_says_nothing():
    tokens = random_pieces(TASK, 2, 1).tokens.copy()
    tokens[:, 0, -8:] = [[5, 1, 1, 1, 0, 0, 1, 1], [5, 1, 1, 1, 1, 1, 1, 1]]
    tokens[1, 0, :-8] = tokens[0, 0, :-8]
    kept, _ = collect(Fake("a", Score(tokens[:1], TASK)), TASK, 1, 1, set())
    assert (kept[0].score.tokens[0] == tokens[1]).all()
    with pytest.raises(ValueError, match="1 doubles"):
        collect(Fake("a", Score(tokens, TASK)), TASK, 1, 2, set())
    silent = Fake("a", Score(np.zeros((1, 1, TASK.cells), int), TASK))
    kept, _ = collect(silent, TASK, 1, 1, set())
    assert (kept[0].score.tokens == 0).all()


def test_a_source_that_has_too_few_is_refused():
    with pytest.raises(ValueError, match="few has 3 melodies .* expected 4; .*--pieces"):
        make_sheets([fake("few", 3)], TASK, 2, 2)
    with pytest.raises(ValueError, match="--sheets 0"):
        make_sheets([fake("a")], TASK, 0)


def test_a_key_is_read_and_one_that_was_changed_is_refused(tmp_path):
    (sheet,), (key,) = written(tmp_path, [fake("corpus"), fake("b", seed=2)], n=2)
    assert tuple(key.sources.values()) == sheet.labels
    assert key.made == {"corpus": {"files": {"a": "1"}}, "b": {"files": {"a": "1"}}}
    path = next(tmp_path.iterdir())
    content = json.loads(path.read_text())
    assert content["seed"] == 1
    assert content["made with"]["commit"]

    def spoil(content):
        content["melodies"][0]["abc"] += " "

    for change in (spoil, lambda c: c.pop("sources"), lambda c: c.update(format=2)):
        path.write_text(json.dumps(content))
        read_key(path)
        edited(path, change)
        with pytest.raises(ValueError, match="no key"):
            read_key(path)


def test_the_sheet_names_neither_source_nor_seed_nor_title():
    (sheet,), facts = make_sheets([Corpus(), fake("zebra", task=Task(bars=8))], Task(bars=8), n=3)
    shown = sheet.text + sheet.form
    titles = [o["title"] for o in sheet.origins if "title" in o]
    assert len(titles) == 3
    for word in ("corpus", "zebra", "seed", *titles, facts["made with"]["python"]):
        assert word not in shown


def test_a_strain_without_its_upbeat_is_as_long_as_the_task():
    from pretrained.corpora.folk import FOLK2, load_corpus

    tunes = [tune for tune in load_corpus(FOLK2).select("test") if tune.offset == 12]
    task = Task(bars=8)
    drawn = [one for tune in tunes if (one := strain(tune, task)) is not None]
    assert drawn
    assert all(isinstance(one, Drawn) for one in drawn)
    assert {one.origin["upbeat left out"] for one in drawn} == {4}
