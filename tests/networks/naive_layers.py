"""The layers by their definitions, in float64 and with loops, and a few things that all tests of networks do."""

import math

import jax
import numpy as np

erf = np.vectorize(math.erf)


def double(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


def drawn(net, *, seed=0):
    """Parameters and statistics with noise on every leaf, so that gains of zero and biases of zero hide nothing.

    Not from `net.init`, whose random numbers take XLA much longer to compile than these small networks.
    """
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        center = 1.0 if path[-1].key in ("scale", "var") else 0.0
        noise = 0.1 if path[-1].key == "var" else 0.3
        return (center + noise * rng.standard_normal(leaf.shape)).astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(net.init, jax.random.key(0)))


def relu(x):
    return np.maximum(x, 0)


def batch_norm(x, gain, bias):
    axes = tuple(range(x.ndim - 1))
    return (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) * gain + bias


def layer_norm(x, params):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-6) * params["scale"] + params["bias"]


def conv(x, kernel, *, stride, padding):
    size = len(kernel)
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:3])
    out = np.empty((len(x), rows, columns, kernel.shape[-1]))
    for row in range(rows):
        for column in range(columns):
            window = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
            out[:, row, column] = np.tensordot(window, kernel, 3)
    return out


def image_norm(x, scale, bias, epsilon=1e-5):
    """Over positions and channels of each image."""
    mean, var = x.mean((1, 2, 3), keepdims=True), x.var((1, 2, 3), keepdims=True)
    return (x - mean) / np.sqrt(var + epsilon) * scale + bias


def conv_norm(x, params, *, stride=1, norm="batch"):
    kernel, normed = params["conv"]["kernel"], {"batch": batch_norm, "layer": image_norm}[norm]
    x = conv(x, kernel, stride=stride, padding=len(kernel) // 2)
    return normed(x, params["norm"]["scale"], params["norm"]["bias"])


def linear(x, params):
    return x @ params["kernel"] + params.get("bias", 0.0)
