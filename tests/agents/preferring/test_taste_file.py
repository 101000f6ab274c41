"""A taste in words and as a reward; features; questions in a terminal."""

import subprocess
import tomllib

import numpy as np
import pytest

from agents.preferring import listening
from agents.preferring.comparisons import Comparisons, read_comparisons, written_comparison
from agents.preferring.features import TRAITS, Features, feature_spec
from agents.preferring.listening import PAIRS, ask, find_player, read_answer, write_pairs
from agents.preferring.questions import Questions, draw, taste_of
from agents.preferring.taste import Taste
from agents.preferring.taste_file import MORE, as_toml, in_words
from agents.settings.config import TrainConfig, from_mapping, to_toml
from envs.errors import RefusedError
from envs.music.score import Score
from envs.music.task import Task
from rewards.build import build
from rewards.rule import REGISTRY
from rewards.spec import read_reward_file
from tests.helpers import random_pieces

TASK = Task(bars=4, low="C4", high="A5")


@pytest.fixture(scope="module")
def pool():
    return random_pieces(TASK, 120, seed=5)


@pytest.fixture(scope="module")
def features(pool):
    return Features.of(pool)


def liked_by(pool, worth, n, seed=0, answer=("left", "right")):
    rng = np.random.default_rng(seed)
    pairs = np.stack([rng.permutation(pool.batch)[:2] for _ in range(n)])
    better = worth[pairs[:, 0]] > worth[pairs[:, 1]]
    return Comparisons(
        pool.take(pairs[:, 0]), pool.take(pairs[:, 1]), tuple(np.where(better, *answer).tolist())
    )


# -- features --------------------------------------------------------------------------------------


def test_features_are_the_rules_that_apply_and_traits(features):
    spec = feature_spec(TASK)
    rules = {n for n, r in REGISTRY.items() if r.violation and r.judges(TASK)}
    assert set(spec) == rules | set(TRAITS)
    assert set(features.names) | set(features.constant) == set(spec)
    assert "chord_tones" not in spec
    assert "chord_tones" in feature_spec(Task(bars=1, chords="C"))
    assert set(spec) <= MORE.keys()
    assert feature_spec(TASK, "folk")["surprise"] == {"weight": 1.0, "checkpoint": "folk"}


def test_features_are_sums_of_the_terms_in_standard_deviations(pool, features):
    found = features.measure(pool)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-9)
    for name in ("syncopation", "note_rate"):
        sums = np.asarray(REGISTRY[name](pool)).sum(axis=(1, 2))
        place = features.names.index(name)
        expected = (sums - sums.mean()) / sums.std()
        np.testing.assert_allclose(found[:, place], expected, atol=1e-5)


def test_a_feature_that_never_varies_is_left_out_and_told():
    score = random_pieces(Task(bars=1), 40, seed=0)
    silent = Score(np.zeros_like(score.tokens), score.task)
    with pytest.raises(ValueError, match="none of"):
        Features.of(silent)
    some = Features.of(score, {"note_rate": 1.0, "planned_climax": 1.0})  # of four bars and more
    assert (some.names, some.constant) == (("note_rate",), ("planned_climax",))


def test_pieces_of_another_task_are_refused(features):
    with pytest.raises(ValueError, match="expected finished pieces"):
        features.measure(random_pieces(Task(bars=1), 2, seed=0))


# -- in words and in TOML --------------------------------------------------------------------------


def made(features, **weights):
    values = np.array([weights.get(name, 0.0) for name in features.names])
    return Taste(features, values, values, np.full(len(values), 0.3), values != 0, 150, 0.75)


def test_a_taste_is_told_in_words(features):
    words = in_words(made(features, climax_place=1.2, syncopation=-0.8))
    first, second, third, *_, last = words.split("\n")
    assert first == "likes late climaxes 1.2 +- 0.3"
    assert second == "dislikes syncopation 0.8 +- 0.3"
    assert third.startswith("cannot tell yet: ")
    assert third.endswith(f"and {len(features.names) - 10} more")
    assert "75%" in last
    assert in_words(made(features)).startswith("nothing is certain yet")


def test_the_reward_of_a_taste_pays_what_pieces_are_worth(pool, features, tmp_path):
    taste = made(features, climax_place=1.2, syncopation=-0.8, rest_share=0.5)
    file = tmp_path / "taste.toml"
    file.write_text(as_toml(taste))
    assert set(read_reward_file(file)) == {"climax_place", "syncopation", "rest_share"}
    assert "# +1.2 +- 0.3, late climaxes" in file.read_text()
    for reward in (build({str(file): 1.0}), build(TrainConfig(reward=(f"{file}=1",)).terms)):
        paid = reward(pool).sum(axis=(1, 2))
        worth = taste.worth(pool)
        np.testing.assert_allclose(paid - paid.mean(), worth - worth.mean(), atol=2e-3)
    assert tomllib.loads(file.read_text())["reward"]["rest_share"] < 0  # a liking for a violation


def test_surprise_keeps_its_checkpoint_and_is_no_prior_of_the_objective(
    pool, tiny_checkpoint, tmp_path
):
    from rewards.objective import find_prior

    features = Features.of(pool, {"surprise": {"weight": 1.0, "checkpoint": str(tiny_checkpoint)}})
    file = tmp_path / "taste.toml"
    file.write_text(as_toml(made(features, surprise=0.5)))
    reward = build({str(file): 1.0})
    assert find_prior(reward.terms.values()) is None
    nats = -reward.terms["surprise"].rule.fn.likelihood(pool).mean(axis=(1, 2))
    np.testing.assert_allclose(
        features.measure(pool)[:, 0], (nats - nats.mean()) / nats.std(), atol=1e-4
    )


def test_a_run_writes_down_what_the_file_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "taste.toml"
    file.write_text("[reward]\nin_key = 2.0\nleap_size = { weight = 1.0, largest = 7 }\n")
    config = TrainConfig(reward=("prior=1", "taste.toml=0.5", "note_rate=3"))
    leap = {"weight": 0.5, "largest": 7}
    assert config.terms == {"prior": 1, "in_key": 1.0, "leap_size": leap, "note_rate": 3}
    file.unlink()
    again = from_mapping(tomllib.loads(to_toml(config)), "test")
    assert again.terms == config.terms


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"no table \[reward\]"),
        ("[reward]\n", r"no table \[reward\]"),
        ("reward = 3\n", r"no table \[reward\]"),
        ("[reward\n", "taste.toml"),
        ("[reward]\n'mine.py:f' = 1.0\n", "code"),
        ("[reward]\n'other.toml' = 1.0\n", "code or a file"),
        ("[reward]\nin_key = 'x'\n", "finite number"),
        ("[reward]\nin_kye = 1.0\n", "Did you mean 'in_key'"),
    ],
)
def test_files_that_are_no_reward(tmp_path, text, told):
    file = tmp_path / "taste.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=told):
        build({str(file): 1.0})


def test_files_beside_other_terms(tmp_path):
    file, other = tmp_path / "taste.toml", tmp_path / "other.toml"
    file.write_text("[reward]\nin_key = 2.0\n")
    other.write_text("[reward]\nin_key = 1.0\noverall_rise = 1.0\n")
    assert build({str(file): 1.0, "in_key": 7.0}).terms["in_key"].weight == 7.0
    with pytest.raises(ValueError, match="twice"):
        build({str(file): 1.0, str(other): 1.0})
    with pytest.raises(ValueError, match="weight only"):
        build({str(file): {"weight": 1.0, "largest": 3}})
    with pytest.raises(ValueError, match="no file"):
        build({str(tmp_path / "none.toml"): 1.0})


# -- fitting comparisons ---------------------------------------------------------------------------


def test_a_clear_taste_is_found(pool, features):
    worth = features.measure(pool)[:, features.names.index("note_rate")]
    taste = taste_of(liked_by(pool, worth, 80))
    assert in_words(taste).startswith("likes many notes")
    assert taste.agreement > 0.8
    other = taste_of(liked_by(pool, worth, 80, answer=("right", "left")))
    assert in_words(other).startswith("dislikes many notes")


def test_too_few_or_contradicting_comparisons(pool, features):
    worth = features.measure(pool)[:, 0]
    with pytest.raises(ValueError, match="at least 10"):
        taste_of(liked_by(pool, worth, 9))
    one = liked_by(pool, worth, 20)
    both = Comparisons(
        Score(np.concatenate([one.left.tokens] * 2), TASK),
        Score(np.concatenate([one.right.tokens] * 2), TASK),
        (*one.liked, *({"left": "right", "right": "left"}[liked] for liked in one.liked)),
    )
    with pytest.raises(ValueError, match="contradict each other.* 40 of them"):
        taste_of(both)
    with pytest.raises(ValueError, match="contradict"):
        taste_of(Comparisons(one.left, one.right, ("tie",) * 20))


# -- questions -------------------------------------------------------------------------------------


def test_questions_go_on_where_a_file_ends(pool, features, tmp_path):
    file = tmp_path / "mine.jsonl"
    first = Questions(pool, features, file)
    for liked in ("left", "tie", "neither"):
        (pair,) = first.next()
        first.answer(pair, liked)
    again = Questions(pool, features, file)
    assert {frozenset(p) for p in again.asked} == {frozenset(p) for p in first.asked}
    np.testing.assert_array_equal(again.choices.left, first.choices.left)
    np.testing.assert_array_equal(again.choices.answers, [0, 2, 3])
    (pair,) = again.next()
    assert frozenset(pair) not in {frozenset(p) for p in first.asked}
    with pytest.raises(ValueError, match="unknown answer"):
        again.answer(pair, "maybe")
    assert len(read_comparisons(file).liked) == 3


def test_a_file_that_no_answer_could_be_appended_to_is_refused_before_anything_is_asked(
    pool, features, tmp_path
):
    file, tune = tmp_path / "mine.jsonl", "X:1\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|cBAG|FEDC|\n"
    file.write_text(written_comparison({"abc": tune}, {"abc": tune}, "tie"))
    assert read_comparisons(file, pool.task).liked == ("tie",)
    with pytest.raises(RefusedError, match="first line"):
        Questions(pool, features, file)


@pytest.mark.parametrize(
    ("word", "answer"),
    [("l", "left"), ("RIGHT", "right"), ("t ", "tie"), ("n", "neither"), ("q", "quit"),
     ("a", "again"), ("", ""), ("x", ""), ("leftish", "")],
)  # fmt: skip
def test_answers_may_be_shortened(word, answer):
    assert read_answer(word) == answer


def test_a_terminal_asks_until_somebody_quits(pool, features, tmp_path, monkeypatch):
    questions, said, played = Questions(pool, features, tmp_path / "mine.jsonl"), [], []
    monkeypatch.setattr(listening, "play", lambda player, file: played.append(file.name) or True)
    words = iter(["l", "what", "r", "again", "tie", "quit"])
    answered = ask(questions, tmp_path, said.append, lambda _: next(words), ("player",))
    assert answered == 3
    assert read_comparisons(tmp_path / "mine.jsonl").liked == ("left", "right", "tie")
    assert played == ["left.wav", "right.wav"] * 5
    assert (tmp_path / "left.wav").read_bytes()[:4] == b"RIFF"
    assert str(tmp_path / "right.wav") in " ".join(said)


def test_a_closed_terminal_quits_and_a_player_that_fails_is_left_alone(pool, features, tmp_path):
    def closed(_):
        raise EOFError

    said = []
    assert ask(Questions(pool, features), tmp_path, said.append, closed, ("/no/player",)) == 0
    assert sum("does not play" in line for line in said) == 1


def test_the_system_s_player_is_found_by_name(monkeypatch):
    monkeypatch.setattr(listening.shutil, "which", lambda name: f"/bin/{name}" * (name == "aplay"))
    assert find_player() == ("/bin/aplay", "-q")
    monkeypatch.setattr(listening.shutil, "which", lambda name: None)
    assert find_player() == ()

    def fails(*arguments, **options):
        raise subprocess.TimeoutExpired("aplay", 1)

    monkeypatch.setattr(listening.subprocess, "run", fails)
    assert not listening.play(("aplay",), listening.Path("x.wav"))


def test_pairs_are_written_to_be_filled_in(pool, features, tmp_path):
    pairs = write_pairs(Questions(pool, features), 3, tmp_path)
    file = tmp_path / PAIRS
    assert {path.suffix for path in tmp_path.iterdir()} == {".abc", ".wav", ".jsonl"}
    assert len(list(tmp_path.iterdir())) == 13
    file.write_text(file.read_text().replace('"?"', '"left"'))
    found = read_comparisons(file)
    numbers = [number for number, _ in pairs]
    np.testing.assert_array_equal(found.left.tokens, pool.tokens[numbers])


def test_a_prior_writes_different_pieces(tiny_prior):
    found = draw(tiny_prior, Score.page(Task(bars=1), 30), seed=2)
    assert len(np.unique(found.tokens, axis=0)) == found.batch >= 2
    full = random_pieces(Task(bars=1), 1, seed=0).tokens
    page = Score(np.repeat(full, 5, axis=0), Task(bars=1), written=0)
    with pytest.raises(ValueError, match="all the same"):
        draw(tiny_prior, page)
