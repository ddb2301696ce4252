"""The border between flax and everything else: an NNX module becomes two pure functions on plain nested dicts.

Modules keep no random keys: what is random in training takes its keys from the `rngs` of the call. An encoder returns
its layers as an `OrderedDict` in order of depth, because `jit` sorts the keys of a plain dict.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
from flax import nnx

Tree = dict[str, Any]


class Net(NamedTuple):
    """A network as values and functions.

    init: `rng -> (params, stats)`: what is trained, and the batch statistics that are carried.
    apply: `(params, stats, *inputs, train, rng=None, method="__call__") -> (outputs, stats)`; `rng` feeds dropout and the
      like. Without `train` the statistics come back as they were. `method` names what else the module can do: "start" and
      "advance" to decode step by step, "attentions" to look inside.
    width: size of the last axis of the output that the next network takes.
    methods: what `method` may name besides "__call__".
    """

    init: Callable[[jax.Array], tuple[Tree, Tree]]
    apply: Callable[..., tuple[Any, Tree]]
    width: int
    methods: frozenset[str] = frozenset()


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Net:
    """Wraps the module that `make(rngs)` builds; the module says its output size in the attribute `width`."""
    outline: Any = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    graph, _, _ = split(outline)

    @jax.jit  # The same bits whether or not the caller jits, and no two leaves in one buffer.
    def init(rng: jax.Array) -> tuple[Tree, Tree]:
        _, params, stats = split(make(nnx.Rngs(rng)))
        return params, stats

    def apply(
        params: Tree,
        stats: Tree,
        *inputs: Any,
        train: bool,
        rng: jax.Array | None = None,
        method: str = "__call__",
    ) -> tuple[Any, Tree]:
        model: Any = nnx.merge(graph, params, stats)
        model.train() if train else model.eval()
        call = getattr(model, method)
        outputs = call(*inputs) if rng is None else call(*inputs, rngs=nnx.Rngs(rng))
        _, _, stats = split(model)
        return outputs, stats

    own = set(dir(type(outline))) - set(dir(nnx.Module))
    methods = frozenset(name for name in own if not name.startswith("_") and callable(getattr(outline, name)))
    return Net(init, apply, outline.width, methods)


def split(model: nnx.Module) -> tuple[Any, Tree, Tree]:
    """Structure, parameters, and every other variable."""
    graph, params, stats = cast(Any, nnx.split(model, nnx.Param, ...))
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(stats)
