"""The collapse alarm: which records make it speak, and how often."""

import pytest

from ssl_jax.evaluate.alarm import CollapseAlarm, collapse
from ssl_jax.methods.method import Facts

DISTILLATION = Facts(family="distillation", against_collapse="predictor and slow teacher")
HEALTHY = {"std": 0.9, "effective_rank": 20.0}
EQUAL = {"std": 0.01, "effective_rank": 1.2}
ONE_LINE = {"std": 0.6, "effective_rank": 1.2}
ONE_CLUSTER = HEALTHY | {"prototype_use": 0.02, "assignment_entropy": 0.1}
ALIKE = HEALTHY | {"prototype_use": 1.0, "assignment_entropy": 0.9999}
ALL_USED = HEALTHY | {"prototype_use": 0.9, "assignment_entropy": 0.4}


def spoken(records, facts=DISTILLATION, examples=256):
    alarm = CollapseAlarm("BYOL", facts, examples=examples)
    return [alarm.check(50 * number, record) for number, record in enumerate(records, 1)]


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (HEALTHY, None), (ALL_USED, None), (EQUAL, "complete"), (ONE_LINE, "dimensional"), (ONE_CLUSTER, "cluster"),
        (ALIKE, "uniform"), ({}, None),
    ],
)  # fmt: skip
def test_the_kind_of_one_record(record, kind):
    assert collapse(record, examples=256) == kind


def test_it_speaks_once_at_the_second_record_in_a_row():
    nothing, sentence, *rest = spoken([EQUAL] * 4)
    assert nothing is None and rest == [None, None]
    assert sentence == (
        "complete collapse at step 100 (std of the embeddings 0.010): BYOL avoids it by predictor and slow teacher; check "
        "that, or lower the learning rate."
    )
    assert "dimensional collapse at step 150 (effective rank 1.2)" in spoken([HEALTHY, ONE_LINE, ONE_LINE])[2]
    assert "cluster collapse at step 100 (use of the prototypes 0.02)" in spoken([ONE_CLUSTER] * 2)[1]
    assert "uniform collapse at step 100 (entropy of the assignments 1.000)" in spoken([ALIKE] * 2)[1]


@pytest.mark.parametrize(
    "records",
    [
        [HEALTHY] * 4,
        [EQUAL, HEALTHY] * 3,  # A dip, as where training starts.
        [EQUAL, ONE_LINE] * 3,
        [{"std": float("nan"), "effective_rank": float("nan")}] * 3,
    ],
)
def test_it_is_silent_about_what_does_not_last(records):
    assert not any(spoken(records))


def test_the_rank_of_a_few_examples_says_nothing():
    for record in (ONE_LINE, ONE_CLUSTER):
        assert not any(spoken([record] * 3, examples=8))
    assert any(spoken([EQUAL] * 3, examples=8)) and any(spoken([ALIKE] * 3, examples=8))


def test_methods_that_predict_labels_or_pixels_cannot_collapse():
    assert not any(spoken([EQUAL] * 3, Facts(family="pretext", against_collapse="labels")))
    assert not any(spoken([EQUAL] * 3, None))
