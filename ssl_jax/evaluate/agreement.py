"""Gauges that compare: two views dimension by dimension, a memory with the network of today, a student with its teacher.

B: examples; D: size of an embedding. Every gauge works under jit and is float32.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.evaluate.standardization import moments
from ssl_jax.ops.checks import check_arrays, check_counts, check_integers, check_one_shape
from ssl_jax.ops.normalize import norm_of, unit_length


class Correlation(NamedTuple):
    """Of the cross-correlation matrix of two views, `[D, D]`: scalars in [-1, 1] and [0, 1]."""

    diagonal: Array  # mean of the diagonal
    off_diagonal: Array  # root mean square off the diagonal


def cross_correlation(first: Array, second: Array) -> Correlation:
    """How much two views agree in each dimension, and how much different dimensions repeat each other.

    Invariant and without redundancy: 1 and about 1/sqrt(B), which is the off-diagonal value of independent columns. Unrelated
    views: 0. A dimension that is constant correlates with none. Where D is above B, the matrix is not formed: the cost is
    O(B D min(B, D)), the memory O(min(B, D)^2).

    Args:
      first, second: embeddings of two views of the same examples, `[B, D]`.

    Raises:
      ValueError: not two matrices of one shape, or fewer than two rows.

    Example:
      >>> rows = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])  # Two independent columns.
      >>> found = cross_correlation(rows, rows), cross_correlation(rows[:, :1] + 0 * rows, rows[:, :1] + 0 * rows)
      >>> print([[round(float(value), 2) for value in each] for each in found])
      [[1.0, 0.0], [1.0, 1.0]]

    Source: Zbontar et al. 2021 (Barlow Twins), https://arxiv.org/abs/2103.03230, equation 2.
    """
    check_one_shape("cross_correlation", "[B, D]", first=first, second=second)
    if len(first) < 2:
        raise ValueError(f"cross_correlation: first and second must have at least two rows, got {first.shape}.")
    first, second = (_unit_columns(rows).T for rows in (first, second))  # [D, B], whose products are correlations.
    diagonal, dims = jnp.sum(first * second, axis=1), len(first)
    if dims <= first.shape[1]:
        products = jnp.matmul(first, second.T, precision="highest") ** 2
        others = jnp.where(jnp.eye(dims, dtype=bool), 0, products).sum()
    else:  # The sum of the squares of A B^T is that of the products of A^T A and B^T B, which are [B, B].
        grams = [jnp.matmul(rows.T, rows, precision="highest") for rows in (first, second)]
        others = jnp.maximum(jnp.sum(grams[0] * grams[1]) - jnp.sum(diagonal**2), 0)
    return Correlation(diagonal.mean(), jnp.sqrt(others / max(1, dims * (dims - 1))))


def _unit_columns(rows: Array) -> Array:
    """`[B, D]` less the mean of each column, whose length is then 1, or 0 for one that is constant up to rounding."""
    mean, inverse = moments(rows)
    return (rows.astype(jnp.float32) - mean[None]) * inverse[None] / len(rows) ** 0.5


def memory_cosine(stored: Array, fresh: Array, *, ages: Array | None = None, edges: Sequence[int] = (0,)) -> Array:
    """Staleness of a memory bank or a queue: mean cosine of stored embeddings to fresh ones of the same examples, by age.

    From -1 to 1: 1 for a memory that is not stale, 0 for one that says nothing about its examples. Where the fresh embedding
    is of another view than the stored one, two views of one network are the highest value to expect: 1 - `alignment` / 2.

    Args:
      stored: entries of the memory, `[B, D]`.
      fresh: embeddings by the network of today, `[B, D]`.
      ages: steps since each entry was stored, integers `[B]`; all 0 when None.
      edges: lower ends of the ranges of ages, rising; each ends before the next, the last has no end.

    Returns:
      `[len(edges)]`; NaN where no entry is of that age.

    Raises:
      ValueError: not two matrices of one shape, ages that do not fit them, or edges that do not rise.

    Example:
      >>> rows = jnp.eye(4)
      >>> print(memory_cosine(rows, jnp.roll(rows, 1, 0).at[:2].set(rows[:2]), ages=jnp.array([1, 2, 9, 9]), edges=(0, 5)))
      [1. 0.]

    Source: He et al. 2019 (MoCo), https://arxiv.org/abs/1911.05722, section 3.2, and Wang et al. 2020,
    https://arxiv.org/abs/1912.06798, for the drift of embeddings by age.
    """
    check_one_shape("memory_cosine", "[B, D]", stored=stored, fresh=fresh)
    ages = jnp.zeros(len(stored), jnp.int32) if ages is None else ages
    check_integers("memory_cosine", ages=ages)
    if ages.shape != stored.shape[:1]:
        raise ValueError(f"memory_cosine: ages must be one for each of {len(stored)} rows, got {ages.shape}.")
    check_counts("memory_cosine", least=0, edges=edges)
    if list(edges) != sorted(set(edges)):
        raise ValueError(f"memory_cosine: edges must rise, got {tuple(edges)}.")
    cosines = jnp.sum(unit_length(stored) * unit_length(fresh), axis=1)
    position = jnp.searchsorted(jnp.asarray(edges, ages.dtype), ages, side="right") - 1  # -1: younger than the first.
    of_age = position[None] == jnp.arange(len(edges))[:, None]
    return jnp.where(of_age, cosines[None], 0).sum(axis=1) / of_age.sum(axis=1, dtype=jnp.float32)


def teacher_distance(student: Any, teacher: Any) -> Array:
    """Relative distance of parameters, `|teacher - student| / |student|`: 0 for equal ones, about sqrt(2) for unrelated ones.

    Of parameters and not of embeddings: it needs no forward pass, and is not mixed with the invariance to views, which often
    differ between student and teacher. A teacher with momentum m is about 1 / (1 - m) steps behind.

    Args:
      student, teacher: trees of one structure, whose leaves are floating-point arrays of one type.

    Raises:
      ValueError: the trees differ in structure.

    Example:
      >>> print(f"{teacher_distance({'w': jnp.array([3.0, 4.0])}, {'w': jnp.array([3.0, 3.0])}):.2f}")
      0.20

    Source: Tarvainen and Valpola 2017, https://arxiv.org/abs/1703.01780, for the averaged teacher.
    """
    structures = [str(jax.tree.structure(tree)) for tree in (student, teacher)]
    if structures[0] != structures[1]:
        raise ValueError(
            f"teacher_distance: student and teacher must have one structure, got {' and '.join(structures)}."
        )
    for first, second in zip(jax.tree.leaves(student), jax.tree.leaves(teacher), strict=True):
        check_arrays("teacher_distance", student=first, teacher=second)
        if first.shape != second.shape:
            raise ValueError(f"teacher_distance: student and teacher must fit, got {first.shape} and {second.shape}.")
    student, teacher = (jax.tree.map(lambda leaf: leaf.astype(jnp.float32), tree) for tree in (student, teacher))
    size = norm_of(student)
    return norm_of(jax.tree.map(jnp.subtract, teacher, student)) / jnp.where(size > 0, size, 1)
