"""Coding rate: how many nats a batch of embeddings takes up, which is largest where they spread over all dimensions.

V: crops that the student sees; A: crops that the teacher sees, the first A of the V; B: examples held here; N: examples
of the whole batch; D: size of an embedding.

`axis_name=None` says that the arrays hold the whole batch, so N = B. A name says that they are one shard of it under that
mapped axis: the rate is that of the whole batch, which is not the mean of the shards' rates.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.losses.clustering import check_crops, mean_over_crop_pairs
from ssl_jax.ops.checks import check_count, check_one_shape, check_positive, check_range
from ssl_jax.ops.collectives import mean_over_shards, row_numbers, shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length


@on_explicit_axes
def coding_rate(views: Array, *, distortion: float = 0.05, groups: int = 1, axis_name: str | None = None) -> Array:
    """Half the log-determinant of I + D / distortion * C, with C = Z^T Z / N of the rows Z of a view, in nats.

    Rows at 0 give 0, rows that are one vector of unit length `log(1 + D / distortion) / 2`. The most that rows of unit length
    reach is `D log(1 + 1 / distortion) / 2`, where they spread evenly over all directions.

    Args:
      views: embeddings `[V, B, D]`, as they are: neither centred nor scaled.
      distortion: the squared error in which rows count as equal; above 0. It is the `eps` of the authors' code, in the place
        of the paper's epsilon squared.
      groups: number of equal parts of the batch, in order, each with a rate of its own; the mean of these counts.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the V views, a scalar.

    Raises:
      ValueError: the views are not `[V, B, D]`, or empty, the distortion is not positive, or the groups do not divide N.

    Example:
      >>> even, collapsed = jnp.eye(4)[None], jnp.eye(4)[None, jnp.zeros(4, int)]
      >>> print(f"{coding_rate(even, distortion=0.5):.3f}, collapsed {coding_rate(collapsed, distortion=0.5):.3f}")
      2.197, collapsed 1.099

    Source: Wu et al. 2025, https://arxiv.org/abs/2502.10385; `calc_expansion` in simdino/main_dino.py of RobinWu218/SimDINO.
    """
    check_one_shape("coding_rate", "[V, B, D]", views=views)
    check_positive("coding_rate", distortion=distortion)
    check_count("coding_rate", groups=groups)
    views, (_, rows, dim) = views.astype(jnp.float32), views.shape
    total = rows * shards(axis_name)
    if total % groups:
        raise ValueError(f"coding_rate: groups must divide the {total} rows of the batch, got {groups}")
    # A group may lie on several shards, and a shard may hold several groups.
    member = jax.nn.one_hot(row_numbers(rows, axis_name) * groups // total, groups)
    second_moment = jnp.einsum("vbd,bg,vbe->vgde", views, member, views, precision="highest") * groups / rows
    second_moment = mean_over_shards(second_moment, axis_name)
    factor = jnp.linalg.cholesky(jnp.eye(dim, dtype=jnp.float32)[None, None] + dim / distortion * second_moment)
    return jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)).sum(axis=-1).mean()


@on_explicit_axes
def simdino(
    student: Array,
    teacher: Array,
    *,
    distortion: float = 0.05,
    invariance: float = 1.0,
    groups: int = 1,
    axis_name: str | None = None,
) -> Array:
    """SimDINO: minus the cosines of the student's crops with the teacher's, minus a weighted coding rate of large crops.

    The rate is that of the mean of student and teacher, both of unit length, on each of the teacher's crops, and its weight
    (D + N) / (D N), as in the authors' code. With groups, which are the devices there, the sum over a group's rows is divided
    by the N of the batch, so that `groups * distortion` is the distortion of their rates. Embeddings that collapse to one
    vector give, in one group, `-invariance` minus the weighted `log(1 + D / distortion) / 2`; random ones have cosine 0 and
    nearly the largest rate.

    Args:
      student: `[V, B, D]`; scaled to unit length here, in float32.
      teacher: `[A, B, D]`, a constant; scaled to unit length, too.
      distortion: of the coding rate; above 0.
      invariance: weight of the cosines; at least 0.
      groups: parts of the batch with a rate of their own, see `coding_rate`.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Of the cosines the mean over the A (V - 1) pairs of different crops and the N examples; a scalar.

    Raises:
      ValueError: the shapes do not fit, there are fewer than two crops, the distortion is not positive, the weight is
        negative, or the groups do not divide N.

    Example:
      >>> even = jnp.stack([jnp.eye(4)] * 2)  # two crops of four images
      >>> collapsed = even[:, jnp.zeros(4, int)]
      >>> print(f"{simdino(even, even):.3f}, collapsed {simdino(collapsed, collapsed):.3f}")
      -4.045, collapsed -2.099

    Source: Wu et al. 2025, https://arxiv.org/abs/2502.10385; `MCRLoss` in simdino/main_dino.py of RobinWu218/SimDINO, with
    `--expa_type 1`; `groups=1` is `--reduce_cov 1`, and as many groups as devices is `--reduce_cov 0`.
    """
    check_crops("simdino", student=student, teacher=teacher)
    check_range("simdino", 0, invariance=invariance)
    check_positive("simdino", distortion=distortion)
    check_count("simdino", groups=groups)
    student, teacher = unit_length(student), unit_length(lax.stop_gradient(teacher))
    cosine = mean_over_crop_pairs(student, teacher, axis_name)
    total, dim = student.shape[1] * shards(axis_name), student.shape[2]
    middle = (student[: len(teacher)] + teacher) / 2
    rate = coding_rate(middle, distortion=groups * distortion, groups=groups, axis_name=axis_name)
    return -invariance * cosine - (dim + total) / (dim * total) * rate
