"""What `python -m benchmarks` runs on a machine, with which options, and what it leaves out."""

import re
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Benchmark(NamedTuple):
    """An entry of the catalogue.

    kind: the heading in docs/performance.md; none there if empty.
    file: of its results, in benchmarks/results.
    minutes: about how many it takes on two cores.
    needs: distributions of its peers, as pip names them; without one of them it is left out.
    commands: its options, a process for each; their tables are joined in the file.
    quick: its options with `--quick`.
    one_core: runs on one core.
    then: scripts that write pages from its file.
    """

    kind: str
    file: str
    minutes: float
    needs: tuple[str, ...] = ()
    commands: tuple[str, ...] = ("",)
    quick: str = ""
    one_core: bool = False
    then: tuple[str, ...] = ()


CPU = {
    "end_to_end": Benchmark(
        "Training",
        "end-to-end-cpu.md",
        13,
        needs=("lightly", "timm", "torch", "torchvision"),
        quick="--only small --rounds 1 --steps 1",
    ),
    "trainer": Benchmark("Training", "trainer-cpu.md", 3, quick="--steps 4 --rounds 1 --log-every 2"),
    "ntxent": Benchmark("Losses", "ntxent-cpu.md", 6, needs=("torch", "lightly"), quick="--quick"),
    "losses": Benchmark(
        "Losses",
        "losses-cpu.md",
        8,
        needs=("torch",),
        quick="--repeats 1 --scores 64 32 --batches 16 --dim 64",
    ),
    "attention": Benchmark("Attention", "attention-cpu.md", 5, needs=("torch",), quick="--quick"),
    "convolution": Benchmark("Convolutions", "convolution-cpu.md", 2, needs=("torch",), quick="--images 2 --rounds 1"),
    "views": Benchmark(
        "Views and input",
        "views-cpu.md",
        3,
        needs=("albumentations", "lightly", "torch", "torchvision"),
        quick="--images 2 --files 16 --rounds 1",
        one_core=True,
    ),
    "augment": Benchmark("Views and input", "augment-cpu.md", 1, needs=("dm-pix",), quick="--repeats 1 --images 2 2 2"),
    "kmeans": Benchmark(
        "Clusters, probes and neighbours",
        "kmeans-cpu.md",
        6,
        needs=("faiss-cpu",),
        commands=("--rounds 10", "--points 1000000 --dim 256 --rounds 1"),
        quick="--points 4000 --dim 32 --clusters 16 --iterations 2 --rounds 1",
    ),
    "evaluate": Benchmark(
        "Clusters, probes and neighbours", "evaluate-cpu.md", 1, needs=("scikit-learn",), quick="--repeats 1"
    ),
    "streamed_probe": Benchmark(
        "Clusters, probes and neighbours",
        "streamed-probe-cpu.md",
        3,
        commands=("", "--examples 200000 --classes 100 --strengths 0.01"),
        quick="--examples 1000 --dim 32 --strengths 0.01",
    ),
    "decoding": Benchmark(
        "Decoding",
        "decoding-cpu.md",
        2,
        quick="--lengths 8 --batch-size 2 --dim 16 --depth 1 --width 2 --rounds 1",
    ),
    "methods": Benchmark(
        "",
        "methods.json",
        16,
        quick="--names simclr --steps 1 --rounds 1",
        then=("experiments/methods_table.py",),
    ),
}
LEFT_OUT = {
    "soak": "kills training for an hour or more, and compares with no peer",
    "extreme_values": "tries bad options for hours, and measures no time",
    "recipes": 'compiles for hours with libtpu (pip install "jax[tpu]"), and goes on where it stopped',
}
NEEDS_ACCELERATOR = "needs an accelerator"
NAMES = (*CPU, "accelerator", *LEFT_OUT)


def permitted(backend: str, device: str) -> tuple[dict[str, Benchmark], dict[str, str]]:
    """The benchmarks for this kind of device, and those that are left out, each with the reason.

    Args:
      backend: JAX's name, such as "cpu" or "gpu".
      device: its model, such as "NVIDIA H100 80GB HBM3".
    """
    if backend == "cpu":
        return CPU, {"accelerator": NEEDS_ACCELERATOR} | LEFT_OUT
    needs = ("torch", "torchvision", "timm") if backend == "gpu" else ()
    file = f"accelerator-{short(device)}.json"
    on_this = {"accelerator": Benchmark("On accelerators", file, 10, needs=needs, quick="--quick")}
    return on_this, dict.fromkeys(CPU, "compares on a CPU: JAX_PLATFORMS=cpu") | LEFT_OUT


def short(device: str) -> str:
    """The part of a model's name that names files: "h100"; the whole name where there is no such part."""
    found = re.search(r"\b[a-z]+\d+\w*", device.lower())
    return found[0] if found else re.sub(r"\W+", "-", device.lower()).strip("-")
