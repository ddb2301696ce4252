"""SimDINO: our demo, and the authors' ImageNet run with a vision transformer."""

from dataclasses import replace
from typing import Any

from ssl_jax.composition import DIGITS, IMAGENET, Crops, Images, Laptop, Recipe, Training, on_photos, recipe
from ssl_jax.methods.simdino import SimDINO
from ssl_jax.recipes.dino import imagenet_adamw, make_head

VIT_BASE = replace(IMAGENET, encoder="vit_base/16")


@recipe(SimDINO, distortion=0.5, invariance=1.0, momentum=0.95)
def demo(images: Images = DIGITS, training: Laptop = Laptop(), **options: Any) -> Recipe:
    """Minutes on a laptop, AdamW, two large crops.

    The rate is that of 256 images in 64 dimensions. A distortion of 0.05, as in the authors' command for 64 images of a GPU in
    256 dimensions, outweighs the cosines here and spreads the embeddings over directions that crops do not share.
    """
    opened = images.open()
    head, steps = make_head(opened, 256, 64, prototypes=None, norm=True), training.steps(opened.data)
    return opened.recipe(training, SimDINO(opened.encoder, head, steps, **options), opened.views(), training.adamw)


photos = on_photos(demo)


@recipe(SimDINO, distortion=0.05, invariance=1.0, rate_groups=8, momentum=0.996)
def imagenet(
    images: Images = VIT_BASE, training: Training = Training(100, 512, 5e-4, 0.04), crops: Crops = Crops(96, 10), *,
    clip: float = 3.0, drop_path: float = 0.1, **options: Any,
) -> Recipe:  # fmt: skip
    """The authors' ViT-B/16 command of 100 epochs: AdamW, 2 x 224 and 10 x 96. 77.3 % linear, 74.9 % k-NN there.

    README.md and the defaults of simdino/main_dino.py of RobinWu218/SimDINO, on 8 GPUs of 64 images.

    Args:
      weight_decay: initial weight decay, on weights only; it rises to 0.4 along a cosine.
      distortion: of the coding rate: the squared error in which embeddings count as equal; times the number of groups.
      rate_groups: parts of the batch with a coding rate of their own, as on the authors' 8 GPUs. The weighted rate of 8 groups
        of 64 images is at most 0.45 nats, and 0.42 in the authors' log; that of the whole batch is at most 2.28.
    """
    opened = images.open(drop_path=drop_path)
    head, steps = make_head(opened, 2048, 2048, 256, prototypes=None), training.steps(opened.data)
    method = SimDINO(opened.encoder, head, steps, **options)
    return opened.recipe(training, method, crops.dino(opened), imagenet_adamw(training, clip=clip))
