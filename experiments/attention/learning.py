"""What the short experiments share: a sequence network is trained by the one trainer, and looked at now and then."""

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
    look: Callable[[TrainState], Mapping[str, Array | float]] | None = None,
    every: int = 100,
) -> tuple[TrainState, list[tuple[int, dict[str, float]]]]:
    """The state after `steps` steps, and what `look` saw: (step, its numbers) every so many steps and at the end.

    pairs: of "spelling" `[N, S]` and "sounds" `[N, T]`, which need not be either.
    """
    seen: list[tuple[int, dict[str, float]]] = []

    def hook(state: TrainState) -> dict[str, Any]:
        assert look is not None
        found = {name: float(value) for name, value in jax.device_get(dict(look(state))).items()}
        seen.append((int(state.step), found))
        return found

    mesh, rate = make_mesh(), warmup_cosine(learning_rate, steps=steps, warmup=steps // 10)
    with Batches(pairs, batch_size, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            Transcription(net=net), transcribed, adamw(rate, weight_decay=0.01, second_decay=0.98), batches,
            steps=steps, seed=seed, mesh=mesh, hook=hook if look else None, hook_every=every, log_every=steps,
        )  # fmt: skip
    return state, seen


def on_devices(rows: NDArray[Any]) -> Array:
    """A copy on every device, for `look`: the trainer lets nothing be copied that nobody asked for."""
    return jax.device_put(rows, replicated(make_mesh()))
