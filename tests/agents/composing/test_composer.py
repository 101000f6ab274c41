"""The library behind compose: objects in, melodies out, in a thread, nothing printed."""

import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import compose
from agents.composing import METHODS, Bars, Composer, Request
from agents.composing.demands import breaks
from agents.composing.masks import read_demands
from agents.explaining import explain
from envs import values
from envs.composition import CompositionVectorEnv
from envs.music.key import Key
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from envs.notation.text_line import score_from_text
from rewards.build import build
from rewards.functions import cellwise
from tests.agents.helpers import tiny, trained

RULES = ("in_key", "penalize_repeating", "leap_recovery", "final_tonic")


@pytest.fixture(scope="module")
def composer(tiny_prior):
    """A composer of the tiny prior, made of objects alone."""
    task = Task(bars=2, meter="2/4", low="C4", high="E5")
    return Composer(tiny_prior, {"in_key": 1.0}, policy=tiny_prior, task=task)


def rows(melodies):
    return [tuple(melody.score.tokens[0, 0].tolist()) for melody in melodies]


# -- what a program does ---------------------------------------------------------------------------


def test_the_shipped_composer_in_a_thread_without_a_word(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["a-web-server", "--key", "nonsense"])
    done = []

    def work():
        composer = Composer.load("composer")
        wish = Request(key="F# dorian", meter="6/8", bars=2, n=2, must=["in_key"], candidates=2)
        melodies = composer.compose(wish)
        done.append((composer, melodies, [explain(m.piece, prior=None) for m in melodies]))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    ((composer, melodies, found),) = done
    assert capfd.readouterr() == ("", "")
    assert len(set(rows(melodies))) == 2
    for melody, explanation in zip(melodies, found, strict=True):
        task = melody.score.task
        assert (task.key, str(task.meter), task.bars) == (Key.parse("F# dorian"), "6/8", 2)
        assert (task.low, task.high) == (60, 81)
        assert not build("in_key")(melody.score).any()
        assert not any(message.term == "in_key" for message in explanation.messages)
        assert list(melody.report.paid) == list(composer.objective.reward.terms)
        assert melody.report.searched == pytest.approx(melody.report.total, abs=1e-3)
        assert melody.report.compute.tokens > 0
        assert "notes" in melody.report.likeness.message


def test_a_melody_is_written_in_every_format(composer, tmp_path):
    (melody,) = composer.compose(key="G major", seed=4)
    assert melody.midi()[:4] == b"MThd"
    assert ET.fromstring(melody.musicxml()).tag == "score-partwise"
    assert ET.fromstring(melody.svg()).tag.endswith("svg")
    assert melody.wav()[:4] == b"RIFF"
    assert "K:G\n" in melody.abc()
    assert f"% {melody.report}" in melody.abc()
    assert isinstance(melody.piece, Piece)
    for suffix in (".mid", ".musicxml", ".abc"):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(melody.written(suffix))
        assert read_piece(path, grid=4).notes == melody.piece.notes
    with pytest.raises(ValueError, match=r"\.docx"):
        melody.written(".docx")


def test_in_a_notebook_everything_can_be_read(composer):
    asked = Request(key="G major", seed=4, must=["in_key"])
    assert repr(asked) == "Request(must=('in_key',), seed=4, key='G major')"
    assert repr(Request()) == "Request()"
    assert re.fullmatch(
        "<Composer of .*RecurrentPrior.*: C major, 2/4, 2 bars; .* in_key>", repr(composer)
    )
    (melody,) = composer.compose(asked)
    notes = str(melody)
    assert np.array_equal(
        score_from_text(notes, low="C4", high="E5", meter="2/4").tokens, melody.score.tokens
    )
    assert repr(melody) == f"<Melody 1: {notes}; {melody.report}>"
    assert repr(melody.report) == f"<MelodyReport: {melody.report}>"
    found = explain(melody, prior=None)
    assert found.piece is melody.piece
    assert "Melody 1: G major, 2/4, 2 bars" in repr(found)
    assert "\n" not in repr(found)
    assert str(found).startswith("Melody 1: G major, 2/4, 2 bars")


def test_a_second_melody_loads_nothing(monkeypatch, tiny_checkpoint):
    from pretrained import checkpoint

    reads = []
    read = checkpoint.read
    monkeypatch.setattr(checkpoint, "read", lambda path: reads.append(path) or read(path))
    settings = {"prior": str(tiny_checkpoint), "reward": ("in_key=1", "prior=1")}
    composer = Composer.load(tiny_checkpoint, **settings)
    composer.compose(bars=1, candidates=1)
    assert len(reads) <= 1
    before = len(reads)
    for method in ("sample", "prior", "best-of-n"):
        composer.compose(bars=1, candidates=1, best_of=2, method=method)
        Composer.load(tiny_checkpoint, **settings).compose(bars=1, candidates=1)
    assert len(reads) == before


def test_a_file_that_has_changed_is_loaded_again(tiny_prior, tmp_path):
    from pretrained import checkpoint

    path = tmp_path / "a.safetensors"
    checkpoint.save(path, tiny_prior.net, tiny_prior.codec)
    first = checkpoint.load_once(path)
    assert checkpoint.load_once(str(path)) is first
    checkpoint.save(path, tiny_prior.net, tiny_prior.codec, {"anew": "and longer"})
    assert checkpoint.load_once(path) is not first


# -- the verb is a caller of the library -----------------------------------------------------------


@pytest.mark.parametrize("method", [name for name in METHODS if name != "guided-infill"])
def test_verb_and_library_write_the_same(run, tmp_path, method):
    wish = {"n": 2, "seed": 7, "width": 4, "best_of": 3, "candidates": 2, "method": method}
    wish |= {"key": "D minor", "bars": 1, "range": "C4-A5", "mask": ("in_key",)}
    out = tmp_path / "out"
    compose.compose(
        compose.ComposeConfig(str(run.path), out=out, pictures=False, sound=False, **wish)
    )
    melodies = Composer.load(run.path).compose(**wish)
    for melody in melodies:
        assert (out / f"melody-{melody.number:02d}.mid").read_bytes() == melody.midi()
        assert (out / f"melody-{melody.number:02d}.abc").read_text() == melody.abc()


def test_a_mask_of_the_run_and_the_last_c_of_its_budget_hold(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, samples=0)
    masked = trained(replace(base, name="m", algo="maskable_ppo", mask=("in_key",)))
    for melody in Composer.load(masked.path).compose(n=5):
        assert not build("in_key")(melody.score).any()
    held = trained(replace(base, name="k", kl_budget=0.1, reward=("in_key=1", "prior=1")))
    composer, c = Composer.load(held.path), held.turns()[-1][0]
    assert composer.objective.c == c != 1
    for melody in composer.compose(n=2, method="best-of-n", best_of=2):
        paid = melody.report.paid
        assert melody.report.searched == pytest.approx(paid["in_key"] / c + paid["prior"], rel=1e-3)


def test_code_of_a_run_needs_trust(run, tmp_path, monkeypatch):
    import shutil

    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "theirs"
    shutil.copytree(run.path, copy)
    (tmp_path / "mine.py").write_text("def f(score):\n    return (score.tokens == 1) * 1.0\n")
    config = (copy / "config.toml").read_text()
    (copy / "config.toml").write_text(config.replace("tonic =", '"mine.py:f" ='))
    with pytest.raises(ValueError, match="trust"):
        Composer.load(copy)
    assert "mine.py:f" in Composer.load(copy, trust=True).objective.reward.terms
    assert list(Composer.load(copy, reward=("in_key=1",)).objective.reward.terms) == ["in_key"]


def test_a_key_costs_no_toml_and_no_environment(monkeypatch, tmp_path):
    counts = {"parsed": 0, "built": 0}

    def counted(name, function):
        def call(*arguments, **keywords):
            counts[name] += 1
            return function(*arguments, **keywords)

        return call

    monkeypatch.setattr(values, "parse_toml", counted("parsed", values.parse_toml))
    monkeypatch.setattr(
        CompositionVectorEnv, "__init__", counted("built", CompositionVectorEnv.__init__)
    )
    words = ["prog", "--key", "D minor", "--bars", "1", "-n", "1", "--candidates", "1"]
    words += ["--out", str(tmp_path / "a"), "--no-pictures", "--no-sound"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        compose.main()
    assert ended.value.code == 0
    assert "K:Dm" in (tmp_path / "a" / "melody-01.abc").read_text()
    assert counts == {"parsed": 0, "built": 0}
    assert values.parse_value("0.5") == 0.5
    assert counts["parsed"] == 1


def test_help_does_not_import_torch_nor_does_composing_import_its_compiler():
    code = (
        "import sys; sys.argv = ['compose', '--help']\n"
        "from agents import compose, explain\n"
        "for verb in (compose, explain):\n"
        "    try:\n        verb.main()\n    except SystemExit:\n        pass\n"
        "print('torch' in sys.modules)\n"
        "from agents.composing import Composer\n"
        "for prior in ('folk', 'composer'):\n"
        "    Composer.load(prior).compose(bars=1, n=1, candidates=1)\n"
        "print('torch' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-2:] == ["False", "True False"]


# -- what is asked for is kept ---------------------------------------------------------------------


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 4),
    must=st.lists(st.sampled_from(RULES), unique=True, max_size=3),
    key=st.sampled_from(["C major", "A minor", "Eb dorian", "F# mixolydian"]),
    seed=st.integers(0, 2**31),
)
def test_n_melodies_are_n_and_distinct_and_keep_what_must_names(composer, n, must, key, seed):
    melodies = composer.compose(n=n, must=must, key=key, seed=seed, candidates=3)
    assert len(melodies) == n == len(set(rows(melodies)))
    assert [melody.number for melody in melodies] == list(range(1, n + 1))
    for melody in melodies:
        assert melody.score.task == replace(composer.task, key=Key.parse(key))
        for term in read_demands(must, composer.objective.reward).values():
            assert not breaks(term, melody.score).any()
    again = composer.compose(n=n, must=must, key=key, seed=seed, candidates=3)
    assert rows(again) == rows(melodies)


def test_functions_are_demands_and_wishes_too(composer):
    @cellwise
    def high(score):
        return (score.onset & (score.pitch > 67)).astype(np.float32)

    @cellwise
    def long(score):
        return (score.tokens == 1).astype(np.float32)

    for melody in composer.compose(n=3, must=[high], candidates=3):
        assert max(note.pitch for note in melody.piece.notes) <= 67
    plain = composer.compose(n=1, candidates=8, seed=3)[0]
    wished = composer.compose(n=1, candidates=8, seed=3, wishes={long: 100.0})[0]
    assert list(wished.report.paid) == ["in_key", "long"]
    assert wished.report.paid["long"] > 100 * long(plain.score).sum()
    (named,) = composer.compose(n=1, wishes=["in_key=3", "tonic"], candidates=1)
    assert [term.weight for term in named.report.reward.terms.values()] == [3.0, 1.0]


def test_cells_that_are_given_stay(composer):
    theme = score_from_text("C4 E4 G4 E4 C4 G4 E4 C4", low="C4", high="E5")
    piece = Piece.of(theme)
    (kept,) = composer.compose(given=Bars(piece, {1}), candidates=2)
    assert kept.score.task.bars == 2
    np.testing.assert_array_equal(kept.score.tokens[0, 0, :16], theme.tokens[0, 0, :16])
    assert (kept.score.tokens != theme.tokens).any()
    (anew,) = composer.compose(given=Bars(piece, {1}, rewrite=True), candidates=2)
    np.testing.assert_array_equal(anew.score.tokens[0, 0, 16:], theme.tokens[0, 0, 16:])
    page = Score(np.where(np.arange(32) < 4, theme.tokens, -1), theme.task, written=0)
    (begun,) = composer.compose(given=page, candidates=2)
    np.testing.assert_array_equal(begun.score.tokens[0, 0, :4], theme.tokens[0, 0, :4])
    row = [-1] * 12 + [14, 1, 1, 1]
    (ended,) = composer.compose(given=[row], candidates=2)
    assert ended.score.tokens[0, 0, 12:].tolist() == [14, 1, 1, 1]


def test_a_primer_begins_every_melody(composer):
    for melody in composer.compose(n=2, primer="C4:2 E4:2", candidates=2):
        assert melody.score.tokens[0, 0, :4].tolist() == [14, 1, 18, 1]


# -- what cannot be kept ---------------------------------------------------------------------------


def test_scores_that_cannot_be_given(composer):
    two = Score.page(composer.task, 2)
    with pytest.raises(ValueError, match="2 pieces"):
        composer.compose(given=two)
    with pytest.raises(ValueError, match="task and given both"):
        Request(task=Task(), given=two)
    with pytest.raises(TypeError, match="request or keywords"):
        composer.compose(Request(), n=2)
    with pytest.raises(TypeError, match="request='C major'"):
        composer.compose("C major")


def test_a_composer_without_a_policy_says_what_else_it_can(tiny_prior):
    composer = Composer(tiny_prior, "in_key", task=Task(bars=1))
    with pytest.raises(ValueError, match="needs a policy.*prior, best-of-n, masked, beam"):
        composer.compose()
    with pytest.raises(ValueError, match="'in_keys'.*Did you mean 'in_key'"):
        composer.compose(must=["in_keys"])
    assert len(composer.compose(method="prior", candidates=1)) == 1
    with pytest.raises(FileNotFoundError, match="no checkpoint 'kompser'"):
        Composer.load("kompser")
