"""The parts of `benchmarks/accelerator.py`: each measures one thing and returns rows of a table."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from machine import version
from recipes import at_full_size
from timing import best_times, timed

from ssl_jax.augment.views import simclr_views
from ssl_jax.losses.contrastive import in_batch_info_nce, ntxent, supervised_contrastive
from ssl_jax.losses.decorrelation import barlow_twins, vicreg
from ssl_jax.ops.sinkhorn import sinkhorn
from ssl_jax.planning.chips import chip_of, roofline
from ssl_jax.planning.compiled_text import read_program
from ssl_jax.planning.costs import costs_of
from ssl_jax.planning.products import products
from ssl_jax.planning.step import batch_like, costs_on_device, memory_of, trace_step
from ssl_jax.recipes import Recipe
from ssl_jax.train.mesh import make_mesh

DIM, TEMPERATURE, GIB = 128, 0.1, 2**30
Row = dict[str, Any]


def measure(name: str, *, quick: bool) -> list[Row]:
    kind, _, rest = name.partition(" ")
    if kind == "torch":
        images = importlib.import_module("torch_steps").images_per_second(rest, batch=8 if quick else 256, steps=10)
        return [{"what": rest, "images_per_second": round(images, 1)}]
    parts: dict[str, Callable[..., list[Row]]] = {
        "peaks": peaks, "ntxent": ntxent_by_size, "losses": losses, "attention": attention, "views": views
    }  # fmt: skip
    return parts[name](quick=quick) if name in parts else training_step(kind, rest, quick=quick)


def peaks(*, quick: bool) -> list[Row]:
    """Rates of the best matrix product by type, and of a copy, reads and writes counted."""
    size, rows = 512 if quick else 8192, []
    kinds = {
        "bfloat16": (jnp.bfloat16, "default"),
        "tf32": (jnp.float32, "tensorfloat32"),
        "float32": (jnp.float32, "highest"),
    }
    for name, (dtype, precision) in kinds.items():
        matrix = jax.random.normal(jax.random.key(0), (size, size), dtype)
        product = jax.jit(partial(jnp.matmul, precision=precision))
        rows.append(
            {"what": name, "tflops": round(2 * size**3 / seconds_of(partial(product, matrix, matrix)) / 1e12, 1)}
        )
    array = jax.random.normal(jax.random.key(0), (size * size * 8,), jnp.float32)
    copy = jax.jit(lambda array: array + 1)
    return [*rows, {"what": "copy", "gb_per_second": round(2 * array.nbytes / seconds_of(partial(copy, array)) / 1e9)}]


def seconds_of(call: Callable[[], object], *, rounds: int = 5, repeats: int = 10) -> float:
    """Best seconds of a call among groups of calls in a row, so that the start of a kernel is hidden by the one before."""
    return best_times({"": lambda: [call() for _ in range(repeats)]}, rounds)[""] / repeats


def ntxent_by_size(*, quick: bool) -> list[Row]:
    """NT-Xent forward and backward; the necessary operations are 4 M^2 D for M rows, since the matrix is symmetric."""
    dense = importlib.import_module("ntxent").dense_ntxent
    rows = []
    for size in (512, 1024) if quick else (8192, 16384, 32768, 65536, 131072):
        both = [jax.random.normal(jax.random.key(seed), (size // 2, DIM)) for seed in (0, 1)]
        row: Row = {"what": f"{size:,} rows"} | timed_loss(partial(ntxent, temperature=TEMPERATURE), *both)
        row["tflops"] = round(4 * size**2 * DIM / row["milliseconds"] / 1e9, 1)
        if size <= 32768:
            row["dense_jax"] = timed_loss(dense, *both)["milliseconds"]
            row["dense_torch"] = torch_ntxent(size)
        rows.append(row)
    return rows


def timed_loss(loss: Callable[..., jax.Array], *arrays: jax.Array) -> Row:
    """Milliseconds of value and gradient of all arrays, and GiB of temporary memory."""
    program = jax.jit(jax.value_and_grad(loss, tuple(range(len(arrays))))).lower(*arrays).compile()
    memory = program.memory_analysis()
    milliseconds = 1e3 * seconds_of(partial(program, *arrays), rounds=3, repeats=3)
    return {
        "milliseconds": round(milliseconds, 3),
        "gib": round(memory.temp_size_in_bytes / GIB, 3) if memory else None,
    }


def torch_ntxent(size: int) -> float | None:
    """Milliseconds of the dense loss in PyTorch with float32 products."""
    if not version("torch") or jax.default_backend() != "gpu":
        return None
    torch = importlib.import_module("torch")
    both = [torch.randn(size // 2, DIM, device="cuda", requires_grad=True) for _ in range(2)]
    loss = partial(importlib.import_module("ntxent").torch_ntxent, torch)

    def call() -> None:
        torch.autograd.grad(loss(*both), both)
        torch.cuda.synchronize()

    return round(1e3 * best_times({"": call}, 5)[""], 3)


def losses(*, quick: bool) -> list[Row]:
    """Other losses at the batches and widths of large runs; names say rows x width."""
    batch, wide, prototypes = (256, 64, 50) if quick else (65536, 8192, 3000)
    label = jnp.arange(batch) % 1000
    supcon = partial(supervised_contrastive, labels=label, temperature=TEMPERATURE)
    plan = lambda scores: jnp.sum(sinkhorn(scores) * scores)  # noqa: E731
    cases = {
        f"in_batch_info_nce {batch:,} x {DIM}": (partial(in_batch_info_nce, temperature=TEMPERATURE), 2, (batch, DIM)),
        f"supervised_contrastive {batch:,} x {DIM}": (supcon, 1, (batch, DIM)),
        f"barlow_twins 2,048 x {wide:,}": (barlow_twins, 2, (2048, wide)),
        f"vicreg 2,048 x {wide:,}": (vicreg, 2, (2048, wide)),
        f"sinkhorn 4,096 x {prototypes:,}": (plan, 1, (4096, prototypes)),
    }
    rows = []
    for name, (loss, count, shape) in cases.items():
        arrays = [jax.random.normal(jax.random.key(seed), shape) for seed in range(count)]
        rows.append({"what": name} | timed_loss(loss, *arrays))
    return rows


def attention(*, quick: bool) -> list[Row]:
    """Ours, jax.nn's on XLA and on cuDNN, and PyTorch's, forward and backward, 8 heads of 64."""
    module = importlib.import_module("attention")
    rows = []
    for size, length in ((2, 64),) if quick else ((64, 197), (16, 1024), (4, 4096)):
        for causal in (False, True):
            row: Row = {"what": f"{size} x {length:,}{' causal' if causal else ''}"}
            for name in module.NAMES:
                call = module.make(name, size, length, causal=causal, backward=True)
                row[name] = milliseconds_or_error(call) if call else None
            rows.append(row)
    return rows


def milliseconds_or_error(call: Callable[[], object]) -> float | str:
    """A kernel of a library may refuse a size; the others are measured all the same."""
    try:
        return round(1e3 * seconds_of(call, rounds=3, repeats=3), 3)
    except Exception as fault:
        return f"{type(fault).__name__}: {str(fault).strip().splitlines()[0][:100]}"


def views(*, quick: bool) -> list[Row]:
    """SimCLR's two views of each image of 256 at 224 pixels."""
    count, side = (4, 32) if quick else (256, 224)
    images = jax.random.randint(jax.random.key(0), (count, side, side, 3), 0, 256).astype(jnp.uint8)
    keys = jax.random.split(jax.random.key(1), count)
    program = jax.jit(jax.vmap(simclr_views(size=side, mean=(0.5,) * 3, std=(0.25,) * 3)))
    taken = seconds_of(partial(program, keys, images), rounds=3, repeats=3)
    return [{"what": f"{count} x 2 views of {side}", "milliseconds": round(1e3 * taken, 2)}]


def training_step(method: str, rest: str, *, quick: bool) -> list[Row]:
    """The trainer's step of a recipe for ImageNet with batch 256 in bfloat16, views included, on random images."""
    encoder, _, given = rest.partition(" ")
    small = {"image_size": 32, "stored_size": 32} | ({"small_size": 16} if method == "dino" else {})
    encoder = encoder if not quick else "vit_micro" if encoder.startswith("vit") else "small"
    recipe = at_full_size(f"{method}/imagenet@{8 if quick else 256}", encoder=encoder, **(small if quick else {}))
    recipe = replace(recipe, augment=two_copies) if given else recipe
    mesh = make_mesh()
    program, traced = trace_step(recipe, mesh)
    compiled, state = traced.lower().compile(), program.init()
    batch, steps = random_batch(recipe, mesh), 1 if quick else 10
    best = float("inf")
    for _ in range(4):
        taken, state = timed(lambda state=state: repeat(compiled, state, batch, steps))
        best = min(best, taken / steps)
    device = jax.local_devices()[0]
    peak, predicted = (device.memory_stats() or {}).get("peak_bytes_in_use", 0), memory_of(compiled).peak
    costs, chip = costs_of(read_program(compiled.as_text())), chip_of(device.device_kind)
    costs = costs_on_device(costs, products(traced.jaxpr), devices=mesh.size)
    return [
        {
            "what": f"{method} {rest}",
            "images_per_second": round(recipe.batch_size / best, 1),
            "tflops": round(products(traced.jaxpr) / best / 1e12, 1),
            "gib_predicted": round(predicted / GIB, 2),
            "gib_peak": round(peak / GIB, 2),
            "predicted_over_peak": f"{predicted / peak:.1%}" if peak else None,  # Promised: within 10 %.
            "of_roofline": f"{roofline(costs, chip).seconds / best:.0%}" if chip else None,
        }
    ]


def two_copies(rng: jax.Array, image: jax.Array) -> jax.Array:
    """In place of random views: the image itself, cut to 224 pixels, twice."""
    image = image[:224, :224].astype(jnp.float32) / 128 - 1
    return jnp.stack([image, image])


def repeat(step: Callable[..., Any], state: Any, batch: Any, steps: int) -> Any:
    for _ in range(steps):
        state, _ = step(state, batch)
    return state


def random_batch(recipe: Recipe, mesh: jax.sharding.Mesh) -> Any:
    """Images of random numbers: zeros are faster than real ones."""
    rng = np.random.default_rng(0)
    return {
        name: jax.device_put(
            rng.integers(0, 256, like.shape).astype(like.dtype) if name == "image" else np.arange(len(like), dtype=like.dtype)
            if name == "index" else np.zeros(like.shape, like.dtype), like.sharding,
        )
        for name, like in batch_like(recipe, mesh).items()
    }  # fmt: skip
