"""How long a recipe trains, in what batches, and along which schedule: the options of every recipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ssl_jax.data import Data
from ssl_jax.optimizers import Optimizer, Schedule, adamw, clipped_lars, freeze_for, step_decay, warmup_cosine
from ssl_jax.recipes.recipe import count_steps

MakeOptimizer = Callable[[int], Optimizer]  # Number of steps of the whole run -> optimizer.


@dataclass(frozen=True)
class Run:
    """Options that every schedule has.

    Attributes:
      epochs: passes over the training images.
      batch_size: images a step, over all devices.
      learning_rate: peak of the schedule.
      weight_decay: on weights, not on biases and norms.
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
        """The learning rate of this batch size, scaled linearly from that of 256 images."""
        return self.learning_rate * self.batch_size / 256


@dataclass(frozen=True)
class Laptop(Run):
    """AdamW for minutes on a laptop: the rate rises in the first 5 % of the steps, then falls to 0 along a cosine."""

    epochs: float = 50
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4

    def adamw(self, steps: int) -> Optimizer:
        """The optimizer of a run of so many steps."""
        schedule = warmup_cosine(self.learning_rate, steps=steps, warmup=steps // 20)
        return adamw(schedule, weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Training(Run):
    """A linear warm-up, then half a cosine.

    Attributes:
      learning_rate: peak for 256 images a step, scaled linearly with the batch.
      warmup_epochs: passes in which the rate rises.
    """

    warmup_epochs: float = 10

    def schedule(self, steps: int, *, peak: float | None = None, start: float = 0.0, end: float = 0.0) -> Schedule:
        """From `start` to the peak, the scaled one when not given, and down to `end`."""
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
        """`make(schedule, weight_decay=, **options)` for a run of any number of steps."""
        return lambda steps: make(
            self.schedule(steps, peak=peak, start=start, end=end), weight_decay=self.weight_decay, **options
        )


@dataclass(frozen=True)
class SoloLearn(Training):
    """solo-learn's CIFAR-10 runs: LARS, where the rate of a layer is at most that of the schedule.

    Attributes:
      learning_rate: peak for 256 images a step, scaled linearly with the batch; LARS is clipped at it.
    """

    def clipped_lars(self, steps: int) -> Optimizer:
        """The optimizer of a run of so many steps."""
        return clipped_lars(self.schedule(steps), weight_decay=self.weight_decay)


@dataclass(frozen=True)
class Staircase(Run):
    """A rate that is multiplied by `factor` at each of `drops`, in epochs of a run of `of` epochs.

    Attributes:
      learning_rate: for 256 images a step, scaled linearly with the batch, until the first drop; drops stay in proportion
        for another number of epochs.
      drops, of, factor: no options.
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
    """One rate.

    Attributes:
      learning_rate: from the first step to the last.
    """

    def optimizer(self, make: Callable[..., Optimizer], **options: Any) -> MakeOptimizer:
        """`make` with this rate."""
        return lambda steps: make(lambda step: self.learning_rate, weight_decay=self.weight_decay, **options)


VISSL = Staircase(105, 256, 0.1, 1e-4, drops=(30, 60, 90, 100), of=105)  # The ImageNet runs of facebookresearch/vissl.


def frozen_prototypes(optimizer: MakeOptimizer, training: Run, *, epochs: float = 1) -> MakeOptimizer:
    """`optimizer` that leaves the prototypes as they are for the first epochs, as SwAV and DINO do."""
    return lambda steps: freeze_for(
        optimizer(steps), steps=round(steps * epochs / training.epochs), parameter="prototypes"
    )
