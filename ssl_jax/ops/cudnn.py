"""Attention by cuDNN's kernel on NVIDIA GPUs, whose time and memory are below those of XLA's products.

B: examples; T: queries of each; S: keys; H: heads of queries; G: heads of keys; D: size of a key.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.ops.collectives import devices_under, platform_of

NARROW = (jnp.bfloat16, jnp.float16)
LARGEST = 128  # D, for all GPUs that have the kernel


def serves(query: Array, key: Array, value: Array, mask: Array | None, *, causal: bool) -> bool:
    """Whether the kernel computes this attention on this device.

    On NVIDIA GPUs, 16-bit arrays of one type, without a mask, E = D, a multiple of 8; causal attention of even lengths.
    """
    size = query.shape[-1]
    fits = size == value.shape[-1] and size % 8 == 0 and size <= LARGEST
    fits = fits and not (causal and (query.shape[1] % 2 or key.shape[1] % 2))
    one_type = query.dtype == key.dtype == value.dtype and query.dtype in NARROW
    return mask is None and fits and one_type and platform_of(query) == "gpu" and _nvidia()


def is_best(query: Array, key: Array, value: Array, mask: Array | None, *, causal: bool) -> bool:
    """Whether the kernel is the default: it serves, for attention of one set to all of itself, on one device.

    This has been tried: with a ViT-S/16 on an H200, a step of SimCLR takes 0.57 of the time that it takes with `streaming`.
    """
    itself = query.shape == key.shape and not causal
    return serves(query, key, value, mask, causal=causal) and itself and devices_under(query) == 1


def check(function: str, query: Array, key: Array, value: Array, mask: Array | None, *, causal: bool) -> None:
    """Raises ValueError where the kernel does not serve."""
    if not serves(query, key, value, mask, causal=causal):
        raise ValueError(
            f"{function}: implementation='cudnn' needs an NVIDIA GPU, bfloat16 or float16, values of the size of keys, a "
            f"multiple of 8 up to {LARGEST}, no mask, and even lengths where it is causal, got {platform_of(query)}, "
            f"{query.dtype}, queries {query.shape}, values {value.shape}, {'no mask' if mask is None else 'a mask'}: "
            "take 'streaming'"
        )


def attend(query: Array, key: Array, value: Array, *, scale: float | Array, causal: bool) -> Array:
    """`[B, T, H, D]` by the kernel, whose gradient takes even lengths only: odd ones get a position that is masked."""
    queries, keys = query.shape[1], key.shape[1]
    even = [jnp.pad(array, ((0, 0), (0, array.shape[1] % 2), (0, 0), (0, 0))) for array in (query, key, value)]
    lengths: dict[str, Any] = {}
    if queries % 2 or keys % 2:
        named = {"query_seq_lengths": queries, "key_value_seq_lengths": keys}
        lengths = {name: jnp.full(len(query), length, jnp.int32) for name, length in named.items()}
    if isinstance(scale, Array):  # The kernel's own cannot be traced.
        even[0], scale = (even[0].astype(scale.dtype) * scale).astype(query.dtype), 1.0
    found = jax.nn.dot_product_attention(*even, scale=scale, is_causal=causal, implementation="cudnn", **lengths)
    return found[:, :queries]


def _nvidia() -> bool:
    return "cuda" in jax.local_devices(backend="gpu")[0].client.platform_version
