"""Chords of tunes that textbooks harmonise, and the search against all rows there are."""

import itertools

import numpy as np
import pytest

from agents.composing.parts.chord_line import places_of_bar
from agents.composing.parts.harmoniser import ChordModel, chords_for
from agents.composing.parts.viterbi import cheapest, cost_of, drawn
from agents.composing.parts.vocabulary import NEVER, grades, harmonies_of
from envs.music.chords import parse_chord
from envs.music.key import SCALES, Key
from envs.music.score import Score
from envs.music.task import Task
from tests.agents.composing.parts.melodies import TWINKLE, melody, moved

ODE = "F#4 F#4 G4 A4 A4 G4 F#4 E4 D4 D4 E4 F#4 E4:6 D4:2 D4:8"


def costs(rng, places, states):
    steps = [rng.exponential(size=(states, states)) for _ in range(places - 1)]
    return rng.exponential(size=(places, states)), steps


def rows(places, states):
    return itertools.product(range(states), repeat=places)


# -- the search ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_cheapest_row_is_that_of_all_rows(seed):
    places, steps = costs(np.random.default_rng(seed), 5, 4)
    best = min(rows(5, 4), key=lambda row: cost_of(row, places, steps))
    assert cheapest(places, steps) == best


def test_rows_are_drawn_as_often_as_they_are_likely():
    rng = np.random.default_rng(3)
    places, steps = costs(rng, 3, 2)
    chance = {row: np.exp(-cost_of(row, places, steps)) for row in rows(3, 2)}
    total, draws = sum(chance.values()), 20_000
    found = [drawn(places, steps, rng) for _ in range(draws)]
    for row, value in chance.items():
        expected = value / total
        margin = 4 * np.sqrt(expected * (1 - expected) / draws)
        assert abs(found.count(row) / draws - expected) < margin


def test_the_chords_of_a_melody_are_the_cheapest_of_all():
    model = ChordModel(melody("E4:8 D4:8 D4:8 C4:8"))
    assert model.places.shape == (4, len(model.chords))
    best = min(rows(4, len(model.chords)), key=lambda row: cost_of(row, model.places, model.steps))
    (line,) = model.lines()
    assert line.chords == tuple(model.chords[number] for number in best)
    assert line.cost == pytest.approx(cost_of(best, model.places, model.steps))


# -- tunes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tune", "about", "chords"),
    [
        (TWINKLE, {}, "I | IV I | IV I | V I"),
        (ODE, {"key": "D major"}, "I V7 | V7 I | I V | V I"),
        ("E4:8 D4:8 C4:16", {}, "I V | I"),
    ],
)
def test_chords_of_known_tunes(tune, about, chords):
    (line,) = chords_for(melody(tune, **about))
    assert line.numerals == chords


def test_a_raised_fourth_is_heard_in_the_dominant_of_the_dominant():
    (line,) = chords_for(melody("C4:8 E4:8 D4:8 F#4:8 G4:16 C5:16"))
    assert line.numerals.split(" | ")[1:] in (["V7/V", "V", "I"], ["V/V", "V", "I"])


def test_minor_ends_with_the_major_dominant():
    (line,) = chords_for(melody("A4:8 C5:8 D5:8 A4:8 B4:8 G#4:8 A4:16", key="A minor"))
    assert line.symbols.split(" | ")[2:] in (["E", "Am"], ["E7", "Am"])


def test_a_modal_tune_goes_to_the_chord_below_the_tonic():
    tune = "A4:8 C5:8 B4 D5 B4 G4 A4:8 E4:8 D4 G4 B4:8 A4:16"
    key = Key.parse("A natural minor")
    (line,) = chords_for(melody(tune, key))
    assert [line.symbols.split(" | ")[bar] for bar in (0, 1, 3, 4)] == ["Am", "G", "G", "Am"]
    assert all(key.pitch_classes.issuperset(chord.tones) for chord in harmonies_of(key))


def test_every_phrase_closes():
    tune = f"{TWINKLE} G4 G4 F4 F4 E4 E4 D4:8 G4 G4 F4 F4 E4 E4 D4:8 {TWINKLE}"
    (line,) = chords_for(melody(tune, phrases="4+4+4"))
    bars = line.numerals.split(" | ")
    assert [bars[end].split()[-1] for end in (3, 7, 11)] == ["I", "V", "I"]


@pytest.mark.parametrize("semitones", range(-5, 7))
def test_in_every_key_they_are_alike(semitones):
    expected = chords_for(melody(ODE, key="D major"))[0]
    found = chords_for(moved(melody(ODE, key="D major"), semitones))[0]
    assert found.numerals == expected.numerals
    assert found.cost == pytest.approx(expected.cost)


def test_passing_notes_on_weak_places_change_nothing():
    plain, passing = "C4:8 E4:8 F4:16 E4:8 D4:8 C4:16", "C4:6 D4:2 E4:8 F4:16 E4:8 D4:8 C4:16"
    leaping = "C4:6 A4:2 E4:8 F4:16 E4:8 D4:8 C4:16"
    found = [chords_for(melody(tune))[0] for tune in (plain, passing, leaping)]
    assert found[0].symbols == found[1].symbols
    assert found[0].cost < found[1].cost < found[2].cost


def test_other_rows_follow_the_best_one_and_differ():
    tune = melody(TWINKLE)
    found = chords_for(tune, n=4, seed=2)
    assert found[0] == chords_for(tune)[0]
    assert len({line.symbols for line in found}) == 4
    assert [line.cost for line in found] == sorted(line.cost for line in found)
    assert found == chords_for(tune, n=4, seed=2) != chords_for(tune, n=4, seed=3)


# -- chords and places -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [*SCALES, "0,2,3,7,8"])
@pytest.mark.parametrize("tonic", ["F#", "Bb", "A#"])
def test_symbols_have_the_tones_of_their_chords(tonic, mode):
    key = Key(tonic, mode)
    chords = harmonies_of(key)
    for chord in chords:
        read = parse_chord(chord.symbol, key)
        assert (read.root, read.pitch_classes) == (chord.root, set(chord.tones))
        assert read.symbol == chord.symbol
    assert chords[0].root == key.pitch_class
    assert len({frozenset(chord.tones) for chord in chords}) == len(chords)


def test_progressions_are_those_of_the_table():
    chords = {chord.numeral: number for number, chord in enumerate(harmonies_of(Key("C")))}
    grade = grades(Key("C"))
    rated = [
        ("I", "V"),
        ("I", "vi"),
        ("I", "iii"),
        ("V", "I"),
        ("V", "ii"),
        ("vi", "ii"),
        ("V7/V", "V"),
        ("V7/V", "IV"),
        ("I", "V7/V"),
        ("IV", "iii"),
    ]
    assert [int(grade[chords[a], chords[b]]) for a, b in rated] == [
        0,
        1,
        2,
        0,
        2,
        0,
        0,
        NEVER,
        1,
        2,
    ]


@pytest.mark.parametrize(
    "about",
    [
        {"meter": "4/4"},
        {"meter": "3/4", "pickup": 4},
        {"meter": "6/8", "pickup": 2},
        {"meter": "12/8"},
        {"meter": "7/8"},
        {"meter": "3+2+2/8", "pickup": 3},
        {"meter": "4/4", "grid": 12, "pickup": 12},
        {"meter": "5/4"},
    ],
)
@pytest.mark.parametrize("rhythm", ["bar", "half", "beat"])
def test_a_line_of_chords_says_where_each_begins(about, rhythm):
    task = Task(bars=5, low=60, high=79, **about)
    rng = np.random.default_rng(task.bar_cells)
    for _ in range(4):
        tokens = np.ones(task.cells, int)
        begins = np.flatnonzero(rng.random(task.cells) < 0.4)
        tokens[0], tokens[begins] = 0, rng.choice(range(2, 20), len(begins))
        tokens += (tokens > 1) * (task.codec.token(60) - 2)
        model = ChordModel(Score(tokens[None, None], task), rhythm)
        (line,) = model.lines()
        asked = Task(bars=5, low=60, high=79, **about, chords=line.symbols)
        for start, chord in zip(model.starts, line.chords, strict=True):
            heard = set(np.flatnonzero(asked.chord_tones[start]).tolist())
            assert heard == set(chord.tones)


def test_unequal_beats_have_one_chord_a_bar():
    assert places_of_bar(Task(meter="7/8"), 2) == (0,)
    assert places_of_bar(Task(meter="4/4"), 1) == (0, 8)
    assert places_of_bar(Task(meter="3/4"), 1) == (0, 4, 8)
    assert places_of_bar(Task(meter="6/8"), 2) == (0, 6)


def test_what_is_no_melody_is_refused():
    with pytest.raises(ValueError, match="rhythm"):
        chords_for(melody(TWINKLE), "bars")
    with pytest.raises(ValueError, match="voices"):
        chords_for(melody("C4 E4 ; C3 C3"))
    with pytest.raises(ValueError, match="finished"):
        chords_for(Score.page(Task(), 1))
    with pytest.raises(ValueError, match="behind its first bar line"):
        chords_for(melody("C4", pickup=4, bars=2))
