"""Gradients over distance: how much of the gradient of the last output reaches a token d positions before, and what is learned.

    python experiments/attention/gradients.py --seeds 0 1 2

One layer each, of about one size: recurrent, of "tanh", "gru" and "lstm" cells, where a gradient passes through every step
between, and a transformer's causal layer, where each token is connected to the last directly. First at their initial weights:
the norm of the gradient with respect to the token at distance d, over that with respect to the last token. Then trained for
some hundred steps to name the first symbol of a random string, at its end. Writes results/gradients.json,
pictures/gradients.svg and pictures/gradients_recall.svg.
"""

from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx
from jax import Array
from missing_runs import Found, run_missing

from ssl_jax.losses import cross_entropy
from ssl_jax.networks.functional import Net, functional
from ssl_jax.ops.positions import sinusoidal_positions
from ssl_jax.optimizers import adamw
from ssl_jax.report.figures import lines, write_svg
from ssl_jax.sequences.encoder_predictor_decoder import Encoder, Readout
from ssl_jax.sequences.recurrent_layer import Recurrence

RESULTS = Path(__file__).parents[1] / "results" / "gradients.json"
PICTURES = Path(__file__).parent / "pictures"
SYMBOLS = 8
LAYERS = ("tanh", "gru", "lstm", "attention")


def gradients(
    *,
    seeds: tuple[int, ...] = (0,),
    longest: int = 128,
    lengths: tuple[int, ...] = (8, 32, 64),
    dim: int = 32,
    steps: int = 300,
    batch_size: int = 64,
    results: Path = RESULTS,
    pictures: Path = PICTURES,
) -> Found:
    """Draws and returns, by layer and task, "ratios" of gradients or the share that is recalled, one for each seed.

    Args:
      seeds: one set of weights and strings each.
      longest: largest distance of gradients, which are at 0, 1, 2, 4, ... up to it.
      lengths: lengths of the strings to recall from; a new network is trained for each.
      dim: values of a token, and units of a layer.
      steps, batch_size: of training.
      results: file of the measurements; runs that are missing in it follow one another.
      pictures: folder for the figures.
    """
    distances = [0, *(2**power for power in range(longest.bit_length()) if 2**power <= longest)]

    def measure(name: str, seed: int) -> dict[str, Any]:
        layer, task = name.split(", ")
        net = functional(lambda rngs: LastSymbol(rngs, dim=dim, layer=layer))
        params, rng = net.init(jax.random.key(seed))[0], jax.random.key(seed)
        if task == "gradients":
            norms = jax.jit(lambda params, rng: gradient_norms(net, params, rng, length=longest + 1))(params, rng)
            of_distance = np.asarray(norms, np.float64)[::-1]
            return {"ratios": [float(of_distance[d] / of_distance[0]) for d in distances]}
        run = trainer(net, int(task.removeprefix("recall of ")), steps=steps, batch_size=batch_size)
        return {"right": float(run(params, rng))}

    settings = {"distances": distances, "dim": dim, "steps": steps, "batch_size": batch_size}
    tasks = ["gradients", *(f"recall of {length}" for length in lengths)]
    found = run_missing(results, settings, [f"{layer}, {task}" for layer in LAYERS for task in tasks], seeds, measure)
    for layer in LAYERS:
        ends = np.array(found[f"{layer}, gradients"]["ratios"])[:, -1]
        far = np.prod(ends) ** (1 / len(ends))  # The geometric mean, 0 where a gradient is.
        recalled = ", ".join(f"{100 * np.mean(found[f'{layer}, {task}']['right']):.0f} %" for task in tasks[1:])
        print(f"{layer:<10} gradient at distance {distances[-1]}: {far:.1e}; recalled {recalled}", flush=True)
    picture(found, distances[1:], lengths, pictures)
    return found


class LastSymbol(nnx.Module):
    """Symbols `[B, T]` -> logits `[B, V]`, read out of the last output of one layer; "from_tokens" takes embedded ones."""

    def __init__(self, rngs: nnx.Rngs, *, dim: int, layer: str):
        self.vectors = nnx.Embed(SYMBOLS, dim, embedding_init=nnx.initializers.normal(1.0), rngs=rngs)
        self.layer: Any
        if layer == "attention":
            self.layer = Encoder(dim, depth=1, heads=2, hidden=dim, causal=True, rngs=rngs)
        else:
            self.layer = Recurrence(dim, dim, cell=cast(Any, layer), dtype=jnp.float32, rngs=rngs)
        self.readout = Readout(dim, SYMBOLS, dtype=jnp.float32, rngs=rngs)
        self.attention, self.width = layer == "attention", dim

    def __call__(self, symbols: Array) -> Array:
        return self.readout(self.from_tokens(self.vectors(symbols)))[:, -1]

    def from_tokens(self, tokens: Array) -> Array:
        if not self.attention:
            return self.layer(tokens)[0]
        return self.layer(tokens + sinusoidal_positions(jnp.arange(tokens.shape[1])[None], self.width))


def gradient_norms(net: Net, params: Any, rng: Array, *, length: int, count: int = 16) -> Array:
    """Root mean square over strings and random directions of the output, by position, `[T]`."""
    token_rng, direction_rng = jax.random.split(rng)
    tokens = jax.random.normal(token_rng, (count, length, net.width))
    direction = jax.random.normal(direction_rng, (count, net.width))

    def along(tokens: Array) -> Array:
        outputs, _ = net.apply(params, {}, tokens, train=True, method="from_tokens")
        return (outputs[:, -1] * direction).sum()

    return jnp.sqrt(jnp.square(jax.grad(along)(tokens)).sum(axis=2).mean(axis=0))


def trainer(net: Net, length: int, *, steps: int, batch_size: int) -> Any:
    """Trains from given weights, and returns the share of 512 new strings whose first symbol is named; chance is 1/8."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), adamw(lambda step: 3e-3, weight_decay=0.0).transformation)

    def strings(rng: Array, count: int) -> Array:
        return jax.random.randint(rng, (count, length), 0, SYMBOLS)

    def step(carry: Any, rng: Array) -> Any:
        params, state = carry
        batch = strings(rng, batch_size)
        loss = lambda params: cross_entropy(net.apply(params, {}, batch, train=True)[0], batch[:, 0])  # noqa: E731
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def run(params: Any, rng: Array) -> Array:
        train_rng, test_rng = jax.random.split(rng)
        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(train_rng, steps))
        test = strings(test_rng, 512)
        return (net.apply(params, {}, test, train=False)[0].argmax(axis=1) == test[:, 0]).mean(dtype=jnp.float32)

    return run


def picture(found: Found, distances: list[int], lengths: tuple[int, ...], folder: Path) -> None:
    """Both figures: geometric means over seeds of the gradients, means of the recall."""
    curves, recalled = {}, {}
    for layer in LAYERS:
        ratios = np.array(found[f"{layer}, gradients"]["ratios"])[:, 1:]
        logs = np.log10(np.maximum(ratios, 1e-30)).mean(axis=0)
        curves[layer] = list(zip(map(float, distances), logs.tolist(), strict=True))
        recalled[layer] = [
            (float(length), 100 * float(np.mean(found[f"{layer}, recall of {length}"]["right"]))) for length in lengths
        ]
    chart = lines(curves, title="Gradient over that of the last token", across="distance", up="log10", log=True)
    write_svg(folder / "gradients.svg", chart)
    chart = lines(recalled, title="First symbol recalled at the end", across="length", up="percent", log=True, low=0.0)
    write_svg(folder / "gradients_recall.svg", chart)


if __name__ == "__main__":
    tyro.cli(gradients)
