"""Operations of matrix products and convolutions, two for a multiplication and an addition: of traced and compiled programs."""

import math
import re
from collections.abc import Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from ssl_jax.planning.compiled_text import Instruction, arrays_of

CUDNN = "dot_product_attention"  # Its primitives in JAX begin so, and end in "_fwd_wrapper" and "_bwd_wrapper".


def products(program: ClosedJaxpr | Jaxpr) -> float:
    """Operations of the matrix products and convolutions of a traced program, two for a multiplication and an addition.

    Loops count with their iterations, what each device does of a `shard_map` with the devices, and branches with the cheapest
    one, without the clustering of once an epoch. cuDNN's attention counts by the shapes of its arrays.
    """
    total = 0.0
    for equation in program.eqns:
        inner = [products(part) for part in jax.tree.leaves(equation.params, is_leaf=_is_program) if _is_program(part)]
        kind, given = equation.primitive.name, equation.params
        if kind in ("dot_general", "conv_general_dilated"):
            left, right = map(_shape, equation.invars)
            out = math.prod(_shape(equation.outvars[0]))
        if kind == "dot_general":
            total += 2 * out * math.prod(left[axis] for axis in given["dimension_numbers"][0][0])
        elif kind == "conv_general_dilated":
            outputs = right[given["dimension_numbers"].rhs_spec[0]]
            # Without products with zeros.
            total += 2 * out * math.prod(right) / outputs / math.prod(given["lhs_dilation"])
        elif kind.startswith(CUDNN):
            total += _attention(equation)
        else:
            times = given["mesh"].size if kind == "shard_map" else given.get("length", 1)
            total += min(inner) if kind == "cond" else sum(inner) * times
    return total


def _attention(equation: Any) -> float:
    """Operations of cuDNN's kernel of queries `[B, T, H, D]`, keys `[B, S, G, D]`, values `[B, S, G, E]`; masked pairs count.

    Forward, products of the sizes D (scores) and E; backward, D thrice (scores again, gradients of queries and keys), E twice.
    """
    (batch, queries, heads, size), key, value = (_shape(variable) for variable in equation.invars[:3])
    backward = equation.primitive.name.startswith(f"{CUDNN}_bwd")
    sizes = 3 * size + 2 * value[-1] if backward else size + value[-1]
    return 2.0 * batch * heads * queries * key[1] * sizes


def _is_program(part: Any) -> bool:
    return isinstance(part, ClosedJaxpr | Jaxpr)


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


def compiled_products(one: Instruction, around: dict[str, Instruction]) -> float:
    """Operations of an instruction of a compiled program that is a matrix product or a convolution, else 0.

    Products with padding, or with the zeros of a dilation, do not count.
    """
    if one.opcode not in ("dot", "convolution"):
        return 0
    (left,), (right,) = (arrays_of(name, around) for name in one.operands)
    out = math.prod(one.arrays[0].shape)
    if one.opcode == "dot":
        axes = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", one.attributes)
        return 2.0 * out * math.prod(left.shape[int(axis)] for axis in (axes[1] if axes else "").split(",") if axis)
    return 2.0 * _multiplications(one, left.shape, right.shape, one.arrays[0].shape)


def _multiplications(one: Instruction, left: Sequence[int], right: Sequence[int], out: Sequence[int]) -> float:
    given, kernel, made = re.split("_|->", one.attribute("dim_labels") or "bf_io->bf")
    window = re.search(r"window=\{([^}]*)\}", one.attributes)
    sizes = dict(part.split("=") for part in window[1].split()) if window else {}
    total = 1.0
    for axis in [label for label in kernel if label.isdigit()]:
        number = int(axis)

        def setting(name: str, default: int, number: int = number) -> int:
            return int(sizes[name].split("x")[number]) if name in sizes else default

        low = int(sizes["pad"].split("x")[number].split("_")[0]) if "pad" in sizes else 0
        total *= _pairs(
            left[given.index(axis)], right[kernel.index(axis)], out[made.index(axis)], low=low, stride=setting("stride", 1),
            dilation=setting("lhs_dilate", 1), spread=setting("rhs_dilate", 1),
        )  # fmt: skip
    batch = left[given.index("b")] / int(one.attribute("batch_group_count") or 1)
    return total * batch * right[kernel.index("i")] * right[kernel.index("o")]


def _pairs(size: int, kernel: int, out: int, *, low: int, stride: int, dilation: int, spread: int) -> int:
    """Pairs of an output's position and a kernel's, along one axis, that meet a value and not padding."""
    last, count = (size - 1) * dilation, 0
    for tap in range(kernel):
        first = tap * spread - low
        if dilation == 1:  # first + stride * position lies in [0, last].
            count += max(0, min(out - 1, (last - first) // stride) - max(0, -(first // stride)) + 1)
        else:
            positions = (first + stride * position for position in range(out))
            count += sum(0 <= each <= last and each % dilation == 0 for each in positions)
    return count
