"""What an accelerator makes of losses, attention, views and training steps, beside its own peaks and beside PyTorch.

    python -m benchmarks accelerator --results benchmarks/results/accelerator.json
    python -m benchmarks accelerator --quick        # small sizes, as a check of the script, also on a CPU

Needs no network and no data: images are random numbers. Each part runs in a process of its own, which may fail without
harming the others. All run once at the same time first, to fill the caches of compiled programs; those times are thrown away.
PyTorch's figures need torch, torchvision and timm.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import tyro
from accelerator_parts import Row, measure
from machine import about

from ssl_jax.files import write_atomically, write_json

STEPS = (
    "simclr resnet50",
    "simclr vit_small/16",
    "barlow_twins resnet50",
    "barlow_twins vit_small/16",
    "dino vit_small/16",
)
GIVEN = ("simclr resnet50 views given", "simclr vit_small/16 views given")  # Beside PyTorch, which makes no views here.


def accelerator(
    *,
    quick: bool = False,
    only: tuple[str, ...] = (),
    part_limit: float = 150,
    results: Path | None = None,
    part: str = "",
) -> None:
    """Prints the table.

    Args:
      quick: small sizes, one repetition.
      only: names of parts; all when none is given.
      part_limit: seconds after which a part is given up.
      results: file of the measurements; the table is next to it.
      part: runs one part in this process and prints its rows as JSON; for the script itself.
    """
    if part:
        return print(json.dumps(measure(part, quick=quick)))
    names = only or (
        "peaks",
        "ntxent",
        "losses",
        "attention",
        "views",
        *STEPS,
        *GIVEN,
        "torch resnet50",
        "torch vit_small/16",
    )
    found: dict[str, Any] = {"about": about("jax", "flax", "torch", "timm"), "parts": {}}
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        elsewhere = partial(start_part, quick=quick, cache=Path(cache))
        for waiting in [elsewhere(name) for name in names]:
            finish(waiting, start + 2 * part_limit - time.perf_counter())
        found["cold_seconds"] = round(time.perf_counter() - start, 1)
        for name in names:
            found["parts"][name] = finish(elsewhere(name), part_limit)
            found["seconds"] = round(time.perf_counter() - start, 1)
            print(name, json.dumps(found["parts"][name])[:300], file=sys.stderr, flush=True)
            if results:
                write_json(results, found)
                write_atomically(results.with_suffix(".md"), page(found))
    print(page(found))


def start_part(name: str, *, quick: bool, cache: Path) -> subprocess.Popen:
    environment = os.environ | {
        "JAX_COMPILATION_CACHE_DIR": str(cache / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "torch"),
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    command = [sys.executable, __file__, "--part", name, *["--quick"] * quick]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen, limit: float) -> list[Row]:
    """The rows that a part prints, or one row with the last line of its error."""
    try:
        output, errors = process.communicate(timeout=max(limit, 1))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return [{"error": f"given up after {limit:.0f} s"}]
    if process.returncode:
        named = re.findall(r"^[\w.]*(?:Error|Exception|Exhausted)\b.*", errors, re.MULTILINE)
        return [{"error": (named or [f"exit code {process.returncode}"])[-1][:300]}]
    return json.loads(output.strip().splitlines()[-1])


def page(found: dict[str, Any]) -> str:
    """A table of each part, with the share of the measured peak where operations are counted."""
    parts = found["parts"]
    rates = {row["what"]: row.get("tflops") for row in parts.get("peaks", []) if "what" in row}
    lines = [
        "# On an accelerator",
        "",
        f"{found['about']}. `python -m benchmarks accelerator`: {found['seconds']:.0f} s, of which compiling "
        f"{found['cold_seconds']:.0f} s.",
        "",
        "Best of several groups of calls; images and embeddings are random numbers. *of peak* is the share of the best matrix",
        "product of the same run, bfloat16 in training steps, float32 (no TF32) in losses, whose operations are 4 M^2 D.",
        "*predicted* memory is that of `ssl-jax plan`, *peak* is the allocator's; *of roofline* is the time of its roofline",
        "over the measured one. Training steps make their views, but for those with `views given`, which stand beside",
        "PyTorch's (torch.compile, bfloat16, channels last).",
    ]
    tables = {"peaks": ["peaks"], "NT-Xent": ["ntxent"], "losses": ["losses"], "attention, ms": ["attention"]}
    tables |= {
        "views": ["views"],
        "training steps, batch 256": [*STEPS, *GIVEN],
        "PyTorch": [n for n in parts if n[:5] == "torch"],
    }
    for title, names in tables.items():
        rows = [row if "what" in row else {"what": name} | row for name in names for row in parts.get(name, [])]
        peak = rates.get("bfloat16" if title.startswith("training") else "float32")
        if peak and title not in ("peaks",):
            rows = [row | ({"of peak": f"{row['tflops'] / peak:.0%}"} if row.get("tflops") else {}) for row in rows]
        lines += table(title, rows)
    lines += ["", found["note"]] if "note" in found else []
    return "\n".join(lines) + "\n"


def table(title: str, rows: list[Row]) -> list[str]:
    """The lines of a part's table; none without rows."""
    if not rows:
        return []
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = [[column.replace("_", " ") for column in columns], ["---"] * len(columns)]
    lines += [[cell(row.get(column)) for column in columns] for row in rows]
    return ["", f"## {title[0].upper()}{title[1:]}", "", *(f"| {' | '.join(line)} |" for line in lines)]


def cell(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:,}"


if __name__ == "__main__":
    tyro.cli(accelerator)
