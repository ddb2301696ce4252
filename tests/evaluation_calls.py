"""Every public evaluation with arguments that fit, as `public_calls` has losses and operations."""

import numpy as np
from public_calls import PAIR, WARM, Call, classes, filled, mask, rows, several

from ssl_jax import evaluate
from ssl_jax.data import ArraySource, Data
from ssl_jax.evaluate.features import Features, Network, pixels


def parts(first="train", second="test"):
    """Features and labels of two parts, in two blobs."""
    labels = {f"{first}_labels": classes("N", 2, wrong=(-2, 2)), f"{second}_labels": classes("M", 2, wrong=(-2, 2))}
    features = {f"{first}_features": blobs("N D"), f"{second}_features": blobs("M D")}
    return features, labels


def blobs(axes):
    shaped = rows(axes)
    shaped.array[::2] += 2
    return shaped


def toy_network():
    labels = np.arange(20, dtype=np.int32) % 2
    images = (100 * labels[:, None, None, None] + np.zeros((1, 2, 2, 1))).astype(np.uint8)
    source = ArraySource("toy", ("dark", "light"), images, labels)
    return Network(pixels, None, None, Data("toy", source, source))


FEATURES, CLASSES = parts()
TWO = {"num_classes": 2}
STRENGTHS = {"strengths": (0.1, 0.01)}
FOUND = Features(
    *(shaped.array for pair in zip(FEATURES.values(), CLASSES.values(), strict=True) for shaped in pair), 2
)
MAPS = {"train_maps": rows("N h w D"), "test_maps": rows("M h w D")}
MASKS = {"train_masks": classes("N H W", 3, wrong=(-1, 3)), "test_masks": classes("M T V", 3, wrong=(-1, 3))}
GALLERY, GALLERY_CLASSES = parts("gallery", "query")
EVALUATIONS = {
    "alignment": Call(evaluate.alignment, PAIR),
    "assignment_entropy": Call(evaluate.assignment_entropy, {"assignments": filled("B K", 0.2)}),
    "cluster_scores": Call(
        evaluate.cluster_scores, FEATURES, CLASSES, counts=TWO | {"restarts": 1}, seeds={"seed": 0}
    ),
    "cross_correlation": Call(evaluate.cross_correlation, PAIR),
    "diagnostics": Call(evaluate.diagnostics, {"embeddings": rows("B D")}),
    "effective_rank": Call(evaluate.effective_rank, {"embeddings": rows("B D")}),
    "eigenvalue_decay": Call(evaluate.eigenvalue_decay, {"embeddings": rows("B D")}, counts={"first": 1, "last": 3}),
    "evaluate_features": Call(
        evaluate.evaluate_features, {}, seeds={"seed": 0}, objects={"features": FOUND, "protocols": ["knn"]}
    ),
    "few_label_probe": Call(
        evaluate.few_label_probe, FEATURES, CLASSES, positive={"strength": 0.1},
        counts=TWO | {"per_class": 2, "draws": 1}, seeds={"seed": 0},
    ),
    "knn": Call(
        evaluate.knn, {name: FEATURES[name] for name in FEATURES}, {"train_labels": CLASSES["train_labels"]},
        positive=WARM, counts=TWO | {"k": 2, "block_size": 3},
    ),
    "knn_accuracy": Call(
        evaluate.knn_accuracy, FEATURES, CLASSES, positive=WARM, counts=TWO | {"k": 2, "block_size": 3}
    ),
    "layer_probes": Call(
        evaluate.layer_probes, {}, seeds={"seed": 0}, objects={"layers": {"last": FOUND}, "protocols": ["knn"]}
    ),
    "lidar": Call(evaluate.lidar, {"views": rows("n q D")}, positive={"delta": 1e-4}),
    "linear_probe": Call(
        evaluate.linear_probe, FEATURES, CLASSES, counts=TWO, seeds={"seed": 0}, shares={"held_out": 0.2},
        sequences=STRENGTHS,
    ),
    "linear_sgd": Call(
        evaluate.linear_sgd, {}, positive={"epochs": 1}, weights={"weight_decay": 0.0}, shares={"momentum": 0.9},
        counts={"batch_size": 8}, seeds={"seed": 0}, sequences={"learning_rates": (0.1,)},
        objects={"network": toy_network(), "optimizer": "sgd"},
    ),
    "memory_cosine": Call(
        evaluate.memory_cosine, several("B D", "stored", "fresh"), {"ages": classes("B", 3)}, sequences={"edges": (0, 1)}
    ),
    "multi_label_probe": Call(
        evaluate.multi_label_probe, FEATURES,
        masks={"train_targets": mask("N E"), "test_targets": mask("M E")}, seeds={"seed": 0}, shares={"held_out": 0.2},
        sequences=STRENGTHS,
    ),
    "patch_knn": Call(
        evaluate.patch_knn, MAPS, MASKS, counts={"num_classes": 3, "k": 2}, seeds={"seed": 0}
    ),
    "principal_colors": Call(evaluate.principal_colors, {"maps": rows("N h w D")}, shares={"spread": 0.1}),
    "prototype_use": Call(evaluate.prototype_use, {"assignments": filled("B K", 0.2)}),
    "retrieval": Call(
        evaluate.retrieval, GALLERY, GALLERY_CLASSES, counts=TWO | {"block_size": 3}, sequences={"ranks": (1, 2)}
    ),
    "ridge_accuracy": Call(evaluate.ridge_accuracy, FEATURES, CLASSES, positive={"strength": 0.1}, counts=TWO),
    "robustness": Call(
        evaluate.robustness, {}, seeds={"seed": 0}, objects={"network": toy_network(), "features": FOUND}
    ),
    "segmentation_probe": Call(
        evaluate.segmentation_probe, MAPS, MASKS, counts={"num_classes": 3}, seeds={"seed": 0}, shares={"held_out": 0.2},
        sequences=STRENGTHS,
    ),
    "teacher_distance": Call(evaluate.teacher_distance, several("... B", "student", "teacher")),
    "uniformity": Call(evaluate.uniformity, {"embeddings": rows("B D")}, positive={"t": 2.0}),
}  # fmt: skip
