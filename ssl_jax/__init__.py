"""Self-supervised learning in JAX: a step of every method is `views -> encode -> objective -> update`."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssl_jax.commands.loading import TrainedRun

__version__ = "0.1.0"


def load(run: str | os.PathLike[str], *, step: int | None = None) -> "TrainedRun":
    """A trained run from its folder, as an object with `features(images)`, `preprocess(image)`, `layers` and `classes`.

    The run's data must be where they were.

    Args:
      run: folder of the run.
      step: step of the checkpoint to use; the last one when None.

    Raises:
      UsageError: a ValueError: no run, no such step, or data that cannot be opened.
      RunError: there is no checkpoint yet.

    Example:
      >>> trained = load(run)
      >>> print(trained.features(np.zeros((2, 14, 14, 3), np.uint8)).shape)
      (2, 64)
    """
    from ssl_jax.commands import loading  # noqa: PLC0415  `import ssl_jax` does not wait for jax.

    return loading.load(os.fspath(run), step=step)
