"""W-MSE, a method that is not in the package: its loss, its method and its recipe.

    ssl-jax pretrain examples/w_mse.py:demo --epochs 10

The embeddings of a view are whitened over the batch, and those of two views of an image agree. Whitening prevents collapse:
embeddings that are all alike, or dimensions that are, cannot be whitened.
Source: Ermolov et al. 2021, https://arxiv.org/abs/2007.06346; the authors whiten parts of 128 rows, this whitens the batch.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.composition import DIGITS, Images, Laptop, Recipe, recipe
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Metrics, State
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.normalize import unit_length


def whiten(rows: Array, *, axis_name: str | None = None) -> Array:
    """`[B, D]` with mean 0 and covariance 1 over the whole batch, which has more rows than D."""
    rows = rows - mean_over_shards(rows.mean(axis=0, keepdims=True), axis_name)
    covariance = mean_over_shards(rows.T @ rows / len(rows), axis_name)
    return jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(covariance), rows.T, lower=True).T


@dataclass(frozen=True)
class WMSE(JointEmbedding):
    """Squared distance of two whitened views at unit length: in [0, 4], 2 for unrelated ones."""

    facts: ClassVar[Facts] = Facts(family="redundancy", against_collapse="whitening", paper="2007.06346")

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        views = embeddings["embedding"].astype(jnp.float32)
        first, second = (unit_length(whiten(views[:, view], axis_name=axis_name)) for view in (0, 1))
        return mean_over_shards(jnp.square(first - second).sum(axis=1).mean(), axis_name), {}, {}


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop()) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    return opened.recipe(training, WMSE(opened.encoder, opened.head(256, 64)), opened.views(), training.adamw)
