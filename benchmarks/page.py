"""The tables of docs/performance.md, from the summary of the benchmarks and from the files of accelerators.

python benchmarks/page.py        # writes the page from the files as they are
"""

import json
import statistics
from pathlib import Path
from typing import Any

from catalogue import CPU, FOLDER
from summary import Row

from ssl_jax.files import filled, read_object, write_atomically

RESULTS, PAGE = FOLDER / "results", FOLDER.parent / "docs/performance.md"
LINK = "[{0}](../benchmarks/results/{0})"
Entry = dict[str, Any]


def write_page(page: Path, results: Path) -> None:
    """Replaces the tables of the page."""
    write_atomically(page, filled(page.read_text(), parts(results)))


def parts(results: Path) -> dict[str, str]:
    """The generated parts of the page, by their marks.

    Args:
      results: folder of the files.
    """
    summary = read_object(results / "summary-cpu.json") or {}
    found = {name: summary[name] for name, benchmark in CPU.items() if benchmark.kind and name in summary}
    return {
        "overview": "\n".join(overview(found)),
        "cpu": "\n".join(sections(found)).strip(),
        "accelerators": "\n".join(accelerators(results)).strip(),
    }


def overview(found: dict[str, Entry]) -> list[str]:
    """A row for each benchmark, peer and unit, with the range of the ratios."""
    heads = "benchmark", "beside", "unit", "ours better in", "least", "median", "most"
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, entry in found.items():
        ratios: dict[tuple[str, str], list[float]] = {}
        for row in entry["rows"]:
            ratios.setdefault((row["peer"], row["unit"]), []).extend([row["ratio"]] if row["ratio"] else [])
        for (peer, unit), each in ratios.items():
            if each:
                better, middle = sum(ratio > 1 for ratio in each), f"{statistics.median(each):.3g}"
                link = f"[{name}](../benchmarks/results/{entry['file']})"
                cells = [link, peer, unit, f"{better} of {len(each)}", min(each), middle, max(each)]
                lines.append(f"| {' | '.join(map(shown, cells))} |")
    return lines


def sections(found: dict[str, Entry]) -> list[str]:
    """A section for each kind, with the machine and the tables of each of its benchmarks."""
    lines = []
    for kind in dict.fromkeys(CPU[name].kind for name in found):
        lines += [f"### {kind}", ""]
        for entry in (entry for name, entry in found.items() if CPU[name].kind == kind):
            lines += [f"{LINK.format(entry['file'])}: {entry['about']}.", ""]
            for peers, rows in by_peers(entry["rows"]).items():
                lines += [*table(peers, rows), ""]
    return lines


def by_peers(rows: list[Row]) -> dict[tuple[str, ...], dict[tuple[str, str], list[Row]]]:
    """The rows of each measurement, grouped by the peers that it has."""
    measured: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        measured.setdefault((row["what"], row["unit"]), []).append(row)
    grouped: dict[tuple[str, ...], dict[tuple[str, str], list[Row]]] = {}
    for what, beside in measured.items():
        grouped.setdefault(tuple(row["peer"] for row in beside), {})[what] = beside
    return grouped


def table(peers: tuple[str, ...], rows: dict[tuple[str, str], list[Row]]) -> list[str]:
    """Each peer's figure has its ratio behind it."""
    lines = [f"| | unit | ours | {' | '.join(peers)} |", "|---" * (3 + len(peers)) + "|"]
    for (what, unit), beside in rows.items():
        figures = [f"{shown(row['theirs'])} ({shown(row['ratio'])})" for row in beside]
        lines.append(f"| {' | '.join([what, unit, shown(beside[0]['ours']), *figures])} |")
    return lines


def accelerators(results: Path) -> list[str]:
    """A section for each file: training steps beside PyTorch's, and losses."""
    lines = []
    for path in sorted(results.glob("accelerator-*.json")):
        found = json.loads(path.read_text())
        measured = {name: [row for row in rows if "what" in row] for name, rows in found["parts"].items()}
        steps = [row for rows in measured.values() for row in rows if "images_per_second" in row]
        torch = {
            row["what"]: row["images_per_second"]
            for name in found["parts"]
            if name[:5] == "torch"
            for row in measured[name]
        }
        lines += [
            f"### {found['about'].partition(',')[0]}",
            "",
            f"{LINK.format(f'{path.stem}.md')}: {found['about']}.",
            "",
        ]
        lines += ["| training step, batch 256 | ours, images/s | PyTorch | ratio |", "|---|---|---|---|"]
        for row in (row for row in steps if row["what"] not in torch):
            peer = torch.get(row["what"].removeprefix("simclr ").removesuffix(" views given"))
            peer = peer if row["what"].endswith(" views given") else None
            ours = row["images_per_second"]
            lines.append(f"| {' | '.join(map(shown, (row['what'], ours, peer, peer and round(ours / peer, 2))))} |")
        lines += ["", "| loss | ms | GiB |", "|---|---|---|"]
        for row in (row for name in ("ntxent", "losses") for row in measured.get(name, [])):
            lines.append(f"| {' | '.join(map(shown, (row['what'], row['milliseconds'], row.get('gib'))))} |")
        lines.append("")
    return lines


def shown(cell: Any) -> str:
    return "-" if cell is None else cell if isinstance(cell, str) else f"{cell:,.6g}"


if __name__ == "__main__":
    write_page(PAGE, RESULTS)
