"""Voices of a choir around given ones: what stays, what is kept, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.compose import ComposeConfig, compose
from agents.composing.composer import Composer
from agents.composing.parts.harmonise import HARD, Harmonisation, choir
from agents.composing.parts.tonic_ends import tonic_ends
from envs.music.codec import FIRST_PITCH, HOLD, UNWRITTEN
from envs.music.piece import notes_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation import read_piece
from pretrained.prior import ILLEGAL
from rewards.functions import cellwise
from rewards.rules.harmony import chord_tones
from rewards.rules.rhythm import levels_at
from tests.rewards.rules import slow_voices

HEAD = "X:1\nT:Tune\nM:4/4\nL:1/4\nQ:1/4=96\nK:G\n"
TUNE = "G A B G|c B A2|B c d B|A F G2|"
MARKED = '"G"G A "Em"B G|"Am"c B "D"A2|"G"B c "C"d B|"D"A F "G"G2|'
BASS = "G, D, G,, B,|A, G, D,2|G, E, D, G,|D, D, G,,2|"
RANGES = {"soprano": (60, 81), "alto": (55, 74), "tenor": (48, 69), "bass": (40, 62)}


@pytest.fixture
def tune(tmp_path):
    def write(*lines):
        file = tmp_path / "tune.abc"
        voices = "".join(f"V:{number}\n{line}\n" for number, line in enumerate(lines, 1))
        file.write_text(HEAD + (voices if len(lines) > 1 else lines[0]))
        return str(file)

    return write


def harmonised(file, n=1, **keywords):
    asked = {key: keywords.pop(key) for key in ("seed", "candidates", "must") if key in keywords}
    source = Harmonisation.read(file, **keywords)
    melodies = choir().compose(source.request(n=n, **{"candidates": 2, **asked}))
    return source, melodies


class AnyNotes:
    """A prior to which all tokens are equally likely but for holds, which are likelier."""

    path, hears_ahead = "any", True

    def require(self, task):
        pass

    def start(self, task, batch):
        return None

    def step(self, state, score):
        logits = np.zeros((score.batch, score.task.codec.vocab), np.float32)
        logits[:, HOLD] = 5
        logits[~score.grammar()] = ILLEGAL
        return torch.from_numpy(logits), state

    def take(self, state, rows):
        return state


def pitches(score, voice):
    return [(note.start, note.pitch) for note in notes_of(score) if note.voice == voice]


@pytest.mark.parametrize(
    ("lines", "given"),
    [
        ((TUNE,), ["soprano"]),
        ((TUNE.replace("c", "C").replace("d", "D").upper(),), ["alto"]),
        ((BASS,), ["bass"]),
        ((TUNE, BASS), ["soprano", "bass"]),
    ],
)
def test_given_voices_stay_and_the_others_keep_the_rules(tune, lines, given):
    source, melodies = harmonised(tune(*lines), n=2, given=given)
    assert len(melodies) == 2
    for melody in melodies:
        score = melody.score
        assert score.task.voices == 4
        for voice, name in enumerate(source.names):
            found = pitches(score, voice)
            if name in given:
                row = given.index(name)
                own = [(note.start, note.pitch) for note in source.piece.notes if note.voice == row]
                assert found == own
            else:
                low, high = RANGES[name]
                assert found
                assert all(low <= pitch <= high for _, pitch in found)
        lines = [[note for note in notes_of(score) if note.voice == v] for v in range(4)]
        for name in ("parallel_fifths", "parallel_octaves", "voice_crossing"):
            assert not getattr(slow_voices, name)(lines, score.task), name
        assert set(HARD) <= set(melody.report.kept)
        assert (melody.title, melody.tempo) == ("Tune", 96)


def test_the_plain_choir_ends_on_the_tonic_and_sings_chords(tune):
    _, (melody,) = harmonised(tune(TUNE))
    score = melody.score
    assert score.sounding[0, 3, -1] % 12 == 7
    assert {pitch % 12 for pitch in score.sounding[0, :, -1]} <= {7, 11, 2}


@pytest.mark.parametrize(("key", "tonic", "thirds"), [("G", 7, {11}), ("Em", 4, {7, 8})])
def test_the_ends_are_the_tonic_in_root_position(tune, key, tonic, thirds):
    file = tune("G A B G|c B A2|B c d B|A F G2|" if key == "G" else "E F G A|B A G F|E2 D2|^D2 E2|")
    source = Harmonisation.read(file, changes={"key": key})
    composer = Composer(AnyNotes(), {"voice_spacing": 1.0})  # the rule alone leads it
    for melody in composer.compose(source.request(n=4, candidates=1)):
        sounding = melody.score.sounding[0]
        onset = max(note.start for note in source.piece.notes)
        assert {pitch % 12 for pitch in sounding[:, 0]} <= {tonic, (tonic + 7) % 12, min(thirds)}
        assert sounding[3, 0] % 12 == tonic
        assert set(sounding[3, onset:] % 12) == {tonic}
        assert {pitch % 12 for pitch in sounding[:, -1]} <= {tonic, (tonic + 7) % 12, *thirds}
        assert "tonic_ends" in melody.report.kept


def test_ends_are_free_where_the_melody_allows_no_tonic_or_it_is_lifted(tune):
    off = Harmonisation.read(tune("A A B G|c B A2|B c d B|A F A2|"))
    assert tonic_ends(off.task) is None
    lifted = Harmonisation.read(tune(TUNE), allow=["tonic_ends"])
    assert all(isinstance(name, str) for name in lifted.request().must)
    assert tonic_ends(lifted.task) is not None


def test_ends_are_on_the_tonic_unless_the_chords_say_otherwise(tune):
    _, (melody,) = harmonised(tune(MARKED))
    assert "tonic_ends" in melody.report.kept
    assert set(melody.score.sounding[0, 3, [0, -1]] % 12) == {7}
    other = Harmonisation.read(tune(TUNE), changes={"chords": "Em | Am D | G C | D Em"})
    assert tonic_ends(other.task) is None
    half = Harmonisation.read(tune(TUNE), changes={"chords": "Em | Am D | G C | D G"})
    (melody,) = choir().compose(half.request(candidates=2))
    assert melody.score.sounding[0, 3, -1] % 12 == 7


def test_notes_on_strong_places_belong_to_the_chords_but_for_what_is_given(tune):
    chords = "G Em | Am D | G C | D G"
    file = tune(TUNE)
    _, (melody,) = harmonised(file, changes={"chords": chords})
    task, score = melody.score.task, melody.score
    strong = levels_at(task, np.arange(task.cells)) <= 1
    assert chord_tones(score)[0, 0].any()  # the given voice breaks it, and stays
    for voice in (1, 2, 3):
        for start, pitch in pitches(score, voice):
            assert not strong[start] or task.chord_tones[start, pitch % 12]
    assert f"chords {chords}" in melody.report.kept


def test_chord_symbols_of_the_file_are_kept_unless_they_are_a_wish_or_left_aside(tune):
    chords = "G Em | Am D | G C | D G"
    source, (melody,) = harmonised(tune(MARKED))
    _, (said,) = harmonised(tune(TUNE), changes={"chords": chords})
    assert source.piece.chords == melody.score.task.chords == chords
    np.testing.assert_array_equal(melody.score.tokens, said.score.tokens)
    assert f"chords {chords}" in melody.report.kept
    assert Harmonisation.read(tune(MARKED), changes={"chords": "C"}).task.chords == "C"
    assert Harmonisation.read(tune(MARKED), changes={"chords": "auto"}).task.chords == ""
    (weighed,) = choir().compose(source.request(wish=["chords"], candidates=2))
    assert weighed.score.task.chords == chords
    assert not any(line.startswith("chords") for line in weighed.report.kept)


@pytest.mark.parametrize("wish", ["key", "phrases", "chords"])
def test_a_wish_without_effect_is_refused(tune, wish):
    with pytest.raises(ValueError, match=f"{wish} has no effect as a wish"):
        Harmonisation.read(tune(TUNE)).request(wish=[wish])


def test_a_choir_of_three_and_a_rule_that_may_be_broken(tune):
    source, (melody,) = harmonised(tune(TUNE), voices="SAB", allow=["unresolved_seventh"])
    assert source.names == ("soprano", "alto", "bass")
    assert melody.score.task.voices == 3
    assert "unresolved_seventh" not in melody.report.kept


def test_a_voice_of_a_whole_choir_stays_and_the_others_are_written_anew(tune):
    _, (first,) = harmonised(tune(TUNE))
    source = Harmonisation(first.piece, ["alto"])
    (again,) = choir().compose(source.request(seed=5, candidates=2))
    assert pitches(again.score, 1) == pitches(first.score, 1)
    assert pitches(again.score, 2) != pitches(first.score, 2)


def test_the_same_seed_gives_the_same_voices(tune):
    one, two = (harmonised(tune(TUNE), seed=3)[1][0] for _ in range(2))
    np.testing.assert_array_equal(one.score.tokens, two.score.tokens)


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "asked", "words"),
    [
        (("[GB] A B G|",), {}, "top"),
        (("z4|z4|",), {}, "note"),
        (("G, A B G|",), {}, "G3 in bar 1 .* soprano"),
        (("G A B G|c' d' e' B|",), {}, "bar 2"),
        ((TUNE, BASS), {}, "2 voices"),
        ((TUNE, BASS), {"given": ["alto", "soprano"]}, "highest"),
        (("G E G E|", "D G D2|"), {"given": ["soprano", "alto"]}, "voice_crossing.*beat 2"),
        (
            ("G A B G|", "C D E C|"),
            {"given": ["soprano", "alto"]},
            "parallel_fifths.*bar 1, beat 2",
        ),
        ((TUNE,), {"given": ["descant"]}, "descant"),
        ((TUNE,), {"voices": "BAS"}, "SATB"),
        ((TUNE,), {"voices": "S"}, "two or more"),
        ((TUNE,), {"allow": ["voice_spacing"]}, "allow"),
        ((TUNE,), {"given": list(RANGES)}, "every voice"),
        ((TUNE,), {"changes": {"bars": 3}}, "bars"),
    ],
)
def test_what_stands_in_the_way_is_said(tune, lines, asked, words):
    with pytest.raises(ValueError, match=words):
        Harmonisation.read(tune(*lines), **asked)


@cellwise
def silent_second_bar(score):
    """Where a free voice is written in the second bar."""
    free = score.task.free[score.voice, score.cell]
    return (free & score.written & (score.bar == 1)).astype(np.float32)


def test_a_voice_that_cannot_be_served_is_told_with_rule_and_bar(tune):
    with pytest.raises(ValueError, match=r"silent_second_bar [0-9,]+ \(most in bar 2\)"):
        harmonised(tune(TUNE), must=[silent_second_bar], voices="SB")


def test_the_command_writes_four_voices_and_says_who_wrote_them(tune, tmp_path, capsys):
    out = tmp_path / "out"
    asked = {"harmonise": tune(TUNE), "out": out, "n": 1, "candidates": 2}
    compose(ComposeConfig(**asked, pictures=False, sound=False))
    told = capsys.readouterr().out
    assert "style: plain" in told
    assert "wrote 1 piece to" in told
    assert "T:Tune" in (out / "melody-01.abc").read_text()
    assert "parallel_fifths" in told
    piece = read_piece(out / "melody-01.musicxml")
    assert piece.voices == 4
    assert [note.pitch for note in piece.notes if note.voice == 0][:4] == [67, 69, 71, 67]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"bars": 4}, "--bars"),
        ({"method": "beam"}, "--method"),
        ({"range": "C4-A5"}, "--range"),
        ({"lock": "a.abc:1"}, "--lock"),
        ({"style": "bach"}, "--style"),
    ],
)
def test_flags_that_contradict_a_file_are_refused(tune, tmp_path, asked, words):
    with pytest.raises(ValueError, match=words):
        compose(ComposeConfig(harmonise=tune(TUNE), out=tmp_path / "out", **asked))
    assert not (tmp_path / "out").exists()


def test_flags_of_a_choir_need_a_file():
    with pytest.raises(ValueError, match="--given-voice"):
        ComposeConfig(given_voice=("bass",))


# -- the plain choir as a prior --------------------------------------------------------------------


def test_the_plain_choir_is_a_distribution_and_needs_a_voice():
    prior = choir().prior
    task = Task(bars=1, voices=2, ranges="C4-A5 E2-D4", chords="C")
    state = prior.start(task, 3)
    logits, _ = prior.step(state, Score.page(task, 3))
    allowed = Score.page(task, 3).allowed()
    assert logits.shape == allowed.shape
    assert (logits.numpy()[~allowed] < -1e8).all()
    likely = logits.softmax(dim=1).numpy()[0]
    tones = {(token - FIRST_PITCH + task.codec.low) % 12 for token in np.flatnonzero(likely > 0.01)}
    assert tones <= {0, 4, 7}
    with pytest.raises(ValueError, match="given"):
        prior.require(replace(task, chords=""))
    assert UNWRITTEN not in task.page[task.page >= 0]


def test_the_plain_style_sings_a_chord_in_an_upbeat():
    hymn = Harmonisation.read("examples/hymn.abc", part=1)
    (melody,) = choir().compose(hymn.request(n=1, candidates=1))
    upbeat = melody.score.pitch[0, :, 0] % 12
    assert set(upbeat.tolist()) <= {7, 11, 2}
