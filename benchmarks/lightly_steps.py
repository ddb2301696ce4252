"""SimCLR with lightly, as in its own example: transforms in the workers of a DataLoader, its head and loss; AdamW as ours."""

import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

TEMPERATURE, RATE = 0.2, 1e-3


def steps(encoder: str, images: np.ndarray, *, batch: int, channels_last: bool, workers: int = 2) -> Iterator[float]:
    """The losses of training steps, one after the other; waiting for the next is a step with its data.

    Args:
      encoder: "small", "resnet18" (torchvision, 3x3 stem without pooling) or "vit_tiny/4" (timm).
      images: uint8 `[N, H, W, C]`, square; views have their size.
      batch: images of a step; each has two views.
      channels_last: the memory format of images and weights.
      workers: processes that make views.
    """
    torch = importlib.import_module("torch")
    side, channels = images.shape[1], images.shape[-1]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    net = network(torch, encoder, side=side, channels=channels).to(memory_format=layout)
    loss_of = importlib.import_module("lightly.loss").NTXentLoss(temperature=TEMPERATURE)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE)
    data = Views(images)
    while True:
        loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True, num_workers=workers)
        for first, second in loader:
            rows = net(torch.cat([first, second]).contiguous(memory_format=layout))
            loss = loss_of(*rows.chunk(2))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield float(loss)


class Views:
    """Two views of each image by lightly's transform without blur, which small images have none of."""

    def __init__(self, images: np.ndarray):
        self.images = images if images.shape[-1] == 3 else images[..., 0]
        transform = importlib.import_module("lightly.transforms").SimCLRTransform
        self.transform = transform(input_size=images.shape[1], gaussian_blur=0.0, normalize=None)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> Any:
        return self.transform(importlib.import_module("PIL.Image").fromarray(self.images[number]))


def network(torch: Any, encoder: str, *, side: int, channels: int) -> Any:
    """Encoder and projection head."""
    nn = torch.nn
    if encoder == "small":
        net, width = Small(torch, channels), 256
        head = nn.Sequential(nn.Linear(width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 64))
        return nn.Sequential(net, head)
    if encoder == "resnet18":
        net, width = importlib.import_module("torchvision").models.resnet18(), 512
        net.conv1, net.maxpool, net.fc = nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.Identity(), nn.Identity()
    else:
        options = {"patch_size": 4, "img_size": side, "in_chans": channels, "num_classes": 0}
        net, width = importlib.import_module("timm").create_model("vit_tiny_patch16_224", **options), 192
    return nn.Sequential(net, importlib.import_module("lightly.models.modules").SimCLRProjectionHead(width, 512, 128))


def Small(torch: Any, channels: int) -> Any:
    """`ssl_jax.networks.small`: three convolutions of stride 2; mean and maximum over positions."""
    nn, layers = torch.nn, []
    for inputs, outputs in ((channels, 32), (32, 64), (64, 128)):
        layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    class Pooled(nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, maps: Any) -> Any:
            return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)

    return nn.Sequential(*layers, Pooled())
