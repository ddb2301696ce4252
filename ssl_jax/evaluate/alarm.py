"""The collapse alarm: one sentence when the gauges of training show a trivial solution."""

import math
from collections.abc import Mapping

from ssl_jax.methods.method import Facts

COMPARING = ("contrastive", "clustering", "distillation", "redundancy")  # Families whose losses compare embeddings.
# Between the demos, whose lowest values are 0.13 and 5.7, and those without what prevents their collapse
# (experiments/lecture/trivial_solutions.py).
LEAST_STD = 0.1
LEAST_RANK = 3.0
LEAST_EXAMPLES = 16  # Of fewer, the rank is low in any case.


class CollapseAlarm:
    """Checks the gauges of a run; raised once, when two records in a row show the same kind of collapse.

    Complete collapse: all embeddings are nearly equal, "std" below 0.1; it is near 1 where they fill the sphere. Dimensional
    collapse: they differ along one or two directions only, "effective_rank" below 3. Methods that predict labels or
    pixels are not checked: a constant output does not satisfy their losses.

    Args:
      name: the method's name, for the sentence.
      facts: of the method; the sentence names its `against_collapse`. A method without facts is not checked.
      examples: size of a batch; of fewer than 16 the rank says nothing.

    Source: Jing et al. 2022, https://arxiv.org/abs/2110.09348, for the two kinds.
    """

    def __init__(self, name: str, facts: Facts | None, *, examples: int):
        self.name, self.facts, self.examples = name, facts, examples
        self.before: str | None = None
        self.raised = False

    def check(self, step: int, gauges: Mapping[str, float]) -> str | None:
        """The sentence, the first time that this record and the one before show the same kind of collapse; else None."""
        before, self.before = self.before, collapse(gauges, examples=self.examples)
        kind = self.before
        if self.facts is None or self.facts.family not in COMPARING or self.raised or kind is None or kind != before:
            return None
        self.raised = True
        shown = "std of the embeddings {std:.3f}" if kind == "complete" else "effective rank {effective_rank:.1f}"
        return (
            f"{kind} collapse at step {step} ({shown.format(**gauges)}): {self.name} avoids it by "
            f"{self.facts.against_collapse}; check that, or lower the learning rate."
        )


def collapse(gauges: Mapping[str, float], *, examples: int) -> str | None:
    """The kind of collapse that one record of "std" and "effective_rank" shows: "complete", "dimensional", None.

    examples: size of the batch that the gauges are of.
    """
    std, rank = gauges.get("std", math.nan), gauges.get("effective_rank", math.nan)
    if std < LEAST_STD:
        return "complete"
    return "dimensional" if rank < LEAST_RANK and examples >= LEAST_EXAMPLES else None
