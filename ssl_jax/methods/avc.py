"""Audio-visual correspondence: does the sound belong to the picture?

A pretext task: nothing collapses, since the labels are given, half of the pairs being a frame and the sound of another clip.
The network has two ends. In L3-Net the features of both are concatenated and classified by two layers. In AVOL-Net the sound
is compared with each position of the visual map, and the most similar position decides, so that the map shows what sounds.

Examples meet in `objective` alone, where no network runs. So the first layer of the classifier is a sum of two linear layers,
one of each modality, and each frame carries a copy of the last layer to its pairs.
Sources: Arandjelovic and Zisserman 2017, "Look, Listen and Learn", https://arxiv.org/abs/1705.08168, section 2.1; 2018,
"Objects that Sound", https://arxiv.org/abs/1712.06651, section 4.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError, pick
from ssl_jax.losses.audiovisual import correspondence
from ssl_jax.methods.audio_video import AudioVideo
from ssl_jax.methods.joint_embedding import init_networks
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net
from ssl_jax.networks.layers import max_pool
from ssl_jax.ops.collectives import gather_rows, mean_over_shards, row_numbers

Fusion = Literal["concatenate", "map"]


@dataclass(frozen=True, kw_only=True)
class AVC(AudioVideo):
    """Binary cross-entropy over pairs of a frame and a sound; chance level log 2 = 0.693.

    video_head: linear layer of the encoder's features (concatenate), or of each position of its last map (map).
    audio_head: linear layer of the features of sound, of the same width.
    fusion: concatenate features as L3-Net, or map: compare the sound with each position of the frame as AVOL-Net.
    negatives: number of wrong sounds for each frame, those of the next clips of the batch; 1 in the papers. Their mean has the
      weight of the right sound, so that the chance level stays the same.
    """

    facts: ClassVar[Facts] = Facts(
        family="audio-video",
        against_collapse="labels",
        positives="a frame and the sound of its clip",
        negatives="the sound of another clip",
        passes="1 + 1 audio",
        paper="1705.08168",
    )

    video_head: Net
    audio_head: Net
    fusion: Fusion = "concatenate"
    negatives: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        pick("fusion", self.fusion, ("concatenate", "map"))
        if self.fusion == "map" and not self.video.spatial:
            raise UsageError(
                "avc: fusion map needs an encoder whose layers have positions: choose a convolutional one."
            )

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, last = jax.random.split(rng)
        params, stats = init_networks(rng, **self.encoders, video_head=self.video_head, audio_head=self.audio_head)
        width = self.video_head.width
        weights = jax.random.normal(last, (width,)) if self.fusion == "concatenate" else jnp.ones(())
        return {**params, "classifier": {"weights": weights / width**0.5, "bias": jnp.zeros(())}}, stats

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """Projections "video" `[B, D]`, or `[B, P, D]` of P positions, and "audio" `[B, D]`; the last layer of each frame."""
        layers, stats = self.layers_in_training(params, state, views)
        seen = layers["video"]["features" if self.fusion == "concatenate" else list(layers["video"])[-2]]
        video = self.projected("video", params, state, seen)
        audio = self.projected("audio", params, state, layers["audio"]["features"])
        of_frame = video if self.fusion == "concatenate" else video.mean(axis=1)
        size = len(audio)
        classifier = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (size, *leaf.shape)), params["classifier"])
        pairs = {"video": video, "audio": audio, **classifier}
        return {"embedding": jnp.stack([of_frame, audio], axis=1), **pairs}, {**state, **stats}

    def projected(self, modality: str, params: Params, state: State, features: Array) -> Array:
        """Its head on features `[B, D]` or on a map `[B, ..., D]`, whose positions become one axis."""
        name = f"{modality}_head"
        rows = features if features.ndim == 2 else features.reshape(len(features), -1, features.shape[-1])
        head = self.video_head if modality == "video" else self.audio_head
        return head.apply(params[name], state[name], rows, train=True)[0]

    def score(self, video: Array, audio: Array, weights: Array, bias: Array) -> Array:
        """The log-odds `[B]` that each sound belongs to its frame."""
        if self.fusion == "map":
            return max_pool(self.score_positions(video, audio, weights, bias)[..., None])[:, 0]
        return jnp.sum(jax.nn.relu(video + audio) * weights, axis=1) + bias

    def score_positions(self, video: Array, audio: Array, scale: Array, bias: Array) -> Array:
        """`[B, P]`: the log-odds of each position."""
        return jnp.einsum("bpd,bd->bp", video, audio) * scale[:, None] + bias[:, None]

    def chance_loss(self, batch_size: int) -> float | None:
        return math.log(2)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        video, audio, *classifier = (embeddings[name] for name in ("video", "audio", "weights", "bias"))
        everyone = gather_rows(audio, axis_name)
        if self.negatives >= len(everyone):
            raise UsageError(f"negatives: must be below the batch size of {len(everyone)}, got {self.negatives}.")
        following = row_numbers(len(audio), axis_name)[:, None] + jnp.arange(1, self.negatives + 1)[None]
        others = everyone[following % len(everyone)]
        own = self.score(video, audio, *classifier)
        other = jax.vmap(lambda wrong: self.score(video, wrong, *classifier), in_axes=1, out_axes=1)(others)
        correct = ((own > 0).mean(dtype=jnp.float32) + (other <= 0).mean(dtype=jnp.float32)) / 2
        metrics = {"task_accuracy": mean_over_shards(correct, axis_name)}
        return correspondence(own, other, axis_name=axis_name), {}, metrics

    def localize(self, params: Params, state: State, images: Any) -> Array:
        """Where a frame sounds: `[B, h, w]`, probabilities in [0, 1] of the positions of the last map, for fusion map."""
        layers = self.features(params, state, images)
        last = layers[[name for name in layers if name.startswith("video_")][-1]]
        video = self.projected("video", params, state, last)
        audio = self.projected("audio", params, state, layers["audio"])
        classifier = (jnp.broadcast_to(params["classifier"][name], len(audio)) for name in ("weights", "bias"))
        return jax.nn.sigmoid(self.score_positions(video, audio, *classifier)).reshape(last.shape[:-1])
