"""Time and memory of Sinkhorn, Barlow Twins and VICReg against the plain formulas, in one run.

    pip install torch
    python -m benchmarks losses --results benchmarks/results/losses-cpu.md

Each figure is the best of the repeats, in milliseconds, after one call that compiles. Ratios are to ours, of the same
run: above 1 means that ours is faster. Temporary memory is the compiled program's own figure.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro
from machine import about
from summary import Row, compared, keep
from timing import best_times

from ssl_jax.losses.decorrelation import barlow_twins, vicreg
from ssl_jax.ops.sinkhorn import sinkhorn

try:
    import torch
except ImportError:
    torch = None

MATRIX = "jax, [D, D] matrix"


def best_ms(run, repeats):
    return 1e3 * best_times({"run": run}, repeats)["run"]


def jax_runner(function, *arrays):
    """A call that waits for its result, and the compiled program's temporary memory in MiB; None if it is not known."""
    compiled = jax.jit(function).lower(*arrays).compile()
    memory = compiled.memory_analysis()
    temporary = None if memory is None else memory.temp_size_in_bytes / 2**20
    return lambda: jax.block_until_ready(compiled(*arrays)), temporary


def plain_sinkhorn(scores, *, epsilon=0.05, iterations=3):
    """Exponentials once, then divisions: the usual form, which overflows where epsilon is small."""
    plan = jnp.exp(scores / epsilon)
    for _ in range(iterations):
        plan = plan / plan.sum(axis=0, keepdims=True)
        plan = plan / plan.sum(axis=1, keepdims=True)
    return plan


def log_sinkhorn_in_place(scores, *, epsilon=0.05, iterations=3):
    """Logarithms, with the plan rewritten in each round."""
    plan = scores / epsilon
    for _ in range(iterations):
        plan = plan - jax.nn.logsumexp(plan, axis=0, keepdims=True)
        plan = plan - jax.nn.logsumexp(plan, axis=1, keepdims=True)
    return jnp.exp(plan)


def off_diagonal(matrix):
    return jnp.sum(matrix**2) - jnp.sum(jnp.diagonal(matrix) ** 2)


def plain_barlow(first, second):
    first, second = ((rows - rows.mean(axis=0)) / rows.std(axis=0) for rows in (first, second))
    correlation = first.T @ second / len(first)
    return jnp.sum((1 - jnp.diagonal(correlation)) ** 2) + 5e-3 * off_diagonal(correlation)


def plain_vicreg(first, second):
    loss = 25 * jnp.mean((first - second) ** 2)
    for rows in (first, second):
        rows = rows - rows.mean(axis=0)
        covariance = rows.T @ rows / (len(rows) - 1)
        loss += 12.5 * jnp.mean(jax.nn.relu(1 - jnp.sqrt(jnp.diagonal(covariance) + 1e-4)))
        loss += off_diagonal(covariance) / rows.shape[1]
    return loss


def torch_sinkhorns(scores):
    scores = torch.from_numpy(jax.device_get(scores).copy())

    def plain():
        plan = torch.exp(scores / 0.05)
        for _ in range(3):
            plan = plan / plan.sum(dim=0, keepdim=True)
            plan = plan / plan.sum(dim=1, keepdim=True)
        return plan

    def logarithms():
        plan = scores / 0.05
        for _ in range(3):
            plan = plan - plan.logsumexp(dim=0, keepdim=True)
            plan = plan - plan.logsumexp(dim=1, keepdim=True)
        return plan.exp()

    return {"torch, divisions": plain, "torch, logarithms": logarithms}


def torch_barlow(first, second):
    pair = [torch.from_numpy(jax.device_get(rows).copy()).requires_grad_() for rows in (first, second)]

    def run():
        one, two = ((rows - rows.mean(dim=0)) / rows.std(dim=0, unbiased=False) for rows in pair)
        correlation = one.T @ two / len(one)
        diagonal = correlation.diagonal()
        loss = ((1 - diagonal) ** 2).sum() + 5e-3 * ((correlation**2).sum() - (diagonal**2).sum())
        return torch.autograd.grad(loss, pair)

    return run


def table(title, found):
    """The lines of a table. found: (name, milliseconds, MiB or None); the first is ours."""
    lines = ["", f"## {title[0].upper()}{title[1:]}", "", "| | ms | ratio | temp MiB |", "|---|---|---|---|"]
    for name, milliseconds, memory in found:
        held = "-" if memory is None else f"{memory:,.1f}"
        lines.append(f"| {name} | {milliseconds:,.1f} | {milliseconds / found[0][1]:.2f} | {held} |")
    print("\n".join(lines), flush=True)
    return lines


def compared_with(title, found) -> list[Row]:
    """The rows of the summary: times, and memory where both programs are JAX's."""
    (_, ours, memory), *others = found
    rows = [compared(title, peer, ours, theirs, unit="ms") for peer, theirs, _ in others]
    rows += [compared(title, peer, memory, held, unit="MiB") for peer, _, held in others if None not in (memory, held)]
    return rows


def measure(candidates, arrays, repeats):
    rows = []
    for name, function in candidates.items():
        run, memory = jax_runner(function, *arrays)
        rows.append((name, best_ms(run, repeats), memory))
    return rows


def losses(
    *,
    repeats: int = 10,
    scores: tuple[int, int] = (4096, 3000),
    batches: tuple[int, ...] = (256, 1024, 2048),
    dim: int = 8192,
    results: Path | None = None,
) -> None:
    """Prints a table for each loss and size.

    Args:
      repeats: turns of each.
      scores: rows and columns of Sinkhorn's scores.
      batches: examples of Barlow Twins and VICReg.
      dim: their features.
      results: file of the tables.
    """
    machine = about("jax", "torch")
    lines = ["# Sinkhorn, Barlow Twins and VICReg, on CPU", "", f"{machine}; `python -m benchmarks losses`"]
    print("\n".join(lines))
    rows = []
    measurements = [partial(of_sinkhorn, scores, repeats)]
    measurements += [
        partial(of_gradient, name, batch, dim, repeats) for batch in batches for name in ("barlow_twins", "vicreg")
    ]
    for measurement in measurements:
        title, found = measurement()
        lines += table(title, found)
        rows += compared_with(title, found)
    keep(results, "\n".join([*lines, ""]), rows, name="losses", about=machine)


def of_sinkhorn(size, repeats):
    scores = jax.random.uniform(jax.random.key(0), size, minval=-1.0, maxval=1.0)
    candidates = {"ours": sinkhorn, "jax, divisions": plain_sinkhorn, "jax, plan rewritten": log_sinkhorn_in_place}
    found = measure(candidates, (scores,), repeats)
    if torch:
        found += [(name, best_ms(run, repeats), None) for name, run in torch_sinkhorns(scores).items()]
    return f"sinkhorn, {size[0]} x {size[1]}, 3 rounds", found


def of_gradient(name, batch, dim, repeats):
    pair = jax.random.normal(jax.random.key(1), (2, batch, dim))
    ours, plain = {"barlow_twins": (barlow_twins, plain_barlow), "vicreg": (vicreg, plain_vicreg)}[name]
    found = measure({"ours": jax.grad(ours, (0, 1)), MATRIX: jax.grad(plain, (0, 1))}, tuple(pair), repeats)
    if torch and name == "barlow_twins":
        found.append(("torch, [D, D] matrix", best_ms(torch_barlow(*pair), repeats), None))
    return f"gradient of {name}, N = {batch}, D = {dim}", found


if __name__ == "__main__":
    tyro.cli(losses)
