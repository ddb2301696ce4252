"""Layers of attention against PyTorch's and timm's; golden/README.md names their versions."""

from pathlib import Path

import jax
import numpy as np
import pytest

from ssl_jax.networks.attention import MultiHeadAttention
from ssl_jax.networks.functional import functional
from ssl_jax.networks.transformer_layer import TransformerLayer

ALL = ("attention", "cross", "mlp")
FILE = Path(__file__).parents[1] / "golden" / "attention.npz"
LAYERS = {
    "self_attention": lambda rngs: MultiHeadAttention(8, heads=2, rngs=rngs),
    "cross_attention": lambda rngs: MultiHeadAttention(8, heads=2, cross=True, rngs=rngs),
    "pre_encoder": lambda rngs: TransformerLayer(8, heads=2, hidden=12, rngs=rngs),
    "post_encoder": lambda rngs: TransformerLayer(
        8, heads=2, hidden=12, norm_first=False, activation="relu", rngs=rngs
    ),
    "pre_decoder": lambda rngs: TransformerLayer(8, heads=2, hidden=12, parts=ALL, causal=True, rngs=rngs),
    "post_decoder": lambda rngs: TransformerLayer(
        8, heads=2, hidden=12, parts=ALL, causal=True, norm_first=False, activation="relu", rngs=rngs
    ),
    "timm_block": lambda rngs: TransformerLayer(8, heads=2, hidden=12, rngs=rngs),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_those_of_pytorch_and_timm(name):
    net = functional(LAYERS[name])
    with np.load(FILE) as file:
        golden = {key.removeprefix(f"{name}/"): file[key] for key in file if key.startswith(f"{name}/")}
        seen = None if name == "timm_block" else ~file["padding"][:, None, None]
    outline, _ = jax.eval_shape(net.init, jax.random.key(0))
    at = lambda path: golden["params/" + "/".join(key.key for key in path)].astype(np.float32)  # noqa: E731
    params = jax.tree_util.tree_map_with_path(lambda path, _: at(path), outline)
    assert sum(key.startswith("params/") for key in golden) == len(jax.tree.leaves(params))

    def value(*inputs):
        masked = (inputs[0], None, *inputs[1:], seen) if name.endswith("decoder") else (*inputs, seen)
        if name == "self_attention":
            masked = (inputs[0], None, seen)
        outputs, _ = net.apply(params, {}, *masked, train=True)
        return (outputs * golden["cotangent"].astype(np.float32)).sum(), outputs

    inputs = [golden[key].astype(np.float32) for key in sorted(golden) if key.startswith("inputs/")]
    gradients, outputs = jax.jit(jax.grad(value, argnums=range(len(inputs)), has_aux=True))(*inputs)
    np.testing.assert_allclose(outputs, golden["value"], rtol=1e-4, atol=1e-5)
    for number, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, golden[f"gradients/{number}"], rtol=1e-4, atol=1e-5)
