"""Writes steps.npz: one whole step of eight methods by lightly's heads, losses and momentum updates.

    pip install torch==2.13.0 numpy && pip install --no-deps lightly==1.6.0
    python tests/golden/make_steps.py

The tests read the file and need none of these packages. Weights and views are drawn here; what is computed with them in
float64 is stored in float32 under ssl_jax's names: `METHOD/params/...` and `METHOD/state/...` before the step, embeddings,
loss and gradient, and under `METHOD/after/...` what follows from more than SGD.
"""

import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import torch
from make_losses import load
from torch import nn

# lightly's models import them for other networks than its heads.
sys.modules |= {"torchvision": types.ModuleType("torchvision")}
sys.modules |= {"torchvision.ops": types.SimpleNamespace(StochasticDepth=None)}
heads, utils = load("lightly.models.modules.heads"), load("lightly.models.utils")
cosine_schedule = load("lightly.utils.scheduler").cosine_schedule
BarlowTwinsLoss = load("lightly.loss.barlow_twins_loss").BarlowTwinsLoss
DINOLoss = load("lightly.loss.dino_loss").DINOLoss
NegativeCosineSimilarity = load("lightly.loss.negative_cosine_similarity").NegativeCosineSimilarity
NTXentLoss = load("lightly.loss.ntx_ent_loss").NTXentLoss
SwaVLoss = load("lightly.loss.swav_loss").SwaVLoss
VICRegLoss = load("lightly.loss.vicreg_loss").VICRegLoss

BATCH, FEATURES, HIDDEN, WIDTH, PROTOTYPES = 8, 16, 12, 8, 6
STEP, STEPS, MOMENTUM, LEARNING_RATE = 2, 8, 0.9, 0.1
RANDOM = np.random.default_rng(2026)
OURS = {nn.Conv2d: "layer{}/conv", nn.BatchNorm2d: "layer{}/norm", nn.Linear: "layer{}", nn.BatchNorm1d: "norm{}"}


class Encoder(nn.Module):
    """ssl_jax.networks.small_convnet of widths 4 and 8."""

    def __init__(self):
        super().__init__()
        first, second = (nn.Conv2d(*sizes, 3, stride=2, padding=1, bias=False) for sizes in ((1, 4), (4, 8)))
        self.layers = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), second, nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images):
        places = self.layers(images)
        return torch.cat([places.mean((2, 3)), places.amax((2, 3))], dim=1)


def random(*shape):
    """Numbers that float32 holds, in float64."""
    return torch.from_numpy(RANDOM.standard_normal(shape).astype(np.float32)).double()


def drawn(**networks):
    """An encoder and these networks with random weights and running means; gains are about 1."""
    made = nn.ModuleDict({"encoder": Encoder(), **{name: make() for name, make in networks.items()}})
    if "prototypes" in made:  # the authors' are directions; lightly's are a linear layer with a bias
        made.prototypes.heads[0].bias.requires_grad_(False).zero_()
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:
            gain = parameter.ndim == 1 and name.endswith("weight")
            parameter.data = 1 + random(*parameter.shape) / 4 if gain else random(*parameter.shape) / 2
    for _, layer in layers(made):
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean = random(*layer.running_mean.shape)
    return made


def layers(networks):
    """The layers of encoder and heads, each with its place in ssl_jax."""
    for name, network in networks.items():
        number = 0
        for layer in getattr(network, "layers", ()):
            number += isinstance(layer, nn.Conv2d | nn.Linear)
            if type(layer) in OURS:
                yield f"{name}/{OURS[type(layer)].format(number)}", layer


def parameters(networks):
    found = {}
    for place, layer in layers(networks):
        found |= {f"{place}/{'scale' if 'norm' in place else 'kernel'}": layer.weight, f"{place}/bias": layer.bias}
    if "prototypes" in networks:
        found["prototypes"] = networks.prototypes.heads[0].weight
    if hasattr(networks.head, "last_layer"):
        found["head/prototypes"] = networks.head.last_layer.weight_v
    return {name: parameter for name, parameter in found.items() if parameter is not None}


def statistics(networks):
    norms = [(place, layer) for place, layer in layers(networks) if "norm" in place]
    return {f"{p}/mean": norm.running_mean for p, norm in norms} | {f"{p}/var": norm.running_var for p, norm in norms}


def remembered(criterion):
    """What a loss carries from step to step."""
    if isinstance(criterion, DINOLoss):
        return {"center": criterion.center[0, 0]}
    if isinstance(criterion, NTXentLoss) and criterion.memory_bank.size != (0,):
        bank = criterion.memory_bank
        return {"queue/rows": bank.bank, "queue/next": bank.bank_ptr[0], "queue/filled": torch.tensor(len(bank.bank))}
    return {}


def under(folder, tensors):
    return {f"{folder}/{name}": tensor for name, tensor in tensors.items()}


def snapshot(student, teacher, criterion):
    """Parameters and state as they are now."""
    state = statistics(student) | remembered(criterion)
    if teacher is not None:
        state |= under("teacher/params", parameters(teacher)) | under("teacher/stats", statistics(teacher))
    found = under("params", parameters(student)) | under("state", state)
    return {name: tensor.detach().clone() for name, tensor in found.items()}


def project(networks, views):
    """Embeddings of each view: all views of one size in one batch, or each on its own, as README.md says."""
    if not isinstance(networks.head, heads.SimCLRProjectionHead | heads.SwaVProjectionHead | heads.DINOProjectionHead):
        return [networks.head(networks.encoder(view)) for view in views]
    features = [networks.encoder(torch.cat(same)) for same in (views[:2], views[2:]) if same]
    return networks.head(torch.cat(features)).chunk(len(views))


def two_views(criterion, student, teacher, views):
    embedding = project(student, views[:2])
    return criterion(*embedding), {"embedding": embedding}


def moco_loss():
    """NT-Xent with a full queue, the second half of which is next to go."""
    criterion = NTXentLoss(temperature=0.2, memory_bank_size=(2 * BATCH, WIDTH))
    criterion.memory_bank.bank = nn.functional.normalize(random(2 * BATCH, WIDTH))
    criterion.memory_bank.bank_ptr[0] = BATCH
    return criterion


def moco(criterion, student, teacher, views):
    query, key = project(student, views[:1]), project(teacher, views[1:2])
    return criterion(query[0], key[0].detach()), {"embedding": query, "target": key}


def swav(criterion, student, teacher, views):
    embedding = [nn.functional.normalize(crop, dim=1, p=2) for crop in project(student, views)]
    scores = [student.prototypes(crop) for crop in embedding]
    return criterion(scores[:2], scores[2:]), {"embedding": [crop.detach() for crop in embedding], "scores": scores}


def byol(criterion, student, teacher, views):
    """lightly has a quarter of the paper's loss, without its constant."""
    embedding = project(student, views[:2])
    prediction = [student.predictor(view) for view in embedding]
    embedding, target = ([view.detach() for view in rows] for rows in (embedding, project(teacher, views[:2])))
    loss = 0.5 * (criterion(prediction[0], target[1]) + criterion(prediction[1], target[0]))
    return 4 + 4 * loss, {"embedding": embedding, "prediction": prediction, "target": target}


def simsiam(criterion, student, teacher, views):
    embedding = project(student, views[:2])
    prediction = [student.predictor(view) for view in embedding]
    embedding = [view.detach() for view in embedding]
    loss = 0.5 * (criterion(embedding[0], prediction[1]) + criterion(embedding[1], prediction[0]))
    return loss, {"embedding": embedding, "prediction": prediction}


def dino_loss():
    """At a third of the way from one temperature of the teacher to the other, with a centre."""
    criterion = DINOLoss(PROTOTYPES, warmup_teacher_temp=0.04, teacher_temp=0.07, warmup_teacher_temp_epochs=7)
    criterion.center = random(1, 1, PROTOTYPES) / 8
    return criterion


def dino(criterion, student, teacher, views):
    embedding, target = project(student, views), project(teacher, views[:2])
    return criterion(target, embedding, epoch=STEP), {"embedding": embedding, "target": target}


def whole_step(step, head, others, make_criterion, momentum, views):
    """Everything about a step by its name: before it, in it, and after SGD and what follows that."""
    criterion, student, teacher = make_criterion(), drawn(head=head, **others), None
    if momentum is not None:
        teacher = drawn(head=head)
        utils.deactivate_requires_grad(teacher)
    if "prototypes" in student:
        student.prototypes.normalize()
    found = snapshot(student, teacher, criterion)

    loss, embeddings = step(criterion, student, teacher, views)
    learning = {name: rows for name, rows in embeddings.items() if rows[0].requires_grad}
    for rows in learning.values():
        for row in rows:
            row.retain_grad()
    loss.backward()
    found |= under("embeddings", {name: torch.stack(list(rows), 1) for name, rows in embeddings.items()})
    found |= {"loss": loss.detach().reshape(())}
    slopes = {name: torch.stack([row.grad for row in rows], 1) for name, rows in learning.items()}
    found |= under("gradient/embeddings", slopes)
    found |= under("gradient/params", {name: parameter.grad for name, parameter in parameters(student).items()})

    torch.optim.SGD(student.parameters(), lr=LEARNING_RATE).step()
    if "prototypes" in student:
        student.prototypes.normalize()
    if teacher is not None:
        utils.update_momentum(student.encoder, teacher.encoder, momentum)
        utils.update_momentum(student.head, teacher.head, momentum)
    after = snapshot(student, teacher, criterion)
    told = [name for name in after if name == "params/prototypes" or name.startswith("state/")]
    # PyTorch's running variances are unbiased, ours the population's.
    return found | under("after", {name: after[name] for name in told if not name.endswith(("/var", "/filled"))})


def stored(name, tensor):
    """An array; kernels are `[inputs, outputs]` and `[height, width, inputs, outputs]`."""
    if name.endswith("kernel"):
        tensor = tensor.T if tensor.ndim == 2 else tensor.permute(2, 3, 1, 0)
    return tensor.detach().numpy().astype(np.float32 if tensor.is_floating_point() else np.int32)


def main():
    torch.set_default_dtype(torch.float64)
    rising = cosine_schedule(STEP, STEPS + 1, MOMENTUM, 1.0)
    predictor = {"predictor": partial(heads.BYOLPredictionHead, WIDTH, 4, WIDTH)}
    bottleneck = {"predictor": partial(heads.SimSiamPredictionHead, WIDTH, 4, WIDTH)}
    prototypes = {"prototypes": partial(heads.SwaVPrototypes, WIDTH, PROTOTYPES)}
    methods = {  # step, head, other networks, loss, momentum of the teacher
        "barlow_twins": (two_views, heads.BarlowTwinsProjectionHead, {}, BarlowTwinsLoss, None),
        "byol": (byol, heads.BYOLProjectionHead, predictor, NegativeCosineSimilarity, rising),
        "dino": (dino, partial(heads.DINOProjectionHead, output_dim=PROTOTYPES), {}, dino_loss, rising),
        "moco": (moco, heads.MoCoProjectionHead, {}, moco_loss, MOMENTUM),
        "simclr": (two_views, heads.SimCLRProjectionHead, {}, partial(NTXentLoss, temperature=0.2), None),
        "simsiam": (simsiam, heads.SimSiamProjectionHead, bottleneck, NegativeCosineSimilarity, None),
        "swav": (swav, heads.SwaVProjectionHead, prototypes, SwaVLoss, None),
        "vicreg": (two_views, heads.VICRegProjectionHead, {}, VICRegLoss, None),
    }
    large = (random(1, BATCH, 1, 8, 8) + random(2, BATCH, 1, 8, 8) / 2).float().double()
    small = large[..., 1:7, 2:8]
    arrays = {"views": large.permute(1, 0, 3, 4, 2), "small_views": small.permute(1, 0, 3, 4, 2)}
    for name, (step, head, others, criterion, momentum) in methods.items():
        head = partial(head, FEATURES, HIDDEN, WIDTH)
        found = whole_step(step, head, others, criterion, momentum, [*large, *small])
        arrays |= under(name, found)
        print(f"{name:16}{float(found['loss']):.12g}")
    arrays = {name: stored(name, tensor) for name, tensor in arrays.items()}
    np.savez_compressed(Path(__file__).with_name("steps.npz"), **arrays)


if __name__ == "__main__":
    main()
