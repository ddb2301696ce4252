"""NT-Xent over 8 devices: rows that pass through half of a ring, against keys that are gathered on every device.

Both are the package's: operations and bytes are counted in the compiled programs, in which a device compares all of its rows at
once, so that no loop is of unknown length; times are those of blocks of 512, the default on a CPU. They are the processor's, of
all devices together: what else runs on the machine does not count.
"""

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from ssl_jax.losses.contrastive import ntxent
from ssl_jax.ops.comparison import Comparison, comparing
from ssl_jax.planning.compiled_text import read_program
from ssl_jax.planning.costs import costs_of

DIM, TEMPERATURE, MIB, DEVICES, BLOCK = 128, 0.1, 2**20, 8, 512
INTRODUCTION = """Rows pass through half of a ring, or the keys are gathered: compiled for n = 8 devices of a CPU, M = 2N rows.
By count the half ring needs 4 M^2 D / n operations of a device, the other form 8. *sent* are the collectives of both passes.
Times are the processor's, of all devices together, forward and backward, the two forms in turn."""
FORMS = {"half ring": Comparison(keys="ring"), "gathered": Comparison(keys="gather")}


def table(sizes: tuple[int, ...], rounds: int) -> str:
    """A row for each size, measured in a process of its own that has the devices."""
    heads = ("GFLOP a device", "over M^2 D / n", "MiB sent a device", "temporary MiB a device", "ms of the processor")
    lines = [
        INTRODUCTION,
        "",
        "| 2N | " + " | ".join(f"{head}: ring, gathered" for head in heads) + " |",
        "|" + "---|" * (len(heads) + 1),
    ]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(DEVICES), "JAX_PLATFORMS": "cpu"}
    for size in sizes:
        program = [sys.executable, __file__, str(size), str(rounds)]
        output = subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
        found = [json.loads(output)[form] for form in FORMS]
        cells = [", ".join(digits.format(each[key]) for each in found) for key, digits in COLUMNS.items()]
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines)


COLUMNS = {"gflop": "{:,.2f}", "factor": "{:.2f}", "sent": "{:,.2f}", "temporary": "{:,.1f}", "ms": "{:,.0f}"}


def measured(size: int, rounds: int) -> dict[str, dict[str, float]]:
    """The costs of a device and the time of each form, at 2N = size."""
    found, calls = {}, {}
    for form in FORMS:
        compiled = sharded(form, block=size // DEVICES).lower(*[views_like(size)] * 2).compile()
        costs = costs_of(read_program(compiled.as_text()))
        assert not costs.unknown_loops, form
        found[form] = {
            "gflop": costs.flops / 1e9,
            "factor": costs.flops / (size**2 * DIM / DEVICES),
            "sent": sum(each.sent for each in costs.traffic.values()) / MIB,
            "temporary": compiled.memory_analysis().temp_size_in_bytes / MIB,
        }
        views = [np.random.default_rng(seed).standard_normal((size // 2, DIM), np.float32) for seed in (0, 1)]
        program = sharded(form, block=min(BLOCK, size // DEVICES)).lower(*[views_like(size)] * 2).compile()
        calls[form] = partial(program, *map(jnp.asarray, views))
    times = dict.fromkeys(FORMS, math.inf)
    for _ in range(rounds):
        for form, call in calls.items():
            start = time.process_time()
            jax.block_until_ready(call())
            times[form] = min(times[form], time.process_time() - start)
    return {form: {**found[form], "ms": times[form] * 1e3} for form in FORMS}


def views_like(size: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((size // 2, DIM), jnp.float32)


def sharded(form: str, *, block: int) -> Any:
    """The loss and its gradient, jitted over all devices."""
    mesh, spec = Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data")

    def loss(first: jax.Array, second: jax.Array) -> jax.Array:
        with comparing(FORMS[form]):
            return ntxent(first, second, temperature=TEMPERATURE, axis_name="data", block_size=block)

    mapped: Callable[..., jax.Array] = jax.shard_map(loss, mesh=mesh, in_specs=spec, out_specs=PartitionSpec())
    return jax.jit(jax.value_and_grad(mapped, (0, 1)))


if __name__ == "__main__":
    print(json.dumps(measured(*map(int, sys.argv[1:]))))
