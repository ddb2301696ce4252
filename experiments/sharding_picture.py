"""Draws docs/sharding.svg: which device compares which rows when, gathered, round a ring, and round half of one.

python experiments/sharding_picture.py
"""

from collections.abc import Callable
from pathlib import Path

from ssl_jax.files import write_atomically

PAGE = Path(__file__).parents[1] / "docs/sharding.svg"
DEVICES, SIDE, GAP = 5, 32, 70
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d")
STYLE = """svg { background: #fff; font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif; }
text { fill: #63676d; } .title { fill: #1c1e21; font-weight: 600; font-size: 15px; } .in { fill: #fff; text-anchor: middle; }
.middle { text-anchor: middle; } .mirrored { fill: none; stroke: #9a9fa6; stroke-dasharray: 3; }
@media (prefers-color-scheme: dark) { svg { background: #15171a; } text { fill: #9a9fa6; } .title { fill: #e8eaed; }
.in { fill: #fff; } }"""


def hops(device: int, keys: int) -> int:
    """Messages after which the keys of a device have come to another, from neighbour to neighbour."""
    return (device - keys) % DEVICES


def half(device: int, keys: int) -> int | None:
    """The same where half of the ring is enough; None for pairs that the other device has compared."""
    return hops(device, keys) if hops(device, keys) <= DEVICES // 2 else None


PANELS: dict[str, Callable[[int, int], int | None]] = {
    "gathered": lambda device, keys: int(device != keys),
    "ring": hops,
    "half a ring": half,
}


def panel(left: int, title: str, step_of: Callable[[int, int], int | None]) -> list[str]:
    """The scores of all rows with all keys, in squares of a device's rows and a device's keys, with the step of each."""
    parts = [f'<text class="title" x="{left}" y="24">{title}</text>']
    for device in range(DEVICES):
        middle = SIDE * device + SIDE // 2
        parts.append(f'<text class="middle" x="{left + middle}" y="50">{device}</text>')
        parts.append(f'<text class="middle" x="{left - 12}" y="{62 + middle}">{device}</text>')
        for keys in range(DEVICES):
            x, y, step = left + SIDE * keys, 57 + SIDE * device, step_of(device, keys)
            look = f'fill="{COLOURS[device]}"' if step is not None else 'class="mirrored"'
            parts.append(f'<rect x="{x + 1}" y="{y + 1}" width="{SIDE - 2}" height="{SIDE - 2}" rx="3" {look}/>')
            if step is not None:
                parts.append(f'<text class="in" x="{x + SIDE // 2}" y="{y + 21}">{step}</text>')
    return parts


def picture() -> str:
    width, height = len(PANELS) * (DEVICES * SIDE + GAP), 57 + DEVICES * SIDE + 30
    label = "Squares of the score matrix by device and step: gathered, round a ring, round half of a ring"
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">']
    parts.append(f"<style>{STYLE}</style>")
    for number, (title, step_of) in enumerate(PANELS.items()):
        parts += panel(GAP // 2 + number * (DEVICES * SIDE + GAP), title, step_of)
    legend = "rows: queries of a device; columns: keys of a device; numbers: messages until the keys are there"
    parts.append(f'<text x="{GAP // 2}" y="{height - 10}">{legend}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    write_atomically(PAGE, picture())
