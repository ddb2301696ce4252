"""ClusterFit: our demo, and the paper's ImageNet run, each on the features of any encoder."""

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_jax.augment.views import photo_views
from ssl_jax.data import Source, hold
from ssl_jax.errors import UsageError
from ssl_jax.methods.clusterfit import ClusterFit, cluster
from ssl_jax.networks import linear_head
from ssl_jax.optimizers import sgd, staircase
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer, demo_views, scale


def load_features(path: str, source: Source) -> NDArray[np.float32]:
    """Features of all training images, in order, from what `ssl-jax embed` wrote; the pixels themselves for ""."""
    if not path:
        images = hold(source)["image"]
        return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    if not Path(path).is_file():
        raise UsageError(f"features: found no file {path}: make it with `ssl-jax embed RUN --output {path}`.")
    try:
        with open(path, "rb") as file:  # np.load leaves a damaged archive open.
            features = np.load(file, allow_pickle=False)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile):
        features = None
    if not isinstance(features, np.ndarray) or features.dtype.kind not in "fiu":  # An .npz is no array.
        raise UsageError(f"features: {path} is no .npy file of numbers: make it with `ssl-jax embed`.")
    if features.ndim != 2 or len(features) != len(source):
        raise UsageError(
            f"features: {path} holds an array {features.shape}, expected a row for each of the {len(source)} images "
            f"of {source.name}: run `ssl-jax embed` on the same data."
        )
    return features


@recipe
def demo(
    *,
    data: str = "digits",
    image_size: int = 28,
    encoder: str = "small",
    epochs: float = 50,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    features: str = "",
    clusters: int = 256,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop, AdamW; clusters of pixels, if no features are named.

    Args:
      features: file of `ssl-jax embed RUN --output FILE.npy`, any encoder's; pixels when empty.
      clusters: how many.
    """
    here = scale(data=data, image_size=image_size, encoder=encoder, precision=precision, strict=strict)
    head = linear_head(inputs=here.encoder.width, outputs=clusters, dtype=here.dtype)
    return Recipe(
        data=here.data,
        method=ClusterFit(here.encoder, head, clusters=cluster(load_features(features, here.data.train), clusters)),
        augment=demo_views(here, image_size=image_size, views=1),
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def imagenet(
    *,
    data: str = "imagenet2012",
    image_size: int = 224,
    stored_size: int = 256,
    encoder: str = "resnet50",
    epochs: float = 105,
    batch_size: int = 256,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-4,
    features: str = "",
    clusters: int = 16000,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """VISSL's training on 16,000 clusters of another encoder's features; from RotNet's 53.63 % linear there, 48.2 % before.

    Every image is jittered. The warm-up starts at a quarter of the peak, as VISSL's jigsaw does: the file of ClusterFit has
    0.25 for 0.025, more than its peak of 0.1. Source: configs/config/pretrain/clusterfit/clusterfit_resnet_8gpu_imagenet.yaml
    and MODEL_ZOO.md of facebookresearch/vissl.

    Args:
      learning_rate: for 256 images a step, scaled linearly with the batch, after 5 epochs of warm-up; divided by 10 at
        30, 60, 90 and 100 of 105 epochs, in proportion for another number of epochs.
      features: file of `ssl-jax embed RUN --output FILE.npy`, any encoder's; pixels when empty.
      clusters: how many.
    """
    here = scale(
        data=data, image_size=image_size, stored_size=stored_size, encoder=encoder, precision=precision, strict=strict
    )
    view = photo_views(
        size=image_size, scale=(0.08, 1.0), jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=1.0, grey=0.0, blur=0.0, views=1,
        mean=here.mean, std=here.std,
    )  # fmt: skip
    head = linear_head(inputs=here.encoder.width, outputs=clusters, dtype=here.dtype)
    peak = learning_rate * batch_size / 256
    return Recipe(
        data=here.data,
        method=ClusterFit(here.encoder, head, clusters=cluster(load_features(features, here.data.train), clusters)),
        augment=view,
        prepare=here.prepare,
        optimizer=lambda steps: sgd(
            staircase(peak, steps=steps, drops=(30, 60, 90, 100), of=105, warmup=5, start=peak / 4),
            weight_decay=weight_decay,
        ),
        batch_size=batch_size,
        epochs=epochs,
    )
