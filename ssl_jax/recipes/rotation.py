"""RotNet: our demo, the authors' CIFAR-10 schedule, and VISSL's ImageNet run."""

from ssl_jax.augment.pretext import four_rotations
from ssl_jax.composition import CIFAR, DIGITS, IMAGENET, Images, Laptop, Recipe, recipe
from ssl_jax.composition.training import VISSL, Staircase
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.rotation import Rotation
from ssl_jax.optimizers import sgd

FIFTHS = Staircase(200, 128, 0.1, 5e-4, drops=(60, 120, 160), of=200, factor=0.2)


@recipe
def demo(images: Images = DIGITS, training: Laptop = Laptop(epochs=30)) -> Recipe:
    """Minutes on a laptop, AdamW. A 0 or an 8 has no right way up, so the task is never solved."""
    opened = images.open_squares(method="rotation")
    method = Rotation(opened.encoder, opened.linear(4))
    return opened.recipe(training, method, four_rotations(opened.views(views=1)), training.adamw)


@recipe
def cifar(images: Images = CIFAR, training: Staircase = FIFTHS) -> Recipe:
    """The authors' CIFAR-10 schedule, Nesterov momentum, on a ResNet-18 in place of their network in network.

    Crops are of 0.8 to 1 of the image, theirs are shifted by up to 4 pixels with zero padding. Source:
    config/CIFAR10_RotNet_NIN4blocks.py and dataloader.py of gidariss/FeatureLearningRotNet.

    Args:
      batch_size: images per step; each is used in all four rotations.
      learning_rate: initial rate, divided by 5 at 60, 120 and 160 of 200 epochs, in proportion for another number.
    """
    opened = images.open_squares(method="rotation")
    views = four_rotations(opened.views(crop_views, scale=(0.8, 1.0)))
    optimizer = training.optimizer(sgd, peak=training.learning_rate, nesterov=True, decay_all=True)
    return opened.recipe(training, Rotation(opened.encoder, opened.linear(4)), views, optimizer)


@recipe
def imagenet(images: Images = IMAGENET, training: Staircase = VISSL) -> Recipe:
    """VISSL's ImageNet run: ResNet-50, 105 epochs. Published: 48.2 % linear.

    Source: configs/config/pretrain/rotnet/rotnet_8gpu_resnet.yaml and MODEL_ZOO.md of facebookresearch/vissl.

    Args:
      batch_size: images per step; each is used in all four rotations, where VISSL draws one.
      learning_rate: rate for a batch of 256, scaled linearly with the batch size; divided by 10 at 30, 60, 90 and 100 of 105
        epochs, in proportion for another number of epochs.
    """
    opened = images.open_squares(method="rotation")
    views = four_rotations(opened.views(crop_views))
    return opened.recipe(training, Rotation(opened.encoder, opened.linear(4)), views, training.optimizer(sgd))
