"""Recipes are called with flat keywords, whatever groups they take."""

import inspect
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

import pytest

from ssl_jax.commands import read_options
from ssl_jax.composition.clips import Clips, Frames
from ssl_jax.composition.crops import Crops
from ssl_jax.composition.explanations import SHARED, explanations_of
from ssl_jax.composition.images import Images
from ssl_jax.composition.recipe import recipe
from ssl_jax.composition.training import Album, Constant, Laptop, SoloLearn, Staircase, Training
from ssl_jax.composition.variants import variant
from ssl_jax.data import Batches
from ssl_jax.errors import UsageError
from ssl_jax.methods.moco import MoCo
from ssl_jax.recipes import Recipe, cpc, deepcluster, explained, find, methods, recipes, simclr
from ssl_jax.recipes.jigsaw import Tiles

HINTS = dict.fromkeys(("epochs", "learning_rate", "weight_decay", "temperature"), float)
HINTS |= dict.fromkeys(("reach", "gap", "batch_size"), int) | {"return": Recipe}
EVERY = [find(method, name) for method in methods() for name in recipes(method)]


@dataclass(frozen=True)
class Base:
    """Of all groups.

    Attributes:
      reach: of a base.
      gap: of a base, on
        two lines.
    """

    reach: int
    gap: int = 1


@dataclass(frozen=True)
class Group(Base):
    """A group.

    Attributes:
      reach: of the group.
      hidden: no option.
    """

    hidden: int = field(default=3, metadata={"option": False})


GROUP, LAPTOP = Group(5, hidden=7), Laptop(epochs=9)


def routed(**arguments):
    """The arguments with which the body of a recipe is called."""
    found = []

    @recipe
    def make(group: Group = GROUP, training: Laptop = LAPTOP, *, temperature: float = 0.5) -> Recipe:
        """A recipe.

        Args:
          temperature: of its own.
        """
        found.append((group, training, temperature))
        return simclr.demo(data="synthetic", image_size=8, epochs=1, batch_size=256)

    return make, make(**arguments), *found


def test_fields_of_groups_are_keywords_with_the_defaults_of_the_instance():
    make, made, arguments = routed()
    assert arguments == (GROUP, LAPTOP, 0.5)
    expected = {"reach": 5, "gap": 1, "epochs": 9, "batch_size": 256, "learning_rate": 3e-3, "weight_decay": 1e-4}
    assert made.arguments == expected | {"temperature": 0.5}
    signature = inspect.signature(make)
    assert {name: each.default for name, each in signature.parameters.items()} == made.arguments
    assert get_type_hints(make) == HINTS
    assert made.name == "test_recipe/make" and signature.return_annotation is Recipe


def of_method(**arguments):
    """A recipe with two fields of a method as options, and what its body got for them."""
    found = []

    @recipe(MoCo, temperature=0.3, queue_length=512)
    def make(training: Laptop = LAPTOP, *, gap: int = 1, **options: Any) -> Recipe:
        """A recipe.

        Some words.

        Args:
          queue_length: of its own.
        """
        found.append((training, gap, options))
        return simclr.demo(data="synthetic", image_size=8, epochs=1, batch_size=256)

    return make, make(**arguments), *found


def test_fields_of_a_method_are_keywords_with_their_annotations_and_explanations():
    make, made, (_, gap, options) = of_method(temperature=0.5, gap=2)
    assert options == {"temperature": 0.5, "queue_length": 512} and gap == 2
    assert made.arguments["queue_length"] == 512 and get_type_hints(make)["queue_length"] is int
    words = explained(make)
    assert "\n  temperature: softmax temperature, 0.07 in the first version" in words
    assert words.count("queue_length: ") == 1 and "\n  queue_length: of its own." in words
    for wrong in ({"queue_length": 1.5}, {"temperature": 1e9}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            of_method(**wrong)
    with pytest.raises(TypeError, match="unexpected keyword argument 'symmetric'"):  # A field, but not an option here.
        of_method(symmetric=True)
    with pytest.raises(UsageError, match="MoCo has no field reach, expected some of encoder, head"):
        recipe(MoCo, reach=3)


def test_a_variant_has_other_defaults_and_another_name():
    make, *_ = of_method()
    found = variant(make, name="other", about="Another.", training=Laptop(epochs=3), queue_length=256, gap=4)
    defaults = {name: each.default for name, each in inspect.signature(found).parameters.items()}
    assert (defaults["epochs"], defaults["queue_length"], defaults["gap"], defaults["temperature"]) == (3, 256, 4, 0.3)
    made = found(epochs=2)
    assert made.name == "test_recipe/other" and made.arguments == defaults | {"epochs": 2}
    assert found.__doc__.startswith("Another.\n\nSome words.") and "queue_length: of its own." in explained(found)
    assert inspect.signature(make).parameters["gap"].default == 1
    with pytest.raises(
        UsageError, match=r"make has neither an option nor a group called reach, expected some of temperature"
    ):
        variant(make, name="other", about="Another.", reach=2)


def test_a_variant_has_other_fields_of_groups_too():
    make, *_ = of_method()
    found = variant(make, epochs=3, temperature=0.4)
    assert found().arguments["epochs"] == 3 and found().name == "test_recipe/make"
    assert inspect.signature(make).parameters["epochs"].default == 9
    with pytest.raises(UsageError, match=r"the default of epochs is 'x', expected a value of type float"):
        variant(make, epochs="x")
    with pytest.raises(UsageError, match="variant: got <function helper"):
        variant(helper)


def helper():
    """No recipe."""


def test_keywords_reach_their_groups():
    _, made, arguments = routed(reach=6, epochs=3.5, temperature=2.0)
    assert arguments == (Group(6, hidden=7), Laptop(epochs=3.5), 2.0)
    assert made.arguments["reach"] == 6 and made.arguments["epochs"] == 3.5


def test_what_is_no_option_is_refused():
    for wrong in ("hidden", "group", "no_such_option"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{wrong}'"):
            routed(**{wrong: 1})
    with pytest.raises(TypeError, match="positional"):
        routed()[0](GROUP)
    with pytest.raises(UsageError, match=r"gap: got 1\.5, expected a value of type int"):
        routed(gap=1.5)
    with pytest.raises(UsageError, match="reach: got 0, expected 1 to 1,024"):
        routed(reach=0)


def test_an_option_is_explained_by_the_recipe_by_its_group_or_by_its_base():
    make, *_ = routed()
    words = explained(make)
    assert words.count("temperature: ") == 1 and "\n  temperature: of its own." in words
    assert "\n  reach: of the group." in words and "\n  gap: of a base, on two lines." in words
    assert "\n  learning_rate: peak learning rate." in words and "hidden" not in words


def test_every_option_of_every_recipe_is_explained_once():
    for make in EVERY:
        words = explained(make)
        assert all(words.count(f"\n  {name}: ") == 1 for name in inspect.signature(make).parameters), make


def test_every_shared_explanation_is_needed():
    """By an option of a recipe that neither its docstring nor its groups explain."""
    needed = {
        name
        for make in EVERY
        for name in inspect.signature(make).parameters
        if f"\n  {name}: " not in inspect.getdoc(make) and name not in make.explanations
    }
    assert needed == set(SHARED)


def test_every_option_of_a_group_is_explained():
    for group in (Images, Training, Clips, Frames, Staircase, Constant, SoloLearn, Crops, Tiles, Album):
        assert {each.name for each in fields(group) if each.metadata.get("option", True)} <= set(explanations_of(group))


def test_what_is_no_option_stays_that_of_the_default():
    assert simclr.cifar(data="digits", encoder="small", image_size=8, epochs=3).data.train.image_shape == (8, 8, 3)


def test_an_option_under_its_older_name_makes_the_same_recipe(capsys):
    old, new = cpc.demo(data="synthetic", rows=2), cpc.demo(data="synthetic", prediction_steps=2)
    assert old.arguments == new.arguments and "prediction_steps" in capsys.readouterr().err
    make, _ = read_options(cpc.demo, ["--rows", "2", "--data=synthetic"], prog="ssl-jax")
    assert make().arguments == new.arguments


def test_an_epoch_has_the_whole_batches_of_the_source():
    """Of 512 images in batches of 150: three steps, not 3.4 and not 4; for the run, its schedule and the clusterings."""
    made = deepcluster.demo(data="synthetic", image_size=8, batch_size=150, epochs=10, clusters=4)
    assert len(made.data.train) == 512
    with Batches(made.data.train, 150, seed=0) as batches:
        assert batches.steps_per_epoch == made.method.recluster_every == 3
    assert made.steps == 30
    assert float(made.optimizer(made.steps).learning_rate(30)) == 0.0
