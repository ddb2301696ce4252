"""Frames: two neighbouring frames of a video are the two views of SimCLR.

Collapse is prevented by the negatives, frames of other videos. The views share what does not change in time.
Source: Chen et al. 2020, https://arxiv.org/abs/2002.05709, for the objective; views: `augment.video.frame_views`.
"""

from dataclasses import dataclass
from typing import ClassVar

from ssl_jax.methods.method import Facts
from ssl_jax.methods.simclr import SimCLR


@dataclass(frozen=True)
class Frames(SimCLR):
    """SimCLR on two frames of each video."""

    facts: ClassVar[Facts] = Facts(
        family="contrastive",
        against_collapse="negatives",
        positives="frames near in time",
        negatives="2N - 2 in the batch",
        paper="2002.05709",
    )
