"""Winograd's convolutions and products of shifts: the float64 definition, its gradients, and where they are chosen."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from ssl_jax.ops import shifts, winograd
from ssl_jax.ops.convolution import convolution

SAME = ((1, 1), (1, 1))
# Sides of 5 images, padding.
CASES = {
    "even": ((6, 8), SAME),
    "odd": ((5, 7), SAME),
    "unequal": ((6, 7), ((2, 0), (1, 3))),
    "none": ((7, 8), ((0, 0), (0, 0))),
}


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def definition(images: np.ndarray, kernel: np.ndarray, padding: tuple, strides: tuple[int, int] = (1, 1)) -> np.ndarray:
    padded = np.pad(images.astype(np.float64), ((0, 0), *padding, (0, 0)))
    height, width = (side - size + 1 for side, size in zip(padded.shape[1:3], kernel.shape, strict=False))
    return sum(
        padded[:, row : row + height : strides[0], column : column + width : strides[1]] @ kernel[row, column]
        for row, column in itertools.product(*map(range, kernel.shape[:2]))
    )


@pytest.fixture(params=[2, 100], ids=["in blocks", "at once"])
def images_in_a_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the five images, so that zeros fill up the last block, or all of them."""
    monkeypatch.setattr(winograd, "_block", lambda images, sides: min(len(images), request.param))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("images_in_a_block")
def test_winograd_is_the_definition(case: str) -> None:
    sides, padding = CASES[case]
    images, kernel = drawn(5, *sides, 64), drawn(3, 3, 64, 96)
    expected = definition(images, kernel, padding)
    found = winograd.convolve(images, kernel, padding)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * abs(expected).max())


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("images_in_a_block")
def test_winograds_gradient_of_the_kernel_is_the_definitions(case: str) -> None:
    sides, padding = CASES[case]
    images, kernel = drawn(5, *sides, 64), np.zeros((3, 3, 64, 96))
    cotangent = drawn(*definition(images, kernel, padding).shape)
    padded = np.pad(images.astype(np.float64), ((0, 0), *padding, (0, 0)))
    height, width = cotangent.shape[1:3]
    expected = [
        np.einsum("bhwi,bhwo->io", padded[:, row : row + height, column : column + width], cotangent)
        for row, column in itertools.product(range(3), range(3))
    ]
    found = winograd.kernel_gradient(images, cotangent, padding)
    np.testing.assert_allclose(found.reshape(9, 64, 96), expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("sizes", [(3, 3), (1, 1), (2, 3)])
@pytest.mark.parametrize("rows", [40, 10000], ids=["in blocks", "at once"])
def test_the_gradient_by_shifts_is_that_of_jax(
    sizes: tuple[int, int], rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shifts, "ROWS", rows)
    padding, strides = ((1, 0), (0, 2)), (2, 3)
    images, kernel = drawn(5, 9, 10, 6), drawn(*sizes, 6, 4)

    def result(kernel: Array) -> Array:
        axes = "NHWC", "HWIO", "NHWC"
        return jax.lax.conv_general_dilated(images, kernel, strides, padding, dimension_numbers=axes)

    value, back = jax.vjp(result, kernel)
    np.testing.assert_allclose(value, definition(images, kernel, padding, strides), rtol=1e-5, atol=1e-4)
    cotangent = drawn(*value.shape)
    found = shifts.kernel_gradient(images, kernel.shape, strides, padding, cotangent)
    np.testing.assert_allclose(found, back(jnp.asarray(cotangent))[0], rtol=1e-4, atol=1e-4)


def step(images: Array, kernel: Array, strides: tuple[int, int] = (1, 1)) -> tuple[Array, Array]:
    def loss(images: Array, kernel: Array) -> Array:
        return jnp.sum(convolution(images, kernel, strides, SAME) ** 2)

    return jax.grad(loss, (0, 1))(images, kernel)


def plain_step(images: Array, kernel: Array, strides: tuple[int, int]) -> tuple[Array, Array]:
    def loss(images: Array, kernel: Array) -> Array:
        axes = ("NHWC", "HWIO", "NHWC")
        return jnp.sum(jax.lax.conv_general_dilated(images, kernel, strides, SAME, dimension_numbers=axes) ** 2)

    return jax.grad(loss, (0, 1))(images, kernel)


@pytest.mark.parametrize(("strides", "sides"), [((1, 1), (6, 7)), ((2, 2), (16, 15))])
def test_gradients_are_those_of_jax_in_a_loop_too(strides: tuple[int, int], sides: tuple[int, int]) -> None:
    images, kernel = drawn(3, *sides, 64), drawn(3, 3, 64, 64) / 24
    repeated = jax.lax.map(lambda images: step(images, kernel, strides), images[None])  # As of microbatches.
    for found, once, right in zip(
        step(images, kernel, strides), repeated, plain_step(images, kernel, strides), strict=True
    ):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * abs(right).max())
        np.testing.assert_allclose(once[0], right, rtol=0, atol=1e-5 * abs(right).max())


def test_gradients_keep_the_images_without_their_transforms() -> None:
    """Four times the images for each convolution, otherwise: JAX splits loops into what can be computed before and the rest."""
    images, kernels = drawn(64, 16, 16, 64), [drawn(3, 3, 64, 64)] * 4

    def loss(kernels: list[Array], images: Array) -> Array:
        for kernel in kernels:
            images = jax.nn.relu(convolution(images, kernel, (1, 1), SAME))
        return images.sum()

    memory = jax.jit(jax.grad(loss)).lower(kernels, images).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 16 * images.nbytes  # 12; 28 with the transforms.


def test_where_float64_is_on_float32_stays_float32() -> None:
    with jax.enable_x64(True):
        found = step(jnp.asarray(drawn(2, 8, 8, 64)), jnp.asarray(drawn(3, 3, 64, 64)))
    assert [gradient.dtype for gradient in found] == [jnp.float32] * 2


def convolutions(images: np.ndarray, kernel: np.ndarray, strides: tuple[int, int] = (1, 1)) -> int:
    traced = jax.jit(lambda images, kernel: step(images, kernel, strides))  # Anew: JAX remembers what it has traced.
    return traced.lower(images, kernel).as_text().count("stablehlo.convolution")


def test_where_they_are_chosen() -> None:
    images, kernel = drawn(2, 8, 8, 64), drawn(3, 3, 64, 64)
    assert convolutions(images, kernel) == 0
    assert convolutions(images[:, :3], kernel) == 3, "few positions"
    assert convolutions(images[..., :32], kernel[:, :, :32]) == 3, "few channels"
    assert convolutions(images.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)) == 3, "another type"
    assert convolutions(images, kernel, (2, 2)) == 3, "4 x 4 results of stride 2"
    assert convolutions(drawn(2, 16, 16, 64), kernel, (2, 2)) == 2, "the gradient of the kernel is by shifts"
