"""What a step is compiled for: a TPU topology that is not there, or devices of this machine."""

import importlib.util
import os
import re
from contextlib import suppress
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import AxisType, Mesh

from ssl_jax.errors import UsageError, reason_of
from ssl_jax.planning.chips import TPUS, Chip, chip_of
from ssl_jax.train.mesh import make_mesh

NAME = re.compile(r"(\w+):(\d+(?:x\d+)+)")
# Nothing asks for a TPU: libtpu shall neither query a metadata server for one nor lock it against other processes.
WITHOUT_TPU = {"TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1", "TPU_WORKER_HOSTNAMES": "localhost"}


class Target(NamedTuple):
    """name: of the topology or of the devices. chip: None where its peaks are unknown, as of a processor."""

    name: str
    mesh: Mesh
    chip: Chip | None

    @property
    def chips(self) -> int:
        """Number of chips; a chip may be several devices."""
        return self.mesh.size // (self.chip.devices if self.chip else 1)

    @property
    def is_processor(self) -> bool:
        """Whether the devices are those that JAX simulates on a CPU."""
        return self.mesh.devices.flat[0].platform == "cpu"

    @property
    def memory(self) -> float | None:
        """Bytes that a program may use on a device; None where that is unknown."""
        if self.chip is not None:
            return self.chip.memory / self.chip.devices
        device = self.mesh.devices.flat[0]
        stats = None if self.is_processor else device.memory_stats()
        return (stats or {}).get("bytes_limit")


def topology(name: str) -> Target:
    """The chips of a TPU topology by name, "v5e:16x16": a mesh as `make_mesh` makes it, over devices without hardware.

    Raises:
      UsageError: the name is of no topology, or libtpu, the compiler, is not installed.
    """
    found = NAME.fullmatch(name)
    if not found or found[1] not in TPUS:
        raise UsageError(
            f"topology: got {name!r}, expected one of {', '.join(TPUS)} and a grid of chips: such as v5e:16x16 or v5p:4x4x4."
        )
    if importlib.util.find_spec("libtpu") is None:
        raise UsageError(
            f"topology: {name} is compiled by libtpu, which is not installed: pip install 'ssl_jax[tpu]', or leave --topology "
            "out for --devices of this machine."
        )
    for variable, value in WITHOUT_TPU.items():
        os.environ.setdefault(variable, value)
    chip = TPUS[found[1]]
    options = {} if chip.config is None else {"chip_config_name": chip.config}
    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=name, **options).devices
    except jax.errors.JaxRuntimeError as fault:
        raise UsageError(
            f"topology: libtpu refuses {name} ({reason_of(fault)}): choose another grid, such as {_example(chip)}."
        ) from fault
    both = AxisType.Auto, AxisType.Auto
    return Target(name, jax.make_mesh((len(devices), 1), ("data", "model"), axis_types=both, devices=devices), chip)


def _example(chip: Chip) -> str:
    return f"{chip.name}:4x4" if chip.name in ("v3", "v5e", "v6e") else f"{chip.name}:2x2x1"


def this_machine(devices: int | None) -> Target:
    """The first devices of this machine, all when None; on a CPU so many are simulated, where that can still be chosen."""
    config: Any = jax.config
    if devices is not None and devices > config.jax_num_cpu_devices:
        with suppress(RuntimeError):  # JAX has made its devices: their number cannot be chosen any more.
            config.update("jax_num_cpu_devices", devices)
    mesh = make_mesh(devices)
    kind = mesh.devices.flat[0].device_kind
    return Target(f"{mesh.size} x {kind}", mesh, chip_of(kind))
