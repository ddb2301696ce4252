"""What a compiled program costs a device: operations, bytes of memory, and collectives, with loops counted in full.

XLA's own `cost_analysis` counts the body of a loop once, and the costlier branch of a conditional.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ssl_jax.planning.compiled_text import Array, Instruction, Program, arrays_of
from ssl_jax.planning.products import compiled_products

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all", "collective-permute")
# They name or describe other instructions, or end what another has started.
FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "partition-id", "replica-id",
    "opt-barrier", "add-dependency", "domain", "iota",
}  # fmt: skip
# What a TPU sends to other slices, over the network: libtpu's names, and those of collectives.
TRANSFERS = {
    "ALL_REDUCE": "all-reduce", "ALL_GATHER": "all-gather", "REDUCE_SCATTER": "reduce-scatter", "ALL_TO_ALL": "all-to-all",
    "ONE_TO_ONE": "collective-permute",
}  # fmt: skip
BETWEEN_SLICES = " between slices"
# Reduce-scatter of a TPU: a fusion of an all-reduce and the slice of its result.
SCATTERING = "all-reduce-scatter"


@dataclass(frozen=True)
class Traffic:
    """Collectives of one kind in a step. results: bytes of their results on a device; sent: bytes that a device sends."""

    count: float = 0
    results: float = 0
    sent: float = 0

    def plus(self, other: "Traffic", times: float = 1) -> "Traffic":
        """Both together, the other one so many times."""
        both = zip((self.count, self.results, self.sent), (other.count, other.results, other.sent), strict=True)
        return Traffic(*(own + times * more for own, more in both))


@dataclass(frozen=True)
class Costs:
    """Costs on one device.

    flops: of matrix products and convolutions, two for a multiplication and an addition; other operations are not counted.
    bytes: read from and written to memory by all instructions; of arrays in the chip's fast memory none.
    unknown_loops: loops whose number of iterations depends on values, and which are counted once.
    """

    flops: float = 0
    bytes: float = 0
    traffic: dict[str, Traffic] = field(default_factory=dict)
    unknown_loops: float = 0

    def plus(self, other: "Costs", times: float = 1) -> "Costs":
        """Both together, the other one so many times."""
        kinds = sorted({*self.traffic, *other.traffic})
        none = Traffic()
        traffic = {kind: self.traffic.get(kind, none).plus(other.traffic.get(kind, none), times) for kind in kinds}
        return Costs(
            self.flops + times * other.flops,
            self.bytes + times * other.bytes,
            traffic,
            self.unknown_loops + times * other.unknown_loops,
        )


def costs_of(program: Program) -> Costs:
    """The costs of a compiled program. Of a conditional, the branch with the fewest operations counts: that of most steps."""
    return _Counter(program).computation(program.entry)


class _Counter:
    def __init__(self, program: Program):
        self._computations = program.computations
        self._known: dict[tuple[str, bool], Costs] = {}

    def computation(self, name: str, *, fused: bool = False) -> Costs:
        """Costs of one execution; inside a fusion, values do not pass through memory."""
        if (name, fused) not in self._known:
            total = Costs()
            for instruction in self._computations.get(name, {}).values():
                total = total.plus(self._instruction(instruction, self._computations[name], fused=fused))
            self._known[name, fused] = total
        return self._known[name, fused]

    def _instruction(self, one: Instruction, around: dict[str, Instruction], *, fused: bool) -> Costs:
        if one.opcode == "while":
            return self._loop(one, around)
        if one.opcode == "conditional":
            branches = one.called("branch_computations", "true_computation", "false_computation")
            return min((self.computation(name) for name in branches), key=lambda costs: (costs.flops, costs.bytes))
        if one.opcode in ("call", "async-start"):
            called = (self.computation(name, fused=fused) for name in one.called("to_apply", "calls"))
            return sum_of(called)
        inside = sum_of(self.computation(name, fused=True) for name in one.called("calls"))
        if one.opcode == "fusion" and any(SCATTERING in name for name in one.called("calls")):
            inside = Costs(inside.flops, traffic=_scattered(inside.traffic, one))
        kind = one.opcode.removesuffix("-start")
        traffic = {kind: _traffic(kind, _given(one, around), group_size(one.attributes))} if kind in COLLECTIVES else {}
        traffic |= _between_slices(one, around)
        moved = 0 if fused else self._bytes(one, around)
        return inside.plus(Costs(compiled_products(one, around), moved, traffic))

    def _loop(self, one: Instruction, around: dict[str, Instruction]) -> Costs:
        (body,), (condition,) = one.called("body"), one.called("condition")
        length = iterations(one, self._computations.get(condition, {}))
        once = self.computation(body)
        unknown = Costs(unknown_loops=1) if length is None else Costs()
        return unknown.plus(once, 1 if length is None else length)

    def _bytes(self, one: Instruction, around: dict[str, Instruction]) -> float:
        """Bytes that an instruction reads and writes; slices and updates touch a part of an operand."""
        if one.opcode in FREE or one.opcode.endswith(("-done", "-update")):
            return 0
        operands = [arrays_of(name, around) for name in one.operands]
        if one.opcode in ("send", "recv"):
            return _in_memory(one.arrays[:1])
        if one.opcode in ("dynamic-slice", "slice", "gather"):
            return 2 * _in_memory(one.arrays)
        if one.opcode in ("dynamic-update-slice", "scatter"):
            return 2 * _in_memory(operands[-1 if one.opcode == "scatter" else 1])
        if one.opcode.endswith("-start"):  # The result repeats the operand.
            given = [array for arrays in operands for array in arrays]
            made = list(one.arrays)
            for array in given:
                if array in made:
                    made.remove(array)
            return _in_memory(given) + _in_memory(made)
        called = one.called("calls") if one.opcode == "fusion" else []
        if not called:
            return _in_memory(one.arrays) + sum(map(_in_memory, operands))
        return self._fusion_bytes(one, operands, self._computations.get(called[0], {}))

    def _fusion_bytes(
        self, one: Instruction, operands: list[tuple[Array, ...]], inside: dict[str, Instruction]
    ) -> float:
        users: dict[str, list[Instruction]] = {}
        for each in inside.values():
            for name in each.operands if each.opcode not in ("parameter", "constant") else ():
                users.setdefault(name, []).append(each)
        total = _in_memory(one.arrays)
        for each in inside.values():
            if each.opcode == "parameter":
                arrays = operands[int(each.operands[0])]
                total += _read(each, users, inside, whole=_in_memory(arrays))
            if each.opcode == "dynamic-update-slice" and each.arrays[0] in one.arrays:  # It writes into its operand.
                update = sum(array.bytes for array in arrays_of(each.operands[1], inside))
                total += _in_memory([each.arrays[0]]) and update - each.arrays[0].bytes
        return max(total, 0)


def _read(
    one: Instruction, users: dict[str, list[Instruction]], inside: dict[str, Instruction], *, whole: float
) -> float:
    """Bytes of a fusion's parameter that it reads: all, unless every use takes a slice of it or updates one."""
    total = 0.0
    for user in users.get(one.name, []):
        if user.opcode == "bitcast":
            total += _read(user, users, inside, whole=whole)
        elif user.opcode in ("dynamic-slice", "slice", "gather") and user.operands[0] == one.name:
            total += sum(array.bytes for array in user.arrays)
        elif not (user.opcode == "dynamic-update-slice" and user.operands[0] == one.name):
            return whole
    return min(total, whole)


def sum_of(costs: Iterable[Costs]) -> Costs:
    """All of them together."""
    total = Costs()
    for each in costs:
        total = total.plus(each)
    return total


def iterations(loop: Instruction, condition: dict[str, Instruction]) -> int | None:
    """How often a loop runs: as XLA states it, or the bound of a counter from 0; None where neither is known."""
    stated = re.search(r'"known_trip_count":\{"n":"(\d+)"\}', loop.attributes)
    if stated:
        return int(stated[1])
    root = next((each for each in condition.values() if each.is_root), None)
    if root is None or root.opcode != "compare" or root.attribute("direction") != "LT":
        return None
    bound = condition.get(root.operands[1])
    return int(bound.operands[0]) if bound and re.fullmatch(r"\d+", bound.operands[0]) else None


def _between_slices(one: Instruction, around: dict[str, Instruction]) -> dict[str, Traffic]:
    """What a device sends to its like in the other slices; the collectives within a slice, before and after, count as others.

    Of a permutation only the devices at the borders send anything, and they set the pace.
    """
    kind = re.search(r'_xla_megascale_transfer_type="(\w+)"', one.attributes)
    if one.opcode != "send" or not kind:
        return {}
    given = sum(array.bytes for array in one.arrays[:1])
    name = TRANSFERS.get(kind[1], "collective-permute")
    return {name + BETWEEN_SLICES: _traffic(name, given, slices_in(one.attributes))}


def slices_in(attributes: str) -> int:
    """The slices that take part in a transfer: `{1,2}x{0:3}`, or the devices of which 100000 is the first of slice 1."""
    target = re.search(r"_xla_megascale_target=\"?(\{[^_]*)", attributes)
    numbers = re.findall(r"\d+", target[1]) if target else []
    listed = re.match(r"\{([\d,]+)\}x", target[1]) if target else None
    return len(listed[1].split(",")) if listed else len({int(number) // 100_000 for number in numbers})


def _given(one: Instruction, around: dict[str, Instruction]) -> float:
    return sum(array.bytes for name in one.operands for array in arrays_of(name, around))


def _traffic(kind: str, given: float, size: int | None) -> Traffic:
    """The bytes a device sends where each link is used once: in a ring, n - 1 of n parts, twice for a sum of all.

    given: bytes of the operands. size: devices, or slices, that take part.
    """
    others = 1.0 if size is None else (size - 1) / size
    if kind == "all-gather":
        made = given * (size or 1)
        return Traffic(1, made, made * others)
    if kind == "reduce-scatter":
        return Traffic(1, given / (size or 1), given * others)
    if kind == "all-reduce":
        return Traffic(1, given, 2 * given * others)
    return Traffic(1, given, given * (1 if kind == "collective-permute" else others))


def _scattered(traffic: dict[str, Traffic], fusion: Instruction) -> dict[str, Traffic]:
    """An all-reduce of which a device keeps its part sends half of the bytes."""
    both = traffic.get("all-reduce", Traffic())
    kept = sum(array.bytes for array in fusion.arrays)
    rest = {kind: each for kind, each in traffic.items() if kind != "all-reduce"}
    return rest | {"reduce-scatter": Traffic(both.count, kept, both.sent / 2)}


def group_size(attributes: str) -> int | None:
    """Devices that take part in a collective, from XLA's three notations of groups; None where there are none."""
    mesh = re.search(r"replica_groups=mesh\[([^\]]*)\] *\{([^}]*)\}", attributes)
    if mesh:
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", mesh[1]))
        return math.prod(int(sizes[axis]) for axis in re.findall(r"'([^']+)'", mesh[2]))
    short = re.search(r"replica_groups=\[\d+,(\d+)\]", attributes)
    if short:
        return int(short[1])
    listed = re.search(r"replica_groups=\{\{([\d,]*)\}", attributes)
    return len(listed[1].split(",")) if listed else None


def _in_memory(arrays: Iterable[Array]) -> float:
    return sum(array.bytes for array in arrays if not array.on_chip)
