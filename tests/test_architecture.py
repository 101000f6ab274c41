"""The house rules, read from the source: who may import whom, and how long things may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("envs", "pretrained", "rewards", "agents")  # each may import those before it
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_LINES, MOST_FUNCTION_LINES = 400, 60


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path):
    """Modules of ours that a file imports, also inside functions, not for types only."""
    tree = ast.parse(path.read_text())
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write absolute imports"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    known = {name_of(file) for file in FILES}
    return {name for name in found if name in known}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_dependencies_run_one_way(path):
    package = name_of(path).split(".")[0]
    allowed = PACKAGES[: PACKAGES.index(package) + 1]
    for name in imports(path):
        assert name.split(".")[0] in allowed, f"{name_of(path)} imports {name}"


def test_no_import_cycle_not_even_a_late_one():
    # A package's __init__ holds nothing that others need, so importing it is no dependency.
    edges = {name_of(path): imports(path) - set(PACKAGES) for path in FILES}
    edges = {name: others for name, others in edges.items() if name not in PACKAGES}
    done, path = set(), []

    def visit(name):
        assert name not in path, f"cycle: {' -> '.join([*path, name])}"
        if name in done:
            return
        path.append(name)
        for other in edges[name]:
            if other != name:
                visit(other)
        path.pop()
        done.add(name)

    for name in edges:
        visit(name)


@pytest.mark.parametrize("path", FILES + TESTS, ids=name_of)
def test_files_and_functions_are_short(path):
    source = path.read_text()
    assert len(source.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            assert length <= MOST_FUNCTION_LINES, f"{node.name} has {length} lines"


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


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_begin_with_little(package):
    tree = ast.parse((ROOT / package / "__init__.py").read_text())
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ClassDef)
        if isinstance(node, ast.FunctionDef):
            assert node.name == "__getattr__"  # a late import is all it may do
