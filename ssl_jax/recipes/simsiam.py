"""SimSiam: our demo, the paper's CIFAR-10 appendix, and the authors' ImageNet runs."""

from ssl_jax.augment.views import photo_views
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Opened, Recipe, Training, on_photos, recipe
from ssl_jax.composition.training import MakeOptimizer
from ssl_jax.methods.simsiam import SimSiam
from ssl_jax.optimizers import sgd, with_separate_optimizer


def make_method(opened: Opened, *widths: int, bottleneck: int) -> SimSiam:
    """The head's last norm has neither gain nor offset; the predictor narrows in between."""
    head = opened.head(*widths, last_norm=True, last_norm_affine=False)
    return SimSiam(opened.encoder, head, opened.head(bottleneck, head.width, inputs=head.width, last_bias=True))


def sgd_of(training: Training) -> MakeOptimizer:
    """SGD along the cosine, and at the constant peak for the predictor."""
    cosine = training.optimizer(sgd, decay_all=True)
    predictor = sgd(lambda step: training.peak, weight_decay=training.weight_decay, decay_all=True)
    return lambda steps: with_separate_optimizer(cosine(steps), predictor, network="predictor")


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop()) -> Recipe:
    """Minutes on a laptop, AdamW."""
    opened = images.open()
    method = make_method(opened, 256, 256, bottleneck=64)
    return opened.recipe(training, method, opened.views(), training.adamw)


photos = on_photos(demo)


@recipe
def cifar(images: Images = CIFAR, training: Training = Training(800, 512, 0.03, 5e-4, warmup_epochs=0)) -> Recipe:
    """The paper's CIFAR-10 runs (Chen and He 2020, appendix D): two layers of 2048, SGD. Published: 91.8 % linear.

    Views are those of the ImageNet runs without blur.

    Args:
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    method = make_method(opened, 2048, 2048, bottleneck=512)
    views = opened.views(photo_views, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1), blur=0.0)
    return opened.recipe(training, method, views, sgd_of(training))


@recipe
def imagenet(images: Images = IMAGENET, training: Training = Training(100, 512, 0.05, 1e-4, warmup_epochs=0)) -> Recipe:
    """The authors' ImageNet runs of 100 epochs: three layers of 2048, a bottleneck of 512, the predictor's rate constant.

    Published: 68.1 % linear (README.md, main_simsiam.py with --fix-pred-lr, and simsiam/builder.py of
      facebookresearch/simsiam).

    Args:
      weight_decay: decay of all parameters, biases and norms included.
    """
    opened = images.open()
    method = make_method(opened, 2048, 2048, 2048, bottleneck=512)
    views = opened.views(photo_views, scale=(0.2, 1.0), jitter=(0.4, 0.4, 0.4, 0.1))
    return opened.recipe(training, method, views, sgd_of(training))
