"""Recipes in files of their own: found, made and recorded as those of the package are."""

import sys

import pytest

from ssl_jax.errors import UsageError
from ssl_jax.recipes import load, simclr

SOURCE = """
from ssl_jax.recipes import Recipe, simclr
from ssl_jax.composition.recipe import recipe

SMALL = {"data": "synthetic", "image_size": 8}

@recipe
def decorated(*, temperature: float = 0.5) -> Recipe:
    return simclr.demo(temperature=temperature, **SMALL)

def plain(temperature: float = 0.3) -> Recipe:
    return simclr.demo(temperature=temperature, **SMALL)

made = simclr.demo(**SMALL)

def helper(x: int) -> int:
    return x
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file that is imported by this test alone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def write(source, name="my_recipes.py"):
        (tmp_path / name).write_text(source)
        return tmp_path / name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("my_"):
            del sys.modules[name]


@pytest.mark.parametrize(
    "name, arguments", [("decorated", {"temperature": 0.7}), ("plain", {"temperature": 0.7}), ("made", {})]
)
def test_a_function_decorated_or_not_or_a_recipe_is_found_and_records_where_it_is(write, name, arguments):
    path = write(SOURCE)
    made = load(f"{path}:{name}")(**arguments)
    assert (made.name, made.file, made.arguments) == (f"my_recipes/{name}", str(path), arguments)
    assert made.batch_size == 256 and made.method.temperature == arguments.get("temperature", 0.2)


def test_a_file_beside_it_can_be_imported_and_the_only_recipe_needs_no_name(write):
    write("WIDTH = 8", "my_settings.py")
    path = write(
        "from my_settings import WIDTH\nfrom ssl_jax.recipes import Recipe, simclr\n"
        "def only() -> Recipe:\n    return simclr.demo(data='synthetic', image_size=WIDTH)\n"
    )
    assert load(str(path))().name == "my_recipes/only"


def test_what_is_not_there_is_one_sentence(write):
    path = write(SOURCE)
    with pytest.raises(UsageError, match=r"recipe: there is no file .*nowhere.py: name it as FILE.py:NAME"):
        load("nowhere.py:demo")
    with pytest.raises(UsageError, match=r"unknown recipe of my_recipes.py .decorate.: did you mean .decorated.?"):
        load(f"{path}:decorate")
    with pytest.raises(UsageError, match=r"unknown recipe of my_recipes.py"):
        load(str(path))
    with pytest.raises(UsageError, match=r"my_empty.py has none: write a function"):
        load(str(write("x = 1", "my_empty.py")))
    with pytest.raises(UsageError, match=r"json.py has the name of a module of Python that is in use: rename the file"):
        load(str(write(SOURCE, "json.py")))


def test_a_wrong_argument_of_it_is_a_sentence(write):
    make = load(f"{write(SOURCE)}:decorated")
    with pytest.raises(UsageError, match=r"temperature: got 0"):
        make(temperature=0.0)
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'other'"):
        make(other=1)
    assert simclr.demo(data="synthetic", image_size=8).file is None


def test_a_file_that_is_no_module_is_refused(tmp_path):
    (tmp_path / "passwd").write_text("root")
    with pytest.raises(
        UsageError, match=r"recipe: .*passwd does not end in \.py: name the file of a recipe as FILE\.py:NAME"
    ):
        load(f"{tmp_path / 'passwd'}:demo")
