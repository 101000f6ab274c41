"""Rules of the line: a table of textbook lines, the same rules slowly, and what words they find."""

import math

import numpy as np
import pytest

from envs.music.key import Key
from envs.music.piece import notes_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.build import build
from rewards.remarks import describe, remarks
from rewards.rule import REGISTRY, rule
from tests.helpers import step_through
from tests.rewards.rules.melody_examples import TABLE
from tests.rewards.rules.slow_melody import END, SLOW

BITS = 1 / (math.log2(12) - 1)  # a bit of those above the first
CASES = [(name, *case) for name, cases in TABLE.items() for case in cases]


def words(fn, line, key="C major", word=4):
    """Numbers of the words at which a term is not 0."""
    values = fn(score_from_text(line, key=key))
    assert values.dtype == np.float32
    last = values.shape[2] - 1
    cells = np.flatnonzero(values[0, 0]).tolist()
    assert all(cell % word == 0 or cell == last for cell in cells)
    return [END if cell == last else cell // word for cell in cells]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}: {case[1]}")
def test_textbook_lines(case):
    name, line, *key, marked = case
    assert words(REGISTRY[name], line, *key) == marked


def test_every_rule_of_the_line_is_in_the_table_with_six_examples_good_and_bad():
    here = ("rewards.rules.melody", "rewards.rules.contour")
    names = {name for name, fn in REGISTRY.items() if fn.__module__ in here}
    assert names == TABLE.keys() | {"in_key", "leap_recovery"}  # these two: test_rule.py
    for cases in TABLE.values():
        assert len(cases) >= 6
        assert {bool(case[-1]) for case in cases} == {True, False}


# -- the same, slowly ------------------------------------------------------------------------------


TASKS = {
    "wide": Task(bars=2, low="C2", high="C7"),
    "narrow": Task(bars=3, low="B3", high="D5", key="A minor", meter="3/4"),
    "four notes": Task(bars=2, low="C4", high="Eb4", key="Db major"),
    "two voices": Task(bars=2, low="E3", high="A4", key="F# dorian", meter="6/8", voices=2),
    "strict": Task(bars=1, low="C4", high="C5", key="D aeolian"),
}


def lines(task, pieces=90):
    """Pieces of all densities: half walk in small steps, half leap anywhere."""
    rng, shape = np.random.default_rng(7), (pieces, task.voices, task.cells)
    low, high = task.codec.token(task.low), task.codec.token(task.high)
    walk = low + np.cumsum(rng.integers(-3, 4, shape), axis=2) % (high - low + 1)
    pitch = np.where(np.arange(pieces)[:, None, None] % 2, walk, rng.integers(low, high + 1, shape))
    note = rng.random(shape) < rng.random((pieces, 1, 1)) ** 2
    return Score(np.where(note, pitch, rng.integers(0, 2, shape)), task)


def slowly(name, score):
    out, task = np.zeros(score.tokens.shape), score.task
    for row in range(score.batch):
        notes = notes_of(score, row)
        for voice in range(task.voices):
            own = [note for note in notes if note.voice == voice]
            starts, p = [note.start for note in own], [note.pitch for note in own]
            found = SLOW[name](p, key=task.key, starts=starts, cells=task.cells)
            for i, value in found.items():
                cell = task.cells - 1 if i == END else starts[i]
                out[row, voice, cell] = max(value, out[row, voice, cell])
    return out


@pytest.mark.parametrize("name", SLOW)
def test_rules_are_what_plain_python_finds(name):
    broken = 0
    for task in TASKS.values():
        score = lines(task)
        found = REGISTRY[name](score)
        np.testing.assert_allclose(found, slowly(name, score), atol=1e-6)
        broken += (found > 0).sum()
    assert broken >= 10


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_steps_alone_and_together_give_the_same(task):
    reward, score = build(dict.fromkeys(TABLE, -1.0)), lines(task, 20)
    whole, steps = reward.breakdown(score), step_through(reward, score)
    other, cells = reward.breakdown(score[7:8]), task.cells // 2
    begun = np.where(np.arange(task.cells) < cells, score.tokens, -1)
    begun = Score(begun, task, cells * task.voices)
    for name in TABLE:
        np.testing.assert_array_equal(steps[name], whole[name], err_msg=name)
        np.testing.assert_array_equal(other[name][0], whole[name][7], err_msg=name)
        half = REGISTRY[name](begun)
        np.testing.assert_array_equal(half[..., :cells], whole[name][..., :cells], err_msg=name)
        assert not half[..., cells:].any()


# -- parameters, edges, words ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "parameters", "line", "expected"),
    [
        ("leap_size", {}, "C4 C#5 C4 C6", {4: 1 / 12, 8: 1 / 12, 12: 1}),
        ("leap_size", {"largest": 7}, "C4 G4 C4 A4", {12: 2 / 12}),
        ("leap_size", {"largest": 8, "octave": True}, "A3 A4 G4 Bb3", {12: 1 / 12}),
        ("two_leaps", {"min_leap": 5}, "C4 E4 G#4 A4", {}),
        ("repeated_notes", {"most": 1}, "C4 C4 D4 D4", {4: 1, 12: 1}),
        ("tessitura", {"widest": 7}, "C4 G4 Ab4 C4", {8: 1}),
        ("step_leap_balance", {"fewest": 3}, "C4 D4 E4 F4", {15: 1}),
        ("step_leap_balance", {"fewest": 1, "most": 1.0}, "C4 D4 E4 F4", {}),
        ("step_leap_balance", {"fewest": 1, "least": 0.0}, "C4 E4 G4 C4", {}),
        ("step_leap_balance", {"fewest": 4, "least": 0.5}, "C4 E4 G4 A4 C4", {31: 0.5}),
        ("late_climax", {}, "C4 E4 D4 A4 F4 G4 E4 C4", {31: 1 / 16}),
        ("late_climax", {"earliest": 0.75}, "C4 E4 D4 A4 F4 G4 E4 C4", {31: 0.5}),
        ("late_climax", {"earliest": 0.0}, "A4 E4 D4 C4", {}),
        ("late_climax", {"earliest": 1.0}, "C4 E4 A4 C4", {15: 0.5}),
        ("step_leap_balance", {"fewest": 1}, "C4:8 D4:8", {15: 1}),
        ("contour_arch", {"rise": 3.0}, "C4 F4 E4 D4", {15: 1 / 6}),
        ("pitch_entropy", {"least": 2.5}, "C4 D4 E4 F4", {15: 0.2}),
        ("pitch_entropy", {"least": 0.0, "most": 1.0}, "C4 D4 E4 F4", {15: BITS}),
        ("pitch_variety", {"least": 6}, "C4 D4 E4 F4", {15: 1 / 3}),
    ],
)  # fmt: skip
def test_parameters_and_shares(name, parameters, line, expected):
    values = build({name: {"weight": -1.0, **parameters}})(score_from_text(line))[0, 0]
    assert {cell: values[cell] for cell in np.flatnonzero(values)} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("repeated_notes", {"most": 0}),
        ("late_climax", {"earliest": 1.5}),
        ("contour_arch", {"rise": 0.0}),
        ("contour_arch", {"rise": math.nan}),
        ("step_leap_balance", {"least": 0.9, "most": 0.5}),
        ("pitch_entropy", {"most": 4.0}),
        ("pitch_variety", {"least": 0}),
    ],
)
def test_parameters_that_make_no_sense(name, parameters):
    with pytest.raises(ValueError, match="expected"):
        REGISTRY[name](score_from_text("C4 D4"), **parameters)


def test_silence_lacks_variety_and_breaks_nothing_else():
    for voices in (1, 2):
        silence = Score(np.zeros((2, voices, 16), int), Task(bars=1, voices=voices))
        sums = {name: REGISTRY[name](silence).sum() / voices / 2 for name in TABLE}
        assert {n: v for n, v in sums.items() if v} == {"pitch_entropy": 1, "pitch_variety": 1}
    for line in ("C4 r r r", "r r r C4", "r:15 C4:1"):
        broken = {name for name in TABLE if REGISTRY[name](score_from_text(line)).any()}
        assert broken == {"pitch_entropy", "pitch_variety"}
    assert words(REGISTRY["final_tonic"], "r r r D4") == [END]


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("tritone_outline", "A4 F4 G4 A4 B4 B4 A4", "from F4 to B4 the line outlines a tritone"),
        ("tritone_outline", "B4 A4 G4 F4 F4 r", "from B4 to F4 the line outlines a tritone"),
        ("two_leaps", "C4 F4 Bb4", "C4-F4-Bb4: two leaps the same way that outline no triad"),
        ("tessitura", "C5 C4 G5", "G5 widens the line, C4 to G5, beyond 16 semitones"),
        ("contour_arch", "E4 C4 D4 F4", "its middle hardly rises above E4 and F4"),
    ],
)
def test_words(name, line, expected):
    (remark,) = remarks(REGISTRY[name], score_from_text(line))
    assert expected in remark.text


def test_words_hold_parameters_as_they_are_set():
    score = score_from_text("C4 C4 D4 E4")
    term = build({"repeated_notes": {"weight": 1.0, "most": 1}}).terms["repeated_notes"]
    (remark,) = remarks(term.fn, score)
    assert remark.text == "C4 sounds more than 1 times in a row"
    assert not remarks(REGISTRY["repeated_notes"], score)


def test_words_for_the_line_so_far():
    score = score_from_text("E4 C4 D4 G4 F4")
    says = "{first} {lowest} {highest} {start} {turn} {leap} {interval}"
    assert describe(score, 0, 0, 16, says) == "E4 C4 G4 C4 G4 fourth major second"
    assert describe(score, 0, 0, 12, says) == "E4 C4 G4 C4 G4 major second fourth"
    assert describe(score, 0, 0, 8, says) == "E4 C4 E4 E4 C4 major third major second"
    assert describe(score, 0, 0, 0, says) == "E4 E4 E4 E4 E4 unison unison"
    numbers = "{steps} {moves} {pitches} {climax:.2f}"
    line = score_from_text("E4 C4 D4 G4 G4 F4 G4 r")
    assert describe(line, 0, 0, 31, numbers) == "3 5 5 0.38"
    assert describe(line, 0, 0, 8, numbers) == "1 2 3 0.00"
    assert describe(score_from_text("r E4"), 0, 0, 0, numbers) == "0 0 0 0.00"
    rest = score_from_text("r E4")
    assert describe(rest, 0, 0, 0, says) == "silence " * 5 + "unison unison"


def test_a_parameter_may_bear_a_word_s_name():
    @rule(source="nobody", says="{note} above {key}, {voice}")
    def high(score, *, key=60, voice="mine"):
        return (score.onset & (score.pitch > key)) * 1.0

    try:
        assert remarks(high, score_from_text("C4 D4"))[0].text == "D4 above 60, mine"
    finally:
        del REGISTRY["high"]


def test_spelling_of_augmented_seconds_moves_with_the_key():
    for tonic in ("C", "Eb", "F#", "B", "Db"):
        key = Key.parse(f"{tonic} minor")
        sixth = 56 + key.pitch_class
        line = f"{key.pitch_name(sixth)} {key.pitch_name(sixth + 3)} {key.pitch_name(sixth + 4)}"
        assert words(REGISTRY["augmented_second"], line, key) == [1]
