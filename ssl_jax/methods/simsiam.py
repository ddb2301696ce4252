"""SimSiam: one view predicts the embedding of the other, which has a stop-gradient.

Collapse is prevented by the stop-gradient and the predictor together: without either, all embeddings become one.
Source: Chen and He 2020, "Exploring Simple Siamese Representation Learning", https://arxiv.org/abs/2011.10566.
"""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.losses.distillation import negative_cosine
from ssl_jax.methods.joint_embedding import JointEmbedding, on_views
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net


@dataclass(frozen=True)
class SimSiam(JointEmbedding):
    """Mean over both directions of the negative cosine.

    predictor: embedding -> embedding, with a bottleneck; its learning rate stays constant in the paper.
    """

    facts: ClassVar[Facts] = Facts(
        family="distillation", against_collapse="predictor and stop-gradient", paper="2011.10566"
    )

    per_view_statistics = True

    predictor: Net

    @property
    def networks(self) -> dict[str, Net]:
        return {**super().networks, "predictor": self.predictor}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        embedding, stats = self.project(params, state, views, rng)
        prediction, predictor = on_views(
            self.predictor,
            params["predictor"],
            state["predictor"],
            embedding,
            per_view_statistics=self.per_view_statistics,
        )
        return {"embedding": embedding, "prediction": prediction}, {**state, **stats, "predictor": predictor}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        prediction, target = embeddings["prediction"], embeddings["embedding"]
        first = negative_cosine(prediction[:, 0], target[:, 1], axis_name=axis_name)
        second = negative_cosine(prediction[:, 1], target[:, 0], axis_name=axis_name)
        return (first + second) / 2, {}, {}
