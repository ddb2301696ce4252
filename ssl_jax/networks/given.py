"""A network from outside the package as an encoder: a module of flax NNX or Linen, or a pair of functions."""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen, nnx
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.networks.functional import Net, Tree, pure_functions

TRAINING = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}


def as_encoder(network: Any, *, image_shape: tuple[int, ...]) -> Net:
    """The `Net` of an encoder from outside the package, for methods, recipes and the evaluation.

    Args:
      network: one of these three:

        - a function of `nnx.Rngs` that makes a flax NNX module, such as its class; modules that are random in training take
          `rngs` when they are called, and keep no keys;
        - a flax Linen module; its collections besides "params" are the statistics, and its argument `train`, `training`,
          `is_training`, `deterministic` or `use_running_average`, where it has one, is set;
        - a pair `(init, apply)`: `rng -> params` and `(params, images) -> outputs`.

        Its outputs are features `[B, D]`, feature maps `[B, ..., D]` (their mean over positions is taken), or such layers by
        name, of which "features", else the last, is taken.
      image_shape: `(H, W, C)` of the images that it encodes.

    Raises:
      UsageError: it is none of these, it keeps random keys, or its outputs are none of these.

    Example:
      >>> net = as_encoder((lambda rng: {}, lambda params, images: images.mean((1, 2))), image_shape=(8, 8, 3))
      >>> layers, _ = net.apply({}, {}, jnp.ones((2, 8, 8, 3)), train=False)
      >>> print(layers["features"].shape)
      (2, 3)
    """
    if isinstance(network, linen.Module):
        init, apply = _of_linen(network, image_shape)
    elif isinstance(network, tuple) and len(network) == 2 and all(map(callable, network)):
        init, apply = _of_functions(*network)
    elif callable(network):
        init, apply = _of_nnx(network)
    else:
        raise UsageError(
            f"network: got {type(network).__name__}, expected a function of nnx.Rngs that makes a module, a Linen module, or "
            "a pair of functions (init, apply)."
        )

    def encode(params: Tree, stats: Tree, images: Array, *, train: bool, rng: Array | None = None) -> tuple[Any, Tree]:
        outputs, stats = apply(params, stats, images, train, rng)
        return _layers(outputs), stats

    images = jax.ShapeDtypeStruct((2, *image_shape), jnp.float32)
    params, stats = jax.eval_shape(init, jax.random.key(0))
    outputs, _ = jax.eval_shape(functools.partial(encode, train=False), params, stats, images)
    if any(layer.ndim < 2 or layer.shape[0] != 2 for layer in outputs.values()):
        shapes = {name: layer.shape for name, layer in outputs.items()}
        raise UsageError(f"network: of two images it gives {shapes}, expected a leading axis of 2 and features last.")
    spatial = any(layer.ndim > 2 for layer in outputs.values())
    widths = OrderedDict((name, layer.shape[-1]) for name, layer in outputs.items())
    return Net(jax.jit(init), encode, widths["features"], layers=widths, spatial=spatial)


def _layers(outputs: Any) -> OrderedDict[str, Array]:
    """Layers by name, "features" `[B, D]` in float32 last."""
    layers = OrderedDict(outputs) if isinstance(outputs, Mapping) else OrderedDict(features=outputs)
    wrong = [type(layer).__name__ for layer in layers.values() if not isinstance(layer, jax.Array)]
    if wrong or not layers:
        raise UsageError(
            f"network: its outputs are {', '.join(wrong) or 'empty'}, expected an array, or arrays by name."
        )
    features = layers.pop("features") if "features" in layers else layers[next(reversed(layers))]
    positions = tuple(range(1, features.ndim - 1))
    layers["features"] = (features.mean(axis=positions) if positions else features).astype(jnp.float32)
    return layers


def _of_nnx(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Any, Any]:
    outline = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
    if jax.tree.leaves(nnx.state(outline, nnx.RngState)):
        raise UsageError(
            "network: its module keeps random keys, expected none: make Dropout without rngs, and pass rngs when it is called."
        )
    init, call, _ = pure_functions(make, outline)
    takes_rngs = "rngs" in inspect.signature(type(outline).__call__).parameters

    def apply(params: Tree, stats: Tree, images: Array, train: bool, rng: Array | None) -> tuple[Any, Tree]:
        return call(params, stats, images, train=train, rng=rng if takes_rngs else None)

    return init, apply


def _of_linen(module: linen.Module, image_shape: tuple[int, ...]) -> tuple[Any, Any]:
    flags = TRAINING.keys() & inspect.signature(type(module).__call__).parameters.keys()

    def flags_for(train: bool) -> dict[str, Any]:
        return {name: TRAINING[name] == train for name in flags}

    def init(rng: Array) -> tuple[Tree, Tree]:
        stats = dict(module.init(rng, jnp.zeros((1, *image_shape)), **flags_for(False)))
        return stats.pop("params", {}), stats

    def apply(params: Tree, stats: Tree, images: Array, train: bool, rng: Array | None) -> tuple[Any, Tree]:
        rngs = {} if rng is None else {"dropout": rng}
        outputs, found = module.apply(
            {"params": params, **stats}, images, **flags_for(train), mutable=list(stats), rngs=rngs
        )
        return outputs, dict(found) if train else stats

    return init, apply


def _of_functions(init: Callable[[Array], Any], apply: Callable[[Any, Array], Any]) -> tuple[Any, Any]:
    return lambda rng: (init(rng), {}), lambda params, stats, images, train, rng: (apply(params, images), stats)
