"""Tracks: a moving object, cut out at two times, is the two views; SimCLR does the rest.

Collapse is prevented by the negatives, objects of other videos. The views differ as the object does while it moves.
Source: Wang and Gupta 2015, "Unsupervised Learning of Visual Representations using Videos",
https://arxiv.org/abs/1505.00687, for the idea; the objective is SimCLR's, and views are `augment.video.track_views`.
"""

from dataclasses import dataclass
from typing import ClassVar

from ssl_jax.methods.method import Facts
from ssl_jax.methods.simclr import SimCLR


@dataclass(frozen=True)
class Tracks(SimCLR):
    """SimCLR on a moving object at two times."""

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="an object along its track",
        negatives="2N - 2 in the batch",
        paper="1505.00687",
    )
