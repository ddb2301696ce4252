"""Transcription: one sequence is predicted from another, symbol by symbol, each from those before it.

The energy of a target given its source is its negative log-probability in nats, the sum of the cross-entropies of its symbols;
training lowers the energy of the correct target. Supervised with pairs such as spelling and sounds; self-supervised where the
source is a word with noise and the target the word without, a denoising autoencoder with a delay: the network predicts a symbol
from the source and the symbols before it, and its input never contains the symbol itself.
Source: Sutskever et al. 2014, https://arxiv.org/abs/1409.3215; Vincent et al. 2008, "Extracting and Composing Robust Features
with Denoising Autoencoders".

S, T: lengths of sources and of targets, both followed by END and PADDING; V: symbols that a target may have.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.losses.pretext import cross_entropy
from ssl_jax.methods.joint_embedding import init_networks
from ssl_jax.methods.method import Embeddings, Facts, Method, Metrics, Params, State, ViewBatch
from ssl_jax.networks.functional import Net
from ssl_jax.ops.collectives import mean_over_shards
from ssl_jax.sequences.vocabulary import END, PADDING


@dataclass(frozen=True, kw_only=True)
class Transcription(Method):
    """Cross-entropy of each symbol and of the end; chance level log V.

    Views are "source" int32 `[B, S]` and "target" int32 `[B, T]`.

    net: sequence network, sources and targets -> "encoded" `[B, S, D]`, "features" `[B, D]`, "logits" `[B, T, V]`, those at
      position t from the targets before t alone.
    label_smoothing: probability that is distributed over all V.
    """

    facts: ClassVar[Facts] = Facts(
        family="transcription", against_collapse="labels", positives="-", negatives="-", passes="1", paper="1409.3215"
    )

    net: Net
    label_smoothing: float = 0.0

    def init(self, rng: Array) -> tuple[Params, State]:
        return init_networks(rng, net=self.net)

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """ "embedding" `[B, 1, D]` of the source; "logits" and "target"."""
        source, target = views["source"], views["target"]
        layers, stats = self.net.apply(params["net"], state["net"], source, target, train=True, rng=rng)
        embeddings = {"embedding": layers["features"][:, None], "logits": layers["logits"], "target": target}
        return embeddings, {**state, "net": stats}

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        """Mean over the symbols of the whole batch, so that a long word counts more than a short one."""
        logits, target = embeddings["logits"], embeddings["target"]
        uncounted = jnp.where(target == PADDING, -1, target)
        loss = cross_entropy(logits, uncounted, label_smoothing=self.label_smoothing, axis_name=axis_name)
        return loss, {}, {"symbol_accuracy": symbol_accuracy(logits, target, axis_name=axis_name)}

    def energies(self, params: Params, state: State, source: Array, target: Array) -> Array:
        """Energies of transcriptions in nats, `[B]`: of `[B, S]` and `[B, T]`. At least 0; T log V by chance."""
        layers, _ = self.net.apply(params["net"], state["net"], source, target, train=False)
        return energies(layers["logits"], target)

    def features(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        """Layers of sources `[B, S]`, the last one "features"; nothing is decoded."""
        ends = jnp.full((len(images), 1), END, jnp.int32)
        layers, _ = self.net.apply(params["net"], state["net"], images, ends, train=False)
        return OrderedDict((name, layer) for name, layer in layers.items() if name != "logits")


def symbol_accuracy(logits: Array, target: Array, *, axis_name: str | None = None) -> Array:
    """Fraction of symbols and ends with the largest logit, over all shards, in [0, 1].

    Example:
      >>> logits = jnp.array([[[0.0, 0, 0, 9], [0, 0, 9, 0]]])
      >>> print(symbol_accuracy(logits, jnp.array([[3, 3]])))
      0.5
    """
    counted = target != PADDING
    right = counted & (jnp.argmax(logits, axis=-1) == target)
    shares = mean_over_shards((right.mean(dtype=jnp.float32), counted.mean(dtype=jnp.float32)), axis_name)
    return shares[0] / jnp.where(shares[1] > 0, shares[1], 1)


def energies(logits: Array, target: Array) -> Array:
    """Negative log-probability of each target `[B, T]` under `[B, T, V]`, in nats, `[B]`; padding costs nothing.

    Example:
      >>> print(energies(jnp.zeros((1, 2, 4)), jnp.array([[3, 2]])).round(3))
      [2.7730002]
    """
    nats = -jnp.take_along_axis(jax.nn.log_softmax(logits.astype(jnp.float32)), target[..., None], axis=-1)[..., 0]
    return jnp.where(target == PADDING, 0, nats).sum(axis=1)
