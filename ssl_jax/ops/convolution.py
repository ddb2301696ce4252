"""Convolutions of `[B, ..., C]` that XLA's CPU compiler computes fast, with their gradients, in loops, and on all cores.

B: examples; H: a spatial axis, of which there may be several; I, O: channels in and out; G: groups of channels.

JAX writes the gradients of a convolution as convolutions with permuted axes: in the kernel's, the batch takes the place of the
channels. For the usual order, `[B, H, W, C]` and `[H, W, I, O]`, the compiler has a fast implementation; for others it has none
in loops, such as those over microbatches, where the kernel's gradient takes 25 to 300 times as long. Here axes are transposed,
and the same convolution is computed in the usual order. Where the batch is on one device, wide kernels are `winograd`'s or
`shifts`'s, which take less: half of the time for a training step of ResNet-18.

On accelerators, to which the order makes no difference, a convolution is JAX's own.
"""

import functools
import math
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops import shifts, winograd
from ssl_jax.ops.collectives import devices_under, platform_of, varying_together
from ssl_jax.ops.shifts import Padding

FUSION = "xla_cpu_experimental_ynn_fusion_type"
CONVOLUTION_AXES = 4  # At least, of a kernel `[h, w, I, O]`.


def compiler_options(params: Any, platform: str | None = None) -> dict[str, str]:
    """For `jax.jit(compiler_options=)` of a program with these parameters: on CPUs, convolutions on all cores.

    By default, XLA's CPU compiler gives convolutions to YNNPACK, a library which computes most of them on one core. With this
    option it keeps reductions there, which are several times slower without, and all else is Eigen's: on two cores, a training
    step of the demos' network is 1.2 times as fast, that of ResNet-18 1.5 times; matrix products lose a little, so that
    programs without convolutions keep the default.

    Args:
      params: a tree of arrays or shapes. It has convolutions where any array has four axes or more.
      platform: of the devices; the default backend's when None.

    Returns:
      Empty on other platforms, without convolutions, where XLA_FLAGS names the same option, and where the compiler has none of
      this name.
    """
    kernels = any(leaf.ndim >= CONVOLUTION_AXES for leaf in jax.tree.leaves(params))
    if not kernels or (platform or jax.default_backend()) != "cpu" or FUSION in os.environ.get("XLA_FLAGS", ""):
        return {}
    return _reductions_alone()


@functools.cache
def _reductions_alone() -> dict[str, str]:
    options = {FUSION: "LIBRARY_FUSION_TYPE_REDUCE"}
    try:
        jax.jit(lambda: 0, compiler_options=options).lower().compile()
    except (jax.errors.JaxRuntimeError, ValueError):  # An XLA that does not know the option, or not this value.
        return {}
    return options


def convolution(
    images: Array,
    kernel: Array,
    strides: Sequence[int],
    padding: Padding | str,
    *,
    feature_group_count: int = 1,
    **others: Any,
) -> Array:
    """`lax.conv_general_dilated` of `[B, H, ..., I]` and a kernel `[h, ..., I / G, O]`; for `nnx.Conv(conv_general_dilated=)`.

    Args:
      images: of any number of spatial axes.
      kernel: its channels are last.
      strides: of each spatial axis.
      padding: rows of zeros before and after each spatial axis; or a name, which is JAX's own convolution on every platform.
      feature_group_count: G, divides I and O.
      others: of `lax.conv_general_dilated`. Those that change the result, such as a dilation, make it JAX's own, too.

    Returns:
      `[B, H', ..., O]`; a gradient equals that of JAX's own convolution up to rounding.
    """
    dilated = any(math.prod(others.get(name) or (1,)) != 1 for name in ("lhs_dilation", "rhs_dilation"))
    given = any(others.get(name) is not None for name in ("preferred_element_type", "out_sharding"))
    if isinstance(padding, str) or dilated or given or platform_of(images) != "cpu":
        return lax.conv_general_dilated(
            images, kernel, strides, padding, feature_group_count=feature_group_count, **others
        )
    form = tuple(strides), tuple(map(tuple, padding)), feature_group_count
    return _on_cpu(*varying_together((images, kernel)), *form)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _on_cpu(images: Array, kernel: Array, strides: tuple[int, ...], padding: Padding, groups: int) -> Array:
    return _plain(images, kernel, padding, groups, window_strides=strides)


@_on_cpu.defjvp
def _on_cpu_jvp(
    strides: tuple[int, ...], padding: Padding, groups: int, primals: tuple[Array, Array], changes: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Derivatives, as the transposes of the gradients: reverse mode transposes them again and computes the gradients."""
    images, kernel = primals
    result = _on_cpu(images, kernel, strides, padding, groups)
    at_images = partial(_images_gradient, kernel, images.shape, strides, padding, groups)
    at_kernel = partial(_kernel_gradient, images, kernel.shape, strides, padding, groups)
    of_images, of_kernel = (
        jax.linear_transpose(gradient, result)(change)[0]
        for gradient, change in zip((at_images, at_kernel), changes, strict=True)
    )
    return result, of_images + of_kernel


def _images_gradient(
    kernel: Array, shape: tuple[int, ...], strides: tuple[int, ...], padding: Padding, groups: int, cotangent: Array
) -> Array:
    """The cotangent, with zeros between its positions for strides, convolved with the reversed kernel of O to I channels."""
    if _has_few_positions(cotangent, kernel, groups):
        return shifts.images_gradient(shape, kernel, strides, padding, cotangent)
    *sizes, per_group, outputs = kernel.shape
    spatial = tuple(range(len(sizes)))
    exchanged = kernel.reshape(*sizes, per_group, groups, outputs // groups).swapaxes(-1, -3)
    reverse = jnp.flip(exchanged.reshape(*sizes, outputs // groups, groups * per_group), spatial)
    edges = []
    for size, side, out, stride, (low, _) in zip(
        sizes, shape[1:-1], cotangent.shape[1:-1], strides, padding, strict=True
    ):
        before = size - 1 - low
        edges.append((before, side + size - 1 - before - ((out - 1) * stride + 1)))
    return _plain(cotangent, reverse, edges, groups, lhs_dilation=strides)


def _kernel_gradient(
    images: Array, shape: tuple[int, ...], strides: tuple[int, ...], padding: Padding, groups: int, cotangent: Array
) -> Array:
    """The images convolved with the cotangent as a kernel, with the batch as channels and channels as the batch."""
    if _permits_blocks(images, groups):
        if math.prod(strides) == 1 and winograd.suits(images, shape, padding):
            return winograd.kernel_gradient(images, cotangent, padding)
        if math.prod(strides) > 1 and shifts.suit(cotangent, shape):
            return shifts.kernel_gradient(images, shape, strides, padding, cotangent)
    *sizes, per_group, _ = shape
    batch, *sides, _ = images.shape
    by_group = jnp.moveaxis(images.reshape(batch, *sides, groups, per_group), (-1, 0), (0, -1))  # [I / G, H, ..., G, B]
    edges = []
    for size, side, out, stride, (low, _) in zip(sizes, sides, cotangent.shape[1:-1], strides, padding, strict=True):
        edges.append((low, size - 1 + (out - 1) * stride + 1 - side - low))
    found = _plain(
        by_group.reshape(per_group, *sides, groups * batch),
        jnp.moveaxis(cotangent, 0, -2),
        edges,
        groups,
        rhs_dilation=strides,
    )
    return jnp.moveaxis(found, 0, -2)


def _plain(images: Array, kernel: Array, padding: Padding, groups: int, **options: Any) -> Array:
    if _has_few_positions(images, kernel, groups) and "window_strides" in options:
        return shifts.convolve(images, kernel, padding, **options)
    dense = all(math.prod(factors) == 1 for factors in options.values())
    if dense and _permits_blocks(images, groups) and winograd.suits(images, kernel.shape, padding):
        return winograd.convolve(images, kernel, padding)
    space = "".join("DHW"[-(images.ndim - 2) :])
    options = {"window_strides": (1,) * len(space), **options}
    return lax.conv_general_dilated(
        images,
        kernel,
        padding=padding,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"),
        feature_group_count=groups,
        **options,
    )


def _has_few_positions(images: Array, kernel: Array, groups: int) -> bool:
    return groups == 1 and math.prod(images.shape[1:-1]) < math.prod(kernel.shape[:-2])


def _permits_blocks(images: Array, groups: int) -> bool:
    """A loop over blocks of a batch that is sharded over several devices would gather it."""
    return groups == 1 and devices_under(images) == 1
