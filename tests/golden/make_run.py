"""Writes run/: a finished run of layout 1, which every later version reads, or refuses with the way out.

    ssl-jax pretrain tests/golden/make_run.py:small --run tests/golden/run --epochs 2 --evaluate-every 8

    python tests/golden/make_run.py

The second command leaves out what the test does not read. A version that changes the layout adds a folder and keeps this one.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

from ssl_jax.composition import Images, Laptop, Recipe, recipe
from ssl_jax.composition.views import demo_views
from ssl_jax.methods.moco import MoCo
from ssl_jax.networks import small_convnet

RUN = Path(__file__).parent / "run"
FILE = "make_run.py"  # Stands in run.json for the path of this file.


@recipe
def small(
    images: Images = Images("synthetic", 8, "small"),  # noqa: B008
    training: Laptop = Laptop(epochs=2, batch_size=64),
) -> Recipe:
    """MoCo with a queue, a teacher, batch norm and AdamW, of some kilobytes."""
    opened = replace(images.open(), encoder=small_convnet(channels=3, widths=(4,), strides=(2,)))
    method = MoCo(opened.encoder, opened.head(8), training.steps(opened.data), queue_length=64)
    return opened.recipe(training, method, opened.views(demo_views), training.adamw)


def trimmed() -> None:
    """Removes files that no test reads, and the path of this file."""
    for path in RUN.iterdir():
        if path.name not in ("run.json", "metrics.jsonl", "results.json", "checkpoints"):
            path.unlink()
    for path in sorted((RUN / "checkpoints").iterdir(), key=lambda path: int(path.name))[:-1]:
        shutil.rmtree(path)
    for path in (RUN / "checkpoints").rglob("commit_success.txt"):
        path.write_text("")  # It names the folder.
    record = json.loads((RUN / "run.json").read_text())
    (RUN / "run.json").write_text(json.dumps(record | {"file": FILE}, indent=2) + "\n")


if __name__ == "__main__":
    trimmed()
