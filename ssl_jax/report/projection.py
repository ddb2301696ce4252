"""A map of embeddings in the plane: principal components, then t-SNE. In numpy, so that a report never uses the
accelerator of a run.

M: embeddings; D: their dimension. The map is deterministic.
"""

import numpy as np

ITERATIONS, EXAGGERATED = 750, 250  # In the first 250 steps attraction is 12 times as strong.


def embedding_map(embeddings: np.ndarray, *, perplexity: float = 30, seed: int = 0) -> np.ndarray:
    """`[M, D]` -> `[M, 2]`: neighbours by cosine similarity stay neighbours; axes and large distances have no meaning.

    Exact t-SNE from the first two principal components; O(M^2) in time and memory: for M up to about 2,000.

    Args:
      perplexity: effective number of neighbours of each point; at most (M - 1) / 3 is used.
      seed: seed of the tiny noise that separates equal points.

    Raises:
      ValueError: not `[M, D]` with at least 2 rows.

    Source: van der Maaten and Hinton 2008, "Visualizing Data using t-SNE"; step size and start as in Kobak and
    Berens 2019, https://doi.org/10.1038/s41467-019-13056-x.
    """
    if embeddings.ndim != 2 or len(embeddings) < 2:
        raise ValueError(f"embeddings must be [M, D] with at least two rows, got {embeddings.shape}")
    components = principal_components(unit_length(embeddings), count=30)
    attraction = neighbor_probabilities(components, perplexity=max(1, min(perplexity, (len(components) - 1) / 3)))
    start = 1e-6 * np.random.default_rng(seed).normal(size=(len(components), 2))
    start[:, : components.shape[1]] += 1e-4 * components[:, :2] / max(components[:, 0].std(), 1e-12)
    return descend(attraction, start)


def unit_length(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1, in float64; a zero row stays zero."""
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def principal_components(rows: np.ndarray, *, count: int) -> np.ndarray:
    """`[M, D]` -> the first components `[M, min(count, M, D)]`, by the smaller of the two Gram matrices."""
    centered = rows - rows.mean(axis=0)
    if len(rows) > rows.shape[1]:
        return centered @ np.linalg.eigh(centered.T @ centered).eigenvectors[:, : -count - 1 : -1]
    values, vectors = np.linalg.eigh(centered @ centered.T)
    return (vectors * np.sqrt(np.maximum(values, 0)))[:, : -count - 1 : -1]


def neighbor_probabilities(points: np.ndarray, *, perplexity: float) -> np.ndarray:
    """`[M, D]` -> symmetric `[M, M]` of sum 1, from Gaussians whose widths give the entropy log(perplexity)."""
    squares = (points**2).sum(axis=1)
    distances = np.maximum(squares[:, None] + squares - 2 * points @ points.T, 0)
    scale = distances.mean() + 1e-12
    np.fill_diagonal(distances, np.inf)
    distances -= distances.min(axis=1, keepdims=True)
    low, high = np.full(len(points), -20.0), np.full(len(points), 20.0)  # Logarithm of the precision, by bisection.
    for _ in range(30):
        middle = (low + high) / 2
        weights = np.exp(-distances * np.exp(middle)[:, None] / scale)
        weights /= weights.sum(axis=1, keepdims=True)
        entropy = -(weights * np.log(np.maximum(weights, 1e-300))).sum(axis=1)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, middle, low), np.where(wide, high, middle)
    return (weights + weights.T) / (2 * len(points))


def descend(attraction: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Gradient descent with momentum and gains on the divergence from `attraction` `[M, M]`, from positions `[M, 2]`."""
    attraction, positions = attraction.astype(np.float32), start.astype(np.float32)
    velocity, gains = np.zeros_like(positions), np.ones_like(positions)
    rate = max(len(positions) / 12, min(len(positions), 50))  # 50 makes a few points fly apart.
    for iteration in range(ITERATIONS):
        early = iteration < EXAGGERATED
        pull, push = forces(attraction, positions)
        gradient = 4 * ((12 if early else 1) * pull - push)
        gains = np.where(gradient * velocity < 0, gains + 0.2, np.maximum(gains * 0.8, 0.01))
        velocity = (0.5 if early else 0.8) * velocity - rate * gains * gradient
        positions = positions + velocity
        positions -= positions.mean(axis=0)
    return positions


def forces(attraction: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The halves of the gradient over 4, each `[M, 2]`: pull_i = sum_j p_ij n_ij (y_i - y_j) and push_i = sum_j n_ij^2
    (y_i - y_j) / Z, with n_ij = 1 / (1 + |y_i - y_j|^2) and Z the sum of n_ij over i != j."""
    size, total = len(positions), -float(len(positions))  # A point's closeness to itself, 1, does not count.
    squares, ones = (positions**2).sum(axis=1, keepdims=True), np.ones((size, 1), np.float32)
    left, right = np.hstack([-2 * positions, squares + 1, ones]), np.hstack([positions, ones, squares]).T
    sums, pulls, pushes = np.hstack([positions, ones]), np.empty((size, 3), np.float32), np.empty((size, 3), np.float32)
    rows = max(1, 50_000 // size)  # Blocks that fit into the cache, too small for threads of BLAS.
    for first in range(0, size, rows):
        block = slice(first, first + rows)
        closeness = np.reciprocal(left[block] @ right)
        total += float(closeness.sum())
        pulls[block] = (attraction[block] * closeness) @ sums
        closeness *= closeness
        pushes[block] = closeness @ sums
    pull, push = (each[:, 2:] * positions - each[:, :2] for each in (pulls, pushes))
    return pull, push / np.float32(total)
