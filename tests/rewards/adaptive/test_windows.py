"""Parts of tunes that stand beside an agent's pieces: where they are cut, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from envs.music.task import Task
from envs.notation.text_line import score_from_text, text
from pretrained.corpora.chorales import Chorale, Chorales
from pretrained.corpora.folk import FOLK2, load_corpus
from pretrained.corpora.tunes import GridTune
from rewards.adaptive import windows
from rewards.adaptive.windows import chorale_parts, parts, real_parts

BAR = 16
SHORT, LONG = Task(), Task(bars=8, low="C4", high="A5")


def tune(words, pickup=0, meter=(4, 4), tonic=0):
    """Return a tune of a line of notes, without the rest of its last bar."""
    cells = sum(int(word.partition(":")[2] or 4) for word in words.split())
    tokens = score_from_text(words).tokens[0, 0, :cells]
    position = ((np.arange(cells) - pickup) % BAR).astype(np.int16)
    return GridTune(tokens.astype(np.int16), position, meter, tonic, "")


EIGHT = "C4 D4 E4 F4 G4 A4 B4 C5 " * 4


def test_a_short_piece_stands_beside_the_opening_without_its_pickup():
    found = parts([tune("G4 " + EIGHT, pickup=4)], SHORT)
    assert text(found) == "C4 D4 E4 F4 G4 A4 B4 C5"


def test_a_pickup_that_is_asked_for_is_kept():
    found = parts([tune("G4 " + EIGHT, pickup=4)], replace(SHORT, pickup=4))
    assert text(found).startswith("G4 C4 D4 E4")
    assert parts([tune(EIGHT)], replace(SHORT, pickup=4)) is None


def test_a_long_piece_stands_beside_parts_with_an_ending():
    first = "C4 D4 E4 F4 G4 A4 B4 C5 " * 3 + "C4 D4 E4 F4 G4 B4"
    second = "C4 D4 E4 F4 G4 A4 B4 G4 " * 3 + "C4 D4 E4 F4 G4 F4 E4"
    found = parts([tune(f"G4 {first} C5 G4 {second}", pickup=4)], LONG)
    assert [text(each) for each in found.chunks(1)] == [f"{second}:8", f"{first} C5:8"]
    unfinished = parts([tune(f"G4 {first} B4 G4 {second}", pickup=4)], LONG)
    assert text(unfinished) == f"{second}:8"  # the eighth bar ends on the seventh degree


def test_they_are_moved_to_key_and_range():
    task = Task(key="G major", low="G4", high="B5")
    found = parts([tune(EIGHT)], task)
    assert found.task == task
    assert found.pitch[0, 0, 0] == 67
    assert parts([tune(EIGHT)], Task(low="C4", high="G4")) is None  # it spans an octave


@pytest.mark.parametrize(
    "task",
    [
        Task(key="A minor"),
        Task(meter="3/4"),
        Task(voices=2),
        Task(grid=8),
        Task(given=((2, *[-1] * 31),)),
    ],
    ids=["mode", "metre", "voices", "grid", "given"],
)
def test_other_tasks_have_none_of_them(task):
    assert parts([tune(EIGHT)], task) is None


def test_only_the_training_part_is_learned_from():
    known = load_corpus(FOLK2)
    training, held_out = real_parts(SHORT), real_parts(SHORT, splits=("valid", "test"))
    assert training.batch == parts(known.select("train"), SHORT).batch > 1000
    assert held_out.batch > 100


def chorale(text, **fields):
    score = score_from_text(text, **fields)
    return Chorale(score.tokens[0], score.task, "a chorale")


LINES = ("C5 D5 E5 F5 G5:16 E5:16", "G4:8 A4:24 G4:16", "E4:16 D4:16 C4:16", "C3:20 B2:12 C3:16")


def test_parts_of_chorales_begin_in_any_bar_in_key_and_ranges():
    bach = chorale(" ; ".join(LINES))
    task = Task(bars=2, voices=2, key="D major", ranges="D4-A5 E2-D3")
    found = chorale_parts([bach, bach], task)
    assert [text(piece) for piece in found.chunks(1)] == [
        "D5 E5 F#5 G5 A5:16 ; D3:20 C#3:12",
        "A5:16 F#5:16 ; r C#3:12 D3:16",
    ]
    assert chorale_parts([bach], Task(bars=2, voices=2, key="D", ranges="D4-A5 D3-D4")) is None
    for other in ({"key": "D minor"}, {"meter": "3/4"}, {"grid": 8}):
        assert chorale_parts([bach], replace(task, **other)) is None
    assert chorale_parts([bach], Task(bars=1, voices=5)) is None
    assert (
        chorale_parts([bach], Task(bars=1, voices=3, low=36)).batch == 2
    )  # alto: no note in bar 2


def test_several_voices_are_referred_to_chorales(monkeypatch):
    with pytest.raises(ValueError, match="number of voices.*chorales"):
        real_parts(Task(voices=2))
    several = [chorale(" ; ".join(LINES), key=key) for key in ("C major", "A major")]
    known = Chorales(tuple(replace(each, split="valid") for each in several), {})
    monkeypatch.setattr(windows, "load_chorales", lambda: known)
    monkeypatch.setattr(windows, "FEWEST", 4)
    task = Task(bars=1, voices=4, low=36, high=81)
    assert real_parts(task, "chorales", ("valid",)).batch == 4
    with pytest.raises(ValueError, match="none"):
        real_parts(task, "chorales", ("train",))


def test_a_metre_that_the_corpus_lacks_is_refused():
    with pytest.raises(ValueError, match="7/8.*data=FOLDER"):
        real_parts(Task(meter="7/8"))


def test_tunes_of_ones_own(tmp_path):
    for number in range(24):
        notes = " ".join("CDEFGAB"[(number + n * (number // 7 + 1)) % 7] for n in range(16))
        (tmp_path / f"{number}.abc").write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{notes}|\n")
    assert real_parts(SHORT, str(tmp_path)).batch >= 20
    with pytest.raises(ValueError, match="none in 3/4"):
        real_parts(Task(meter="3/4"), str(tmp_path))
