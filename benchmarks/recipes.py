"""The cost of a step of each recipe at the scale of its paper: compiled for TPUs without hardware, and never run.

    pip install "jax[tpu]"        # the version that is installed, for its compiler
    python benchmarks/recipes.py --results benchmarks/results/recipes.json

The step is the trainer's own, jitted and sharded as in `fit`, for a mesh over a TPU v5e topology, or a larger one where the
state needs it. Data sets are placeholders: as many examples as the real one, of the same shape, all zeros; ClusterFit's
clusters, too. A recipe that is in the results is skipped, so that a run can be stopped at any time; the table is FILE.md next
to FILE.json.
"""

import datetime
import importlib.metadata
import json
from pathlib import Path
from typing import Any

import jax
import tyro

from ssl_jax import recipes
from ssl_jax.files import write_atomically, write_json
from ssl_jax.planning.setting import assume
from ssl_jax.planning.step import compile_step
from ssl_jax.planning.targets import topology

GRIDS = {4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}  # of a v5e pod
LARGE = {"swav/seer": "v5p:8x8x8"}  # States that do not fit the 16 GB of a v5e; a v5p has 95 GB.
EXAMPLES_A_CHIP, SMALL_EXAMPLES_A_CHIP, SMALL_SIDE = 16, 64, 64
DATA = {"kinetics": "kinetics", "seer": "random_images"}  # By recipe, where the default is other data.
GIB = 2**30


def compile_recipes(
    *, names: tuple[str, ...] = (), again: bool = False, effort: float = -1.0, results: Path | None = None
) -> None:
    """Compiles the training step of each recipe except the demos, and prints its cost.

    Args:
      names: methods, or "method/recipe", or "method/recipe@BATCH" with another batch, or "method/recipe:ENCODER" with another
        encoder; all when none is named.
      again: also recipes that are in the results.
      effort: effort of the compiler, from -1 to 1. A run has 0, which takes several times as long, for the same operations
        in somewhat less memory; a step that does not fit with less effort is compiled with 0.
      results: file of the measurements; its table is next to it.
    """
    jax.config.update("jax_platforms", "cpu")
    every = [f"{method}/{name}" for method in recipes.methods() for name in recipes.recipes(method) if name != "demo"]
    wanted = [name for name in every if not names or name in names or name.split("/")[0] in names]
    wanted += [name for name in names if set(name) & set("@:")]
    found = json.loads(results.read_text()) if results and results.exists() else {}
    for name in wanted:
        if name not in found or again:
            found[name] = figures(name, effort=effort)
            print(line(name, found[name]), flush=True)
        if results:
            write_json(results, dict(sorted(found.items())))
            write_atomically(results.with_suffix(".md"), page(found))


def figures(name: str, *, effort: float) -> dict[str, Any]:
    """The cost of the compiled step of a recipe, or the sentence of its error."""
    recipe = at_full_size(name)
    chips = topology_for(name, recipe)
    target = topology(chips)
    step = compile_step(recipe, target.mesh, effort=effort)
    about = {
        "encoder": recipe.arguments.get("encoder", "r2plus1d_18 and audio_convnet"),
        "batch": recipe.batch_size,
        "chips": target.mesh.size,
        "topology": chips,
        "steps": recipe.steps,
        "products": step.products,
        "date": datetime.date.today().isoformat(),
        "versions": {package: importlib.metadata.version(package) for package in ("jax", "libtpu")},
        "effort": step.effort,
    }
    if step.memory is None or step.costs is None:
        return about | {"refused": step.refused}
    return about | {
        "seconds": round(step.seconds, 1),
        "flops": step.compiler_flops * step.devices,
        "arguments": step.memory.arguments,
        "temporaries": step.memory.temporaries,
        "collectives": round(sum(each.count for each in step.costs.traffic.values())),
        "collective_bytes": round(sum(each.results for each in step.costs.traffic.values())),
    }


def at_full_size(name: str, **given: Any) -> recipes.Recipe:
    """The recipe on the outline of its data, with the activations of accelerators, and other options as given."""
    (method, scale), encoder, batch = parsed(name)
    given |= {"data": DATA[scale]} if scale in DATA else {}
    given |= {"batch_size": int(batch)} if batch else {}
    given |= {"encoder": encoder} if encoder else {}
    return assume(recipes.find(method, scale), given, accelerator=True).make()


def parsed(name: str) -> tuple[list[str], str, str]:
    """Method and recipe, encoder and batch of "method/recipe:ENCODER@BATCH"; the last two may be empty."""
    name, _, batch = name.partition("@")
    name, _, encoder = name.partition(":")
    return name.split("/"), encoder, batch


def chips_for(recipe: recipes.Recipe) -> int:
    """The number of chips with 16 examples each, or 64 below 64 pixels a side."""
    small = recipe.data.train.image_shape[-2] < SMALL_SIDE
    share = SMALL_EXAMPLES_A_CHIP if small else EXAMPLES_A_CHIP
    return min(max(recipe.batch_size // share, min(GRIDS)), max(GRIDS))


def topology_for(name: str, recipe: recipes.Recipe) -> str:
    """Chips and their grid."""
    return LARGE.get("/".join(parsed(name)[0]), f"v5e:{GRIDS[chips_for(recipe)]}")


HEAD = (
    "recipe", "encoder", "batch", "chips", "TFLOP a step", "GFLOP an example", "products only",
    "arguments + temporaries, GiB a chip", "collectives, MB a chip", "steps", "compiled in, s",
)  # fmt: skip


def line(name: str, row: dict[str, Any]) -> str:
    """A row of the table."""
    an_example = f"{row['products'] / row['batch'] / 1e9:,.2f}"
    chips = f"{row['chips']} v5p" if "v5p" in row.get("topology", "") else row["chips"]
    start = [name, row["encoder"], f"{row['batch']:,}", chips]
    if "refused" in row:
        cells = [*start, "-", "-", an_example, row["refused"], "-", f"{row['steps']:,}", "-"]
    else:
        arguments, temporaries = row["arguments"] / GIB, row["temporaries"] / GIB
        cells = [
            *start,
            f"{row['flops'] / 1e12:,.1f}",
            f"{row['flops'] / row['batch'] / 1e9:,.2f}",
            an_example,
            f"{arguments:.2f} + {temporaries:.2f} = {arguments + temporaries:.2f}",
            f"{row['collectives']}: {row['collective_bytes'] / 1e6:,.0f}",
            f"{row['steps']:,}",
            f"{row['seconds']:.0f}",
        ]
    return f"| {' | '.join(map(str, cells))} |"


def page(found: dict[str, Any]) -> str:
    """The table of all compiled recipes, with an explanation of its columns."""
    dates = sorted({row["date"] for row in found.values()})
    versions = sorted({f"jax {row['versions']['jax']}, libtpu {row['versions']['libtpu']}" for row in found.values()})
    return f"""# The training step of each recipe, compiled for TPU v5e

{" to ".join(dict.fromkeys((dates[0], dates[-1])))}; {"; ".join(versions)}; `python benchmarks/recipes.py`.

Nothing was run. Batch and steps are those of the recipe, activations bfloat16, parameters copied to every chip. Chips: one
for {EXAMPLES_A_CHIP} examples, or for {SMALL_EXAMPLES_A_CHIP} below {SMALL_SIDE} pixels a side; at least {min(GRIDS)}.

- *TFLOP a step*, *GFLOP an example*: the compiler's count over all chips. It counts the body of a loop once and the costlier
  branch, and leaves out products with the zeros around an image.
- *products only*: GFLOP an example of the matrix products and convolutions of the program before it is compiled, with loops
  in full and the branch of most steps. Work that every chip repeats is in the compiler's count alone.
- *collectives*: how many, and what they return on a chip in a step; bodies of loops once before 2026-11-27, in full since.
- *compiled in*: seconds on two busy cores, with the compiler's least effort, which changes no count and takes more memory
  than a run.

| {" | ".join(HEAD)} |
|{"---|" * len(HEAD)}
{chr(10).join(line(name, row) for name, row in sorted(found.items()))}
"""


if __name__ == "__main__":
    tyro.cli(compile_recipes)
