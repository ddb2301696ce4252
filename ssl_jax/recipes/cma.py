"""CMA: our demo on drawn clips with sound, and the authors' Kinetics runs; AVID's views, networks and optimizers."""

from typing import Any

from ssl_jax.composition import Laptop, Recipe, recipe
from ssl_jax.composition.clips import Clips
from ssl_jax.composition.training import Constant, Run
from ssl_jax.data import Data
from ssl_jax.methods.cma import CMA
from ssl_jax.optimizers import adam
from ssl_jax.recipes.avid import DEMO, DRAWN, KINETICS, open_demo, open_kinetics


def positives_of(data: Data, training: Run, *, start: float) -> dict[str, Any]:
    """The steps of this run at which positives are mined: after the fraction `start` of it, and then in each tenth."""
    steps = training.steps(data)
    return {"start_step": max(1, round(start * steps)), "refresh_every": max(1, steps // 10)}


@recipe(CMA, negatives=256, temperature=0.07, estimator_within="info_nce")
def demo(clips: Clips = DRAWN, training: Laptop = DEMO, *, start: float = 0.6, **options: Any) -> Recipe:
    """Minutes on a laptop: drawn moving shapes with sound; AdamW.

    Args:
      data: drawn "clips", or other data with sound.
      estimator_within: of comparisons within a modality: info_nce, or the authors' nce.
    """
    opened, networks, augment = open_demo(clips)
    method = CMA(**networks, **positives_of(opened.data, training, start=start), **options)
    return opened.recipe(training, method, augment, training.adamw)


@recipe(CMA, negatives=1024, temperature=0.07, estimator_within="nce")
def kinetics(
    clips: Clips = KINETICS, training: Constant = Constant(500, 256, 2e-4, 1e-5), *, start: float = 0.6, **options: Any
) -> Recipe:
    """The authors' Kinetics runs: AVID, then 32 positives a clip, mined 4 times. Published: 87.5 % on UCF after fine-tuning.

    Args:
      epochs: passes over the training clips: the authors train 30 with AVID alone and 20 more, with 10 clips of each video.
      estimator_within: of comparisons within a modality: the authors' nce, or info_nce.
    """
    opened, networks, augment = open_kinetics(clips)
    method = CMA(**networks, **positives_of(opened.data, training, start=start), **options)
    return opened.recipe(training, method, augment, training.optimizer(adam, decay_all=True))
