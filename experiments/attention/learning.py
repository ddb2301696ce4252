"""Training of a sequence network with periodic measurements, for the short experiments."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from jax import Array
from numpy.typing import NDArray

from ssl_jax.data import Arrays, Batches
from ssl_jax.networks.functional import Net
from ssl_jax.optimizers import adamw, warmup_cosine
from ssl_jax.sequences.transcription import Transcription
from ssl_jax.sequences.word_noise import transcribed
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh, replicated
from ssl_jax.train.state import TrainState


def learn(
    net: Net,
    pairs: Arrays,
    *,
    steps: int,
    seed: int = 0,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
    augment: Callable[[Any, Any], Any] = transcribed,
    measure: Callable[[TrainState], Mapping[str, Array | float]] | None = None,
    every: int = 100,
) -> tuple[TrainState, list[tuple[int, dict[str, float]]]]:
    """The state after `steps` steps, and the results of `measure`: (step, metrics) every `every` steps and at the end.

    pairs: sources "spelling" `[N, S]` and targets "sounds" `[N, T]`, of any kind, or what else `augment` makes views of.
    """
    records: list[tuple[int, dict[str, float]]] = []

    def hook(state: TrainState) -> dict[str, Any]:
        assert measure is not None
        metrics = {name: float(value) for name, value in jax.device_get(dict(measure(state))).items()}
        records.append((int(state.step), metrics))
        return metrics

    mesh, rate = make_mesh(), warmup_cosine(learning_rate, steps=steps, warmup=steps // 10)
    with Batches(pairs, batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            Transcription(net=net), augment, adamw(rate, weight_decay=0.01, second_decay=0.98), batches,
            steps=steps, seed=seed, mesh=mesh, hook=hook if measure else None, hook_every=every, log_every=steps,
        )  # fmt: skip
    return state, records


def on_devices(rows: NDArray[Any]) -> Array:
    """A copy on every device, for `measure`: the trainer forbids implicit transfers."""
    return jax.device_put(rows, replicated(make_mesh()))
