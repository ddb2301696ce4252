"""SimDINO: our demo, and the authors' ImageNet run with a vision transformer."""

from dataclasses import replace

from ssl_jax.methods.simdino import Distortion, RateGroups, SimDINO
from ssl_jax.recipes.dino import imagenet_adamw, make_head
from ssl_jax.recipes.images import DIGITS, IMAGENET, Images
from ssl_jax.recipes.recipe import Recipe, recipe
from ssl_jax.recipes.training import Laptop, Training
from ssl_jax.recipes.views import demo_views, dino_crops

VIT_BASE = replace(IMAGENET, encoder="vit_base/16")


@recipe
def demo(
    images: Images = DIGITS,
    training: Laptop = Laptop(),
    *,
    distortion: Distortion = 0.5,
    invariance: float = 1.0,
    momentum: float = 0.95,
) -> Recipe:
    """Minutes on a laptop, AdamW, two large crops.

    The rate is that of 256 images in 64 dimensions. A distortion of 0.05, as in the authors' command for 64 images of a GPU in
    256 dimensions, outweighs the cosines here and spreads the embeddings over directions that crops do not share.

    Args:
      distortion: of the coding rate: the squared error in which embeddings count as equal.
      invariance: weight of the cosines of the student's crops with the teacher's.
    """
    opened = images.open()
    head, steps = make_head(opened, 256, 64, prototypes=None, norm=True), training.steps(opened.data)
    method = SimDINO(opened.encoder, head, steps, momentum=momentum, distortion=distortion, invariance=invariance)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


@recipe
def imagenet(
    images: Images = VIT_BASE,
    training: Training = Training(100, 512, 5e-4, 0.04),
    *,
    clip: float = 3.0,
    drop_path: float = 0.1,
    distortion: Distortion = 0.05,
    invariance: float = 1.0,
    rate_groups: RateGroups = 8,
    momentum: float = 0.996,
    small_size: int = 96,
    small_views: int = 10,
) -> Recipe:
    """The authors' ViT-B/16 command of 100 epochs: AdamW, 2 x 224 and 10 x 96. 77.3 % linear, 74.9 % k-NN there.

    README.md and the defaults of simdino/main_dino.py of RobinWu218/SimDINO, on 8 GPUs of 64 images.

    Args:
      weight_decay: at first, on weights; it rises to 0.4 by a cosine.
      clip: largest norm of each parameter's gradient.
      drop_path: stochastic depth of the student's last block, if it is a ViT.
      distortion: of the coding rate: the squared error in which embeddings count as equal; times the number of groups.
      invariance: weight of the cosines of the student's crops with the teacher's.
      rate_groups: parts of the batch with a coding rate of their own, as on the authors' 8 GPUs. The weighted rate of 8 groups
        of 64 images is at most 0.45 nats, and 0.42 in the authors' log; that of the whole batch is at most 2.28.
    """
    opened = images.open(drop_path=drop_path)
    head, steps = make_head(opened, 2048, 2048, 256, prototypes=None), training.steps(opened.data)
    method = SimDINO(
        opened.encoder,
        head,
        steps,
        momentum=momentum,
        distortion=distortion,
        invariance=invariance,
        rate_groups=rate_groups,
    )
    views = dino_crops(opened, small_size=small_size, small_views=small_views)
    return opened.recipe(training, method, views, imagenet_adamw(training, clip=clip))
