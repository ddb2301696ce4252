"""A SimCLR step in PyTorch as its users write it today: torch.compile, bfloat16 autocast, channels last, fused AdamW.

The two views are given: a step of ours that is compared with it makes none either.
"""

import importlib
import time

DIM, TEMPERATURE = 128, 0.1


def images_per_second(encoder: str, *, batch: int, steps: int) -> float:
    """Images a second of the best of three groups of steps, after two that compile.

    Args:
      encoder: "resnet50" (torchvision) or "vit_small/16" (timm).
      batch: images of a step; each has two views of 224 pixels.
      steps: steps of a group.
    """
    torch = importlib.import_module("torch")
    network = torch.nn.Sequential(*make_layers(torch, encoder)).cuda().to(memory_format=torch.channels_last)
    compiled = torch.compile(network)
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    views = torch.randn(2 * batch, 3, 224, 224, device="cuda").contiguous(memory_format=torch.channels_last)
    partner = torch.arange(2 * batch, device="cuda").roll(batch)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            rows = compiled(views)
        rows = torch.nn.functional.normalize(rows.float())
        logits = (rows @ rows.T / TEMPERATURE).fill_diagonal_(-torch.inf)
        torch.nn.functional.cross_entropy(logits, partner).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(2):
        step()
    seconds = []
    for _ in range(3):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        torch.cuda.synchronize()
        seconds.append((time.perf_counter() - start) / steps)
    return batch / min(seconds)


def make_layers(torch: object, encoder: str) -> list[object]:
    """The encoder without its classifier, and a head of two layers."""
    if encoder == "resnet50":
        net, width = importlib.import_module("torchvision").models.resnet50(), 2048
        net.fc = torch.nn.Identity()
    else:
        net, width = importlib.import_module("timm").create_model("vit_small_patch16_224", num_classes=0), 384
    return [net, torch.nn.Linear(width, width), torch.nn.ReLU(), torch.nn.Linear(width, DIM)]
