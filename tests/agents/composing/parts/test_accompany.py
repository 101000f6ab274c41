"""A bass under a melody: its chords, its rules by another count, and what cannot be accompanied."""

from dataclasses import replace

import numpy as np
import pytest

from agents.composing.parts.accompany import Accompaniment
from agents.composing.parts.bass import BASS_TONES, BassPrior, places
from envs.music.codec import REST
from envs.music.piece import Piece, notes_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import parse_voices
from pretrained.prior import sample
from tests.agents.composing.parts.melodies import TWINKLE, melody
from tests.helpers import nats_by_steps, writing_order

WALTZ = "D4 G4:8 B4 D5:8 B4 A4:8 F#4 G4:8"


def piece(line, **fields):
    return Piece.of(melody(line, **fields), title="A Tune", tempo=90)


@pytest.fixture(scope="module")
def twinkle():
    return Accompaniment(piece(TWINKLE)).compose(n=3, seed=4)


def sounds(score, voice):
    """Pitch that sounds in each cell of a voice, None for silence."""
    found = [None] * score.task.cells
    for note in notes_of(score):
        if note.voice == voice:
            found[note.start : note.start + note.duration] = [note.pitch] * note.duration
    return found


def test_the_melody_stays_and_a_bass_begins_with_each_chord(twinkle):
    assert len({str(each) for each in twinkle}) == 3
    for composed in twinkle:
        score = composed.score
        assert (composed.title, composed.tempo) == ("A Tune", 90)
        own = [(n.start, n.duration, n.pitch) for n in notes_of(score) if n.voice == 0]
        assert own == [(n.start, n.duration, n.pitch) for n in piece(TWINKLE).notes]
        bass = {note.start: note.pitch for note in notes_of(score) if note.voice == 1}
        assert None not in sounds(score, 1)
        last = None
        for start, chord in score.task.chord_starts:
            if chord != last:
                thirds = {(chord.root + 3) % 12, (chord.root + 4) % 12} & chord.pitch_classes
                assert bass[start] % 12 in {chord.root, *thirds}
            last = chord
        assert bass[max(bass)] % 12 == 0 == bass[0] % 12
        assert all(40 <= pitch <= 62 for pitch in bass.values())


def test_there_are_no_parallels_and_no_crossing(twinkle):
    for composed in twinkle:
        upper, lower = (sounds(composed.score, voice) for voice in (0, 1))
        for cell in range(1, len(upper)):
            now, before = upper[cell] - lower[cell], upper[cell - 1] - lower[cell - 1]
            both = upper[cell] != upper[cell - 1] and lower[cell] != lower[cell - 1]
            assert now >= 0
            assert not (both and now % 12 == before % 12 and now % 12 in (0, 7))


def test_the_same_seed_gives_the_same_bass(twinkle):
    again = Accompaniment(piece(TWINKLE)).compose(n=3, seed=4)
    assert [str(each) for each in again] == [str(each) for each in twinkle]


def test_a_pickup_has_no_bass():
    asked = Accompaniment(piece(WALTZ, key="G major", meter="3/4", pickup=4, bars=4))
    (composed,) = asked.compose()
    assert composed.score.tokens[0, 1, :4].tolist() == [REST] * 4
    assert composed.score.onset[0, 1, 4]


def test_given_chords_and_inversions_are_kept():
    asked = Accompaniment(piece(TWINKLE), chords="C/E | F C | G7/B C | I6 V")
    for composed in asked.compose(n=2):
        bass = {note.start: note.pitch % 12 for note in notes_of(composed.score) if note.voice == 1}
        assert [bass[cell] for cell in (0, 32, 48)] == [4, 11, 4]
        assert composed.score.task.chords == "C/E | F C | G7/B C | I6 V"


def test_lead_sheets_have_no_other_voice():
    found = Accompaniment(piece(TWINKLE)).lead_sheets(n=3)
    assert [each.number for each in found] == [1, 2, 3]
    assert {each.score.task.voices for each in found} == {1}
    assert len({each.score.task.chords for each in found}) == 3
    assert '"F"' in found[0].abc()
    assert len(Accompaniment(piece(TWINKLE), chords="C F G C").lead_sheets(n=3)) == 1


def test_a_low_melody_has_a_lower_bass():
    low = " ".join(f"{word[0]}3{word[2:]}" for word in TWINKLE.split())
    assert Accompaniment(piece(low)).task.spans[1] == (28, 50)
    lowest = " ".join(f"{word[0]}1{word[2:]}" for word in TWINKLE.split())
    with pytest.raises(ValueError, match="too low"):
        _ = Accompaniment(piece(lowest)).task


@pytest.mark.parametrize(
    ("line", "more", "word"),
    [
        ("C4", {}, "1 notes"),
        ("C4 E4 ; C3 C3", {}, "2 voices"),
        (TWINKLE, {"rhythm": "often"}, "rhythm"),
        (TWINKLE, {"chords": "C H7"}, "H7"),
        (TWINKLE, {"chords": "C | F | G | C | C"}, "5 bars"),
        (TWINKLE, {"chords": "C", "rhythm": "beat"}, "given"),
        (TWINKLE, {"phrases": "4+4"}, "8 bars"),
    ],
)
def test_what_cannot_be_accompanied_is_refused(line, more, word):
    with pytest.raises(ValueError, match=word):
        Accompaniment(piece(line), **more)


# -- the rule and the prior ------------------------------------------------------------------------


@pytest.fixture
def page():
    return Task(bars=2, voices=2, chords="C | G C", ranges="C4-C6 E2-D4")


def bass(task, line):
    """The values of the rule for a bass of notes, cells in which it is broken."""
    voices, _ = parse_voices(f"C5:16 D5:8 C5:8 ; {line}", 4)
    tokens = np.stack([task.codec.encode(notes, task.cells) for notes in voices])
    return np.flatnonzero(BASS_TONES(Score(tokens[None], task))[0, 1]).tolist()


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("C3:16 G2:8 C3:8", []),
        ("C3:16 B2:8 C3:8", [16]),  # the last dominant stands on its root
        ("E3:16 G2:8 C3:8", [0]),  # so does the first chord
        ("C3:8 D3:8 G2:8 C3:8", [8]),  # foreign, on a half bar
        ("C3:12 D3 G2:8 C3:8", []),  # foreign, and passing
        ("C3:16 G2:16", [24]),
        ("C3:16 G2:8 C3 r", [28]),
    ],
)
def test_what_the_bass_may_sound(page, line, broken):
    assert bass(page, line) == broken


def test_the_prior_is_one_of_its_task(page):
    prior = BassPrior(page)
    pieces = sample(prior, Score.page(page, 4), seed=3)
    steps = zip(nats_by_steps(prior, pieces), writing_order(pieces), strict=True)
    told = [logits.numpy()[np.arange(4), tokens] for logits, tokens in steps]
    nats = prior.log_prob(pieces).transpose(2, 1, 0).reshape(-1, 4)
    assert np.allclose(nats, told, atol=1e-5)
    assert (BASS_TONES(pieces) == 0).mean() > 0.95
    logits, _ = prior.step(prior.start(page, 4), Score.page(page, 4))
    assert np.allclose(logits.exp().sum(dim=1), 1, atol=1e-5)
    assert places(page)[0].tones == {0}
    with pytest.raises(ValueError, match="chords"):
        BassPrior(replace(page, chords=""))
