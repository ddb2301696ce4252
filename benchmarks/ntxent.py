"""NT-Xent, forward and backward, against the dense formula in JAX and PyTorch and lightly's loss, in one run.

    python -m benchmarks ntxent --results benchmarks/results/ntxent-cpu.md
    python -m benchmarks ntxent --ring-only --results benchmarks/results/ntxent-cpu.md   # its last table alone
    python -m benchmarks ntxent --quick

Float32, D = 128. Peers' columns need torch and lightly (`pip install torch lightly==1.6.0`).
Times are the best of interleaved rounds after one call that compiles. "of peak" counts 4 M^2 D operations, M = 2N, which
the symmetric loss needs, against the best matrix product of the same run. Memory is the increase of the high-water mark of a
separate process, gradients and input included.
"""

import gc
import importlib
import importlib.metadata
import subprocess
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import ntxent_ring
import numpy as np
import tyro
from machine import about, version
from summary import Row, compared, keep
from timing import best_times, high_water_mark, matmul_peak

from ssl_jax.files import filled, write_atomically
from ssl_jax.losses.contrastive import ntxent

DIM, TEMPERATURE = ntxent_ring.DIM, ntxent_ring.TEMPERATURE
RING = (4096, 8192, 16384, 32768)
NAMES = ("ours", "dense JAX", "dense PyTorch", "lightly")


def benchmark(
    *,
    quick: bool = False,
    sizes: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384, 32768, 65536),
    rounds: int = 3,
    memory_limit: float = 8.0,
    results: Path | None = None,
    ring_only: bool = False,
    only: str | None = None,
) -> None:
    """Prints the tables.

    Args:
      quick: small sizes only, as a check of the script.
      sizes: values of M, the rows of both views.
      rounds: number of rounds of each measurement.
      memory_limit: GiB that a dense formula may need; the table names what others would need instead.
      results: file of the tables.
      ring_only: measures the ring against gathered keys alone, and fills this table of `results`.
      only: measures the memory of one entry in this process: NAME:M.
    """
    if only:
        return print(memory_of_process(*only.rsplit(":", 1)))
    sizes, rounds = ((512, 1024), 2) if quick else (sizes, rounds)
    over_devices = f"{about('jax')}. {ntxent_ring.table((512,) if quick else RING, rounds)}"
    if ring_only:
        print(over_devices)
        if results:
            write_atomically(results, filled(results.read_text(), {"ring": over_devices}))
        return
    machine, rows = about("jax", "torch", "lightly"), []
    head = f"# NT-Xent, forward and backward\n\n{machine}. D = {DIM}, float32.\n"
    parts = [head, speed(sizes, rounds, memory_limit, rows), blocks(sizes[len(sizes) // 2], rounds)]
    text = "\n".join([*parts, "<!-- ring -->", over_devices, "<!-- /ring -->"])
    print(text)
    keep(results, text + "\n", rows, name="ntxent", about=machine)


def speed(sizes: tuple[int, ...], rounds: int, memory_limit: float, rows: list[Row]) -> str:
    """The table of times and memory; adds to the rows of the summary."""
    peak = max(matmul_peak() for _ in range(3))
    lines = [
        f"Best matrix product: {peak / 1e9:.0f} GFLOP/s.",
        "",
        "| 2N | " + " | ".join(f"{name}, ms" for name in NAMES) + " | of peak | ours faster than dense JAX, lightly | "
        "MiB ours, " + ", ".join(NAMES[1:]) + " |",
        "|" + "---|" * (len(NAMES) + 4),
    ]
    for size in sizes:
        calls = {name: make(name, size) for name in NAMES if fits(name, size, memory_limit)}
        times = best_times({name: call for name, call in calls.items() if call}, rounds if size < 32768 else 1)
        del calls
        gc.collect()
        memory = {name: memory_elsewhere(name, size) for name in times}
        cells = [f"{times[name] * 1e3:,.0f}" if name in times else missing(name, size) for name in NAMES]
        ratios = [f"{times[name] / times['ours']:.1f}" if name in times else "-" for name in ("dense JAX", "lightly")]
        of_peak = 4 * size**2 * DIM / times["ours"] / peak
        held = [f"{memory[name]:,.0f}" if name in memory else "-" for name in NAMES]
        lines.append(f"| {size:,} | {' | '.join(cells)} | {of_peak:.0%} | {', '.join(ratios)} | {', '.join(held)} |")
        print(lines[-1], file=sys.stderr)
        for unit, found in {"ms": {name: 1e3 * taken for name, taken in times.items()}, "MiB": memory}.items():
            rows += [
                compared(f"2N = {size:,}", peer, found["ours"], found[peer], unit=unit, digits=".0f")
                for peer in list(found)[1:]
            ]
    return "\n".join([*lines, ""])


def blocks(size: int, rounds: int) -> str:
    """Time by block size, at one size."""
    sizes = [block for block in (128, 256, 512, 1024, 2048, size) if block <= size]
    times = best_times({block: make("ours", size, block_size=block) for block in sizes}, rounds)
    cells = [f"{times[block] * 1e3:,.0f}" for block in sizes]
    return "\n".join(
        [
            f"Block sizes at 2N = {size:,}, ms; the default is chosen by size.",
            "",
            "| block | " + " | ".join(map(str, sizes)) + " |",
            "|" + "---|" * (len(sizes) + 1),
            "| ms | " + " | ".join(cells) + " |",
            "",
        ]
    )


def dense_rows(first: jax.Array, second: jax.Array, *, everyone: list[jax.Array], mine: jax.Array) -> jax.Array:
    keys = normalized(jnp.concatenate(everyone))
    total, own = len(everyone[0]), mine + jnp.arange(len(first))
    itself, partner = jnp.concatenate([own, own + total]), jnp.concatenate([own + total, own])
    logits = normalized(jnp.concatenate([first, second])) @ keys.T / TEMPERATURE
    logits = jnp.where(jnp.arange(2 * total)[None] == itself[:, None], -jnp.inf, logits)
    picked = jnp.take_along_axis(logits, partner[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)


def normalized(rows: jax.Array) -> jax.Array:
    return rows / jnp.linalg.norm(rows, axis=1, keepdims=True)


def dense_ntxent(first: jax.Array, second: jax.Array) -> jax.Array:
    return dense_rows(first, second, everyone=[first, second], mine=jnp.int32(0))


def make(name: str, size: int, *, block_size: int | None = None) -> Callable[[], object] | None:
    """A call that computes value and gradients and waits for them; None if the peer is not installed."""
    views = [np.random.default_rng(seed).standard_normal((size // 2, DIM), np.float32) for seed in (0, 1)]
    if name in ("ours", "dense JAX"):
        ours = partial(ntxent, temperature=TEMPERATURE, block_size=block_size)
        function = jax.jit(jax.value_and_grad(ours if name == "ours" else dense_ntxent, (0, 1)))
        arrays = jax.device_put(views)
        return lambda: jax.block_until_ready(function(*arrays))
    if not version("torch"):
        return None
    torch = importlib.import_module("torch")
    tensors = [torch.from_numpy(view).requires_grad_() for view in views]
    if name == "lightly" and not version("lightly"):
        return None
    loss = lightly_ntxent() if name == "lightly" else partial(torch_ntxent, torch)

    def call() -> object:
        return torch.autograd.grad(loss(*tensors), tensors)

    return call


def torch_ntxent(torch: types.ModuleType, first: object, second: object) -> object:
    rows = torch.nn.functional.normalize(torch.cat([first, second]))
    logits = rows @ rows.T / TEMPERATURE
    logits.fill_diagonal_(-torch.inf)
    half = len(rows) // 2
    partner = torch.arange(2 * half, device=rows.device).roll(half)
    return torch.nn.functional.cross_entropy(logits, partner)


def lightly_ntxent() -> Callable[..., object]:
    """The class without the packages' `__init__`, and without models, whose imports the loss does not need."""
    sys.modules.setdefault("lightly.models.utils", types.ModuleType("lightly.models.utils"))
    for name in ("lightly", "lightly.loss", "lightly.models", "lightly.models.modules"):
        if name not in sys.modules:
            module = types.ModuleType(name)
            module.__path__ = [str(importlib.metadata.distribution("lightly").locate_file(name.replace(".", "/")))]
            sys.modules[name] = module
    return importlib.import_module("lightly.loss.ntx_ent_loss").NTXentLoss(temperature=TEMPERATURE)


def fits(name: str, size: int, limit: float) -> bool:
    return name == "ours" or dense_gib(name, size) <= limit


def dense_gib(name: str, size: int) -> float:
    matrices = {"dense JAX": 3, "dense PyTorch": 4, "lightly": 6}[name]  # similarity matrices in memory at once
    return matrices * size**2 * 4 / 2**30


def missing(name: str, size: int) -> str:
    installed = name == "dense JAX" or version("torch" if name == "dense PyTorch" else "lightly")
    return f"needs {dense_gib(name, size):.0f} GiB" if installed else "-"


def memory_elsewhere(name: str, size: int) -> float:
    output = subprocess.run(
        [sys.executable, __file__, "--only", f"{name}:{size}"], capture_output=True, text=True, check=True
    )
    return float(output.stdout)


def memory_of_process(name: str, size: str) -> float:
    """Increase of the process's memory in MiB after the inputs were made."""
    make(name, 256)()  # libraries loaded, threads started
    before = high_water_mark()
    make(name, int(size))()
    return high_water_mark() - before


if __name__ == "__main__":
    tyro.cli(benchmark)
