"""Every public loss by its equation, in one line of algebra where that is possible: to be computed in float64.

Arguments are those of `ssl_jax.losses`. The loops beside the tests of each loss are a second definition, in numpy; these can
be differentiated, and logarithms of sums do not overflow at any temperature. What a loss takes as a constant has no gradient.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import log_softmax, logsumexp, softmax

constant = lax.stop_gradient


def unit(rows):
    return rows / jnp.linalg.norm(rows, axis=-1, keepdims=True)


def log_sums(scores, hidden):
    """Over the last axis, without the entries that are hidden."""
    return logsumexp(jnp.where(hidden, -jnp.inf, scores), axis=-1)


def ntxent(first, second, *, temperature, with_positive=True):
    rows = unit(jnp.concatenate([first, second]))
    scores, itself = rows @ rows.T / temperature, np.eye(len(rows), dtype=bool)
    partner = np.roll(itself, len(first), axis=1)
    others = log_sums(scores, itself if with_positive else itself | partner)
    return jnp.mean(others - scores[partner])


def decoupled_contrastive(first, second, *, temperature):
    return ntxent(first, second, temperature=temperature, with_positive=False)


def supervised_contrastive(embeddings, labels, *, temperature):
    rows, itself = unit(embeddings), np.eye(len(embeddings), dtype=bool)
    scores = rows @ rows.T / temperature
    mine = (labels[:, None] == labels) & (labels >= 0) & ~itself
    counted = mine.any(axis=1)
    mean = jnp.where(mine, scores, 0).sum(axis=1) / jnp.maximum(mine.sum(axis=1), 1)
    nats = jnp.where(counted, log_sums(scores, itself) - mean, 0)
    return nats.sum() / jnp.maximum(counted.sum(), 1)


def in_batch_info_nce(queries, keys, *, temperature):
    return -jnp.diagonal(log_softmax(unit(queries) @ unit(keys).T / temperature)).mean()


def moco_v3(first, second, first_keys, second_keys, *, temperature):
    pairs = (first, constant(second_keys)), (second, constant(first_keys))
    return 2 * temperature * sum(in_batch_info_nce(*pair, temperature=temperature) for pair in pairs)


def scores_of(query, positive, negatives, temperature):
    """`[B]` and `[B, K]`."""
    query, positive, negatives = unit(query), unit(positive), unit(negatives)
    return (query * positive).sum(axis=1) / temperature, (negatives @ query[..., None])[..., 0] / temperature


def info_nce(query, positive, negatives, *, temperature=0.07):
    negatives = jnp.broadcast_to(negatives, (len(query), *negatives.shape[-2:]))
    right, wrong = scores_of(query, positive, negatives, temperature)
    return -log_softmax(jnp.concatenate([right[:, None], wrong], axis=1))[:, 0].mean()


def nce(query, positive, negatives, *, log_partition, temperature):
    """Log-odds of data against K draws of noise."""
    negatives = jnp.broadcast_to(negatives, (len(query), *negatives.shape[-2:]))
    right, wrong = scores_of(query, positive, negatives, temperature)
    noise = log_partition + np.log(wrong.shape[1])
    return (jnp.logaddexp(0, noise - right) + jnp.logaddexp(0, wrong - noise).sum(axis=1)).mean()


def estimate_log_partition(query, negatives, *, temperature):
    negatives = jnp.broadcast_to(negatives, (len(query), *negatives.shape[-2:]))
    _, scores = scores_of(query, query, negatives, temperature)
    return constant(logsumexp(scores) - np.log(scores.size))


def cpc(predictions, targets, *, first_step, temperature):
    everything, means = targets.reshape(-1, targets.shape[-1]), []
    for step, made in enumerate(predictions, first_step):
        made, meant = made[:, : targets.shape[1] - step], targets[:, step:]
        means.append(
            (logsumexp(made @ everything.T / temperature, axis=-1) - (made * meant).sum(-1) / temperature).mean()
        )
    return jnp.stack(means).mean()


def avid(video, audio, video_memory, audio_memory, video_negatives, audio_negatives):
    constants = constant((audio_memory, audio_negatives)), constant((video_memory, video_negatives))
    return (info_nce(video, *constants[0]) + info_nce(audio, *constants[1])) / 2


def cma(video, audio, video_positives, audio_positives, video_negatives, audio_negatives):
    terms = [
        info_nce(query, constant(positives[:, number]), constant(negatives))
        for query, positives, negatives in (
            (video, video_positives, video_negatives), (audio, audio_positives, audio_negatives)
        )
        for number in range(positives.shape[1])
    ]  # fmt: skip
    return sum(terms) / len(terms)


def correspondence(own, other):
    return -(jnp.log(jax.nn.sigmoid(own)).mean() + jnp.log(jax.nn.sigmoid(-other)).mean()) / 2


def off_diagonal(matrix):
    return jnp.sum(jnp.where(np.eye(len(matrix), dtype=bool), 0, matrix) ** 2)


def barlow_twins(first, second, *, off_diagonal_weight):
    first, second = (standardize(rows) for rows in (first, second))
    correlation = first.T @ second / len(first)
    return jnp.sum((1 - jnp.diagonal(correlation)) ** 2) + off_diagonal_weight * off_diagonal(correlation)


def standardize(rows, *, epsilon=1e-5):
    return (rows - rows.mean(axis=0)) / jnp.sqrt(rows.var(axis=0) + epsilon)


def vicreg(first, second, *, invariance, variance, covariance):
    spread = sum(jax.nn.relu(1 - jnp.sqrt(rows.var(axis=0, ddof=1) + 1e-4)).mean() for rows in (first, second)) / 2
    centred = [rows - rows.mean(axis=0) for rows in (first, second)]
    redundancy = sum(off_diagonal(rows.T @ rows / (len(rows) - 1)) / rows.shape[1] for rows in centred)
    return invariance * ((first - second) ** 2).mean() + variance * spread + covariance * redundancy


def sigreg(views, *, rng, directions):
    axes = jax.random.normal(rng, (directions, views.shape[2]), jnp.float32)
    along = views @ unit(axes.astype(views.dtype)).T
    points = np.linspace(-5, 5, 17)
    empirical = jnp.exp(1j * points[:, None, None, None] * along).mean(axis=2)
    squares = jnp.abs(empirical - np.exp(-(points**2) / 2)[:, None, None]) ** 2
    return views.shape[1] * jnp.trapezoid(squares * np.exp(-(points**2) / 2)[:, None, None], points, axis=0).mean()


def negative_cosine(prediction, target):
    return -(unit(prediction) * unit(constant(target))).sum(axis=1).mean()


def center_and_sharpen(teacher, *, center, temperature):
    return constant(softmax((teacher - center) / temperature))


def over_pairs(student, targets):
    """Mean over pairs of a target and another crop, and over examples, of the inner products."""
    pairs = [(first, second) for first in range(len(targets)) for second in range(len(student)) if first != second]
    return sum((targets[first] * student[second]).sum(axis=-1).mean() for first, second in pairs) / len(pairs)


def dino(student, teacher, *, center, student_temperature, teacher_temperature):
    targets = center_and_sharpen(teacher, center=center, temperature=teacher_temperature)
    return -over_pairs(log_softmax(student / student_temperature), targets)


def update_center(center, teacher, *, momentum, counted):
    mean = jnp.where(counted[..., None], teacher, 0).sum(axis=(0, 1)) / jnp.maximum(counted.sum(), 1)
    return jnp.where(counted.any(), momentum * center + (1 - momentum) * constant(mean), center)


def ibot(student, targets, mask, *, temperature):
    nats = -(constant(targets) * log_softmax(student / temperature)).sum(axis=-1)
    return (jnp.where(mask, nats, 0).sum(axis=1) / jnp.maximum(mask.sum(axis=1), 1)).mean()


def koleo(tokens):
    rows = unit(tokens)
    squares = ((rows[:, None] - rows) ** 2).sum(axis=-1)
    nearest = jnp.where(np.eye(len(rows), dtype=bool), jnp.inf, constant(squares)).argmin(axis=1)
    return -jnp.log(squares[np.arange(len(rows)), nearest] + 1e-16).mean() / 2


def coding_rate(views, *, distortion, groups):
    count, dim = views.shape[1] // groups, views.shape[2]
    parts = views.reshape(len(views), groups, count, dim)
    gram = jnp.swapaxes(parts, -1, -2) @ parts
    return jnp.linalg.slogdet(np.eye(dim) + dim / (distortion * count) * gram)[1].mean() / 2


def simdino(student, teacher, *, distortion, invariance, groups):
    student, teacher = unit(student), unit(constant(teacher))
    (_, total, dim), middle = student.shape, (student[: len(teacher)] + teacher) / 2
    rate = coding_rate(middle, distortion=groups * distortion, groups=groups)
    return -invariance * over_pairs(student, teacher) - (dim + total) / (dim * total) * rate


def swav(scores, assignments, *, temperature):
    return -over_pairs(log_softmax(scores / temperature), constant(assignments))


def cross_entropy(logits, labels, *, label_smoothing=0.0):
    soft = jnp.issubdtype(labels.dtype, jnp.floating)
    targets = labels if soft else jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    counted = jnp.ones(logits.shape[:-1], bool) if soft else labels >= 0
    smooth = (1 - label_smoothing) * targets + label_smoothing / logits.shape[-1]
    nats = -(smooth * log_softmax(logits)).sum(axis=-1)
    return jnp.where(counted, nats, 0).sum() / jnp.maximum(counted.sum(), 1)


def cluster_cross_entropy(scores, labels, *, temperature):
    return cross_entropy(scores / temperature, constant(labels))


def weighted_cross_entropy(logits, labels, weights):
    each = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype) * weights
    total = each.sum()
    return -(each * log_softmax(logits)).sum() / jnp.where(total > 0, total, 1)


def masked_mean(errors, mask):
    return jnp.where(mask, errors, 0).sum() / jnp.maximum(mask.sum(), 1)


def masked_regression(prediction, target, mask, *, normalize_targets):
    target = constant(target)
    if normalize_targets:
        deviation = jnp.sqrt(target.var(axis=2, keepdims=True, ddof=1) + 1e-6)
        target = (target - target.mean(axis=2, keepdims=True)) / deviation
    return masked_mean(((prediction - target) ** 2).mean(axis=2), mask)


def masked_smooth_l1(prediction, target, mask):
    distance = jnp.abs(prediction - constant(target))
    return masked_mean(jnp.where(distance < 1, distance**2 / 2, distance - 0.5).mean(axis=2), mask)
