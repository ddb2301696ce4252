"""CMA: our demo on drawn clips that sound, and the authors' Kinetics runs; AVID's views, networks and optimizers."""

from ssl_jax.methods.cma import CMA
from ssl_jax.optimizers import adam
from ssl_jax.recipes.avid import demo_clips, kinetics_clips
from ssl_jax.recipes.recipe import Recipe, count_steps, recipe
from ssl_jax.recipes.scales import Precision, demo_optimizer


@recipe
def demo(
    *,
    data: str = "clips",
    image_size: int = 24,
    epochs: float = 40,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-4,
    negatives: int = 256,
    temperature: float = 0.07,
    start: float = 0.6,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """Minutes on a laptop: drawn shapes that move and sound; AdamW.

    Args:
      data: drawn "clips", or other data with sound.
      negatives: memories of other clips, for each.
      start: part of the run that is AVID alone.
    """
    here = demo_clips(data=data, image_size=image_size, precision=precision, strict=strict)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=CMA(
            **here.networks,
            clips=len(here.data.train),
            negatives=negatives,
            temperature=temperature,
            start_step=max(1, round(start * steps)),
            every=max(1, steps // 10),
        ),
        augment=here.augment,
        prepare=here.prepare,
        optimizer=demo_optimizer(learning_rate, weight_decay),
        batch_size=batch_size,
        epochs=epochs,
    )


@recipe
def kinetics(
    *,
    data: str = "clips",
    image_size: int = 224,
    stored_size: int = 256,
    epochs: float = 500,
    batch_size: int = 256,
    learning_rate: float = 2e-4,
    weight_decay: float = 1e-5,
    negatives: int = 1024,
    temperature: float = 0.07,
    start: float = 0.6,
    precision: Precision = "auto",
    strict: bool = False,
) -> Recipe:
    """The authors' Kinetics runs: AVID, then 32 agreeing clips, found 4 times; 87.5 % on UCF after fine-tuning there.

    Args:
      data: data with sound; drawn "clips" stand in for Kinetics.
      epochs: passes over the training clips: 30 with AVID alone and 20 more, with 10 clips of each video there.
      learning_rate: from the first step to the last.
      negatives: memories of other clips, for each.
      start: part of the run that is AVID alone.
    """
    here = kinetics_clips(data=data, image_size=image_size, stored_size=stored_size, precision=precision, strict=strict)
    steps = count_steps(here.data, epochs=epochs, batch_size=batch_size)
    return Recipe(
        data=here.data,
        method=CMA(
            **here.networks,
            clips=len(here.data.train),
            negatives=negatives,
            temperature=temperature,
            start_step=max(1, round(start * steps)),
            every=max(1, steps // 10),
            drawn=32,
        ),
        augment=here.augment,
        prepare=here.prepare,
        optimizer=lambda steps: adam(lambda step: learning_rate, weight_decay=weight_decay, decay_all=True),
        batch_size=batch_size,
        epochs=epochs,
    )
