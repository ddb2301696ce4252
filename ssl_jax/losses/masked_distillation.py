"""What DINO's successors add to its loss: targets for masked patches (iBOT), and class tokens that keep apart (DINOv2).

B: examples, or crops, held here; N: those of the whole batch; T: patches; K: outputs; D: size of a token. `axis_name=None`
says that the arrays hold the whole batch; a name says that they are one shard of it under that mapped axis, and the loss is
the mean over the whole batch.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.ops.checks import check_arrays, check_mask, check_positive
from ssl_jax.ops.collectives import gather_rows, mean_over_shards, row_numbers, shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.normalize import unit_length


@on_explicit_axes
def ibot(
    student: Array, targets: Array, mask: Array, *, temperature: float = 0.1, axis_name: str | None = None
) -> Array:
    """Cross-entropy of masked patches, in nats: the student's outputs for them predict the teacher's distributions.

    Each crop's masked patches count as one, however many there are, and a crop without any counts with 0, as in the authors'
    code. Chance level, where the student's outputs are equal, is log K times the share of crops with masked patches.

    Args:
      student: `[B, T, K]` outputs before the softmax, of the crop with its patches masked.
      targets: `[B, T, K]`, the teacher's distributions for the same patches of the whole crop, from `center_and_sharpen` or
        `sinkhorn`; constants.
      mask: `[B, T]`, true or 1 where a patch is masked.
      temperature: divides the student's outputs; above 0.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the N crops.

    Raises:
      ValueError: the shapes do not fit, nothing came in, or the temperature is not positive.

    Example:
      >>> targets, mask = jnp.eye(4)[None], jnp.array([[True, True, False, False]])
      >>> print(f"{ibot(targets, targets, mask, temperature=0.5):.3f}, chance level {np.log(4):.3f}")
      0.341, chance level 1.386

    Source: Zhou et al. 2021, https://arxiv.org/abs/2111.07832, equation 2, and iBOTLoss in main_ibot.py of bytedance/ibot.
    """
    check_arrays("ibot", student=student, targets=targets)
    check_mask("ibot", mask=mask)
    check_positive("ibot", temperature=temperature)
    if student.ndim != 3 or targets.shape != student.shape or mask.shape != student.shape[:2] or student.size == 0:
        raise ValueError(
            "ibot: needs student and targets [B, T, K], not empty, and mask [B, T], got "
            f"{student.shape}, {targets.shape} and {mask.shape}"
        )
    targets, counted = lax.stop_gradient(targets).astype(jnp.float32), mask.astype(jnp.float32)
    log_probabilities = jax.nn.log_softmax(student.astype(jnp.float32) / temperature)
    entropies = -jnp.einsum("btk,btk->bt", targets, log_probabilities, precision="highest")
    of_crops = jnp.sum(counted * entropies, axis=1) / jnp.maximum(counted.sum(axis=1), 1)
    return mean_over_shards(of_crops.mean(), axis_name)


@on_explicit_axes
def koleo(tokens: Array, *, axis_name: str | None = None) -> Array:
    """KoLeo: minus the mean logarithm of the distance of each token to the nearest other one, all at unit length.

    It falls as the tokens spread over the sphere, by the estimator of Kozachenko and Leonenko for their entropy. Orthogonal
    tokens give -0.347, two opposite ones -0.693, collapsed ones 18.4, since 1e-8 is the least distance. The nearest token is
    sought in the whole batch; in the authors' code among those of one device. Memory is that of the B x N similarities.

    Args:
      tokens: `[B, D]`; scaled to unit length here, in float32.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the N tokens.

    Raises:
      ValueError: the tokens are no matrix, or fewer than two in the whole batch.

    Example:
      >>> print(f"{koleo(jnp.eye(3)):.3f}, of collapsed tokens {koleo(jnp.ones((3, 3))):.1f}")
      -0.347, of collapsed tokens 18.4

    Source: Sablayrolles et al. 2018, https://arxiv.org/abs/1806.03198, equation 1; Oquab et al. 2023,
    https://arxiv.org/abs/2304.07193, section 4, and dinov2/loss/koleo_loss.py of facebookresearch/dinov2.
    """
    check_arrays("koleo", tokens=tokens)
    if tokens.ndim != 2 or tokens.size == 0 or len(tokens) * shards(axis_name) < 2:
        raise ValueError(f"koleo: tokens must be [B, D], two or more in the whole batch, got {tokens.shape}")
    tokens = unit_length(tokens)
    others, own = gather_rows(tokens, axis_name), row_numbers(len(tokens), axis_name)
    similarity = jnp.matmul(*lax.stop_gradient((tokens, others.T)), precision="highest")
    itself = own[:, None] == jnp.arange(len(others))[None]
    nearest = others[jnp.where(itself, -jnp.inf, similarity).argmax(axis=1)]
    squared = jnp.sum((tokens - nearest) ** 2, axis=1)
    # No root: its slope at 0 is infinite.
    return mean_over_shards(-jnp.log(squared + 1e-16).mean() / 2, axis_name)
