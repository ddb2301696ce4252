"""Weights to and from the layouts of timm, torchvision and transformers, as safetensors."""

from ssl_jax.interop.card import model_card
from ssl_jax.interop.loading import LAYOUTS, loading_lines
from ssl_jax.interop.names import Layout
from ssl_jax.interop.weights import Read, read_weights, write_weights

__all__ = ["LAYOUTS", "Layout", "Read", "loading_lines", "model_card", "read_weights", "write_weights"]
