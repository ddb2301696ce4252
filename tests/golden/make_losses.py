"""Writes losses.npz: what published implementations say of small inputs, for losses without negatives.

    pip install torch==2.13.0 numpy && pip install --no-deps lightly==1.6.0 solo-learn==1.0.2 \
        stable-pretraining==0.1.8
    python tests/golden/make_losses.py

The tests read the file and need none of these packages. Values and gradients are in float64.
"""

import importlib
import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch

PACKAGES = {"lightly": "lightly", "solo": "solo-learn", "stable_pretraining": "stable-pretraining"}


def load(name):
    """A module without running the `__init__` of the packages above it, which import what their losses do not need."""
    *parents, _ = name.split(".")
    for depth in range(len(parents)):
        package = ".".join(parents[: depth + 1])
        if package not in sys.modules:
            folder = importlib.metadata.distribution(PACKAGES[parents[0]]).locate_file(package.replace(".", "/"))
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [str(folder)]
    return importlib.import_module(name)


def with_gradients(function, *arrays):
    """Value, then the gradient at each array."""
    tensors = [torch.from_numpy(array).requires_grad_() for array in arrays]
    value = function(*tensors).reshape(())
    gradients = torch.autograd.grad(value, tensors, allow_unused=True)
    zeros = [torch.zeros_like(tensor) for tensor in tensors]
    found = [zero if gradient is None else gradient for gradient, zero in zip(gradients, zeros, strict=True)]
    return [value.detach().numpy(), *(gradient.numpy() for gradient in found)]


def dino_of_lightly(student, teacher):
    """The second call: the centre is then a tenth of the mean of the first call's teacher."""
    load("lightly.models.modules.center")  # which dino_loss imports through packages that want more
    loss = load("lightly.loss.dino_loss").DINOLoss(output_dim=teacher.shape[2]).double()
    loss(list(teacher.detach().flip(1) + 1), list(student.detach()))
    return loss(list(teacher.detach()), list(student))


def dino_of_solo(student, teacher):
    loss = load("solo.losses.dino").DINOLoss(teacher.shape[2], 0.04, 0.04, 0, 1, num_large_crops=len(student)).double()
    loss(student.detach().flatten(0, 1), teacher.detach().flip(1).flatten(0, 1) + 1)
    return loss(student.flatten(0, 1), teacher.detach().flatten(0, 1))


def mae(prediction, target, mask, normalize):
    # `reconstruction` imports this one for another function, and it wants packages that the loss does not
    sys.modules["stable_pretraining.backbone.patch_masking"] = types.SimpleNamespace(patchify=None)
    module = load("stable_pretraining.losses.reconstruction")
    return module.mae(target, prediction, torch.from_numpy(mask).double(), norm_pix_loss=normalize)


def main():
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(2024)
    scale = np.linspace(0.3, 2, 6)
    first = rng.standard_normal((12, 6)) * scale + 1
    second = first + 0.5 * rng.standard_normal((12, 6))
    scores = rng.uniform(-1, 1, (4, 8, 5))
    student, teacher = 0.3 * rng.standard_normal((4, 8, 5)), 0.3 * rng.standard_normal((2, 8, 5))
    assignments = rng.dirichlet(np.ones(5), (2, 8))
    labels = np.array([0, 3, -1, 2, 4, 1, -1, 3])

    prediction, patches = rng.normal(1, 2, (2, 4, 6, 5))
    mask = rng.random((4, 6)) < 0.6

    lightly = {name: load(f"lightly.loss.{name}") for name in ("barlow_twins_loss", "vicreg_loss", "swav_loss")}
    cosine = load("lightly.loss.negative_cosine_similarity").NegativeCosineSimilarity()
    solo = {name: load(f"solo.losses.{name}") for name in ("barlow", "vicreg", "swav", "simsiam", "deepclusterv2")}
    codes = torch.from_numpy(scores[0])

    def deepcluster(scores):
        targets = torch.from_numpy(labels)[None]
        return solo["deepclusterv2"].deepclusterv2_loss_func(scores[:1, None], targets)

    results = {
        "barlow_twins lightly": with_gradients(lightly["barlow_twins_loss"].BarlowTwinsLoss(), first, second),
        "barlow_twins solo": with_gradients(
            lambda a, b: solo["barlow"].barlow_loss_func(a, b, 5e-3, 1.0), first, second
        ),
        "vicreg lightly": with_gradients(lightly["vicreg_loss"].VICRegLoss(), first, second),
        # solo-learn 1.0.2 adds both branches' variance terms where the paper's code takes their mean
        "vicreg solo": with_gradients(
            lambda a, b: solo["vicreg"].vicreg_loss_func(a, b, var_loss_weight=12.5), first, second
        ),
        "negative_cosine lightly": with_gradients(lambda p, t: cosine(p, t.detach()), first, second),
        "negative_cosine solo": with_gradients(solo["simsiam"].simsiam_loss_func, first, second),
        "sinkhorn lightly": [lightly["swav_loss"].sinkhorn(codes).numpy()],
        "sinkhorn solo": [load("solo.utils.sinkhorn_knopp").SinkhornKnopp()(codes).numpy()],
        "swav lightly": with_gradients(lambda s: lightly["swav_loss"].SwaVLoss()(list(s[:2]), list(s[2:])), scores),
        "swav solo": with_gradients(
            lambda s: solo["swav"].swav_loss_func(list(s[:2]), list(torch.from_numpy(assignments))), scores
        ),
        "dino lightly": with_gradients(dino_of_lightly, student, teacher),
        "dino solo": with_gradients(dino_of_solo, student, teacher),
        "cluster_cross_entropy solo": with_gradients(deepcluster, scores),
        "masked_regression stable-pretraining": with_gradients(
            lambda p: mae(p, torch.from_numpy(patches), mask, True), prediction
        ),
        "masked_regression plain stable-pretraining": with_gradients(
            lambda p: mae(p, torch.from_numpy(patches), mask, False), prediction
        ),
        "cross_entropy torch": with_gradients(
            lambda s: torch.nn.functional.cross_entropy(
                s[0], torch.from_numpy(labels), ignore_index=-1, label_smoothing=0.1
            ),
            scores,
        ),
    }
    inputs = {"first": first, "second": second, "scores": scores, "student": student, "teacher": teacher}
    inputs |= {"assignments": assignments, "labels": labels}
    inputs |= {"prediction": prediction, "patches": patches, "mask": mask}
    arrays = {f"{name} {number}": array for name, row in results.items() for number, array in enumerate(row)}
    np.savez_compressed(Path(__file__).with_name("losses.npz"), **inputs, **arrays)
    for name, (value, *_) in results.items():
        print(f"{name:44}{float(np.sum(value)):.12g}")


if __name__ == "__main__":
    main()
