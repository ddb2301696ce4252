"""The border between flax and everything else: an NNX module becomes two pure functions on plain nested dicts."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx

Tree = dict[str, Any]


class Net(NamedTuple):
    """A network as values and functions.

    init: `rng -> (params, stats)`: what is trained, and the batch statistics that are carried.
    apply: `(params, stats, *inputs, train, rng=None) -> (outputs, stats)`; `rng` feeds dropout and the like.
    width: size of the last axis of the output that the next network takes.
    """

    init: Callable[[jax.Array], tuple[Tree, Tree]]
    apply: Callable[..., tuple[Any, Tree]]
    width: int


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Net:
    """Wraps the module that `make(rngs)` builds; the module says its output size in the attribute `width`."""
    outline: Any = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph = nnx.split(outline, nnx.Param, ...)[0]

    def init(rng: jax.Array) -> tuple[Tree, Tree]:
        _, params, stats = nnx.split(make(nnx.Rngs(rng)), nnx.Param, ...)
        return nnx.to_pure_dict(params), nnx.to_pure_dict(stats)

    def apply(params: Tree, stats: Tree, *inputs: Any, train: bool, rng: jax.Array | None = None) -> tuple[Any, Tree]:
        model: Any = nnx.merge(graph, params, stats)
        model.train() if train else model.eval()
        outputs = model(*inputs) if rng is None else model(*inputs, rngs=nnx.Rngs(rng))
        _, _, stats = nnx.split(model, nnx.Param, ...)
        return outputs, nnx.to_pure_dict(stats)

    return Net(init, apply, outline.width)
