"""The base of most methods: an encoder and a projection head on every view, and a momentum copy of them as a teacher.

B: examples; V: views of each; D: size of an embedding. Views of one size are `views["views"]` `[B, V, H, W, C]`; crops
of a second, smaller size are `views["small_views"]`: each size goes through the networks in one call.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ssl_jax.errors import UsageError
from ssl_jax.methods.method import Backbone, Embeddings, Method, Params, State, ViewBatch, Watched
from ssl_jax.networks.functional import Net
from ssl_jax.ops.moving_average import cosine_momentum, moving_average


def init_networks(rng: Array, **networks: Net) -> tuple[Params, State]:
    """Parameters and batch statistics of each network, under its name; a `UsageError` where one is no `Net`.

    Example:
      >>> params, stats = init_networks(jax.random.key(0), head=linear_head(inputs=2, outputs=4))
      >>> print(list(params), list(stats))
      ['head'] ['head']
    """
    for name, network in networks.items():
        if not isinstance(network, Net):
            got = getattr(network, "__name__", type(network).__name__)
            raise UsageError(
                f"{name}: got {got}, expected a Net: ssl_jax.networks.given.as_encoder makes one of a module or of functions."
            )
    rngs = jax.random.split(rng, len(networks))
    made = {name: network.init(key) for key, (name, network) in zip(rngs, networks.items(), strict=True)}
    return {name: params for name, (params, _) in made.items()}, {name: stats for name, (_, stats) in made.items()}


def on_views(
    net: Net,
    params: Params,
    stats: State,
    inputs: Array,
    *,
    rng: Array | None = None,
    per_view_statistics: bool = False,
    dropout: bool = True,
) -> tuple[Any, State]:
    """A network in training on `[B, V, ...]`: its outputs, leaves `[B, V, ...]`, and statistics.

    per_view_statistics: each view is a batch with its own statistics; otherwise all views are one batch.
    dropout: False leaves out dropout and stochastic depth of a network without batch statistics, which then behaves as in
      evaluation.

    Example:
      >>> net = linear_head(inputs=2, outputs=4)
      >>> outputs, stats = on_views(net, *net.init(jax.random.key(0)), jnp.ones((3, 2, 2)))
      >>> print(outputs.shape)
      (3, 2, 4)
    """
    size, views = inputs.shape[:2]
    train = dropout or bool(jax.tree.leaves(stats))
    if per_view_statistics:
        made = []
        for view in range(views):
            of_view = None if rng is None else jax.random.fold_in(rng, view)
            outputs, stats = net.apply(params, stats, inputs[:, view], train=train, rng=of_view)
            made.append(outputs)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=1), *made), stats
    outputs, stats = net.apply(params, stats, inputs.reshape(size * views, *inputs.shape[2:]), train=train, rng=rng)
    return jax.tree.map(lambda leaf: leaf.reshape(size, views, *leaf.shape[1:]), outputs), stats


@dataclass(frozen=True)
class JointEmbedding(Method):
    """Encoder and projection head; subclasses define the loss of their embeddings in `objective`.

    encoder: images -> dict of layers with "features".
    head: projection head, features -> embedding; discarded after pre-training.
    per_view_statistics: whether each view has its own batch statistics, as in the code of the method's authors.
    """

    encoder: Net
    head: Net
    per_view_statistics = False  # An attribute of the class, not a field.

    @property
    def networks(self) -> dict[str, Net]:
        """The networks that `init` initialises, by name; a subclass with more of them adds its own."""
        return {"encoder": self.encoder, "head": self.head}

    def init(self, rng: Array) -> tuple[Params, State]:
        return init_networks(rng, **self.networks)

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        embedding, stats = self.project(params, state, views, rng)
        return {"embedding": embedding}, {**state, **stats}

    def project(
        self, params: Params, stats: State, views: ViewBatch, rng: Array, *, dropout: bool = True
    ) -> tuple[Array, State]:
        """Embeddings of all views, large ones first, `[B, V, D]`, and the new batch statistics; `dropout` as in `on_views`."""
        encoder, head = stats["encoder"], stats["head"]
        features = []
        for number, name in enumerate(("views", "small_views")):
            if name in views:
                layers, encoder = on_views(
                    self.encoder,
                    params["encoder"],
                    encoder,
                    views[name],
                    rng=jax.random.fold_in(rng, number),
                    per_view_statistics=self.per_view_statistics,
                    dropout=dropout,
                )
                features.append(layers["features"])
        embedding, head = on_views(
            self.head,
            params["head"],
            head,
            jnp.concatenate(features, axis=1),
            per_view_statistics=self.per_view_statistics,
        )
        return embedding, {"encoder": encoder, "head": head}

    def embed(self, params: Params, stats: State, images: Array) -> Array:
        """Embeddings of whole images in evaluation, `[B, H, W, C]` -> `[B, D]`: of the encoder and its head."""
        layers, _ = self.encoder.apply(params["encoder"], stats["encoder"], images, train=False)
        return self.head.apply(params["head"], stats["head"], layers["features"], train=False)[0]

    def backbone(self, params: Params, state: State) -> Backbone | None:
        return Backbone(self.encoder, params["encoder"], state["encoder"])


@dataclass(frozen=True)
class MomentumTeacher(JointEmbedding):
    """A teacher with the weights of the student's moving average, whose embeddings are targets without gradient.

    The teacher has its own batch statistics. Its momentum rises from `momentum` to `final_momentum` in `steps` steps,
    by half a cosine; a constant one has both equal.

    steps: number of steps of the whole run.
    """

    steps: int
    momentum: float = 0.996
    final_momentum: float = 1.0

    def init(self, rng: Array) -> tuple[Params, State]:
        params, stats = super().init(rng)
        return params, {**stats, "teacher": {"params": self.teacher_subset(params), "stats": stats}}

    def teacher_subset(self, params: Params) -> Params:
        """The part of the student's parameters that the teacher has too."""
        return {"encoder": params["encoder"], "head": params["head"]}

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """The student on all views, the teacher on the large ones: "embedding" `[B, V, D]` and "target" `[B, 2, D]`."""
        student_rng, teacher_rng = jax.random.split(rng)
        embedding, stats = self.project(params, state, views, student_rng)
        target, teacher = self.teacher_forward(state["teacher"], {"views": views["views"]}, teacher_rng)
        return {"embedding": embedding, "target": target}, {**state, **stats, "teacher": teacher}

    def teacher_forward(self, teacher: State, views: ViewBatch, rng: Array) -> tuple[Array, State]:
        """The teacher's embeddings, `[B, V, D]`, and the teacher with its new statistics; it has no stochastic depth."""
        targets, stats = self.project(teacher["params"], teacher["stats"], views, rng, dropout=False)
        return targets, {**teacher, "stats": stats}

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        momentum = cosine_momentum(step, steps=self.steps, start=self.momentum, end=self.final_momentum)
        averaged = moving_average(state["teacher"]["params"], self.teacher_subset(params), momentum=momentum)
        return params, {**state, "teacher": {**state["teacher"], "params": averaged}}

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        return Watched(teacher=(self.teacher_subset(params), state["teacher"]["params"]))
