"""The report: every part that a run's folder can hold, and every way in which it can be damaged."""

import json
import os
import re

import numpy as np
import pytest

from ssl_jax.errors import UsageError
from ssl_jax.report import reading, save_pictures, write_report
from ssl_jax.report.charts import color, thin, ticks
from ssl_jax.report.html import tag
from ssl_jax.report.pictures import MAP_IMAGES, spread, thumbnail
from ssl_jax.report.projection import descend, embedding_map, forces, neighbor_probabilities, principal_components
from ssl_jax.report.reading import read_run

NASTY = '<script>alert("1")</script> & co'
HEADINGS = [
    "Evaluation of the features",
    "Augmented views",
    "Nearest neighbours, before and after",
    "A map of the test images",
    "Training curves",
    "Reproduce this run",
]
RESULTS = {
    "method": "simclr", "steps": 940, "images_per_second": 1829.4, "seconds": 141.2,
    "features": {
        "pretrained": {
            "knn": {"accuracy": 0.9612},
            "linear": {"accuracy": 0.957, "interval": [0.945, 0.967]},
            "few_labels": {"accuracy": 0.838, "deviation": 0.012, "labels_per_class": 10},
        },
        "untrained": {
            "knn": {"accuracy": 0.876}, "linear": {"accuracy": 0.851}, "few_labels": {"accuracy": 0.59},
        },
        "pixels": {
            "knn": {"accuracy": 0.917}, "linear": {"accuracy": 0.888}, "few_labels": {"accuracy": 0.842},
        },
    },
}  # fmt: skip
METRICS = [
    {
        "step": 50,
        "loss": 3.0,
        "images_per_second": 1800.0,
        "learning_rate": 3e-3,
        "std": 0.8,
        "effective_rank": 20.0,
        "seconds": 7.0,
        "waits_input": 0.01,
        "waits_device": 0.9,
        "waits_compilation": 0.0,
        "waits_evaluation": 0.0,
        "waits_writing": 0.02,
    },
    {"step": 50, "knn": 0.93, "my_gauge": 1.0},
    {"step": 100, "loss": float("nan"), "learning_rate": 1e-8, "std": 0.9, "effective_rank": 30.0},
    {"step": 150, "loss": 1.25},
    {"step": 150, "knn": 0.96},
]


def clusters(*, count: int, size: int, width: int = 16) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(count), size)
    return generator.normal(size=(count, width))[labels] + 0.1 * generator.normal(size=(len(labels), width)), labels


def make_pictures() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    embedding, labels = clusters(count=3, size=8)

    def images(*shape):
        return generator.integers(0, 256, (*shape, 8, 8, 1), dtype=np.uint8)

    return {
        "views_original": images(3), "views": images(3, 2),
        "query": images(2), "query_label": np.array([0, 2]),
        "neighbors_before": images(2, 4), "neighbors_before_label": np.array([[0, 1, 1, 1], [2, 1, 1, 1]]),
        "neighbors_after": images(2, 4), "neighbors_after_label": np.array([[0, 0, 0, 0], [2, 2, 2, 1]]),
        "embedding": embedding, "embedding_before": embedding[:, :5], "embedding_label": labels,
        "class_names": np.array(["zero", NASTY, "two"]),
    }  # fmt: skip


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "simclr-demo"
    folder.mkdir()
    request = {
        "method": "simclr", "recipe": "demo", "arguments": {"data": "digits", "views": {"size": 28}, "crop": NASTY},
        "versions": {"jax": "0.10.2"}, "commit": None, "device": "cpu", "devices": 1, "seed": 3,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(request))
    (folder / "results.json").write_text(json.dumps(RESULTS))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in METRICS))
    save_pictures(folder, **make_pictures())
    return folder


def page_of(run) -> str:
    return write_report(run).read_text(encoding="utf-8")


def headings(page: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", page)


def test_a_full_run_has_every_section(run):
    page = page_of(run)
    assert headings(page) == HEADINGS
    assert (
        "classifies 95.7% of the test images correctly, against 85.1% with an untrained encoder and 88.8% on raw pixels."
        in page
    )
    assert (
        "With 10 labels per class, a linear probe classifies 83.8% correctly, against 59.0% with an untrained encoder"
        in page
    )
    assert "95.7%<small>± 1.1" in page and "83.8%<small>± 1.2" in page  # Half an interval; one deviation.
    assert "+10.6<span> points" in page and 'worse">\N{MINUS SIGN}0.4<span> points' in page
    assert "3 of 8 correct" not in page and "2 of 8 correct" in page and "7 of 8 correct" in page
    assert page.count('class="frame right"') == 9 and page.count('class="frame wrong"') == 7
    assert page.count("<img ") == 3 * 3 + 2 + 16 and page.count('class="map"') == 2
    for title in (
        "Loss",
        "k-NN accuracy, online",
        "Learning rate",
        "Spread of embeddings",
        "Effective rank",
        "my_gauge",
    ):
        assert f"<h3>{title}<span>" in page
    assert "views.size" in page and "seed 3" in page and f"ssl-jax pretrain --from {run / 'run.json'}" in page
    assert "nan" not in re.sub('data:[^"]*', "", page)
    assert 'class="notice"' not in page
    assert sorted(path.name for path in run.iterdir() if path.name.startswith("report")) == ["report.html"]


def test_the_page_needs_nothing_from_outside(run):
    page = page_of(run)
    sources = re.findall(r"""(?:src|href|srcset|action|data)\s*=\s*["']([^"']*)""", page)
    assert sources and all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?://|@import|url\(|<script src|<link", page) and page.count("<script>") == 1


def test_what_came_from_the_run_is_escaped(run):
    page = page_of(run)
    assert NASTY not in page and page.count("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; co") > 3
    assert tag("p", NASTY, title=NASTY).count("<") == 2
    assert tag("p", tag("b", 1), None, "a<b", stroke_width=2) == '<p stroke-width="2"><b>1</b>a&lt;b</p>'


DAMAGED = {
    "an axis more": lambda array: array[None],
    "other lengths": lambda array: np.concatenate([array, array]),
    "another type": lambda array: np.zeros(array.shape, np.complex64),
    "empty": lambda array: array[:0],
    "no axis": lambda array: np.asarray(array.flat[0]),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_pictures_of_other_shapes_are_left_out_with_a_sentence(run, damage):
    whole = make_pictures()
    for name in whole:
        save_pictures(run, **whole | {name: DAMAGED[damage](whole[name])})
        found = read_run(run)
        fits = damage == "other lengths" and name == "class_names"  # Any number of names can be shown.
        assert bool(found.missing) is not fits
    save_pictures(run, **{name: DAMAGED[damage](array) for name, array in whole.items()})
    assert "Training curves" in page_of(run)
    save_pictures(run, **whole | {"views": DAMAGED[damage](whole["views"])})
    page = page_of(run)
    assert "pictures.npz holds views in a shape or type that the page cannot show." in page
    assert "Augmented views" not in page and "Nearest neighbours" in page


def test_pictures_that_are_inflated_beyond_memory_are_left_out(run, monkeypatch):
    """A megabyte of a file may hold a gigabyte of zeros."""
    views = np.zeros((3, 2, 64, 64, 1), np.uint8)
    assert save_pictures(run, views=views).stat().st_size < 1000
    for limit, shown in ((views.nbytes + 1000, True), (views.nbytes - 1000, False)):
        monkeypatch.setattr(reading, "LARGEST_PICTURES", limit)
        assert ("Augmented views" in page_of(run)) is shown


@pytest.mark.parametrize("name", ["pictures.npz", "metrics.jsonl", "results.json", "run.json"])
def test_a_pipe_is_not_read(run, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    if name in ("pictures.npz", "results.json"):
        assert "Training curves" in page_of(run)
    else:
        with pytest.raises(UsageError, match=r"run: .* (cannot be read|holds no run.json that can be read)"):
            write_report(run)


def test_what_utf_8_does_not_have_is_shown_as_escapes(run):
    request = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(request | {"method": "caf\udce9", "device": "\ud800"}))
    save_pictures(run, **make_pictures() | {"class_names": np.array(["zero", "\udcff", "two"])})
    hostile = run.rename(run.with_name("r\udce9"))
    page = page_of(hostile)
    assert all(text in page for text in ("caf\\udce9", "\\ud800", "\\udcff", "r\\udce9"))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\x93NUMPY", b"PK\x03\x04"])
def test_pictures_that_are_no_archive(run, content):
    (run / "pictures.npz").write_bytes(content)
    assert "No pictures to show: pictures.npz is damaged" in page_of(run)
    np.save(run / "pictures.npy", np.ones(3))
    (run / "pictures.npy").replace(run / "pictures.npz")
    assert "No pictures to show" in page_of(run)


def test_a_run_on_clips_is_about_clips(run):
    request = json.loads((run / "run.json").read_text()) | {"examples": {"train_shape": "4x8x8x1", "test_examples": 9}}
    (run / "run.json").write_text(json.dumps(request | {"method": "tracks"}))
    page = page_of(run)
    start = "A linear probe on features of SimCLR on tracks classifies 95.7% of the test clips correctly"
    assert start in page and "A map of the test clips" in page and "clips per second" in page
    words = re.sub("<[^>]*>", " ", page.partition("<main")[2].partition("Reproduce this run")[0])
    assert "image" not in words.lower()


def test_a_loss_without_a_line_at_chance_has_the_reason(run):
    request = json.loads((run / "run.json").read_text())
    for method in ("ibot", "dinov2", "cma", "byol"):
        for chance in ({}, {"chance_loss": 2.0}):
            (run / "run.json").write_text(json.dumps(request | chance | {"method": method}))
            stated = "There is no line at chance" in page_of(run)
            assert stated == (method != "byol" and not chance)


def test_with_more_classes_than_colours_the_second_ten_are_squares():
    assert [color(label) for label in (-1, 3, 13, 23)] == ["unlabelled", "c3", "c3 square", "c3"]


@pytest.mark.parametrize("value", [None, "text", True, [1], {"a": 1}, 10**400, float("nan"), float("inf")])
def test_values_of_other_kinds_in_the_files_of_a_run(run, value):
    for file in ("run.json", "results.json"):
        content = json.loads((run / file).read_text())
        (run / file).write_text(json.dumps(dict.fromkeys(content, value)))
    names = {name for record in METRICS for name in record}
    lines = [dict.fromkeys(names, value) | {"step": step} for step in (1, 10**400)] + [value]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "Reproduce this run" in page_of(run)


@pytest.mark.parametrize("value", [None, "text", True, [1], {"a": 1}, 10**400, float("nan")])
def test_results_of_other_kinds_inside_the_features(run, value):
    fields = {"accuracy": value, "interval": value, "deviation": value}
    for features in ({"pretrained": value}, {"pretrained": {"knn": value}}, {"pretrained": {"knn": fields}}):
        (run / "results.json").write_text(json.dumps(RESULTS | {"features": features}))
        assert HEADINGS[0] not in headings(page_of(run))
    fields["accuracy"] = 0.5
    whole = {"pretrained": {"knn": fields}, "pixels": {"knn": value}, "untrained": value}
    (run / "results.json").write_text(json.dumps(RESULTS | {"features": whole}))
    assert "features of SimCLR classifies 50.0% of the test images correctly." in page_of(run)


def test_results_in_the_flat_form_of_older_versions(run):
    (run / "results.json").write_text('{"steps": 940, "knn": 0.9612}')
    page = page_of(run)
    assert headings(page) == HEADINGS[1:] and page.count('class="notice"') == 1
    assert "results.json has no features, as in older versions: repeat the command of the run" in page
    assert "A SimCLR run that is not evaluated yet." in page


def test_a_protocol_of_another_version_is_shown_under_its_name(run):
    features = {"pretrained": {"to{y}": {"accuracy": 0.5}}, "pixels": {"to{y}": {"accuracy": 0.25}}}
    (run / "results.json").write_text(json.dumps(RESULTS | {"features": features}))
    page = page_of(run)
    assert "By to{y}, 50.0% of test images are classified correctly, against 25.0% on raw pixels." in page
    assert "+25.0<span> points" in page


@pytest.mark.parametrize(
    ("file", "gone", "notice"),
    [
        ("results.json", HEADINGS[:1], "No results yet: the run is still training, or was stopped at step 150."),
        ("pictures.npz", HEADINGS[1:4], "No pictures to show"),
        ("metrics.jsonl", HEADINGS[4:5], "No metrics were recorded"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_page_is_made_of_what_is_there(run, file, gone, notice, damage):
    if damage == "missing":
        (run / file).unlink()
    else:
        (run / file).write_bytes((run / file).read_bytes()[:40])
    page = page_of(run)
    assert headings(page) == [heading for heading in HEADINGS if heading not in gone]
    assert page.count('class="notice"') == 1 and notice in page


def test_a_run_that_was_just_started(run):
    for name in ("results.json", "pictures.npz", "metrics.jsonl"):
        (run / name).unlink()
    (run / "run.json").write_text('{"arguments": {}, "device": "TPU v5e", "devices": 256}')
    page = page_of(run)
    assert headings(page) == HEADINGS[-1:] and "<span>256 \N{MULTIPLICATION SIGN} TPU v5e</span>" in page


def test_unreadable_lines_are_skipped(run):
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(b'\xff\xfe\n[1]\n{"loss": 2}\n{"step": 200, "loss": 0.5}\n{"step": 250, "loss": 0.2')
    page = page_of(run)
    assert "<h3>Loss<span>0.5</span>" in page and "step 200" in page and "step 250" not in page


@pytest.mark.parametrize(
    ("part", "heading"),
    [
        ("views", HEADINGS[1]),
        ("query", HEADINGS[2]),
        ("embedding", None),
        ("views_original", None),
        ("class_names", None),
    ],
)
def test_parts_of_the_pictures_may_be_missing(run, part, heading):
    arrays = {name: array for name, array in make_pictures().items() if name != part}
    save_pictures(run, **arrays)
    assert headings(page_of(run)) == [each for each in HEADINGS if each != heading]


def test_unlabelled_images_have_neighbours_without_frames(run):
    save_pictures(run, **{name: array for name, array in make_pictures().items() if "label" not in name})
    page = page_of(run)
    plain = [heading.replace("the test images", "the images") for heading in HEADINGS]
    assert headings(page) == plain and page.count('class="frame"') == 16
    assert "frame right" not in page and "of 8 correct" not in page and 'class="dots unlabelled"' in page


def test_a_map_without_classes_shows_images(run):
    arrays = {name: array for name, array in make_pictures().items() if "label" not in name}
    rows = spread(len(arrays["embedding"]))
    assert rows[0] == 0 and rows[-1] == len(arrays["embedding"]) - 1 and len(spread(10_000)) == MAP_IMAGES
    save_pictures(run, **arrays, embedding_image=np.zeros((len(rows), 8, 8, 1), np.uint8))
    page = page_of(run)
    assert page.count('<image href="data:image/png;base64,') == 2 * len(rows)


def test_a_run_without_labels_shows_its_gauges(run):
    for collapse, shown in ((None, "<td>none seen</td>"), (NASTY, "&lt;")):
        found = {"view_correlation": 0.71234, "std": None, "effective_rank": NASTY, "collapse": collapse}
        (run / "results.json").write_text(json.dumps({"features": {}, "label_free": found}))
        page = page_of(run)
        assert (
            "<h2>Without labels</h2>" in page and "<td>0.712 (0 unrelated, 1 the same)</td>" in page and shown in page
        )
        assert "1 fills the sphere, 0" not in page and "1 is a collapse" not in page


def test_pictures_of_objects_are_refused(run):
    with pytest.raises(ValueError, match="save_pictures: class_names must hold numbers or strings"):
        save_pictures(run, class_names=np.array(["a", None]))
    assert not list(run.glob("*draft*"))


def test_large_images_are_made_small():
    image = np.random.default_rng(0).integers(0, 256, (256, 192, 3), dtype=np.uint8)
    assert "image/jpeg" in thumbnail(image) and len(thumbnail(image)) < 20_000
    assert "image/png" in thumbnail(image[:64, :64, :1]) and 'class="small"' in thumbnail(image[:64, :64])


def test_a_folder_without_a_run_gives_one_sentence(run, tmp_path):
    runs, mistyped, inside = tmp_path, tmp_path / "simclr-dmo", run / "checkpoints"
    inside.mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/run.json").write_text("{}")
    for folder, what in [
        (mistyped, "is not a folder"),
        (runs, "holds no run.json that can be read"),
        (inside, "holds no run.json that can be read"),
        (run / "run.json", "is not a folder"),
    ]:
        with pytest.raises(UsageError) as caught:
            write_report(folder)
        assert str(caught.value) == f"run: {folder} {what}: did you mean {run}?"
    with pytest.raises(UsageError) as caught:
        write_report(tmp_path / "a" / "b")
    assert str(caught.value) == (
        f"run: {tmp_path / 'a/b'} is not a folder: name the folder of a run, as ssl-jax pretrain printed it."
    )


def test_a_damaged_run_json_names_no_other_run(run):
    (run / "run.json").write_text('{"method": "sim')
    with pytest.raises(UsageError, match=r"holds no run.json that can be read: name the folder"):
        write_report(run)
    assert not (run / "report.html").exists()


def test_the_map_keeps_clusters_together():
    embeddings, labels = clusters(count=6, size=30)
    places = embedding_map(embeddings, perplexity=10)
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :5]
    assert (labels[nearest] == labels[:, None]).mean() > 0.97
    np.testing.assert_array_equal(places, embedding_map(embeddings, perplexity=10))


@pytest.mark.parametrize("embeddings", [np.ones((5, 4)), np.zeros((2, 1)), np.eye(3)[[0, 0, 1, 2]]])
def test_the_map_of_collapsed_or_few_embeddings_is_finite(embeddings):
    places = embedding_map(embeddings)
    assert places.shape == (len(embeddings), 2) and np.isfinite(places).all()


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_few_points_do_not_fly_apart(count):
    embeddings = np.random.default_rng(0).normal(size=(4, count, 5))
    assert all(np.abs(embedding_map(few)).max() < 100 for few in embeddings)


def test_the_map_refuses_other_shapes():
    with pytest.raises(ValueError, match=re.escape("embeddings must be [M, D] with at least two rows, got (1, 4)")):
        embedding_map(np.ones((1, 4)))


@pytest.mark.parametrize("shape", [(40, 7), (7, 40)])
def test_principal_components_are_those_of_the_singular_value_decomposition(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(principal_components(rows, count=3)), np.abs(left * values)[:, :3], atol=1e-10)


def test_every_point_has_as_many_neighbours_as_asked_for():
    points = np.random.default_rng(0).normal(size=(60, 3))
    joint = neighbor_probabilities(points, perplexity=8)
    np.testing.assert_allclose(joint.sum(), 1)
    np.testing.assert_array_equal(joint, joint.T)
    # On a circle all points are alike, so rows of the symmetric matrix are the conditional distributions.
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    rows = 60 * neighbor_probabilities(np.stack([np.cos(angles), np.sin(angles)], axis=1), perplexity=8)
    entropy = -(rows * np.log(np.where(rows > 0, rows, 1))).sum(axis=1)
    np.testing.assert_allclose(np.exp(entropy), 8, rtol=1e-4)


def test_forces_are_the_gradient_of_the_divergence():
    generator = np.random.default_rng(0)
    attraction, places = (
        neighbor_probabilities(generator.normal(size=(30, 4)), perplexity=5),
        generator.normal(size=(30, 2)),
    )

    def divergence(places):
        closeness = 1 / (1 + ((places[:, None] - places) ** 2).sum(axis=-1))
        np.fill_diagonal(closeness, 0)
        share = closeness / closeness.sum()
        off = ~np.eye(30, dtype=bool)
        return (attraction[off] * np.log(attraction[off] / share[off])).sum()

    pull, push = forces(attraction.astype(np.float32), places.astype(np.float32))
    for row, column in [(0, 0), (17, 1)]:
        nudge = np.zeros_like(places)
        nudge[row, column] = 1e-5
        slope = (divergence(places + nudge) - divergence(places - nudge)) / 2e-5
        np.testing.assert_allclose(4 * (pull - push)[row, column], slope, rtol=1e-3, atol=1e-6)
    assert divergence(descend(attraction, 1e-4 * places).astype(float)) < 0.5 * divergence(1e-4 * places)


def test_ticks_are_round_and_span_the_values():
    np.testing.assert_allclose(ticks(0.86, 0.96), [0.85, 0.9, 0.95, 1.0])
    np.testing.assert_allclose(ticks(-3.2, -1.4), [-4, -3, -2, -1])
    for low, high in [(0, 0), (5, 5), (-1e-9, 1e-9), (1e-12, 3e6), (0, 5e-324), (5e-324, 1e-323)]:
        marks = ticks(low, high)
        assert marks[0] <= low <= high <= marks[-1] and 2 <= len(marks) <= 6


def test_long_series_keep_their_spikes():
    series = [(step, 1.0) for step in range(10_000)]
    series[1234] = (1234, 99.0)
    kept = thin(series)
    assert len(kept) <= 802 and (1234, 99.0) in kept and kept[0][0] == 0 and kept[-1][0] == 9_999
    assert kept == sorted(kept)
    assert thin(series[:800]) == series[:800]
