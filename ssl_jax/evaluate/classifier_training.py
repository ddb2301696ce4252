"""Supervised training of an encoder and a fresh linear classifier from given weights, at any learning rate.

K: classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh

from ssl_jax.data import Batches, Source, in_order
from ssl_jax.evaluate.crops import Augmentation
from ssl_jax.evaluate.features import features_of
from ssl_jax.methods.method import Backbone, Params, State
from ssl_jax.methods.supervised import Supervised
from ssl_jax.networks import linear_head
from ssl_jax.optimizers import Optimizer, at_rate, warmup_cosine, with_layer_decay, with_variable_rate
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding
from ssl_jax.train.program import Program, make_program
from ssl_jax.train.state import TrainState, init_state

EPOCHS, LEAST_STEPS, WARMUP = 50, 500, 0.1  # Where none are given; the warm-up is a part of all epochs.


@dataclass(frozen=True)
class Classifier(Supervised):
    """Supervised training, and its predictions."""

    def logits(self, params: Params, state: State, images: Array) -> Array:
        """`[B, K]`, in evaluation."""
        features = self.features(params, state, images)["features"]
        return self.head.apply(params["head"], state["head"], features, train=False)[0]


@dataclass(frozen=True, eq=False)
class ClassifierTraining:
    """Trainings that differ in their images and their rate; the arguments are those of `fine_tune`, see there.

    make: of an optimizer, from its schedule. classes: K.
    """

    backbone: Backbone
    prepare: Callable[[Any], Any]
    classes: int
    make: Callable[..., Optimizer]
    epochs: float | None
    batch_size: int
    weight_decay: float
    warmup_epochs: float | None
    layer_decay: float
    augment: Augmentation | None
    mesh: Mesh
    seed: int

    @cached_property
    def method(self) -> Classifier:
        return Classifier(self.backbone.net, linear_head(inputs=self.backbone.net.width, outputs=self.classes))

    def train(self, source: Source, rate: float) -> tuple[TrainState, float]:
        """The trained state, and the epochs of the training. rate: for 256 images per step."""
        size = max(1, min(self.batch_size, len(source)) // self.mesh.size) * self.mesh.size
        batches = Batches(source, size, seed=self.seed, sharding=batch_sharding(self.mesh))
        epochs = self.epochs or max(EPOCHS, LEAST_STEPS / batches.steps_per_epoch)
        steps = max(1, round(epochs * batches.steps_per_epoch))
        warmup_epochs = epochs * WARMUP if self.warmup_epochs is None else self.warmup_epochs
        optimizer, program, start = self._program(size, steps, round(warmup_epochs * batches.steps_per_epoch))
        program = program._replace(init=partial(start, self.backbone.params, self.backbone.stats, np.float32(rate)))
        with batches:
            state = fit(
                self.method, self._views, optimizer, batches,
                steps=steps, seed=self.seed, mesh=self.mesh, quiet=True, log_every=steps, program=program,
            )  # fmt: skip
        return state, epochs

    def correct(self, state: TrainState, source: Source) -> np.ndarray:
        """For each labelled image, whether it is predicted correctly."""
        extract, sharding = partial(self._predict, state.params, state.method_state), batch_sharding(self.mesh)
        logits, labels = features_of(extract, in_order(source, batch_size=512), sharding=sharding)
        return np.asarray(logits.argmax(axis=1) == labels)[labels >= 0]

    def _views(self, rng: Array, image: Array) -> Array:
        return self.prepare(image if self.augment is None else self.augment(rng, image))[None]

    @cached_property
    def _predict(self) -> Callable[..., Array]:
        return jax.jit(lambda params, state, images: self.method.logits(params, state, jax.vmap(self.prepare)(images)))

    @cached_property
    def _program(self) -> Callable[[int, int, int], tuple[Optimizer, Program, Callable[..., TrainState]]]:
        """One for all rates, since compiling may take longer than the few steps of a run."""
        return cache(self._make_program)

    def _make_program(self, size: int, steps: int, warmup: int) -> tuple[Optimizer, Program, Callable[..., TrainState]]:
        """The optimizer, the program, and what makes the first state from the encoder's weights, its state and a rate."""
        schedule = warmup_cosine(size / 256, steps=steps, warmup=warmup)
        made = self.make(schedule, weight_decay=self.weight_decay)
        optimizer = with_variable_rate(with_layer_decay(made, network="encoder", decay=self.layer_decay))
        program = make_program(self.method, self._views, optimizer, seed=self.seed, mesh=self.mesh)

        def start(params: Params, stats: State, rate: Array) -> TrainState:
            state = init_state(self.method, optimizer.transformation, seed=self.seed)
            return state._replace(
                params={**state.params, "encoder": params},
                method_state={**state.method_state, "encoder": stats},
                optimizer=at_rate(state.optimizer, rate),
            )

        return optimizer, program, jax.jit(start, out_shardings=jax.tree.map(lambda leaf: leaf.sharding, program.like))
