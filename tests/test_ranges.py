"""Every numeric setting has a range, and a value outside it is one sentence before anything is opened."""

import dataclasses
import importlib
import inspect
import math
import pkgutil
from types import NoneType
from typing import Annotated, get_args, get_type_hints

import pytest

from ssl_jax import methods as folder
from ssl_jax.composition.recipe import recipe
from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Method
from ssl_jax.methods.vicreg import VICReg
from ssl_jax.options import Options
from ssl_jax.ranges import RANGES, Range, annotated_ranges, check_ranges
from ssl_jax.recipes import Recipe, find, methods, recipes

RECIPES = [f"{method}/{name}" for method in methods() for name in recipes(method)]


def is_number(kind):
    return any(part in (int, float) for part in (kind, *get_args(kind)))


def ranges_with(annotations):
    """All ranges, with those that these annotations state; no name has two."""
    annotated = annotated_ranges(annotations)
    assert not annotated.keys() & RANGES.keys()
    return RANGES | annotated


def method_classes():
    modules = [
        importlib.import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__)
    ]
    classes = {cls for module in modules for _, cls in inspect.getmembers(module, inspect.isclass)}
    return sorted((cls for cls in classes if Method in cls.__mro__[1:]), key=lambda cls: cls.__name__)


@pytest.mark.parametrize("name", RECIPES)
def test_every_numeric_option_of_a_recipe_has_a_range_that_its_default_is_in(name):
    make = find(*name.split("/"))
    ranges = ranges_with(get_type_hints(make, include_extras=True))
    for option, kind in get_type_hints(make).items():
        if option != "return" and is_number(kind):
            low, high = ranges[option]
            assert math.isfinite(low) and math.isfinite(high)
            default = inspect.signature(make).parameters[option].default
            assert default is None or low <= default <= high


@pytest.mark.parametrize("cls", method_classes(), ids=lambda cls: cls.__name__)
def test_every_numeric_field_of_a_method_has_a_range(cls):
    fields = {field.name: field for field in dataclasses.fields(cls)}
    numeric = [name for name, kind in get_type_hints(cls).items() if name in fields and is_number(kind)]
    assert set(numeric) <= ranges_with(get_type_hints(cls, include_extras=True)).keys()
    made = object.__new__(cls)  # Without its networks: the ranges are checked first.
    for name in numeric:
        for value in (math.nan, math.inf, -1):
            made.__dict__.clear()
            made.__dict__[name] = value
            with pytest.raises(UsageError, match=f"{name}: got {value}, expected "):
                made.__post_init__()


def test_every_numeric_option_of_a_command_has_a_range():
    assert {name for name, kind in get_type_hints(Options).items() if is_number(kind)} <= RANGES.keys()


def wrong_values(kind):
    if is_number(kind):
        none = [] if NoneType in get_args(kind) else [None]
        return [-1, math.nan, math.inf, -math.inf, 1e300, 10**30, "many", *none, [1], True]
    return [b"x", None, 1.5, ["x"]] + ([] if kind is str else ["", "nonsense"])


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_of_every_recipe_refuses_extreme_values_in_a_sentence(name, monkeypatch):
    """Before the data are opened: these are made to fail."""
    make = find(*name.split("/"))
    for option, kind in get_type_hints(make).items():
        for value in wrong_values(kind) if option != "return" else []:
            with pytest.raises(UsageError, match=f"^{option}: got "):
                make(**{"data": "no such data set", option: value})


@pytest.mark.parametrize("values", [{"variance": -1.0}, {"covariance": math.nan}, {"invariance": math.inf}])
def test_a_library_user_gets_the_same_sentence(values):
    with pytest.raises(UsageError, match=r"expected 0 to 1e\+06"):
        VICReg(None, None, **values)


def test_ends_belong_to_a_range_and_other_names_are_taken_as_they_are():
    for name, (low, high) in RANGES.items():
        check_ranges(**{name: low})
        check_ranges(**{name: high})
        with pytest.raises(UsageError, match=f"{name}: got "):
            check_ranges(**{name: math.nextafter(low, -math.inf)})
    check_ranges(no_such_setting=math.nan, encoder="small")


Part = Annotated[float, Range(0.25, 0.75)]


@dataclasses.dataclass(frozen=True)
class Partial(Method):
    part: Part = 0.5


@recipe
def partial(*, part: Part = 0.5) -> Recipe:
    raise AssertionError("the value is refused before the recipe is made")


@pytest.mark.parametrize("value", [0.2, 0.8, math.nan])
def test_an_annotation_states_the_range_of_what_one_method_alone_has(value):
    Partial(part=0.25)
    for make in (Partial, partial):
        with pytest.raises(UsageError, match=f"part: got {value}, expected 0.25 to 0.75"):
            make(part=value)
    with pytest.raises(UsageError, match="part: got 'half', expected a value of type float"):
        partial(part="half")
