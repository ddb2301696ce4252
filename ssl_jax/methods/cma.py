"""CMA: AVID first; then clips that are similar in video and in audio are positives of each other, too.

Collapse is prevented by the negatives, as in AVID. CMA adds comparisons within a modality, which AVID lacks: a clip's
video is the query for the videos of its positives, its audio for their audio. Positives are the clips whose smaller
similarity, of the two modalities, is largest: one modality alone would also select clips that are similar only in it.

It is one run: from step `start_step` on, positives are mined from the banks, and mined again every `refresh_every` steps.
Source: Morgado et al. 2021, https://arxiv.org/abs/2004.12943, section 4; the authors' code, criterions/avid_cma.py.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from ssl_jax.errors import UsageError, pick
from ssl_jax.losses.audiovisual import AGREEMENTS, Agreement, agreeing_clips, cma
from ssl_jax.losses.negatives import info_nce
from ssl_jax.methods.avid import AVID
from ssl_jax.methods.method import Embeddings, Facts, Metrics, Params, State, ViewBatch
from ssl_jax.methods.npid import Estimator
from ssl_jax.ops.bank import keys_of


@dataclass(frozen=True, kw_only=True)
class CMA(AVID):
    """AVID's loss, and from `start_step` on the loss of positives within a modality, with equal weights.

    start_step: first step with positives; about half of the run.
    refresh_every: steps after which positives are mined again.
    positive_pool: number of clips that are kept as positives of each.
    positives_per_clip: number drawn from the pool in each step; by default all of it, each once, as in the authors' code.
    negatives_within: number of the negatives that are used for comparisons within a modality.
    estimator_within: of comparisons within a modality: "nce" as in the authors' code, or "info_nce". NCE's constant is measured
      between modalities; within one, where AVID compares nothing, clips may be so similar that it is wrong by orders of
      magnitude, and only pushes all clips apart. info_nce has no such constant.
    agreement: by which similarity positives are mined, as in `agreeing_clips`; both in the method proper.
    """

    facts: ClassVar[Facts] = Facts(
        family="audio-video",
        against_collapse="negatives",
        positives="a clip, and clips similar in both",
        negatives="a bank of clips",
        memory="bank",
        passes="1 + 1 audio",
        paper="2004.12943",
    )

    start_step: int
    refresh_every: int
    positive_pool: int = 32
    positives_per_clip: int = 32
    negatives_within: int = 64
    estimator_within: Estimator = "nce"
    agreement: Agreement = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        pick("estimator_within", self.estimator_within, ("nce", "info_nce"))
        pick("agreement", self.agreement, AGREEMENTS)
        if not self.positive_pool < self.clips - 1:
            raise UsageError(
                f"positive_pool: must be below {self.clips - 1} for {self.clips} clips, got {self.positive_pool}."
            )

    def init(self, rng: Array) -> tuple[Params, State]:
        params, state = super().init(rng)
        clips = jnp.arange(self.clips, dtype=jnp.int32)[:, None]
        neighbours = (clips + 1 + jnp.arange(self.positive_pool, dtype=jnp.int32)[None]) % self.clips
        return params, {**state, "agreeing": neighbours}  # arbitrary until `start_step`

    def encode(
        self, params: Params, state: State, views: ViewBatch, rng: Array, step: Array
    ) -> tuple[Embeddings, State]:
        """As AVID's, with the indices of "positives" `[B, P]`; negatives are neither the clip nor in its positive pool."""
        embeddings, state = super().encode(params, state, views, rng, step)
        index = views["index"]
        positives, negatives = jax.vmap(self.draw_disjoint)(keys_of(rng, index), index, state["agreeing"][index])
        return {**embeddings, "positives": positives, "negatives": negatives}, state

    def draw_disjoint(self, key: Array, index: Array, agreeing: Array) -> tuple[Array, Array]:
        """For one clip: positives `[P]` drawn from its pool, and negatives `[K]` drawn from the rest."""
        positives_key, negatives_key = jax.random.split(key)
        all_of_them = self.positives_per_clip == self.positive_pool
        positives = agreeing if all_of_them else jax.random.choice(positives_key, agreeing, (self.positives_per_clip,))
        excluded = jnp.concatenate([index[None], agreeing])
        return positives, others_than(negatives_key, excluded, self.negatives, length=self.clips)

    def objective(
        self, embeddings: Embeddings, state: State, rng: Array, step: Array, *, axis_name: str | None = None
    ) -> tuple[Array, State, Metrics]:
        video, audio = embeddings["embedding"][:, 0], embeddings["embedding"][:, 1]
        positives = self.remembered(state, embeddings["positives"])
        negatives = self.remembered(state, embeddings["negatives"][:, : self.negatives_within])
        across, after, _ = super().objective(embeddings, state, rng, step, axis_name=axis_name)
        estimator = (
            partial(info_nce, temperature=self.temperature, axis_name=axis_name)
            if self.estimator_within == "info_nce"
            else self.estimator(after["log_partition"], axis_name=axis_name)
        )
        within = cma(video, audio, *positives, *negatives, estimator=estimator)
        within = jnp.where(step < self.start_step, 0, within)
        return across + within, after, {"across": across, "within": within}

    def chance_loss(self, batch_size: int) -> float | None:
        """None: from `start_step` on it is another one."""
        return None

    def after_step(self, params: Params, state: State, step: Array) -> tuple[Params, State]:
        since = step + 1 - self.start_step  # of the next step
        due = (since >= 0) & (since % self.refresh_every == 0)
        banks = state["banks"]
        agreeing = lax.cond(
            due,
            lambda: agreeing_clips(
                banks["video"].rows, banks["audio"].rows, count=self.positive_pool, agreement=self.agreement
            ),
            lambda: state["agreeing"],
        )
        return params, {**state, "agreeing": agreeing}


def others_than(rng: Array, excluded: Array, count: int, *, length: int) -> Array:
    """`count` indices in [0, length), uniform over all but those in `excluded` `[E]`, which differ from each other.

    Example:
      >>> print(sorted(set(others_than(jax.random.key(0), jnp.array([0, 2]), 20, length=4).tolist())))
      [1, 3]
    """
    ranks = jax.random.randint(rng, (count,), 0, length - len(excluded))
    # The index of a rank among the allowed ones is the rank plus the number of excluded indices up to that index.
    first = jnp.sort(excluded) - jnp.arange(len(excluded))
    return ranks + jnp.searchsorted(first, ranks, side="right")
