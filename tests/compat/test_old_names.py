"""Import lines of 0.4: each public name of its modules is found, with a notice of the new one."""

import importlib
import inspect
import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from envs import old_names
from envs.old_names import HEIRS, RENAMED, SCRIPTS, OldNameWarning

NAMES = json.loads((Path(__file__).parent / "v04" / "names.json").read_text())
ROOT = Path(__file__).parents[2]
# Names that no heir has: of bounds, helpers and protocols that have gone for good. No page of 0.4
# has them, which tests/compat/test_old_pages.py shows.
GONE = json.loads((Path(__file__).parent / "gone.json").read_text())


def stands(module):
    """True if a module or package of that name exists."""
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.fixture(autouse=True)
def as_if_new(monkeypatch):
    monkeypatch.setattr(old_names, "_shown", set())


@pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning")
@pytest.mark.parametrize("module", [name for name in NAMES if name not in SCRIPTS])
def test_every_public_name_of_a_module_is_found(module):
    old = importlib.import_module(module)
    missing = [name for name in NAMES[module].split() if not hasattr(old, name)]
    assert missing == GONE.get(module, "").split()


@pytest.mark.parametrize("module", SCRIPTS)
def test_a_module_that_is_a_script_now_says_so(module):
    assert (ROOT / SCRIPTS[module]).exists()
    with pytest.raises(ModuleNotFoundError, match=SCRIPTS[module]):
        importlib.import_module(module)


@pytest.mark.parametrize("module", HEIRS)
def test_heirs_are_modules_of_ours_and_were_not_modules_of_the_old_name(module):
    assert module in NAMES
    for heir in HEIRS[module].split():
        assert importlib.import_module(heir).__name__ == heir
        assert (ROOT / (heir.replace(".", "/") + ".py")).exists()


def test_renamed_names_were_public_ones():
    for old, new in RENAMED.items():
        module, _, name = old.rpartition(".")
        home, _, last = new.rpartition(".")
        assert name in NAMES[module].split()
        assert hasattr(importlib.import_module(home), last)


def test_an_old_name_is_the_same_object():
    with pytest.warns(OldNameWarning):
        from envs.task import Task as OldTask
    from envs.music.task import Task

    assert OldTask is Task


@pytest.mark.parametrize(
    ("line", "new"),
    [
        ("from envs.theory import Key", "from envs.music"),
        ("import envs.score; envs.score.Score", "from envs.music"),
        ("import envs.score as s; s.Score", "from envs.music"),
        ("from envs import codec; codec.Codec", "from envs.music"),
        ("from rewards.melody import leap_recovery", "from rewards.rules.melody"),
        ("from rewards.rule import explain", "from rewards.remarks"),  # a module that still exists
        ("from agents.algorithms import ALGORITHMS", "from agents.settings"),  # a package now
        ("from envs.contract import per_piece", "from rewards"),  # further up
    ],
)
def test_the_notice_has_the_new_line_and_points_at_the_old_one(line, new):
    with pytest.warns(OldNameWarning) as caught:
        exec(compile(f"\n\n{line}", "mine.py", "exec"), {})
    (warning,) = caught
    assert (warning.filename, warning.lineno) == ("mine.py", 3)
    message = str(warning.message)
    assert new in message
    told = message.partition("write: ")[2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the new line is not an old one
        exec(told, {})


def test_the_notice_comes_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            exec("from envs.task import Task", {})
    assert len(caught) == 1


@pytest.mark.parametrize("module", ["envs.task", "rewards.rule", "agents.algorithms", "envs"])
def test_what_never_was_there_is_an_attribute_error(module):
    with pytest.raises(AttributeError, match="nonsense"):
        getattr(importlib.import_module(module), "nonsense")  # noqa: B009
    with pytest.raises(ImportError, match="nonsense"):
        exec(f"from {module} import nonsense", {})


def test_modules_that_never_were_are_not_found():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("envs.nonsense")


def test_caches_of_imports_can_be_forgotten():
    importlib.invalidate_caches()  # asks every finder
    assert len([finder for finder in sys.meta_path if type(finder).__name__ == "_Finder"]) == 1


def test_help_tells_where_a_module_is_now():
    import envs.score

    assert "envs.music.score" in inspect.getdoc(envs.score)


def test_methods_that_have_gone_elsewhere():
    from envs.music.score import Score
    from envs.music.task import Task

    task = Task(bars=1)
    with pytest.warns(OldNameWarning, match="Score.page"):
        page = task.sample(None, 3)
    assert isinstance(page, Score)
    assert page.tokens.shape == (3, 1, 16)
    with pytest.warns(OldNameWarning, match="score.allowed"):
        assert (task.codec.allowed(page) == page.allowed()).all()


@pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning", "ignore:reward")
def test_check_reward_takes_its_old_arguments(monkeypatch):
    from agents.training import exploit

    asked = []
    monkeypatch.setattr(exploit, "exploits", lambda *arguments: asked.append(arguments) or [])
    from envs.check import check_reward

    check_reward({"prior": 1.0, "in_key": 2.0}, panel=False, cost=False, exploit=False)
    assert asked == []
    check_reward({"prior": 1.0, "in_key": 2.0}, panel=False, cost=False, exploit=True)
    assert len(asked) == 1


def test_a_child_sees_the_notice_and_goes_on(tmp_path):
    program = tmp_path / "mine.py"
    program.write_text("from agents.tables import read_columns\nprint(read_columns.__name__)\n")
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "read_columns\n"
    assert done.stderr.startswith(f"{program}:1: OldNameWarning")


def test_ours_write_no_old_names():
    """Import every module of ours; a notice while that is done is an error."""
    program = """
import importlib, pathlib, warnings
from envs.old_names import OldNameWarning
warnings.simplefilter("error", OldNameWarning)
for package in ("envs", "pretrained", "rewards", "agents"):
    for path in pathlib.Path(package).rglob("*.py"):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_star_import_brings_the_names_with_one_notice():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        brought = {}
        exec(compile("from envs.task import *", "mine.py", "exec"), brought)
        exec(compile("import envs.task; envs.task.Task", "mine.py", "exec"), {})
    assert set(NAMES["envs.task"].split()) <= set(brought)
    (warning,) = caught
    assert (warning.filename, warning.lineno) == ("mine.py", 1)
    assert str(warning.message).endswith("write: from envs.music.task import *")


@pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning")
@pytest.mark.parametrize("module", [name for name in HEIRS if not stands(name)])
def test_a_star_import_of_a_module_that_is_gone_brings_its_names(module):
    brought = {}
    exec(f"from {module} import *", brought)
    names = NAMES[module].split()
    assert [name for name in names if name not in brought] == GONE.get(module, "").split()


@pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning")
def test_a_star_import_gives_notice_of_a_name_that_is_another_one_now():
    with pytest.warns(OldNameWarning, match="CheckReport"):
        exec("from envs.check import *", {})


@pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning", "ignore:reward")
def test_examine_takes_its_old_arguments(monkeypatch):
    from agents.training import exploit

    asked = []
    monkeypatch.setattr(exploit, "exploits", lambda *arguments: asked.append(arguments) or [])
    from envs.check import examine

    examine({"prior": 1.0, "in_key": 2.0}, panel=False, cost=False)
    assert asked == []
    assert not examine({"prior": 1.0, "in_key": 2.0}, cost=False, exploit=True).broken
    assert len(asked) == 1


@pytest.mark.filterwarnings("ignore::envs.old_names.OldNameWarning")
def test_explain_takes_its_old_arguments():
    from agents.explanation import explain

    from envs.music.piece import Piece
    from envs.notation import score_from_text
    from pretrained.checkpoint import load
    from rewards.build import build

    score, other = score_from_text("C4 F#4 C5 G4"), score_from_text("C4 D4 E4")
    piece, rule = Piece(score, notices=("a notice",)), build({"in_key": 1.0})
    plain = explain(piece, rule)
    assert plain.surprise is None
    assert explain(piece=piece, reward=rule, lenient=True).messages == plain.messages
    assert [message.term for message in plain.messages] == ["in_key"]
    told = explain(piece, rule, load(), "name", other, False)
    assert told.surprise is not None
    assert told.name == "name"
    assert "a notice" in told.notices
    assert not told.messages
