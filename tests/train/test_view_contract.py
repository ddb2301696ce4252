"""Views of images need an axis of views; the frames of clips are views by themselves."""

import jax.numpy as jnp
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.train.contract import checked_views


def test_views_of_clips_have_as_many_axes_as_clips():
    views = jnp.zeros((2, 2, 6, 6, 1))
    assert checked_views(views, jnp.zeros((2, 4, 7, 7, 1), jnp.uint8))["views"] is views
    with pytest.raises(UsageError, match="without an axis of views"):
        checked_views(views[:, 0], jnp.zeros((2, 7, 7, 1), jnp.uint8))
