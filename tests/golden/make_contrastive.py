"""Writes contrastive.npz: what published implementations say of small inputs, for losses with negatives.

    pip install torch==2.13.0 numpy tqdm scikit-learn loguru && pip install --no-deps lightly==1.6.0 solo-learn==1.0.2 \
        stable-pretraining==0.1.8 pytorch-metric-learning==2.9.0 info-nce-pytorch==0.1.4
    python tests/golden/make_contrastive.py

The tests read the file and need none of these packages. Values and gradients are in float64.
"""

import sys
import types
from pathlib import Path

import numpy as np
import torch
from info_nce import info_nce
from make_losses import load, with_gradients
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

TEMPERATURE = 0.3
LABELS = np.array([0, 1, 2, 0, 1, 1, 3, 0])  # class 2 and 3 have one example each


def lightly_with_bank(query, positive, negatives):
    """MoCo in lightly: its own memory bank, filled with our negatives."""
    loss = load("lightly.loss.ntx_ent_loss").NTXentLoss(TEMPERATURE, memory_bank_size=tuple(negatives.shape))
    bank = torch.nn.functional.normalize(negatives, dim=1).T  # [D, K], differentiable
    loss.memory_bank.forward = lambda keys, labels=None, update=False: (keys, bank)
    return loss(query, positive)


def solo_moco(query, positive, negatives):
    rows = (torch.nn.functional.normalize(part, dim=1) for part in (query, positive, negatives))
    query, positive, negatives = rows
    return load("solo.losses.moco").moco_loss_func(query, positive, negatives.T, TEMPERATURE)


def solo_supcon(first, second):
    """Positives in SimCLR's loss by a mask; both views of an example are of one class."""
    labels = torch.from_numpy(LABELS).repeat(2)
    same = (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool)
    return load("solo.losses.simclr").simclr_loss_func(first, second, TEMPERATURE, extra_pos_mask=same)


def metric_learning(loss, labels):
    return lambda first, second: loss(torch.cat([first, second]), torch.from_numpy(labels).repeat(2))


def moco_v3_of(pick):
    """Algorithm 1 of the paper round a published cross-entropy of picks."""

    def loss(first, second, first_keys, second_keys):
        first_keys, second_keys = first_keys.detach(), second_keys.detach()
        return 2 * TEMPERATURE * (pick(first, second_keys) + pick(second, first_keys))

    return loss


def main():
    torch.set_default_dtype(torch.float64)
    sys.modules["lightly.models.utils"] = types.ModuleType(
        "lightly.models.utils"
    )  # wants torchvision, for other losses
    alone = {"all_gather": lambda rows: [rows], "all_reduce": None, "get_rank": lambda: 0, "get_world_size": lambda: 1}
    sys.modules["stable_pretraining.utils"] = types.SimpleNamespace(
        **alone
    )  # one process; the rest wants more packages
    rng = np.random.default_rng(2025)
    first = rng.standard_normal((8, 5))
    second = first + 0.7 * rng.standard_normal((8, 5))
    negatives, own_negatives = rng.standard_normal((11, 5)), rng.standard_normal((8, 6, 5))
    first_keys, second_keys = rng.standard_normal((2, 8, 5))

    ntx = load("lightly.loss.ntx_ent_loss").NTXentLoss(TEMPERATURE)
    stable = load("stable_pretraining.losses.joint_embedding")
    solo_nnclr, solo_simclr = load("solo.losses.nnclr").nnclr_loss_func, load("solo.losses.simclr").simclr_loss_func

    def stable_pick(queries, keys):
        return stable.InfoNCELoss(TEMPERATURE)(queries, keys, torch.arange(len(queries)))

    def solo_pick(queries, keys):
        return solo_nnclr(queries, keys, TEMPERATURE)

    def info(mode):
        return lambda q, p, n: info_nce(q, p, n, temperature=TEMPERATURE, negative_mode=mode)

    pair, one_each = (first, second), np.arange(len(first))
    results = {
        "ntxent lightly": with_gradients(ntx, *pair),
        "ntxent solo": with_gradients(lambda a, b: solo_simclr(a, b, TEMPERATURE), *pair),
        "ntxent stable-pretraining": with_gradients(stable.NTXEntLoss(TEMPERATURE), *pair),
        "ntxent metric-learning": with_gradients(metric_learning(NTXentLoss(TEMPERATURE), one_each), *pair),
        "decoupled lightly": with_gradients(load("lightly.loss.dcl_loss").DCLLoss(TEMPERATURE), *pair),
        "supervised solo": with_gradients(solo_supcon, *pair),
        "supervised metric-learning": with_gradients(metric_learning(SupConLoss(TEMPERATURE), LABELS), *pair),
        "in_batch solo": with_gradients(solo_pick, *pair),
        "in_batch stable-pretraining": with_gradients(stable_pick, *pair),
        "info_nce lightly": with_gradients(lightly_with_bank, *pair, negatives),
        "info_nce solo": with_gradients(solo_moco, *pair, negatives),
        "info_nce info-nce-pytorch": with_gradients(info("unpaired"), *pair, negatives),
        "info_nce own info-nce-pytorch": with_gradients(info("paired"), *pair, own_negatives),
        "moco_v3 solo": with_gradients(moco_v3_of(solo_pick), *pair, first_keys, second_keys),
        "moco_v3 stable-pretraining": with_gradients(moco_v3_of(stable_pick), *pair, first_keys, second_keys),
    }
    inputs = {"first": first, "second": second, "negatives": negatives, "own_negatives": own_negatives}
    inputs |= {"first_keys": first_keys, "second_keys": second_keys, "labels": LABELS}
    arrays = {f"{name} {number}": array for name, row in results.items() for number, array in enumerate(row)}
    np.savez_compressed(Path(__file__).with_name("contrastive.npz"), **inputs, **arrays)
    for name, (value, *_) in results.items():
        print(f"{name:44}{float(np.sum(value)):.12g}")


if __name__ == "__main__":
    main()
