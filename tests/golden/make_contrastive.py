"""Writes contrastive.npz: what published implementations say of small inputs, for losses with negatives.

    pip install torch==2.13.0 numpy tqdm scikit-learn loguru && pip install --no-deps lightly==1.6.0 solo-learn==1.0.2 \
        stable-pretraining==0.1.8 pytorch-metric-learning==2.9.0 info-nce-pytorch==0.1.4 vissl==0.1.6 \
        contrastive-ne==0.4.0 lightning-bolts==0.7.0
    python tests/golden/make_contrastive.py CHECKOUTS

CHECKOUTS is a folder with the repositories that are no packages, at the commits that README.md names. The tests read the
file and need none of all this. Values and gradients are in float64.
"""

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import torch
from info_nce import info_nce
from make_losses import PACKAGES, load, with_gradients
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

TEMPERATURE = 0.3
LABELS = np.array([0, 1, 2, 0, 1, 1, 3, 0])  # class 2 and 3 have one example each
LOG_PARTITION, FIRST_STEP = 0.4, 2
PACKAGES |= {"vissl": "vissl", "cne": "contrastive-ne", "pl_bolts": "lightning-bolts"}


def checked_out(path):
    """A module of a repository that is no package."""
    spec = importlib.util.spec_from_file_location(path.replace("/", "_"), Path(sys.argv[1]) / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unit(*arrays):
    return [torch.nn.functional.normalize(array, dim=-1) for array in arrays]


def lightly_with_bank(query, positive, negatives):
    """MoCo in lightly: our negatives instead of its memory bank, which has no gradient."""
    loss = load("lightly.loss.ntx_ent_loss").NTXentLoss(TEMPERATURE, memory_bank_size=tuple(negatives.shape))
    bank = unit(negatives)[0].T  # [D, K]
    loss.memory_bank.forward = lambda keys, labels=None, update=False: (keys, bank)
    return loss(query, positive)


def solo_moco(query, positive, negatives):
    query, positive, negatives = unit(query, positive, negatives)
    return load("solo.losses.moco").moco_loss_func(query, positive, negatives.T, TEMPERATURE)


def decoupled_of_raminnakhli(first, second):
    """Its sum of two directions, where lightly takes their mean."""
    return checked_out("Decoupled-Contrastive-Learning/loss/dcl.py").DCL(TEMPERATURE)(*unit(first, second)) / 2


def solo_supcon(first, second):
    """Positives in SimCLR's loss by a mask; both views of an example are of one class."""
    labels = torch.from_numpy(LABELS).repeat(2)
    same = (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool)
    return load("solo.losses.simclr").simclr_loss_func(first, second, TEMPERATURE, extra_pos_mask=same)


def metric_learning(loss, labels):
    return lambda first, second: loss(torch.cat([first, second]), torch.from_numpy(labels).repeat(2))


def moco_v3_of_authors(first, second, first_keys, second_keys):
    module = checked_out("moco-v3/moco/builder.py")
    itself = types.SimpleNamespace(T=TEMPERATURE, criterion=torch.nn.CrossEntropyLoss())

    def pick(queries, keys):
        return module.MoCo.ctr_loss(itself, queries, keys.detach(), torch.arange(len(queries)))[0]

    return pick(first, second_keys) + pick(second, first_keys)


def moco_v3_of(pick):
    """Algorithm 1 of the paper round a published cross-entropy of picks."""

    def loss(first, second, first_keys, second_keys):
        first_keys, second_keys = first_keys.detach(), second_keys.detach()
        return 2 * TEMPERATURE * (pick(first, second_keys) + pick(second, first_keys))

    return loss


def vissl_nce(query, positive, negatives):
    """NPID and PIRL: a bank of our positives, then our negatives; its partition constant comes from this first batch."""
    count, (length, dim) = len(query), (len(positive) + len(negatives), query.shape[1])
    config = {"loss_type": "nce", "num_train_samples": length, "temperature": TEMPERATURE, "norm_constant": -1}
    config |= {"norm_embedding": True, "loss_weights": [1.0], "update_mem_with_emb_index": 0}
    config["memory_params"] = {"embedding_dim": dim, "momentum": 0.5, "norm_init": True, "update_mem_on_forward": True}
    config["negative_sampling_params"] = {"type": "random", "num_negatives": len(negatives)}
    module = load("vissl.losses.nce_loss")
    loss = module.NCELossWithMemory(module.AttrDict(config))
    loss.nce_average.memory = torch.cat(unit(positive, negatives)).detach()
    own = torch.arange(count)
    drawn = torch.cat([own[:, None], torch.arange(count, length).repeat(count, 1)], dim=1)
    loss.nce_average.do_negative_sampling = lambda *_, **__: drawn
    value = loss(query, own)
    return value, torch.log(loss.nce_average.params[2] / length)


def avid_nce(query, positive, negatives):
    """AVID and CMA: the partition constant comes from the negatives of this first batch."""
    query, positive, negatives = unit(query, positive, negatives)
    right, wrong = (query * positive).sum(1, keepdim=True) / TEMPERATURE, query @ negatives.T / TEMPERATURE
    return checked_out("AVID-CMA/criterions/nce.py").NCECriterion(0)(right, wrong)


def in_batch_nce(first, second):
    """Negatives of a row are all others; a mean over the 1 + K pairs, where the papers' codes take a sum."""
    pairs = 2 * len(first) - 1
    loss = load("cne.cne").ContrastiveLoss(pairs - 1, "nce", "cosine", clamp_low=0)
    return pairs * loss(torch.cat([first, second]), torch.tensor(LOG_PARTITION), torch.tensor(TEMPERATURE).log())


def bolts_cpc(predictions, targets):
    """One step at a time; a mean over steps, where `CPCTask.forward` takes a sum."""
    task = load("pl_bolts.losses.self_supervised_learning").CPCTask
    itself = types.SimpleNamespace(embed_scale=1 / TEMPERATURE, target_dim=targets.shape[-1])
    targets, predictions = targets.movedim(-1, 1), predictions.movedim(-1, 2)
    steps = enumerate(predictions, start=FIRST_STEP)
    return torch.stack([task.compute_loss_h(itself, targets, made, step - 1) for step, made in steps]).mean()


def leave_out_imports():
    """Stands in for what the packages import for other purposes, or for more processes than one."""
    one = {"all_gather": lambda rows: [rows], "all_reduce": None, "get_rank": lambda: 0, "get_world_size": lambda: 1}
    parts = {
        "lightly.models.utils": {},
        "stable_pretraining.utils": one,
        "classy_vision.generic.distributed_util": one | {"all_reduce_mean": lambda rows: rows, "gather_from_all": None},
        "classy_vision.generic.util": {"is_pos_int": lambda number: number > 0},
        "classy_vision.losses": {"ClassyLoss": torch.nn.Module, "register_loss": lambda name: lambda loss: loss},
        "vissl.config": {"AttrDict": load("vissl.config.attr_dict").AttrDict},
        "utils.distributed_utils": {"_gather_from_all": None},
        "pl_bolts.utils.stability": {"under_review": lambda: lambda loss: loss},
        "pl_bolts.models.vision.pixel_cnn": {"PixelCNN": None},
    }
    sys.modules.update({name: types.SimpleNamespace(**part) for name, part in parts.items()})


def main():
    torch.set_default_dtype(torch.float64)
    leave_out_imports()
    rng = np.random.default_rng(2025)
    first = rng.standard_normal((8, 5))
    second = first + 0.7 * rng.standard_normal((8, 5))
    negatives, own_negatives = rng.standard_normal((11, 5)), rng.standard_normal((8, 6, 5))
    first_keys, second_keys = rng.standard_normal((2, 8, 5))
    predictions, targets = rng.standard_normal((3, 2, 5, 3, 4)), rng.standard_normal((2, 5, 3, 4))

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
        "decoupled raminnakhli": with_gradients(decoupled_of_raminnakhli, *pair),
        "supervised solo": with_gradients(solo_supcon, *pair),
        "supervised metric-learning": with_gradients(metric_learning(SupConLoss(TEMPERATURE), LABELS), *pair),
        "supervised alone metric-learning": with_gradients(
            lambda rows: SupConLoss(TEMPERATURE)(rows, torch.from_numpy(LABELS)), first
        ),
        "in_batch solo": with_gradients(solo_pick, *pair),
        "in_batch stable-pretraining": with_gradients(stable_pick, *pair),
        "info_nce lightly": with_gradients(lightly_with_bank, *pair, negatives),
        "info_nce solo": with_gradients(solo_moco, *pair, negatives),
        "info_nce info-nce-pytorch": with_gradients(info("unpaired"), *pair, negatives),
        "info_nce own info-nce-pytorch": with_gradients(info("paired"), *pair, own_negatives),
        "nce npid vissl": with_gradients(lambda *rows: vissl_nce(*rows)[0], *pair, negatives),
        "log_partition npid vissl": [vissl_nce(*map(torch.from_numpy, (first, second, negatives)))[1].numpy()],
        "nce avid authors": with_gradients(avid_nce, *pair, negatives),
        "nce in_batch contrastive-ne": with_gradients(in_batch_nce, *pair),
        "cpc bolts": with_gradients(bolts_cpc, predictions, targets),
        "moco_v3 authors": with_gradients(moco_v3_of_authors, *pair, first_keys, second_keys),
        "moco_v3 solo": with_gradients(moco_v3_of(solo_pick), *pair, first_keys, second_keys),
        "moco_v3 stable-pretraining": with_gradients(moco_v3_of(stable_pick), *pair, first_keys, second_keys),
    }
    inputs = {"first": first, "second": second, "negatives": negatives, "own_negatives": own_negatives}
    inputs |= {"first_keys": first_keys, "second_keys": second_keys, "labels": LABELS}
    inputs |= {"predictions": predictions, "targets": targets}
    arrays = {f"{name} {number}": array for name, row in results.items() for number, array in enumerate(row)}
    np.savez_compressed(Path(__file__).with_name("contrastive.npz"), **inputs, **arrays)
    for name, (value, *_) in results.items():
        print(f"{name:44}{float(np.sum(value)):.12g}")


if __name__ == "__main__":
    main()
