"""Sinkhorn-Knopp: assignments that divide a batch, or a whole data set, equally among the prototypes.

B: examples of this shard; N: examples of the whole batch; K: prototypes. With `axis_name=None` the scores hold the
whole batch; with a name they are one shard of it under that mapped axis.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_count, check_mask, check_positive
from ssl_jax.ops.collectives import max_over_shards, mean_over_shards, shards, varying_together
from ssl_jax.ops.explicit_axes import on_explicit_axes

# Rounds on a plan that is computed once, before its logarithm takes up their factors: an entry that underflows in the plan,
# 1e-38, grows by at most N K a round.
MOST_SCALINGS = 3


@on_explicit_axes
def sinkhorn(
    scores: Array,
    *,
    epsilon: float | Array = 0.05,
    iterations: int = 3,
    counted: Array | None = None,
    axis_name: str | None = None,
) -> Array:
    """Assignments nearest to `softmax(scores / epsilon)` that use every prototype equally often.

    Starts from logarithms and returns to them every fourth round, so that no epsilon and no input type overflows. No gradient
    flows through it.

    Args:
      scores: similarity of each example to each prototype, `[B, K]`.
      epsilon: weight of the entropy, above 0; small gives hard assignments, large uniform ones.
      iterations: rounds of scaling prototypes, then examples; with 0 rounds it is the softmax.
      counted: booleans `[B]`, the rows that share in the partition; other rows are assigned by its scaling of the prototypes
        and do not change it. None, or where no row of the whole batch is counted: all rows.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; each
        shard returns its rows of the assignments. None: the arrays are the whole batch, N = B.

    Returns:
      `[B, K]` float32. Rows sum to 1; over all shards columns of the counted rows converge to N/K with more iterations.
      Equal scores give 1/K everywhere.

    Raises:
      ValueError: the scores are not a matrix of real numbers with rows and columns, `counted` has another length, epsilon is
        not positive, or iterations is negative or not whole.

    Example:
      >>> scores = jnp.array([[1.0, 0.9], [1.0, 0.0]])  # both prefer the first prototype
      >>> print(np.asarray(sinkhorn(scores, epsilon=0.1)).round(2))
      [[0.14 0.86]
       [1.   0.  ]]

    Source: Cuturi 2013, https://arxiv.org/abs/1306.0895;
    Caron et al. 2020, https://arxiv.org/abs/2006.09882, section 3.1.
    """
    check_arrays("sinkhorn", scores=scores)
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"sinkhorn: scores must be [B, K] with at least one row and column, got {scores.shape}")
    check_positive("sinkhorn", epsilon=epsilon)
    check_count("sinkhorn", iterations=iterations, least=0)
    if counted is not None:
        counted = _rows_that_count(scores, counted, axis_name)
    logits = lax.stop_gradient(scores).astype(jnp.float32) / epsilon
    if not iterations:
        return jax.nn.softmax(logits)
    shared = logits if counted is None else jnp.where(counted[:, None], logits, -jnp.inf)
    columns = _log_mean_over_batch(shared, axis_name)
    scale = partial(_scaled, counted=counted, axis_name=axis_name)

    def absorb(_: int, columns: Array) -> Array:
        return columns - jnp.log(scale(jax.nn.softmax(logits - columns), MOST_SCALINGS))

    whole, rest = divmod(iterations - 1, MOST_SCALINGS)
    plan = jax.nn.softmax(logits - lax.fori_loop(0, whole, absorb, columns))
    factors = scale(plan, rest)
    return plan * factors / _row_sums(plan, factors)[:, None]


def _scaled(plan: Array, rounds: int, *, counted: Array | None, axis_name: str | None) -> Array:
    """Factors of the columns `[1, K]` of a plan whose rows sum to 1, after further rounds.

    A round is two products with a vector, which read the plan and write nothing. Factors are at least 1, since entries are at
    most 1; a column of a plan whose columns were scaled before its rows has an entry of 1 / (N K) or more, so that nothing is
    divided by 0.
    """

    def scale(_: int, factors: Array) -> Array:
        shares = 1 / _row_sums(plan, factors)
        shares = shares if counted is None else jnp.where(counted, shares, 0)
        means = jnp.matmul(shares[None], plan, precision="highest") / len(plan)
        return 1 / mean_over_shards(means, axis_name)

    return lax.fori_loop(0, rounds, scale, jnp.ones((1, plan.shape[1]), plan.dtype))


def _row_sums(plan: Array, factors: Array) -> Array:
    return jnp.matmul(plan, factors[0], precision="highest")


def sinkhorn_labels(
    points: Array,
    prototypes: Array,
    *,
    epsilon: float = 0.004,
    iterations: int = 100,
    counted: Array | None = None,
    block_size: int = 4096,
    axis_name: str | None = None,
) -> Array:
    """The prototype of each point of a whole data set: the largest entry of its row of the assignments.

    B: points of this shard; N: points of the whole set.

    Memory holds only a block of rows of the B x K matrix at a time, and between iterations one value for each prototype.

    Args:
      points: `[B, D]`.
      prototypes: `[K, D]`, the same on every shard.
      epsilon: weight of the entropy, above 0; 0.004 is the temperature 0.1 of the prediction over SeLa's lambda of 25.
      iterations: number of iterations; at small epsilon columns need tens of them to become even.
      counted: booleans `[B]`: the partition is equal among the points that are True, and the others, such as padding, take
        the label that is nearest then. None: all are.
      block_size: points compared with all prototypes at a time.
      axis_name: mapped axis over which the points are sharded; None: the points are the whole set.

    Returns:
      int32 `[B]`, each label about N/K times in the whole set.

    Raises:
      ValueError: the shapes do not fit, or epsilon, iterations or block is not positive.

    Source: Asano et al. 2019, https://arxiv.org/abs/1911.05371, equations 5 to 7.
    """
    check_arrays("sinkhorn_labels", points=points, prototypes=prototypes)
    if (
        points.ndim != 2
        or prototypes.ndim != 2
        or points.shape[1] != prototypes.shape[1]
        or not points.size * len(prototypes)
    ):
        raise ValueError(
            f"sinkhorn_labels: needs points [B, D] and prototypes [K, D], not empty, got {points.shape} and {prototypes.shape}"
        )
    check_positive("sinkhorn_labels", epsilon=epsilon)
    check_count("sinkhorn_labels", iterations=iterations, block_size=block_size)
    points, prototypes = (lax.stop_gradient(array).astype(jnp.float32) for array in (points, prototypes))
    counted = jnp.ones(len(points), bool) if counted is None else _rows_that_count(points, counted, axis_name)
    held, block = len(points), min(block_size, len(points))
    blocks = -(-held // block)
    rows = jnp.pad(points, ((0, blocks * block - held), (0, 0))).reshape(blocks, block, -1)
    mask = jnp.pad(counted, (0, blocks * block - held)).reshape(blocks, block)
    total = mean_over_shards(counted.sum(dtype=jnp.float32), axis_name) * shards(axis_name)

    def logits(rows: Array, columns: Array) -> Array:
        return jnp.matmul(rows, prototypes.T, precision="highest") / epsilon - columns[None]

    def scale(_: int, columns: Array) -> Array:
        """`columns`: logarithm of the divisor of each column."""

        def add(summed: Array, part: tuple[Array, Array]) -> tuple[Array, Any]:
            rows, counted = part
            shares = jnp.where(counted[:, None], jax.nn.log_softmax(logits(rows, columns)), -jnp.inf)
            return jnp.logaddexp(summed, jax.nn.logsumexp(shares, axis=0)), None

        none = varying_together((jnp.full(len(prototypes), -jnp.inf, jnp.float32), points))[0]
        summed, _ = lax.scan(add, none, (rows, mask))
        top = max_over_shards(summed, axis_name)
        top = jnp.where(jnp.isfinite(top), top, 0)
        summed = jnp.log(mean_over_shards(jnp.exp(summed - top), axis_name) * shards(axis_name)) + top
        return columns + summed - jnp.log(total / len(prototypes))

    columns = lax.fori_loop(0, iterations, scale, jnp.zeros(len(prototypes), jnp.float32))
    labels = lax.map(lambda rows: jnp.argmax(logits(rows, columns), axis=1).astype(jnp.int32), rows)
    return labels.reshape(-1)[:held]


def _rows_that_count(scores: Array, counted: Array, axis_name: str | None) -> Array:
    """`counted` as booleans, all True where no row of the whole batch is counted."""
    check_mask("sinkhorn", counted=counted)
    if counted.shape != scores.shape[:1]:
        raise ValueError(f"sinkhorn: counted must be [B] for scores {scores.shape}, got {counted.shape}")
    counted = counted.astype(bool)
    return counted | (max_over_shards(counted.any().astype(jnp.int32), axis_name) == 0)


def _log_mean_over_batch(logits: Array, axis_name: str | None) -> Array:
    """Logarithm of each column's mean of exponentials over the whole batch: `[B, K]` -> `[1, K]`."""
    top = max_over_shards(logits.max(axis=0, keepdims=True), axis_name)
    return top + jnp.log(mean_over_shards(jnp.exp(logits - top).mean(axis=0, keepdims=True), axis_name))
