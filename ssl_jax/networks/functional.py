"""The interface between flax and everything else: an NNX module becomes pure functions on plain nested dicts.

Modules keep no random keys: random layers take their keys in training from the `rngs` of the call. An encoder returns
its layers as an `OrderedDict` in order of depth, because `jit` sorts the keys of a plain dict.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from inspect import Signature, signature
from typing import Any, Concatenate, Literal, ParamSpec, cast

import jax
from flax import nnx
from jax import Array

Tree = dict[str, Any]
Options = ParamSpec("Options")
DESCRIPTION = ("layers", "patch_size", "spatial", "norm_kind")


@dataclass(frozen=True, eq=False)
class Net:
    """A network as functions of values, and a description of it.

    Attributes:
      init: `rng -> (params, stats)`: the trained parameters, and the batch statistics.
      apply: `(params, stats, *inputs, train, rng=None, method="__call__") -> (outputs, stats)`; `rng` feeds dropout and the
        like. Without `train` the statistics are returned unchanged. `method` names another method of the module:
        "init_cache" and "decode_step" decode step by step.
      width: size of the last axis of the output that the next network takes.
      inspect: `(params, stats, *inputs) -> (outputs, intermediates)`: the same pass in evaluation, and the arrays that its
        modules record, in nested dicts by their attributes: `intermediates["block1"]["attention"]["weights"]`. Empty where no
        module records anything. None for a network without this function.
      layers: width of each layer that an encoder returns, in order of depth, "features" last; empty for other networks.
      patch_size: side in pixels of the patches that are a vision transformer's tokens; None for other networks.
      spatial: whether the layers before "features" are maps `[B, ..., channels]` with positions in space.
      norm_kind: "batch" or "layer" normalisation; None without either.
      module: the module behind the functions, with shapes in place of arrays: it knows what weights do not show, such as the
        number of heads; None for a network from outside the package.
    """

    init: Callable[[Array], tuple[Tree, Tree]]
    apply: Callable[..., tuple[Any, Tree]]
    width: int
    inspect: Callable[..., tuple[Any, Tree]] | None = None
    layers: Mapping[str, int] = field(default_factory=dict)
    patch_size: int | None = None
    spatial: bool = False
    norm_kind: Literal["batch", "layer"] | None = None
    module: Any = None


class Recorder(nnx.Module):
    """A module that records intermediate arrays when `Net.inspect` calls it."""

    recording = False  # Set by `inspect`, as `train` and `eval` set their attributes.

    def record(self, **arrays: Array) -> None:
        for name, array in arrays.items():
            setattr(self, name, nnx.Intermediate(array))

    def recorded(self, name: str) -> Array:
        return getattr(self, name)[...]


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Net:
    """The `Net` of the module that `make(rngs)` builds.

    The attribute `width` of the module is its output size; `layers`, `patch_size`, `spatial` and `norm_kind`, where it has
    them, are those of `Net`.

    Example:
      >>> from ssl_jax.networks.heads import ProjectionHead
      >>> net = functional(lambda rngs: ProjectionHead(rngs, inputs=8, widths=(4,)))
      >>> params, stats = net.init(jax.random.key(0))
      >>> outputs, stats = net.apply(params, stats, jax.numpy.ones((2, 8)), train=False)
      >>> print(net.width, outputs.shape)
      4 (2, 4)
    """
    outline: Any = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    init, apply, inspect = pure_functions(make, outline)
    description = {name: getattr(outline, name) for name in DESCRIPTION if hasattr(outline, name)}
    return Net(init, apply, outline.width, inspect, module=outline, **description)


def pure_functions(make: Callable[[nnx.Rngs], nnx.Module], outline: nnx.Module) -> tuple[Any, Any, Any]:
    """`init`, `apply` and `inspect`, as in `Net`, of the module that `make(rngs)` builds; `outline` has its shapes."""
    graph, _, _ = split(outline)

    @jax.jit  # The same bits with and without `jit` by the caller, and no two leaves share a buffer.
    def init(rng: Array) -> tuple[Tree, Tree]:
        _, params, stats = split(make(nnx.Rngs(rng)))
        return params, stats

    def apply(
        params: Tree,
        stats: Tree,
        *inputs: Any,
        train: bool,
        rng: Array | None = None,
        method: str = "__call__",
    ) -> tuple[Any, Tree]:
        model: Any = nnx.merge(graph, params, stats)
        model.train() if train else model.eval()
        call = getattr(model, method)
        outputs = call(*inputs) if rng is None else call(*inputs, rngs=nnx.Rngs(rng))
        _, _, stats = split(model)
        return outputs, stats

    def inspect(params: Tree, stats: Tree, *inputs: Any) -> tuple[Any, Tree]:
        model: Any = nnx.merge(graph, params, stats)
        model.eval()
        model.set_attributes(recording=True, raise_if_not_found=False)
        outputs = model(*inputs)
        return outputs, nnx.to_pure_dict(nnx.pop(model, nnx.Intermediate))

    return init, apply, inspect


def network(module: Callable[Concatenate[nnx.Rngs, Options], nnx.Module]) -> Callable[Options, Net]:
    """The function that makes the `Net` of a module; it has the module's documentation, and its arguments but for `rngs`."""

    def make(*args: Options.args, **options: Options.kwargs) -> Net:
        return functional(lambda rngs: module(rngs, *args, **options))

    _self, _rngs, *arguments = signature(cast(Any, module).__init__).parameters.values()
    make.__doc__, make.__module__ = module.__doc__, module.__module__
    make.__signature__ = Signature(arguments, return_annotation=Net)  # type: ignore[attr-defined]
    return make


def split(model: nnx.Module) -> tuple[Any, Tree, Tree]:
    """Structure, parameters, and every other variable."""
    graph, params, stats = cast(Any, nnx.split(model, nnx.Param, ...))
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(stats)
