"""What large runs would need, beside what their authors state: planned for TPUs that are not there, nothing is run.

    pip install 'ssl_jax[tpu]'
    python experiments/plans/plans.py                       # all that plans.json lacks, ten minutes or more each
    python experiments/plans/plans.py --names simclr-4096   # one of them again

Each is `ssl-jax plan` with the options in `PLANS`. The results are plans.json, and the table in README.md is made of them.
"""

import datetime
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import tyro

from ssl_jax import recipes
from ssl_jax.files import filled, write_atomically, write_json
from ssl_jax.planning import plan_run
from ssl_jax.planning.targets import topology
from ssl_jax.train.execution import PLAIN, Execution
from ssl_jax.train.log import log_line

FOLDER = Path(__file__).parent
RESULTS, PAGE = FOLDER / "plans.json", FOLDER / "README.md"
GIB, IMAGENET, DAY = 2**30, 1_281_167, 86_400


@dataclass(frozen=True)
class Plan:
    """published: images a second, what ran them, and where that is stated; None where no time is."""

    method: str
    recipe: str
    topology: str
    given: dict[str, Any] = field(default_factory=dict)
    execution: Execution = PLAIN
    examples: int | None = None
    published: tuple[float, str, str] | None = None


SIMCLR = (100 * IMAGENET / (6 * 3600), "32 TPU v3", "google-research/simclr, README.md: 100 epochs in about 6 hours")
SWAV = (IMAGENET / 220, "64 V100", "facebookresearch/swav, README.md: 3 min 40 s an epoch, 8 nodes of 8 GPUs")
DINO = (125_000 * 2048 / DAY, "32 A100 80 GB", "facebookresearch/dinov2, README.md: 125,000 steps in about a day")
SEER = (8704 / 6.125, "512 V100", "Goyal et al. 2021, section 3.2, as others quote it: 6.125 s for 8,704 images")
PLANS = {
    "simclr-4096": Plan("simclr", "imagenet", "v5e:4x8", published=SIMCLR),
    "simclr-4096-v3": Plan("simclr", "imagenet", "v3:4x4", published=SIMCLR),
    "simclr-65536": Plan("simclr", "imagenet", "v5e:16x16", {"batch_size": 2**16}),
    "simclr-1048576": Plan("simclr", "imagenet", "v5e:16x16", {"batch_size": 2**20}, Execution(microbatches=64)),
    "moco_v3-vit_base": Plan("moco_v3", "imagenet", "v5e:8x16", {"encoder": "vit_base/16"}),
    "dinov2-vit_large": Plan("dinov2", "imagenet", "v5p:2x4x4", published=DINO),
    "swav-resnet50": Plan("swav", "imagenet", "v5e:8x8", published=SWAV),
    "swav-seer": Plan("swav", "seer", "v5p:8x8x8", examples=10**9, published=SEER),
}
HEAD = (
    "plan", "batch", "chips", "parameters, M", "GFLOP an image", "peak, GiB a device", "bound by", "ms a step",
    "images/s at most", "one after another", "hours at least", "chip-hours", "published images/s",
)  # fmt: skip


def make_plans(*, names: tuple[str, ...] = (), largest: str = "skip", effort: float = -1.0) -> None:
    """Plans what is not in plans.json, and writes the table again.

    Args:
      names: of `PLANS`, to plan again; those that plans.json lacks when not given.
      largest: as `--largest` of `ssl-jax plan`.
      effort: of the compiler; a run has 0, which takes several times as long, for the same operations in less memory.
    """
    jax.config.update("jax_platforms", "cpu")
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names or [name for name in PLANS if name not in found]:
        one = PLANS[name]
        plan = plan_run(
            recipes.find(one.method, one.recipe), topology(one.topology), given=one.given, execution=one.execution,
            examples=one.examples, largest=largest, effort=effort, say=log_line,
        )  # fmt: skip
        found[name] = plan | {"date": datetime.date.today().isoformat()}
        write_json(RESULTS, {name: found[name] for name in PLANS if name in found})
        write_page(found)


def write_page(found: dict[str, Any]) -> None:
    """Writes the generated parts of README.md."""
    write_atomically(PAGE, filled(PAGE.read_text(), {"plans": table(found), "sources": sources()}))


def table(found: dict[str, Any]) -> str:
    rows = [HEAD, ["---"] * len(HEAD), *(cells(name, found[name]) for name in PLANS if name in found)]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def cells(name: str, plan: dict[str, Any]) -> list[str]:
    published, memory = PLANS[name].published, plan["memory"]
    image = plan["flops"] * plan["devices"] / plan["batch_size"] / 1e9
    fits = f"{memory['peak'] / GIB:.2f} of {memory['limit'] / GIB:.2f}" if memory["peak"] else "unknown"
    return [
        name,
        f"{plan['batch_size']:,}",
        f"{plan['chips']} {plan['chip']}",
        f"{plan['parameters'] / 1e6:,.1f}",
        f"{image:,.1f}",
        fits if memory["fits"] else f"**{fits}**",
        plan["bound"],
        f"{1e3 * plan['seconds']['step']:,.1f}",
        f"{plan['images_per_second']:,.0f}",
        f"{plan['images_per_second_one_after_another']:,.0f}",
        f"{plan['hours']:,.1f}",
        f"{plan['chip_hours']:,.0f}",
        f"{published[0]:,.0f} on {published[1]}" if published else "-",
    ]


def sources() -> str:
    """Where the published figures are stated, each once."""
    stated = dict.fromkeys(plan.published for plan in PLANS.values() if plan.published)
    return "\n".join(f"- {rate:,.0f} images a second on {chips}: {source}." for rate, chips, source in stated)


if __name__ == "__main__":
    tyro.cli(make_plans)
