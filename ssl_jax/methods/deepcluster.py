"""DeepCluster-v2: every view predicts the cluster of its image; k-means clusters the whole data set once an epoch.

Collapse is prevented by k-means: a constant has no clusters, and an empty cluster takes half of the largest.
Labels come from the embeddings stored in the epoch before, so that the data set is not encoded twice. Before the first
epoch the untrained network encodes the data set once, as init_memory of the authors' code does: labels of -1 would give
a gradient of zero for an epoch.
Source: Caron et al. 2020, https://arxiv.org/abs/2006.09882, section 4.1 and appendix C, the authors' main_deepclusterv2.py;
Caron et al. 2018, "Deep Clustering for Unsupervised Learning of Visual Features", https://arxiv.org/abs/1807.05520.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.errors import UsageError
from ssl_jax.losses.clustering import cluster_cross_entropy
from ssl_jax.methods.joint_embedding import JointEmbedding
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch, Watched
from ssl_jax.ops.bank import Bank, take_rows, write
from ssl_jax.ops.collectives import over_shards
from ssl_jax.ops.kmeans import kmeans
from ssl_jax.ops.normalize import unit_length

LARGE = 2  # Views that are stored, each in its own bank; small crops only predict clusters.


@dataclass(frozen=True, kw_only=True)
class DeepCluster(JointEmbedding):
    """Cross-entropy of the clusters, with their centroids at unit length as the classifier; chance level log(clusters).

    examples: number of examples in the data set.
    entries: entries of each bank, `examples` when None; those after `examples` are padding, since the entries, like the
      batch, are sharded over the devices and have to be a multiple of their number.
    recluster_every: steps between clusterings, those of an epoch. As many steps fill the banks before the first update.
    heads: number of clusterings, which differ in their seeds and in the view that they cluster.
    temperature: softmax temperature of the prediction.
    iterations: iterations of k-means.
    """

    facts: ClassVar[Facts] = Facts(
        family="clustering", against_collapse="clusters of the data set", memory="bank, clusters", paper="2006.09882"
    )

    objective_state: ClassVar[Layouts] = {"banks": "rows", "labels": "rows"}

    examples: int
    recluster_every: int
    clusters: int = 3000
    heads: int = 3
    temperature: float = 0.1
    iterations: int = 10
    entries: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clusters > self.examples:
            raise UsageError(
                f"clusters: got {self.clusters}, expected at most {self.examples}, the number of images: lower --clusters."
            )
        if self.rows < self.examples:
            raise UsageError(f"entries: must be at least the {self.examples} examples, got {self.entries}.")

    @property
    def rows(self) -> int:
        """Number of entries of each bank, padding included."""
        return self.examples if self.entries is None else self.entries

    @property
    def fill_steps(self) -> int:
        return self.recluster_every

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, bank_rng = jax.random.split(rng)
        params, state = super().init(rng)
        banks = self.fresh_banks(bank_rng)
        labels = jnp.full((self.rows, self.heads), -1, jnp.int32)
        centroids = jnp.zeros((self.heads, self.clusters, self.head.width))
        seed = jax.random.bits(jax.random.fold_in(bank_rng, 0), dtype=jnp.uint32)  # of all clusterings
        return params, {**state, "banks": banks, "labels": labels, "centroids": centroids, "seed": seed}

    def fresh_banks(self, rng: Array) -> Array:
        """The initial banks, `[rows, LARGE, D]`: zero, so that `cluster` skips entries that were never written."""
        return jnp.zeros((self.rows, LARGE, self.head.width))

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, V, D]` at unit length, its "scores" `[B, heads, V, clusters]`, and "index" `[B]`."""
        embeddings, state = super().encode(params, state, views, rng, step)
        embedding = unit_length(embeddings["embedding"])
        scores = jnp.einsum("bvd,hkd->bhvk", embedding, self.prototypes(params, state), precision="highest")
        return {"embedding": embedding, "scores": scores, "index": views["index"]}, state

    def prototypes(self, params: Params, state: State) -> Array:
        """Centroids at unit length, `[heads, clusters, D]`."""
        return state["centroids"]

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(self.clusters)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        scores, index = embeddings["scores"], embeddings["index"]
        labels = take_rows(state["labels"], index, axis_name=axis_name)  # [B, heads]
        labels = jnp.broadcast_to(labels[:, :, None], scores.shape[:-1])
        loss = cluster_cross_entropy(scores, labels, temperature=self.temperature, axis_name=axis_name)
        return loss, {"banks": self.remember(state["banks"], embeddings, axis_name)}, {}

    def remember(self, banks: Array, embeddings: Embeddings, axis_name: str | None) -> Array:
        """The banks updated with the large views of this batch."""
        index, rows = embeddings["index"], embeddings["embedding"]
        written = [
            write(Bank(banks[:, view]), index, rows[:, view], momentum=0.0, axis_name=axis_name).rows
            for view in range(LARGE)
        ]
        return jnp.stack(written, axis=1)

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        current = {name: state[name] for name in ("labels", "centroids") if name in state}
        due = (step + 1) % self.recluster_every == 0
        return params, {**state, **lax.cond(due, lambda: self.cluster(params, state, step), lambda: current)}

    def assignments(self, params: Params, state: State, images: Array) -> Array | None:
        """Those of the first clustering."""
        embedding = unit_length(self.embed(params, state, images))
        return jax.nn.softmax(embedding @ self.prototypes(params, state)[0].T / self.temperature)

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        """The predictions of the first clustering and view, and the bank of this view."""
        stored = take_rows(state["banks"], index)[:, 0]
        predictions = jax.nn.softmax(embeddings["scores"][:, 0, 0] / self.temperature)
        return Watched(assignments=predictions, memory=(stored, embeddings["embedding"][:, 0]))

    def cluster(self, params: Params, state: State, step: Array) -> State:
        """New labels and centroids, one head after the other; the heads alternate between the banks of the views.

        An image that was never encoded, since an epoch leaves out an incomplete last batch, keeps the label -1 and has no loss.
        """
        labels, centroids = over_shards(self.cluster_rows, state["banks"], (state["seed"], step))
        return {"labels": labels, "centroids": centroids}

    def cluster_rows(self, banks: Array, seeds: tuple[Array, Array], axis_name: str | None) -> tuple[Array, Array]:
        """Labels of this shard's entries, `[B, heads]`, and the centroids, `[heads, clusters, D]`."""
        seed, step = seeds

        def of_head(head: Array) -> tuple[Array, Array]:
            rng, points = jax.random.fold_in(jax.random.key(seed), step * self.heads + head), banks[:, head % LARGE]
            encoded = jnp.any(points != 0, axis=1)
            clustering = kmeans(
                rng, points, clusters=self.clusters, iterations=self.iterations, spherical=True,
                weights=encoded.astype(jnp.float32), axis_name=axis_name,
            )  # fmt: skip
            return jnp.where(encoded, clustering.labels, -1), clustering.centroids

        labels, centroids = lax.map(of_head, jnp.arange(self.heads))
        return labels.T, centroids
