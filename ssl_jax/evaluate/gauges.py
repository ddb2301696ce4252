"""All gauges of one record of training: those of every embedding, and those of what the method has beside it."""

import jax.numpy as jnp
from jax import Array

from ssl_jax.evaluate.agreement import cross_correlation, memory_cosine, teacher_distance
from ssl_jax.evaluate.assignments import assignment_entropy, prototype_use
from ssl_jax.evaluate.diagnostics import alignment, diagnostics, eigenvalue_decay, uniformity
from ssl_jax.methods.method import Watched

MOST_EXAMPLES = 1024


def training_gauges(embedding: Array, watched: Watched) -> dict[str, Array]:
    """Gauges by name, float32 scalars, of an even sample of at most 1,024 examples, since some compare all pairs.

    "std", "effective_rank", "eigenvalue_decay" and "uniformity" of the first view; of two views "alignment",
    "view_correlation" and "redundancy", the diagonal and the rest of their cross-correlation; and, where the method has them,
    "prototype_use" and "assignment_entropy", "teacher_distance", "memory_cosine".

    Args:
      embedding: `[B, V, D]`.
      watched: what the method has beside it.
    """
    every = -(-len(embedding) // MOST_EXAMPLES)
    views = embedding[::every].astype(jnp.float32)
    first = views[:, 0]
    found = {**diagnostics(first), "eigenvalue_decay": eigenvalue_decay(first), "uniformity": uniformity(first)}
    if views.shape[1] > 1:
        correlation = cross_correlation(first, views[:, 1])
        found |= {
            "alignment": alignment(first, views[:, 1]),
            "view_correlation": correlation.diagonal,
            "redundancy": correlation.off_diagonal,
        }
    if watched.assignments is not None:
        sample = watched.assignments[::every]
        found |= {"prototype_use": prototype_use(sample), "assignment_entropy": assignment_entropy(sample)}
    if watched.teacher is not None:
        found["teacher_distance"] = teacher_distance(*watched.teacher)
    if watched.memory is not None:
        stored, fresh = (rows[::every] for rows in watched.memory)
        found["memory_cosine"] = memory_cosine(stored, fresh)[0]
    return found
