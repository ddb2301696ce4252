"""What a run says about itself without labels."""

from ssl_jax.evaluate.label_free import in_words, label_free
from ssl_jax.methods.method import Facts

FACTS = Facts(family="contrastive", against_collapse="negatives")
GOOD = {"std": 0.9, "effective_rank": 20.04, "view_correlation": 0.71239}


def records(*gauges):
    return [{"step": 50 * number, "loss": 1.0, **each} for number, each in enumerate(gauges, 1)]


def test_the_gauges_of_the_end_and_no_collapse():
    found = label_free(records({**GOOD, "std": 0.5}, GOOD, {}), "SimCLR", FACTS, examples=64)
    assert found == {"view_correlation": 0.7124, "effective_rank": 20.04, "std": 0.9, "collapse": None}
    assert in_words(found).startswith("correlation of two views 0.71 (") and in_words(found).endswith(", no collapse")


def test_a_collapse_is_named_also_where_it_has_passed():
    bad = {**GOOD, "std": 0.01, "view_correlation": None}
    found = label_free(records(bad, bad, GOOD), "SimCLR", FACTS, examples=64)
    assert found["collapse"].startswith("complete collapse at step 100") and "negatives" in in_words(found)


def test_what_was_not_measured_is_left_out():
    pretext = Facts(family="pretext", against_collapse="labels")
    assert label_free(records({"std": 0.3, "effective_rank": 2.0}), "MAE", pretext, examples=64) == {
        "effective_rank": 2.0,
        "std": 0.3,
    }
    assert label_free([], "SimCLR", FACTS, examples=64) == {"collapse": None}
