"""Settings of Sphinx: sphinx-build -W -b html docs docs/_build."""

import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

project = "composition-gym"
version = release = metadata.version("composition-gym")
extensions = [
    "myst_parser",
    "sphinx.ext.apidoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "catalogue",
    "docstrings",
]
# A table of contents that apidoc writes beside the package's own page.
exclude_patterns = ["_build", "generated/api/*/modules.rst"]
suppress_warnings = [
    "ref.python",  # of two classes of one name the first is linked
    "myst.header",  # docs/rules.md goes from its title to headings of the third level
]

html_theme = "furo"
html_title = f"composition-gym {release}"
html_show_sourcelink = html_copy_source = False

PACKAGES = ("envs", "pretrained", "rewards", "agents")
apidoc_modules = [
    {
        "path": f"../{package}",
        "destination": f"generated/api/{package}",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
    for package in PACKAGES
]
autodoc_default_options = {"ignore-module-all": True}  # a thing is shown where it is written
autodoc_member_order = "bysource"
default_role = "py:obj"  # what docstrings have in single backticks
napoleon_numpy_docstring = False
napoleon_use_ivar = True

myst_heading_anchors = 3
