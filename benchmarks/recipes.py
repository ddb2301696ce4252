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
import math
import os
import re
import traceback
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np
import tyro
from jax.experimental import topologies
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import AxisType, Mesh
from timing import timed

from ssl_jax import recipes
from ssl_jax.data import Data
from ssl_jax.files import write_atomically, write_json
from ssl_jax.train.mesh import batch_sharding
from ssl_jax.train.program import make_program

GRIDS = {4: "2x2", 8: "2x4", 16: "4x4", 32: "4x8", 64: "8x8", 128: "8x16", 256: "16x16"}  # of a v5e pod
LARGE = {"swav/seer": "v5p:8x8x8"}  # States that do not fit the 16 GB of a v5e; a v5p has 95 GB.
EXAMPLES_A_CHIP, SMALL_EXAMPLES_A_CHIP, SMALL_SIDE = 16, 64, 64
SETS = {  # Examples and classes.
    "cifar10": (50_000, 10), "imagenet2012": (1_281_167, 1000), "kinetics": (240_000, 400), "random_images": (10**9, 0)
}  # fmt: skip
DATA = {"kinetics": "kinetics", "seer": "random_images"}  # By recipe, where the default is other data.
FRAMES, SAMPLES = 8, 48_000  # of a clip of `ssl_jax.data.tfds_clips`
COLLECTIVES = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
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
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # There is no TPU to query.
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
    topology = topology_for(name, recipe)
    mesh = mesh_of(topology)
    program = make_program(recipe.method, recipe.augment, recipe.optimizer(recipe.steps), seed=0, mesh=mesh)
    traced = program.step.trace(program.like, batch_of(recipe, mesh))
    about = {
        "encoder": recipe.arguments.get("encoder", "r2plus1d_18 and audio_convnet"),
        "batch": recipe.batch_size,
        "chips": mesh.size,
        "topology": topology,
        "steps": recipe.steps,
        "products": products(traced.jaxpr),
        "date": datetime.date.today().isoformat(),
        "versions": {package: importlib.metadata.version(package) for package in ("jax", "libtpu")},
    }
    while True:
        try:
            jax.config.update("jax_exec_time_optimization_effort", effort)
            seconds, compiled = timed(lambda: traced.lower().compile())
        except jax.errors.JaxRuntimeError as fault:
            if effort < 0 and "RESOURCE_EXHAUSTED" in str(fault):
                effort = 0.0
                continue
            traceback.print_exc()
            return about | {"effort": effort, "refused": str(fault).strip().splitlines()[0]}
        return about | {"effort": effort, "seconds": round(seconds, 1), **measured(compiled, mesh.size)}


def at_full_size(name: str, **given: Any) -> recipes.Recipe:
    """The recipe on the placeholder of its data, with the activations of accelerators, and other options as given."""
    (method, scale), encoder, batch = parsed(name)
    given |= {"data": DATA[scale]} if scale in DATA else {}
    given |= {"batch_size": int(batch)} if batch else {}
    given |= {"encoder": encoder} if encoder else {}
    with (
        mock.patch("ssl_jax.data.tfds.open_tfds", open_outline),
        mock.patch("ssl_jax.recipes.clusterfit.load_features", lambda path, source: np.zeros((len(source), 1))),
        mock.patch(
            "ssl_jax.recipes.clusterfit.cluster", lambda features, count, **_: np.zeros(len(features), np.int32)
        ),
    ):
        return recipes.find(method, scale)(precision="bfloat16", **given)


def parsed(name: str) -> tuple[list[str], str, str]:
    """Method and recipe, encoder and batch of "method/recipe:ENCODER@BATCH"; the last two may be empty."""
    name, _, batch = name.partition("@")
    name, _, encoder = name.partition(":")
    return name.split("/"), encoder, batch


class Outline:
    """A placeholder of a data set with its size; attributes are those of a `Source`."""

    def __init__(self, name: str, side: int):
        self.name = name
        self._size, classes = SETS[name]
        self.classes = tuple(str(label) for label in range(classes))
        self._clips = name == "kinetics"
        self.image_shape = (*(FRAMES,) * self._clips, side, side, 3)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, number: int) -> dict[str, Any]:
        sound = {"audio": np.zeros(SAMPLES, np.int16)} if self._clips else {}
        return {"image": np.zeros(self.image_shape, np.uint8), "label": np.int32(0), **sound}


def open_outline(name: str, *, image_size: int, **_: Any) -> Data:
    """In place of `open_tfds`."""
    return Data(name, Outline(name, image_size), None)


def chips_for(recipe: recipes.Recipe) -> int:
    """The number of chips with 16 examples each, or 64 below 64 pixels a side."""
    small = recipe.data.train.image_shape[-2] < SMALL_SIDE
    share = SMALL_EXAMPLES_A_CHIP if small else EXAMPLES_A_CHIP
    return min(max(recipe.batch_size // share, min(GRIDS)), max(GRIDS))


def topology_for(name: str, recipe: recipes.Recipe) -> str:
    """Chips and their grid."""
    return LARGE.get("/".join(parsed(name)[0]), f"v5e:{GRIDS[chips_for(recipe)]}")


def mesh_of(topology: str) -> Mesh:
    """The mesh of `make_mesh`, over chips without hardware."""
    there = topologies.get_topology_desc(platform="tpu", topology_name=topology).devices
    return jax.make_mesh((len(there), 1), ("data", "model"), axis_types=(AxisType.Auto, AxisType.Auto), devices=there)


def batch_of(recipe: recipes.Recipe, mesh: Mesh) -> dict[str, jax.ShapeDtypeStruct]:
    example = recipe.data.train[0] | {"index": np.int32(0)}
    return {
        name: jax.ShapeDtypeStruct((recipe.batch_size, *array.shape), array.dtype, sharding=batch_sharding(mesh))
        for name, array in example.items()
    }


def products(program: ClosedJaxpr | Jaxpr) -> float:
    """Operations of the matrix products and convolutions of a traced program, two for a multiplication and an addition.

    Loops count with their iterations, and branches with the cheapest one, without the clustering of once an epoch.
    """
    total = 0.0
    for equation in program.eqns:
        inner = [products(part) for part in jax.tree.leaves(equation.params, is_leaf=is_program) if is_program(part)]
        kind, given = equation.primitive.name, equation.params
        if kind in ("dot_general", "conv_general_dilated"):
            left, right = (operand.aval.shape for operand in equation.invars)
            out = math.prod(equation.outvars[0].aval.shape)
        if kind == "dot_general":
            total += 2 * out * math.prod(left[axis] for axis in given["dimension_numbers"][0][0])
        elif kind == "conv_general_dilated":
            outputs = right[given["dimension_numbers"].rhs_spec[0]]
            total += (
                2 * out * math.prod(right) / outputs / math.prod(given["lhs_dilation"])
            )  # Without products with zeros.
        else:
            total += min(inner) if kind == "cond" else sum(inner) * given.get("length", 1)
    return total


def is_program(part: Any) -> bool:
    return isinstance(part, ClosedJaxpr | Jaxpr)


def measured(compiled: Any, chips: int) -> dict[str, Any]:
    """Operations of all chips; bytes on each, and the bytes that its collectives return, as the compiler counts them."""
    memory, text = compiled.memory_analysis(), compiled.as_text()
    returned = [shapes for shapes, _ in re.findall(rf" = (.*?) ({COLLECTIVES})(?:-start)?\(", text)]
    return {
        "flops": compiled.cost_analysis()["flops"] * chips,
        "arguments": memory.argument_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "collectives": len(returned),
        "collective_bytes": sum(map(bytes_of, returned)),
    }


def bytes_of(shapes: str) -> int:
    """Bytes of arrays in the compiler's notation, such as "(f32[64]{0:T(128)}, bf16[8,128]{1,0})"."""
    arrays = re.findall(r"\b(?:pred|[a-z]+(\d+))\w*\[([\d,]*)\]", shapes)
    return sum(int(bits or 8) // 8 * math.prod(map(int, filter(None, sizes.split(",")))) for bits, sizes in arrays)


MISSING = """
`swav/seer`, RegNetY-256GF on a billion images, has no row: it did not compile within ten minutes of half a core. Its
operations, state and days are in `experiments/lecture/README.md`.
"""
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
- *collectives*: how many, and what they return on a chip in a step, bodies of loops once.
- *compiled in*: seconds on two busy cores, with the compiler's least effort, which changes no count and takes more memory
  than a run.
{"" if "swav/seer" in found else MISSING}
| {" | ".join(HEAD)} |
|{"---|" * len(HEAD)}
{chr(10).join(line(name, row) for name, row in sorted(found.items()))}
"""


if __name__ == "__main__":
    tyro.cli(compile_recipes)
