"""Settings of a run: TOML and command line, there and back."""

import copy
import pickle
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.settings.arguments import parse_arguments
from agents.settings.config import TrainConfig, from_mapping, from_preset, read_toml, to_toml
from envs.music.task import Task
from rewards.spec import parse_term


def reread(config):
    return from_mapping(tomllib.loads(to_toml(config)), "test")


def parse(*words):
    return parse_arguments(list(words))[0]


def test_a_weight_that_is_left_out_is_1():
    assert parse_term("in_key") == ("in_key", 1)
    assert parse_term("a,b.py:f,least=2,names=[1,2]") == (
        "a,b.py:f",
        {"weight": 1, "least": 2, "names": [1, 2]},
    )
    for wrong in ("in_key=", "=2", ""):
        with pytest.raises(ValueError, match="expected name=weight"):
            parse_term(wrong)


# -- there and back --------------------------------------------------------------------------------


def test_the_defaults_come_back_equal(tmp_path):
    (tmp_path / "config.toml").write_text(to_toml(TrainConfig()))
    assert read_toml(tmp_path / "config.toml") == TrainConfig()


def test_everything_changed_comes_back_equal(tmp_path):
    config = TrainConfig(
        n_timesteps=12,
        reward=("my rewards.py:smooth=-0.3", "leap_recovery=0.5,min_leap=7", "prior=1e-05"),
        algo="a2c",
        env="composition/Melody-v0",
        task=(
            "bars=4",
            "meter=3/4",
            "low=C4",
            "key=F# minor",
            "voices=2",
            f"given={list(map(list, GIVEN))}",
        ),
        prior="runs/some where/é",
        name="a name",
        runs=Path("else/where"),
        seed=3,
        learning_rate=1e-6,
        gamma=1,
        settings={"value_gradient": False},
        samples=0,
        progress=False,
    )
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    back = read_toml(tmp_path / "config.toml")
    assert back == config
    assert back.reward_spec == {
        "my rewards.py:smooth": -0.3,
        "leap_recovery": {"weight": 0.5, "min_leap": 7},
        "prior": {"checkpoint": "runs/some where/é", "weight": 1e-05},  # the run's own
    }
    assert back.task == Task("F# minor", "3/4", 4, low=60, voices=2, given=GIVEN)


GIVEN = tuple((token, *[-1] * 47) for token in (20, 0))  # of 48 cells


names = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
specs = st.one_of(names, st.builds("{}.py:{}".format, names, names), st.builds("{}:{}".format,
                  names, names))  # fmt: skip
numbers = st.one_of(st.integers(-1000, 1000), st.floats(allow_nan=False, allow_infinity=False))
printable = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=9)
values = st.one_of(
    numbers,
    st.booleans(),
    printable,
    st.sampled_from(["true", "1", "0x10", "nan", "[1]", "{a = 1}", "'q'", '"q"', "a b", "#", ""]),
    st.lists(st.one_of(st.integers(), st.booleans(), printable), max_size=3),
)
params = st.dictionaries(names.filter(lambda name: name != "weight"), values, max_size=3)


@given(st.dictionaries(specs, st.tuples(numbers, params), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_any_reward_in_toml_survives_the_command_lines_form(table):
    """TOML to settings to TOML: the same weights and parameters, types included."""
    reward = {name: {"weight": weight} | rest for name, (weight, rest) in table.items()}
    config = from_mapping({"reward": reward}, "test")
    again = reread(config)
    assert again == config
    for name, (weight, rest) in table.items():
        setting = config.reward_spec[name]
        expected = {"weight": weight} | rest if rest else weight
        assert setting == expected
        assert repr(setting) == repr(expected)  # 1, 1.0 and True are equal, "1" is not


@given(
    st.lists(
        st.builds(
            lambda name, weight, rest: ",".join(
                [f"{name}={weight}", *(f"{key}={value}" for key, value in rest.items())]
            ),
            specs,
            numbers,
            st.dictionaries(names.filter(lambda name: name != "weight"), numbers, max_size=3),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda text: text.partition("=")[0],
    )
)
@settings(deadline=None, max_examples=60)
def test_any_reward_on_the_command_line_comes_back_as_written(reward):
    config = TrainConfig(reward=tuple(reward))
    assert reread(config) == config
    assert reread(config).reward_spec == config.reward_spec


# -- the command line ------------------------------------------------------------------------------


def test_no_arguments_are_the_preset():
    assert parse_arguments([]) == (from_preset(), None)
    reference = ["--preset", "reference"]
    annealed = replace(TrainConfig(), entropy=0.53, entropy_end=0.87)
    assert parse(*reference) == annealed
    own = parse(*reference, "--reward", "prior=1", "in_key=2")
    assert (own.entropy, own.last_entropy) == (1, 1)  # a reward of one's own is in nats
    alone = parse(*reference, "--entropy", "2")
    assert (alone.entropy, alone.last_entropy) == (2, 2)


def test_a_name_that_would_be_read_as_a_parameter_is_refused():
    with pytest.raises(
        ValueError, match=r"'mine.py:s,mooth': expected a name that does not end in"
    ):
        from_mapping({"reward": {"mine.py:s,mooth": -0.3}}, "test")
    config = from_mapping({"reward": {"my,rewards.py:smooth": -0.3}}, "test")
    assert config.reward_spec == {"my,rewards.py:smooth": -0.3}


def test_reward_terms_and_task_arguments():
    words = ["rl_tuner=0.5", "leap_recovery=0.5,min_leap=7", "prior", "x.py:f=-2"]
    task = ["bars=4", "meter=3/4", "low=C4"]
    config = parse("--preset", "reference", "--reward", *words, "--task", *task)
    assert config.reward_spec == {
        "rl_tuner": 0.5,
        "leap_recovery": {"weight": 0.5, "min_leap": 7},
        "prior": 1,
        "x.py:f": -2,
    }
    assert config.task == Task(bars=4, meter="3/4", low="C4")


def test_parameters_may_be_paths_lists_and_booleans():
    config = TrainConfig(
        reward=("prior=1,checkpoint=runs/a,b/x.safetensors,floor=-5", "f.py:g=2,on=true,at=[1,2]")
    )
    assert config.reward_spec == {
        "prior": {"weight": 1, "checkpoint": "runs/a,b/x.safetensors", "floor": -5},
        "f.py:g": {"weight": 2, "on": True, "at": [1, 2]},
    }


def test_n_is_the_number_of_steps():
    assert parse("-n", "123").n_timesteps == 123
    assert parse("--n-timesteps", "123").n_timesteps == 123
    assert parse("--no-progress").progress is False


def test_a_config_file_gives_the_defaults_and_flags_change_them(tmp_path):
    path = tmp_path / "mine.toml"
    base = TrainConfig(seed=5, n_envs=8, reward=("tonic=2",), task=("bars=1",), gamma=0.5)
    path.write_text(to_toml(base))
    assert parse("--config", str(path)) == base
    assert parse("--config", str(path), "--seed", "6") == replace(base, seed=6)
    assert parse("--seed", "6", f"--config={path}", "-n", "7") == replace(
        base, seed=6, n_timesteps=7
    )
    assert parse("--config", str(path), "--reward", "key=1").reward == ("key=1",)


def test_a_config_file_need_not_say_everything(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('seed = 3\ngamma = 1\n[reward]\nprior = 1.0\n"f.py:g" = 0.3\n')
    expected = TrainConfig(seed=3, gamma=1.0, reward=("prior=1.0", "f.py:g=0.3"))
    assert read_toml(path) == expected
    assert isinstance(read_toml(path).gamma, float)


def test_resume_takes_the_runs_own_settings(tmp_path):
    base = TrainConfig(seed=5, n_timesteps=100)
    (tmp_path / "config.toml").write_text(to_toml(base))
    config, resume = parse_arguments(["--resume", str(tmp_path), "-n", "200"])
    assert resume == tmp_path
    assert config == replace(base, n_timesteps=200)


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_timestep = 5", r"unknown setting 'n_timestep'\. Did you mean 'n_timesteps'\?"),
        ("learning_rat = 1.0", r"unknown setting 'learning_rat'\. Did you mean 'learning_rate'\?"),
        ("seed = 1.5", r"seed = 1\.5, expected int"),
        ("seed = true", r"seed = True, expected int"),
        ('seed = "1"', r"seed = '1', expected int"),
        ("progress = 1", r"progress = 1, expected bool"),
        ('gamma = "high"', r"gamma = 'high', expected float"),
        ("gamma = true", r"gamma = True, expected float"),
        ("algo = 5", r"algo = 5, expected str"),
        ("runs = 5", r"runs = 5, expected Path"),
        ('reward = "tonic"', r"\[reward\] must be a table"),
        ("task = [1]", r"\[task\] must be a table"),
        ("n_envs = 0", "n_envs=0"),
        ("batch_size = 1", "batch_size=1"),
        ("n_envs = 100000000000000000", r"n_envs=1\d+: .*1,048,576"),
        ("threads = 1000000000", "threads=1000000000: .*1,024"),
        ("samples = 1000000", "samples=1000000: .*100,000"),
        ("seed = 4294967295", "seed=4294967295: .*4,294,967,294"),
        ("learning_rate = 0", r"learning_rate=0\.0: expected a number from"),
        ("learning_rate = nan", r"learning_rate=nan: expected a number from"),
        ("seed = ", r"mine\.toml is not TOML"),
        ("[reward]\na = 1\na = 2", r"mine\.toml is not TOML"),
    ],
)
def test_a_bad_setting_is_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_toml(path)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not TOML"):
        read_toml(path)


@pytest.mark.parametrize("table", ["reward", "task"])
def test_a_name_given_twice_is_refused(table):
    with pytest.raises(ValueError, match=r"'bars' is given twice"):
        _ = TrainConfig(**{table: ("bars=1", "bars=2")}).reward_spec


@pytest.mark.parametrize("text", ["bars", "bars=", "=4", ""])
def test_half_an_assignment_is_refused(text):
    with pytest.raises(ValueError, match="expected name=value, such as bars=8"):
        TrainConfig(task=(text,))


@pytest.mark.parametrize(
    "words", [["--nstep", "3"], ["--seed", "x"], ["--n-envs", "2.5"], ["loose"]]
)
def test_a_bad_flag_ends_the_program(words, capsys):
    with pytest.raises(SystemExit) as ended:
        parse(*words)
    assert ended.value.code == 2
    assert "--help" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "name"), [(["--seed", "-1"], "seed=-1"), (["-n", "0"], "n_timesteps=0")]
)
def test_a_number_out_of_range_is_refused_by_its_name(words, name):
    with pytest.raises(ValueError, match=name):
        parse(*words)


def test_resume_of_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is no run directory"):
        parse("--resume", str(tmp_path))


# -- help ------------------------------------------------------------------------------------------

HELP = """
import runpy, sys
sys.argv = ["x", "--help"]
try:
    runpy.run_module("{module}", run_name="__main__", alter_sys=True)
except SystemExit as end:
    heavy = {{"torch", "stable_baselines3", "music21", "matplotlib"}} & set(sys.modules)
    print("status", end.code, "loaded", sorted(heavy))
"""


@pytest.mark.parametrize(
    "module",
    [
        "agents.train",
        "agents.compose",
        "agents.convert",
        "agents.evaluate",
        "pretrained.adapt",
        "pretrained.train",
    ],
)
def test_help_comes_without_the_heavy_libraries(module):
    done = subprocess.run(
        [sys.executable, "-c", HELP.format(module=module)],
        capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert f"python -m {module}" in done.stdout
    assert done.stdout.splitlines()[-1] == "status 0 loaded []"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_timesteps": "3"}, "n_timesteps='3': expected a whole number"),
        ({"seed": True}, "seed=True"),
        ({"gamma": None}, "gamma=None: expected a number"),
        ({"bf16": 1}, "bf16=1: expected True or False"),
        ({"mask": "in_key"}, "mask='in_key': expected a list"),
        ({"algo": 3}, "algo=3"),
        ({"task": 3}, "task=3: expected a Task"),
        ({"task": "bars=4"}, "task='bars=4': expected a Task"),
        ({"steps": 3}, "'steps'.*Did you mean 'n_timesteps'"),
        ({"settings": {"n_epochs": "3"}}, "n_epochs='3'"),
    ],
)
def test_what_python_passes_is_checked(values, message):
    with pytest.raises(TypeError, match=message):
        TrainConfig(**values)


def test_settings_may_be_pickled_and_copied():
    config = TrainConfig(seed=3, settings={"n_epochs": 2})
    assert pickle.loads(pickle.dumps(config)) == config == copy.deepcopy(config)
