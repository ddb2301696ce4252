"""Shuffle and Learn: are three frames of a clip in the order of time?

A pretext task: nothing collapses, since the labels are given. What reveals the order is what moves and how it turns, so that
features describe position and pose rather than the kind of the object. Triples with and without order share their first and
last frame; `augment.clip_tasks.order_views` draws them.
Source: Misra, Zitnick and Hebert 2016, "Shuffle and Learn: Unsupervised Learning using Temporal Order Verification",
https://arxiv.org/abs/1603.08561; the authors' code, https://github.com/imisra/shuffle-tuple.
"""

from dataclasses import dataclass
from typing import ClassVar

from ssl_jax.methods.jigsaw import Jigsaw
from ssl_jax.methods.method import Facts


@dataclass(frozen=True, kw_only=True)
class ShuffleAndLearn(Jigsaw):
    """Jigsaw in time: cross-entropy of two classes; chance level log 2 = 0.693, or 0.562 for a quarter in order.

    head: features of a frame -> embedding, rectified.
    classifier: embeddings of the three frames as shown, concatenated -> 2 logits.
    """

    facts: ClassVar[Facts] = Facts(
        family="pretext", against_collapse="labels", positives="-", negatives="-", passes="3 frames", paper="1603.08561"
    )

    target: ClassVar[str] = "in_order"
    without_target: ClassVar[str] = "shuffle_and_learn: views need their class: make them with order_views."
