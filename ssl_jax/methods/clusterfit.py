"""ClusterFit: cluster the features of any encoder, and train a new one to predict the clusters.

The clusters remove what is specific to the first encoder's task and keep what many images share. Nothing collapses,
since the labels are given. The method does not depend on the first encoder: it takes the labels that `cluster` returns.
Source: Yan et al. 2019, "ClusterFit: Improving Generalization of Visual Representations",
https://arxiv.org/abs/1912.03330.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Embeddings, Facts, Params, State, ViewBatch
from ssl_jax.methods.supervised import Supervised
from ssl_jax.ops.kmeans import kmeans


@dataclass(frozen=True, kw_only=True)
class ClusterFit(Supervised):
    """Supervised training on the cluster of each example; the head has one logit for each cluster.

    clusters: the cluster of each example of the data set, integers `[N]`.
    """

    facts: ClassVar[Facts] = Facts(
        family="clustering",
        against_collapse="labels",
        positives="images of one cluster",
        memory="clusters",
        passes="1",
        paper="1912.03330",
    )

    clusters: NDArray[np.int32] = field(repr=False)

    def init(self, rng: Array) -> tuple[Params, State]:
        params, state = super().init(rng)
        return params, {**state, "clusters": jnp.asarray(self.clusters)}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        return super().encode(params, state, {**views, "label": state["clusters"][views["index"]]}, rng, step)

    def assignments(self, params: Params, state: State, images: Array) -> Array | None:
        return jax.nn.softmax(self.embed(params, state, images))


def cluster(features: NDArray[np.floating], count: int, *, seed: int = 0) -> NDArray[np.int32]:
    """k-means of features `[N, D]` at unit length, as in VISSL's ClusterFit: the cluster of each, int32 `[N]`.

    The clusters are a data set's labels, made once: the seed of a run does not change them, `seed` does.

    Example:
      >>> features = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], np.float32)
      >>> labels = cluster(features, 2)
      >>> print(labels[0] == labels[1], labels[0] == labels[2])
      True False
    """
    if not 1 < count <= len(features):
        raise UsageError(
            f"clusters: got {count}, expected 2 to {len(features)}, the number of images: lower --clusters."
        )
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise UsageError(
            f"features: {len(broken)} of {len(features)} rows are not finite, the first is that of image {broken[0]}: remove "
            "unreadable images and run `ssl-jax embed` again."
        )
    run = jax.jit(lambda rows: kmeans(jax.random.key(seed), rows, clusters=count, spherical=True).labels)
    return np.asarray(run(jnp.asarray(features, jnp.float32)))
