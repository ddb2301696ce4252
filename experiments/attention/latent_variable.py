"""One input with many right outputs: the energy with a latent variable, F(x, y) = min over z of E(x, y, z), and without.

    python experiments/attention/latent_variable.py --seeds 0 1 2

For each x the right y are an ellipse in the plane, which grows with x. A network that predicts one y for each x predicts its
centre, where no y is, and gives the lowest energy to it. With an angle z as latent variable, minimised over 48 values in
training and in inference, the energy is low on the whole ellipse. Also drawn: inference of z by gradient descent. Prints
energies, squared distances, of right and wrong y of unseen x; writes results/latent_variable.json and
pictures/latent_variable.svg.
"""

from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jax import Array
from missing_runs import Found, run_missing
from numpy.typing import NDArray

from ssl_jax.networks.functional import Net
from ssl_jax.networks.latent import latent_decoder
from ssl_jax.ops import descend_latent, latent_free_energy
from ssl_jax.optimizers import adamw
from ssl_jax.report.figures import gallery, write_svg

RESULTS = Path(__file__).parents[1] / "results" / "latent_variable.json"
PICTURES = Path(__file__).parent / "pictures"
ANGLES = np.arange(0, 2 * np.pi, np.pi / 24, dtype=np.float32)  # The values of z in the lecture.
NETWORKS = {"with z": 2, "without z": 0}  # Values of z that the decoder gets: cosine and sine of the angle.
SHOWN = (0.0, 0.5, 1.0)
WIDEST = 6.0  # Half a side of the square in which wrong outputs are drawn; the widest ellipse has an axis of 5.4.


def latent_variable(
    *,
    seeds: tuple[int, ...] = (0,),
    examples: int = 2048,
    dim: int = 32,
    steps: int = 1500,
    batch_size: int = 128,
    results: Path = RESULTS,
    pictures: Path = PICTURES,
) -> Found:
    """Trains and draws both energies; returns mean energies of unseen x, by network and kind of y, one for each seed.

    Args:
      seeds: one run each; pictures are of seed 0.
      examples: pairs for training, and as many for evaluation.
      dim: hidden units.
      steps, batch_size: of training.
      results: file of the measurements; runs that are missing in it follow one another.
      pictures: folder for the figures.
    """

    def measure(name: str, seed: int) -> dict[str, float]:
        net = latent_decoder(inputs=1, latents=NETWORKS[name], outputs=2, dim=dim)
        energy = jax.jit(partial(free_energy, net))
        x, y = pairs(examples, seed=2 * seed)
        params = train(net, x, y, steps=steps, batch_size=batch_size, seed=seed)
        if seed == 0:
            title = f"Energy of y in the plane {name}, dark where low; right y in red"
            notes = {"F(x, y)": [f"x = {x}" for x in SHOWN]}
            picture = gallery({"F(x, y)": maps(energy, params)}, title=title, notes=notes, side=150)
            write_svg(pictures / f"latent_{name.split()[0]}.svg", picture)
        return measured(net, energy, params, examples=examples, seed=seed)

    settings = {"examples": examples, "dim": dim, "steps": steps, "batch_size": batch_size}
    found = run_missing(results, settings, NETWORKS, seeds, measure)
    for name, kept in found.items():
        print(
            name, *(f"{kind} {np.mean(values):.3f} ± {np.std(values):.3f}" for kind, values in kept.items()), sep="  "
        )
    return found


def measured(net: Net, energy: Any, params: Any, *, examples: int, seed: int) -> dict[str, float]:
    """Mean energies of right, random and central outputs of unseen inputs."""
    x, right = pairs(examples, seed=2 * seed + 1)
    random = np.random.default_rng(seed).uniform(-WIDEST, WIDEST, right.shape).astype(np.float32)
    kinds = {"right": right, "random": random, "centre": np.zeros_like(right)}
    values = {kind: np.asarray(energy(params, x, outputs)) for kind, outputs in kinds.items()}
    kept = {kind: float(of_kind.mean()) for kind, of_kind in values.items()}
    kept["right below random"] = float((values["right"] < values["random"]).mean())
    if takes_z(params):
        kept["right, by descent"] = float(descended(net, params, x, right, seed=seed).mean())
    return kept


def pairs(count: int, *, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """x `[N, 1]` in [0, 1], and y `[N, 2]` at a random angle of its ellipse, with noise of deviation 0.05 in each value."""
    random = np.random.default_rng(seed)
    x, angle = random.random((count, 1)), random.uniform(0, 2 * np.pi, count)
    y = ellipse(x, angle) + 0.05 * random.standard_normal((count, 2))
    return x.astype(np.float32), y.astype(np.float32)


def ellipse(x: NDArray[Any], angle: NDArray[Any]) -> NDArray[Any]:
    axes = np.exp(x) * np.hstack([2 - x / 2, 1.5 + x / 2])
    return axes * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def energies(net: Net, params: Any, x: Array, y: Array) -> Array:
    """E(x, y, z) for each angle, `[B, 48]`; `[B, 1]` for a network without z."""
    latents = circle(jnp.asarray(ANGLES)) if takes_z(params) else jnp.zeros((1, 0))

    def at(z: Array) -> Array:
        return distance(net, params, x, y, jnp.broadcast_to(z[None], (len(x), len(z))))

    return jax.vmap(at, out_axes=1)(latents)


def free_energy(net: Net, params: Any, x: Array, y: Array) -> Array:
    """F(x, y), `[B]`."""
    return latent_free_energy(energies(net, params, x, y))


def distance(net: Net, params: Any, x: Array, y: Array, z: Array) -> Array:
    """E(x, y, z) = |y - Dec(Pred(x), z)|^2, `[B]`."""
    return jnp.square(y - net.apply(params, {}, x, z, train=True)[0]).sum(axis=1)


def descended(net: Net, params: Any, x: NDArray[np.float32], y: NDArray[np.float32], *, seed: int) -> Array:
    """F(x, y) by gradient descent on the angle, the best of four random starts, `[B]`."""
    starts = np.random.default_rng(seed).uniform(0, 2 * np.pi, (4, len(x), 1)).astype(np.float32)

    @jax.jit
    def descend(start: Array) -> Array:
        energy = lambda angle: distance(net, params, x, y, circle(angle[:, 0]))  # noqa: E731
        return descend_latent(energy, start, steps=100, learning_rate=0.01)[1]

    return latent_free_energy(jnp.stack([descend(start) for start in starts], axis=1))


def circle(angles: Array) -> Array:
    """`[N]` -> `[N, 2]`."""
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


def takes_z(params: Any) -> bool:
    decoder, predictor = params["decoder"], params["predictor"]
    return decoder[0]["kernel"].shape[0] > predictor[1]["kernel"].shape[1]


def train(net: Net, x: NDArray[np.float32], y: NDArray[np.float32], *, steps: int, batch_size: int, seed: int) -> Any:
    """Lowers the free energy of right pairs: at each step z is the best one, and has no gradient."""
    optimizer = adamw(optax.cosine_decay_schedule(3e-3, steps), weight_decay=0.0).transformation
    params, _ = net.init(jax.random.key(seed))

    def step(carry: Any, rng: Array) -> Any:
        params, state = carry
        rows = jax.random.randint(rng, (batch_size,), 0, len(x))
        loss = lambda params: free_energy(net, params, jnp.asarray(x)[rows], jnp.asarray(y)[rows]).mean()  # noqa: E731
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    rngs = jax.random.split(jax.random.key(seed + 1), steps)
    (params, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, rngs))((params, optimizer.init(params)))
    return params


def maps(energy: Any, params: Any, *, side: int = 75) -> NDArray[np.uint8]:
    """The root of the energy over the plane at three x, `[3, side, side, 3]`, with right outputs in red."""
    ticks = np.linspace(-WIDEST, WIDEST, side, dtype=np.float32)
    plane = np.stack(np.meshgrid(ticks, -ticks), axis=-1).reshape(-1, 2)
    images = []
    for x in SHOWN:
        values = np.sqrt(np.asarray(energy(params, np.full((len(plane), 1), x, np.float32), plane)))
        image = np.repeat((255 * np.minimum(values / WIDEST, 1)).astype(np.uint8).reshape(side, side, 1), 3, axis=2)
        angles = np.arange(0, 2 * np.pi, np.pi / 12)
        column, row = (
            ((ellipse(np.full((len(angles), 1), x), angles) * [1, -1] / WIDEST + 1) / 2 * (side - 1)).round().T
        )
        image[row.astype(int), column.astype(int)] = (220, 60, 30)
        images.append(image)
    return np.stack(images)


if __name__ == "__main__":
    tyro.cli(latent_variable)
