"""check_reward: each bad reward is caught with a message of its own; what is built in passes."""

import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from envs.errors import RewardError
from envs.music.noise import noise
from envs.music.task import Task
from pretrained.corpora.pieces import real_melodies
from rewards.build import build, pack_names
from rewards.checking.check_report import PANEL_TASK, RewardWarning, check_reward, examine
from rewards.checking.cost import measure
from rewards.checking.panel import degenerate, rank
from rewards.checking.probes import Trial, broken_promises, is_alone
from rewards.likelihood import Likelihood
from rewards.rule import REGISTRY, pair_rule
from tests.rewards.checking import bad_rewards as bad

# The reward, and what its message must say: what is wrong, and what to do about it.
BROKEN = {
    bad.peeks_ahead: ("is not causal", "Pay it at the end"),
    bad.peeks_near_the_end: ("is not causal: its value at cell 28", "when cell 29 and those"),
    bad.peeks_for_one_pitch: ("is not causal", "Pay it at the end"),
    bad.knows_the_end: ("is not causal: its value at cell 0", "Pay it at the end"),
    bad.uses_the_batch_mean: ("depends on the other pieces of the batch", "never over axis 0"),
    bad.uses_the_row: ("depends on the other pieces of the batch", "never over axis 0"),
    bad.squeezes: ("returned shape (1, 32)", "when asked about one piece alone"),
    bad.counts_unwritten: ("reads unwritten cells", "Unwritten cells hold -1"),
    bad.fails_on_unwritten: ("with 1 of 32 cells written", "Unwritten cells hold -1"),
    bad.remembers: ("keeps state", "keep nothing between calls"),
    bad.echoes_the_call_before: ("keeps state", "keep nothing between calls"),
    bad.counts_its_calls: ("differs per call", "counts its calls"),
    bad.draws: ("differs per call", "draws random numbers"),
    bad.draws_a_little: ("differs per call", "draws random numbers"),
    bad.tells_the_time: ("differs per call", "reads the clock"),
    bad.too_strict: ("is a rule and gave 5", "from 0 to 1"),
    bad.gives_masked_arrays: ("returned MaskedArray", "expected a numpy array"),
    bad.changes_the_task: ("writes into the task", "bars=7"),
    bad.leaves: ("raised SystemExit: 0", "bad_rewards.py:"),
    bad.gives_lists: ("returned list, expected a numpy array", "or (6,) per piece"),
    bad.gives_complex: ("returned ndarray of complex128", "real numbers"),
    bad.gives_words: ("returned ndarray of <U4", "real numbers"),
    bad.nan_on_rests: ("returned nan for piece 0", "The piece was: silence"),
    bad.infinite_on_one_note: ("returned inf for piece 0", "The piece was: silence"),
    bad.mutates: ("writes into the score", "score.pitch.copy()"),
    bad.mutates_by_force: ("writes into the score: tokens was another", "score.tokens.copy()"),
    bad.mutates_the_task: ("writes into the score", "read-only"),
    bad.wrong_shape: ("returned shape (6, 7)", "expected (6, 1, 32) per cell"),
    bad.raises: ("raised KeyError: 'missing'", "bad_rewards.py:"),
    bad.not_picklable: ("cannot be pickled", "not as a lambda"),
    bad.not_cellwise: ("is marked cellwise but gives", "leave the mark out"),
    bad.cellwise_per_piece: ("is marked cellwise but returned one number per piece", "leave"),
}


def short(fn, **settings):
    return check_reward(fn, panel=False, cost=False, **settings)


@pytest.mark.parametrize("fn", BROKEN, ids=lambda fn: fn.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_each_broken_promise_has_its_message(fn):
    with pytest.raises(RewardError) as caught:
        short(fn)
    (message,) = str(caught.value).splitlines()
    assert message.startswith(f"reward term {fn.__name__!r} ")
    for part in BROKEN[fn]:
        assert part in message


@pytest.mark.parametrize("fn", [bad.good, bad.good_per_piece], ids=lambda fn: fn.__name__)
def test_good_rewards_pass(fn):
    assert short(fn).broken == []


def test_the_order_of_the_batch_is_tried_too():
    last = Trial(build(bad.good).terms["good"], Task()).tokens[-1]

    def favours(score):
        return np.full(score.batch, float(score.batch > 1 and (score.tokens[0] == last).all()))

    term = build(favours).terms["favours"]
    assert "depends on the order of the batch" in is_alone(Trial(term, Task()))


def test_a_reward_that_never_answers_is_not_waited_for(monkeypatch):
    def loops(score):
        while True:
            score.batch  # noqa: B018

    monkeypatch.setattr("rewards.checking.probes.PATIENCE", 0.2)
    (said,) = broken_promises(build(loops).terms["loops"], Task())
    assert "raised TimeoutError: no answer after 0.2 s" in said
    assert "test_check_report.py:" in said


def test_a_file_that_leaves_python_is_told_of(tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit(0)\n")
    with pytest.raises(ValueError, match="SystemExit"):
        check_reward(f"{tmp_path}/mine.py:f")


def test_a_network_passes(tiny_prior):
    assert short({Likelihood(checkpoint=tiny_prior): 1.0}).broken == []


@pytest.mark.parametrize("name", REGISTRY)
def test_every_built_in_term_passes(name):
    report = short(name)
    assert ("it works with two voices" in report.notes) == (REGISTRY[name].needs != "voices")


def test_a_rule_between_voices_is_tried_on_several():
    @pair_rule(source="for a test", says="{note} and {other}")
    def peeks(pair):
        later = np.roll(pair.score.onset, -1, axis=-1) if pair.score.is_whole else pair.moves.begins
        return 1.0 * (pair.moves.both & later)

    assert any("voice" in broken for broken in examine(peeks, panel=False, cost=False).broken)
    report = examine("parallel_fifths", cost=False)
    assert report.panel.task.voices == 2
    assert "several voices" in str(report.panel)


@pytest.mark.parametrize("name", pack_names())
def test_every_pack_passes_and_those_of_folk_styles_pay_real_melodies_most(name):
    report = examine(name, cost=False)
    assert report.broken == []
    if name in ("common_practice", "folk_dance", "pentatonic", "rl_tuner"):
        assert report.verdicts == []


def test_a_slow_machine_does_not_turn_the_verdict(monkeypatch):
    slow = measure(build("rl_tuner"), Task(bars=1), {"it": build("rl_tuner")})
    slow = replace(slow, batched=1.0)
    monkeypatch.setattr("rewards.checking.check_report.measure", lambda *args: slow)
    assert examine("rl_tuner", cost=False).verdicts == []


def test_a_function_made_inside_another_cannot_be_sent_to_a_worker():
    def inner(score):
        return np.zeros(score.batch)

    with pytest.raises(RewardError, match="pickled"):
        short(inner)


def test_one_lambda_that_breaks_two_promises_is_told_of_both():
    with pytest.raises(RewardError) as caught:
        short(lambda score: np.roll(score.onset, -1, axis=2) * 1.0)
    first, second = str(caught.value).splitlines()
    assert "not causal" in first
    assert "pickled" in second


@pytest.mark.parametrize(
    ("fn", "verdict"),
    [
        (bad.pays_for_silence, "silence scores above 100% of real melodies: this reward pays for"),
        (bad.pays_for_repetition, "this reward pays for repetition"),
        (bad.pays_for_nothing, "this reward tells none apart"),
    ],
)
def test_the_panel_warns_of_what_is_no_music(fn, verdict):
    with pytest.warns(RewardWarning) as caught:
        report = check_reward(fn, cost=False)
    assert any(verdict in str(each.message) for each in caught)
    assert any(verdict in said for said in report.verdicts)
    with pytest.raises(RewardError, match=verdict):
        check_reward(fn, strict=True, cost=False)


def test_a_rule_alone_is_no_cause_for_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = check_reward("leap_size", strict=True, cost=False)
    assert any("only takes off" in note for note in report.notes)


def test_shares_of_the_panel_are_counted_by_hand():
    panel = rank(lambda score: score.onset.sum(axis=(1, 2)) * 1.0, PANEL_TASK, 50)
    tunes = real_melodies(PANEL_TASK, 50)
    onsets = (tunes.tokens > 1).sum(axis=(1, 2))
    rows = {row.name: row for row in panel.rows}
    assert rows["one repeated note"].paid == 32
    assert rows["one repeated note"].above == (onsets < 32).mean()
    assert rows["silence"].above == 0
    assert rows["random tokens"].paid > 100
    assert [row.paid for row in panel.rows] == sorted((r.paid for r in panel.rows), reverse=True)
    assert "32" in str(panel)


@pytest.mark.parametrize(
    "task", [Task(key="D dorian", meter="3/4", bars=4), Task(low="G4", high="A4"), Task(voices=2)]
)
def test_the_panels_pieces_are_pieces_of_the_task(task):
    for score in [*degenerate(task).values(), noise(task, 0, 3, 5.0)]:
        sounding = score.pitch[score.onset]
        assert ((sounding >= task.low) & (sounding <= task.high)).all()


def test_real_melodies_are_moved_to_the_key_and_stay_in_range():
    home, away = Task(bars=4), Task(key="Eb major", bars=4, low="C4", high="C6")
    for task in (home, away):
        score = real_melodies(task, 40)
        assert score.batch == 40
        outside = ~score.in_scale & score.onset
        assert outside.sum() / score.onset.sum() < 0.05
        assert (score.pitch[score.onset] >= task.low).all()
        assert (score.pitch[score.onset] <= task.high).all()
    pickup = real_melodies(Task(meter="6/8", pickup=2, bars=4))
    assert (pickup.tokens[:, 0, 0] > 1).mean() > 0.9


def test_tunes_of_another_metre_are_none_of_the_tasks_though_their_bars_are_as_long():
    three, six = (real_melodies(Task(meter=meter, bars=4), 10**6) for meter in ("3/4", "6/8"))
    assert three.batch > 20 < six.batch
    assert not {p.tobytes() for p in three.tokens} & {p.tobytes() for p in six.tokens}


@pytest.mark.parametrize("wish", [{"meter": "7/8"}, {"grid": 6}, {"voices": 2}])
def test_where_the_corpus_has_nothing_the_panel_says_so(wish):
    assert real_melodies(Task(**wish)) is None
    report = examine(bad.good, Task(**wish), cost=False)
    assert "The corpus has no " in str(report)


def slow_line(score):
    total = np.zeros(score.batch)
    for row in range(score.batch):
        total[row] = sum(i * i for i in range(20_000))
    return total


def test_the_slowest_line_is_named():
    cost = measure(slow_line, Task(), {"slow_line": slow_line})
    share, line = cost.slowest[0]
    assert share > 0.8
    assert "sum(i * i for i in range(20_000))" in line
    assert "test_check_report.py:" in line
    assert min(cost.alone, cost.batched) > 1e-5  # 20,000 turns of a loop in Python


def test_of_a_sum_the_slowest_term_is_named():
    report = examine({slow_line: 1.0, "in_key": 1.0}, panel=False)
    assert report.cost.slowest[0][1] == "slow_line"


def test_moved_pieces_are_reported():
    assert "without it" in examine("leap_size", panel=False, cost=False).notes[0]
    assert "with their key" in examine("in_key", panel=False, cost=False).notes[0]
    assert "absolute pitch" in examine(sounds_high, panel=False, cost=False).notes[0]


def sounds_high(score):
    return score.pitch / 128


def one_voice_only(score):
    if score.task.voices > 1:
        raise ValueError("melodies only")
    return score.onset * 1.0


def test_two_voices_are_reported_and_asked_for_only_if_wanted():
    assert "melodies only" in str(examine(one_voice_only, panel=False, cost=False))
    with pytest.raises(RewardError, match="melodies"):
        short(one_voice_only, task=Task(voices=2))


def test_a_task_with_given_cells_and_chords_can_be_checked():
    given = ((-1,) * 8 + (14,) + (-1,) * 7,)
    short("chord_tones", task=Task(bars=1, given=given, chords="I"))
    with pytest.raises(RewardError, match="causal"):
        short(bad.peeks_ahead, task=Task(bars=1, given=given, chords="I"))


BAD = "tests/rewards/checking/bad_rewards.py"


def command(*words, module="agents.check"):
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_command_line():
    passed = command("examples/my_rewards.py:arch")
    assert passed.returncode == 0, passed.stderr
    for part in ("keeps the contract", "Cost for 128 cells", "real melodies", "my_rewards.py:"):
        assert part in passed.stdout
    broken = command(f"{BAD}:peeks_ahead")
    assert broken.returncode == 1
    assert f"broken: reward term '{BAD}:peeks_ahead' is not causal" in broken.stdout
    strict = command(f"{BAD}:pays_for_silence", "--strict", "--bars", "4")
    assert strict.returncode == 1
    assert "warning: silence scores above" in strict.stdout
    unknown = command("in_kay")
    assert unknown.returncode == 2
    assert "Did you mean 'in_key'" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_the_old_name_of_the_verb_forwards_to_it_with_a_notice():
    for words in (["--help"], ["in_kay"], []):  # what it finds out is asked of the new name
        old, new = command(*words, module="envs.check"), command(*words)
        assert old.returncode == new.returncode == (0 if "--help" in words else 2)
        notice, _, rest = old.stderr.partition("\n")
        assert "python -m agents.check" in notice
        assert rest == new.stderr
        assert old.stdout.splitlines()[:2] == new.stdout.splitlines()[:2]


def test_help_is_printed_without_the_networks():
    code = (
        "import sys, runpy; sys.argv = ['x', '--help']\n"
        "try: runpy.run_module('agents.check', run_name='__main__', alter_sys=True)\n"
        "finally: assert 'torch' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert "my_rewards.py:swing" in told.stdout
