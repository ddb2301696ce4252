"""What the chips can do at most: operations, memory and links, as their makers publish them."""

import math
from dataclasses import dataclass

from ssl_jax.planning.costs import BETWEEN_SLICES, Costs

GIB, GB = 2**30, 10**9


@dataclass(frozen=True)
class Chip:
    """One kind of accelerator.

    name: as in the name of a topology, such as "v5e".
    kinds: JAX's names of its devices.
    flops: bfloat16 operations a second.
    memory: bytes of HBM that a program may use. For TPUs what libtpu 0.0.42 states when it refuses a larger program, 15.75 of
      the 16 GiB of a v5e; for GPUs, all.
    bandwidth: bytes a second of HBM.
    links: bytes a second that a chip sends over all of its links together.
    network: bytes a second that a chip sends to other slices; None where that is not known.
    devices: devices that JAX makes of a chip; each has its part of all of the above.
    config: libtpu's name of how a chip is used, where its default is another than JAX's on such a machine.
    """

    name: str
    kinds: tuple[str, ...]
    flops: float
    memory: float
    bandwidth: float
    links: float
    network: float | None = None
    devices: int = 1
    config: str | None = None


# TPUs: "How to Scale Your Model", part 2, tables of chips and of links (https://jax-ml.github.io/scaling-book/tpus/): bytes a
# second of one direction of a link, times 4 links in a 2-D torus (v3, v5e, v6e) and 6 in a 3-D torus (v4, v5p, TPU7x).
# Cloud TPU's pages have the same to a few percent (v5e: 197 TFLOP/s, 819 GB/s; v5p: 459, 2,765; v3: 123, 900).
# Between slices: the same page, which has 6.25e9 bytes a second a chip, 3.125e9 for v5e and 12.5e9 for v6e.
# Cloud TPU's pages have the same: 50 Gbit/s a v5p; 6.4 and 25.6 Tbit/s for 256 v5e and v6e.
# GPUs: NVIDIA's data sheets of A100 80GB SXM, H100 SXM and H200 SXM: dense bfloat16, HBM, and half of NVLink's both directions,
# which holds inside one machine of 8.
CHIPS = (
    Chip("v3", ("TPU v3",), 1.4e14, 2 * 15.48 * GIB, 9.0e11, 4 * 1.0e11, devices=2),
    Chip("v4", ("TPU v4",), 2.75e14, 30.75 * GIB, 1.2e12, 6 * 4.5e10, 6.25e9, config="megacore"),
    Chip("v5e", ("TPU v5 lite", "TPU v5e"), 1.97e14, 15.75 * GIB, 8.1e11, 4 * 4.5e10, 3.125e9),
    Chip("v5p", ("TPU v5", "TPU v5p"), 4.59e14, 95.74 * GIB, 2.8e12, 6 * 9.0e10, 6.25e9),
    Chip("v6e", ("TPU v6 lite", "TPU v6e"), 9.2e14, 31.25 * GIB, 1.6e12, 4 * 9.0e10, 12.5e9),
    Chip("tpu7x", ("TPU7x",), 2.3e15, 2 * 94.75 * GIB, 7.4e12, 6 * 9.0e10, devices=2),
    Chip("a100", ("NVIDIA A100-SXM4-80GB",), 3.12e14, 80 * GB, 2.039e12, 300e9),
    Chip("h100", ("NVIDIA H100 80GB HBM3",), 9.89e14, 80 * GB, 3.35e12, 450e9),
    Chip("h200", ("NVIDIA H200",), 9.89e14, 141 * GB, 4.8e12, 450e9),
)
TPUS = {chip.name: chip for chip in CHIPS if chip.kinds[0].startswith("TPU")}


def chip_of(kind: str) -> Chip | None:
    """The chip that a device of JAX is, or is a part of, by its `device_kind`; None for processors and unknown ones."""
    return next((chip for chip in CHIPS if kind in chip.kinds), None)


@dataclass(frozen=True)
class Roofline:
    """Seconds of a step at the published peaks. compute, memory, links, network between slices: of each part alone."""

    compute: float
    memory: float
    links: float
    network: float = 0.0

    @property
    def seconds(self) -> float:
        """All parts at their peaks, and at the same time: no step is faster."""
        return max(vars(self).values())

    @property
    def one_after_another(self) -> float:
        """All parts at their peaks, none at the same time as another."""
        return sum(vars(self).values())

    @property
    def bound(self) -> str:
        """The part that takes longest."""
        return max(PARTS, key=lambda name: vars(self)[PARTS[name]])


PARTS = {"compute": "compute", "memory": "memory", "interconnect": "links", "network": "network"}


def roofline(costs: Costs, chip: Chip) -> Roofline:
    """The times of a device's costs, when each device has its part of a chip."""
    between = sum(each.sent for kind, each in costs.traffic.items() if kind.endswith(BETWEEN_SLICES))
    sent = sum(each.sent for each in costs.traffic.values()) - between
    rates = (chip.flops, chip.bandwidth, chip.links, chip.network or math.inf)
    amounts = (costs.flops, costs.bytes, sent, between)
    return Roofline(*(amount / (rate / chip.devices) for amount, rate in zip(amounts, rates, strict=True)))
