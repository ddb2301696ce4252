"""A recipe: all settings of one pre-training run, from a paper or measured by us."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_type_hints

from jax import Array

from ssl_jax.composition.definition import GIVEN, check_calls, check_options, check_parameters, is_group, method_fields
from ssl_jax.composition.explanations import explanations_of
from ssl_jax.composition.kinds import converted, description, fits, name_of
from ssl_jax.data import Data, resolve_name, steps_per_epoch
from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Method
from ssl_jax.optimizers import Optimizer
from ssl_jax.ranges import COUNT, annotated_ranges, check_ranges
from ssl_jax.settings import current_name, settings_of

GIVEN_MARK = "given in Python: "  # In run.json, before the name of such a value.


@dataclass(frozen=True)
class Recipe:
    """What `pretrain` runs. Made by the functions of `ssl_jax.recipes`, or by hand.

    augment: `(rng, uint8 image [H, W, C]) -> views`, for one example.
    prepare: `uint8 image [H, W, C] -> float32 image`, the input of the frozen encoder in evaluation.
    optimizer: total number of steps -> optimizer.
    epochs: passes over `data.train`, of `Batches.steps_per_epoch` steps each; may be fractional.
    name: "method/recipe", as in `ssl-jax pretrain METHOD --recipe RECIPE`.
    arguments: arguments of the recipe's function, defaults included: enough to make the recipe again.
    file: the file of that function, if it is not in the package; see `ssl_jax.composition.outside`.
    file_checksum: of its bytes when it was imported.
    """

    data: Data
    method: Method
    augment: Callable[[Array, Array], Any]
    prepare: Callable[[Array], Array]
    optimizer: Callable[[int], Optimizer]
    batch_size: int
    epochs: float
    name: str = "by-hand"
    arguments: dict[str, Any] = field(default_factory=dict)
    file: str | None = None
    file_checksum: str | None = None

    def __post_init__(self) -> None:
        check_ranges(batch_size=self.batch_size, epochs=self.epochs)
        check_calls(self.method, augment=self.augment, prepare=self.prepare, optimizer=self.optimizer)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run, at least one."""
        return count_steps(self.data, epochs=self.epochs, batch_size=self.batch_size)


def count_steps(data: Data, *, epochs: float, batch_size: int) -> int:
    """Optimizer steps of a run, which schedules inside a method (momentum, temperature) depend on; at least one.

    An epoch has `Batches.steps_per_epoch` steps: of 4,000 images in batches of 256, 50 epochs are 750 steps.
    """
    check_ranges(batch_size=batch_size, epochs=epochs)
    steps = max(1, round(epochs * steps_per_epoch(len(data.train), batch_size)))
    if steps > COUNT.high:
        raise UsageError(
            f"epochs: {epochs:g} passes over {len(data.train):,} examples in batches of {batch_size:,} are {steps:,} steps, "
            f"expected {COUNT}: lower epochs or raise batch_size."
        )
    return steps


def recipe(made_by: Callable[..., Any] | None = None, /, **values: Any) -> Callable[..., Any]:
    """Makes a recipe's function take flat keywords, checks them, and records them and its name in the recipe.

    `@recipe` alone, or `@recipe(MoCo, temperature=0.2, queue_length=2048)`: these fields of the method become keywords, with
    their annotations and explanations in the class and these values as defaults, and reach the function as `**options`.

    A parameter whose default is an instance of a dataclass, such as `Images`, is replaced by the fields of that dataclass: each
    becomes a keyword with the value in the instance as its default, unless its metadata has `option=False`. So calls,
    `--help` and run.json are flat.

    A value of another type than the annotation, or outside the range that `ssl_jax.ranges` or the annotation states, is a
    `UsageError` before anything is opened. Relative paths are recorded as absolute ones, so that run.json is valid in every
    working directory.

    Raises:
      UsageError: the function cannot be a recipe: see `ssl_jax.composition.definition`.

    Example:
      >>> @recipe(SimCLR, temperature=0.2)
      ... def mine(images: Images = DIGITS, training: Laptop = Laptop(epochs=5), **options):
      ...     opened = images.open()
      ...     method = SimCLR(opened.encoder, opened.head(64, 32), **options)
      ...     return opened.recipe(training, method, opened.views(), training.adamw)
      >>> print(mine(data="synthetic", image_size=14, temperature=0.1).arguments["temperature"])
      0.1
    """
    if inspect.isclass(made_by):
        kinds = method_fields(made_by, values)
        fitting = [_keyword(name, value, kinds[name]) for name, value in values.items()]
        return lambda make: recorded(make, fitting, explanations_of(made_by), method=made_by)
    if values or not callable(made_by):
        given = ", ".join([*(() if made_by is None else [repr(made_by)]), *values])
        raise UsageError(
            f"recipe: got {given or 'nothing'} and no method: write @recipe, or @recipe(METHOD, field=value)."
        )
    return recorded(made_by, [], {})


def recorded(
    make: Callable[..., Recipe],
    of_method: list[inspect.Parameter],
    explanations: dict[str, str],
    *,
    method: type | None = None,
) -> Callable[..., Recipe]:
    """The function that `recipe` describes; of_method: the keywords that are fields of its method, explained by those."""
    parameters = inspect.signature(make, eval_str=True).parameters
    check_parameters(make, parameters, method, [each.name for each in of_method])
    groups: dict[str, Any] = {name: each.default for name, each in parameters.items() if is_group(each.default)}
    options = {name: _options(group) for name, group in groups.items()}
    own = [
        each.replace(kind=each.KEYWORD_ONLY)
        for each in parameters.values()
        if each.kind is not each.VAR_KEYWORD and each.name not in groups
    ]
    of_class = "its method" if method is None else method.__name__
    check_options(make, [*options.items(), (of_class, of_method), ("its own parameters", own)])
    flat = [option for group in options.values() for option in group] + of_method + own
    kinds = {option.name: option.annotation for option in flat}
    ranges = annotated_ranges(kinds)

    @functools.wraps(make)
    def flattened(**named: Any) -> Recipe:
        arguments = settings_of(flattened, **{current_name(name, kinds): value for name, value in named.items()})
        arguments = {name: converted(value, kinds[name]) for name, value in arguments.items()}
        for name, value in arguments.items():
            if not (isinstance(value, GIVEN.get(name, ())) or fits(value, kinds[name])):
                raise UsageError(f"{name}: got {value!r}, expected {description(kinds[name])}.")
        check_ranges(ranges, **arguments)
        routed = dict(arguments)
        for name, group in groups.items():
            routed[name] = replace(group, **{option.name: routed.pop(option.name) for option in options[name]})
        made = make(**routed)
        if not isinstance(made, Recipe):
            raise UsageError(
                f"{make.__name__}: it returned {name_of(type(made))}, expected a Recipe: end it with return, such as return "
                "images.open().recipe(...)."
            )
        return replace(made, name=flattened.recipe_name, arguments=absolute(arguments))  # type: ignore[attr-defined]

    flattened.__signature__ = inspect.Signature(flat, return_annotation=Recipe)  # type: ignore[attr-defined]
    flattened.__annotations__ = kinds | {"return": Recipe}
    flattened.recipe_name = f"{make.__module__.rpartition('.')[2]}/{make.__name__}"  # type: ignore[attr-defined]
    flattened.parts = make, of_method, explanations, method  # type: ignore[attr-defined]
    texts = [explanations, *(explanations_of(type(group)) for group in groups.values())]
    flattened.explanations = {name: text for each in texts for name, text in each.items()}  # type: ignore[attr-defined]
    return flattened


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _options(group: Any) -> list[inspect.Parameter]:
    """The fields of a dataclass that are options, as keywords whose defaults are the values of the instance."""
    kinds = get_type_hints(type(group), include_extras=True)
    return [
        _keyword(each.name, getattr(group, each.name), each.metadata.get("kind", kinds[each.name]))
        for each in fields(group)
        if each.metadata.get("option", True)
    ]


def in_words(name: str, value: Any) -> Any:
    """The value of an option as run.json and the command line have it: an object, which neither can hold, by its name."""
    is_object = isinstance(value, GIVEN.get(name, ()))
    return f"{GIVEN_MARK}{getattr(value, 'name', 'a network')}" if is_object else value


def absolute(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a recipe for run.json: paths made absolute (a folder of images, a file of features), objects by name."""
    made = {name: in_words(name, value) for name, value in arguments.items()}
    if isinstance(made.get("data"), str):
        made["data"] = resolve_name(made["data"])
    if made.get("features") and isinstance(made["features"], str):
        made["features"] = os.path.abspath(made["features"])
    return made
