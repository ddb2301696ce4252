"""An encoder whose weights come from a file: it is evaluated, fine-tuned and exported, and has no loss of its own."""

from dataclasses import dataclass
from typing import ClassVar

from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.methods.joint_embedding import init_networks
from ssl_jax.methods.method import Backbone, Embeddings, Facts, Method, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net


@dataclass(frozen=True)
class EncoderOnly(Method):
    """encoder: images -> dict of layers with "features"."""

    facts: ClassVar[Facts] = Facts(family="none", against_collapse="-", positives="-", negatives="-", passes="0")

    encoder: Net

    def init(self, rng: Array) -> tuple[Params, State]:
        return init_networks(rng, encoder=self.encoder)

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        raise _without_loss()

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        raise _without_loss()

    def backbone(self, params: Params, state: State) -> Backbone:
        return Backbone(self.encoder, params["encoder"], state["encoder"])


def _without_loss() -> UsageError:
    return UsageError(
        "method: imported weights have no loss to train on: choose a method that starts from them, ssl-jax pretrain METHOD "
        "--init RUN."
    )
