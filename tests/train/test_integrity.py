"""Checksums against their definition in numpy, the same in every sharding; each leaf that is not finite is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from ssl_jax.train.integrity import checksums, not_finite
from ssl_jax.train.mesh import make_mesh

NUMBERS = np.random.default_rng(0).normal(size=(16, 3, 8)).astype(np.float32)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.int8, jnp.bool_, jnp.float8_e4m3fn, jnp.complex64])
@pytest.mark.parametrize("shape", [(16, 3, 8), (384,), (1, 384)])
def test_sums_of_words_and_of_words_times_positions(dtype, shape):
    values = np.asarray(jnp.asarray(10 * NUMBERS).astype(dtype)).reshape(shape)
    words = values.view(f"u{min(4, values.dtype.itemsize)}").ravel().astype(object)  # Python's integers, of any size
    sums = sum(words) % 2**64, sum(words * np.arange(len(words))) % 2**64
    assert checksums([jnp.asarray(values)]) == {"0": "{:016x}{:016x}".format(*sums)}


def test_the_sharding_does_not_matter():
    mesh = make_mesh(8)
    whole = checksums({"a": jnp.asarray(NUMBERS)})
    for spec in [(), ("data",), (None, None, "data"), (None, None, ("data", "model"))]:
        assert checksums({"a": jax.device_put(NUMBERS, NamedSharding(mesh, PartitionSpec(*spec)))}) == whole


def test_every_bit_and_every_exchange_counts():
    whole = checksums([jnp.asarray(NUMBERS)])
    for number in range(0, 32 * NUMBERS.size, 97):
        bits = NUMBERS.view(np.uint32).copy()
        bits.flat[number // 32] ^= np.uint32(1 << number % 32)
        assert checksums([jnp.asarray(bits.view(np.float32))]) != whole
    for axis in range(3):
        assert checksums([jnp.asarray(np.flip(NUMBERS, axis))]) != whole


def test_keys_scalars_and_empty_arrays_have_checksums():
    tree = {"key": jax.random.key(7), "step": jnp.int32(3), "none": jnp.zeros((0, 3))}
    found = checksums(tree)
    assert found["step"] == f"{3:016x}{0:016x}" and found["none"] == "0" * 32
    assert found["key"] != checksums(tree | {"key": jax.random.key(8)})["key"]


def test_what_is_not_finite_is_named():
    state = {
        "params": [jnp.array([1, jnp.nan, jnp.inf]), jnp.zeros(3)],
        "half": jnp.array([[-jnp.inf]], jnp.bfloat16),
        "counter": jnp.int32(2**31 - 1),
        "key": jax.random.key(0),
    }
    assert not_finite(state) == {"half": "infinite", "params.0": "NaN"}
    numbers = NUMBERS.copy()
    numbers[13, 1, 2] = np.inf
    spread = jax.device_put(numbers, NamedSharding(make_mesh(8), PartitionSpec("data")))
    with jax.transfer_guard("disallow"):
        assert not_finite({"a": spread}) == {"a": "infinite"} and checksums({"a": spread})
