"""Time and memory of Sinkhorn, Barlow Twins and VICReg against the plain formulas, in one run.

    python benchmarks/losses.py            # PyTorch's columns need torch
    python benchmarks/losses.py --repeats 20

Each figure is the best of the repeats, in milliseconds, after one call that compiles. Ratios are to ours, of the same
run: above 1 means that ours is faster. Temporary memory is the compiled program's own figure.
"""

import argparse

import jax
import jax.numpy as jnp
from machine import about
from timing import best_times

from ssl_jax.losses.decorrelation import barlow_twins, vicreg
from ssl_jax.ops.sinkhorn import sinkhorn

try:
    import torch
except ImportError:
    torch = None


def best_ms(run, repeats):
    return 1e3 * best_times({"run": run}, repeats)["run"]


def jax_runner(function, *arrays):
    """A call that waits for its result, and the compiled program's temporary memory in MiB."""
    compiled = jax.jit(function).lower(*arrays).compile()
    memory = compiled.memory_analysis()
    temporary = float("nan") if memory is None else memory.temp_size_in_bytes / 2**20
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


def report(title, rows):
    """rows: (name, milliseconds, MiB); the first is ours."""
    print(f"\n{title}\n{'':24}{'ms':>10}{'ratio':>8}{'temp MiB':>10}")
    for name, milliseconds, memory in rows:
        print(f"{name:24}{milliseconds:10.1f}{milliseconds / rows[0][1]:8.2f}{memory:10.1f}", flush=True)


def measure(candidates, arrays, repeats):
    rows = []
    for name, function in candidates.items():
        run, memory = jax_runner(function, *arrays)
        rows.append((name, best_ms(run, repeats), memory))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=10)
    repeats = parser.parse_args().repeats
    print(about("jax", "torch"))

    scores = jax.random.uniform(jax.random.key(0), (4096, 3000), minval=-1.0, maxval=1.0)
    candidates = {"ours": sinkhorn, "jax, divisions": plain_sinkhorn, "jax, plan rewritten": log_sinkhorn_in_place}
    rows = measure(candidates, (scores,), repeats)
    if torch:
        rows += [(name, best_ms(run, repeats), float("nan")) for name, run in torch_sinkhorns(scores).items()]
    report("sinkhorn, 4096 x 3000, 3 rounds", rows)

    for batch in (256, 1024, 2048):
        pair = jax.random.normal(jax.random.key(1), (2, batch, 8192))
        for name, ours, plain in (("barlow_twins", barlow_twins, plain_barlow), ("vicreg", vicreg, plain_vicreg)):
            candidates = {"ours": jax.grad(ours, (0, 1)), "jax, [D, D] matrix": jax.grad(plain, (0, 1))}
            rows = measure(candidates, tuple(pair), repeats)
            if torch and name == "barlow_twins":
                rows.append(("torch, [D, D] matrix", best_ms(torch_barlow(*pair), repeats), float("nan")))
            report(f"gradient of {name}, N = {batch}, D = 8192", rows)


if __name__ == "__main__":
    main()
