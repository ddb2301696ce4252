"""Colourisation: which colour has each position of a grayscale image?

Generative: nothing collapses, since the colours are given. It is a classification, of squares of the plane of colours, since
the mean of the plausible colours of a position is grey. Rare colours have larger weights; otherwise walls and skies dominate.
Source: Zhang et al. 2016, "Colorful Image Colorization", https://arxiv.org/abs/1603.08511, section 2; 2.1 and 2.2.
"""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from ssl_jax.augment.lab import color_bins, with_color
from ssl_jax.errors import UsageError
from ssl_jax.losses.pretext import weighted_cross_entropy
from ssl_jax.methods.joint_embedding import JointEmbedding, on_views
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch
from ssl_jax.ops.collectives import mean_over_shards

SHARPENED = 0.38  # The paper's: between the mean of all plausible colours, which is grey, and the likeliest one.


@dataclass(frozen=True, kw_only=True)
class Colorization(JointEmbedding):
    """Cross-entropy of the colours, rebalanced; chance level log Q, 5.6 for 260 colours.

    At each position of `layer`, the head predicts the colours of the cells x cells positions within it. Views:
    `grayscale_and_color`.

    layer: name of a spatial layer of the encoder.
    cells: number of cells on a side of each position of the layer; the colour of each cell is predicted.
    uniform_mix: weight of a uniform distribution in the frequencies whose inverses weight the colours; 1 is no rebalancing.
    frequency_momentum: momentum of the moving average of the colour frequencies over the batches.
    """

    facts: ClassVar[Facts] = Facts(
        family="generative",
        against_collapse="colours",
        positives="-",
        negatives="-",
        memory="frequencies",
        passes="1",
        paper="1603.08511",
    )

    objective_state: ClassVar[Layouts] = {"frequency": "whole"}

    layer: str
    cells: int = 4
    uniform_mix: float = 0.5
    frequency_momentum: float = 0.99
    colors: NDArray[np.float32] = field(default_factory=color_bins, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head.width != len(self.colors) * self.cells**2:
            raise UsageError(
                f"colorization: the head must have {len(self.colors)} outputs for each of {self.cells**2} cells, "
                f"got {self.head.width}."
            )

    def init(self, rng: Array) -> tuple[Params, State]:
        params, state = super().init(rng)
        return params, {**state, "frequency": jnp.full(len(self.colors), 1 / len(self.colors), jnp.float32)}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 1, D]`, the encoder's features; "logits" `[B, h, w, Q]` and the target "color" `[B, h, w]`."""
        if "color" not in views:
            raise UsageError("colorization: views need their colours: make them with grayscale_and_color.")
        images = views["views"][:, 0]
        layers, encoder = self.encoder.apply(params["encoder"], state["encoder"], images, train=True, rng=rng)
        feature_map = layers[self.layer]
        size, height, width, channels = feature_map.shape
        rows = feature_map.reshape(size, height * width, channels)
        predictions, head = on_views(self.head, params["head"], state["head"], rows, rng=rng)
        logits = self.on_cells(predictions.reshape(size, height, width, -1))
        embeddings = {
            "embedding": layers["features"][:, None],
            "logits": logits,
            "color": self.nearest(views["color"], logits.shape[1:3]),
        }
        return embeddings, {**state, "encoder": encoder, "head": head}

    def on_cells(self, outputs: Array) -> Array:
        """The head's outputs at each position, `[B, h, w, cells * cells * Q]` -> `[B, h * cells, w * cells, Q]`."""
        size, height, width, _ = outputs.shape
        parts = outputs.reshape(size, height, width, self.cells, self.cells, -1).swapaxes(2, 3)
        return parts.reshape(size, height * self.cells, width * self.cells, -1)

    def nearest(self, color: Array, shape: tuple[int, ...]) -> Array:
        """Index of the colour nearest to the mean of a and b `[B, H, W, 2]` over each cell: int32 `[B, h, w]`."""
        color = jax.image.resize(color, (len(color), *shape, 2), "linear", antialias=True)
        colors = jnp.asarray(self.colors)
        closeness = jnp.einsum("bhwc,qc->bhwq", color, colors, precision="highest")
        closeness = closeness - jnp.sum(colors**2, axis=1)[None, None, None] / 2
        return jnp.argmax(closeness, axis=-1).astype(jnp.int32)

    def colorize(self, params: Params, state: State, views: ViewBatch) -> tuple[Array, Array]:
        """By the mean of the colours after softmax of temperature `SHARPENED`, as in section 2.3 of the paper."""
        images, true = views["views"][:, 0], views["color"]
        layers, _ = self.encoder.apply(params["encoder"], state["encoder"], images, train=False)
        rows = layers[self.layer].reshape(-1, layers[self.layer].shape[-1])
        outputs, _ = self.head.apply(params["head"], state["head"], rows, train=False)
        logits = self.on_cells(outputs.reshape(*layers[self.layer].shape[:3], -1))
        colors = jnp.matmul(jax.nn.softmax(logits / SHARPENED), jnp.asarray(self.colors), precision="highest")
        predicted = jax.image.resize(colors, true.shape, "linear")
        return with_color(images, predicted), with_color(images, true)

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(len(self.colors))

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        color, before = embeddings["color"], state["frequency"]
        weights = 1 / ((1 - self.uniform_mix) * before + self.uniform_mix / len(before))
        loss = weighted_cross_entropy(embeddings["logits"], color, weights, axis_name=axis_name)
        counts = jnp.zeros(len(before)).at[color.ravel()].add(1 / color.size)
        frequency = mean_over_shards(counts, axis_name)
        return loss, {"frequency": self.frequency_momentum * before + (1 - self.frequency_momentum) * frequency}, {}
