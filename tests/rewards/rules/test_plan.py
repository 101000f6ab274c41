"""Rules of implied harmony, plan and register: examples, and brute force over random notes."""

import numpy as np
import pytest

from envs.music.score import Score
from envs.music.task import Task
from rewards.remarks import explain
from rewards.rule import REGISTRY
from tests.rewards.rules.lines import check, check_steps, check_unfinished, marks, noise, piece
from tests.rewards.rules.plan_examples import PLAN
from tests.rewards.rules.slow_plan import SLOW

TASKS = {
    "4/4": Task(bars=4),
    "8 bars": Task(bars=8, meter="2/4", key="A minor", phrases="4+4"),
    "3/4, pickup": Task(meter="3/4", bars=5, pickup=4, key="F# dorian"),
    "pickup of half a bar": Task(meter="4/4", bars=4, pickup=8),
    "6/8, two voices": Task(meter="6/8", bars=4, voices=2, phrases="A1 B2 A1"),
    "12/8": Task(meter="12/8", bars=4, key="E phrygian"),
    "triplets": Task(meter="2/4", bars=9, grid=6, pickup=5, phrases="2+2+2+3"),
    "plan": Task(meter="2/4", bars=8, phrases="AABA", key="D harmonic minor"),
    "irregular": Task(meter="2+2+3/8", bars=4, key="D blues"),
    "five notes": Task(meter="5/8", bars=4, key="G major pentatonic", pickup=3),
    "fine grid": Task(bars=4, grid=24, pickup=7),
    "chords": Task(bars=4, chords="I IV V I"),
    "two bars": Task(),
    "one cell": Task(meter="1/4", bars=1, grid=1),
}
SPREAD = {"tokens": (0, 1, 13, 14, 16, 17, 18, 19, 21, 23), "weights": (1, 16, *(2,) * 8)}
OTHERS = {
    "bar_harmony": [{"least": 0.9}, {"least": 1.0}],
    "harmonic_rhythm": [{"clear": 0.4}],
    "static_harmony": [{"longest": 1}],
    "dominant_close": [{"beats": 1}, {"beats": 3, "least": 1.0}],
    "early_close": [{"beats": 0.25}],
    "opening_return": [{"least": 1.0}],
    "copied_bars": [{"most": 0.1, "row": 1}],
    "planned_climax": [{"full": 1.0, "until": 0.75}],
    "earned_register": [{"free": 0.0}],
    "circling": [{"widest": 9, "fewest": 3}],
}


def walk(task, n, seed=0):
    """Pieces that have something to judge: figures come again, moved, and notes go by step."""
    rng = np.random.default_rng(seed)
    scale = np.array([14, 16, 18, 19, 21, 23, 25, 26])
    tokens = np.ones((n, task.voices, task.cells), int)
    size = max(1, task.bar_cells // 2)
    for row in tokens.reshape(-1, task.cells):
        figures = [(rng.random(size) < 0.4, rng.integers(-1, 2, size)) for _ in range(2)]
        place = 3
        for start in range(task.pickup % size - size, task.cells, size):
            begins, moves = figures[int(rng.integers(0, 2))]
            for cell, (begin, move) in enumerate(zip(begins, moves, strict=True), start):
                if begin and 0 <= cell < task.cells:
                    place = int(np.clip(place + move, 0, 7))
                    row[cell] = scale[place]
            place = int(np.clip(place + rng.integers(-2, 3), 0, 7))
    return Score(tokens, task)


@pytest.mark.parametrize("name", SLOW)
def test_every_rule_agrees_with_brute_force(name):
    given = 0
    for seed, task in enumerate(TASKS.values()):
        few = 4 if task.cells > 200 else 24
        for score in (noise(task, few, seed, **SPREAD), walk(task, few, seed)):
            for asked in [{}, *OTHERS.get(name, [])]:
                given += check(REGISTRY[name], SLOW[name], score, **asked)
    assert given > 20


@pytest.mark.parametrize(("name", "number"), [(n, i) for n in PLAN for i in range(len(PLAN[n]))])
def test_examples(name, number):
    line, asked, expected = PLAN[name][number]
    found = marks(REGISTRY[name](piece(line, **asked)))
    assert {cell: value.expected for cell, value in found.items()} == pytest.approx(
        expected, abs=1e-6
    )


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_steps_pay_what_the_whole_pays(task):
    score = noise(task, 5, seed=3, **SPREAD)
    check_steps(SLOW, score)
    if task.cells > 40:
        for name in SLOW:
            check_unfinished(name, score, 37)


WRONG = [
    ("bar_harmony", {"least": 0}),
    ("static_harmony", {"longest": 0}),
    ("dominant_close", {"beats": 4}),
    ("dominant_close", {"least": 1.5}),
    ("early_close", {"beats": 0}),
    ("opening_return", {"least": 0}),
    ("copied_bars", {"most": 2}),
    ("copied_bars", {"row": 0}),
    ("planned_climax", {"full": 0}),
    ("planned_climax", {"until": 0.5}),
    ("earned_register", {"free": 12}),
]


@pytest.mark.parametrize(("name", "asked"), WRONG)
def test_a_parameter_that_cannot_be_is_refused(name, asked):
    with pytest.raises(ValueError, match="expected"):
        REGISTRY[name](piece("C4 D4 E4 F4", bars=4), **asked)


@pytest.mark.parametrize("name", [name for name in SLOW if name != "sequence"])
def test_a_silent_or_unfinished_line_has_no_faults_of_harmony_or_plan(name):
    value = REGISTRY[name](piece("r:64", bars=4))
    assert name == "opening_return" or not value.any()


def test_where_chords_are_given_implied_ones_are_not_judged():
    line = "C4:2 D4:2 E4:2 F4:2 G4:2 A4:2 B4:2 C5:2 " * 4
    assert REGISTRY["bar_harmony"](piece(line, bars=4)).any()
    assert not REGISTRY["bar_harmony"](piece(line, bars=4, chords="I")).any()


def test_a_plan_says_what_returns():
    bar, other = "C4 E4 G4 E4 ", "D4:6 F4:2 A4:8 "
    unlike = piece(bar + other * 3, bars=4)
    assert REGISTRY["opening_return"](unlike).any()
    assert not REGISTRY["opening_return"](piece(bar + other * 3, bars=4, phrases="AB")).any()
    assert REGISTRY["copied_bars"](piece(bar * 4, bars=4)).sum() == 2
    assert not REGISTRY["copied_bars"](piece(bar * 4, bars=4, phrases="AAAA")).any()


def test_messages_name_bar_beat_and_notes(capsys):
    explain(REGISTRY["early_close"], piece("C4 E4 D4 B3 C4:16 D4 E4 D4 B3 C4:16", bars=4))
    explain(REGISTRY["aimless_turns"], piece("C4:2 D4:2 C4:2 D4:2 E4:2 F4:2 E4:2 D4:2", bars=1))
    assert capsys.readouterr().out.splitlines() == [
        "bar 2, beat 4.75: the bar comes to rest on C4, the tonic: a full close too early",
        "bar 1, beat 4: E4-F4-E4: the running line turns back again off the beat",
    ]
