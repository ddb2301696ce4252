"""The parts of a batch that microbatches are, and the batch that they make again."""

import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.train.gradient import _cut, _join


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_parts_take_every_nth_row_and_make_the_batch_again(count):
    rows = jnp.arange(6 * 2 * 3).reshape(6, 2, 3)
    parts = _cut(rows, count)
    np.testing.assert_array_equal(parts[0], rows[::count])
    np.testing.assert_array_equal(_join(parts), rows)
