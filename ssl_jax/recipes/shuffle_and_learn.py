"""Shuffle and Learn: our demo on drawn clips, and the authors' run on UCF101."""

from functools import partial

from ssl_jax.augment.clip_tasks import order_views
from ssl_jax.augment.views import digit_views
from ssl_jax.composition import Laptop, Opened, Recipe, recipe
from ssl_jax.composition.clips import Frames, middle_frame
from ssl_jax.composition.training import Staircase
from ssl_jax.composition.views import crop_views
from ssl_jax.methods.shuffle_and_learn import ShuffleAndLearn
from ssl_jax.optimizers import sgd

DRAWN, UCF101 = Frames("silent-clips", 24), Frames("ucf101", 224, 256, encoder="resnet18")
SOLVER = Staircase(1342, 128, 1e-3, 5e-4, drops=(80,), of=100)

# Brightness and contrast of each frame; its crop stays, since small motions and rotations are what reveals the order.
still_view = partial(
    digit_views,
    views=1,
    scale=(1.0, 1.0),
    degrees=0,
    translate=0,
    zoom=(1.0, 1.0),
    shear=0,
    brightness=0.6,
    contrast=0.6,
)


def make_method(opened: Opened, *layers: int, width: int) -> ShuffleAndLearn:
    """Normalised embeddings of frames, and a classifier of three of them with these hidden layers."""
    head = opened.head(width, last_norm=True, last_bias=True)
    classifier = opened.head(*layers, 2, inputs=3 * width, last_bias=True)
    return ShuffleAndLearn(opened.encoder, head, classifier=classifier)


@recipe
def demo(frames: Frames = DRAWN, training: Laptop = Laptop(12), *, in_order: float = 0.5, margin: int = 1) -> Recipe:
    """Minutes on a laptop: drawn moving shapes, evaluated on the middle frame; AdamW.

    The drawn clips have four frames and move evenly, so that their two intervals of three frames are about equally likely.

    Args:
      data: drawn "silent-clips", or other clips.
    """
    opened = frames.open_frames()
    views = order_views(opened.views(still_view), in_order=in_order, margin=margin)
    method = make_method(opened, 256, width=64)
    return opened.recipe(training, method, views, training.adamw, prepare=middle_frame(opened.prepare))


@recipe
def ucf101(frames: Frames = UCF101, training: Staircase = SOLVER, *, in_order: float = 0.25, margin: int = 2) -> Recipe:
    """The authors' 100,000 steps on UCF101, a ResNet-18 in place of CaffeNet. Published: 50.9 % on UCF101 after fine-tuning.

    Clips have 8 frames, evenly spaced. Theirs are intervals of at most 60 frames of a video, and a wrong middle frame is 15
    frames or more outside. Source: networks/tuple_solver.prototxt and tuple_train.prototxt of imisra/shuffle-tuple, and
    section 3 of the paper.

    Args:
      data: tfds "ucf101", or other clips.
      epochs: passes over the 9,537 training videos of UCF101's first split; each gives one triple a pass.
      batch_size: triples of frames per step.
      learning_rate: initial rate, divided by 10 after four fifths of the run.
    """
    opened = frames.open_frames()
    views = order_views(opened.views(crop_views, scale=(0.7, 1.0)), in_order=in_order, margin=margin)
    optimizer = training.optimizer(sgd, peak=training.learning_rate)
    method = make_method(opened, width=4096)
    return opened.recipe(training, method, views, optimizer, prepare=middle_frame(opened.prepare))
