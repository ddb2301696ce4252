"""SimCLR: two views of an image must find each other among all other views of the batch, on every device.

Collapse is prevented by the negatives: 2N - 2 of them for each of the 2N views.
Source: Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
https://arxiv.org/abs/2002.05709.
"""

from dataclasses import dataclass

import jax
from jax import Array

from ssl_jax.errors import above_zero
from ssl_jax.losses.contrastive import ntxent
from ssl_jax.methods.method import Embeddings, Method, Metrics, Params, State, Views
from ssl_jax.networks.functional import Net


@dataclass(frozen=True)
class SimCLR(Method):
    """Encoder, projection head and NT-Xent.

    encoder: images -> dict of layers with "features".
    head: projection head, features -> embedding; thrown away after pre-training.
    temperature: of NT-Xent; 0.1 in the paper's ImageNet runs, 0.5 on CIFAR-10.
    """

    encoder: Net
    head: Net
    temperature: float = 0.1

    def __post_init__(self) -> None:
        above_zero(temperature=self.temperature)

    def init(self, rng: Array) -> tuple[Params, State]:
        encoder_rng, head_rng = jax.random.split(rng)
        encoder_params, encoder_stats = self.encoder.init(encoder_rng)
        head_params, head_stats = self.head.init(head_rng)
        return {"encoder": encoder_params, "head": head_params}, {"encoder": encoder_stats, "head": head_stats}

    def encode(self, params: Params, state: State, views: Views, rng: Array, step: Array) -> tuple[Embeddings, State]:
        images = views["views"]  # [B, 2, H, W, C]
        size, copies = images.shape[:2]
        images = images.reshape(size * copies, *images.shape[2:])
        layers, encoder = self.encoder.apply(params["encoder"], state["encoder"], images, train=True, rng=rng)
        projections, head = self.head.apply(params["head"], state["head"], layers["features"], train=True)
        return {"embedding": projections.reshape(size, copies, -1)}, {"encoder": encoder, "head": head}

    def objective(
        self, embeddings: Embeddings, state: State, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        first, second = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        return ntxent(first, second, temperature=self.temperature, axis_name=axis_name), state, {}

    def embed(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        return self.encoder.apply(params["encoder"], state["encoder"], images, train=False)[0]
