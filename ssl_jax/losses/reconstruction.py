"""Reconstruction losses: masked parts are predicted from the visible ones.

B: examples of this shard; T: patches of one example; P: values of one patch. With `axis_name=None` the arrays hold the
whole batch; with a name they are one shard of it under that mapped axis, and the loss is the mean over the whole
batch.
"""

import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_flags, check_mask
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import power_of_two, scaled_epsilon


@on_explicit_axes
def masked_regression(
    prediction: Array, target: Array, mask: Array, *, normalize_targets: bool = True, axis_name: str | None = None
) -> Array:
    """Mean squared error of the masked patches (masked autoencoder); visible patches do not count.

    Predicting each patch's mean gives about 1 with normalised targets.

    Args:
      prediction: `[B, T, P]`.
      target: `[B, T, P]`, a constant.
      mask: `[B, T]`, true or 1 where the patch is masked; images may have different numbers of masked patches.
      normalize_targets: scale each target patch to mean 0 and (unbiased) deviation 1, the better setting of the paper.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the masked patches of the whole batch and their values; 0 if none is masked.

    Raises:
      ValueError: the shapes do not fit, the input is empty, or patches of one value are to be normalised.

    Example:
      >>> patches, mask = jnp.array([[[1.0, 3.0], [5.0, 7.0]]]), jnp.array([[True, False]])
      >>> print(masked_regression(patches + 1, patches, mask, normalize_targets=False))
      1.0

    Source: He et al. 2021, https://arxiv.org/abs/2111.06377, section 3, "Reconstruction target".
    """
    _check("masked_regression", prediction, target, mask)
    check_flags("masked_regression", normalize_targets=normalize_targets)
    if normalize_targets and prediction.shape[2] < 2:
        raise ValueError(
            f"masked_regression: prediction must have values, two to a patch to normalise it, got {prediction.shape}"
        )
    target = lax.stop_gradient(target).astype(jnp.float32)
    if normalize_targets:
        size = jnp.maximum(power_of_two(jnp.abs(target).max(axis=2, keepdims=True)), 1)  # or squares overflow
        target = target / size
        spread = jnp.sqrt(target.var(axis=2, keepdims=True, ddof=1) + scaled_epsilon(1e-6, size))
        target = (target - target.mean(axis=2, keepdims=True)) / spread
    errors = jnp.mean((prediction.astype(jnp.float32) - target) ** 2, axis=2)  # [B, T]
    return _mean_of(errors, mask, axis_name)


@on_explicit_axes
def masked_smooth_l1(prediction: Array, target: Array, mask: Array, *, axis_name: str | None = None) -> Array:
    """Smooth L1 (Huber) loss of masked patches: half the square of errors up to 1, the absolute value less 1/2 beyond.

    Predicting 0 for a target of mean 0 and deviation 1 gives about 0.43, if it is normally distributed.

    Args:
      prediction: `[B, T, P]`.
      target: `[B, T, P]`, a constant; not normalised.
      mask: `[B, T]`, true or 1 where the patch counts.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the patches of the whole batch that count, and their values; 0 if none does.

    Raises:
      ValueError: the shapes do not fit, or the input is empty.

    Example:
      >>> target, mask = jnp.zeros((1, 2, 1)), jnp.array([[True, True]])
      >>> print(masked_smooth_l1(jnp.array([[[1.0], [3.0]]]), target, mask))  # the mean of 1/2 and 3 - 1/2
      1.5

    Source: Assran et al. 2023, https://arxiv.org/abs/2301.08243; the paper states squared errors, the authors' code this loss.
    """
    _check("masked_smooth_l1", prediction, target, mask)
    difference = jnp.abs(prediction.astype(jnp.float32) - lax.stop_gradient(target).astype(jnp.float32))
    errors = jnp.where(difference < 1, difference**2 / 2, difference - 0.5).mean(axis=2)
    return _mean_of(errors, mask, axis_name)


def _mean_of(errors: Array, mask: Array, axis_name: str | None) -> Array:
    """Mean of `[B, T]` where the mask is 1, over all shards."""
    counted = mask.astype(jnp.float32)
    total = mean_over_shards(jnp.sum(counted * errors), axis_name)
    count = mean_over_shards(jnp.sum(counted), axis_name)
    return total / jnp.where(count > 0, count, 1)


def _check(name: str, prediction: Array, target: Array, mask: Array) -> None:
    check_arrays(name, prediction=prediction, target=target)
    check_mask(name, mask=mask)
    if prediction.ndim != 3 or target.shape != prediction.shape or mask.shape != prediction.shape[:2]:
        raise ValueError(
            f"{name}: needs prediction and target [B, T, P] and mask [B, T], got "
            f"{prediction.shape}, {target.shape} and {mask.shape}"
        )
    if prediction.size == 0:
        raise ValueError(f"{name}: prediction must have examples, patches and values, got {prediction.shape}")
