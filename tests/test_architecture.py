"""The house rules, read from the source: who may import whom, how long things are, what they hold.

An import counts wherever it stands: in a function, under TYPE_CHECKING, and as a string that names
a module, such as "rewards.build:build".
"""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("envs", "pretrained", "rewards", "agents")  # each may import those before it
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
INITS = [path for path in FILES if path.name == "__init__.py"]
MODULES = [path for path in FILES if path.name != "__init__.py"]
FOLDERS = [path.parent for path in INITS]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
TESTS = sorted(
    path for path in (ROOT / "tests").rglob("*.py") if "v04" not in path.relative_to(ROOT).parts
)
MOST_LINES, LONG_LINES, MOST_LONG, MOST_FUNCTION_LINES, MOST_MODULES = 400, 350, 3, 60, 14

# Rooms of `agents` in tiers: a room may import rooms of tiers before its own, and of its own as
# long as they do not import it. The verbs, which are modules of `agents` itself, come last.
TIERS = (
    ("settings", "learning", "runs"),
    ("algorithms", "composing", "explaining", "preferring"),
    ("evaluating",),
    ("training",),
    ("benchmarking",),
)
VERBS = {
    "pretrained.adapt",
    "pretrained.train",
    *(f"agents.{path.stem}" for path in MODULES if path.parent == ROOT / "agents"),
}
# Strings that name modules and may point where no import may.
STRINGS_ALLOWED = {
    "envs.composition",  # the builder of the default reward
    "envs.old_names",  # the table of old import names
    "envs.registration",  # entry points of Gymnasium
    "pretrained.networks.architectures",  # the reader of what rules see, which stands above
}
# Modules of one package that share a name, as they do the same for another format.
SAME_NAME = {("envs", "abc"), ("envs", "musicxml")}


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


KNOWN = {name_of(path) for path in FILES}


def imported(tree):
    """Modules of ours that a module imports, wherever the import stands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write absolute imports"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            # A module that is imported from its package needs the module, not the package.
            found |= inner if inner <= KNOWN else inner | {node.module}
    return found & KNOWN


def named(tree):
    """Modules of ours that the strings of a module name; docstrings and messages do not count."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            modules = {word.partition(":")[0] for word in words}
            certain = any(":" in word or "." in word for word in words)
            found |= modules if certain and modules <= KNOWN else set()
    return found


def dependencies(path):
    """Modules of ours that a file depends on."""
    tree = ast.parse(path.read_text())
    strings = set() if name_of(path) in STRINGS_ALLOWED else named(tree)
    return (imported(tree) | strings) - {name_of(path)}


EDGES = {name_of(path): dependencies(path) for path in FILES}


def circle(edges):
    """The names along a circle of a graph; empty if there is none."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        found = next(filter(None, map(visit, sorted(edges.get(name, ())))), [])
        path.pop()
        done.add(name)
        return found

    return next(filter(None, map(visit, sorted(edges))), [])


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("from envs.music.task import Task", {"envs.music.task"}),
        ("from envs.music import task", {"envs.music.task"}),
        ("def f():\n    import envs.errors", {"envs.errors"}),
        ("if TYPE_CHECKING:\n    from rewards.sum import RewardSum", {"rewards.sum"}),
        ("x = 'rewards.build:build'", {"rewards.build"}),
        ("x = ['agents.check', 'envs']", {"agents.check"}),
        ("x = 'python -m agents.check'", set()),
        ("x = 'my_rewards.py:smooth'", set()),
    ],
)
def test_an_import_is_seen_wherever_it_stands(source, modules):
    tree = ast.parse(source)
    assert imported(tree) | named(tree) == modules


def test_a_circle_is_seen():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_dependencies_run_one_way(path):
    package = name_of(path).split(".")[0]
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    for name in EDGES[name_of(path)]:
        assert name.split(".")[0] in allowed, f"{name_of(path)} imports {name}"


def test_no_module_imports_itself_by_way_of_others():
    assert circle(EDGES) == []


def room(name):
    """The folder of a module's name, as far as two names deep."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 or name in map(name_of, INITS) else parts[0]


def tier(name):
    """Tier of a module of `agents`; the verbs are the last."""
    inner = room(name).partition(".")[2]
    return next((i for i, rooms in enumerate(TIERS) if inner in rooms), len(TIERS))


def test_every_room_of_agents_has_its_tier():
    rooms = {name_of(path.parent) for path in MODULES} & {name_of(path) for path in INITS}
    rooms = {name.split(".")[1] for name in rooms if name.startswith("agents.")}
    assert rooms == {name for names in TIERS for name in names}


@pytest.mark.parametrize(
    "path", [p for p in FILES if name_of(p).startswith("agents.")], ids=name_of
)
def test_rooms_of_agents_are_imported_one_way(path):
    for name in EDGES[name_of(path)]:
        if name.startswith("agents."):
            assert tier(name) <= tier(name_of(path)), f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("package", ["pretrained", "rewards", "agents"])
def test_no_two_rooms_import_each_other(package):
    edges = {}
    for name, others in EDGES.items():
        if name.startswith(f"{package}.") and room(name) != package:
            inside = {room(other) for other in others if other.startswith(f"{package}.")}
            edges.setdefault(room(name), set()).update(inside - {room(name), package})
    assert circle(edges) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_library_module_imports_a_verb(path):
    name = name_of(path)
    if name not in VERBS:
        assert not EDGES[name] & VERBS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_folders_are_small(folder):
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert 0 < len(modules) <= MOST_MODULES
    assert all(
        (path / "__init__.py").exists() for path in folder.iterdir() if any(path.glob("*.py"))
    )


def test_no_two_modules_of_a_package_have_one_name():
    count = Counter((name_of(path).split(".")[0], path.stem) for path in MODULES)
    assert {name for name, times in count.items() if times > 1} == SAME_NAME


def test_no_two_classes_have_one_name():
    count = Counter(
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, times in count.items() if times > 1] == []


@pytest.mark.parametrize("path", INITS, ids=name_of)
def test_packages_hold_a_docstring_and_exports_only(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    for node in tree.body[1:]:
        if isinstance(node, ast.FunctionDef):  # a late import is all it may do
            assert node.name in ("__getattr__", "__dir__")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            assert ast.unparse(node).startswith(("__all__", "_"))  # and where late exports stand
        elif isinstance(node, ast.If):
            assert ast.unparse(node.test) == "TYPE_CHECKING"
        elif isinstance(node, ast.Expr):
            assert path.parent.parent == ROOT  # the four packages themselves
            assert ast.unparse(node) in ("install(__name__)", "register_environments()")
        else:
            assert isinstance(node, ast.Import | ast.ImportFrom)


@pytest.mark.parametrize("path", FILES + TESTS, ids=name_of)
def test_files_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = node.end_lineno - node.lineno + 1
            assert length < MOST_FUNCTION_LINES, f"{node.name} has {length} lines"


def test_few_files_are_long():
    long = [name_of(path) for path in FILES if len(path.read_text().splitlines()) > LONG_LINES]
    assert len(long) <= MOST_LONG, long


def packed(tree):
    """Lines of literals that are spread into another, such as *("a", "b")."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Starred) and isinstance(node.value, ast.Tuple | ast.List | ast.Set)
    ]


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_line_is_packed(path):
    source = path.read_text()
    assert "fmt: skip" not in source
    assert "fmt: off" not in source
    assert packed(ast.parse(source)) == []


def test_a_packed_literal_is_seen():
    assert packed(ast.parse('x = (*("a", "b"), "c")')) == [1]
    assert packed(ast.parse("x = (*others, *[f(y) for y in z])")) == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_docstrings_are_sentences(path):
    begins = [
        ast.get_docstring(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    wrong = [text for text in begins if text and re.match(r"(What|Whether|As|The same)\b", text)]
    assert wrong == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_tests_import_no_tests(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [name for name in names if name.startswith("test_")], f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_drawer_for_odds_and_ends_and_no_pickle(path):
    assert path.stem not in ("utils", "util", "common", "misc", "helpers")
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None) or ""
            names = {alias.name for alias in node.names} | {module}
            assert not names & {"pickle", "cloudpickle", "joblib", "dill", "shelve", "marshal"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called, keywords = ast.unparse(node.func), {k.arg for k in node.keywords}
            assert called not in ("torch.load", "th.load", "torch.save", "np.save")
            assert node.func.attr not in ("set_parameters", "load_from_zip_file")  # SB3's archives
            assert called != "np.load" or "allow_pickle" in keywords, "say allow_pickle=False"
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"
        if isinstance(node, ast.Assert):
            pytest.fail(f"line {node.lineno}: an assert vanishes under python -O; raise an error")


# music21 keeps pickles of what it has parsed in a temporary folder that is not its own.
CACHED = {
    *("parse", "parseFile", "parseURL", "thaw", "unfreeze", "load", "search"),
    *("StreamThawer", "openPickle"),
}


def reads_pickles_of_music21(tree):
    """Lines of calls and imports by which music21 may read a pickle."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("music21"):
            names = {alias.name for alias in node.names}
            found += [node.lineno] if names & (CACHED | {"freezeThaw"}) else []
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        *_, owner, called = ("", *ast.unparse(node.func).split("."))
        from_source = any(
            k.arg == "forceSource" and ast.unparse(k.value) == "True" for k in node.keywords
        )
        if owner in ("converter", "corpus", "freezeThaw", "music21") and called in CACHED:
            found += [] if called == "parse" and from_source else [node.lineno]
        if ast.unparse(node.func).endswith("chorales.Iterator"):
            only_names = any(ast.unparse(k.value) == "'filename'" for k in node.keywords)
            found += [] if only_names else [node.lineno]
    return found


@pytest.mark.parametrize("path", FILES + EXAMPLES, ids=lambda path: path.stem)
def test_music21_reads_no_pickles(path):
    assert reads_pickles_of_music21(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("corpus.parse(name)", True),
        ("music21.converter.parse(name, forceSource=False)", True),
        ("converter.parseFile(name)", True),
        ("from music21.converter import parse", True),
        ("chorales.Iterator()", True),
        ("corpus.parse(name, forceSource=True)", False),
        ("converter.parseData(text)", False),
        ("Key.parse(text)", False),
        ("chorales.Iterator(returnType='filename')", False),
    ],
)
def test_what_reads_pickles_is_seen(line, wrong):
    assert bool(reads_pickles_of_music21(ast.parse(line))) is wrong
