"""Retrieval: each test image is a query, and training images of its class should be nearest.

M: queries; N: images of the gallery; D: size of a feature; k: rank.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from ssl_jax.evaluate.checks import check_features, labelled_rows
from ssl_jax.evaluate.intervals import mean_interval, wilson_interval
from ssl_jax.ops.checks import check_count, check_counts
from ssl_jax.ops.normalize import Rows, unit_length


class Retrieval(NamedTuple):
    """Figures in [0, 1], over the queries that have an image of their class in the gallery."""

    average_precision: float  # mean over queries (mAP)
    interval: tuple[float, float]  # 95 % interval of that mean
    recall: dict[int, float]  # k -> share of queries with an image of their class among the k nearest
    recall_intervals: dict[int, tuple[float, float]]  # 95 % Wilson intervals
    chance: float  # mAP of a random order of a large gallery: the mean share of the query's class in it
    chance_recall: dict[int, float]  # k -> recall of k random images of a large gallery


def retrieval(
    gallery_features: Rows,
    gallery_labels: Rows,
    query_features: Rows,
    query_labels: Rows,
    *,
    num_classes: int,
    ranks: Sequence[int] = (1, 5, 10),
    block_size: int = 256,
) -> Retrieval:
    """Mean average precision and recall@k of the order by cosine similarity; equal similarities keep the gallery's order.

    Args:
      gallery_features, gallery_labels: `[N, D]` and integers `[N]` below K, or -1 where there is no label.
      query_features, query_labels: `[M, D]` and `[M]`; rows with the label -1 are left out of both.
      num_classes: K.
      ranks: the k of recall@k.
      block_size: queries compared at once; memory is O(block_size N).

    Raises:
      ValueError: shapes that do not fit, labels out of range, features that are not finite, a rank below 1, or no query whose
        class is in the gallery.

    Example:
      >>> gallery, labels = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), np.array([0, 1, 1])
      >>> found = retrieval(gallery, labels, np.array([[1.0, 0.05]]), np.array([1]), num_classes=2, ranks=[1, 2])
      >>> print(f"{found.average_precision:.3f} {found.recall}")  # At ranks 2 and 3: (1/2 + 2/3) / 2.
      0.583 {1: 0.0, 2: 1.0}

    Source: Manning et al. 2008, Introduction to Information Retrieval, section 8.4; Jegou et al. 2011 for recall@k.
    """
    arrays = (gallery_features, gallery_labels, query_features, query_labels)
    check_features(*arrays, num_classes=num_classes, parts=("gallery", "query"))
    check_counts("retrieval", ranks=ranks)
    check_count("retrieval", block_size=block_size)
    gallery_features, gallery_labels = labelled_rows("training", gallery_features, labels=gallery_labels)
    query_features, query_labels = labelled_rows("test", query_features, labels=query_labels)
    rows = jax.device_put((gallery_features, query_features))
    keys, queries = map(np.asarray, jax.device_get(tuple(map(unit_length, rows))))
    labels, answers = np.asarray(gallery_labels), np.asarray(query_labels)
    queries, answers = queries[np.isin(answers, labels)], answers[np.isin(answers, labels)]
    if not len(answers):
        raise ValueError(
            "retrieval: no query's class is in the gallery: give training images of the test images' classes."
        )
    precisions, first_hits = [], []
    for start in range(0, len(queries), block_size):
        block = slice(start, start + block_size)
        order = np.argsort(-(queries[block] @ keys.T), axis=1, kind="stable")
        hits = labels[order] == answers[block, None]
        precision = hits.cumsum(axis=1) / np.arange(1, len(keys) + 1)
        precisions.append((precision * hits).sum(axis=1) / hits.sum(axis=1))
        first_hits.append(hits.argmax(axis=1))
    each, first = np.concatenate(precisions), np.concatenate(first_hits)
    shares = (np.bincount(labels, minlength=num_classes) / len(labels))[answers]
    recall = {rank: float((first < rank).mean()) for rank in ranks}
    return Retrieval(
        float(each.mean()),
        mean_interval(each),
        recall,
        {rank: wilson_interval(share, len(first)) for rank, share in recall.items()},
        float(shares.mean()),
        {rank: float((1 - (1 - shares) ** rank).mean()) for rank in ranks},
    )
