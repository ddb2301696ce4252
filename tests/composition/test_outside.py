"""Recipes in files of their own: found, made and recorded as those of the package are."""

import sys

import pytest

from ssl_jax.cli import main
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


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("import json\n\nx = y\n", r"/my_wrong.py, line 3: NameError: name 'y' is not defined\.$"),
        ("def f():\n    return 1 / 0\n\nf()\n", r"/my_wrong.py, line 2, in f: ZeroDivisionError: division by zero\.$"),
        ("x = = 1\n", r"/my_wrong.py, line 1: SyntaxError: invalid syntax\.$"),
        ("import sys\nsys.exit()\n", r"/my_wrong.py, line 2: it ends the program when it is imported: move this below"),
        (
            SOURCE.replace("*, temperature: float = 0.5", "*, temperature=0.5"),
            r"/my_wrong.py, line 7: decorated: the option temperature has no type: annotate it",
        ),
        (
            SOURCE.replace("plain(temperature: float = 0.3)", "plain(temperature=0.3)"),
            r"/my_wrong.py, line 11: plain: the option temperature has no type",
        ),
    ],
)
def test_an_error_in_the_file_is_a_sentence_with_its_line(write, source, sentence):
    with pytest.raises(UsageError, match=sentence) as raised:
        load(f"{write(source, 'my_wrong.py')}:plain")
    assert str(raised.value).startswith("recipe: /") and "\n" not in str(raised.value)
    assert (raised.value.__cause__ is not None and "my_wrong" not in [*sys.modules]) or "plain" in sentence


def test_a_variant_is_a_recipe_of_the_file_and_an_imported_recipe_is_not(write):
    path = write(
        "from ssl_jax.composition import variant\nfrom ssl_jax.recipes import simclr\n"
        "from ssl_jax.recipes.simclr import demo\n"
        "mine = variant(demo, data='synthetic', image_size=8, temperature=0.4)\n"
    )
    made = load(str(path))(epochs=2)
    assert (made.name, made.method.temperature, made.arguments["epochs"]) == ("my_recipes/mine", 0.4, 2)
    with pytest.raises(UsageError, match=r"recipe: demo of .*my_recipes.py is of type function, or imported"):
        load(f"{path}:demo")


def test_a_function_that_is_not_said_to_return_a_recipe_is_named_with_its_line(write):
    with pytest.raises(UsageError, match=r"helper of .*my_recipes.py, line 16, is not annotated to return a Recipe"):
        load(f"{write(SOURCE)}:helper")


def test_an_option_of_the_command_line_is_no_option_of_a_recipe(write, capsys):
    path = write(
        SOURCE.replace("temperature: float = 0.5", "seed: int = 5").replace("temperature=temperature, ", "", 1)
    )
    assert main(["pretrain", f"{path}:decorated"]) == 2
    assert "decorated: its option seed is one of the command line, too" in capsys.readouterr().err


def test_an_error_when_the_recipe_is_made_is_a_sentence_with_its_line(write, capsys, monkeypatch):
    path = write(
        SOURCE.replace("return simclr.demo(temperature=temperature", "return simclr.dem(temperature=temperature", 1)
    )
    assert main(["pretrain", f"{path}:decorated", "--run", str(path.parent / "run")]) == 1
    said = capsys.readouterr().err
    assert f"{path}, line 9, in decorated: AttributeError: module" in said and "SSL_JAX_TRACEBACK=1" in said
    assert not (path.parent / "run").exists() and "Traceback" not in said
    monkeypatch.setenv("SSL_JAX_TRACEBACK", "1")
    with pytest.raises(AttributeError):
        main(["pretrain", f"{path}:decorated", "--run", str(path.parent / "run")])
