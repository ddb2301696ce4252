"""Convolutions on CPUs: the values and gradients of JAX's own, in loops, too, and the compiler's option."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax
from jax.sharding import PartitionSpec

from ssl_jax.ops import convolution as module
from ssl_jax.ops.convolution import FUSION, compiler_options, convolution
from ssl_jax.train.mesh import batch_sharding, make_mesh, replicated

# Shape of the images, sides of the kernel, strides, padding, groups, channels out.
CASES = {
    "stride": ((4, 14, 14, 6), (3, 3), (2, 2), ((1, 1), (1, 1)), 1, 8),
    "groups": ((4, 14, 14, 6), (3, 3), (2, 2), ((1, 1), (1, 1)), 2, 8),
    "unequal": ((4, 13, 15, 6), (5, 3), (2, 3), ((2, 1), (0, 2)), 3, 9),
    "1x1": ((4, 12, 12, 6), (1, 1), (2, 2), ((0, 0), (0, 0)), 1, 8),
    "stem": ((2, 15, 15, 3), (7, 7), (2, 2), ((3, 3), (3, 3)), 1, 4),
    "video": ((2, 6, 8, 8, 4), (3, 1, 1), (1, 1, 1), ((1, 1), (0, 0), (0, 0)), 1, 8),
    "sound": ((4, 20, 6), (4,), (3,), ((1, 1),), 2, 8),
    # Kernels with more positions than the images, or than the cotangent.
    "2x2": ((4, 2, 2, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), 1, 8),
    "to 2x2": ((4, 4, 4, 6), (3, 3), (2, 2), ((1, 1), (1, 1)), 1, 8),
    "few, unequal": ((4, 2, 3, 6), (3, 5), (2, 1), ((1, 2), (2, 2)), 1, 8),
    "one": ((4, 1, 1, 6), (3, 3), (2, 2), ((1, 1), (1, 1)), 1, 8),
    "2x2 in groups": ((4, 2, 2, 6), (3, 3), (1, 1), ((1, 1), (1, 1)), 2, 8),
    "left out": ((2, 8, 8, 2), (3, 3), (4, 4), ((0, 0), (0, 0)), 1, 2),  # The last column is under no kernel.
}


def jax_own(
    images: Array, kernel: Array, strides: tuple[int, ...], padding: tuple[tuple[int, int], ...], groups: int
) -> Array:
    space = "DHW"[3 - len(strides) :]
    axes = f"N{space}C", f"{space}IO", f"N{space}C"
    return lax.conv_general_dilated(
        images, kernel, strides, padding, dimension_numbers=axes, feature_group_count=groups
    )


@pytest.mark.parametrize("case", CASES)
def test_values_and_derivatives_are_those_of_jax(case: str) -> None:
    shape, sizes, strides, padding, groups, outputs = CASES[case]
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=shape), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=(*sizes, shape[-1] // groups, outputs)), jnp.float32)

    def ours(images: Array, kernel: Array) -> Array:
        return convolution(images, kernel, strides, padding, feature_group_count=groups)

    def theirs(images: Array, kernel: Array) -> Array:
        return jax_own(images, kernel, strides, padding, groups)

    found, back = jax.vjp(ours, images, kernel)
    expected, back_expected = jax.vjp(theirs, images, kernel)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    cotangent = jnp.asarray(rng.normal(size=expected.shape), jnp.float32)
    for gradient, right in zip(back(cotangent), back_expected(cotangent), strict=True):
        np.testing.assert_allclose(gradient, right, rtol=1e-4, atol=1e-4)
    forward, right = (jax.jvp(function, (images, kernel), (images, kernel))[1] for function in (ours, theirs))
    np.testing.assert_allclose(forward, right, rtol=1e-4, atol=1e-4)


# Images, kernel, strides: narrow, Winograd's, by shifts, and fewer positions than the kernel has.
SHARDED = {
    "narrow": ((8, 6, 6, 4), (3, 3, 4, 8), (2, 2)),
    "wide": ((8, 6, 6, 64), (3, 3, 64, 64), (1, 1)),
    "wide, strided": ((8, 16, 16, 64), (3, 3, 64, 64), (2, 2)),
    "2x2": ((8, 2, 2, 64), (3, 3, 64, 64), (1, 1)),
}


@pytest.mark.parametrize("case", SHARDED)
def test_each_of_several_devices_convolves_its_rows(case: str) -> None:
    """Only the kernel's gradient is summed over them. Within a `shard_map`, by the forms of one device."""
    shape, sizes, strides = SHARDED[case]
    rng = np.random.default_rng(0)
    images = jnp.asarray(rng.normal(size=shape), jnp.float32)
    kernel = jnp.asarray(rng.normal(size=sizes), jnp.float32) / 24

    def loss(images: Array, kernel: Array) -> Array:
        return jnp.sum(convolution(images, kernel, strides, ((1, 1), (1, 1))) ** 2)

    step = jax.jit(jax.grad(loss, (0, 1)))
    mesh = make_mesh(4)
    placed = jax.device_put(images, batch_sharding(mesh)), jax.device_put(kernel, replicated(mesh))
    compiled = step.lower(*placed).compile()
    text = compiled.as_text()
    assert text.count(" all-reduce(") == 1
    assert not re.search(r" (all-gather|all-to-all|collective-permute)\(", text)
    found = compiled(*placed)
    assert found[0].sharding.is_equivalent_to(batch_sharding(mesh), 4)
    specs = PartitionSpec("data"), PartitionSpec()
    mapped = jax.shard_map(jax.grad(loss, (0, 1)), mesh=mesh, in_specs=specs, out_specs=specs)(*placed)
    for gradient, of_shards, right in zip(found, mapped, step(images, kernel), strict=True):
        np.testing.assert_allclose(gradient, right, rtol=0, atol=1e-5 * abs(right).max())
        np.testing.assert_allclose(of_shards, right, rtol=0, atol=1e-5 * abs(right).max())


def test_weights_on_several_devices_in_a_program_of_one() -> None:
    """Those that a function closes over give its arrays a mesh, which the program has not."""
    images, kernel = jnp.ones((8, 6, 6, 64)), jnp.ones((3, 3, 64, 64))
    placed = jax.device_put(kernel, replicated(make_mesh(4)))

    def twice(images: Array, kernel: Array) -> Array:
        return convolution(convolution(images, kernel, (1, 1), ((1, 1), (1, 1))), kernel, (1, 1), ((1, 1), (1, 1)))

    np.testing.assert_allclose(jax.jit(lambda images: twice(images, placed))(images), twice(images, kernel), rtol=1e-5)


def test_gradients_have_the_usual_order_of_axes() -> None:
    """Other orders take XLA's naive loops inside of a loop, which no test of values sees."""

    def loss(images: Array, kernel: Array) -> Array:
        return convolution(images, kernel, (2, 2), ((1, 1), (1, 1))).sum()

    program = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(jnp.ones((2, 8, 8, 3)), jnp.ones((3, 3, 3, 5)))
    found = [equation for equation in program.eqns if equation.primitive.name == "conv_general_dilated"]
    assert len(found) == 2  # The result itself is inside of a call.
    for equation in found:
        numbers = equation.params["dimension_numbers"]
        assert (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))


def test_on_accelerators_it_is_the_convolution_of_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "platform_of", lambda _: "tpu")
    images, kernel = jnp.ones((2, 8, 8, 4)), jnp.ones((3, 3, 2, 6))

    def text(function: object) -> str:
        gradient = jax.grad(lambda images, kernel: function(images, kernel).sum(), argnums=(0, 1))  # type: ignore[operator]
        return jax.jit(gradient).lower(images, kernel).as_text()

    axes = ("NHWC", "HWIO", "NHWC")
    ours = text(lambda x, k: convolution(x, k, (2, 2), ((1, 1), (1, 1)), dimension_numbers=axes, feature_group_count=2))
    assert ours == text(lambda x, k: jax_own(x, k, (2, 2), ((1, 1), (1, 1)), 2))


@pytest.mark.parametrize("others", [{"rhs_dilation": (2, 2)}, {"preferred_element_type": jnp.float32}])
def test_what_it_does_not_know_is_left_to_jax(others: dict[str, object]) -> None:
    images, kernel = jnp.ones((2, 9, 9, 3), jnp.bfloat16), jnp.ones((3, 3, 3, 4), jnp.bfloat16)
    axes = ("NHWC", "HWIO", "NHWC")
    found = convolution(images, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes, **others)
    right = lax.conv_general_dilated(images, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=axes, **others)  # type: ignore[arg-type]
    assert found.dtype == right.dtype
    np.testing.assert_array_equal(found, right)


KERNEL = {"conv": jax.ShapeDtypeStruct((3, 3, 1, 8), jnp.float32), "bias": jax.ShapeDtypeStruct((8,), jnp.float32)}


def test_the_option_is_for_convolutions_on_cpus() -> None:
    assert set(compiler_options(KERNEL)) == {FUSION}
    assert compiler_options({"dense": jnp.ones((3, 8))}) == {}
    assert compiler_options(None) == {}
    assert compiler_options(KERNEL, "gpu") == {}
    compiled = jax.jit(lambda: 1, compiler_options=compiler_options(KERNEL)).lower().compile()
    assert compiled() == 1


def test_the_users_own_option_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to=x --{FUSION}=individual_dot")
    assert compiler_options(KERNEL) == {}
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    assert compiler_options(KERNEL) != {}


def test_a_compiler_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    module._reductions_alone.cache_clear()
    monkeypatch.setattr(module, "FUSION", "xla_cpu_no_such_option")
    assert compiler_options(KERNEL) == {}
    module._reductions_alone.cache_clear()
