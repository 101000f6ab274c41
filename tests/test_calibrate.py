"""The table of how often real melodies break the rules, and whether the packs fit their styles."""

import math
import re

import numpy as np
import pytest

from envs.music.key import Key
from envs.music.piece import notes_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from pretrained.corpora.folk import COLLECTIONS
from rewards.build import build, pack_names, read_pack
from rewards.rules.melody import in_key, leap_recovery
from tests.doc_scripts import DOCS, calibrate
from tests.rewards.rules.lines import noise, piece
from tests.rewards.rules.voice_examples import VOICES

# Which rules have nothing to say without chords, a plan of phrases or a second voice.
VOICE_PACKS = {"satb_common_practice", "cantus_firmus", *(f"fux_species_{n}" for n in range(1, 6))}
VOICE_RULES = VOICES.keys() - {"moving_pairs"}  # which pays and judges nothing
NEEDS = {
    **dict.fromkeys(VOICE_RULES, "voices"),
    **dict.fromkeys(("chord_tones", "non_chord_resolution"), "chords"),
    **dict.fromkeys(("phrase_parallelism", "phrase_contrast", "phrase_return"), "phrases"),
}
PAGE = DOCS / "rules.md"
MOST, Rate, rates = calibrate.MOST, calibrate.Rate, calibrate.rates
corpora, percent, setting = calibrate.corpora, calibrate.percent, calibrate.setting
STYLED = [name for name in pack_names() if calibrate.style(name)[0]]


# -- rates -----------------------------------------------------------------------------------------


def test_rates_by_hand():
    good, once = "C4 D4 E4 F4", "C4 F#4 E4 F4"
    found = rates([score_from_text(line) for line in (good, good, once, "F#4 C#4 E4 D#4")])
    assert found["in_key"] == Rate(50.0, 25.0, 50.0)
    assert found["final_tonic"] == Rate(100.0, 25.0, 100.0)
    assert found["pitch_variety"] == Rate(0.0, 0.0, 0.0)


def test_a_tune_breaks_a_rule_clearly_from_more_than_two_in_a_hundred_notes():
    def tune(wrong, notes=100):
        task = Task(bars=max(1, notes // 16 + 1))
        tokens = np.ones((1, 1, task.cells), int)
        tokens[0, 0, :notes] = 14
        tokens[0, 0, :wrong] = 15
        return Score(tokens, task)

    shares = [rates([tune(n)], {"in_key": in_key})["in_key"].clear for n in (0, 1, 2, 3, 100)]
    assert shares == [0, 0, 0, 100, 100]
    both = rates([tune(1), tune(9)], {"in_key": in_key})["in_key"]
    assert (both.pieces, both.notes, both.clear) == (100, 5, 50)


def test_a_verdict_on_the_whole_piece_counts_whole():
    line = "C4:1 D4:1 E4:1 F4:1 " * 30 + "C4:4 D4:4"  # 122 notes, the last is wrong
    found = rates([score_from_text(line)])
    assert found["final_tonic"].notes < 1
    assert found["final_tonic"].clear == 100


def test_several_pieces_of_a_batch_count_each_and_silence_divides_nothing():
    lines = [score_from_text(line).tokens for line in ("C4 D4 E4 C4", "C4 F#4 E4 C4")]
    batch = [Score(np.concatenate(lines), Task(bars=1)), score_from_text("r:16")]
    assert rates(batch)["in_key"] == Rate(pytest.approx(100 / 3), 12.5, pytest.approx(100 / 3))
    assert rates([score_from_text("r:16")])["in_key"] == Rate(0, 0, 0)


def test_rules_that_need_a_plan_or_chords_are_not_judged_without():
    bare, planned = piece("C4 D4 E4 C4", bars=1), piece("D4 E4 F4 D4", bars=1, chords="I")
    assert {name for name, rate in rates([bare]).items() if rate is None} == NEEDS.keys()
    found = rates([bare, planned])  # only the second is judged
    assert found["chord_tones"] == Rate(100.0, 50.0, 100.0)
    assert found["phrase_contrast"] is None
    told = calibrate.table({"bare": [bare]}).splitlines()
    assert "| `chord_tones` | - |" in told
    assert "| `in_key` | 0% / 0 |" in told
    assert len(told) == 2 + len(calibrate.rules().keys() - VOICE_RULES)


TASKS = [Task(bars=4), Task(bars=5, meter="3/4", pickup=4), Task(bars=8, meter="6/8")]


def test_verdicts_and_needs_are_those_that_the_rules_show():
    """On noise: which rules speak before the last cell, and which only with chords or a plan."""
    spread = {"tokens": (0, 1, *range(12, 30)), "weights": (2, 30, *(2,) * 18)}
    early, ever, fns = set(), set(), calibrate.rules()
    for task in TASKS:
        for seed in range(3):
            score = noise(task, 60, seed, **spread)
            rows = score.tokens.copy()
            rows[1::9] = rows[1::9][..., np.arange(task.cells) % task.bar_cells]  # one bar
            score = Score(rows, task)
            for name, fn in fns.items():
                value = fn(score)
                early |= {name} if value[..., :-1].any() else set()
                ever |= {name} if value.any() else set()
    assert fns.keys() - ever == NEEDS.keys()
    assert {name: fn.needs for name, fn in fns.items() if fn.needs} == NEEDS
    verdicts = {name for name, rule in fns.items() if rule.verdict}
    assert ever - early == verdicts - VOICE_RULES
    full = noise(Task(bars=4, chords="I IV V I", phrases="ABAB"), 60, **spread)
    copied = Score(np.tile(full.tokens[..., :16], 4), full.task)
    for name in NEEDS.keys() - VOICE_RULES:
        assert fns[name](full).any() or fns[name](copied).any(), name


# -- the melodies ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "final", "expected"),
    [
        ("A minor", "A", "A minor"),
        ("A minor", "D", "D dorian"),  # minor with the old signature
        ("A minor", "E", "E phrygian"),
        ("C major", "G", "G mixolydian"),
        ("C major", "A", "A minor"),
        ("Bb major", "G", "G minor"),
        ("G major", "B", "B phrygian"),
        ("D major", "F#", "F# phrygian"),
        ("C major", "B", "C major"),  # nothing is locrian
        ("C major", "Bb", "C major"),
    ],
)
def test_the_key_of_a_chorale_is_that_of_its_final(key, final, expected):
    assert str(calibrate.key_of_final(Key.parse(key), final)) == expected


def test_bach_s_sopranos_are_read_with_key_metre_and_pickup():
    first, second = calibrate.chorale_sopranos(every=170)[:2]  # the first and a later chorale
    task = first.task
    # Aus meines Herzens Grunde, BWV 269
    assert (str(task.key), str(task.meter), task.pickup, first.batch) == ("G major", "3/4", 4, 1)
    names = [task.key.pitch_name(note.pitch) for note in notes_of(first, 0)]
    assert names[:5] == ["G4", "G4", "D5", "B4", "A4"]
    assert names[-1] == "G4"
    assert second.task != task


def choir(names, lowest="E3"):
    """A chorale of two bars; who sings what has a pitch of its own."""
    from music21 import key, meter, note, stream

    document = stream.Score()
    for name, first in zip(names, ("C5", "A4", "F4", lowest), strict=False):
        part = stream.Part()
        part.partName = name
        part.append([meter.TimeSignature("4/4"), key.KeySignature(0)])
        part.append([note.Note(pitch, quarterLength=4) for pitch in ("D5", first)])
        document.insert(0, part)
    return document


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (["Soprano", "Alto", "Tenor", "Bass"], "C5"),
        (["Alto", "Soprano 1", "Tenor", "Bass"], "A4"),  # by name, wherever it stands
        (["", "", "", ""], "C5"),  # by its place
        (["", "", ""], None),
        (["Soprano", "Alto", "Tenor", "Continuo"], None),
        (["Flute", "Alto", "Tenor", "Bass"], None),
    ],
)
def test_the_soprano_of_a_choir_is_found_by_name_or_place(monkeypatch, names, last):
    monkeypatch.setattr(calibrate, "_chorales", lambda every: [choir(names)])
    found = calibrate.chorale_sopranos()
    if last is None:
        assert found == []
        return
    (score,) = found
    assert str(score.task.key) == "E phrygian"  # no sharps or flats, and the bass ends on E
    assert [score.task.key.pitch_name(n.pitch) for n in notes_of(score, 0)] == ["D5", last]


def test_chorales_are_not_read_from_pickles(monkeypatch):
    from music21 import converter, freezeThaw

    def planted(*args, **keywords):
        raise AssertionError("a pickle was read or written")

    monkeypatch.setattr(converter, "thaw", planted)
    monkeypatch.setattr(freezeThaw.StreamFreezer, "write", planted)
    assert len(list(calibrate._chorales(every=200))) == 2


def test_chorales_of_one_task_are_one_batch(monkeypatch):
    names = ["Soprano", "Alto", "Tenor", "Bass"]
    choirs = [choir(names), choir(names, "A3"), choir(names)]
    monkeypatch.setattr(calibrate, "_chorales", lambda every: choirs)
    assert [(str(s.task.key), s.batch) for s in calibrate.chorale_sopranos()] == [
        ("E phrygian", 2),
        ("A minor", 1),
    ]


def test_without_music21_s_corpus_the_books_remain(monkeypatch):
    from music21 import corpus

    def missing(name, **options):
        raise corpus.CorpusException("no corpus")

    monkeypatch.setattr(corpus, "parse", missing)
    monkeypatch.setattr(calibrate, "collection_files", lambda name: [])
    books = [book.split(",")[0] for book in COLLECTIONS.values()]
    assert list(corpora(every=500)) == [*books, "Fux, cantus firmi"]


# -- the packs -------------------------------------------------------------------------------------


def recorded():
    """Pack -> corpus or 'set' or 'mean' -> rule -> cell, from the page."""
    section = PAGE.read_text().split("## The packs and their styles")[1].split("## The rules\n")[0]
    found = {}
    for part in section.split("### ")[1:]:
        name, text = part.split("\n", 1)
        rows = re.findall(r"^\| (.*) \|$", text, re.M)
        head, _, *body = ([cell.strip() for cell in row.split(" | ")] for row in rows)
        found[name] = {
            column: {cells[0].strip("`"): cells[n] for cells in body}
            for n, column in enumerate(head)
        }
    return found


def test_every_pack_is_of_a_style_or_says_that_it_is_not():
    assert set(pack_names()) - set(STYLED) == {"rl_tuner", "student_strict", *VOICE_PACKS}
    assert recorded().keys() == set(STYLED)


@pytest.mark.parametrize("pack", STYLED)
def test_no_pack_has_a_rule_that_most_tunes_of_its_style_break_unless_it_says_why(pack):
    page, (named, kept) = recorded()[pack], calibrate.style(pack)
    terms = read_pack(pack)
    assert list(page["rule"]) == list(terms)
    assert page["set"] == {rule: setting(pack, rule) for rule in terms}
    assert list(page)[2:-1] == named
    shares = {rule: page["mean"][rule].rstrip("%") for rule in terms}
    assert {rule for rule, share in shares.items() if share == "-"} == NEEDS.keys() & terms.keys()
    misfits = {rule for rule, share in shares.items() if share != "-" and float(share) > MOST}
    assert misfits == kept.keys()
    assert all(len(reason) > 20 for reason in kept.values())


@pytest.fixture(scope="module")
def some():
    """Each 40th tune of the corpora that are there."""
    return {
        **corpora(every=40),
        "Fux, cantus firmi": corpora(every=10**6)["Fux, cantus firmi"],
    }


@pytest.mark.parametrize("pack", STYLED)
def test_the_page_says_what_is_measured(some, pack):
    page, measured = recorded()[pack], calibrate.pack_rates(pack, some)
    assert measured
    for name, found in measured.items():
        size = sum(score.batch for score in some[name])
        for rule, rate in found.items():
            if rate is None:
                assert page[name][rule] == "-"
                continue
            share = float(page[name][rule].rstrip("%"))
            deviation = 100 * math.sqrt(max(share, 2) * (100 - min(share, 98)) / 1e4 / size)
            assert abs(rate.clear - share) <= 0.5 + 4 * deviation, (name, rule)
    means = calibrate.clearly_broken(measured)
    assert max(share for share in means.values() if share is not None) < MOST + 15


def test_a_rule_that_misfits_would_be_found(some):
    """leap_recovery from a fourth on, and a summit of its own, are not what dance tunes do."""
    books = list(some)[:4]
    fns = {"leap_recovery": leap_recovery, "unique_climax": calibrate.rules()["unique_climax"]}
    means = calibrate.clearly_broken({name: rates(some[name], fns) for name in books})
    assert min(means.values()) > MOST
    assert "unique_climax" not in read_pack("folk_dance")
    assert "leap_recovery" not in read_pack("folk_dance")
    gentle = build({"leap_recovery": {"min_leap": 8}}).terms["leap_recovery"].fn
    songs = rates(some["Essen, Europe"], {"leap_recovery": gentle}) if len(some) > 5 else {}
    assert not songs or songs["leap_recovery"].clear < MOST


def test_the_page_lists_each_rule_with_its_source():
    text = PAGE.read_text()
    assert text.endswith(calibrate.catalogue())
    assert text.startswith(calibrate.INTRODUCTION)
    assert calibrate.STYLES in text
    for name, fn in calibrate.rules().items():
        assert len(fn.source) > 10
        assert not fn.source.endswith((".", "?")), name
        assert f"### {name}\n" in text


def test_the_command_prints_the_tables_and_writes_the_page(some, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(calibrate, "corpora", lambda: some)
    monkeypatch.setattr("sys.argv", ["calibrate"])
    calibrate.main()
    rows, packs = capsys.readouterr().out.split(calibrate.STYLES)
    assert rows == calibrate.table(some)
    assert packs == calibrate.pack_tables(some) + "\n"
    page = tmp_path / "rules.md"
    monkeypatch.setattr("sys.argv", ["calibrate", str(page)])
    calibrate.main()
    assert page.read_text() == (
        calibrate.INTRODUCTION + rows + calibrate.STYLES + packs[:-1]
        + f"\n## The rules\n\n{calibrate.catalogue()}"
    )  # fmt: skip
    full = re.findall("^### (.*)$", packs, re.M)
    assert full == [name for name in STYLED if set(calibrate.style(name)[0]) <= some.keys()] != []
    for pack in set(full) & {"common_practice"}:
        told = packs.split(f"### {pack}\n")[1].split("###")[0]
        shares = calibrate.pack_rates(pack, some)
        means = calibrate.clearly_broken(shares)
        for rule in read_pack(pack):
            each = [percent(r and r.clear) for r in (of[rule] for of in shares.values())]
            cells = [
                f"`{rule}`",
                setting(pack, rule),
                *each,
                percent(means[rule]),
            ]
            assert f"| {' | '.join(cells)} |" in told


def test_a_pack_is_not_shown_where_a_corpus_of_its_style_is_missing(some):
    bare = {"Fux, cantus firmi": some["Fux, cantus firmi"]}
    assert re.findall("### .*", calibrate.pack_tables(bare)) == ["### fux_line"]
    assert calibrate.pack_tables({}) == ""


def test_small_words():
    assert calibrate.clearly_broken({}) == {}
    assert [percent(share) for share in (None, 12.4)] == ["-", "12%"]
    assert setting("pentatonic", "cadence") == "degrees=[0, 7], final=[0, 7, 9]"
    assert setting("fux_line", "in_key") == ""
    assert "weight" not in setting("common_practice", "step_leap_balance")
    assert len(calibrate.CANTUS_FIRMI) == 6
