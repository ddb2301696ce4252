"""The table of results has a line for each name, and columns for what was measured."""

from ssl_jax.evaluate.tables import results_table, sources_table

ACCURACY = {"accuracy": 0.951, "interval": [0.938, 0.964]}
RESULTS = {
    "layer1": {
        "pretrained": {"linear": ACCURACY, "knn": {"accuracy": 0.5}},
        "untrained": {"linear": {"accuracy": None}},
    },
    "features": {"pretrained": {"linear": {"accuracy": 1.0, "deviation": 0.02}}},
}


def test_each_name_has_a_line_with_percentages_and_intervals():
    *lines, foot = results_table("layer", RESULTS, chance=0.1).splitlines()
    assert lines == [
        "layer      knn       linear  untrained",
        "layer1    50.0   95.1 ± 1.3          -",
        "features     -  100.0 ± 2.0          -",
    ]
    assert foot.endswith("random predictions: 10.0")


def test_each_source_has_a_line_and_each_protocol_a_column():
    features = {"pixels": {"knn": {"accuracy": 0.5}}, "pretrained": {"few_labels": {"accuracy": None}, "knn": ACCURACY}}
    *lines, foot = sources_table(features, chance=0.1).splitlines()
    assert lines == [
        "features    Nearest neighbours  Few-label probe",
        "pretrained          95.1 ± 1.3                -",
        "pixels                    50.0                -",
    ]
    assert foot.endswith("; by chance 10.0") and len(foot) <= 80
    assert sources_table(features, chance=None).endswith("deviation)")


def test_what_could_not_be_measured_is_a_dash():
    """As few labels of a class of fewer images: no other number of the fields stands in its place."""
    unmeasured = {"accuracy": None, "deviation": None, "labels_per_class": 10}
    lines = sources_table({"pretrained": {"few_labels": unmeasured}}, chance=0.5).splitlines()
    assert lines[1].split() == ["pretrained", "-"]


def test_the_reason_of_a_dash_stands_once_below_the_table():
    few = {"few_labels": {"accuracy": None, "reason": "a class has 3 images"}}
    table = sources_table({"pretrained": few, "untrained": few}, chance=0.5)
    assert table.splitlines()[-2:] == [
        "percent, ± half the 95 % interval (few labels: the deviation); by chance 50.0",
        "- Few-label probe: a class has 3 images",
    ]
    assert results_table("data", {"mine": {"pretrained": few}}).endswith("\n- few_labels on mine: a class has 3 images")
