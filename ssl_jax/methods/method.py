"""The contract of a method. Methods differ in `encode` and `objective` only.

B: examples of the batch. `Params` is what the optimizer trains; `State` is everything else that is carried (batch
statistics, teacher, queue, bank, centre). `Params` is a nested dict of arrays, `State` a dict of any pytrees of arrays.

`views`, as `encode` gets them, is a dict whose arrays have the leading axis B: "views" `[B, V, H, W, C]` float32, and
whatever else the augmentation returned by name (small crops, tiles, which permutation they are in); "index" `[B]` is the
index of the example in its data set; "label" `[B]` is its class, -1 where unlabelled, for supervised upper bounds only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, cast

from jax import Array

from ssl_jax.errors import UsageError, pick
from ssl_jax.networks.functional import Net
from ssl_jax.ranges import annotated_ranges, check_ranges

Tree = dict[str, Any]
Params = Tree
State = Tree
ViewBatch = Tree
Embeddings = Tree
Metrics = dict[str, Array]
FAMILIES = (
    "audio-video",
    "clustering",
    "contrastive",
    "distillation",
    "generative",
    "none",
    "pretext",
    "redundancy",
    "supervised",
    "transcription",
)
Layouts = Mapping[str, Literal["whole", "rows"]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Facts about a method in words, from which the table of docs/methods.md is generated.

    family: one of `FAMILIES`; "none" of a network that is not trained.
    against_collapse: how collapse is prevented.
    positives, negatives: pairs that attract, and pairs that repel; "-" where nothing is compared.
    memory: state that is carried from step to step beside batch statistics.
    passes: forward passes of an image through an encoder in each step.
    paper: its identifier at arxiv.org, or "-".
    """

    family: str
    against_collapse: str
    positives: str = "two views of an image"
    negatives: str = "none"
    memory: str = "none"
    passes: str = "2"
    paper: str = "-"

    def __post_init__(self) -> None:
        pick("family", self.family, FAMILIES)


class Backbone(NamedTuple):
    """A network of images and its weights: `net.apply(params, stats, images, train=False)`."""

    net: Net
    params: Params
    stats: State


class Watched(NamedTuple):
    """What a method has beside its embeddings, for the gauges of training; None where it has none.

    assignments: `[B, K]` probabilities of prototypes, clusters or outputs, of one view of each example.
    teacher: parameters of the student and of its teacher, trees of one structure.
    memory: stored embeddings of the batch's examples and fresh ones, `[B, D]` each.
    """

    assignments: Array | None = None
    teacher: tuple[Params, Params] | None = None
    memory: tuple[Array, Array] | None = None


def check_patches(method: str, encoder: Net) -> None:
    """A `UsageError` where the encoder of a method that masks patches has none.

    Example:
      >>> check_patches("mae", encoder("vit_micro", image_shape=(28, 28, 3)))
    """
    if encoder.patch_size is None:
        raise UsageError(
            f"encoder: {method} encodes a part of an image's patches, got a network without patches: give a vision "
            "transformer, such as networks.vit makes."
        )


class Method(Protocol):
    """Pure functions; a method is a frozen dataclass of hyperparameters that subclasses this and fills them in.

    No gradient flows into the state: the trainer cuts it.

    facts: the method in words.
    objective_state: the entries of the state that `objective` reads or replaces, and their sharding: "whole", a copy on
      every device, or "rows", sharded over the devices along the first axis of each array (scalars are copied).
    """

    facts: ClassVar[Facts]
    objective_state: ClassVar[Layouts] = {}

    def __post_init__(self) -> None:
        """Refuses hyperparameters outside their ranges. A subclass with its own checks calls this, too."""
        annotations = {field.name: field.type for field in fields(cast(Any, self))}
        check_ranges(annotated_ranges(annotations), **vars(self))

    def init(self, rng: Array) -> tuple[Params, State]:
        """Fresh parameters and state. Run under `jit`, so that no two leaves share a buffer."""
        ...

    @property
    def fill_steps(self) -> int:
        """Steps without an update before the first: they are numbered -fill_steps to -1. Default: none.

        The trainer encodes a batch in each, and keeps the state that `objective` and `after_step` return. This gives
        first targets to a method whose targets come from examples that it has encoded before.
        """
        return 0

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """The networks, example by example (batch statistics aside): views -> embeddings, every leaf with leading axis B.

        "embedding" `[B, V, D]` is the entry that the collapse gauges measure.
        """
        ...

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        """The only function in which examples, and devices, interact: embeddings -> (loss, changes, metrics). No networks run.

        Args:
          embeddings: what `encode` returned, with the leading axis B.
          state: at least its entries named in `objective_state`.
          rng: key of this step, the same on every shard.
          step: steps made before this one, int32.
          axis_name: None where embeddings and state are whole; else the mapped axis under which they are one shard of the
            whole. Loss, metrics and the changes of whole entries are then the same on every shard.

        Returns:
          The loss, a scalar; the entries of the state that change; metrics by name, scalars.
        """
        ...

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        """Changes after the optimizer's update: moving averages, prototypes back to unit length. Default: nothing."""
        return params, state

    def watched(self, params: Params, state: State, embeddings: Embeddings, index: Array, step: Array) -> Watched:
        """What the gauges measure beside "embedding", of the state before a step. Default: nothing.

        embeddings: what `encode` returned. index: of the examples, `[B]`.
        """
        return Watched()

    def chance_loss(self, batch_size: int) -> float | None:
        """The loss where all candidates are equally likely, with which training begins about; None where it has no candidates.

        batch_size: examples of the whole batch, over all devices.
        """
        return None

    def assignments(self, params: Params, state: State, images: Array) -> Array | None:
        """Probabilities of prototypes, clusters or outputs, `[B, K]`, of images `[B, H, W, C]` ready for the network, in
        evaluation; None where the method has none."""
        return None

    def reconstruct(self, params: Params, state: State, views: ViewBatch) -> Array | None:
        """The first view of each example, its hidden pixels replaced by the predicted ones, `[B, H, W, C]` as the views, in
        evaluation; None where the method predicts no pixels."""
        return None

    def colorize(self, params: Params, state: State, views: ViewBatch) -> tuple[Array, Array] | None:
        """The first view of each example in predicted and in true colours, sRGB in [0, 1] `[B, H, W, 3]` each, in evaluation;
        None where the method predicts no colours."""
        return None

    def backbone(self, params: Params, state: State) -> Backbone | None:
        """The network that is kept after pre-training, with the weights to evaluate; None where none takes whole images."""
        return None

    def features(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        """Frozen features of images `[B, H, W, C]` ready for the network: every layer by name, the last is "features".

        Default: the layers of the backbone. A method without one defines its own `features`.
        """
        backbone = self.backbone(params, state)
        assert backbone is not None
        return backbone.net.apply(backbone.params, backbone.stats, images, train=False)[0]
