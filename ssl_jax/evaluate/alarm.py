"""The collapse alarm: one sentence when the gauges of training show a trivial solution."""

import math
from collections.abc import Iterable, Mapping

from ssl_jax.methods.method import Facts

COMPARING = ("contrastive", "clustering", "distillation", "redundancy")  # Families whose losses compare embeddings.
# Between the demos and those without what prevents their collapse (experiments/lecture/trivial_solutions.py);
# docs/evaluation.md has the values of both.
LEAST_STD = 0.1
LEAST_RANK = 3.0
LEAST_USE = 0.1
MOST_ENTROPY = 0.99
LEAST_EXAMPLES = 16  # Of fewer, the rank and the use of prototypes are low in any case.
SHOWN = {
    "complete": "std of the embeddings {std:.3f}",
    "dimensional": "effective rank {effective_rank:.1f}",
    "cluster": "use of the prototypes {prototype_use:.2f}",
    "uniform": "entropy of the assignments {assignment_entropy:.3f}",
}


class CollapseAlarm:
    """Checks the gauges of a run; raised once, when two records in a row show the same kind of collapse.

    Complete collapse: all embeddings are nearly equal, "std" below 0.1; it is near 1 where they fill the sphere. Dimensional
    collapse: they differ along one or two directions only, "effective_rank" below 3. Cluster collapse: all examples are
    assigned to few prototypes, "prototype_use" below 0.1. Uniform assignments, the same for each example, "assignment_entropy"
    above 0.99: their mean is uniform, too, and they tell nothing about the example. Methods that predict labels or pixels are
    not checked: a constant output does not satisfy their losses.

    Args:
      name: the method's name, for the sentence.
      facts: of the method; the sentence names its `against_collapse`. A method without facts is not checked.
      examples: size of a batch; of fewer than 16 the rank and the use of prototypes say nothing.

    Source: Jing et al. 2022, https://arxiv.org/abs/2110.09348, for the first two kinds; Caron et al. 2021,
    https://arxiv.org/abs/2104.14294, section 5.3, for the other two.
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
        return (
            f"{kind} collapse at step {step} ({SHOWN[kind].format(**gauges)}): {self.name} avoids it by "
            f"{self.facts.against_collapse}; check that, or lower the learning rate."
        )

    def check_log(self, records: Iterable[Mapping[str, float]]) -> str | None:
        """The first sentence about the records of a log, in order of their steps; None where there is none.

        records: those without gauges are passed over, and so are values that are no numbers.
        """
        numbers = (
            {name: value for name, value in found.items() if isinstance(value, int | float)} for found in records
        )
        return next(filter(None, (self.check(int(found["step"]), found) for found in numbers if "std" in found)), None)


def first_alarm(records: Iterable[Mapping[str, float]], name: str, facts: Facts | None, *, examples: int) -> str | None:
    """The sentence of the alarm about the records of a log, in order of their steps; None where it is never raised.

    Args:
      records: records without gauges are passed over.
      name, facts, examples: as for `CollapseAlarm`.
    """
    return CollapseAlarm(name, facts, examples=examples).check_log(records)


def collapse(gauges: Mapping[str, float], *, examples: int) -> str | None:
    """The kind of collapse that one record of gauges shows, a key of `SHOWN`, or None; a gauge that is missing shows none.

    examples: size of the batch that the gauges are of.
    """
    several = examples >= LEAST_EXAMPLES
    shown = {
        "complete": gauges.get("std", math.nan) < LEAST_STD,
        "dimensional": several and gauges.get("effective_rank", math.nan) < LEAST_RANK,
        "cluster": several and gauges.get("prototype_use", math.nan) < LEAST_USE,
        "uniform": gauges.get("assignment_entropy", math.nan) > MOST_ENTROPY,
    }
    return next((kind for kind, seen in shown.items() if seen), None)
