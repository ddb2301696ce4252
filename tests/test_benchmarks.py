"""The benchmarks can be found and are run one after the other; the accelerator's parts measure something on a CPU, too."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_jax.files import filled

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module


HELPERS = {
    "__main__",
    "accelerator_parts",
    "catalogue",
    "everything",
    "lightly_steps",
    "machine",
    "ntxent_ring",
    "page",
    "processes",
    "runner",
    "summary",
    "timing",
    "torch_steps",
}


def test_every_benchmark_is_listed_with_its_purpose(module):
    shown = main("nonsense")
    assert shown.returncode == 1 and shown.stderr.startswith("benchmark: got nonsense, expected one of these.\n")
    names = {path.stem for path in FOLDER.glob("*.py")} - HELPERS
    assert {line.split()[0] for line in shown.stderr.splitlines() if re.match(r"  \w", line)} == names
    assert names == set(module("catalogue").NAMES)
    assert all(f"-m benchmarks {name}" in (FOLDER / "README.md").read_text() for name in names)
    asked = main("--help")
    assert asked.returncode == 0 and shown.stderr.endswith(asked.stdout)


def main(*words):
    return subprocess.run([sys.executable, "-m", "benchmarks", *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    "device", [("cpu", "cpu"), ("gpu", "NVIDIA H100 80GB HBM3"), ("tpu", "TPU v5 lite")], ids=lambda of: of[0]
)
def test_every_benchmark_is_run_or_left_out_for_a_reason(module, device):
    catalogue = module("catalogue")
    offered, left_out = catalogue.permitted(*device)
    assert sorted([*offered, *left_out]) == sorted(catalogue.NAMES) and all(left_out.values())
    if device[0] == "cpu":
        assert set(offered) == set(catalogue.NAMES) - {"accelerator", "soak", "extreme_values", "recipes"}
        assert all("results: Path | None = None" in (FOLDER / f"{name}.py").read_text() for name in offered)
    else:
        assert (
            list(offered) == ["accelerator"]
            and offered["accelerator"].needs == ("torch", "torchvision", "timm")[: 3 * (device[0] == "gpu")]
        )


def test_an_accelerator_names_its_file(module):
    names = {"NVIDIA H100 80GB HBM3": "h100", "NVIDIA A100-SXM4-40GB": "a100", "TPU v5 lite": "v5"}
    names |= {"NVIDIA GeForce RTX 4090": "nvidia-geforce-rtx-4090"}
    assert {device: module("catalogue").short(device) for device in names} == names


def test_a_benchmark_without_its_peer_is_left_out(module, monkeypatch, capsys):
    everything = module("everything")
    monkeypatch.setattr(everything, "device", lambda: ("cpu", "cpu"))
    monkeypatch.setattr(everything, "version", lambda package: None)
    ran = []
    monkeypatch.setattr(everything, "run_all", lambda chosen, *_, **__: ran.extend(chosen) or 0)
    with pytest.raises(SystemExit) as ended:
        everything.everything()
    lines = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0 and ran == ["trainer", "streamed_probe", "decoding", "methods"]
    assert "  kmeans          its peer is not installed: faiss-cpu" in lines
    assert "  accelerator     needs an accelerator" in lines
    assert any(line.startswith("  trainer         about ") for line in lines)
    packages = "albumentations dm-pix faiss-cpu lightly scikit-learn timm torch torchvision"
    assert lines[-1] == f"For all of them: pip install {packages}"
    with pytest.raises(SystemExit, match="nothing to run"):
        everything.everything(only=("kmeans",))
    assert capsys.readouterr().out.endswith("pip install faiss-cpu\n")


@pytest.mark.parametrize(
    ("only", "why"),
    [
        (("kmeans", "soak"), "got soak, which kills training .*: run python -m benchmarks soak."),
        (("kmeans", "kmean"), "got kmean: no benchmark, expected one or more of "),
        (("accelerator",), "got accelerator: needs an accelerator."),
        ((), "got no name, expected one or more of "),
    ],
)
def test_names_that_are_not_among_all_are_refused(module, monkeypatch, only, why):
    everything = module("everything")
    monkeypatch.setattr(everything, "device", lambda: ("cpu", "cpu"))
    monkeypatch.setattr(everything, "run_all", lambda *_, **__: 0)
    with pytest.raises(SystemExit, match=f"^benchmarks --only: {why}"):
        everything.everything(only=only)


def test_results_that_cannot_be_written_are_said_before_measuring(module, monkeypatch):
    everything = module("everything")
    monkeypatch.setattr(everything, "device", lambda: ("cpu", "cpu"))
    monkeypatch.setattr(everything, "run_all", lambda *_, **__: 0)
    monkeypatch.setattr(everything.os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit, match=r"^benchmarks: .*results cannot be written: make it writable"):
        everything.everything(only=("trainer",))
    with pytest.raises(SystemExit, match=r"^0$"):
        everything.everything(only=("trainer",), quick=True)


def test_a_device_that_jax_does_not_have(module, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "nosuch")
    with pytest.raises(SystemExit, match=r"^benchmarks: JAX has no device here: .*nosuch"):
        module("everything").device()


GOOD = """
import json, os, pathlib, sys
size, _, results = sys.argv[1:]
results = pathlib.Path(results)
results.write_text(f"# Title\\n\\nsize {size}, {os.environ['GLIBC_TUNABLES']}, {len(os.sched_getaffinity(0))} core\\n")
entry = {"file": results.name, "about": "a; b; c", "rows": [{"size": size}] * (size != "0")}
results.with_name("summary-cpu.json").write_text(json.dumps({"good": entry}))
"""


def test_one_that_fails_leaves_its_table_and_the_others_go_on(module, tmp_path, capsys):
    runner, entry = module("runner"), module("catalogue").Benchmark
    folder, results, written = tmp_path, tmp_path / "results", []
    results.mkdir()
    (folder / "good.py").write_text(GOOD)
    (folder / "bad.py").write_text("print('the reason')\nraise SystemExit(3)")
    (folder / "idle.py").write_text("")
    (folder / "alone.py").write_text(GOOD.replace('"good"', '"alone"'))
    for name in ("bad", "alone"):
        (results / f"{name}.md").write_text("old")
    chosen = {
        "bad": entry("", "bad.md", 1),
        "idle": entry("", "idle.md", 1),
        "alone": entry("", "alone.md", 1, commands=("0",)),
        "good": entry("", "good.md", 1, commands=("1", "2"), one_core=True),
    }
    status = runner.run_all(chosen, results, after=lambda: written.append(1), folder=folder)
    assert status == 1 and written == [1]
    assert [(results / f"{name}.md").read_text() for name in ("bad", "alone")] == ["old", "old"]
    line = "size {}, glibc.malloc.hugetlb=1, 1 core\n"
    assert (results / "good.md").read_text() == f"# Title\n\n{line.format(1)}\n{line.format(2)}"
    kept = json.loads((results / "summary-cpu.json").read_text())
    assert kept == {"good": {"file": "good.md", "about": "a; b; c", "rows": [{"size": "1"}, {"size": "2"}]}}
    shown = capsys.readouterr().out
    assert re.sub(r" +\d+ s", "", shown).splitlines() == [
        *("bad, failed:", "the reason", "(exit status 3)"),
        *("idle, failed:", "(no results)"),
        *("alone, failed:", "(no comparison with a peer)"),
        "good",
    ]
    assert runner.run_all({"good": chosen["good"]}, results, after=lambda: None, folder=folder) == 0


def test_an_interrupt_ends_the_running_benchmark_and_keeps_the_finished(module, tmp_path, capsys):
    runner, entry = module("runner"), module("catalogue").Benchmark
    (tmp_path / "good.py").write_text(GOOD)
    interrupt = "import os, pathlib, signal, time\ntime.sleep(0.2)\nos.kill(os.getppid(), signal.SIGINT)\n"
    ends = "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pathlib.Path(__file__).unlink()\n"
    (tmp_path / "slow.py").write_text(interrupt + ends)
    chosen = {"good": entry("", "good.md", 1, ("",), ("1",)), "slow": entry("", "slow.md", 1), "last": entry("", "", 1)}
    assert runner.run_all(chosen, tmp_path, after=lambda: None, folder=tmp_path) == 130
    assert "\nbenchmarks: stopped; 1 of 3 are finished, and their results are kept.\n" in capsys.readouterr().out
    assert (tmp_path / "good.md").exists() and not (tmp_path / "slow.py").exists()


def test_a_measurement_has_rounds(module):
    with pytest.raises(SystemExit, match=r"^benchmark: got 0 rounds, expected 1 or more\."):
        module("timing").best_times({"one": lambda: 1}, 0)


def test_a_comparison_is_above_one_where_ours_is_better(module):
    compared = module("summary").compared
    row = {"what": "a", "unit": "ms", "ours": 2.0, "peer": "them", "theirs": 5.1, "ratio": 2.5}
    assert compared("a", "them", 2.04, 5.1, unit="ms") == row
    assert compared("a", "them", 2.04, 5.1, unit="img/s", digits=".0f", more=True)["ratio"] == 0.4
    assert compared("a", "them", 0.0, 5.1, unit="MiB")["ratio"] is None


def test_results_are_a_file_and_an_entry_of_the_summary(module, tmp_path):
    keep = module("summary").keep
    keep(None, "nothing", [], name="none", about="x")
    keep(tmp_path / "results/one.md", "# One\n", [{"ratio": 1}], name="one", about="x")
    keep(tmp_path / "results/two.md", "# Two\n", [], name="two", about="y")
    keep(tmp_path / "results/one.md", "# One again\n", [{"ratio": 2}], name="one", about="z")
    assert (tmp_path / "results/one.md").read_text() == "# One again\n"
    assert json.loads((tmp_path / "results/summary-cpu.json").read_text()) == {
        "one": {"file": "one.md", "about": "z", "rows": [{"ratio": 2}]},
        "two": {"file": "two.md", "about": "y", "rows": []},
    }


def test_the_page_shows_what_is_slower_and_a_step_beside_pytorch(module, tmp_path):
    compared, add = module("summary").compared, module("summary").add
    rows = [compared("small", "faiss", 1.0, 3.0, unit="s"), compared("large", "faiss", 4.0, 2.0, unit="s")]
    add(tmp_path / "summary-cpu.json", "kmeans", "kmeans-cpu.md", about="a chip; jax 1; 2026-01-02", rows=rows)
    found = {"about": "NVIDIA H100, 16 cores; jax 1; 2026-01-03", "parts": {"losses": [{"error": "none"}]}}
    found["parts"]["simclr resnet50 views given"] = [{"what": "simclr resnet50 views given", "images_per_second": 50.0}]
    found["parts"]["torch resnet50"] = [{"what": "resnet50", "images_per_second": 200.0}]
    (tmp_path / "accelerator-h100.json").write_text(json.dumps(found))
    parts = module("page").parts(tmp_path)
    line = "| [kmeans](../benchmarks/results/kmeans-cpu.md) | faiss | s | 1 of 2 | 0.5 | 1.75 | 3 |"
    assert parts["overview"].endswith(line)
    assert "| small | s | 1 | 3 (3) |\n| large | s | 4 | 2 (0.5) |" in parts["cpu"]
    assert "### NVIDIA H100\n" in parts["accelerators"]
    assert "| simclr resnet50 views given | 50 | 200 | 0.25 |" in parts["accelerators"]


def test_the_page_shows_the_measured_figures(module):
    page = module("page")
    text = page.PAGE.read_text()
    assert filled(text, page.parts(page.RESULTS)) == text, "run: python benchmarks/page.py"


def test_the_summary_has_the_figures_of_the_tables(module):
    catalogue, results = module("catalogue"), module("page").RESULTS
    for name, entry in json.loads((results / "summary-cpu.json").read_text()).items():
        assert entry["file"] == catalogue.CPU[name].file and entry["rows"]
        text = (results / entry["file"]).read_text()
        assert entry["about"] in text
        figures = {float(figure.replace(",", "")) for figure in re.findall(r"\d[\d,]*\.?\d*", text)}
        assert {row[side] for row in entry["rows"] for side in ("ours", "theirs")} <= figures, name


@pytest.mark.slow
def test_the_whole_chain_in_small_sizes():
    before = {path: path.read_bytes() for path in [*(FOLDER / "results").iterdir(), ROOT / "docs/performance.md"]}
    shown = main("--quick", "--only", "streamed_probe")
    assert shown.returncode == 0 and re.search(r"^streamed_probe +\d+ s$", shown.stdout, re.M), shown
    assert before == {path: path.read_bytes() for path in before}


@pytest.mark.slow
def test_parts_of_the_accelerator_benchmark(module):
    measure = module("accelerator_parts").measure
    (views,) = measure("views", quick=True)
    assert views["what"] == "4 x 2 views of 32" and views["milliseconds"] > 0
    (step,) = measure("simclr resnet50 views given", quick=True)
    assert step["images_per_second"] > 0 and {"tflops", "gib_predicted", "gib_peak"} <= step.keys()


@pytest.mark.slow
def test_a_part_that_fails_is_a_row_and_the_page_shows_the_others(module, tmp_path):
    accelerator = module("accelerator")
    (row,) = accelerator.finish(accelerator.start_part("no such part", quick=True, cache=tmp_path), 60)
    assert list(row) == ["error"] and "Error" in row["error"]
    parts = {
        "peaks": [{"what": "float32", "tflops": 50.0}],
        "ntxent": [{"what": "8,192 rows", "tflops": 25.0}],
        "views": [row],
    }
    page = accelerator.page({"about": "a chip", "seconds": 2.0, "cold_seconds": 1.0, "parts": parts})
    assert "| 8,192 rows | 25.0 | 50% |" in page and row["error"] in page


def test_a_recipe_of_a_billion_images_is_named_with_its_encoder_and_its_chips(module):
    recipes = module("recipes")
    name = "swav/seer:regnety_400mf@64"
    assert recipes.parsed(name) == (["swav", "seer"], "regnety_400mf", "64")
    recipe = recipes.at_full_size(name)
    assert (len(recipe.data.train), recipe.batch_size, recipe.method.encoder.width) == (10**9, 64, 440)
    assert recipes.topology_for(name, recipe) == "v5p:8x8x8"
    assert recipes.topology_for("swav/imagenet", recipe) == "v5e:2x2"
