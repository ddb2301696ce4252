"""The guide as a site: `make site` writes build/site; docs/index.md is its contents and their order.

Sphinx, since it is the generator that reads Markdown (myst-parser) and docstrings (autodoc), checks every link, heading and
reference without a network, and whose search is a file of the site; furo, since it suits phones, has a dark
mode and loads nothing from elsewhere.

Its sources are the repository itself, not docs/: relative links between pages, pictures and code are then the same on the
repository's own pages and on the site, where code files are downloads.
"""

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from typing import Any

import ssl_jax

DOCS = Path(__file__).parents[1]
sys.path.insert(0, str(DOCS / "site"))

project, author, version = "ssl_jax", "The ssl_jax developers", ssl_jax.__version__
html_title = f"{project} {version}"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "docstrings"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "docs/api/*.rst", "experiments/**.md", "benchmarks/**.md"]
exclude_patterns = [".*", "build", "runs", "ssl_jax", "tests", "docs/site"]

myst_heading_anchors = 6  # Links to headings are those of the repository's pages.
highlight_language = "sh"  # Indented blocks are commands.
nitpicky = True
nitpick_ignore_regex = [("py:class", r"(collections|jax|numpy|pathlib)\..*")]  # Their references are elsewhere.

html_theme, pygments_dark_style = "furo", "github-dark"
html_static_path, html_css_files = ["style"], ["style.css"]
html_extra_path = ["index.html"]
html_copy_source = html_show_copyright = False

autodoc_typehints = "none"  # Docstrings have shapes, units and ranges.
autodoc_member_order = "bysource"


def table_of_contents(title: str, pages: list[str]) -> str:
    lines = ["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"]
    return "\n" + "\n".join(lines) + "\n"


def with_contents(text: str) -> str:
    """The contents page with a table of contents for the sidebar after each of its sections, from the section's links."""
    head, *sections = re.split(r"^## ", text, flags=re.M)
    for section in sections:
        links = re.findall(r"^- \[(.*?)\]\((.*?)\.md\)", section, re.M)
        pages = [f"{title} <{path}>" for title, path in links]
        head += f"## {section}{table_of_contents(section.splitlines()[0], pages)}"
    return head


def packages(text: str) -> dict[str, list[str]]:
    """The modules that each line of the API page names, by the first of them."""
    lines = re.findall(r"^- (`ssl_jax.*(?:\n  .*)*)", text, re.M)
    named = [re.findall(r"`(ssl_jax[\w.]*)`", line) for line in lines]
    return {modules[0]: modules for modules in named}


def described(name: str) -> list[str]:
    """The directives for the public names of a module: those that it lists, or else those that its modules define."""
    module = importlib.import_module(name)
    listed = hasattr(module, "__all__")
    lines = [f".. automodule:: {name}", "   :members:", *["   :imported-members:"] * listed, ""]
    if hasattr(module, "__path__") and not listed and module is not ssl_jax:
        for found in pkgutil.iter_modules(module.__path__, f"{name}."):
            lines += [*heading(found.name, "-"), *described(found.name)]
    return lines


def heading(title: str, line: str) -> list[str]:
    return [title, line * len(title), ""]


def write_packages(app: Any) -> None:
    """A page for each package into docs/api, which git ignores; those that have not changed are not read again."""
    (DOCS / "api").mkdir(exist_ok=True)
    for name, modules in packages((DOCS / "api.md").read_text()).items():
        lines = [*heading(name, "="), *described(name)]
        for module in modules[1:]:
            lines += [*heading(module, "-"), *described(module)]
        path, text = DOCS / f"api/{name}.rst", "\n".join(lines)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def complete(app: Any, name: str, source: list[str]) -> None:
    source[0] = re.sub(r"\[[\w/-]+\.md\]\(", "[](", source[0])  # A link that is named by its file has the page's title.
    if name == "docs/index":
        source[0] = with_contents(source[0])
    if name == "docs/performance":
        tables = re.findall(r"\]\((\.\./benchmarks/results/[\w-]+)\.md\)", source[0])
        source[0] += table_of_contents("Tables", list(dict.fromkeys(tables)))
    if name == "docs/api":
        pages = [f"api/{package}" for package in packages(source[0])]
        source[0] = re.sub(r"^- `(ssl_jax[\w.]*)`", r"- [`\1`](api/\1.rst)", source[0], flags=re.M)
        source[0] += table_of_contents("Packages", pages)


def setup(app: Any) -> None:
    app.connect("builder-inited", write_packages)
    app.connect("source-read", complete)
