"""Encoders of video and sound against convolutions in numpy, and the sizes of AVID's."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from naive_layers import batch_norm, conv_norm, double, drawn, relu

from ssl_jax.errors import UsageError
from ssl_jax.networks.audio_video import audio_convnet, r2plus1d_18, small_video_convnet

VIDEOS = np.random.default_rng(1).normal(size=(2, 5, 6, 6, 2)).astype(np.float32)


def over_time(x, kernel, *, stride=1):
    """Every position by itself: three frames, zeros before the first and after the last."""
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
    frames = range(0, x.shape[1], stride)
    taps = kernel[:, 0]
    return np.stack([sum(padded[:, frame + tap] @ taps[tap] for tap in range(3)) for frame in frames], axis=1)


def video_conv(x, params, *, stride=(1, 1)):
    """Frame by frame in space, but with statistics of all frames; then over time."""
    flat = relu(conv_norm(x.reshape(-1, *x.shape[2:]), params["space"], stride=stride[1]))
    return over_time(flat.reshape(*x.shape[:2], *flat.shape[1:]), params["time"]["kernel"], stride=stride[0])


def normed(x, params):
    return batch_norm(x, params["scale"], params["bias"])


def block(x, params, *, stride):
    shortcut = x[:, ::stride, ::stride, ::stride] @ params["shortcut"]["kernel"] if "shortcut" in params else x
    x = relu(normed(video_conv(x, params["conv1"], stride=(stride, stride)), params["norm1"]))
    return relu(normed(video_conv(x, params["conv2"]) + shortcut, params["norm2"]))


def layers_of(net, params, stats, inputs):
    return jax.jit(lambda *given: net.apply(*given, train=True))(params, stats, inputs)[0]


def test_the_small_one_is_its_definition():
    net = small_video_convnet(channels=2, widths=(3, 4), strides=(1, 2))
    params, stats = drawn(net)
    layers, exact = layers_of(net, params, stats, VIDEOS), double(params)
    first = relu(normed(video_conv(double(VIDEOS), exact["layer1"]), exact["norm1"]))
    second = relu(normed(video_conv(first, exact["layer2"], stride=(1, 2)), exact["norm2"]))
    features = np.concatenate([second.mean((1, 2, 3)), second.max((1, 2, 3))], axis=1)
    assert list(layers) == ["layer1", "layer2", "features"] and net.width == 8
    for came, expected in zip(layers.values(), (first, second, features), strict=True):
        np.testing.assert_allclose(came, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_stages_of_r2plus1d_are_their_definition():
    net = r2plus1d_18(channels=2, width=2)
    params, stats = drawn(net)
    videos = np.repeat(np.repeat(VIDEOS, 3, axis=2), 3, axis=3)
    # Not compiled as a whole: the last stage would be computed twice, for itself and for its maximum, and rounded differently.
    (layers, _), x = net.apply(params, stats, videos, train=True), None
    exact = double(params)
    for stage in (1, 2):
        x = double(layers["stem"] if stage == 1 else layers["stage1"])
        for number in (1, 2):
            x = block(x, exact[f"stage{stage}_block{number}"], stride=2 if stage == 2 and number == 1 else 1)
        np.testing.assert_allclose(layers[f"stage{stage}"], x, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(layers["features"], layers["stage4"].max((1, 2, 3)), rtol=1e-6)


def test_avids_networks_have_the_sizes_of_the_authors_code():
    """Parameters counted by hand from its layers: kernels, and two a channel of a norm."""

    def conv(*sizes):
        return int(np.prod(sizes))

    widths = [64, 64, 128, 256, 512]
    video = conv(3, 7, 7, 3, 64) + 2 * 64
    for before, after in itertools.pairwise(widths):
        video += conv(9, before, after) + 3 * conv(9, after, after) + 4 * conv(3, after, after) + 8 * 2 * after
        video += conv(before, after) if before != after else 0
    audio = conv(7, 7, 1, 64) + 2 * 64
    audio += sum(conv(9, a, b) + conv(9, b, b) + 4 * b for a, b in itertools.pairwise(widths))
    for net, shape, expected, last in (
        (r2plus1d_18(), (1, 8, 224, 224, 3), video, (1, 1, 7, 7, 512)),
        (audio_convnet(), (1, 200, 257, 1), audio, (1, 13, 17, 512)),
    ):
        params, stats = jax.eval_shape(net.init, jax.random.key(0))
        inputs = jax.ShapeDtypeStruct(shape, jnp.float32)
        layers, _ = jax.eval_shape(lambda *given, net=net: net.apply(*given, train=True), params, stats, inputs)
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected
        assert list(layers) == ["stem", "stage1", "stage2", "stage3", "stage4", "features"]
        assert layers["stage4"].shape == last and layers["features"].shape == (1, 512) and net.width == 512


def test_sound_is_its_definition():
    net = audio_convnet(width=2)
    (params, stats), inputs = drawn(net), np.random.default_rng(0).normal(size=(4, 17, 21, 1)).astype(np.float32)
    layers, exact = layers_of(net, params, stats, inputs), double(params)
    x = relu(conv_norm(double(inputs), exact["stem"], stride=2))
    for stage in range(1, 5):
        x = relu(conv_norm(x, exact[f"stage{stage}_conv1"], stride=2 if stage < 4 else 1))
        x = relu(conv_norm(x, exact[f"stage{stage}_conv2"]))
        np.testing.assert_allclose(layers[f"stage{stage}"], x, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(layers["features"], x.max((1, 2)), rtol=2e-3, atol=2e-3)


def test_the_end_of_a_clip_is_told_from_its_beginning():
    """What moves one way has other features than what moves the other way: time is not only averaged."""
    net = small_video_convnet(channels=2, widths=(3, 4), strides=(1, 2))
    params, stats = drawn(net)
    forth, back = (layers_of(net, params, stats, videos)["features"] for videos in (VIDEOS, VIDEOS[:, ::-1]))
    assert abs(forth - back).max() > 0.01


def test_as_many_strides_as_widths():
    with pytest.raises(UsageError, match="one stride for each width, got 3 widths and 2 strides"):
        small_video_convnet(strides=(2, 2))
