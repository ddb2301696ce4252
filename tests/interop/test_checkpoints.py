"""Checkpoints as the authors' programs write them, where PyTorch is installed; the names are those of interop/published.py.

Real models under these names, `torch.save`, the line that converts, `ssl-jax import`, and the same features.
"""

import argparse
import copy
import itertools
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import weights_table as measured

from ssl_jax.cli import main
from ssl_jax.commands.saved_run import restore

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")
torchvision = pytest.importorskip("torchvision")
safetensors_torch = pytest.importorskip("safetensors.torch")
nn = torch.nn
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def module(**parts):
    """A module with these as attributes, as the authors' classes have them."""
    made = nn.Module()
    for name, part in parts.items():
        setattr(made, name, part)
    return made


def parallel(model):
    """The names of DistributedDataParallel."""
    return module(module=model)


def mlp(*sizes):
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*(layer for a, b in pairs for layer in (nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())))


def resnet(head=None):
    model = torchvision.models.resnet18()
    measured.redrawn(model)
    model.fc = head or nn.Identity()
    return model


def vit(**options):
    model = timm.create_model(
        "vit_tiny_patch16_224", num_classes=0, embed_dim=64, depth=4, patch_size=7, img_size=28,
        **{"num_heads": 4} | options,
    )  # fmt: skip
    measured.redrawn(model)
    return model


def swav():
    """src/resnet50.py: a padding of 1 before the first convolution, and 2 of its own; heads beside the network."""
    model = resnet(mlp(512, 8))
    body = module(**dict(model.named_children()))
    body.padding, body.projection_head, body.prototypes = nn.ConstantPad2d(1, 0.0), mlp(512, 8), nn.Linear(8, 6)
    del body.fc
    return parallel(body), headless(model)


def headless(model):
    model = copy.deepcopy(model)
    model.fc = nn.Identity()
    return model


def moco(head):
    queries, keys = resnet(head), resnet(copy.deepcopy(head))
    nn.init.normal_(keys.conv1.weight)
    both = module(encoder_q=queries, encoder_k=keys)
    both.register_buffer("queue", torch.randn(8, 16))
    both.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
    return parallel(both), headless(queries)


def moco_v3():
    base = vit(num_heads=8)
    base.head = mlp(64, 8)
    momentum = copy.deepcopy(base)
    nn.init.normal_(momentum.cls_token)
    encoder = copy.deepcopy(base)
    encoder.head = nn.Identity()
    return parallel(module(base_encoder=base, momentum_encoder=momentum, predictor=mlp(8, 8))), encoder


def byol():
    """byol_pytorch.py: the network is the caller's `net` and the online encoder's, one array by two names."""
    net = resnet()
    target = copy.deepcopy(net)
    nn.init.normal_(target.conv1.weight)
    online = module(net=net, projector=mlp(512, 8))
    return module(net=net, online_encoder=online, online_predictor=mlp(8, 8), target_encoder=module(net=target)), net


def byol_sequential():
    """models/resnet_base_network.py and trainer.py of sthalles/PyTorch-BYOL: the children of a ResNet without the last."""
    online, target = resnet(), resnet()
    parts = {
        f"{name}_network_state_dict": module(
            encoder=nn.Sequential(*list(net.children())[:-1]), projetion=mlp(512, 8)
        ).state_dict()
        for name, net in (("online", online), ("target", target))
    }
    return parts | {"optimizer_state_dict": optimizer(online)}, online


def decorrelated(**parts):
    """main_vicreg.py, and main.py of Barlow Twins at 046eec3: the groups of parameters name a function of the program."""
    model, encoder = parallel(module(backbone=resnet(), projector=mlp(512, 8), **parts)), resnet()
    groups = optimizer(model)
    groups["param_groups"][0] |= {
        "weight_decay_filter": exclude_bias_and_norm,
        "lars_adaptation_filter": exclude_bias_and_norm,
    }
    return {"epoch": 100, "model": model.state_dict(), "optimizer": groups}, encoder


def exclude_bias_and_norm(p):
    raise AssertionError("the line that converts called it")


def solo_learn():
    """methods/base.py and byol.py: the ResNet for CIFAR, channels last, and what Lightning has beside it in a checkpoint."""

    def backbone():
        model = resnet()
        model.conv1 = nn.Conv2d(3, 64, kernel_size=3, stride=1, padding=2, bias=False)
        model.maxpool = nn.Identity()
        return model

    online, momentum = backbone(), backbone()
    nn.init.normal_(momentum.conv1.weight)
    parts = {"classifier": nn.Linear(512, 10), "projector": mlp(512, 8), "predictor": mlp(8, 8)}
    parts |= {"momentum_classifier": nn.Linear(512, 10), "momentum_projector": mlp(512, 8)}
    model = module(backbone=online, momentum_backbone=momentum, **parts).to(memory_format=torch.channels_last)
    checkpoint = {"epoch": 1, "global_step": 3, "pytorch-lightning_version": "2.1.2", "state_dict": model.state_dict()}
    checkpoint |= {
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"Best": {"score": np.float64(0.5), "path": Path("x")}},
    }
    return checkpoint | {"optimizer_states": [optimizer(model)], "lr_schedulers": [], "hparams_name": "cfg"}, online


def dino():
    backbone, teacher = vit(), vit()
    nn.init.normal_(backbone.cls_token)
    student = parallel(module(backbone=backbone, head=mlp(64, 8)))
    checkpoint = {"student": student.state_dict(), "teacher": module(backbone=teacher, head=mlp(64, 8)).state_dict()}
    checkpoint |= {"optimizer": optimizer(teacher), "epoch": 3, "args": argparse.Namespace(arch="vit_small", lr=0.1)}
    return checkpoint, teacher


def dinov2():
    """Blocks in chunks, and registers without positions."""
    model = vit(init_values=1.0, reg_tokens=3)
    names = {"reg_token": "register_tokens"} | {f"blocks.{n}.": f"blocks.{n // 2}.{n}." for n in range(4)}
    state = {"mask_token": torch.zeros(1, 64)}
    for name, array in model.state_dict().items():
        ours, theirs = next(((a, b) for a, b in names.items() if name.startswith(a)), ("", ""))
        state[theirs + name.removeprefix(ours)] = array
    positions = state["pos_embed"]
    state["pos_embed"] = torch.cat([positions[:, :1], positions[:, 4:]], dim=1)
    return {
        "teacher": {f"backbone.{name}": array for name, array in state.items()}
        | module(dino_head=dino_head(), ibot_head=dino_head()).state_dict()
    }, model


def dino_head():
    """layers/dino_head.py: a normed last layer, whose weight is a direction and a length."""
    head = module(mlp=nn.Sequential(nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 4)))
    head.last_layer = torch.nn.utils.weight_norm(nn.Linear(4, 6, bias=False))
    return head


def mae():
    encoder = vit()
    decoder = {f"decoder_{name}": array for name, array in vit().state_dict().items() if name != "cls_token"}
    model = encoder.state_dict() | decoder | {"mask_token": torch.zeros(1, 1, 64)}
    return {"model": model, "epoch": 799, "scaler": {"scale": 65536.0}, "args": argparse.Namespace(lr=0.1)}, encoder


def optimizer(model):
    made = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return made.state_dict()


def whole(make, key="state_dict"):
    model, encoder = make()
    return {"epoch": 100, "arch": "resnet50", key: model.state_dict(), "optimizer": optimizer(model)}, encoder


# Publisher: the checkpoint and its encoder, encoder and options of the import, chosen prefix.
CHECKPOINTS = {
    "moco v1": (lambda: whole(lambda: moco(nn.Linear(512, 8))), "resnet18", "state_dict.module.encoder_q."),
    "moco v2": (lambda: whole(lambda: moco(mlp(512, 8))), "resnet18", "state_dict.module.encoder_q."),
    "moco v3": (lambda: whole(moco_v3), "vit_micro --heads 8", "state_dict.module.base_encoder."),
    "swav": (lambda: whole(swav), "resnet18", "state_dict.module."),
    "swav, weights": (lambda: (swav()[0].state_dict(), swav()[1]), "resnet18", "module."),
    "barlow twins": (lambda: (resnet().state_dict(), resnet()), "resnet18", ""),
    "barlow twins, checkpoint": (
        lambda: decorrelated(bn=nn.BatchNorm1d(8, affine=False)), "resnet18", "model.module.backbone.",
    ),
    "vicreg": (decorrelated, "resnet18", "model.module.backbone."),
    "solo-learn": (solo_learn, "resnet18 --stem-padding 2", "state_dict.backbone."),
    "byol": (lambda: (byol()[0].state_dict(), byol()[1]), "resnet18", "online_encoder.net."),
    "byol, sequential": (byol_sequential, "resnet18", "online_network_state_dict.encoder."),
    "dino": (dino, "vit_micro --position-offset 0.1", "teacher.backbone."),
    "dino, weights": (lambda: (vit().state_dict(), vit()), "vit_micro", ""),
    "dinov2": (dinov2, "vit_micro --position-offset 0.1", "teacher.backbone."),
    "mae": (mae, "vit_micro", "model."),
}  # fmt: skip


@pytest.mark.parametrize("publisher", CHECKPOINTS)
def test_a_checkpoint_is_refused_converted_by_the_line_and_read(publisher, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make, words, prefix = CHECKPOINTS[publisher]
    checkpoint, encoder = make()
    torch.save(checkpoint, "x.pth", _use_new_zipfile_serialization=publisher != "swav")  # An older form, too.
    assert main(["import", "x.pth", "--encoder", *words.split()]) == 2
    command = re.search(r"python -c .*(?= \(see)", capsys.readouterr().err)[0]
    subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True)
    assert main(["import", "x.safetensors", "--encoder", *words.split(), "--run", "run"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["prefix"] == prefix
    assert bool(about["unused"]) == (publisher not in ("barlow twins", "dino, weights"))  # Heads, queues, predictors.
    images = np.random.default_rng(0).standard_normal((2, 28, 28, 3)).astype(np.float32)  # In patches of 7 pixels.
    _, recipe, state, _ = restore(tmp_path / "run", None)
    backbone = recipe.method.backbone(*jax.device_get((state.params, state.method_state)))
    with torch.no_grad():
        expected = encoder.eval()(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    assert measured.difference(measured.features_of(backbone, images), expected) < 1e-4
