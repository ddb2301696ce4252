"""Gauges of assignments to prototypes, clusters or outputs: whether all are used, and whether examples differ in theirs.

N: examples; K: prototypes. Both work under jit and are float32 scalars. Together they tell three trivial solutions apart: one
prototype for all (use near 1/K), the same distribution for all (use and entropy near 1), and none of them.
"""

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.evaluate.diagnostics import effective_number
from ssl_jax.ops.checks import check_arrays


def prototype_use(assignments: Array) -> Array:
    """Perplexity of the mean assignment over min(N, K), at most 1: 1/K where all examples have one prototype, 1 where all
    are used equally.

    N examples with a prototype each cannot use more than N of them: of more prototypes than examples, the share is of N.

    Args:
      assignments: `[N, K]` probabilities, rows of sum 1.

    Raises:
      ValueError: not a matrix with at least one row and one column.

    Example:
      >>> print(f"{prototype_use(jnp.eye(4)):.2f} {prototype_use(jnp.eye(4)[jnp.zeros(8, int)]):.2f}")
      1.00 0.25

    Source: Baevski et al. 2020 (wav2vec 2.0), https://arxiv.org/abs/2006.11477, section 3.2: perplexity of a code book.
    """
    _check("prototype_use", assignments)
    used = effective_number(assignments.astype(jnp.float32).mean(axis=0))
    return jnp.minimum(used / min(assignments.shape), 1)


def assignment_entropy(assignments: Array) -> Array:
    """Mean entropy of an example's assignment over log K: 0 where each has one prototype, 1 where each has all of them equally.

    0 for a single prototype, K = 1.

    Args:
      assignments: `[N, K]` probabilities, rows of sum 1.

    Raises:
      ValueError: not a matrix with at least one row and one column.

    Example:
      >>> print(f"{assignment_entropy(jnp.eye(4)):.2f} {assignment_entropy(jnp.full((8, 4), 0.25)):.2f}")
      0.00 1.00

    Source: Caron et al. 2021, https://arxiv.org/abs/2104.14294, section 5.3 and figure 7, which show it without the log K.
    """
    _check("assignment_entropy", assignments)
    entropies = jax.scipy.special.entr(assignments.astype(jnp.float32)).sum(axis=1)
    return entropies.mean() / jnp.log(max(2, assignments.shape[1]))


def _check(function: str, assignments: Array) -> None:
    check_arrays(function, assignments=assignments)
    if assignments.ndim != 2 or 0 in assignments.shape:
        raise ValueError(f"{function}: assignments must be [N, K], not empty, got {assignments.shape}.")
