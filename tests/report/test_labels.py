"""Text of charts covers neither other text nor a curve."""

import itertools

import numpy as np

from ssl_jax.report.labels import apart, beside_curves, overlap


def test_names_at_one_spot_are_moved_apart():
    names = ["mushroom", "star", "tree", "house"]
    middles = apart([np.array([50.0, 50.0 + number]) for number in range(4)], names, size=100)
    boxes = [(x - 4 * len(name), y - 6, x + 4 * len(name), y + 6) for (x, y), name in zip(middles, names, strict=True)]
    assert not any(overlap(one, other) for one, other in itertools.combinations(boxes, 2))
    np.testing.assert_array_equal(middles[0], [50, 50])
    assert all(0 < y < 100 for _, y in middles)


def test_a_name_of_a_line_avoids_the_curve_the_axis_and_other_names():
    area = {"left": 40, "right": 340, "bottom": 150}
    flat = np.array([[40.0, 50.0], [340.0, 50.0]])
    ((end, base),) = beside_curves([("pixels", 53)], [flat], **area)
    assert end == 340 and base > 60  # Below the line, since the curve is above it.
    ((_, base),) = beside_curves([("pixels", 149)], [flat], **area)
    assert base < 149
    falling = np.array([[40.0, 20.0], [200.0, 90.0], [340.0, 90.0]])
    ((end, _),) = beside_curves([("chance", 100)], [falling], **area | {"bottom": 110})
    assert end < 100  # At the left, where the curve has not come down yet.
    first, second = beside_curves([("untrained", 100), ("pixels", 102)], [flat], **area)
    assert abs(first[1] - second[1]) > 10 or first[0] != second[0]
