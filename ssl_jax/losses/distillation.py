"""Distillation losses: a student predicts a teacher's output for another view, without gradient to the teacher or negatives.

V: crops of the student; A: crops of the teacher, the first A of the V; B: examples of this shard; N: examples
of the whole batch; K: outputs; D: size of an embedding. With `axis_name=None` the arrays hold the whole batch; with
a name they are one shard of it under that mapped axis, and the loss is the mean over the whole batch.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.losses.clustering import check_crops, mean_over_crop_pairs
from ssl_jax.ops.blocks import floats
from ssl_jax.ops.checks import check_arrays, check_mask, check_one_shape, check_positive
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.ops.explicit_axes import on_explicit_axes
from ssl_jax.ops.moving_average import moving_average
from ssl_jax.ops.normalize import unit_length


@on_explicit_axes
def negative_cosine(prediction: Array, target: Array, *, axis_name: str | None = None) -> Array:
    """Minus the cosine of each prediction with its target, in [-1, 1] (BYOL, SimSiam).

    The target is a constant: no gradient flows into it, or both methods collapse. -1 is agreement, and
    the value of collapsed embeddings; 0 is chance. BYOL's squared distance is `2 + 2 *` this. For a symmetric loss,
    take the mean of both directions.

    Args:
      prediction, target: `[B, D]`; normalised to unit length in float32.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the N examples.

    Raises:
      ValueError: prediction and target are not two matrices of one shape, or empty.

    Example:
      >>> print(f"{negative_cosine(jnp.array([[3.0, 4.0]]), jnp.array([[1.0, 0.0]])):.3f}")
      -0.600

    Source: Grill et al. 2020, https://arxiv.org/abs/2006.07733, equation 2; Chen and He 2020,
    https://arxiv.org/abs/2011.10566, equation 1.
    """
    check_one_shape("negative_cosine", "[B, D]", prediction=prediction, target=target)
    cosine = jnp.sum(unit_length(prediction) * unit_length(lax.stop_gradient(target)), axis=1)
    return mean_over_shards(-cosine.mean(), axis_name)


@on_explicit_axes
def dino(
    student: Array,
    teacher: Array,
    *,
    center: Array,
    student_temperature: float | Array = 0.1,
    teacher_temperature: float | Array = 0.04,
    axis_name: str | None = None,
) -> Array:
    """Self-distillation of DINO, in nats: the student's crops predict the teacher's centred and sharpened outputs.

    The teacher's output a comes from the student's crop a and is not compared with it. Chance level, where the
    student's outputs are equal, is log K.

    Args:
      student: `[V, B, K]` outputs before the softmax.
      teacher: `[A, B, K]`, a constant.
      center: `[K]`, a constant, the average over former batches; see `update_center`.
      student_temperature, teacher_temperature: softmax temperatures; above 0, the teacher's below the student's.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Returns:
      Mean over the A (V - 1) pairs of crops and the N examples.

    Raises:
      ValueError: the shapes do not fit, there are fewer than two crops, or a temperature is not positive.

    Example:
      >>> outputs = jnp.stack([jnp.eye(4), jnp.eye(4)])  # two crops of four images
      >>> print(f"{dino(outputs, outputs, center=jnp.full(4, 0.25)):.3f}, chance level {np.log(4):.3f}")
      0.000, chance level 1.386

    Source: Caron et al. 2021, https://arxiv.org/abs/2104.14294, equations 1 to 3 and algorithm 1.
    """
    check_crops("dino", student=student, teacher=teacher)
    check_center("dino", center, teacher)
    check_positive("dino", student_temperature=student_temperature, teacher_temperature=teacher_temperature)
    targets = center_and_sharpen(teacher, center=center, temperature=teacher_temperature)
    log_probabilities = jax.nn.log_softmax(student.astype(jnp.float32) / student_temperature)
    return -mean_over_crop_pairs(log_probabilities, targets, axis_name)


def center_and_sharpen(teacher: Array, *, center: Array, temperature: float | Array = 0.04) -> Array:
    """The teacher's outputs as distributions, constants: the softmax of their difference from the centre over the temperature.

    Args:
      teacher: `[A, B, K]` outputs before the softmax.
      center: `[K]`, see `update_center`.
      temperature: divides the difference; above 0.

    Returns:
      `[A, B, K]` float32; 1/K everywhere where the outputs are the centre.

    Raises:
      ValueError: the shapes do not fit, or the temperature is not positive.

    Example:
      >>> print(np.asarray(center_and_sharpen(jnp.array([[[0.3, 0.2]]]), center=jnp.array([0.3, 0.1]))).round(2))
      [[[0.08 0.92]]]

    Source: Caron et al. 2021, https://arxiv.org/abs/2104.14294, equations 1 and 4.
    """
    check_center("center_and_sharpen", center, teacher)
    check_positive("center_and_sharpen", temperature=temperature)
    centred = teacher.astype(jnp.float32) - center.astype(jnp.float32)[None, None]
    return lax.stop_gradient(jax.nn.softmax(centred / temperature))


@on_explicit_axes
def update_center(
    center: Array,
    teacher: Array,
    *,
    momentum: float = 0.9,
    counted: Array | None = None,
    axis_name: str | None = None,
) -> Array:
    """The centre of the next step: a moving average of the teacher's mean output over crops, examples and shards.

    Call it after `dino` has used the old one. Without centring, one output dominates (collapse).

    Args:
      center: `[K]`; initially zeros.
      teacher: `[A, B, K]` outputs before the softmax, neither centred nor divided.
      momentum: weight of the old centre.
      counted: booleans `[A, B]`, the outputs in the mean; None for all. Where none of the whole batch is, the centre stays.
      axis_name: mapped axis (`shard_map`, `pmap`, `vmap`) over which the batch is cut, B rows on each shard and N on all; every
        shard returns the value of the whole batch. None: the arrays are the whole batch, N = B.

    Raises:
      ValueError: the shapes do not fit, or nothing came in.

    Example:
      >>> print(np.asarray(update_center(jnp.zeros(2), jnp.array([[[1.0, 3.0]]]), momentum=0.9)).round(2))
      [0.1 0.3]

    Source: Caron et al. 2021, https://arxiv.org/abs/2104.14294, equation 4.
    """
    check_center("update_center", center, teacher)
    (center,) = floats(center)  # of integers, the average would be the new mean
    teacher = lax.stop_gradient(teacher).astype(jnp.float32)
    if counted is None:
        mean = mean_over_shards(teacher.mean(axis=(0, 1)), axis_name)
        return moving_average(center, mean, momentum=momentum)
    check_mask("update_center", counted=counted)
    if counted.shape != teacher.shape[:2]:
        raise ValueError(f"update_center: counted must be [A, B] for teacher {teacher.shape}, got {counted.shape}")
    weights = counted.astype(jnp.float32)
    total = jnp.einsum("abk,ab->k", teacher, weights, precision="highest")
    total, count = mean_over_shards((total, weights.sum()), axis_name)
    moved = moving_average(center, total / jnp.where(count > 0, count, 1), momentum=momentum)
    return jnp.where(count > 0, moved, center)


def check_center(name: str, center: Array, teacher: Array) -> None:
    """Outputs `[A, B, K]` and their centre `[K]`, or a `ValueError` that names the shapes."""
    check_arrays(name, center=center, teacher=teacher)
    if teacher.ndim != 3 or teacher.size == 0 or center.shape != teacher.shape[2:]:
        raise ValueError(
            f"{name}: needs teacher [A, B, K], not empty, and center [K], got {teacher.shape} and {center.shape}"
        )
