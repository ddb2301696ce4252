"""Every public loss and operation with arguments that fit, and the axes and kind of each argument."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ssl_jax import losses, ops
from ssl_jax.ops import bank, normalize, queue
from ssl_jax.ops.kmeans import nearest_centroid
from ssl_jax.ops.moving_average import cosine_momentum, moving_average
from ssl_jax.ops.patches import overlapping_patches, patchify
from ssl_jax.ops.positions import grid_positions, resize_positions, rotate_pairs, sinusoidal_positions
from ssl_jax.ops.sinkhorn import sinkhorn_labels

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
NONE: Mapping[str, Any] = MappingProxyType({})
# One size for each letter, so that arrays fit; those of B, K and V differ.
SIZES = {"A": 2, "B": 6, "C": 1, "D": 4, "E": 3, "G": 2, "H": 3, "K": 5, "L": 9, "M": 5, "N": 20, "P": 2}
SIZES |= {"Q": 6, "S": 1, "T": 4, "V": 3, "W": 3, "h": 2, "n": 3, "q": 2, "w": 2}


class Shaped(NamedTuple):
    """An array and its axes: equal letters are equal sizes, "..." any number of axes, "?" an axis that may be empty."""

    axes: str
    array: np.ndarray
    wrong: tuple[int, ...] = ()  # integers that are out of range


def rows(axes):
    return Shaped(axes, RNG.normal(size=sizes(axes)).astype(np.float32))


def filled(axes, value):
    return Shaped(axes, np.full(sizes(axes), value, np.float32))


def mask(axes):
    array = np.ones(sizes(axes), bool)
    array.flat[0] = False
    return Shaped(axes, array)


def classes(axes, count, wrong=()):
    array = np.arange(np.prod(sizes(axes)), dtype=np.int32) % count
    return Shaped(axes, array.reshape(sizes(axes)), wrong)


def sizes(axes):
    return tuple(SIZES[axis] for axis in axes.replace("...", "").replace("?", "").split())


class Call(NamedTuple):
    """A function with arguments that fit, by what they have to be; flags, choices and axis names come from its signature."""

    function: Any
    floats: Mapping[str, Shaped]  # real numbers of any type
    integers: Mapping[str, Shaped] = NONE
    masks: Mapping[str, Shaped] = NONE
    positive: Mapping[str, Any] = NONE
    weights: Mapping[str, float] = NONE  # at least 0
    shares: Mapping[str, float] = NONE  # from 0 to 1
    counts: Mapping[str, int] = NONE  # at least 1
    seeds: Mapping[str, int] = NONE  # at least 0
    numbers: Mapping[str, float] = NONE  # finite
    sequences: Mapping[str, Any] = NONE  # of numbers above 0
    objects: Mapping[str, Any] = NONE  # of a type of their own

    @property
    def shaped(self):
        return {**self.floats, **self.integers, **self.masks}

    @property
    def arrays(self):
        """Those that are differentiated."""
        return {name: shaped.array for name, shaped in self.floats.items()}

    @property
    def arguments(self):
        arrays = {name: shaped.array for name, shaped in self.shaped.items()}
        numbers = {**self.positive, **self.weights, **self.shares, **self.counts, **self.seeds, **self.numbers}
        return {**self.objects, **arrays, **numbers, **self.sequences}


def several(axes, *names):
    return {name: rows(axes) for name in names}


PAIR = several("B D", "first", "second")
BLOCK = {"block_size": 2}
WARM = {"temperature": 0.5}
NEGATIVES = several("B D", "query", "positive") | {"negatives": rows("K D")}
CLIPS, OTHERS = several("B D", "video", "audio"), {"video_negatives": rows("K D"), "audio_negatives": rows("M D")}
MEMORY, POSITIVES = (
    several("B D", "video_memory", "audio_memory"),
    several("B P D", "video_positives", "audio_positives"),
)
TWO_CROPS = {"student": rows("V B D"), "teacher": rows("A B D")}
PATCHES = several("B T P", "prediction", "target")
MASK = {"mask": mask("B T")}
LABELS = {"labels": classes("B", 4, wrong=(4,))}
LOSSES = {
    "ntxent": Call(losses.ntxent, PAIR, positive=WARM, counts=BLOCK),
    "decoupled_contrastive": Call(losses.decoupled_contrastive, PAIR, positive=WARM, counts=BLOCK),
    "supervised_contrastive": Call(
        losses.supervised_contrastive, {"embeddings": rows("B D")}, {"labels": classes("B", 2)}, positive=WARM, counts=BLOCK
    ),
    "moco_v3": Call(losses.moco_v3, PAIR | several("B D", "first_keys", "second_keys"), positive=WARM, counts=BLOCK),
    "in_batch_info_nce": Call(losses.in_batch_info_nce, several("B D", "queries", "keys"), positive=WARM, counts=BLOCK),
    "info_nce": Call(losses.info_nce, NEGATIVES, positive=WARM, counts=BLOCK),
    "nce": Call(losses.nce, NEGATIVES, positive=WARM, numbers={"log_partition": 0.5}),
    "estimate_log_partition": Call(
        losses.estimate_log_partition, {"query": rows("B D"), "negatives": rows("K D")}, positive=WARM
    ),
    "cpc": Call(
        losses.cpc, {"predictions": rows("S B H W D"), "targets": rows("B H W D")}, positive=WARM,
        counts=BLOCK | {"first_step": 1},
    ),
    "avid": Call(losses.avid, CLIPS | MEMORY | OTHERS, objects={"estimator": losses.info_nce}),
    "cma": Call(losses.cma, CLIPS | POSITIVES | OTHERS, objects={"estimator": losses.info_nce}),
    "correspondence": Call(losses.correspondence, several("B", "own", "other")),
    "agreeing_clips": Call(losses.agreeing_clips, CLIPS, counts={"count": 2, "block_size": 3}),
    "barlow_twins": Call(losses.barlow_twins, PAIR, weights={"off_diagonal_weight": 0.1}),
    "vicreg": Call(losses.vicreg, PAIR, weights={"invariance": 1.0, "variance": 1.0, "covariance": 1.0}),
    "sigreg": Call(losses.sigreg, {"views": rows("V B D")}, counts={"directions": 3}, objects={"rng": KEY}),
    "negative_cosine": Call(losses.negative_cosine, several("B D", "prediction", "target")),
    "dino": Call(
        losses.dino, TWO_CROPS | {"center": rows("D")},
        positive={"student_temperature": 0.5, "teacher_temperature": 0.2},
    ),
    "update_center": Call(
        losses.update_center, {"center": rows("D"), "teacher": rows("A B D")}, masks={"counted": mask("A B")},
        shares={"momentum": 0.9},
    ),
    "center_and_sharpen": Call(
        losses.center_and_sharpen, {"teacher": rows("A B D"), "center": rows("D")}, positive={"temperature": 0.2}
    ),
    "ibot": Call(
        losses.ibot, {"student": rows("B T D"), "targets": filled("B T D", 0.25)}, masks=MASK, positive={"temperature": 0.5}
    ),
    "koleo": Call(losses.koleo, {"tokens": rows("B D")}),
    "coding_rate": Call(losses.coding_rate, {"views": rows("V B D")}, positive={"distortion": 0.5}, counts={"groups": 2}),
    "simdino": Call(
        losses.simdino, TWO_CROPS, positive={"distortion": 0.5}, weights={"invariance": 1.0}, counts={"groups": 2}
    ),
    "swav": Call(losses.swav, {"scores": rows("V B D"), "assignments": filled("A B D", 0.25)}, positive=WARM),
    "cluster_cross_entropy": Call(losses.cluster_cross_entropy, {"scores": rows("B D")}, LABELS, positive=WARM),
    "cross_entropy": Call(losses.cross_entropy, {"logits": rows("B D")}, LABELS, shares={"label_smoothing": 0.1}),
    "weighted_cross_entropy": Call(
        losses.weighted_cross_entropy, {"logits": rows("B D"), "weights": filled("D", 1)}, LABELS
    ),
    "masked_regression": Call(losses.masked_regression, PATCHES, masks=MASK),
    "masked_smooth_l1": Call(losses.masked_smooth_l1, PATCHES, masks=MASK),
}  # fmt: skip
ATTENTION = {"query": rows("A H T D"), "key": rows("A B G D")}
VALUE = {"value": rows("A B G E?")}
STORE = {"query": rows("B D"), "keys": rows("K D")}
B = {"inverse_temperature": 2.0}
OPS = {
    "attention": Call(ops.attention, ATTENTION | VALUE, positive=B, counts={"block_size": 4}),
    "attention, hard": Call(ops.attention, ATTENTION | VALUE, positive=B, objects={"hard": True}),
    "attention, masked": Call(ops.attention, ATTENTION | VALUE, masks={"mask": mask("... A T H B")}, positive=B),
    "attention_weights": Call(ops.attention_weights, ATTENTION, masks={"mask": mask("... A T H B")}, positive=B),
    "free_energy": Call(ops.free_energy, STORE, positive=B, counts=BLOCK),
    "key_value_lookup": Call(ops.key_value_lookup, STORE | {"values": rows("K E?")}, positive=B, counts=BLOCK),
    "key_value_lookup, nearest": Call(
        ops.key_value_lookup, STORE, {"values": classes("K", 3, wrong=(-1, 3))}, positive=B,
        counts=BLOCK | {"top": 2, "num_classes": 3},
    ),
    "latent_free_energy": Call(ops.latent_free_energy, {"energies": rows("... B K")}, positive=B),
    "descend_latent": Call(
        ops.descend_latent, {"start": rows("B D")}, positive={"learning_rate": 0.1}, counts={"steps": 3},
        objects={"energy": lambda latent: ((latent - 3.0) ** 2).sum(axis=-1)},
    ),
    "softmax_sum": Call(
        ops.softmax_sum, {"queries": rows("Q D"), "keys": rows("K D"), "values": rows("K E?")},
        {"skip": classes("Q S?", 5), "last": classes("Q", 5)}, masks={"mask": mask("Q K")}, positive=B, counts=BLOCK,
    ),
    "log_sum_exp": Call(ops.log_sum_exp, {"queries": rows("Q D"), "keys": rows("K D")}, positive=B, counts=BLOCK),
    "kmeans": Call(
        ops.kmeans, {"points": rows("L D"), "weights": filled("L", 1)},
        counts={"clusters": 2, "seeds_at_once": 2, "block_size": 4}, seeds={"iterations": 3}, objects={"rng": KEY},
    ),
    "nearest_centroid": Call(
        nearest_centroid, {"points": rows("L D"), "centroids": rows("K D")}, counts={"block_size": 4}
    ),
    "sinkhorn": Call(
        ops.sinkhorn, {"scores": rows("B D")}, masks={"counted": mask("B")}, positive={"epsilon": 0.1},
        seeds={"iterations": 3},
    ),
    "sinkhorn_labels": Call(
        sinkhorn_labels, {"points": rows("L D"), "prototypes": rows("E D")}, masks={"counted": mask("L")},
        positive={"epsilon": 0.1}, counts={"iterations": 3, "block_size": 4},
    ),
    "rotation_matrix": Call(ops.rotation_matrix, {"free": rows("... D D")}),
    "unit_length": Call(normalize.unit_length, {"rows": rows("... B? D?")}),
    "standardize": Call(normalize.standardize, {"rows": rows("B D?")}, positive={"epsilon": 1e-5}),
    "layer_norm": Call(normalize.layer_norm, {"rows": rows("... B? D?")}, positive={"epsilon": 1e-5}),
    "bank.fresh": Call(bank.fresh, {}, counts={"length": 3, "dim": 2}, objects={"rng": KEY}),
    "bank.read": Call(bank.read, {}, {"index": classes("... B?", 9)}, objects={"bank": bank.fresh(KEY, 9, 4)}),
    "bank.take_rows": Call(bank.take_rows, {"rows": rows("... L D?")}, {"index": classes("B?", 9)}),
    "bank.write": Call(
        bank.write, {"rows": rows("B? D")}, {"index": classes("B?", 9)}, shares={"momentum": 0.5},
        objects={"bank": bank.fresh(KEY, 9, 4)},
    ),
    "bank.others": Call(
        bank.others, {}, {"index": classes("B?", 9)}, counts={"count": 2, "length": 9}, objects={"rng": KEY}
    ),
    "queue.fresh": Call(queue.fresh, {}, counts={"length": 3, "dim": 2}, objects={"rng": KEY}),
    "queue.push": Call(queue.push, {"keys": rows("B D")}, objects={"queue": queue.fresh(KEY, 12, 4)}),
    "moving_average": Call(
        moving_average, {}, shares={"momentum": 0.9}, objects={"average": rows("B").array, "value": rows("B").array}
    ),
    "cosine_momentum": Call(
        cosine_momentum, {}, counts={"steps": 10}, shares={"start": 0.9, "end": 1.0}, weights={"step": 3}
    ),
    "patchify": Call(patchify, {"images": rows("B? T? T? C?")}, counts={"size": 2}),
    "overlapping_patches": Call(overlapping_patches, {"images": rows("B? T H C?")}, counts={"size": 2, "stride": 1}),
    "sinusoidal_positions": Call(sinusoidal_positions, {"positions": rows("... B?")}, counts={"dim": 4}),
    "rotate_pairs": Call(
        rotate_pairs, {"x": rows("A? H? G? D"), "positions": filled("H?", 2)}, positive={"base": 100.0}
    ),
    "grid_positions": Call(grid_positions, {}, counts={"grid": 3, "dim": 8}),
    "resize_positions": Call(resize_positions, {"positions": rows("H W D?")}, counts={"grid": 2}, weights={"offset": 0.1}),
}  # fmt: skip


def in_one_number(outputs):
    """A sum over what is finite, which depends on each output in its own way."""
    total = jnp.float32(0)
    for leaf in jax.tree.leaves(outputs):
        if jnp.issubdtype(leaf.dtype, jnp.floating):
            weights = jnp.cos(jnp.arange(leaf.size, dtype=jnp.promote_types(leaf.dtype, jnp.float32))).reshape(
                leaf.shape
            )
            total += jnp.sum(jnp.where(jnp.isfinite(leaf), leaf, 0).astype(weights.dtype) * weights)
    return total
