"""Curated images and scenes: what crops of one object teach, and crops of many.

    python experiments/lecture/curated_and_scenes.py
    python experiments/lecture/curated_and_scenes.py --only "SimCLR, scenes, 0.1" --seeds 0

Images with one object in the middle ("objects") and scenes of the same drawn objects are pre-trained on with the same settings:
small crops, of which two of a scene often show different objects, and large ones. The features of all runs are evaluated on both sets.
Runs that are missing in the results file follow one another; a run that was killed resumes. The table of README.md in this
folder and the pictures are made of the results.
"""

from pathlib import Path
from typing import Any, NamedTuple

from ssl_jax.augment.views import photo_views
from ssl_jax.data import Batches, Data, open_data
from ssl_jax.methods.method import Method
from ssl_jax.methods.simclr import SimCLR
from ssl_jax.methods.swav import SwAV
from ssl_jax.networks import small_convnet
from ssl_jax.recipes.images import Images, Opened
from ssl_jax.recipes.training import Laptop
from ssl_jax.train import fit
from ssl_jax.train.mesh import batch_sharding, make_mesh
from ssl_jax.train.state import TrainState

HERE = Path(__file__).parent
RESULTS = HERE / "results/curated_and_scenes.json"
BATCH, LEARNING_RATE = 128, 3e-3


class Case(NamedTuple):
    """method: "SimCLR" or "SwAV". data: pre-trained on, "objects" or "scenes". least: smallest area of a crop."""

    method: str
    data: str
    least: float

    @property
    def name(self) -> str:
        return f"{self.method}, {self.data}, {self.least}"


CASES = {
    case.name: case
    for case in (
        *(Case("SimCLR", data, least) for data in ("objects", "scenes") for least in (0.1, 0.5)),
        *(Case("SwAV", data, least) for data in ("objects", "scenes") for least in (0.1, 0.5)),
    )
}


def opened_for(data: str | Data) -> Opened:
    encoder = small_convnet(channels=3, widths=(16, 32, 64, 128), strides=(2, 2, 2, 1))
    return Images(open_data(data), 48, encoder).open()


def method_of(name: str, opened: Opened) -> Method:
    head = opened.head(256, 64)
    if name == "SimCLR":
        return SimCLR(opened.encoder, head, temperature=0.2)
    return SwAV(opened.encoder, head, prototypes=48, temperature=0.1, epsilon=0.03)


def trained(case: Case, *, steps: int, seed: int, runs: Path) -> tuple[Opened, Method, TrainState]:
    """The state after pre-training, from the checkpoint of a finished run if there is one."""
    opened, mesh = opened_for(case.data), make_mesh()
    method = method_of(case.method, opened)
    views = opened.views(photo_views, scale=(case.least, 1.0), jitter=(0.4, 0.4, 0.4, 0.0), blur=0.0)
    with Batches(opened.data.train, BATCH, seed=seed, sharding=batch_sharding(mesh)) as batches:
        state = fit(
            method, views, Laptop(learning_rate=LEARNING_RATE).adamw(steps), batches, steps=steps, seed=seed,
            run=runs / f"{case.name}, seed {seed}".replace(", ", "-").replace(" ", ""), mesh=mesh, log_every=20,
        )  # fmt: skip
    return opened, method, state
