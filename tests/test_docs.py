"""The documentation: the catalogue shows each rule kept and broken; Sphinx builds it in silence."""

import subprocess
import sys
from pathlib import Path

import pytest

from agents.explaining.page import MARKED
from envs.notation.writing.musicxml import symbol_id
from rewards.rule import REGISTRY, rule
from tests.doc_scripts import catalogue

ROOT = Path(__file__).parent.parent
RULES = [name for name, fn in REGISTRY.items() if fn.violation]


def test_each_rule_is_shown_kept_and_broken(tmp_path):
    page = catalogue.page(tmp_path)
    for name in REGISTRY:
        assert f"\n### {name}\n" in page
    for name in RULES:
        pictures = [path.read_text() for path in sorted(tmp_path.glob(f"{name}-*.svg"))]
        coloured = [MARKED.upper() in picture for picture in pictures]  # as music21 writes them
        assert set(coloured) == {False, True}, name
        for number in range(1, len(pictures) + 1):
            assert f"({name}-{number}.svg)" in page
    assert page.count(".svg)") == len(list(tmp_path.iterdir()))


def test_each_term_that_is_no_rule_shows_what_it_pays(tmp_path):
    terms = sorted(REGISTRY.keys() - set(RULES))
    catalogue.page(tmp_path)
    for name in terms:
        pictures = [path.read_text() for path in sorted(tmp_path.glob(f"{name}-*.svg"))]
        assert any(catalogue.PAID.upper() in picture for picture in pictures), name
    (first, *_) = catalogue.examples(REGISTRY["preferred_intervals"])
    assert [remark.text for remark in first.remarks][-2:] == ["A5 -0.775", "silence +0.575"]
    drawn = catalogue.picture(first)
    assert drawn.count(catalogue.PAID.upper()) >= len(first.remarks)
    assert "+0.575" in drawn


def test_the_note_that_breaks_a_rule_is_the_one_in_colour():
    kept, broken = catalogue.examples(REGISTRY["leap_recovery"])  # "C4 A4 B4 C5": B4, at cell 8
    assert [remark.cell for remark in broken.remarks] == [8]
    assert catalogue.picture(broken).count(f'id="{symbol_id(0, 8)}"') == 1
    assert 'id="mark-' not in catalogue.picture(kept)


def test_an_example_of_another_key_or_task_keeps_it():
    assert str(catalogue.examples(REGISTRY["augmented_second"])[0].score.task.key) == "A minor"
    assert catalogue.examples(REGISTRY["chord_tones"])[0].score.task.chords == "IV"


def test_a_docstring_that_is_wrong_stops_the_catalogue():
    @rule(source="nobody", says="{note} is high")
    def not_high(score):
        """Notes are low.

        >>> explain(not_high, "C4 D5")
        bar 1, beat 1: C4 is high
        """
        return (score.onset & (score.pitch > 72)) * 1.0

    try:
        vars(sys.modules[__name__])["not_high"] = not_high
        with pytest.raises(ValueError, match="D5 is high"):
            catalogue.examples(not_high)
    finally:
        del REGISTRY["not_high"], vars(sys.modules[__name__])["not_high"]


def test_the_parameters_of_a_rule_are_listed_with_their_defaults():
    said = catalogue.words(REGISTRY["syncopation"])
    assert "\n- ``full=3``: levels" in said
    assert ">>>" not in said


def test_sphinx_builds_it_without_a_warning(tmp_path):
    for module in ("sphinx", "furo", "myst_parser"):
        pytest.importorskip(module, reason=f"{module} is missing: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "docs", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr
    rules = (tmp_path / "generated" / "catalogue.html").read_text()
    assert rules.count("<img ") >= 2 * len(RULES)
    score = (tmp_path / "generated" / "api" / "envs" / "envs.music.score.html").read_text()
    assert "envs.music.score.Score.write" in score
