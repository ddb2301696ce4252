"""The contract of a method. Only what happens in `encode` and `objective` differs from method to method.

B: examples of the batch. `Params` is what the optimizer trains; `State` is everything else that is carried (batch
statistics, teacher, queue, bank, centre). `Params` is a nested dict of arrays, `State` a dict of any pytrees of arrays.

`views`, as `encode` gets them, is a dict whose arrays have the leading axis B: "views" `[B, V, H, W, C]` float32, and
whatever else the augmentation returned by name (small crops, tiles, which permutation they are in); "index" `[B]` is the
number of the example in its data set; "label" `[B]` is its class, -1 where unknown, for supervised upper bounds only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, cast

from jax import Array

from ssl_jax.errors import pick
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
    "pretext",
    "redundancy",
    "supervised",
    "transcription",
)
Layouts = Mapping[str, Literal["whole", "rows"]]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a method is, in words: docs/methods.md is made of it.

    family: one of `FAMILIES`.
    against_collapse: what keeps it from the trivial solution.
    positives, negatives: what is to be alike, and what is not; "-" where nothing is compared.
    memory: what is carried from step to step beside batch statistics.
    passes: how often an image goes forward through an encoder in a step.
    paper: its number at arxiv.org, or "-".
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


class Method(Protocol):
    """Six pure functions; a method is a frozen dataclass of hyperparameters that subclasses this and fills them in.

    No gradient flows into the state: the trainer cuts it.

    facts: what the method is, in words.
    objective_state: the entries of the state that `objective` reads or replaces, and where they lie: "whole", a copy on
      every device, or "rows", cut over the devices along the first axis of each array (scalars are copied).
    """

    facts: ClassVar[Facts]
    objective_state: ClassVar[Layouts] = {}

    def __post_init__(self) -> None:
        """Refuses hyperparameters outside their ranges. A subclass with checks of its own calls this, too."""
        annotations = {field.name: field.type for field in fields(cast(Any, self))}
        check_ranges(annotated_ranges(annotations), **vars(self))

    def init(self, rng: Array) -> tuple[Params, State]:
        """Fresh parameters and state. Run under `jit`, so that no two leaves share a buffer."""
        ...

    @property
    def fill_steps(self) -> int:
        """Steps without an update before the first: they have the numbers -fill_steps to -1. Default: none.

        The trainer encodes a batch in each, and keeps the state that `objective` and `after_step` return. A method whose
        targets come from what it has encoded before has its first targets this way.
        """
        return 0

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """The networks, example by example (batch statistics aside): views -> embeddings, every leaf with leading axis B.

        "embedding" `[B, V, D]` is the entry that the collapse gauges look at.
        """
        ...

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        """The only place where examples, and devices, meet: embeddings -> (loss, changes, metrics). No network in here.

        Args:
          embeddings: what `encode` returned, with the leading axis B.
          state: its entries named in `objective_state`, at least.
          rng: key of this step, the same on every shard.
          step: steps made before this one, int32.
          axis_name: None, and embeddings and state are whole; or the mapped axis under which they are one shard of the
            whole. Loss, metrics and the changes of whole entries are then the same on every shard.

        Returns:
          The loss, a scalar; the entries of the state that change; metrics by name, scalars.
        """
        ...

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        """What follows the optimizer's update: moving averages, prototypes back to unit length. Default: nothing."""
        return params, state

    def backbone(self, params: Params, state: State) -> Backbone | None:
        """The network that stays after pre-training, with the weights to evaluate; None where none takes whole images."""
        return None

    def features(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        """Frozen features of images `[B, H, W, C]` ready for the network: every layer by name, the last is "features".

        Default: the layers of the backbone. A method without one has `features` of its own.
        """
        backbone = self.backbone(params, state)
        assert backbone is not None
        return backbone.net.apply(backbone.params, backbone.stats, images, train=False)[0]
