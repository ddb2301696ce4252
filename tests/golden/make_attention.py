"""Writes attention.npz: what PyTorch's and timm's attention layers say of small inputs.

    pip install torch==2.14.1 timm==1.0.31
    python tests/golden/make_attention.py

The tests read the file and need none of these packages. Weights are drawn here, every one of them, and stored under ssl_jax's
names, `LAYER/params/...`; values are those of `LAYER/inputs/...`, gradients those of the sum of `cotangent * value`. All in
float64. Epsilon of the norms is 1e-6, as in vision transformers.
"""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from timm.models.vision_transformer import Block
from torch import nn

DIM, HEADS, HIDDEN = 8, 2, 12
RANDOM = np.random.default_rng(2024)
# Padding is True in PyTorch where nothing may look; the last tokens of the second example.
PADDING = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])


def drawn(module):
    for name, parameter in module.named_parameters():
        center = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        parameter.data = torch.from_numpy(center + 0.4 * RANDOM.standard_normal(parameter.shape))
    return module.eval()


def linear(name, weight, bias):
    return {f"{name}/kernel": weight.T, f"{name}/bias": bias}


def norm(name, module):
    return {f"{name}/scale": module.weight, f"{name}/bias": module.bias}


def attention(name, module, *, cross=False):
    """PyTorch keeps the matrices of queries, keys and values in one, below each other; ours are side by side."""
    weight, bias = module.in_proj_weight, module.in_proj_bias
    if cross:
        parts = linear("query", weight[:DIM], bias[:DIM]) | linear("memory", weight[DIM:], bias[DIM:])
    else:
        parts = linear("qkv", weight, bias)
    parts |= linear("projection", module.out_proj.weight, module.out_proj.bias)
    return {f"{name}{part}": value for part, value in parts.items()}


def layer(module, *, cross=False):
    params = attention("attention/", module.self_attn) | norm("attention_norm", module.norm1)
    if cross:
        params |= attention("cross/", module.multihead_attn, cross=True) | norm("cross_norm", module.norm2)
    params |= norm("mlp_norm", module.norm3 if cross else module.norm2)
    params |= linear("expand", module.linear1.weight, module.linear1.bias)
    return params | linear("contract", module.linear2.weight, module.linear2.bias)


def timm_block(block):
    params = norm("attention_norm", block.norm1) | norm("mlp_norm", block.norm2)
    for ours, theirs in {
        "attention/qkv": block.attn.qkv,
        "attention/projection": block.attn.proj,
        "expand": block.mlp.fc1,
        "contract": block.mlp.fc2,
    }.items():
        params |= linear(ours, theirs.weight, theirs.bias)
    return params


def measured(function, params, *lengths):
    """Everything about one layer at inputs `[2, length, DIM]`."""
    inputs = [torch.from_numpy(RANDOM.standard_normal((2, length, DIM))).requires_grad_() for length in lengths]
    value = function(*inputs)
    cotangent = torch.from_numpy(RANDOM.standard_normal(value.shape))
    gradients = torch.autograd.grad((value * cotangent).sum(), inputs)
    found = {f"params/{name}": tensor for name, tensor in params.items()} | {"value": value, "cotangent": cotangent}
    for number, pair in enumerate(zip(inputs, gradients, strict=True)):
        found |= dict(zip((f"inputs/{number}", f"gradients/{number}"), pair, strict=True))
    return found


def main():
    torch.set_default_dtype(torch.float64)
    options = {"dim_feedforward": HIDDEN, "dropout": 0.0, "layer_norm_eps": 1e-6, "batch_first": True}
    layers = {}

    mixer = drawn(nn.MultiheadAttention(DIM, HEADS, batch_first=True))
    own = lambda x: mixer(x, x, x, key_padding_mask=PADDING)[0]  # noqa: E731
    layers["self_attention"] = measured(own, attention("", mixer), 5)
    other = lambda x, context: mixer(x, context, context, key_padding_mask=PADDING)[0]  # noqa: E731
    layers["cross_attention"] = measured(other, attention("", mixer, cross=True), 4, 5)

    for order, activation in (("post", "relu"), ("pre", "gelu")):
        first = order == "pre"
        encoder = nn.TransformerEncoderLayer(DIM, HEADS, activation=activation, norm_first=first, **options)
        encode = partial(drawn(encoder), src_key_padding_mask=PADDING)
        layers[f"{order}_encoder"] = measured(encode, layer(encoder), 5)

        decoder = nn.TransformerDecoderLayer(DIM, HEADS, activation=activation, norm_first=first, **options)
        causal = nn.Transformer.generate_square_subsequent_mask(4)
        decode = partial(drawn(decoder), tgt_mask=causal, memory_key_padding_mask=PADDING)
        layers[f"{order}_decoder"] = measured(decode, layer(decoder, cross=True), 4, 5)

    block = Block(DIM, HEADS, HIDDEN / DIM, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6))
    layers["timm_block"] = measured(drawn(block), timm_block(block), 5)

    arrays = {f"{name}/{part}": value for name, found in layers.items() for part, value in found.items()}
    arrays = {name: value.detach().numpy() for name, value in arrays.items()} | {"padding": PADDING.numpy()}
    np.savez_compressed(Path(__file__).with_name("attention.npz"), **arrays)


if __name__ == "__main__":
    main()
