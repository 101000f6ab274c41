"""README and docs: what they tell to run runs, and what they link to is there."""

import shutil
import tomllib

import pytest

from agents.settings.algorithm import ALGORITHMS
from agents.settings.config import from_mapping
from envs.notation import READERS, WRITERS
from pretrained.networks.architectures import ARCHITECTURES
from rewards.rule import REGISTRY
from tests import pages
from tests.pages import ROOT, anchors, blocks, commands, follow, links, run_command, why_not

README = ROOT / "README.md"
TABLES = (READERS, WRITERS, ARCHITECTURES, ALGORITHMS, REGISTRY)
PAGES = [
    README,
    ROOT / "CHANGELOG.md",
    *(
        page
        for page in sorted((ROOT / "docs").rglob("*.md"))
        if not {"generated", "_build"} & set(page.relative_to(ROOT / "docs").parts)
    ),
]


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def desk(tmp_path, monkeypatch, pages_cache):
    """A folder as the project's with only the examples in it; what a page adds goes again."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    for name, bound in pages.BOUNDS.items():
        monkeypatch.setattr(name, bound)
    monkeypatch.setenv("XDG_CACHE_HOME", str(pages_cache))
    known = [dict(table) for table in TABLES]
    yield tmp_path
    for table, before in zip(TABLES, known, strict=True):
        table.clear()
        table.update(before)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != README and blocks(page.read_text())], ids=name_of
)
def test_a_page_runs_from_top_to_bottom(page, desk):
    follow(page)


def test_the_commands_of_the_readme_run_one_after_the_other(desk):
    for block in blocks(README.read_text()):  # its Python is run by tests/test_readme.py
        if block.kind == "bash":
            for command in commands(block.code):
                if not why_not(command):
                    run_command(command)


def test_what_is_not_run_still_stands_somewhere():
    told = [
        command
        for page in PAGES
        for block in blocks(page.read_text())
        if block.kind == "bash"
        for command in commands(block.code)
    ]
    for begins in pages.NOT_RUN:
        assert any(command.startswith(begins) for command in told), begins


def test_no_block_of_code_is_overlooked():
    for page in PAGES:
        text = page.read_text()
        kinds = [block.kind for block in blocks(text)]
        assert set(kinds) <= {"python", "bash", "text", "toml", "{toctree}"}, page
        assert text.count("```") == 2 * len(kinds), page
        assert "~~~" not in text, page


def test_settings_in_toml_are_settings():
    tables = [b.code for page in PAGES for b in blocks(page.read_text()) if b.kind == "toml"]
    assert len(tables) >= 2
    for table in tables:
        assert from_mapping(tomllib.loads(table), "page").terms["prior"] == 1.0


@pytest.mark.parametrize(
    ("page", "wrong"),
    [
        ("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", "not what was printed"),
        ("```bash\npython -m agents.explain nowhere.mid\n```\n", "nowhere.mid"),
        ("```bash\nls nowhere\n```\n", "nowhere"),
        ("```python\n# own.py\none = 2\n```\n\n```python\nimport own_\n```\n", "own_"),
    ],
)
def test_a_page_that_is_wrong_is_found(page, wrong, desk):
    (desk / "page.md").write_text(page)
    with pytest.raises((AssertionError, ImportError), match=wrong):
        follow(desk / "page.md")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if (ROOT / "docs" / "generated") in target.parents:
            continue  # written when the documentation is built, which looks it up
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link
