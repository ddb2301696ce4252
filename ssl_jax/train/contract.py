"""What an augmentation and a method return, checked while a step is traced: a mistake in one's own code is a sentence.

B: examples of the batch. Nothing here runs on a device, and nothing in it takes time after the trace.
"""

from typing import Any

import jax
import jax.numpy as jnp

from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Embeddings, Method, Metrics, State

EXPECTED_VIEWS = "an array of views [V, H, W, C], or a dict of arrays by name: jnp.stack makes one of several images"


def checked_views(views: Any, images: Any) -> dict[str, Any]:
    """The views of a batch by name; `images` are those of the batch, None of a batch without.

    Raises:
      UsageError: they are neither an array nor a dict, or an array with one image for each example and no axis of views.
    """
    if isinstance(views, dict):
        return views
    if not isinstance(views, jax.Array):
        raise UsageError(f"views: the augmentation returned a {type(views).__name__}, expected {EXPECTED_VIEWS}.")
    still = images is not None and images.ndim == 4  # Clips have as many axes as the views of tracks, frames of them.
    if still and views.ndim == 4 and views.shape[-1] == images.shape[-1]:
        raise UsageError(
            f"views: the augmentation returned an image of shape {views.shape[1:]} without an axis of views, expected "
            f"{EXPECTED_VIEWS}."
        )
    return {"views": views}


def checked_embeddings(method: Method, found: Any, state: State) -> tuple[Embeddings, State]:
    """What `encode` returned, for the state that it was given.

    Raises:
      UsageError: it is no pair of dicts, has no "embedding", or the state has gained or lost entries.
    """
    where = f"{type(method).__name__}.encode"
    if not (isinstance(found, tuple) and len(found) == 2 and all(isinstance(part, dict) for part in found)):
        raise UsageError(f"{where}: it returned {_form(found)}, expected the embeddings and the state, two dicts.")
    embeddings, after = found
    if "embedding" not in embeddings:
        raise UsageError(
            f"{where}: it returned the embeddings {', '.join(embeddings) or '{}'}, expected one called embedding, [B, V, D], "
            "which the gauges of collapse measure."
        )
    check_state(where, state, after)
    return embeddings, after


def checked_objective(method: Method, found: Any) -> tuple[jax.Array, State, Metrics]:
    """What `objective` returned.

    Raises:
      UsageError: it is no triple of a loss, changes of the state and metrics; the loss or a metric is no scalar, or that of one
        device's examples alone; or a change is not in `objective_state`.
    """
    where = f"{type(method).__name__}.objective"
    if not (isinstance(found, tuple) and len(found) == 3 and all(isinstance(part, dict) for part in found[1:])):
        raise UsageError(
            f"{where}: it returned {_form(found)}, expected a loss and two dicts, the changes of the state and the metrics: "
            "end it with return loss, {}, {}."
        )
    loss, changes, metrics = found
    for name, value in {"loss": loss, **metrics}.items():
        if jnp.shape(value) != ():
            raise UsageError(f"{where}: its {name} has shape {jnp.shape(value)}, expected a scalar: take the mean.")
        if _varies(value):
            raise UsageError(
                f"{where}: its {name} is that of one device's examples, expected that of the batch: return "
                "mean_over_shards(loss, axis_name), of ssl_jax.ops.collectives."
            )
    if unlisted := sorted(set(changes) - set(method.objective_state)):
        raise UsageError(
            f"{where}: it changes the state's {', '.join(unlisted)}, which objective_state of the class does not list: add "
            f'{{"{unlisted[0]}": "whole"}}, or "rows" where it has a row for each example.'
        )
    return loss, changes, metrics


def check_state(where: str, before: State, after: State) -> None:
    """Refuses a state with other entries than before: each step gets the state of the one before it."""
    kept: bool = jax.tree.structure(before) == jax.tree.structure(after)  # type: ignore[operator]
    if not kept:
        lost, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
        what = "; ".join(
            [*([f"without {', '.join(lost)}"] if lost else []), *([f"with {', '.join(new)}"] if new else [])]
        )
        raise UsageError(
            f"{where}: it returned a state {what or 'of another structure'}, expected the entries that it was given: return "
            "{**state, **changes}, and make all entries in init."
        )


def _varies(value: Any) -> bool:
    """Whether a value inside `shard_map` differs from device to device."""
    kind = jax.typeof(value)
    return bool(kind.vma if hasattr(kind, "vma") else kind.mat.varying)  # renamed within JAX 0.10


def _form(found: Any) -> str:
    """A returned value in words."""
    if isinstance(found, tuple):
        return f"a tuple of {len(found)}: {', '.join(type(part).__name__ for part in found)}"
    return "an array" if isinstance(found, jax.Array) else f"a {type(found).__name__}" if found is not None else "None"
