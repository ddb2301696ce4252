"""Runs side by side: what is in one table, the mean and the spread of its rows, and the page."""

import json
import re
import shutil
from pathlib import Path

import pytest

from ssl_jax.cli import main
from ssl_jax.errors import UsageError
from ssl_jax.report import write_report
from ssl_jax.report.comparison import notes_of, read_numbers, tables_of
from ssl_jax.report.comparison_page import comparison_page, mean_series

GOLDEN = Path(__file__).parents[1] / "golden/run"
NASTY = "<script>alert(1)</script>"


@pytest.fixture
def make(tmp_path):
    """Makes a run like the golden one: its folder, its k-NN accuracy (None: not finished), and what else is in run.json."""

    def made(name, knn=0.5, *, records=2, results=None, **changed):
        folder = tmp_path / name
        folder.mkdir()
        record = json.loads((GOLDEN / "run.json").read_text())
        arguments = record["arguments"] | changed.pop("arguments", {})
        (folder / "run.json").write_text(json.dumps(record | changed | {"arguments": arguments}))
        lines = (GOLDEN / "metrics.jsonl").read_text().splitlines(keepends=True)
        (folder / "metrics.jsonl").write_text("".join(lines[:records]))
        found = json.loads((GOLDEN / "results.json").read_text())
        if knn is not None:
            found["features"]["pretrained"]["knn"]["accuracy"] = knn
            (folder / "results.json").write_text(json.dumps(found | (results or {})))
        return folder

    return made


def tables(*folders):
    return tables_of([read_numbers(folder) for folder in folders])


def test_rows_are_the_settings_and_figures_are_over_their_seeds(make):
    of = [(0.2, 1, 0.6), (0.2, 0, 0.5), (0.1, 0, 0.7), (0.1, 1, None)]
    folders = [make(str(i), knn, seed=seed, arguments={"temperature": t}) for i, (t, seed, knn) in enumerate(of)]
    (table,) = tables(*folders)
    assert [row.options for row in table.rows] == [{"temperature": 0.1}, {"temperature": 0.2}]
    first, second = (row.figures["knn"] for row in table.rows)
    assert (first.mean, first.deviation) == (0.7, None) and second.values == [0.5, 0.6]
    assert (second.mean, second.deviation) == (0.55, 0.07071)
    assert [column.name for column in table.columns] == ["knn", "linear_probe", "few_label_probe"]
    assert "seed" not in table.same and table.same["batch_size"] == 64 and "temperature" not in table.same
    assert notes_of(table) == [f"{folders[3]}: no results yet, step 8"]


def test_methods_are_separate_and_their_own_options_are_not_differences(make):
    (table,) = tables(
        make("a", method="simclr", arguments={"temperature": 0.2}),
        make("b", method="vicreg", arguments={"variance": 25.0}),
    )
    assert [row.options for row in table.rows] == [{"method": "simclr"}, {"method": "vicreg"}]


def test_runs_on_other_data_are_in_another_table_with_the_reason(make):
    examples = json.loads((GOLDEN / "run.json").read_text())["examples"]
    first = make("a")
    larger = make(
        "b", examples=examples | {"train_shape": "16x16x3", "train_checksum": "0"}, arguments={"image_size": 16}
    )
    other = make("c", examples=examples | {"test_examples": 9}, arguments={"data": "mine"})
    one, two = tables(first, larger, other)
    assert [len(one.rows), len(two.rows)] == [2, 1] and not one.apart
    assert two.apart == (
        f"data is 'synthetic' in {first} and 'mine' in {other}; test_examples is 256 in {first} and 9 in {other}"
    )
    older = [make(name, examples=None, arguments={"data": data}) for name, data in (("d", "mine"), ("e", "synthetic"))]
    assert len(tables(first, older[1])) == 1 and len(tables(first, older[0])) == 2  # By their names.


def test_numbers_of_labels_are_different_protocols(make):
    few = {"few_labels": {"accuracy": 0.25, "labels_per_class": 1}}
    (table,) = tables(make("a"), make("b", results={"features": {"pretrained": few}}, seed=1))
    assert [column.name for column in table.columns] == [
        "knn",
        "linear_probe",
        "few_label_probe_1",
        "few_label_probe_10",
    ]
    assert table.rows[0].figures["few_label_probe_1"].values == [0.25]


def test_figures_without_labels_are_columns_in_their_own_units(make, tmp_path, capsys):
    gauges = [{"view_correlation": 0.5, "effective_rank": 1234.5, "collapse": None}, {"view_correlation": 0.75}]
    folders = [make(str(i), results={"features": {}, "label_free": gauges[i]}, seed=i) for i in range(2)]
    (table,) = tables(*folders)
    assert [column.name for column in table.columns] == ["label_free_view_correlation", "label_free_effective_rank"]
    assert table.rows[0].figures["label_free_view_correlation"] == (0.625, 0.17678, [0.5, 0.75])
    page = tmp_path / "page.html"
    assert main(["compare", *map(str, folders), "--output", str(page)]) == 0
    err = capsys.readouterr().err
    assert (
        "View correlation of embeddings" in err and "0.625 ± 0.177" in err and "1.23e+03" not in err and "1,234" in err
    )
    assert (
        "\nno accuracies: no labelled test images, figures of embeddings and features in units of their own; mean"
        in err
    )
    assert "Figures that need no labels: every run" in page.read_text() and "1,234" in page.read_text()
    diagnosed = {"features": {"pretrained": {"knn": {"accuracy": 0.5}, "diagnostics": {"lidar": 3.25, "std": 0.5}}}}
    (table,) = tables(make("c", None), make("d", results=diagnosed))
    assert [column.title for column in table.columns[-2:]] == ["Std of features", "Lidar of features"]
    assert main(["compare", str(tmp_path / "d"), "--output", str(page)]) == 0
    assert "\naccuracies in percent, figures of embeddings and features in units" in capsys.readouterr().err


def test_alarms_and_other_circumstances_are_reported(make):
    first, second = make("a"), make("b", device="H100", seed=1)
    with open(second / "metrics.jsonl", "a") as file:
        print(json.dumps({"step": 8, "alarm": "complete collapse at step 8"}), file=file)
    alarm, circumstances = notes_of(*tables(first, second))
    assert alarm == f"{second}: complete collapse at step 8"
    assert circumstances == "not the same in all runs: device is cpu (2 cores) and H100"


def test_sides_of_images_are_shown_as_they_are_typed(make, tmp_path, capsys):
    folders = [make(name, 0.5, arguments={"image_size": size}) for name, size in (("a", 32), ("b", [48, 64]))]
    assert main(["compare", *map(str, folders), "--output", str(tmp_path / "page.html")]) == 0
    table, page = capsys.readouterr().err, (tmp_path / "page.html").read_text()
    assert "48 64" in table and "image_size 48 64" in page
    assert main(["compare", str(folders[1]), "--output", str(tmp_path / "one.html")]) == 0
    pages = [page, (tmp_path / "one.html").read_text(), write_report(folders[1]).read_text()]
    assert all("48 64" in each and "[48, 64]" not in each for each in [table, *pages])


def test_the_mean_of_curves_is_taken_where_all_have_values():
    assert mean_series([[(1, 1.0), (2, 2.0), (3, 3.0)], [(1, 3.0), (3, 5.0)]]) == [(1, 2.0), (3, 4.0)]


def test_the_page_has_a_colour_and_curves_for_each_row_and_no_script(make):
    folders = [
        make(str(seed), seed=seed % 2, arguments={"temperature": seed // 2 + 1, "note": NASTY}) for seed in range(24)
    ]
    page = comparison_page(tables(*folders), title=NASTY)
    styles = re.findall(r'class="bar ([^"]+)"', page)
    assert len(set(styles[:12])) == 12 and styles[:12] * 3 == styles and styles[10] == "c0 second"
    assert page.count('class="curve c0 run"') == 2 * page.count('class="curve c0"') > 0
    assert NASTY not in page and "temperature 12" in page and "NaN" not in page


def test_a_terminal_gets_no_control_characters_of_names(make, tmp_path, capsys):
    make("a\x1b[31m", None, arguments={"data": "b\x1b[32m"})
    make("c", 0.5, arguments={"data": "b\x1b[32m", "encoder": "d\x1b[33m"})
    assert main(["compare", str(tmp_path), "--output", str(tmp_path / "e\x1b.html")]) == 0
    errors = capsys.readouterr().err
    assert "\x1b" not in errors and all(rf"{name}\x1b" in errors for name in "abde")


def test_the_command_writes_a_page_a_table_and_a_line(make, tmp_path, capsys):
    folders = [make("a", 0.5), make("b", 0.6, seed=1), make("c", None, records=0, seed=2)]
    assert main(["compare", str(tmp_path), str(folders[0])]) == 0
    printed = capsys.readouterr()
    line = json.loads(printed.out)
    assert line["page"] == str(tmp_path / "comparison.html") and (tmp_path / "comparison.html").exists()
    (row,) = line["tables"][0]["rows"]
    assert row["knn"] == {"mean": 0.55, "deviation": 0.07071, "values": [0.5, 0.6]} and row["seeds"] == [0, 1, 2]
    assert row["unfinished"] == {str(folders[2]): "no results yet, no records"}
    assert "2 of 3" in printed.err and "55.0 ± 7.1" in printed.err
    assert main(["compare", str(folders[2]), "--output", str(tmp_path / "x.html")]) == 0
    assert "no accuracies yet" in capsys.readouterr().err and "No accuracies yet." in (tmp_path / "x.html").read_text()
    unlabelled = make("d", 0.5, results={"features": {}})
    assert main(["compare", str(unlabelled), "--output", str(tmp_path / "x.html")]) == 0
    assert "\nno accuracies: no labelled test images\n" in capsys.readouterr().err
    assert "No accuracies: no labelled test images." in (tmp_path / "x.html").read_text()


def test_mistakes_are_a_sentence(make, tmp_path, capsys):
    folder = make("a")
    assert main(["compare"]) == 2 and main(["compare", str(folder), "--output", "x.txt"]) == 2
    with pytest.raises(UsageError, match=re.escape(f"{tmp_path / 'b'} is not a folder: did you mean {folder}?")):
        read_numbers(tmp_path / "b")
    shutil.rmtree(folder)
    assert main(["compare", str(tmp_path)]) == 2
    sentences = capsys.readouterr().err.splitlines()
    assert "expected a file that ends in .html" in sentences[1] and "holds no run.json" in sentences[2]
