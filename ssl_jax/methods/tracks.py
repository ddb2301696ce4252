"""Tracks: two crops of a moving object at two times are the two views of SimCLR.

Collapse is prevented by the negatives, objects of other videos. The views differ by the changes of the object while it moves.
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
