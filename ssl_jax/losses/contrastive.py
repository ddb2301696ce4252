"""Contrastive losses within a batch: views of one example attract, views of different examples repel.

B: examples of this shard; N: examples of the whole batch; D: size of an embedding.

With `axis_name=None` the arrays hold the whole batch, so N = B: plain `jit`, on one device or on global arrays. With
a name the caller runs once per shard under that mapped axis (`shard_map`, `pmap`, `vmap`): local queries are
compared with the keys of every shard, and the loss is the mean over the whole batch, equal on every shard.

`block_size` is the number of keys compared at once. Given with an axis, keys pass through a ring of devices instead of being
gathered; memory is then O(B D + B block_size). None chooses by size: all keys at once if they are few. In NT-Xent, DCL and
SupCon scores are symmetric, and half a ring is enough: every pair of shards is compared once.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count, check_one_shape, check_positive, given
from ssl_jax.ops.collectives import gather_rows, mean_over_shards, row_numbers, shards
from ssl_jax.ops.comparison import Precision, chosen_precision
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length
from ssl_jax.ops.pairs import log_sums_over_others
from ssl_jax.ops.streaming import log_sum_exp


@on_explicit_axes
def ntxent(
    first: Array,
    second: Array,
    *,
    temperature: float | Array = 0.1,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision | None = None,
) -> Array:
    """Normalized-temperature cross entropy of SimCLR, in nats.

    The positive of row i of `first` is row i of `second`, among the other 2N - 1 embeddings, and the other way round. Chance
    level, and the value of collapsed embeddings, is log(2N - 1).

    Args:
      first, second: embeddings of the two views, `[B, D]`; normalised to unit length in float32.
      temperature: divides cosine similarities; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.
      block_size: rows compared at once, to bound memory; None chooses by size.
      precision: of products on accelerators, "highest" (None) or "high", see `ops.comparison`.

    Returns:
      Mean over the 2N rows, a scalar.

    Raises:
      ValueError: the views are not two matrices of one shape, or empty; the temperature or block is not positive; the
        axis is not bound; the precision is unknown.

    Example:
      >>> views = jnp.eye(4)  # four images, whose two views agree
      >>> print(f"{ntxent(views, views, temperature=0.5):.3f}, chance level {np.log(2 * 4 - 1):.3f}")
      0.594, chance level 1.946

    Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, equation 1.
    """
    check_one_shape("ntxent", "[B, D]", first=first, second=second)
    check_positive("ntxent", temperature=temperature)
    check_count("ntxent", **given(block_size=block_size))
    precision = chosen_precision("ntxent", precision)
    rows, itself, agreement = _both_views(first, second, axis_name)
    others = log_sums_over_others(
        rows, itself[:, None], inverse_temperature=1 / temperature, axis_name=axis_name, block_size=block_size,
        precision=precision,
    )  # fmt: skip
    return mean_over_shards(others.mean() - agreement / temperature, axis_name)


@on_explicit_axes
def decoupled_contrastive(
    first: Array,
    second: Array,
    *,
    temperature: float | Array = 0.1,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision | None = None,
) -> Array:
    """NT-Xent without the positive in the denominator (DCL), in nats: small batches suffice.

    Chance level, and the value of collapsed embeddings, is log(2N - 2). There is no lower bound.

    Args:
      first, second: embeddings of the two views, `[B, D]`; normalised to unit length in float32.
      temperature: divides cosine similarities; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.
      block_size: rows compared at once, to bound memory; None chooses by size.
      precision: of products on accelerators, "highest" (None) or "high", see `ops.comparison`.

    Returns:
      Mean over the 2N rows, a scalar.

    Raises:
      ValueError: as `ntxent`; or the whole batch has one example, and so no negatives.

    Example:
      >>> views = jnp.eye(4)
      >>> print(f"{decoupled_contrastive(views, views, temperature=0.5):.3f}, chance level {np.log(2 * 4 - 2):.3f}")
      -0.208, chance level 1.792

    Source: Yeh et al. 2021, https://arxiv.org/abs/2110.06848, equation 6.
    """
    check_one_shape("decoupled_contrastive", "[B, D]", first=first, second=second)
    check_positive("decoupled_contrastive", temperature=temperature)
    check_count("decoupled_contrastive", **given(block_size=block_size))
    precision = chosen_precision("decoupled_contrastive", precision)
    if len(first) * shards(axis_name) < 2:
        raise ValueError("decoupled_contrastive: needs at least 2 examples in the whole batch for negatives, got 1")
    rows, itself, agreement = _both_views(first, second, axis_name)
    skip = jnp.stack([itself, itself ^ 1], axis=1)  # 2i and 2i + 1 are positives
    others = log_sums_over_others(
        rows, skip, inverse_temperature=1 / temperature, axis_name=axis_name, block_size=block_size,
        precision=precision,
    )  # fmt: skip
    return mean_over_shards(others.mean() - agreement / temperature, axis_name)


@on_explicit_axes
def supervised_contrastive(
    embeddings: Array,
    labels: Array,
    *,
    temperature: float | Array = 0.1,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision | None = None,
) -> Array:
    """Supervised contrastive loss (SupCon), in nats: examples of one class attract, all others repel.

    Positives of a row are all other rows of its class, among the N - 1 others. Chance level is log(N - 1). For several views
    of each example, concatenate the views and as many copies of the labels; with the example's index as its label it is
    `ntxent`.

    Args:
      embeddings: `[B, D]`, B being all views; normalised to unit length in float32.
      labels: `[B]` integers; negative where unlabelled: such a row is a negative only.
      temperature: divides cosine similarities; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.
      block_size: rows compared at once, to bound memory; None chooses by size.
      precision: of products on accelerators, "highest" (None) or "high", see `ops.comparison`.

    Returns:
      Mean over the rows that have another row of their class, a scalar; 0 where none has.

    Raises:
      ValueError: the embeddings are not a matrix with as many integer labels; the temperature or block is not positive;
        the whole batch has one row; the axis is not bound; the precision is unknown.

    Example:
      >>> rows, labels = jnp.eye(4)[jnp.array([0, 0, 1, 1])], jnp.array([0, 0, 1, 1])
      >>> print(f"{supervised_contrastive(rows, labels, temperature=0.5):.3f}, chance level {np.log(4 - 1):.3f}")
      0.240, chance level 1.099

    Source: Khosla et al. 2020, https://arxiv.org/abs/2004.11362, equation 2.
    """
    check_arrays("supervised_contrastive", embeddings=embeddings, labels=labels)
    fits = embeddings.ndim == 2 and embeddings.size > 0 and labels.shape == embeddings.shape[:1]
    if not fits or not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            "supervised_contrastive: needs embeddings [B, D], not empty, and integer labels [B], got "
            f"{embeddings.shape} and {labels.dtype} {labels.shape}"
        )
    check_positive("supervised_contrastive", temperature=temperature)
    check_count("supervised_contrastive", **given(block_size=block_size))
    precision = chosen_precision("supervised_contrastive", precision)
    if len(embeddings) * shards(axis_name) < 2:
        raise ValueError("supervised_contrastive: needs at least 2 rows in the whole batch to compare, got 1")
    rows, itself = unit_length(embeddings), row_numbers(len(embeddings), axis_name)
    others = log_sums_over_others(
        rows, itself[:, None], inverse_temperature=1 / temperature, axis_name=axis_name, block_size=block_size,
        precision=precision,
    )  # fmt: skip
    similarity, positives = _similarity_to_own_class(rows, labels, itself, axis_name)
    counted = (positives > 0) & (labels >= 0)
    nats = jnp.where(counted, others - similarity / temperature, 0)
    count = mean_over_shards(counted.mean(dtype=jnp.float32), axis_name)
    return mean_over_shards(nats.mean(), axis_name) / jnp.where(count > 0, count, 1)


@on_explicit_axes
def moco_v3(
    first: Array,
    second: Array,
    first_keys: Array,
    second_keys: Array,
    *,
    temperature: float | Array = 0.2,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision | None = None,
) -> Array:
    """Symmetric contrastive loss of MoCo v3: each view's prediction is the query for the other view's key among the batch's N.

    In nats times twice the temperature, so that the gradient's magnitude does not depend on it. Chance level is
    `4 * temperature * log N`.

    Args:
      first, second: predictions of the two views by the encoder, `[B, D]`; normalised to unit length in float32.
      first_keys, second_keys: the same views by the momentum encoder, `[B, D]`; constants.
      temperature: divides cosine similarities; above 0. 0.2 for vision transformers, 1 for ResNets.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.
      block_size: rows compared at once, to bound memory; None chooses by size.
      precision: of products on accelerators, "highest" (None) or "high", see `ops.comparison`.

    Returns:
      Sum of the two directions' means over N, a scalar.

    Raises:
      ValueError: the four arrays are not matrices of one shape, or empty; the temperature or block is not positive; the
        axis is not bound; the precision is unknown.

    Example:
      >>> views = jnp.eye(4)
      >>> print(f"{moco_v3(views, views, views, views, temperature=0.2):.3f}, chance level {4 * 0.2 * np.log(4):.3f}")
      0.016, chance level 1.109

    Source: Chen et al. 2021, https://arxiv.org/abs/2104.02057, algorithm 1.
    """
    check_positive("moco_v3", temperature=temperature)
    check_count("moco_v3", **given(block_size=block_size))
    precision = chosen_precision("moco_v3", precision)
    check_one_shape("moco_v3", "[B, D]", first=first, second=second, first_keys=first_keys, second_keys=second_keys)
    pick = partial(
        in_batch_info_nce, temperature=temperature, axis_name=axis_name, block_size=block_size, precision=precision
    )
    nats = pick(first, lax.stop_gradient(second_keys)) + pick(second, lax.stop_gradient(first_keys))
    return 2 * temperature * nats


@on_explicit_axes
def in_batch_info_nce(
    queries: Array,
    keys: Array,
    *,
    temperature: float | Array = 0.1,
    axis_name: str | None = None,
    block_size: int | None = None,
    precision: Precision | None = None,
) -> Array:
    """InfoNCE whose negatives are the other keys of the batch, in nats (NNCLR; one direction of MoCo v3 and of CLIP).

    The positive of row i of `queries` is row i of `keys`, among N. Chance level is log N.

    Args:
      queries, keys: `[B, D]`; normalised to unit length in float32. Gradients flow into both.
      temperature: divides cosine similarities; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.
      block_size: rows compared at once, to bound memory; None chooses by size.
      precision: of products on accelerators, "highest" (None) or "high", see `ops.comparison`.

    Returns:
      Mean over the N queries, a scalar.

    Raises:
      ValueError: as `ntxent`.

    Example:
      >>> rows = jnp.eye(4)
      >>> print(f"{in_batch_info_nce(rows, rows, temperature=0.5):.3f}, chance level {np.log(4):.3f}")
      0.341, chance level 1.386

    Source: van den Oord et al. 2018, https://arxiv.org/abs/1807.03748, equation 4; Dwibedi et al. 2021,
    https://arxiv.org/abs/2104.14548, equation 3.
    """
    check_one_shape("in_batch_info_nce", "[B, D]", queries=queries, keys=keys)
    check_positive("in_batch_info_nce", temperature=temperature)
    check_count("in_batch_info_nce", **given(block_size=block_size))
    precision = chosen_precision("in_batch_info_nce", precision)
    queries, keys = unit_length(queries), unit_length(keys)
    log_sums = log_sum_exp(
        queries, keys, inverse_temperature=1 / temperature, axis_name=axis_name, block_size=block_size,
        precision=precision,
    )  # fmt: skip
    nats = log_sums.mean() - jnp.sum(queries * keys, axis=1).mean() / temperature
    return mean_over_shards(nats, axis_name)


def _both_views(first: Array, second: Array, axis_name: str | None) -> tuple[Array, Array, Array]:
    """Unit rows of both views `[2B, D]`, their indices among the 2N of all shards, and the mean cosine of positive pairs.

    Views of an example are adjacent, rows 2i and 2i + 1: concatenated views would move between devices.
    """
    if first.dtype != second.dtype:  # As integers beside floats; unit length is in float32 or wider.
        wide = max(
            first.dtype, second.dtype, jnp.dtype(jnp.float32), key=lambda dtype: (dtype.kind == "f", dtype.itemsize)
        )
        first, second = first.astype(wide), second.astype(wide)
    rows = unit_length(jnp.stack([first, second], axis=1))
    agreement = jnp.sum(rows[:, 0] * rows[:, 1], axis=1).mean()
    return rows.reshape(-1, rows.shape[2]), row_numbers(2 * len(rows), axis_name), agreement


def _similarity_to_own_class(rows: Array, labels: Array, itself: Array, axis_name: str | None) -> tuple[Array, Array]:
    """Mean similarity of each row to the others of its class, `[B]`, and their number, `[B]`.

    The mean of similarities is the similarity to a mean: it needs O(N D) memory and no pairs.
    """
    everyone = gather_rows(labels, axis_name)
    classes = jnp.unique(everyone, return_inverse=True, size=len(everyone), fill_value=-1)[1][itself]
    sums = jax.ops.segment_sum(rows, classes, len(everyone))
    counts = jax.ops.segment_sum(jnp.ones(len(rows), rows.dtype), classes, len(everyone))
    sums, counts = (mean_over_shards(part, axis_name) * shards(axis_name) for part in (sums, counts))
    others = sums[classes] - rows
    positives = counts[classes] - 1
    return jnp.sum(rows * others, axis=1) / jnp.maximum(positives, 1), positives
