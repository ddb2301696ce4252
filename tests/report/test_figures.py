"""Figures as files: every curve, name and image is in them, and names do not stand on each other."""

import re
from xml.etree import ElementTree

import numpy as np

from ssl_jax.report.figures import gallery, lines, write_svg
from ssl_jax.report.layers import layers_picture

SVG = "{http://www.w3.org/2000/svg}"


def read(path):
    return ElementTree.parse(path).getroot()


def test_each_curve_ends_at_its_value_under_its_name(tmp_path):
    curves = {"falling": [(1, 4.0), (10, 2.0), (100, 0.0)], "level": [(1, 2.0), (10, 2.0), (100, 2.0)]}
    write_svg(tmp_path / "a/chart.svg", lines(curves, title="Error & time", across="step", up="nats", log=True))
    root = read(tmp_path / "a/chart.svg")
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"Error & time, nats", "step", "falling", "level", "100"} <= set(texts)
    falling, level = ([tuple(map(float, spot.split(","))) for spot in curve.get("points").split()]
                      for curve in root.iter(f"{SVG}polyline"))  # fmt: skip
    assert falling[1] == level[1] and falling[0][1] < level[0][1] < falling[2][1]
    assert np.isclose(falling[1][0] - falling[0][0], falling[2][0] - falling[1][0], atol=0.2)  # the axis is logarithmic
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["chart.svg"]


def test_names_of_curves_that_end_together_are_apart():
    chart = lines({name: [(0, 0.0), (1, 1.0)] for name in "abc"}, title="t", across="x", up="")
    places = [float(y) for y in re.findall(r'y="([\d.]+)" class="mark"', chart)]
    assert len(places) == 3 and (np.diff(sorted(places)) >= 15).all()


def test_names_stay_above_the_axis():
    figure = lines({name: [(0, 1.0), (1, 0.0)] for name in ("one", "two", "three")}, title="t", across="x", up="y")
    heights = [
        float(text.split('y="')[1].split('"')[0]) for text in str(figure).split("<text")[1:] if 'class="mark"' in text
    ]
    axis = max(
        float(text.split('y="')[1].split('"')[0]) for text in str(figure).split("<text") if 'class="end"' in text
    )
    assert max(heights) <= axis + 1 and np.diff(sorted(heights)).min() >= 14.9


def test_a_flat_curve_has_a_scale():
    assert "polyline" in lines({"one": [(5, 1.0)]}, title="t", across="x", up="")


def test_a_gallery_holds_its_images_and_notes(tmp_path):
    images = np.zeros((3, 4, 4, 1), np.uint8)
    figure = gallery({"asked": images, "found": images}, title="Store", notes={"found": ["1", "2", "3"]})
    write_svg(tmp_path / "gallery.svg", figure)
    root = read(tmp_path / "gallery.svg")
    assert len(list(root.iter(f"{SVG}image"))) == 6
    assert [text.text for text in root.iter(f"{SVG}text")] == ["Store", "asked", "found", "1", "2", "3"]


def test_the_picture_of_the_layers_has_a_curve_for_each_probe_and_source():
    shares = [0.4, 0.8, 0.6, 0.7, 0.7, 0.7, 0.7, 0.75]
    layers = {
        f"layer{number}": {
            "pretrained": {"linear": {"accuracy": share}, "knn": {"accuracy": share / 2}},
            "untrained": {"linear": {"accuracy": None if number else 0.1}, "knn": {}},
        }
        for number, share in enumerate(shares)
    }
    root = ElementTree.fromstring(layers_picture(layers))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"linear", "k-NN", "linear, untrained", "layer1", "layer7"} <= set(texts) and "k-NN, untrained" not in texts
    assert "layer2" not in texts  # Of many layers every second one is named.
    linear, knn, untrained = root.iter(f"{SVG}polyline")
    heights = [float(spot.split(",")[1]) for spot in linear.get("points").split()]
    assert heights.index(min(heights)) == 1 and len(heights) == 8  # The second layer is the best.
    assert len(untrained.get("points").split()) == 1
    dashes = [curve.get("stroke-dasharray") for curve in (linear, knn, untrained)]
    assert dashes[0] is None and len(set(dashes)) == 3  # Distinguishable without colour.
    assert layers_picture({"layer1": {"pretrained": {}}}) is None and layers_picture({}) is None
