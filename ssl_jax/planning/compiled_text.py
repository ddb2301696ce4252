"""The instructions of a compiled program, read from XLA's text: names, shapes, operands and attributes of each computation."""

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

BITS = {"pred": 8, "token": 0, "opaque": 0}
ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\](\{[^}]*\})?")
HEADER = re.compile(r"^(?:ENTRY )?%(\S+) \(.*\{$")
START = re.compile(r"^\s+(ROOT )?%(\S+) = ")
OPCODE = re.compile(r"\s*([\w-]+)\(")


class Array(NamedTuple):
    """Shape and size of an array. on_chip: in the fast memory of a chip (XLA's space `S(1)` and above), not in its HBM."""

    shape: tuple[int, ...]
    bytes: int
    on_chip: bool


class Instruction(NamedTuple):
    """arrays: those of the result, several for a tuple. operands: names. attributes: the text after the operands."""

    name: str
    opcode: str
    arrays: tuple[Array, ...]
    operands: tuple[str, ...]
    attributes: str
    is_root: bool

    def attribute(self, name: str) -> str | None:
        """The word after `name=`; None where the instruction has no such attribute."""
        found = re.search(rf"\b{name}=([^\s,]+)", self.attributes)
        return found and found[1]

    def called(self, *names: str) -> list[str]:
        """Names of the computations in these attributes, such as `calls=%fused` or `branch_computations={%a, %b}`."""
        found = (re.search(rf"\b{name}=(\{{[^}}]*\}}|%[^\s,]+)", self.attributes) for name in names)
        return [called for each in found if each for called in re.findall(r"%([^\s,{}]+)", each[1])]


class Program(NamedTuple):
    """The computations of a compiled program by name, each a dict of instructions by name."""

    computations: dict[str, dict[str, Instruction]]
    entry: str


def read_program(text: str) -> Program:
    """The computations of `compiled.as_text()`."""
    computations: dict[str, dict[str, Instruction]] = {}
    current: dict[str, Instruction] = {}
    entry = ""
    for line in text.splitlines():
        header = HEADER.match(line)
        if header:
            current = computations[header[1]] = {}
            entry = header[1] if line.startswith("ENTRY") else entry
        elif found := _instruction(line):
            current[found.name] = found
    return Program(computations, entry)


def _instruction(line: str) -> Instruction | None:
    start = START.match(line)
    if not start:
        return None
    after = _end_of_shape(line, start.end())
    opcode = OPCODE.match(line, after)
    if not opcode:
        return None
    end = _closing(line, opcode.end() - 1)
    operands = line[opcode.end() : end]
    constant = (operands,) if opcode[1] in ("constant", "parameter") else ()
    names = constant or tuple(re.findall(r"%([^\s,()]+)", operands))
    arrays = tuple(arrays_in(line[start.end() : after]))
    return Instruction(start[2], opcode[1], arrays, names, line[end + 1 :], bool(start[1]))


def _end_of_shape(line: str, start: int) -> int:
    """Where the shape that starts there ends: a tuple in parentheses, or text without a space."""
    return _closing(line, start) + 1 if line[start] == "(" else line.index(" ", start)


def _closing(line: str, start: int) -> int:
    depth = 0
    for position in range(start, len(line)):
        depth += (line[position] == "(") - (line[position] == ")")
        if not depth:
            return position
    return len(line) - 1


def arrays_in(shapes: str) -> Iterator[Array]:
    """Arrays in the compiler's notation, such as "(f32[64]{0:T(128)}, bf16[8,128]{1,0})"."""
    for kind, sizes, layout in ARRAY.findall(shapes):
        shape = tuple(map(int, filter(None, sizes.split(","))))
        yield Array(shape, math.prod(shape) * bits_of(kind) // 8, bool(re.search(r"S\([1-9]", layout)))


def bits_of(kind: str) -> int:
    """Bits of a number of XLA's type, such as 16 of "bf16"."""
    digits = re.match(r"[a-z]+(\d+)", kind)
    return BITS.get(kind, int(digits[1]) if digits else 8)


def arrays_of(name: str, around: dict[str, Instruction]) -> tuple[Array, ...]:
    """The arrays of an operand among the instructions of a computation; none for what is not one of them."""
    return around[name].arrays if name in around else ()
