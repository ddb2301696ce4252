"""One image after another on a CPU, where a batch at once would be more than its cache holds.

One image at a time, a program branches where a batch computes what each of its images may need.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array, lax
from jax.custom_batching import custom_vmap

from ssl_jax.ops.collectives import devices_under

ViewMaker = Callable[[Array, Array], Array]


def in_turn(one: ViewMaker, many: ViewMaker) -> ViewMaker:
    """`one` of a key and an image; under `vmap`, in a loop over the images, and `many` where a mesh spreads them over devices.

    There is no reverse-mode derivative, which images of integers have none of.

    Example:
      >>> def halved(rng, image):
      ...     return image / 2
      >>> print(jax.vmap(in_turn(halved, halved))(jax.random.split(jax.random.key(0), 2), jnp.arange(2.0)))
      [0.  0.5]
    """
    run = custom_vmap(one)

    @run.def_vmap
    def rule(size: int, batched: list[bool], rng: Array, image: Array) -> tuple[Array, bool]:
        del size
        axes = tuple(0 if each else None for each in batched)
        if devices_under(image) > 1:
            return jax.vmap(many, in_axes=axes)(rng, image), True
        given = (rng, image)
        rows = [each for each, own in zip(given, batched, strict=True) if own]

        def of_row(row: list[Any]) -> Array:
            rest = iter(row)
            return run(*(next(rest) if own else each for each, own in zip(given, batched, strict=True)))

        return lax.map(of_row, rows), True

    return run
