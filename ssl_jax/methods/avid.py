"""AVID: the video of a clip is the query for its audio among bank entries of other clips' audio, and the other way round.

Collapse is prevented by the negatives, entries of two banks with one row a clip, for video and for audio. Video is not
compared with video, nor audio with audio: features of one modality alone, such as the background, would suffice.
Source: Morgado et al. 2021, "Audio-Visual Instance Discrimination with Cross-Modal Agreement",
https://arxiv.org/abs/2004.12943; the authors' code, https://github.com/facebookresearch/AVID-CMA.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.audiovisual import avid
from ssl_jax.losses.negatives import estimate_log_partition, nce
from ssl_jax.methods.audio_video import MODALITIES, AudioVideo
from ssl_jax.methods.joint_embedding import init_networks
from ssl_jax.methods.method import Embeddings, Facts, Layouts, Metrics, Params, State, ViewBatch, Watched
from ssl_jax.networks.functional import Net
from ssl_jax.ops.bank import fresh, others, read, write
from ssl_jax.ops.collectives import replicate_rows


@dataclass(frozen=True, kw_only=True)
class AVID(AudioVideo):
    """Noise-contrastive estimation across modalities, against two banks.

    video_head, audio_head: their projection heads, with outputs of one size.
    clips: number of clips in the data set, and of entries in each bank.
    negatives: number of negatives drawn from the banks for each clip in each step.
    momentum: weight of the old entry when an entry of a bank is updated.
    """

    facts: ClassVar[Facts] = Facts(
        family="audio-video",
        against_collapse="negatives",
        positives="video and audio of a clip",
        negatives="a bank of clips",
        memory="bank",
        passes="1 + 1 audio",
        paper="2004.12943",
    )

    objective_state: ClassVar[Layouts] = {"banks": "whole", "log_partition": "whole"}

    video_head: Net
    audio_head: Net
    clips: int
    negatives: int = 1024
    temperature: float = 0.07
    momentum: float = 0.5

    def init(self, rng: Array) -> tuple[Params, State]:
        rng, *rngs = jax.random.split(rng, 3)
        heads = {"video_head": self.video_head, "audio_head": self.audio_head}
        params, stats = init_networks(rng, **self.encoders, **heads)
        banks = {
            name: fresh(key, self.clips, self.video_head.width) for name, key in zip(MODALITIES, rngs, strict=True)
        }
        return params, {**stats, "banks": banks, "log_partition": jnp.zeros(())}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 2, D]`, of video and audio; indices of the clip, "index" `[B]`, and of "negatives" `[B, K]`."""
        layers, stats = self.layers_in_training(params, state, views)
        projected = []
        for name, head in zip(MODALITIES, (self.video_head, self.audio_head), strict=True):
            embedding, stats[f"{name}_head"] = head.apply(
                params[f"{name}_head"], state[f"{name}_head"], layers[name]["features"], train=True
            )
            projected.append(embedding)
        index = views["index"]
        indices = {"index": index, "negatives": others(rng, index, self.negatives, length=self.clips)}
        return {"embedding": jnp.stack(projected, axis=1), **indices}, {**state, **stats}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        video, audio = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        negatives = self.remembered(state, embeddings["negatives"])
        memories = self.remembered(state, embeddings["index"])
        log_partition = self.partition(state, video, negatives[1], step, axis_name=axis_name)
        loss = avid(video, audio, *memories, *negatives, estimator=self.estimator(log_partition, axis_name=axis_name))
        banks = self.remember(state["banks"], embeddings, axis_name=axis_name)
        return loss, {"banks": banks, "log_partition": log_partition}, {}

    def chance_loss(self, batch_size: int) -> float | None:
        """That of even odds, as `nce` states it."""
        return math.log(self.negatives + 1) + self.negatives * math.log1p(1 / self.negatives)

    def remembered(self, state: State, index: Array) -> tuple[Array, Array]:
        """Entries of both banks, `[..., D]` each, without gradient."""
        video, audio = (read(state["banks"][name], index) for name in MODALITIES)
        return video, audio

    def remember(self, banks: State, embeddings: Embeddings, *, axis_name: str | None) -> State:
        """The banks updated with the clips of this batch, of all shards, since each has the whole banks."""
        index, rows = (replicate_rows(embeddings[name], axis_name) for name in ("index", "embedding"))
        return {
            name: write(banks[name], index, rows[:, position], momentum=self.momentum)
            for position, name in enumerate(MODALITIES)
        }

    def partition(self, state: State, query: Array, negatives: Array, step: Array, *, axis_name: str | None) -> Array:
        """The log partition constants of both directions, measured on the first batch."""
        measured = estimate_log_partition(query, negatives, temperature=self.temperature, axis_name=axis_name)
        return jnp.where(step == 0, measured, state["log_partition"])

    def estimator(self, log_partition: Array, *, axis_name: str | None) -> Callable[[Array, Array, Array], Array]:
        return partial(nce, log_partition=log_partition, temperature=self.temperature, axis_name=axis_name)

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        """The bank of the videos."""
        return Watched(memory=(self.remembered(state, index)[0], embeddings["embedding"][:, 0]))
