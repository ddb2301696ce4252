"""CPC: the rows of patches above a position predict the patches some rows below it.

Contrastive within the image: the negatives are all patches of the batch, those of this image included. Collapse is
prevented by these negatives; patches of one image must differ, so that features distinguish parts of an image.
Source: van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding",
https://arxiv.org/abs/1807.03748, section 3.3.
"""

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.losses.negatives import cpc
from ssl_jax.methods.joint_embedding import JointEmbedding, init_networks, on_views
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net
from ssl_jax.ops.patches import overlapping_patches, sub_crops
from ssl_jax.sizes import ImageSize, sides_of


@dataclass(frozen=True, kw_only=True)
class CPC(JointEmbedding):
    """InfoNCE at each position, for each of the `prediction_steps` rows below it; chance level log of the number of patches.

    The encoder takes single patches. The head projects their features to embeddings, `context` aggregates the grid of
    embeddings from top to bottom, and `predictor` predicts from the context the embeddings of `prediction_steps` rows, the
    first `first_row` rows below.

    patch_size, stride: in pixels; patches overlap.
    first_row: rows to the first prediction; 2 where patches overlap by half, since the context includes half of the next row.
    sub_crop: side of a random square crop of each patch, padded with zeros, so that edges that continue from patch to patch
      do not reveal positions. None keeps patches whole.
    image_size: side of the views, or height and width, on which `chance_loss` alone depends; None where it is not known.
    """

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="a patch and the rows above",
        negatives="all patches of the batch",
        passes="1 a patch",
        paper="1807.03748",
    )

    context: Net
    predictor: Net
    patch_size: int
    stride: int
    prediction_steps: int
    first_row: int = 2
    temperature: float = 1.0
    sub_crop: int | None = None
    image_size: ImageSize | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sub_crop is not None and not 0 < self.sub_crop <= self.patch_size:
            raise UsageError(f"sub_crop: must be 1 to the {self.patch_size} pixels of a patch, got {self.sub_crop}.")
        if self.predictor.width != self.prediction_steps * self.head.width:
            raise UsageError(
                f"cpc: the predictor has {self.predictor.width} outputs, expected {self.head.width} for each of "
                f"{self.prediction_steps} prediction steps."
            )

    def init(self, rng: Array) -> tuple[Params, State]:
        networks = {"head": self.head, "context": self.context, "predictor": self.predictor}
        return init_networks(rng, encoder=self.encoder, **networks)

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" of the patches `[B, H * W, D]`, as "grid" `[B, H, W, D]`; "predictions" `[B, H, W, rows, D]`."""
        patches = overlapping_patches(views["views"][:, 0], self.patch_size, stride=self.stride)
        size, height, width = patches.shape[:3]
        flat = patches.reshape(size, height * width, *patches.shape[3:])
        if self.sub_crop is not None:
            flat = sub_crops(jax.random.fold_in(rng, 1), flat, self.sub_crop)
        embedding, stats = self.project(params, state, {"views": flat}, rng)
        grid = embedding.reshape(size, height, width, -1)
        contexts, context = self.context.apply(params["context"], state["context"], grid, train=True, rng=rng)
        rows = contexts.reshape(size, height * width, -1)
        outputs, predictor = on_views(self.predictor, params["predictor"], state["predictor"], rows, rng=rng)
        predictions = outputs.reshape(size, height, width, self.prediction_steps, -1)
        embeddings = {"embedding": embedding, "grid": grid, "predictions": predictions}
        return embeddings, {**state, **stats, "context": context, "predictor": predictor}

    def chance_loss(self, batch_size: int) -> float | None:
        """The logarithm of the number of patches of the batch."""
        if self.image_size is None:
            return None
        rows, columns = ((side - self.patch_size) // self.stride + 1 for side in sides_of(self.image_size))
        return math.log(batch_size * rows * columns)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        loss = cpc(
            jnp.moveaxis(embeddings["predictions"], 3, 0),
            embeddings["grid"],
            first_step=self.first_row,
            temperature=self.temperature,
            axis_name=axis_name,
        )
        return loss, {}, {}

    def backbone(self, params: Params, state: State) -> None:
        """None: the encoder takes patches."""

    def features(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        """Features of patches, and of images.

        Layers "patches" `[B, H, W, D]` of the encoder, "patch_features" `[B, D]`, their mean, as the paper's linear classifier
        takes it, "context" `[B, H, W, E]`, and "features" `[B, E]`, the mean of its last row, which depends on the whole image.
        Section 2.2 leaves the choice between the two to the downstream task.
        """
        patches = overlapping_patches(images, self.patch_size, stride=self.stride)
        size, height, width = patches.shape[:3]
        flat = patches.reshape(-1, *patches.shape[3:])
        features = self.encoder.apply(params["encoder"], state["encoder"], flat, train=False)[0]["features"]
        embedding = self.head.apply(params["head"], state["head"], features, train=False)[0]
        of_patches, grid = (rows.reshape(size, height, width, -1) for rows in (features, embedding))
        context = self.context.apply(params["context"], state["context"], grid, train=False)[0]
        return OrderedDict(
            patches=of_patches,
            patch_features=of_patches.mean(axis=(1, 2)),
            context=context,
            features=context[:, -1].mean(axis=1),
        )
