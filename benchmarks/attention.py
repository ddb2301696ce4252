"""Attention forward, and forward and backward, against jax.nn.dot_product_attention and PyTorch's, in one run.

    python -m benchmarks attention --results benchmarks/results/attention-cpu.md
    python -m benchmarks attention --quick

Float32, 8 heads of 64. "jax.nn" is `jax.nn.dot_product_attention`, whose only implementation on a CPU is "xla"; on an
NVIDIA GPU, arrays are bfloat16 and its kernel is a further column. PyTorch's column needs torch. Times are the best of
interleaved rounds. "products alone" are the two batched matrix products of the forward pass as XLA computes them, without the
softmax between them: about the least that attention by XLA takes. "of peak" counts the necessary operations, 4 T^2 D a head
forward and 10 more backward, of which causal attention needs half, against the best matrix product of the same run. Memory is
the increase in a separate process, gradients and inputs included.
"""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax.sharding import Mesh, PartitionSpec
from machine import about, version
from summary import Row, compared, keep
from timing import best_times, high_water_mark, matmul_peak

from ssl_jax.ops.attention import attention

HEADS, DIM, MIB = 8, 64, 2**20
GPU = jax.default_backend() == "gpu"
DTYPE = jnp.bfloat16 if GPU else jnp.float32
NAMES = ("ours", "jax.nn", *(("cudnn",) if GPU else ()), "PyTorch")
ALONE = "products alone"


def benchmark(
    *,
    quick: bool = False,
    sizes: tuple[tuple[int, int], ...] = ((32, 197), (8, 1024), (4, 1025), (1, 4096)),
    lengths: tuple[int, ...] = (1024, 2048, 4096, 8192),
    rounds: int = 8,
    results: Path | None = None,
    only: str | None = None,
) -> None:
    """Prints the tables.

    Args:
      quick: small sizes only, as a check of the script.
      sizes: pairs of a number of examples and their length.
      lengths: lengths of one example, for the memory.
      rounds: number of rounds of each measurement.
      results: file of the tables.
      only: measures the memory of one entry in this process: NAME:LENGTH.
    """
    if only:
        return print(memory_of_process(*only.rsplit(":", 1)))
    if quick:
        sizes, lengths, rounds = ((2, 256),), (512, 1024), 2
    machine, rows = about("jax", "torch"), []
    head = f"# Attention\n\n{machine}. {HEADS} heads of {DIM}, {DTYPE.dtype}.\n"
    text = "\n".join([head, speed(sizes, rounds, rows), memory(lengths, rows), ring(lengths, rows)])
    print(text)
    keep(results, text + "\n", rows, name="attention", about=machine)


def speed(sizes: tuple[tuple[int, int], ...], rounds: int, rows: list[Row]) -> str:
    """The table of times; adds to the rows of the summary, as the other tables do."""
    peak = max(matmul_peak() for _ in range(3))
    lines = [
        f"Best matrix product in float32: {peak / 1e9:,.0f} GFLOP/s.",
        "",
        "| examples x length | causal | pass | "
        + " | ".join(f"{name}, ms" for name in (*NAMES, ALONE))
        + " | ours of peak | "
        "faster than jax.nn, PyTorch |",
        "|" + "---|" * (len(NAMES) + 6),
    ]
    for size, length in sizes:
        for causal in (False, True):
            for backward in (False, True):
                calls = {name: make(name, size, length, causal=causal, backward=backward) for name in NAMES}
                times = best_times({name: call for name, call in calls.items() if call}, rounds)
                if not (causal or backward):
                    alone = best_times(products_alone(size, length), rounds)
                    times[ALONE] = min(alone.values())
                cells = [f"{times[name] * 1e3:,.1f}" if name in times else "-" for name in (*NAMES, ALONE)]
                ratios = [
                    f"{times[peer] / times['ours']:.1f}" if peer in times else "-" for peer in ("jax.nn", "PyTorch")
                ]
                needed = (14 if backward else 4) * size * HEADS * length**2 * DIM / (2 if causal else 1)
                row = f"{size} x {length:,} | {'yes' if causal else 'no'} | {'both' if backward else 'forward'}"
                of_peak = f"{needed / times['ours'] / peak:.0%}"
                lines.append(f"| {row} | {' | '.join(cells)} | {of_peak} | {', '.join(ratios)} |")
                print(lines[-1], file=sys.stderr)
                named = f"{size} x {length:,}{', causal' * causal}, {'both passes' if backward else 'forward'}"
                taken = {name: 1e3 * seconds for name, seconds in times.items()}
                rows += [
                    compared(named, peer, taken["ours"], taken[peer], unit="ms") for peer in NAMES[1:] if peer in taken
                ]
    return "\n".join([*lines, ""])


def make(name: str, size: int, length: int, *, causal: bool, backward: bool) -> Callable[[], object] | None:
    """A call to be timed; None if the peer is not installed."""
    arrays = [
        np.random.default_rng(seed).standard_normal((size, length, HEADS, DIM), np.float32) for seed in (0, 1, 2, 3)
    ]
    if name == "PyTorch":
        return make_torch(arrays, causal=causal, backward=backward) if version("torch") else None
    ways = {
        "ours": partial(attention, causal=causal),
        "jax.nn": partial(jax.nn.dot_product_attention, is_causal=causal, implementation="xla"),
        "cudnn": partial(jax.nn.dot_product_attention, is_causal=causal, implementation="cudnn"),
    }
    *rows, cotangent = (jnp.asarray(array, DTYPE) for array in arrays)

    def forward_and_backward(cotangent: jax.Array, *rows: jax.Array) -> object:
        return jax.vjp(ways[name], *rows)[1](cotangent)

    return partial(jax.jit(forward_and_backward), cotangent, *rows) if backward else partial(jax.jit(ways[name]), *rows)


def products_alone(size: int, length: int) -> dict[str, Callable[[], object]]:
    """Scores, and the sums of values with scores for weights: of all heads at once, and one head after the other."""
    shape = size * HEADS, length, DIM
    rows = [jnp.asarray(np.random.default_rng(seed).standard_normal(shape, np.float32), DTYPE) for seed in (0, 1, 2)]

    def of_heads(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        return query @ key.mT @ value

    ways = {"all at once": of_heads, "one by one": lambda *rows: jax.lax.map(lambda each: of_heads(*each), rows)}
    return {name: partial(jax.jit(way), *rows) for name, way in ways.items()}


def make_torch(arrays: list[np.ndarray], *, causal: bool, backward: bool) -> Callable[[], object]:
    torch = importlib.import_module("torch")
    torch.set_num_threads(os.cpu_count())
    device, dtype = ("cuda", torch.bfloat16) if GPU else ("cpu", torch.float32)
    *rows, cotangent = (torch.from_numpy(array).transpose(1, 2).to(device, dtype).contiguous() for array in arrays)
    read = partial(torch.nn.functional.scaled_dot_product_attention, is_causal=causal)

    def call() -> None:
        if backward:
            torch.autograd.grad(read(*(row.requires_grad_() for row in rows)), rows, cotangent)
        else:
            with torch.no_grad():
                read(*rows)
        if GPU:
            torch.cuda.synchronize()

    return call


def memory(lengths: tuple[int, ...], rows: list[Row]) -> str:
    lines = [
        "MiB of one example, forward and backward, by its length.",
        "",
        "| length | " + " | ".join(NAMES[:2]) + " |",
        "|---|---|---|",
    ]
    for length in lengths:
        cells = [elsewhere(f"{name}:{length}") for name in NAMES[:2]]
        lines.append(f"| {length:,} | {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr)
        rows.append(in_memory(f"1 x {length:,}, both passes", NAMES[1], cells))
    return "\n".join([*lines, ""])


def in_memory(what: str, peer: str, cells: list[str]) -> Row:
    """A row of the summary from our cell and the peer's."""
    ours, theirs = (float(cell.replace(",", "")) for cell in cells)
    return compared(what, peer, ours, theirs, unit="MiB", digits=".0f")


def ring(lengths: tuple[int, ...], rows: list[Row]) -> str:
    """Temporary memory of the compiled program on each of 8 devices: from the compiler, without a run."""
    lines = [
        "Temporary MiB on each of 8 devices over which one causal sequence is cut, forward and backward: keys and values",
        "going round a ring, and gathered on every device for jax.nn.",
        "",
        "| length | ring | gathered |",
        "|---|---|---|",
    ]
    for length in lengths:
        cells = elsewhere(f"ring:{length}", devices=8)
        lines.append(f"| {length:,} | {cells} |")
        rows.append(in_memory(f"{length:,} over 8 devices, causal", "jax.nn, gathered", cells.split(" | ")))
    return "\n".join(lines)


def ring_memory(length: int) -> str:
    mesh, spec = Mesh(np.array(jax.devices()), ("data",)), PartitionSpec(None, "data")
    rows = jax.ShapeDtypeStruct((1, length, HEADS, DIM), jnp.float32)

    def gathered(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
        key, value = (jax.lax.all_gather(array, "data", axis=1, tiled=True) for array in (key, value))
        positions = jax.lax.axis_index("data") * query.shape[1] + jnp.arange(query.shape[1])
        mask = positions[:, None] >= jnp.arange(length)[None]
        return jax.nn.dot_product_attention(query, key, value, mask=mask[None, None], implementation="xla")

    held = []
    for read in (partial(attention, axis_name="data", causal=True), gathered):
        sharded = jax.shard_map(read, mesh=mesh, in_specs=spec, out_specs=spec)
        program = jax.jit(jax.grad(lambda *rows, read=sharded: read(*rows).sum(), (0, 1, 2))).lower(rows, rows, rows)
        held.append(f"{program.compile().memory_analysis().temp_size_in_bytes / MIB:,.0f}")
    return " | ".join(held)


def elsewhere(entry: str, *, devices: int = 1) -> str:
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "JAX_PLATFORMS": "cpu"}
    output = subprocess.run(
        [sys.executable, __file__, "--only", entry], env=environment, capture_output=True, text=True, check=True
    )
    return output.stdout.strip()


def memory_of_process(name: str, length: str) -> str:
    """Increase of the process's memory in MiB after libraries were loaded; for "ring", from the compiled programs."""
    if name == "ring":
        return ring_memory(int(length))
    jax.block_until_ready(make(name, 1, 128, causal=False, backward=True)())
    before = high_water_mark()
    jax.block_until_ready(make(name, 1, int(length), causal=False, backward=True)())
    return f"{high_water_mark() - before:,.0f}"


if __name__ == "__main__":
    tyro.cli(benchmark)
