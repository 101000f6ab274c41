"""Key, chords and form that are asked for are kept, judged from the notes; or one line says why."""

from dataclasses import replace

import pytest

from agents import compose
from agents.composing import METHODS, Bars, Composer, Request, Theme
from agents.composing.asked import RULES, asked_demands, given_as_it_returns
from agents.composing.demands import keep
from agents.composing.masks import offered, permitted
from agents.composing.request import ASKED
from envs.music.codec import HOLD, REST
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from rewards.build import build
from rewards.functions import cellwise
from tests.asked_for import departures, foreign_to_chords, foreign_to_key

# Each with the chords of every bar in symbols, as the judge reads them.
REQUESTS = {
    "AABA": ({"key": "D minor", "chords": "i iv V7 i", "phrases": "AABA"}, "Dm | Gm | A7 | Dm"),
    "variant": ({"key": "G", "chords": "G | C D7 | G | D", "phrases": "A2 A'2"}, ""),
    "three": (
        {"key": "Bb mixolydian", "chords": "Bb Ab", "phrases": "ABAC", "bars": 4, "meter": "3/4"},
        "",
    ),
    "pickup": ({"key": "E dorian", "chords": "Em A", "phrases": "AB", "pickup": 4}, ""),
    "compound": (
        {"meter": "6/8", "key": "A minor", "chords": "Am E7", "phrases": "ABA'C", "bars": 8},
        "",
    ),
    "other chords when it returns": ({"key": "C", "chords": "C G Am F", "phrases": "A2 A2"}, ""),
    "uneven": ({"key": "F# major", "chords": "F#", "phrases": "A1 B1 A2", "meter": "7/8"}, ""),
}


@pytest.fixture(scope="module")
def composer(tiny_prior):
    """A composer of the tiny prior, made of objects alone."""
    task = Task(bars=4, meter="2/4", low="C4", high="E5")
    return Composer(tiny_prior, {"in_key": 1.0}, policy=tiny_prior, task=task)


def notes_of(melody):
    return [(note.start, note.duration, note.pitch) for note in melody.piece.notes]


def wrong(melody, asked, chords=""):
    """Return the faults that an independent judge finds, by the name of the demand."""
    task, notes = melody.score.task, notes_of(melody)
    line = chords or asked.get("chords", "")
    line = line if "|" in line else line.replace(" ", " | ")
    found = {
        "key": foreign_to_key(notes, asked["key"]),
        "chords": foreign_to_chords(notes, line, str(task.meter), task.pickup, task.grid),
        "phrases": departures(notes, task.phrases, task.bars, str(task.meter), task.grid),
    }
    return {name for name, each in found.items() if each}


@pytest.mark.parametrize(("asked", "chords"), REQUESTS.values(), ids=REQUESTS)
def test_key_chords_and_form_are_kept_in_every_melody(composer, asked, chords):
    melodies = composer.compose(**asked, n=3, candidates=2)
    assert len({str(melody) for melody in melodies}) == 3
    for melody in melodies:
        assert notes_of(melody)
        assert not wrong(melody, asked, chords)
        told = f"kept: key {melody.score.task.key}, chords {asked['chords']}, phrases "
        assert melody.report.lines[1] == told + asked["phrases"]
        assert f"% {told}" in melody.abc()


def test_without_the_demands_none_of_it_is_kept(composer):
    asked, chords = REQUESTS["AABA"]
    found = [wrong(m, asked, chords) for m in composer.compose(**asked, n=5, wish=ASKED)]
    assert set().union(*found) == set(ASKED)
    assert not composer.compose(**asked, wish=ASKED)[0].report.kept


@pytest.mark.parametrize("wish", ASKED)
def test_a_wish_is_weighed_and_the_rest_kept(composer, wish):
    asked, chords = REQUESTS["AABA"]
    found = [wrong(m, asked, chords) for m in composer.compose(**asked, n=5, wish=[wish])]
    assert set().union(*found) == {wish}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "guided-infill"])
def test_every_method_keeps_it(composer, method):
    asked, chords = REQUESTS["AABA"]
    sizes = {"width": 60, "best_of": 3, "candidates": 2, "mask": ["repeated_notes"]}
    melodies = composer.compose(**asked, n=2, method=method, must=["leap_size"], **sizes)
    assert len(melodies) == 2
    for melody in melodies:
        assert not wrong(melody, asked, chords)
        assert not build("leap_size")(melody.score).any()
        assert melody.report.kept[-1] == "leap_size"


def test_masks_are_kept_where_demands_leave_a_choice(composer):
    asked = {"key": "C", "phrases": "AABA", "method": "masked", "n": 5, "seed": 3}
    repeats = [
        sum(build("leap_recovery")(m.score).sum() for m in composer.compose(**asked, mask=[mask]))
        for mask in ("leap_recovery", "leap_size")
    ]
    assert abs(repeats[0]) < abs(repeats[1])


def test_triplets_and_two_voices(tiny_prior):
    task = Task(bars=4, meter="2/4", voices=2, low="C4", high="E5", key="Eb", phrases="AABA")
    page = Score.page(task, 1)
    found = keep(tiny_prior, page, asked_demands(("key", "phrases"), {}, task), 5)
    for row in range(5):
        for voice in range(2):
            notes = task.codec.decode(found.pieces.tokens[row, voice])
            notes = [(note.start, note.duration, note.pitch) for note in notes]
            assert not foreign_to_key(notes, "Eb")
            assert not [pair for pair in departures(notes, "AABA", 4, "2/4") if "B" not in pair]


# -- what is asked for -----------------------------------------------------------------------------


def test_only_what_is_named_is_demanded(composer):
    theme = Piece.of(score_from_text("C4 E4 G4 E4 C4 G4 E4 C4", low="C4", high="E5"))
    assert Request(bars=2).demanded == ()
    assert Request(key="C", wish=["chords"]).demanded == ("key",)
    assert Request(chords="C F", phrases="AB", wish=["chords"]).demanded == ("phrases",)
    assert Request(task=Task()).demanded == ("key",)
    assert Request(task=Task(phrases="AA"), wish=["key"]).demanded == ("phrases",)
    assert Request(given=Bars(theme, {1})).demanded == ()
    assert Request(given=Bars(theme, {1}), key="C").demanded == ("key",)
    assert Request(given=Theme(theme), key="C", phrases="AA").demanded == ()
    assert tuple(RULES) == ASKED
    assert composer.compose()[0].report.kept == ()


def test_no_phrase_of_letters_alone_has_a_single_bar():
    task = Task(bars=4)
    assert Request(phrases="AABA").task_on(task).bars == 16
    assert Request(phrases="AB").task_on(task).bars == 4
    assert Request(phrases="AABA", bars=4).task_on(task).bars == 4
    assert Request(phrases="AABA", chords="C F G C").task_on(task).bars == 4


def test_a_plan_that_names_its_bars_says_how_long_the_piece_is():
    base = Task(bars=4)
    assert Request(phrases="A4 A'4").task_on(base).bars == 8
    with pytest.raises(ValueError, match="the piece has 4"):
        Request(phrases="A4 A'4", bars=4).task_on(base)


def test_a_forced_token_is_the_only_one_offered(tiny_prior):
    task = Task(bars=2, meter="2/4", phrases="AA", low="C4", high="E5")
    demands = asked_demands(("phrases",), {}, task)
    pieces = keep(tiny_prior, Score.page(task, 1), demands, 4).pieces
    score = Score.page(task, 4)
    for cell in range(8):
        score = score.write(pieces.tokens[:, 0, cell])
    free, forced = offered(score, demands)
    assert forced.all()
    assert free.argmax(axis=1).tolist() == pieces.tokens[:, 0, 0].tolist()
    assert free.sum() == permitted(score, demands).sum() == 4
    assert offered(score, {})[0].sum() == score.allowed().sum()


def test_a_repeat_costs_no_piece_its_place_however_unlikely(tiny_prior):
    task = Task(bars=8, meter="2/4", phrases="A4 A4", low="C4", high="E5")
    found = keep(tiny_prior, Score.page(task, 1), asked_demands(("phrases",), {}, task), 20)
    first_bars = {tuple(row[0][:24]) for row in found.pieces.tokens.tolist()}
    assert len(first_bars) >= 15  # not all of them descend from one


# -- with cells that are given ---------------------------------------------------------------------


def test_given_bars_are_given_wherever_they_come_back(composer):
    given = [[*[-1] * 8, 14, 1, 16, 1, 18, 1, 1, 1, *[-1] * 16]]
    (melody,) = composer.compose(given=given, phrases="AABA", candidates=2)
    tokens = melody.score.tokens[0, 0].reshape(4, 8)
    assert tokens[1].tolist() == given[0][8:16]
    assert (tokens[[0, 1, 3], :4] == [14, 1, 16, 1]).all()
    free = given_as_it_returns(Task(bars=4, phrases="AABA"))
    assert free == Task(bars=4, phrases="AABA")


def test_silence_is_alike_however_it_is_written():
    given = [*[REST] * 4, 14, 1, 1, 1, *[REST] * 2, *[HOLD] * 2, 14, 1, 1, 1]
    task = given_as_it_returns(Task(bars=2, meter="2/4", phrases="AA", given=[given]))
    assert task.page[0].tolist()[8:12] == [REST] * 4
    other = [*given[:12], 16, 1, 1, 1]
    assert given_as_it_returns(Task(bars=2, meter="2/4", phrases="AA'", given=[other]))


def test_a_primer_comes_back_too(composer):
    (melody,) = composer.compose(primer="C4:2 E4:2", bars=4, phrases="AABA", candidates=2)
    assert (melody.score.tokens[0, 0].reshape(4, 8)[[0, 1, 3], :4] == [14, 1, 18, 1]).all()


@cellwise
def not_late(score):
    return (score.is_last & (score.previous_onset < 0)) * 1.0


ONE = [14, *[1] * 7]
IMPOSSIBLE = {
    "form": ({"phrases": "AABA", "bars": 3}, "3 bars cannot be.*4 equal.*multiple of 4 bars"),
    "chord": ({"key": "C", "chords": "C F# C C"}, r"no note of F# \(bar 2\) is in C.*--wish key"),
    "range": ({"key": "C", "range": "C#4-C#4"}, "no note of C major lies.*--wish key"),
    "given": ({"key": "C", "given": [[15, *[-1] * 31]]}, "Db4|C#4 in bar 1 is given.*--wish key"),
    "given chord": (
        {"chords": "G", "given": [[*[-1] * 8, *ONE, *[-1] * 16]]},
        "C4 in bar 2 is given and not in the chord.*--wish chords",
    ),
    "given form": (
        {"phrases": "AABA", "given": [[*ONE, 16, *[1] * 7, *[-1] * 16]]},
        "bars 1 and 2 are given and differ.*AABA.*--wish phrases",
    ),
    "held": (
        {"phrases": "AABA", "given": [[*[-1] * 4, 14, 1, 1, 1, *[1] * 8, *[-1] * 16]]},
        "a note is held into a given bar.*--wish phrases",
    ),
    "primer": ({"key": "C", "primer": "C#4"}, "the primer breaks --key.*--wish key"),
    "primer's form": (
        {"phrases": "AABA", "bars": 4, "primer": "C4 C4 D4"},
        "breaks --phrases.*--wish phrases",
    ),
    "must": ({"key": "C", "must": ["never"]}, "unknown reward 'never'"),
    "wish": ({"key": "C", "wish": ["keys"]}, "Did you mean 'key'.*key, chords, phrases"),
    "beam": ({"must": [not_late], "method": "beam", "width": 1}, "not_late.*larger `width`"),
}


@pytest.mark.parametrize(("asked", "word"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_what_cannot_be_kept_is_refused_in_one_line(composer, asked, word):
    with pytest.raises(ValueError, match=word) as error:
        composer.compose(**asked)
    assert "\n" not in str(error.value)


def test_what_was_refused_can_be_had_as_a_wish(composer):
    for name in ("chord", "given", "given form", "primer"):
        asked = IMPOSSIBLE[name][0]
        assert composer.compose(**asked, wish=ASKED, candidates=2)
    theme = Theme(Piece.of(score_from_text("C4 E4 G4 E4", low="C4", high="E5")))
    with pytest.raises(ValueError, match="wish: cannot be asked for with a theme"):
        composer.compose(given=theme, method="prior", wish=["key"])


def test_the_command_says_what_is_kept(tiny_checkpoint, tmp_path, capsys):
    asked = {"key": "A minor", "chords": "Am E7", "phrases": "AABA", "range": "A4-A5", "bars": 4}
    usual = {"method": "prior", "prior": str(tiny_checkpoint), "n": 1, "candidates": 2}
    for name, wish, told in (
        ("a", (), "key A minor, chords Am E7, phrases AABA"),
        ("b", ("chords",), "key A minor, phrases AABA"),
    ):
        out = tmp_path / name
        compose.compose(compose.ComposeConfig(out=out, wish=wish, sound=False, **asked, **usual))
        assert f"kept in each: {told}\n" in capsys.readouterr().out
        assert f"kept: {told}\n" in (out / "melodies.txt").read_text()


def test_demands_of_ones_own_see_a_form_that_is_kept(composer):
    task = replace(composer.task, phrases="AABA", chords="C G", key="C")
    demands = asked_demands(("chords", "phrases"), {}, task)
    lost = demands["--chords"].rule.lost
    starts = score_from_text("E4:8 D4:8 G4:8 C4:8", low="C4", high="E5", meter="2/4")
    found = lost(Score(starts.tokens, task))[0, 0, ::8]
    assert found.tolist() == [True, False, False, True]  # E and C are foreign to G
    assert asked_demands(("chords",), {}, task)["--chords"].rule.lost is None


def test_a_rule_that_is_asked_for_twice_is_kept_once(composer):
    (melody,) = composer.compose(key="D", must=["in_key", "leap_size,largest=7"], candidates=2)
    assert melody.report.kept == ("key D major", "leap_size")
