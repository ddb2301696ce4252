"""Weights to and from the layouts of timm, torchvision and transformers, as safetensors."""

from ssl_jax.interop.card import model_card
from ssl_jax.interop.loading import LAYOUTS, loading_lines
from ssl_jax.interop.names import Layout
from ssl_jax.interop.published import Located, described, locate
from ssl_jax.interop.reading import arrays_in, outlines_in
from ssl_jax.interop.stored import read_arrays, write_arrays
from ssl_jax.interop.weights import Read, check_located, read_located, read_weights, write_weights

__all__ = [
    "LAYOUTS",
    "Layout",
    "Located",
    "Read",
    "arrays_in",
    "check_located",
    "described",
    "loading_lines",
    "locate",
    "model_card",
    "outlines_in",
    "read_arrays",
    "read_located",
    "read_weights",
    "write_arrays",
    "write_weights",
]
