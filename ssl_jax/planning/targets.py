"""What a step is compiled for: a TPU topology that is not there, or devices of this machine."""

import importlib.util
import os
import re
from contextlib import suppress
from typing import Any, NamedTuple

import jax
from jax.experimental import topologies
from jax.sharding import Mesh

from ssl_jax.errors import UsageError, reason_of
from ssl_jax.planning.chips import TPUS, Chip, chip_of
from ssl_jax.train.mesh import make_mesh, mesh_over

NAME = re.compile(r"(\w+):([1-9]\d*(?:x[1-9]\d*)+?)(?:x([1-9]\d*)slices)?")
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

    "v5e:16x16x2slices" are two slices of 16 x 16 chips, which the network of the data center joins.

    Raises:
      UsageError: the name is of no topology, the network between slices of these chips is not known, or libtpu, the compiler,
        is not installed.
    """
    found = NAME.fullmatch(name)
    if not found or found[1] not in TPUS:
        raise UsageError(
            f"topology: got {name!r}, expected one of {', '.join(TPUS)} and a grid of chips: such as v5e:16x16 or v5p:4x4x4, "
            "or v5e:16x16x2slices."
        )
    chip, slices = TPUS[found[1]], int(found[3] or 1)
    if slices > 1 and chip.network is None:
        known = ", ".join(each.name for each in TPUS.values() if each.network)
        raise UsageError(
            f"topology: got {name}, but the bandwidth between slices of {chip.name} is not known: choose one of {known}, or "
            "one slice."
        )
    if importlib.util.find_spec("libtpu") is None:
        raise UsageError(
            f"topology: {name} is compiled by libtpu, which is not installed: pip install 'ssl_jax[tpu]', or leave --topology "
            "out for --devices of this machine."
        )
    for variable, value in WITHOUT_TPU.items():
        os.environ.setdefault(variable, value)
    options: dict[str, Any] = {} if chip.config is None else {"chip_config_name": chip.config}
    grid = f"{found[1]}:{found[2]}"
    try:
        devices = topologies.get_topology_desc(platform="tpu", topology_name=grid, num_slices=slices, **options).devices
    except jax.errors.JaxRuntimeError as fault:
        raise UsageError(
            f"topology: libtpu refuses {name} ({reason_of(fault)}): choose another grid, such as {_example(chip)}."
        ) from fault
    return Target(name, mesh_over(devices), chip)


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
