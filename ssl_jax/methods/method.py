"""The contract of a method. Only what happens in `encode` and `objective` differs from method to method.

B: examples of the batch. `Params` is what the optimizer trains; `State` is everything else that is carried (batch
statistics, teacher, queue, bank, centre). Both are plain nested dicts of arrays.

`views`, as `encode` gets them, is a dict whose arrays have the leading axis B: "views" `[B, V, H, W, C]` float32, and
whatever else the augmentation returned by name (small crops, tiles, which permutation they are in); "index" `[B]` is the
number of the example in its data set; "label" `[B]` is its class, -1 where unknown, for supervised upper bounds only.
"""

from typing import Any, Protocol

from jax import Array

from ssl_jax.ranges import check_ranges

Tree = dict[str, Any]
Params = Tree
State = Tree
Views = Tree
Embeddings = Tree
Metrics = dict[str, Array]


class Method(Protocol):
    """Five pure functions; a method is a frozen dataclass of hyperparameters that subclasses this and fills them in."""

    def __post_init__(self) -> None:
        """Refuses hyperparameters outside their `ssl_jax.ranges`. A subclass with checks of its own calls this, too."""
        check_ranges(**vars(self))

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

    def encode(self, params: Params, state: State, views: Views, rng: Array, step: Array) -> tuple[Embeddings, State]:
        """The networks, example by example (batch statistics aside): views -> embeddings, every leaf with leading axis B.

        "embedding" `[B, V, D]` is the entry that the collapse gauges look at.
        """
        ...

    def objective(
        self, embeddings: Embeddings, state: State, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        """The only place where examples, and devices, meet: embeddings -> (loss, state, metrics). No network in here.

        `axis_name=None`: the embeddings are the whole batch. A name: one shard of it, under that mapped axis.
        """
        ...

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        """What follows the optimizer's update: moving averages, prototypes back to unit length. Default: nothing."""
        return params, state

    def embed(self, params: Params, state: State, images: Array) -> dict[str, Array]:
        """Frozen features of images `[B, H, W, C]` ready for the network: every layer by name, the last is "features"."""
        ...
