"""Length, batch size and learning-rate schedule of a run: the options of every recipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssl_jax.composition.recipe import count_steps
from ssl_jax.data import Data, steps_per_epoch
from ssl_jax.optimizers import Optimizer, Schedule, adamw, clipped_lars, freeze_for, step_decay, warmup_cosine

ALBUM_STEPS = 2000
MakeOptimizer = Callable[[int], Optimizer]  # Total number of steps -> optimizer.


@dataclass(frozen=True)
class Run:
    """Options that every schedule has.

    Attributes:
      epochs: passes over the training images.
      batch_size: images per step, over all devices.
      learning_rate: peak learning rate.
      weight_decay: decay of weights; biases and norms have none.
    """

    epochs: float
    batch_size: int
    learning_rate: float
    weight_decay: float

    def steps(self, data: Data) -> int:
        """Optimizer steps of the whole run."""
        return count_steps(data, epochs=self.epochs, batch_size=self.batch_size)

    @property
    def peak(self) -> float:
        """The peak learning rate at this batch size, scaled linearly from that at 256 images."""
        return self.learning_rate * self.batch_size / 256


@dataclass(frozen=True)
class Laptop(Run):
    """AdamW for minutes on a laptop: the rate rises in the first 5 % of the steps, then falls to 0 along a cosine."""

    epochs: float = 50
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4

    def adamw(self, steps: int) -> Optimizer:
        """The optimizer of a run with this number of steps."""
        schedule = warmup_cosine(self.learning_rate, steps=steps, warmup=steps // 20)
        return adamw(schedule, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Album:
    """AdamW with a batch and a length that suit the number of images, and the schedule of `Laptop`.

    Attributes:
      epochs: passes over the training images; when not given, as many as make 2,000 steps.
      batch_size: images per step, over all devices; when not given, the largest power of two that is at most 256 and at most
        half of the training images.
      learning_rate: peak learning rate.
      weight_decay: decay of weights; biases and norms have none.
    """

    epochs: float | None = None
    batch_size: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4

    def fitted(self, images: int) -> Laptop:
        """The schedule for this number of training images. Powers of two divide the lengths of queues, and by most devices."""
        batch_size = self.batch_size or 2 ** (min(256, max(1, images // 2)).bit_length() - 1)
        epochs = self.epochs or ALBUM_STEPS / steps_per_epoch(images, batch_size)
        return Laptop(epochs, batch_size, self.learning_rate, self.weight_decay)


@dataclass(frozen=True)
class Training(Run):
    """Linear warm-up, then a cosine decay.

    Attributes:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size.
      warmup_epochs: epochs of linear warm-up.
    """

    warmup_epochs: float = 10

    def schedule(self, steps: int, *, peak: float | None = None, start: float = 0.0, end: float = 0.0) -> Schedule:
        """From `start` up to `peak`, `self.peak` when not given, and down to `end`."""
        peak, warmup = self.peak if peak is None else peak, round(steps * self.warmup_epochs / self.epochs)
        return warmup_cosine(peak, steps=steps, warmup=warmup, start=start, end=end)

    def optimizer(
        self,
        make: Callable[..., Optimizer],
        *,
        peak: float | None = None,
        start: float = 0.0,
        end: float = 0.0,
        **options: Any,
    ) -> MakeOptimizer:
        """`make(schedule, weight_decay=, **options)` for any number of steps."""
        return lambda steps: make(
            self.schedule(steps, peak=peak, start=start, end=end), weight_decay=self.weight_decay, **options
        )


@dataclass(frozen=True)
class SoloLearn(Training):
    """solo-learn's CIFAR-10 runs: LARS with each layer's rate clipped at that of the schedule.

    Attributes:
      learning_rate: peak for a batch of 256, scaled linearly with the batch size; LARS is clipped at it.
    """

    def clipped_lars(self, steps: int) -> Optimizer:
        """The optimizer of a run with this number of steps."""
        return clipped_lars(self.schedule(steps), weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Staircase(Run):
    """A rate that is multiplied by `factor` at each of `drops`, epochs in a run of `of` epochs.

    Attributes:
      learning_rate: rate for a batch of 256, scaled linearly with the batch size, until the first drop; the drops move in
        proportion to the number of epochs.
      drops, of, factor: not options.
    """

    drops: Sequence[float] = field(default=(), metadata={"option": False})
    of: float = field(default=1, metadata={"option": False})
    factor: float = field(default=0.1, metadata={"option": False})

    def optimizer(
        self,
        make: Callable[..., Optimizer],
        *,
        peak: float | None = None,
        warmup: float = 0.0,
        start: float = 0.0,
        **options: Any,
    ) -> MakeOptimizer:
        """`make` with this schedule; the rate rises from `start` in the first `warmup` of `of` epochs."""
        peak = self.peak if peak is None else peak
        return lambda steps: make(
            step_decay(peak, steps=steps, drops=self.drops, of=self.of, factor=self.factor, warmup=warmup, start=start),
            weight_decay=self.weight_decay,
            **options,
        )


@dataclass(frozen=True)
class Constant(Run):
    """A constant rate.

    Attributes:
      learning_rate: constant learning rate.
    """

    def optimizer(self, make: Callable[..., Optimizer], **options: Any) -> MakeOptimizer:
        """`make` with this rate."""
        return lambda steps: make(lambda step: self.learning_rate, weight_decay=self.weight_decay, **options)


VISSL = Staircase(105, 256, 0.1, 1e-4, drops=(30, 60, 90, 100), of=105)  # The ImageNet runs of facebookresearch/vissl.


def frozen_prototypes(optimizer: MakeOptimizer, training: Run, *, epochs: float = 1) -> MakeOptimizer:
    """`optimizer` with frozen prototypes in the first epochs, as in SwAV and DINO."""
    return lambda steps: freeze_for(
        optimizer(steps), steps=round(steps * epochs / training.epochs), parameter="prototypes"
    )
