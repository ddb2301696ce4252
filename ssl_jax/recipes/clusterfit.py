"""ClusterFit: our demo, and the paper's ImageNet run, each on the features of any encoder."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ssl_jax.composition import DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, recipe
from ssl_jax.composition.training import VISSL, Staircase
from ssl_jax.composition.views import crop_views
from ssl_jax.data import Source, load_into_memory
from ssl_jax.data.outline import is_outline
from ssl_jax.errors import UsageError
from ssl_jax.methods.clusterfit import ClusterFit, cluster
from ssl_jax.optimizers import sgd


def load_features(path: str, source: Source) -> NDArray[np.float32]:
    """Features of all training images, in order, from a file that `ssl-jax embed` wrote; the pixels themselves for ""."""
    if not path:
        images = load_into_memory(source)["image"]
        return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
    if not Path(path).is_file():
        raise UsageError(f"features: there is no file {path}: make it with `ssl-jax embed RUN --output {path}`.")
    try:
        features = np.lib.format.open_memmap(
            path, mode="r"
        )  # Refuses objects, and a header that claims more than the file has.
    except Exception:  # numpy and Python's parser raise many types for a damaged header.
        features = None
    if features is None or features.dtype.kind not in "fiu":
        raise UsageError(f"features: {path} is no .npy file of numbers: make it with `ssl-jax embed`.")
    if features.ndim != 2 or len(features) != len(source):
        raise UsageError(
            f"features: {path} holds an array {features.shape}, expected a row for each of the {len(source)} images "
            f"of {source.name}: run `ssl-jax embed` on the same data, without images that cannot be read."
        )
    return np.array(features)


def make_method(opened: Opened, *, features: str, clusters: int, cluster_seed: int) -> ClusterFit:
    """A linear classifier that predicts the clusters of these features."""
    source = opened.data.train
    if is_outline(source):  # It has no features.
        found = np.zeros(len(source), np.int32)
    else:
        found = cluster(load_features(features, source), clusters, seed=cluster_seed)
    return ClusterFit(opened.encoder, opened.linear(clusters), clusters=found)


@recipe
def demo(
    images: Images = DIGITS,
    training: Laptop = Laptop(),
    *,
    features: str = "",
    clusters: int = 256,
    cluster_seed: int = 0,
) -> Recipe:
    """Minutes on a laptop, AdamW; clusters of pixels unless a file of features is given."""
    opened = images.open()
    method = make_method(opened, features=features, clusters=clusters, cluster_seed=cluster_seed)
    return opened.recipe(training, method, opened.views(views=1), training.adamw)


@recipe
def imagenet(
    images: Images = IMAGENET,
    training: Staircase = VISSL,
    *,
    features: str = "",
    clusters: int = 16000,
    cluster_seed: int = 0,
) -> Recipe:
    """VISSL's training on 16,000 clusters of another encoder's features. Published: 53.63 % linear from RotNet's 48.2 %.

    Every image is jittered. The warm-up starts at a quarter of the peak, as in VISSL's jigsaw: the file of ClusterFit has
    0.25, probably for 0.025, which is above its peak of 0.1. Source:
    configs/config/pretrain/clusterfit/clusterfit_resnet_8gpu_imagenet.yaml and MODEL_ZOO.md of facebookresearch/vissl.

    Args:
      learning_rate: rate for a batch of 256, scaled linearly with the batch size, after 5 epochs of warm-up; divided by 10 at
        30, 60, 90 and 100 of 105 epochs, in proportion for another number of epochs.
    """
    opened = images.open()
    method = make_method(opened, features=features, clusters=clusters, cluster_seed=cluster_seed)
    views = opened.views(crop_views, jitter=(0.4, 0.4, 0.4, 0.2), jitter_probability=1.0)
    return opened.recipe(training, method, views, training.optimizer(sgd, warmup=5, start=training.peak / 4))
