"""Every public loss and operation is its definition in float64, in value and gradient, for drawn sizes, numbers and options.

`SSL_JAX_EXAMPLES=4000 pytest tests/test_properties.py` draws that many examples in all, new ones each time; otherwise one of
each function, of the first choices below. Compiling takes most of the time, so sizes come from short lists.

No tolerance is chosen for a single case: the result may differ from the definition by rounding, which grows with its size and
with the scores in its exponentials, and by as much as the definition changes where arguments change in their last digits.
"""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import loss_definitions
import numpy as np
import op_definitions
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from precision import UNIT
from public_calls import LOSSES, OPS, in_one_number

from ssl_jax import losses, ops

EXAMPLES = int(os.environ.get("SSL_JAX_EXAMPLES", 0))
NONE: Mapping[str, Any] = MappingProxyType({})
SIZES = dict.fromkeys("DEKLMQT", (2, 1, 3, 5)) | dict.fromkeys("AGHPSVW", (2, 1, 3)) | {"B": (3, 1, 2, 8)}
PAIRED = {"B": (3, 2, 8)}  # a single row has no other
CROPS = {"V": (2, 3), "A": (1, 2)}
POSITIVE = st.sampled_from([0.07, 0.01, 0.5, 1.0, 30.0, 1e4])
WEIGHTS = st.sampled_from([25.0, 0.0, 1.0, 5e-3])
SHARES = st.sampled_from([0.9, 0.0, 0.5, 1.0])
BLOCKS = {"block_size": st.sampled_from([2, None, 1, 3, 7])}  # 2 does not divide 3 rows
WARM = {"temperature": POSITIVE}
SCALE = {"inverse_temperature": st.sampled_from([20.0, 1e-3, 1.0])}


class Property(NamedTuple):
    """How the arguments of a call of `public_calls` are drawn.

    options: strategies by argument. sizes: of axes, instead of those above. axes: of an array, one of several.
    more: the generator and sizes by letter -> arrays that are not differentiated. shares: arrays whose rows sum to 1.
    """

    options: Mapping[str, Any] = NONE
    sizes: Mapping[str, tuple[int, ...]] = NONE
    axes: Mapping[str, tuple[str, ...]] = NONE
    more: Callable[..., dict[str, Any]] = lambda rng, size: {}
    shares: tuple[str, ...] = ()


def integers(name, low, high, *letters):
    """An array of integers below `high`, a number or the size of an axis."""

    def draw(rng, size):
        return {name: rng.integers(low, size.get(high, high), [size[letter] for letter in letters]).astype(np.int32)}

    return draw


def booleans(name, *letters):
    return lambda rng, size: {name: rng.random([size[letter] for letter in letters]) < 0.6}


def several(*draws):
    return lambda rng, size: functools.reduce(dict.__or__, (draw(rng, size) for draw in draws))


SHARED_OR_OWN = {"negatives": ("K D", "B K D")}
MASKED = booleans("mask", "B", "T")
CLASSES = integers("labels", -1, "D", "B")
HIDDEN = several(
    lambda rng, size: {"skip": rng.integers(0, size["K"], (size["Q"], size["S"])).astype(np.int32)},
    integers("last", 0, "K", "Q"),
    booleans("mask", "Q", "K"),
)
SEEN = {"causal": st.booleans(), "hard": st.booleans()} | SCALE
HEADS = {"B": (3, 1, 5), "T": (4, 2), "G": (2, 1)}
ATTENDED = booleans("mask", "A", "T", "H", "B")
LOSS_PROPERTIES = {
    "ntxent": Property(WARM | BLOCKS),
    "decoupled_contrastive": Property(WARM | BLOCKS, PAIRED),
    "supervised_contrastive": Property(WARM | BLOCKS, PAIRED, more=integers("labels", -1, 3, "B")),
    "moco_v3": Property(WARM | BLOCKS),
    "in_batch_info_nce": Property(WARM | BLOCKS),
    "info_nce": Property(WARM | BLOCKS, axes=SHARED_OR_OWN),
    "nce": Property(WARM | {"log_partition": st.sampled_from([0.3, -5.0, 20.0])}, axes=SHARED_OR_OWN),
    "estimate_log_partition": Property(WARM, axes=SHARED_OR_OWN),
    "cpc": Property(WARM | BLOCKS | {"first_step": st.sampled_from([1, 2])}, {"H": (4, 5), "S": (1, 2)}),
    "avid": Property(),
    "cma": Property(),
    "correspondence": Property(axes={"other": ("B", "B K")}),
    "barlow_twins": Property({"off_diagonal_weight": WEIGHTS}, PAIRED),
    "vicreg": Property({"invariance": WEIGHTS, "variance": WEIGHTS, "covariance": WEIGHTS}, PAIRED),
    "sigreg": Property({"directions": st.sampled_from([1, 3, 16])}),
    "negative_cosine": Property(),
    "dino": Property({"student_temperature": POSITIVE, "teacher_temperature": POSITIVE}, CROPS),
    "update_center": Property({"momentum": SHARES}, more=booleans("counted", "A", "B")),
    "center_and_sharpen": Property(WARM),
    "ibot": Property(WARM, more=MASKED, shares=("targets",)),
    "koleo": Property(NONE, PAIRED | {"D": (2, 3, 5)}),
    "coding_rate": Property({"distortion": POSITIVE, "groups": st.sampled_from([1, 2])}, {"B": (2, 8)}),
    "simdino": Property(
        {"distortion": POSITIVE, "invariance": WEIGHTS, "groups": st.sampled_from([1, 2])}, {"B": (2, 8)} | CROPS
    ),
    "swav": Property(WARM, CROPS, shares=("assignments",)),
    "cluster_cross_entropy": Property(WARM, more=CLASSES),
    "cross_entropy": Property({"label_smoothing": st.sampled_from([0.1, 0.0, 0.9])}, more=CLASSES),
    "weighted_cross_entropy": Property(more=CLASSES, shares=("weights",)),
    "masked_regression": Property({"normalize_targets": st.booleans()}, {"P": (2, 3, 5)}, more=MASKED),
    "masked_smooth_l1": Property(more=MASKED),
}
OP_PROPERTIES = {
    "attention": Property(SEEN, HEADS, more=ATTENDED),
    "attention_weights": Property(SEEN, HEADS, more=ATTENDED),
    "free_energy": Property(SCALE | BLOCKS),
    "key_value_lookup": Property(SCALE | BLOCKS | {"top": st.sampled_from([2, None, 1])}, {"K": (2, 3, 7)}),
    "latent_free_energy": Property({"inverse_temperature": st.sampled_from([1.0, None, 1e-3, 100.0])}),
    "descend_latent": Property({"steps": st.sampled_from([3, 1]), "learning_rate": st.sampled_from([0.1, 0.4])}),
    "softmax_sum": Property(SCALE | BLOCKS, more=HIDDEN),
    "log_sum_exp": Property(SCALE | BLOCKS),
    "sinkhorn": Property(
        {"epsilon": st.sampled_from([0.05, 1.0, 5e-3]), "iterations": st.sampled_from([3, 0, 20])},
        more=booleans("counted", "B"),
    ),
    "rotation_matrix": Property(),
    "unit_length": Property(),
    "standardize": Property({"epsilon": st.sampled_from([1e-5, 1.0])}, PAIRED),
    "layer_norm": Property({"epsilon": st.sampled_from([1e-5, 1.0])}),
}
PROPERTIES = LOSS_PROPERTIES | OP_PROPERTIES
DEFINED = {"unit_length": "unit"}
DIVISORS = ("temperature", "student_temperature", "teacher_temperature", "distortion")
FACTORS = ("inverse_temperature", "off_diagonal_weight")
CALLS = LOSSES | OPS
OF_THEIR_OWN = {"agreeing_clips", "kmeans"}  # below: they return places, or depend on chance


def test_every_public_function_has_a_property():
    assert set(losses.__all__) | set(ops.__all__) <= set(PROPERTIES) | OF_THEIR_OWN


@pytest.mark.parametrize("name", PROPERTIES)
def test_value_and_gradient_are_those_of_the_definition(name):
    @drawn(len(PROPERTIES))
    @given(st.data())
    def check(data):
        options, times = draw(name, data)
        for floats, rest in times:
            assert_is_definition(name, options, floats, rest)

    check()


def drawn(functions):
    return settings(
        max_examples=max(1, EXAMPLES // functions),
        derandomize=not EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # sizes are small as they are
    )


def draw(name, data):
    """Options, and three times arrays to differentiate and other arrays, of the same sizes: one compilation serves them."""
    drawing = PROPERTIES[name]
    axes = {argument: shaped.axes for argument, shaped in CALLS[name].floats.items()} | {
        argument: data.draw(st.sampled_from(choices), argument) for argument, choices in drawing.axes.items()
    }
    letters = {argument: axes[argument].replace("...", "").replace("?", "").split() for argument in axes}
    size = {letter: data.draw(st.sampled_from(choices), letter) for letter, choices in (SIZES | drawing.sizes).items()}
    options = {option: data.draw(strategy, option) for option, strategy in drawing.options.items()}
    seed = data.draw(st.integers(0, 2**16), "seed")
    return options, [arrays_of(drawing, letters, size, np.random.default_rng((seed, time))) for time in range(3)]


def arrays_of(drawing, letters, size, rng):
    floats = {name: rng.normal(size=[size[letter] for letter in letters[name]]) for name in letters}
    # Not near 0: gradients of directions, and their rounding, are divided by the length.
    floats = {name: array + 0.1 * np.sign(array) for name, array in floats.items()}
    for name in drawing.shares:
        floats[name] = np.exp(floats[name]) / np.exp(floats[name]).sum(axis=-1, keepdims=True)
    return {name: array.astype(jnp.float32) for name, array in floats.items()}, drawing.more(rng, size)


def assert_is_definition(name, options, floats, rest):
    found = function_of(name, tuple(options.items()))(floats, rest)
    numbers = {option: value for option, value in options.items() if isinstance(value, float)}
    definition = definition_of(name, tuple((option, options[option]) for option in options if option not in numbers))
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        wide = {argument: np.asarray(array, np.float64) for argument, array in floats.items()}
        versions = [wide, *(moved_in_last_digits(wide, seed) for seed in range(3))]
        expected, *moved = (jax.device_get(definition(version, rest, numbers)) for version in versions)
    for ours, right, *others in zip(*map(jax.tree.leaves, (found, expected, *moved)), strict=True):
        finite = np.isfinite(right)
        np.testing.assert_array_equal(np.isfinite(ours), finite)
        size, steep = np.abs(right[finite]).max(initial=0), steepness(options)
        rounding = UNIT * (5e-6 * (steep + size) + 1e-6 * steep * size)
        change = max(np.abs(other[finite] - right[finite]).max(initial=0) for other in others)
        np.testing.assert_allclose(np.asarray(ours)[finite], right[finite], rtol=0, atol=rounding + 4 * change)


def steepness(options):
    """Of exponentials: their relative error is that of float32 times the largest score."""
    divided = [1 / value for key, value in options.items() if key in DIVISORS]
    factors = [value for key, value in options.items() if key in FACTORS and value]
    return max([1.0, *divided, *factors])


def moved_in_last_digits(arrays, seed):
    rng = np.random.default_rng(seed)
    return {argument: array * (1 + UNIT * 3e-7 * rng.normal(size=array.shape)) for argument, array in arrays.items()}


@functools.lru_cache(500)
def function_of(name, options):
    """The public function: arrays to differentiate, and others -> outputs and gradients."""
    return with_gradients(functools.partial(CALLS[name].function, **CALLS[name].objects, **dict(options)))


@functools.lru_cache(500)
def definition_of(name, options):
    """The same of its definition, which takes the options that are numbers as a further argument."""
    name = DEFINED.get(name, name)
    definition = next(getattr(file, name) for file in (loss_definitions, op_definitions) if hasattr(file, name))
    known = inspect.signature(definition).parameters
    options = {**CALLS[name].objects, **dict(options)} if name in CALLS else dict(options)
    options = {key: value for key, value in options.items() if key in known or "options" in known}
    return with_gradients(lambda numbers, **arrays: definition(**arrays, **numbers, **options))


def with_gradients(function):
    def number(floats, rest, *numbers):
        outputs = function(*numbers, **floats, **rest)
        return in_one_number(outputs), outputs

    @jax.jit
    def both(floats, rest, *numbers):
        gradients, outputs = jax.grad(number, has_aux=True)(floats, rest, *numbers)
        return outputs, gradients

    return both


@pytest.mark.slow
@drawn(len(PROPERTIES))
@given(
    st.sampled_from([(9, 3), (5, 1), (16, 2)]),
    st.sampled_from([2, 1, 5]),
    st.sampled_from([4, 1, 4096]),
    st.integers(0, 2),
    st.integers(0, 2**16),
)
def test_kmeans_goes_on_with_the_means_of_the_nearest_points(shape, clusters, block_size, iterations, seed):
    points = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    run = functools.partial(ops.kmeans, jax.random.key(seed), points, clusters=clusters, block_size=block_size)
    before, after = (jax.device_get(run(iterations=number)) for number in (iterations, iterations + 1))
    for found in (before, after):
        squares = ((points[:, None].astype(np.float64) - found.centroids) ** 2).sum(axis=-1)
        np.testing.assert_allclose(squares[np.arange(len(points)), found.labels], squares.min(axis=1), atol=1e-5)
        np.testing.assert_allclose(found.inertia, squares.min(axis=1).mean(), rtol=1e-5, atol=1e-6)
    for cluster in np.unique(before.labels):
        mean = points[before.labels == cluster].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(after.centroids[cluster], mean, rtol=1e-5, atol=1e-5)


@drawn(len(PROPERTIES))
@given(
    st.sampled_from([(7, 3), (4, 1), (12, 5)]),
    st.sampled_from([2, 1, 3]),
    st.sampled_from(["both", "either", "video", "audio"]),
    st.sampled_from([3, 1, 1024]),
    st.integers(0, 2**16),
)
def test_agreeing_clips_are_those_of_the_highest_similarities(shape, count, agreement, block_size, seed):
    banks = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    found = losses.agreeing_clips(*banks, count=count, agreement=agreement, block_size=block_size)
    units = banks / np.linalg.norm(banks.astype(np.float64), axis=-1, keepdims=True)
    sight, sound = units @ units.swapaxes(1, 2)
    rule = {"both": np.minimum(sight, sound), "either": np.maximum(sight, sound), "video": sight, "audio": sound}
    similarities = np.where(np.eye(shape[0], dtype=bool), -np.inf, rule[agreement])
    best = -np.sort(-similarities, axis=1)[:, :count]
    np.testing.assert_allclose(np.take_along_axis(similarities, np.asarray(found), axis=1), best, atol=1e-6)
    assert all(len(set(row)) == count for row in np.asarray(found).tolist())
