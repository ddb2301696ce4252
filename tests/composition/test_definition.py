"""Mistakes in the definition of a recipe are a sentence where it is decorated."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest

from ssl_jax.composition import Images, Laptop, Recipe, recipe
from ssl_jax.composition.kinds import fits, is_kind
from ssl_jax.composition.opened import Opened
from ssl_jax.errors import UsageError
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.ranges import Range
from ssl_jax.recipes import simclr

SHORT, SMALL = Laptop(epochs=1), {"data": "synthetic", "image_size": 8}


class NoDataclass(JointEmbedding):
    spread: float = 1.0


def no_options(training: Laptop = SHORT) -> Recipe: ...
def both(*, temperature: float = 0.1, **options: Any) -> Recipe: ...
def two_groups(training: Laptop = SHORT, *, epochs: float = 3) -> Recipe: ...
def no_type(*, width=64) -> Recipe: ...
def no_type_nor_default(*, width) -> Recipe: ...
def text(*, width: int = "64") -> Recipe: ...  # type: ignore[assignment]
def out_of_range(*, temperature: float = 0.0) -> Recipe: ...
def out_of_its_own(*, width: Annotated[int, Range(1, 9)] = 64) -> Recipe: ...
def a_list(*, widths: list[int] = []) -> Recipe: ...  # noqa: B006
def no_group(images: Images) -> Recipe: ...
def a_class(training: Laptop = Laptop) -> Recipe: ...  # type: ignore[assignment]
def rest(**options: Any) -> Recipe: ...
def places(*widths: int) -> Recipe: ...


MISTAKES = {
    "no_options: the fields of SimCLR that are its options (temperature) reach it as **options, and it has none: add": (
        lambda: recipe(SimCLR, temperature=0.1)(no_options)
    ),
    "both: temperature is an option twice, of SimCLR and of its own parameters": (
        lambda: recipe(SimCLR, temperature=0.1)(both)
    ),
    "two_groups: epochs is an option twice, of training and of its own parameters": lambda: recipe(two_groups),
    "no_type: the option width has no type: annotate it, such as width: int = 64": lambda: recipe(no_type),
    "no_type_nor_default: the option width has no type": lambda: recipe(no_type_nor_default),
    "text: the default of width is '64', expected a value of type int": lambda: recipe(text),
    "out_of_range: the default of temperature: got 0.0, expected 0.001 to 1000, as in every recipe": (
        lambda: recipe(out_of_range)
    ),
    "out_of_its_own: the default of width: got 64, expected 1 to 9": lambda: recipe(out_of_its_own),
    "a_list: the option widths has the type list[int], expected bool, int": lambda: recipe(a_list),
    "no_group: images is a group of options with no default: give it an instance": lambda: recipe(no_group),
    "a_class: training is a group of options with the default Laptop: give it an instance": lambda: recipe(a_class),
    "rest: its **options stay empty: name the method": lambda: recipe(rest),
    "places: its options have names, and it has *args": lambda: recipe(places),
    "spread is no field of NoDataclass yet: write @dataclass(frozen=True)": lambda: recipe(NoDataclass, spread=1.0),
    "recipe: got temperature and no method": lambda: recipe(temperature=0.1),
    "recipe: got 'simclr' and no method": lambda: recipe("simclr"),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_mistake_is_a_sentence_where_it_is_made(sentence):
    with pytest.raises(UsageError) as raised:
        MISTAKES[sentence]()
    assert sentence in str(raised.value)


def test_a_recipe_that_returns_nothing_says_so():
    @recipe
    def forgotten() -> Recipe:
        simclr.demo(**SMALL)

    with pytest.raises(UsageError, match=r"forgotten: it returned None, expected a Recipe: end it with return"):
        forgotten()


def test_tuples_are_options_and_lists_of_run_json_become_them():
    found = []

    @recipe
    def make(*, widths: tuple[int, ...] = (64,), ends: tuple[float, float] | None = None) -> Recipe:
        found.append((widths, ends))
        return simclr.demo(**SMALL)

    assert make(widths=[32, 16], ends=(0, 1.5)).arguments == {"widths": (32, 16), "ends": (0, 1.5)}
    assert found == [((32, 16), (0, 1.5))]
    for wrong in ({"widths": (1.5,)}, {"widths": 3}, {"ends": (1.0,)}):
        with pytest.raises(UsageError, match=rf"{next(iter(wrong))}: got .*, expected .*tuple\["):
            make(**wrong)


def test_types_of_options():
    assert all(map(is_kind, (int, float | None, Literal["a", 1], tuple[int, str], Annotated[int, Range(0, 1)])))
    assert not any(map(is_kind, (dict, list[int], object, int | dict, tuple[list, ...])))
    assert fits(1, float) and not fits(True, float) and fits(None, int | None) and not fits(1.5, int)


def options() -> dict[str, Any]:
    opened, training = Images("synthetic", 8, "small").open(), SHORT
    method = SimCLR(opened.encoder, opened.head(8))
    return {
        "self": opened,
        "training": training,
        "method": method,
        "augment": opened.views(),
        "optimizer": training.adamw,
    }


@dataclass(frozen=True)
class NoAxis(SimCLR):
    def objective(self, embeddings, state, rng, step): ...


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (
            "optimizer",
            lambda given: SHORT.adamw(10),
            "optimizer: got Optimizer, expected a function of the number of steps",
        ),
        (
            "augment",
            lambda given: lambda image: image,
            "augment: got <lambda>(image), expected a function (rng, image)",
        ),
        ("method", lambda given: SimCLR, "method: got the class SimCLR, expected an instance: SimCLR(encoder, head)"),
        (
            "method",
            lambda given: NoAxis(given["self"].encoder, given["self"].head(8)),
            "NoAxis.objective: it takes (embeddings, state, rng, step), expected (embeddings, state, rng, step, *, axis_name",
        ),
    ],
)
def test_parts_that_cannot_be_called_are_a_sentence(name, change, sentence):
    given = options()
    with pytest.raises(UsageError) as raised:
        Opened.recipe(**{**given, name: change(given)})
    assert sentence in str(raised.value)
