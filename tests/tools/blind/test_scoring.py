"""Scoring: tables, intervals, the readings that count, and forms that are filled in wrongly."""

from itertools import product

import numpy as np
import pytest

from tests.helpers import from_the_shell
from tests.tools.blind.__main__ import main
from tests.tools.blind.fakes import edited, fake, filled, load, save, written
from tests.tools.blind.scoring import mean_interval, read_form, read_forms, report, wilson

MARKS = (2, 3, 4, 1, 5)


def judge(real, others=3, marks=MARKS):
    """A judge who calls so many of the real tunes, and of the others, human."""

    def judged(label, k):
        if label == "corpus":
            return "human" if k < real else "Machine ", marks
        return "human" if k < others else "machine", (1, 1, 2, 2, k % 5 + 1)

    return judged


@pytest.fixture(scope="module")
def sheets(tmp_path_factory):
    """Three sheets, and their keys by name."""
    sources = [fake("corpus", 60), fake("prior:b", 60, seed=2)]
    made, keys = written(tmp_path_factory.mktemp("keys"), sources, sheets=3)
    return made, {key.sheet: key for key in keys}


def rows_of(text):
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_table_has_shares_means_and_what_would_be_shown(tmp_path, sheets):
    made, keys = sheets
    reading = read_form(filled(tmp_path / "a.csv", made[0], judge(11)), keys)
    head, _, real, other = rows_of(report([reading]))
    assert head[:3] == ["source", "called human", "line"]
    assert real[:2] == ["corpus", "11 of 12 [65%, 99%]"]
    assert real[2:7] == [f"{mark}.00 [{mark}.00, {mark}.00]" for mark in MARKS]
    assert real[7] == "12 of 12 [76%, 100%]"
    assert other[:2] == ["prior:b", "3 of 12 [9%, 53%]"]
    assert other[6].startswith("2.75 [")  # of 1 2 3 4 5 1 2 3 4 5 1 2
    assert other[7].startswith("4 of 12")
    assert "11 of 12 real tunes called human, at least 9: the reading counts" in report([reading])


def test_only_readings_that_know_the_real_tunes_count(tmp_path, sheets):
    made, keys = sheets
    judges = judge(9, 1), judge(8, 12), judge(12, 2)
    forms = [
        filled(tmp_path / f"{sheet.name}.csv", sheet, each)
        for sheet, each in zip(made, judges, strict=True)
    ]
    readings = read_forms(forms, keys)
    assert [reading.counts for reading in readings] == [True, False, True]
    text = report(readings)
    assert text.count("DOES NOT COUNT") == 1
    assert "2 of 3 readings count" in text
    pooled = rows_of(text.partition("together:")[2])
    assert pooled[2][1].startswith("21 of 24")
    assert pooled[3][1].startswith("3 of 24")
    none = report(readings[1:2])
    assert "No reading counts" in none
    assert "together" not in none


def test_the_key_says_which_melody_is_whose(tmp_path, sheets):
    made, keys = sheets
    reading = read_form(filled(tmp_path / "a.csv", made[0], judge(12, 0)), keys)
    assert [m.human for m in reading.melodies] == [label == "corpus" for label in made[0].labels]


def test_the_interval_of_a_share_is_wilsons():
    assert wilson(9, 12) == pytest.approx((0.467695, 0.911062), abs=1e-5)
    assert wilson(0, 12) == pytest.approx((0, 0.242494), abs=1e-5)
    for k in range(13):  # the roots of (p - k/n)^2 = z^2 p (1 - p) / n
        for p in wilson(k, 12):
            assert (p - k / 12) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / 12, abs=1e-9)


@pytest.mark.parametrize("values", [[3, 3, 3], [1, 2, 4, 5], [1, 2, 3, 4, 5]])
def test_the_interval_of_a_mean_is_that_of_all_resamples(values):
    means = [np.mean(each) for each in product(values, repeat=len(values))]
    assert mean_interval(np.array(values)) == pytest.approx(
        tuple(np.percentile(means, [2.5, 97.5])), abs=1e-9
    )


def spoil(column, value, row=2):
    return lambda rows: rows[row].update({column: value})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (spoil("form", ""), "melody 3: form is to be 1 to 5, it is empty"),
        (spoil("called", ""), "melody 3: called is to be human or machine, it is empty"),
        (spoil("line", "6"), "melody 3: line is to be 1 to 5, got '6'"),
        (spoil("ending", "3.5"), "ending .* got '3.5'"),
        (spoil("overall", "0"), "overall .* got '0'"),
        (spoil("called", "robot"), "human or machine, got 'robot'"),
        (lambda rows: rows.append(rows[4]), "melody 5 has two rows"),
        (lambda rows: rows.pop(0), "no rows of melodies 1"),
        (spoil("melody", "25"), "melody '25': expected 1 to 24; no rows of melodies 3"),
        (spoil("sheet", "12345678"), "one sheet, got"),
        (lambda rows: [row.update(sheet="12345678") for row in rows], "no key to sheet '12345678'"),
        (lambda rows: [row.update(rhythm="") for row in rows], "and 19 more"),
        (lambda rows: rows.clear(), "one sheet, got none"),
    ],
)
def test_a_form_that_is_filled_in_wrongly_is_refused(tmp_path, sheets, change, expected):
    made, keys = sheets
    path = filled(tmp_path / "a.csv", made[0], judge(11))
    rows = load(path)
    change(rows)
    with pytest.raises(ValueError, match=rf"a\.csv: .*{expected}"):
        read_form(save(path, rows), keys)


@pytest.mark.parametrize("text", ["", "sheet,melody\n1,2\n", "\x00\x01"])
def test_what_is_no_form_is_refused(tmp_path, sheets, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="columns"):
        read_form(path, sheets[1])


def test_forms_of_a_spreadsheet_are_read(tmp_path, sheets):
    made, keys = sheets
    path = filled(tmp_path / "a.csv", made[0], judge(11))
    want = read_form(path, keys).melodies
    save(path, load(path), ";")
    path.write_text("\ufeff" + path.read_text().replace("\n", "\r\n") + ";;;;;;;;\r\n")
    assert read_form(path, keys).melodies == want


def test_one_sheet_is_scored_once(tmp_path, sheets):
    made, keys = sheets
    forms = [filled(tmp_path / f"{name}.csv", made[0], judge(11)) for name in "ab"]
    with pytest.raises(ValueError, match="one sheet"):
        read_forms(forms, keys)


def test_sources_that_have_changed_are_not_pooled(tmp_path, sheets):
    made, keys = sheets
    changed = [fake("corpus", seed=8), fake("prior:b", seed=9, files={"a": "2"})]
    others, changed_keys = written(tmp_path, changed)
    keys = {**keys, **{key.sheet: key for key in changed_keys}}
    forms = [
        filled(tmp_path / f"{number}.csv", sheet, judge(11))
        for number, sheet in enumerate([made[0], others[0]])
    ]
    with pytest.raises(ValueError, match="pooled: prior:b is not the same"):
        read_forms(forms, keys)


def test_from_sources_to_a_table(tmp_path, tiny_checkpoint, monkeypatch, capsys):
    call = from_the_shell(main, monkeypatch, capsys)
    prior, out = f"prior:{tiny_checkpoint},candidates=1", tmp_path / "blind"
    words = ("--pieces", 2, "--sheets", 2, "--out", out)
    code, told, _ = call("--sources", "corpus", prior, *words)
    assert code == 0
    assert f"{prior}: 4 melodies; passed over: 0 near-copies" in told
    assert sorted(path.name for path in out.iterdir()) == [
        *("sheet-1.csv", "sheet-1.md", "sheet-2.csv", "sheet-2.md")
    ]
    for path in out.glob("*.csv"):
        rows = load(path)
        for row in rows:
            row.update(called="human", line=3, rhythm=3, form=3, ending=3, overall=4, why="so, so")
        save(path, rows)
    forms = sorted(out.glob("*.csv"))
    code, told, _ = call("--score", *forms, "--out", out)
    assert code == 0
    assert "2 of 2 readings count" in told
    assert "| corpus | 4 of 4" in told
    code, _, told = call("--score", *forms, "--keys", tmp_path)
    assert code == 2
    assert "--keys" in told
    code, _, told = call("--sources", "corpus", prior, *words)
    assert code == 2
    assert "not empty" in told
    code, _, told = call("--sources", "corpus", "--out", tmp_path / "c", "--keys", tmp_path / "c/k")
    assert code == 2
    assert "reader" in told
    edited(next((tmp_path / "blind-keys").iterdir()), lambda content: content["melodies"].pop())
    code, _, told = call("--score", *forms, "--out", out)
    assert code == 2
    assert "no key" in told
