"""The table of how often Bach's chorales break the rules across voices."""

import re

import pytest

from envs.notation.text_line import score_from_text
from rewards.build import read_pack
from rewards.rule import REGISTRY
from tests.doc_scripts import DOCS, chorales

PAGE = DOCS / "voices.md"
CHOIR = "C5 D5 D5 E5 ; G4 A4 A4 A4 ; E4 F4 F4 E4 ; C4 D4 B3 C4"


def moving(score):
    """Number of pairs of voices that move together."""
    return REGISTRY["moving_pairs"](score).sum()


def test_pairs_that_move_are_counted_by_hand():
    # Six pairs at the second beat, none at the third, where the bass moves alone, then three.
    assert moving(score_from_text(CHOIR)) == 6 + 3
    assert moving(score_from_text("C5 C5 r D5 ; C4 C4 D4 E4")) == 0


def test_a_rule_of_pairs_counts_each_pair_and_another_each_cell():
    score = score_from_text(CHOIR)
    assert chorales.violations(REGISTRY["parallel_octaves"], score).tolist() == [1]
    assert chorales.violations(REGISTRY["parallel_fifths"], score).tolist() == [1]
    high = score_from_text("C6 C6 ; G4 A4 ; E4 F4 ; C4 D4")
    assert chorales.violations(REGISTRY["voice_range"], high).tolist() == [2]
    found = chorales.counts([score, high], {"voice_range": REGISTRY["voice_range"]})
    assert found["voice_range"] == (2, 1)


def test_the_rules_are_as_the_pack_sets_them():
    found = chorales.voice_rules()
    pack = {name for name in read_pack(chorales.PACK) if REGISTRY[name].needs == "voices"}
    assert found.keys() == pack | {"unison", "chordal_beat"}


def recorded():
    rows = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d.]+) \| (\d+)% \|$", PAGE.read_text(), re.M)
    return {name: (int(n.replace(",", "")), float(rate), int(of)) for name, n, rate, of in rows}


def test_the_page_tells_every_rule_and_bach_keeps_the_pack():
    page = recorded()
    assert page.keys() == chorales.voice_rules().keys()
    assert PAGE.read_text().startswith(chorales.INTRODUCTION)
    pack = read_pack(chorales.PACK).keys() & page.keys()
    assert {name for name in pack if page[name][1] > 15} == set()  # per 1,000 pairs that move
    assert page["parallel_fifths"][1] < 2  # 1.4 is published
    assert page["parallel_octaves"][1] < 2


def test_some_chorales_are_as_the_page_says():
    pieces = chorales.chorales(every=60)
    if not pieces:
        pytest.skip("music21 is installed without its corpus")
    total = sum(moving(score) for score in pieces)
    found = chorales.counts(pieces, {"voice_crossing": REGISTRY["voice_crossing"]})
    rate = 1000 * found["voice_crossing"].broken / total
    assert rate == pytest.approx(recorded()["voice_crossing"][1], abs=12)
    assert all(score.task.voices == 4 and score.finished for score in pieces)
