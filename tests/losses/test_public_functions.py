"""Every public loss and operation: wrong arguments are one sentence, 64-bit mode changes nothing, integers are numbers."""

from collections.abc import Mapping
from functools import cache, partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax import losses, ops
from ssl_jax.ops import bank, normalize, queue
from ssl_jax.ops.attention import attention
from ssl_jax.ops.moving_average import cosine_momentum, moving_average
from ssl_jax.ops.patches import overlapping_patches, patchify
from ssl_jax.ops.positions import grid_positions, rotate_pairs, sinusoidal_positions
from ssl_jax.ops.sinkhorn import sinkhorn_labels

RNG = np.random.default_rng(0)
NONE: Mapping[str, Any] = MappingProxyType({})


def rows(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def classes(count, *shape):
    return RNG.integers(0, count, shape).astype(np.int32)


class Call(NamedTuple):
    """A function with arguments that fit. Options are numbers, by what they have to be."""

    function: Any
    arrays: dict[str, Any]  # of floating-point numbers: differentiated
    integers: Mapping[str, Any] = NONE
    positive: Mapping[str, float] = NONE
    weights: Mapping[str, float] = NONE  # at least 0
    shares: Mapping[str, float] = NONE  # from 0 to 1
    counts: Mapping[str, int] = NONE
    rest: Mapping[str, Any] = NONE  # not tried

    @property
    def arguments(self):
        return self.arrays | self.integers | self.positive | self.weights | self.shares | self.counts | self.rest


KEY = jax.random.key(0)
PAIR = {"first": rows(6, 4), "second": rows(6, 4)}
BLOCK = {"block_size": 2}
WARM = {"temperature": 0.5}
NEGATIVES = {"query": rows(6, 4), "positive": rows(6, 4), "negatives": rows(5, 4)}
CLIPS = {"video": rows(6, 4), "audio": rows(6, 4)}
OTHERS = {"video_negatives": rows(5, 4), "audio_negatives": rows(5, 4)}
STORE = {"query": rows(6, 4), "keys": rows(5, 4)}
LOSSES = {
    "ntxent": Call(losses.ntxent, PAIR, positive=WARM, counts=BLOCK),
    "decoupled_contrastive": Call(losses.decoupled_contrastive, PAIR, positive=WARM, counts=BLOCK),
    "supervised_contrastive": Call(
        losses.supervised_contrastive, {"embeddings": rows(6, 4)}, {"labels": classes(2, 6)}, WARM, counts=BLOCK
    ),
    "moco_v3": Call(
        losses.moco_v3, PAIR | {"first_keys": rows(6, 4), "second_keys": rows(6, 4)}, positive=WARM, counts=BLOCK
    ),
    "in_batch_info_nce": Call(
        losses.in_batch_info_nce, {"queries": rows(6, 4), "keys": rows(6, 4)}, positive=WARM, counts=BLOCK
    ),
    "info_nce": Call(losses.info_nce, NEGATIVES, positive=WARM, counts=BLOCK),
    "nce": Call(losses.nce, NEGATIVES, positive=WARM, rest={"log_partition": 0.5}),
    "estimate_log_partition": Call(
        losses.estimate_log_partition, {"query": rows(6, 4), "negatives": rows(5, 4)}, positive=WARM
    ),
    "cpc": Call(
        losses.cpc, {"predictions": rows(1, 2, 3, 3, 4), "targets": rows(2, 3, 3, 4)}, positive=WARM,
        counts=BLOCK | {"first_step": 1},
    ),
    "avid": Call(losses.avid, CLIPS | {"video_memory": rows(6, 4), "audio_memory": rows(6, 4)} | OTHERS),
    "cma": Call(losses.cma, CLIPS | {"video_positives": rows(6, 2, 4), "audio_positives": rows(6, 2, 4)} | OTHERS),
    "correspondence": Call(losses.correspondence, {"own": rows(6), "other": rows(6)}),
    "agreeing_clips": Call(losses.agreeing_clips, CLIPS, counts={"count": 2, "block_size": 3}),
    "barlow_twins": Call(losses.barlow_twins, PAIR, weights={"off_diagonal_weight": 0.1}),
    "vicreg": Call(losses.vicreg, PAIR, weights={"invariance": 1.0, "variance": 1.0, "covariance": 1.0}),
    "sigreg": Call(
        partial(losses.sigreg, KEY), {"views": rows(2, 6, 4)}, counts={"directions": 3}
    ),
    "negative_cosine": Call(losses.negative_cosine, {"prediction": rows(6, 4), "target": rows(6, 4)}),
    "dino": Call(
        losses.dino, {"student": rows(3, 6, 4), "teacher": rows(2, 6, 4), "center": rows(4)},
        positive={"student_temperature": 0.5, "teacher_temperature": 0.2},
    ),
    "update_center": Call(losses.update_center, {"center": rows(4), "teacher": rows(2, 6, 4)}, shares={"momentum": 0.9}),
    "center_and_sharpen": Call(
        losses.center_and_sharpen, {"teacher": rows(2, 6, 4), "center": rows(4)}, positive={"temperature": 0.2}
    ),
    "ibot": Call(
        losses.ibot,
        {"student": rows(2, 3, 4), "targets": np.full((2, 3, 4), 0.25, np.float32), "mask": np.ones((2, 3), np.float32)},
        positive={"temperature": 0.5},
    ),
    "koleo": Call(losses.koleo, {"tokens": rows(6, 4)}),
    "coding_rate": Call(losses.coding_rate, {"views": rows(2, 6, 4)}, positive={"distortion": 0.5}, counts={"groups": 2}),
    "simdino": Call(
        losses.simdino, {"student": rows(3, 6, 4), "teacher": rows(2, 6, 4)}, positive={"distortion": 0.5},
        weights={"invariance": 1.0}, counts={"groups": 2},
    ),
    "swav": Call(losses.swav, {"scores": rows(3, 6, 4), "assignments": np.full((2, 6, 4), 0.25, np.float32)}, positive=WARM),
    "cluster_cross_entropy": Call(
        losses.cluster_cross_entropy, {"scores": rows(6, 4)}, {"labels": classes(4, 6)}, WARM
    ),
    "cross_entropy": Call(
        losses.cross_entropy, {"logits": rows(6, 4)}, {"labels": classes(4, 6)}, shares={"label_smoothing": 0.1}
    ),
    "weighted_cross_entropy": Call(
        losses.weighted_cross_entropy, {"logits": rows(6, 4), "weights": np.ones(4, np.float32)}, {"labels": classes(4, 6)}
    ),
    "masked_regression": Call(
        losses.masked_regression, {"prediction": rows(2, 3, 4), "target": rows(2, 3, 4), "mask": np.ones((2, 3), np.float32)}
    ),
    "masked_smooth_l1": Call(
        losses.masked_smooth_l1, {"prediction": rows(2, 3, 4), "target": rows(2, 3, 4), "mask": np.ones((2, 3), np.float32)}
    ),
}  # fmt: skip
ATTENTION = {"query": rows(2, 3, 4, 5), "key": rows(2, 6, 2, 5)}
B = {"inverse_temperature": 2.0}
OPS = {
    "attention": Call(ops.attention, ATTENTION | {"value": rows(2, 6, 2, 3)}, positive=B, counts={"block_size": 4}),
    "attention, hard": Call(partial(attention, hard=True), ATTENTION | {"value": rows(2, 6, 2, 3)}),
    "attention_weights": Call(ops.attention_weights, ATTENTION, positive=B),
    "free_energy": Call(ops.free_energy, STORE, positive=B, counts=BLOCK),
    "key_value_lookup": Call(ops.key_value_lookup, STORE | {"values": rows(5, 3)}, positive=B, counts=BLOCK),
    "key_value_lookup, nearest": Call(
        ops.key_value_lookup, STORE, {"values": classes(3, 5)}, B, counts=BLOCK | {"top": 2, "num_classes": 3}
    ),
    "latent_free_energy": Call(ops.latent_free_energy, {"energies": rows(3, 5)}, positive=B),
    "descend_latent": Call(
        partial(ops.descend_latent, lambda latent: ((latent - 3.0) ** 2).sum(axis=-1)), {"start": rows(3, 2)},
        positive={"learning_rate": 0.1}, counts={"steps": 3},
    ),
    "softmax_sum": Call(
        ops.softmax_sum, {"queries": rows(6, 4), "keys": rows(5, 4), "values": rows(5, 3)},
        {"skip": classes(5, 6, 1), "last": classes(5, 6)}, B, counts=BLOCK,
    ),
    "log_sum_exp": Call(ops.log_sum_exp, {"queries": rows(6, 4), "keys": rows(5, 4)}, positive=B, counts=BLOCK),
    "kmeans": Call(
        partial(ops.kmeans, KEY), {"points": rows(9, 4)}, counts={"clusters": 2, "iterations": 3, "block_size": 4}
    ),
    "sinkhorn": Call(ops.sinkhorn, {"scores": rows(6, 4)}, positive={"epsilon": 0.1}, counts={"iterations": 3}),
    "sinkhorn_labels": Call(
        sinkhorn_labels, {"points": rows(9, 4), "prototypes": rows(3, 4)}, positive={"epsilon": 0.1},
        counts={"iterations": 3, "block_size": 4},
    ),
    "rotation_matrix": Call(ops.rotation_matrix, {"free": rows(4, 4)}),
    "unit_length": Call(normalize.unit_length, {"rows": rows(6, 4)}),
    "standardize": Call(normalize.standardize, {"rows": rows(6, 4)}, positive={"epsilon": 1e-5}),
    "layer_norm": Call(normalize.layer_norm, {"rows": rows(6, 4)}, positive={"epsilon": 1e-5}),
    "bank.read": Call(partial(bank.read, bank.fresh(KEY, 9, 4)), {}, {"index": classes(9, 6)}),
    "bank.write": Call(
        partial(bank.write, bank.fresh(KEY, 9, 4)), {"rows": rows(6, 4)}, {"index": classes(9, 6)}, shares={"momentum": 0.5}
    ),
    "bank.others": Call(partial(bank.others, KEY), {}, {"index": classes(9, 6)}, counts={"count": 2, "length": 9}),
    "queue.push": Call(partial(queue.push, queue.fresh(KEY, 12, 4)), {"keys": rows(6, 4)}),
    "moving_average": Call(moving_average, {}, shares={"momentum": 0.9}, rest={"average": rows(3), "value": rows(3)}),
    "cosine_momentum": Call(cosine_momentum, {}, counts={"steps": 10}, shares={"start": 0.9, "end": 1.0}, rest={"step": 3}),
    "patchify": Call(patchify, {"images": rows(2, 4, 4, 1)}, counts={"size": 2}),
    "overlapping_patches": Call(overlapping_patches, {"images": rows(2, 4, 4, 1)}, counts={"size": 2, "stride": 1}),
    "sinusoidal_positions": Call(sinusoidal_positions, {"positions": np.arange(5)}, counts={"dim": 4}),
    "rotate_pairs": Call(rotate_pairs, {"x": rows(2, 3, 2, 4), "positions": np.arange(3)}, positive={"base": 100.0}),
    "grid_positions": Call(grid_positions, {}, counts={"grid": 3, "dim": 8}),
}  # fmt: skip
CALLS = LOSSES | OPS


def test_no_public_function_is_forgotten():
    assert set(losses.__all__) <= set(LOSSES) and set(ops.__all__) <= set(OPS)


def misuses(call):
    """One wrong argument at a time: its name and what comes instead."""
    for name, array in (call.arrays | call.integers).items():
        yield from ((name, array.tolist()), (name, array * 1j), (name, None), (name, "rows"))
        yield from ((name, array[None, None]), (name, np.zeros((), array.dtype)))
    for name in call.integers:
        yield name, call.integers[name] + 0.5
    for name in call.positive | call.weights | call.shares:
        yield from ((name, wrong) for wrong in (-1.0, np.nan, np.inf, "0.1", [0.1], 1j, np.ones(2, np.float32)))
    yield from ((name, 0.0) for name in call.positive)
    yield from ((name, 1.5) for name in call.shares)
    for name in call.counts:
        yield from ((name, wrong) for wrong in (-1, 2.5, np.nan, "2", [2], True))


# What may be left out, or may have any number of axes.
OPTIONAL = ("values", "skip", "last", "mask")
ANY_SHAPE = (
    "latent_free_energy",
    "layer_norm",
    "unit_length",
    "bank.read",
    "bank.others",
    "sinusoidal_positions",
    "rotation_matrix",
)


@pytest.mark.parametrize("name", CALLS)
def test_misuse_is_one_sentence(name):
    call = CALLS[name]
    unrefused = []
    for argument, wrong in misuses(call):
        if wrong is None and argument in OPTIONAL and name == "softmax_sum":
            continue
        if name in ANY_SHAPE and isinstance(wrong, np.ndarray) and wrong.ndim not in (1, 2):
            continue
        shown = f"{argument}={wrong if not isinstance(wrong, np.ndarray) else (wrong.dtype, wrong.shape)}"
        try:
            call.function(**call.arguments | {argument: wrong})
        except ValueError as fault:
            if len(str(fault)) > 400 or "\n" in str(fault):
                unrefused.append(f"{shown}: {fault}")
        except Exception as fault:
            unrefused.append(f"{shown}: {type(fault).__name__} {fault}")
        else:
            unrefused.append(f"{shown}: accepted")
    assert not unrefused, "\n".join(unrefused)


def in_one_number(outputs):
    """A sum over what is finite, which depends on each output in its own way."""
    total = jnp.float32(0)
    for leaf in jax.tree.leaves(outputs):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            weights = np.cos(np.arange(leaf.size)).astype(np.float32).reshape(leaf.shape)
            total += jnp.sum(jnp.where(jnp.isfinite(leaf), leaf, 0).astype(jnp.float32) * weights)
    return total


def value_and_gradient(call, dtype):
    fixed = {key: value for key, value in call.arguments.items() if key not in call.arrays}
    arrays = {
        key: jnp.asarray(value, dtype if value.dtype == np.float32 else None) for key, value in call.arrays.items()
    }
    floating = {key: value for key, value in arrays.items() if jnp.issubdtype(value.dtype, jnp.floating)}
    rest = fixed | {key: value for key, value in arrays.items() if key not in floating}

    @jax.jit
    def both(floating):
        outputs = call.function(**floating, **rest)
        return outputs, jax.grad(lambda floating: in_one_number(call.function(**floating, **rest)))(floating)

    return both(floating)


@cache
def in_32_bits(name):
    return value_and_gradient(CALLS[name], np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CALLS)
def test_in_64_bit_mode_values_and_gradients_are_the_same(name, dtype):
    call = CALLS[name]
    if not call.arrays:
        return
    expected = in_32_bits(name)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        found = value_and_gradient(call, dtype)
    for come, wanted in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(come), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", [np.int32, np.int8, np.bool_])
@pytest.mark.parametrize("turned", ["query", "keys", "values", "key", "value", "queries"])
@pytest.mark.parametrize(
    "name", ["free_energy", "key_value_lookup", "softmax_sum", "log_sum_exp", "attention", "attention_weights"]
)
def test_integers_are_the_floats_that_they_stand_for(name, turned, kind):
    """Once the other arrays were cast to the integers' type, and lost what comes after the point."""
    call = CALLS[name]
    if turned not in call.arrays:
        return
    whole = {turned: np.round(call.arrays[turned] * 2).astype(kind)}
    found = call.function(**call.arguments | whole)
    expected = call.function(**call.arguments | {turned: whole[turned].astype(np.float32)})
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)
