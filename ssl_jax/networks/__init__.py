"""Encoders and heads, each a `Net` of two pure functions on plain nested dicts."""

from ssl_jax.networks.encoders import ENCODERS, encoder
from ssl_jax.networks.functional import Net, functional
from ssl_jax.networks.heads import linear_head, projection_head, prototype_head
from ssl_jax.networks.regnet import regnety
from ssl_jax.networks.resnet import resnet, resnet18, resnet34, resnet50
from ssl_jax.networks.small import small_convnet
from ssl_jax.networks.vit import vit, vit_base, vit_large, vit_small, vit_tiny

__all__ = [
    "ENCODERS",
    "Net",
    "encoder",
    "functional",
    "linear_head",
    "projection_head",
    "prototype_head",
    "regnety",
    "resnet",
    "resnet18",
    "resnet34",
    "resnet50",
    "small_convnet",
    "vit",
    "vit_base",
    "vit_large",
    "vit_small",
    "vit_tiny",
]
