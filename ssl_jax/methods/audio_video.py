"""The base of methods on video and sound: an encoder for each, and their features."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from ssl_jax.methods.method import Method, Params, State, ViewBatch
from ssl_jax.networks.functional import Net
from ssl_jax.ops.normalize import unit_length

MODALITIES = ("video", "audio")


@dataclass(frozen=True, kw_only=True)
class AudioVideo(Method):
    """Encoders of video and of sound.

    Views are "views" `[B, 1, ...]`, of a video `[T, H, W, C]` or a frame `[H, W, C]` as the encoder takes it, and "audio"
    `[B, F, S, 1]`; in `features` "image" `[B, ...]` and "audio".

    video, audio: encoders, "features" last.
    """

    video: Net
    audio: Net

    @property
    def encoders(self) -> dict[str, Net]:
        return {"video": self.video, "audio": self.audio}

    def layers_in_training(
        self, params: Params, state: State, views: ViewBatch
    ) -> tuple[dict[str, dict[str, Array]], State]:
        """The layers of each encoder by its name, and its new batch statistics."""
        inputs, layers, stats = {"video": views["views"][:, 0], "audio": views["audio"]}, {}, {}
        for name, net in self.encoders.items():
            layers[name], stats[name] = net.apply(params[name], state[name], inputs[name], train=True)
        return layers, stats

    def features(self, params: Params, state: State, images: Any) -> dict[str, Array]:
        """Layers of both, "video_layer1" .., then "video" and "audio", their features; and both as "features".

        In "features" each has unit length, so that neither dominates.
        """
        layers, features = OrderedDict[str, Array](), OrderedDict[str, Array]()
        inputs = {"video": images["image"], "audio": images["audio"]}
        for name, net in self.encoders.items():
            found, _ = net.apply(params[name], state[name], inputs[name], train=False)
            features[name] = found["features"]
            layers |= {f"{name}_{layer}": array for layer, array in found.items() if layer != "features"}
        both = jnp.concatenate([unit_length(array) for array in features.values()], axis=1)
        return layers | features | {"features": both}
