"""Tables and lists of what is read and left out."""

import re

import pytest

from pretrained.corpora.found import FileTune, Found, LeftOut, shown
from pretrained.corpora.tunes import read_tune
from tests.pretrained.corpora.own_tunes import abc_tune


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("it has 70 bars; expected at most 64", "it has N bars"),
        ("bar 7 lasts 2.5 quarter notes, 4 are a bar of the metre; expected bars of one length",
         "bar N lasts N quarter notes, N are a bar of the metre"),
        ("line 3: '[' is no ABC", "'...' is no ABC"),
        ("the metre changes from 3/4 to 4/4 at bar 9; expected one metre",
         "the metre changes from N to N at bar N"),
        ("rhythm off the 16th grid: 30 notes fit no cell", "rhythm off the 16th grid"),
        ("F#4 at bar 2, beat 1 has no length; expected", "a note at bar N, beat N has no length"),
    ],
)  # fmt: skip
def test_reasons_are_counted_without_their_details(reason, kind):
    assert LeftOut("a.abc", reason).kind == kind


def found():
    tune = vars(read_tune(abc_tune(1)))
    tunes = [
        FileTune(**tune, source=f"in/a.abc#{n}", unread=n % 2, estimated=n == 1) for n in (1, 2)
    ]
    left_out = [LeftOut("in/a.abc#3", "it has 70 bars; no"), LeftOut("in/b.mid", "it has 80 bars")]
    return Found(tunes, [*left_out, LeftOut("x/\udcff.txt", "its format is none that is read")], 2)


def test_the_table_counts_files_tunes_and_reasons():
    table = found().table()
    rows = [re.split(r" {2,}", line.strip()) for line in table.splitlines()]
    assert rows[1:3] == [["1", "2", "1", "in/*.abc"], ["1", "0", "1", "in/*.mid"]]
    assert rows[3] == ["1", "0", "1", "x/*.txt"]
    assert ["2", "it has N bars; such as in/a.abc#3"] in rows
    assert ["1", "its format is none that is read; such as x/?.txt"] in rows
    assert "1 tunes are the first of several" in table
    assert "1 tunes name no key" in table
    assert list(found().reasons.values()) == [2, 1]


def test_the_list_has_a_line_for_each():
    lines = found().list_left_out().splitlines()
    assert lines[0] == "3 left out, 2 tunes read"
    assert lines[1:] == ["in/a.abc#3: it has 70 bars; no", "in/b.mid: it has 80 bars",
                         "x/?.txt: its format is none that is read"]  # fmt: skip


def test_a_long_table_is_cut_and_says_so():
    left = [LeftOut(f"f{n}/a.txt", "x" * n) for n in range(100)]
    lines = Found([], left).table().splitlines()
    assert len(lines) < 45
    assert sum("84 more" in line for line in lines) == 2


def test_what_cannot_be_printed_is_a_question_mark():
    assert shown("a\nb\udcff\x1b[31mž") == "a?b??[31mž"
