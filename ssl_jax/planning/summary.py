"""A plan as a dict for JSON, and as a table for people."""

import importlib.metadata
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ssl_jax.planning.chips import PARTS, roofline
from ssl_jax.planning.largest import Largest
from ssl_jax.planning.step import CompiledStep
from ssl_jax.planning.targets import Target
from ssl_jax.recipes import Recipe

DAY, HOUR = 86_400, 3_600
NOTE = (
    "The roofline is optimistic: every unit at its published peak, and computing, memory and links at the same time. It leaves "
    "out what the input takes, the waits of one collective after another, and logging, evaluation and checkpoints. "
    '"one after another" adds the three times up; a run may be slower than that, too.'
)


def summary(recipe: Recipe, target: Target, step: CompiledStep, largest: Largest | None) -> dict[str, Any]:
    """All numbers of a plan by name; None for what is unknown, as the speed of a processor."""
    method, _, name = recipe.name.partition("/")
    return {
        "method": method,
        "recipe": name,
        "encoder": recipe.arguments.get("encoder"),
        "target": target.name,
        "chip": target.chip.name if target.chip else None,
        "chips": target.chips,
        "devices": step.devices,
        "batch_size": step.batch_size,
        "steps": recipe.steps,
        "epochs": recipe.epochs,
        "examples": len(recipe.data.train),
        "parameters": step.parameters,
        "memory": _memory(step, target),
        "flops": step.device_costs.flops,
        "products": step.products,
        "bytes": step.device_costs.bytes,
        "collectives": {kind: asdict(each) for kind, each in step.device_costs.traffic.items()},
        "unknown_loops": step.device_costs.unknown_loops,
        **_speed(recipe, target, step),
        "largest_batch": asdict(largest) if largest else None,
        "refused": step.refused,
        "effort": step.effort,
        "compile_seconds": round(step.seconds, 1),
        "versions": {name: version for name in ("ssl_jax", "jax", "libtpu") if (version := _version(name))},
    }


def _memory(step: CompiledStep, target: Target) -> dict[str, Any]:
    fits = None if target.memory is None else step.refused is None and (step.needed or 0) <= target.memory
    parts = asdict(step.memory) if step.memory else {}
    return {**parts, "peak": step.needed, "limit": target.memory, "fits": fits}


def _speed(recipe: Recipe, target: Target, step: CompiledStep) -> dict[str, Any]:
    """The roofline, and what follows from it; empty where the chip's peaks are unknown."""
    if target.chip is None:
        return {}
    times = roofline(step.device_costs, target.chip)
    rate = step.batch_size / times.seconds
    hours = recipe.steps * times.seconds / HOUR
    return {
        "seconds": {**asdict(times), "step": times.seconds, "one_after_another": times.one_after_another},
        "bound": times.bound,
        "images_per_second": rate,
        "images_per_second_one_after_another": step.batch_size / times.one_after_another,
        "epochs_per_day": rate * DAY / len(recipe.data.train),
        "hours": hours,
        "chip_hours": hours * target.chips,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def table(plan: dict[str, Any]) -> str:
    """Lines of a name and its value, for a terminal."""
    rows = list(_rows(plan))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}".rstrip() for name, value in rows]
    return "\n".join([*lines, *(["", NOTE] if "seconds" in plan else [])])


def _rows(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    encoder = f", encoder {plan['encoder']}" if plan["encoder"] else ""
    yield "plan", f"{plan['method']}/{plan['recipe']}{encoder}, batch {plan['batch_size']:,} on {_place(plan)}"
    yield "parameters", f"{plan['parameters'] / 1e6:,.1f} million"
    for sentence in plan.get("assumed", ()):
        yield "assumed", sentence
    yield from _memory_rows(plan["memory"])
    yield (
        "products",
        f"{plan['flops'] / 1e9:,.1f} GFLOP a device and step, {_an_example(plan):,.2f} an example, loops in full",
    )
    if plan["refused"] is None:
        yield "memory traffic", f"{_size(plan['bytes'])} a device and step"
    for kind, each in plan["collectives"].items():
        yield (
            kind,
            f"{each['count']:,.0f} a step: {_size(each['results'])} of results, each device sends {_size(each['sent'])}",
        )
    if plan["unknown_loops"]:
        yield "loops", f"{plan['unknown_loops']:,.0f} of unknown length are counted once"
    if "seconds" in plan:
        yield from _speed_rows(plan)
    if plan["largest_batch"]:
        yield "largest batch", _largest(plan["largest_batch"])
    for sentence in plan.get("advice", ()):
        yield "to make it fit", sentence
    yield "compiled", f"in {plan['compile_seconds']:,.0f} s, effort {plan['effort']:g}"


def _place(plan: dict[str, Any]) -> str:
    if plan["chip"] is None:
        return plan["target"]
    chips = f"{plan['chips']} x {plan['chip']}"
    return f"{plan['target']}: {chips}" + (f", {plan['devices']} devices" if plan["devices"] != plan["chips"] else "")


def _an_example(plan: dict[str, Any]) -> float:
    return plan["flops"] * plan["devices"] / plan["batch_size"] / 1e9


def _memory_rows(memory: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("arguments", "outputs", "aliased", "temporaries", "code"):
        if name in memory:
            yield name, f"{_size(memory[name])} a device"
    peak = "unknown" if memory["peak"] is None else f"{_size(memory['peak'])} a device"
    fits = "fits" if memory["fits"] else "does NOT fit"
    yield "peak", peak if memory["limit"] is None else f"{peak} of {_size(memory['limit'])}: {fits}"


def _size(count: float) -> str:
    """Bytes in the largest unit of which there is at least one."""
    power = max((each for each in range(4) if count >= 1024**each), default=0)
    return f"{count / 1024**power:,.2f} {('bytes', 'KiB', 'MiB', 'GiB')[power]}" if power else f"{count:,.0f} bytes"


def _speed_rows(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    times = plan["seconds"]
    parts = ", ".join(
        f"{name} {1e3 * times[key]:,.2f}" for name, key in PARTS.items() if name != "network" or times[key]
    )
    yield "roofline", f"{1e3 * times['step']:,.2f} ms a step, bound by {plan['bound']} ({parts})"
    yield "one after another", f"{1e3 * times['one_after_another']:,.2f} ms"
    slower = plan["images_per_second_one_after_another"]
    yield "images a second", f"{plan['images_per_second']:,.0f} at most; {slower:,.0f} one after another"
    yield "epochs a day", f"{plan['epochs_per_day']:,.2f} of {plan['examples']:,} examples"
    run = f"{plan['steps']:,} steps, {plan['epochs']:g} epochs"
    yield "the run", f"{run}: {plan['hours']:,.2f} hours, {plan['chip_hours']:,.1f} chip-hours at least"


def _largest(found: dict[str, Any]) -> str:
    if found["batch_size"] is None:
        return f"none ({found['how']})"
    need = "" if found["needed"] is None else f", {_size(found['needed'])} a device"
    return f"{found['batch_size']:,}{need} ({found['how']}{'' if found['verified'] else ', not compiled'})"
