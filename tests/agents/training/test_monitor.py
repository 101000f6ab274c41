"""Diagnostics and evaluations: they see what they should, and training does not see them."""

from dataclasses import replace

import numpy as np
import pytest

from agents import train
from agents.evaluating.sampling import sample_many
from agents.runs.directory import Run
from agents.training import monitor
from agents.training.monitor import WATCHED, Diagnostics
from envs.music.key import Key
from envs.music.score import Score
from envs.music.task import Task
from pretrained.checkpoint import load
from pretrained.corpora.pieces import real_melodies
from rewards import build
from rewards.measures.habits import habits
from rewards.measures.hacking import SIGNS
from tests.agents.helpers import strict, tiny, trained


class Level:
    """A judge that likes high notes; stands in for the one that has to be counted first."""

    def require(self, codec):
        pass

    def per_note(self, score):
        return float(score.tokens.mean())


def pieces(seed, n=64, low=2, high=38):
    return Score(np.random.default_rng(seed).integers(low, high, (n, 1, 32)), Task())


def test_columns_name_what_the_reward_does_not_see():
    row = Diagnostics(Task(), build({"key": -1.0}), Level()).measure(pieces(0))
    assert row["judge"] == pieces(0).tokens.mean()
    assert row["distinct"] == 1
    assert 0 < row["edit_distance"] <= 1
    assert "unrewarded/leap_recovery" in row
    assert "unrewarded/motif" in row
    assert "unrewarded/key" not in row
    assert "unrewarded/in_key" not in row


def test_a_collapse_is_told_once():
    noted = []
    watch = Diagnostics(Task(), build({"key": -1.0}), Level(), noted.append)
    for step in range(40):
        share = max(1, 64 - 3 * step)  # ever fewer different pieces
        score = Score(pieces(step).tokens[np.arange(64) % share], Task())
        row = watch.measure(score) | {"return": 0.5 * step + 0.01 * np.sin(step)}
        watch.watch(256 * step, row)
    assert len(watch.warnings) >= 1
    assert "distinct" in " ".join(watch.warnings)
    assert noted == [f"warning: {text}" for text in watch.warnings]
    assert "the reward may be hacked" in noted[0]


def test_a_resumed_run_remembers_what_the_log_says():
    def row(step):
        score = Score(pieces(step).tokens[np.arange(64) % max(1, 64 - 3 * step)], Task())
        return score, {"steps": 256.0 * step, "return": 0.5 * step}

    straight, resumed = (Diagnostics(Task(), build({"key": -1.0}), Level()) for _ in range(2))
    rows = [dict(r, **straight.measure(score)) for score, r in map(row, range(40))]
    for each in rows:
        straight.watch(int(each["steps"]), each)
    resumed.remember({name: [each[name] for each in rows[:15]] for name in rows[0]})
    for each in rows[15:]:
        resumed.watch(int(each["steps"]), each)
    assert straight.warnings
    assert resumed.monitor.raised == straight.monitor.raised


KEYS = (("C", "major"), ("A", "minor"), ("G", "major"))


@pytest.fixture(scope="module")
def folk():
    return load()


@pytest.fixture(scope="module")
def drawn(folk):
    return sample_many(folk, Task(), 640, 1).tokens


def paid_for(share, exploit, update, drawn):
    """Return pieces of the prior, of which a share has an exploit."""
    tokens = drawn[np.random.default_rng(update).choice(len(drawn), 64, replace=False)]
    tokens[: int(64 * share)] = exploit(tokens)[: int(64 * share)]
    return Score(tokens, Task())


def trill(tokens):
    """Keep the rhythm and the first note of each piece, and write a trill."""
    for line in tokens[:, 0]:
        at = np.flatnonzero(line > 1)
        if len(at):
            line[at] = line[at[0]] + 2 * (np.arange(len(at)) % 2)
    return np.minimum(tokens, 37)


def silent_end(tokens):
    tokens[:, :, 16], tokens[:, :, 17:] = 0, 1
    return tokens


def one_rhythm(tokens):
    """Give every pitch of a piece the same length, and repeat them to its end."""
    for line in tokens[:, 0]:
        line[::2], line[1::2] = np.resize(line[line > 1], 16), 1
    return tokens


def copied_bar(tokens):
    tokens[:, :, 16:] = tokens[:, :, :16]
    return tokens


def cadence(tokens):
    tokens[:, :, 20:] = [19, 1, 18, 1, 16, 1, 14, 1, 14, 1, 1, 1]
    return tokens


def corpus_tune(tokens):
    """Replace pieces by tunes that differ from each other."""
    return real_melodies(Task(), 64).tokens.astype(int)


@pytest.mark.parametrize(
    ("exploit", "sign"),
    [
        (trill, "interval_entropy"),
        (silent_end, "sounding"),
        (one_rhythm, "rhythm_entropy"),
        (copied_bar, "new_bars"),
        (cadence, "close"),
        (corpus_tune, "own_notes"),
    ],
)
def test_a_planted_exploit_is_named_before_all_pieces_have_it(exploit, sign, folk, drawn):
    watch = Diagnostics(Task(), build({"tonic": 1.0}), None, prior=folk)
    named = None
    for update in range(24):
        score = paid_for(min(1.0, update / 16), exploit, update, drawn)
        row = watch.measure(score) | {"return": update / 4}
        if watch.watch(2048 * update, row) and sign in watch.monitor.raised and named is None:
            named = update
    assert named is not None
    assert named <= 18  # the mean of four updates, the first of them with 15/16 of the pieces
    assert SIGNS[sign].says in " ".join(watch.warnings)


def test_pieces_of_the_prior_raise_no_flag_whatever_they_are_paid(folk, drawn):
    watch = Diagnostics(Task(), build({"tonic": 1.0}), None, prior=folk)
    for update in range(40):
        score = paid_for(0.0, np.array, update, drawn)
        assert not watch.watch(2048 * update, watch.measure(score) | {"return": float(update)})


def test_a_warning_shows_the_notes_of_the_commonest_figure(folk, drawn):
    watch = Diagnostics(Task(), build({"tonic": 1.0}), None, prior=folk)
    for update in range(8):
        row = watch.measure(paid_for(1.0, cadence, update, drawn)) | {"return": 3.0 + update}
        watch.watch(update, row)
    assert "100% of the latest pieces have this figure: F4:2 E4:2 D4:2 C4:2 C4" in watch.warnings[0]
    assert "many pieces end with the same notes" in watch.warnings[0]


def test_the_prior_s_pieces_are_drawn_once_for_each_task_and_kept_in_the_log(folk):
    reward = build({"tonic": 1.0})
    watch = Diagnostics(Task(), reward, None, prior=folk)
    short = sample_many(folk, Task(), 16, 0)
    row, again = watch.measure(short), watch.measure(sample_many(folk, Task(), 16, 1))
    other = Task(bars=1)
    beside = watch.measure(sample_many(folk, other, 16, 0))
    prior = {name for name in row if name.startswith("prior/")}
    assert prior == {f"prior/{name}" for name in (*WATCHED, "return", "spread")} - {"prior/judge"}
    assert all(row[name] == again[name] for name in prior)
    assert row["prior/edit_distance"] != beside["prior/edit_distance"]
    drawn = sample_many(folk, Task(), 64, monitor.SEED)
    assert row["prior/return"] == pytest.approx(reward(drawn).sum(axis=(1, 2)).mean(), rel=1e-6)
    parts = [habits(part)["close"] for part in drawn.chunks(16)]
    assert row["prior/close"] == pytest.approx(np.mean(parts))


def test_keys_of_one_mode_have_the_prior_s_pieces_in_common(folk):
    tasks = [Task(key=Key(tonic, mode), bars=bars) for bars in (1, 2) for tonic, mode in KEYS]
    watch = Diagnostics(tasks[0], build({"tonic": 1.0}), None, prior=folk, tasks=tasks)
    seen = {}
    for task in reversed(tasks):
        row = watch.measure(sample_many(folk, task, 8, 0))
        seen[task.bars, str(task.key)] = row["prior/return"], row["prior/vendi"]
    assert seen[1, "C major"] == seen[1, "G major"]
    assert len(set(seen.values())) == 4  # modes and lengths
    short = Diagnostics(tasks[0], build({"tonic": 1.0}), None, prior=folk, tasks=tasks[:1] * 5)
    row = short.measure(sample_many(folk, tasks[0], 8, 0))
    assert seen[1, "C major"] == (row["prior/return"], row["prior/vendi"])  # not the one seen first


def test_a_resumed_run_keeps_the_words_of_its_warnings(folk, drawn):
    def rows(watch):
        for update in range(20):
            score = paid_for(min(1.0, update / 8), cadence, update, drawn)
            yield {"steps": 64.0 * update, **watch.measure(score), "return": update / 2}

    straight, resumed = (Diagnostics(Task(), build({"tonic": 1.0}), None, prior=folk) for _ in "ab")
    seen = []
    for row in rows(straight):
        straight.watch(int(row["steps"]), row)
        seen.append(row)
    assert straight.warnings
    columns = {name: [row[name] for row in seen] for name in seen[0]}
    resumed.remember(columns, straight.warnings)
    assert resumed.warnings == straight.warnings
    early = Diagnostics(Task(), build({"tonic": 1.0}), None, prior=folk)
    early.remember({name: column[:2] for name, column in columns.items()}, straight.warnings)
    assert early.warnings == []  # those of rows that are written anew come again


def test_evaluations_keep_the_best_policy_and_change_nothing(tiny_checkpoint, tmp_path):
    base = tiny(tiny_checkpoint, tmp_path, n_timesteps=5 * 256, samples=0)
    plain = trained(replace(base, name="plain", eval_freq=-1))
    watched = trained(replace(base, name="watched", eval_freq=256, eval_episodes=50))
    for column, values in plain.read_metrics().items():
        assert watched.read_metrics()[column] == values, column
    rows = watched.read_metrics(watched.evaluations_file)
    assert rows["steps"] == [256, 512, 768, 1024]
    assert not (plain.path / "best.safetensors").exists()

    best = load(watched.best_file)
    config = watched.config
    score = sample_many(best, Task(), 50, config.seed + 1)
    reward = build(config.reward_spec)
    own = best.log_prob(score).sum(axis=(1, 2))
    reached = (reward(score).sum(axis=(1, 2)) - config.entropy * own).mean()
    assert reached == pytest.approx(max(rows["objective"]), rel=1e-4)


def test_a_policy_that_does_not_move_has_one_objective_while_the_weights_do(
    tiny_checkpoint, tmp_path
):
    config = tiny(tiny_checkpoint, tmp_path, n_timesteps=6 * 256, eval_freq=256, samples=0)
    still = replace(config, learning_rate=1e-12, entropy=0.1, entropy_end=3.0)
    run = trained(still)
    reached = run.read_metrics(run.evaluations_file)["objective"]
    assert len(reached) == 5
    assert reached == pytest.approx([reached[0]] * 5, rel=1e-5)


def test_under_a_budget_no_policy_is_called_the_best(tiny_checkpoint, tmp_path):
    config = tiny(tiny_checkpoint, tmp_path, eval_freq=256, kl_budget=0.1, samples=0)
    run = trained(config)
    assert run.read_metrics(run.evaluations_file)
    assert not run.best_file.exists()


def test_a_run_resumed_with_a_judge_it_began_without_goes_on(
    tiny_checkpoint, tmp_path, monkeypatch
):
    run = trained(tiny(tiny_checkpoint, tmp_path, samples=0))
    monkeypatch.setattr(monitor, "load_judge", lambda codec: Level())
    trained(replace(run.config, n_timesteps=16 * 256, judge=True), run.path)
    columns = run.read_metrics()
    assert len(columns["steps"]) == 16
    assert "judge" not in columns


def test_what_an_agent_learned_behind_it_plays_behind(tiny_checkpoint, tmp_path):
    config = tiny(tiny_checkpoint, tmp_path, algo="maskable_ppo", mask=("key",), eval_pieces=200)
    run = trained(config)
    rows = strict(run.path / "report.json")["columns"]
    assert rows["agent"]["notes not in key"] == 0 < rows["prior"]["notes not in key"]


def test_without_the_songs_a_run_goes_on(tiny_checkpoint, tmp_path, monkeypatch, capsys):
    def missing(codec):
        raise FileNotFoundError("music21 is installed without its corpus")

    monkeypatch.setattr(monitor, "load_judge", missing)
    config = tiny(tiny_checkpoint, tmp_path, n_timesteps=256, judge=True)
    assert train.show(config) == 0
    run = Run(tmp_path / "tiny")
    assert "judge" not in run.read_metrics()
    assert "edit_distance" in run.read_metrics()
    assert "no held-out judge" in capsys.readouterr().err
