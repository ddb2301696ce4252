"""The guide as a site: `make site` and `.ci/run` build it and check its links.

Its contents list every page, but for tables of measurements, which docs/performance.md does.
"""

import importlib
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
INDEX = (DOCS / "index.md").read_text()
LISTED = {(DOCS / path).resolve() for path in re.findall(r"^- \[.*?\]\((.*?)\)", INDEX, re.M)}


def test_the_contents_list_every_page():
    folders = (
        ROOT.glob("*.md"),
        DOCS.glob("*.md"),
        ROOT.glob("experiments/*/README.md"),
        ROOT.glob("benchmarks/**/*.md"),
    )
    pages = {page for pages in folders for page in pages} - {DOCS / "index.md"}
    performance = (DOCS / "performance.md").read_text()
    tables = {(DOCS / path).resolve() for path in re.findall(r"\]\((\.\./benchmarks/results/.*?\.md)\)", performance)}
    assert LISTED | tables == pages and not LISTED & tables


@pytest.fixture
def conf(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    return runpy.run_path(str(DOCS / "site/conf.py"))


def test_each_section_of_the_contents_is_a_part_of_the_sidebar(conf):
    page = conf["with_contents"](
        "# Title\n\n## Start\n\n- [A](../A.md): first\n- [B](b.md): second\n\n## End\n\n- [C](c.md): last\n"
    )
    start, end = re.findall(r"```\{toctree\}\n(.*?)\n```", page, re.S)
    assert start.split("\n\n") == [":hidden:\n:caption: Start", "A <../A>\nB <b>"]
    assert end.endswith("C <c>")


def test_the_api_page_names_modules(conf):
    packages = conf["packages"]((DOCS / "api.md").read_text())
    assert {"ssl_jax", "ssl_jax.losses", "ssl_jax.ops", "ssl_jax.evaluate"} <= set(packages)
    assert packages["ssl_jax.ops"][1:3] == ["ssl_jax.ops.bank", "ssl_jax.ops.queue"]
    for module in {module for modules in packages.values() for module in modules}:
        importlib.import_module(module)


def test_docstrings_become_what_sphinx_reads():
    docstrings = runpy.run_path(str(DOCS / "site/docstrings.py"))
    assert docstrings["as_literals"]("`(a) ->\n  b: c` and ``d``") == "``(a) -> b: c`` and ``d``"
    text = docstrings["with_heading"](
        "A loss.\n\nfirst: one,\n  at least.\nsecond: two.\n\nNote: three.", {"first", "second"}
    )
    assert text == "A loss.\n\nArgs:\n  first: one,\n    at least.\n  second: two.\n\nNote: three."
