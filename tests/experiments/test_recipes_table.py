"""Every recipe beside its source: they agree, or the reason is written down, and docs/recipes.md says both."""

import pytest
import recipes_table as table

from ssl_jax.recipes import methods, recipes

ENTRIES = table.published()
NEEDED = {"source", "figure", "options", "rate", "optimizer"}
NONE = "none/none"
ENTRY = {"source": [], "figure": "", "rate": {"peak": 0.3}, "options": {"epochs": 10}}


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_the_code_agrees_with_the_source_or_the_reason_is_stated(key):
    assert set(ENTRIES[key]) >= NEEDED and ENTRIES[key]["source"]
    assert not table.faults(key, ENTRIES[key], table.settings(*key.split("/")))


def test_every_recipe_has_an_entry_but_those_without_files_of_authors():
    of_ours = ("demo", "emoji", "photos")
    scales = {f"{method}/{name}" for method in methods() for name in recipes(method) if name not in of_ours}
    ours = {"frames/kinetics", "supervised/cifar", "tracks/kinetics"}
    paper_alone = {"dcl/cifar", "dcl/imagenet"}  # which states some of the settings
    assert set(ENTRIES) == scales - ours - paper_alone


def test_the_page_is_what_code_and_file_say():
    assert table.PAGE.read_text() == table.page(), "stale: run python experiments/recipes_table.py"


def test_a_recipe_has_our_result_with_its_circumstances_or_is_not_run():
    ours = {"result": "70.1 %", "protocol": "linear_sgd", "date": "2027-01-01", "hardware": "8 H100", "hours": 20}
    entry = {"source": ["a paper: section 1"], "figure": "71 % linear"}
    head, _, not_run, run = table.figures_table({"a/cifar": entry, "b/cifar": entry | {"ours": ours}})
    assert head.endswith("| ours | protocol | date | hardware | hours |")
    assert not_run == "| [a/cifar](#acifar) | 71 % linear | a paper | not run | - | - | - | - |"
    assert run.endswith("| a paper | 70.1 % | linear_sgd | 2027-01-01 | 8 H100 | 20 |")
    with pytest.raises(KeyError):
        table.ours_of(entry | {"ours": {"result": "70.1 %"}})
    assert not table.theirs({"figure": "", "ours": ours})


def test_a_difference_a_missing_setting_and_a_needless_reason_are_faults():
    ours = {"rate.peak": 0.3, "options.epochs": 12}
    assert table.faults(NONE, ENTRY, ours) == [f"{NONE}: options.epochs is 12, theirs 10"]
    reason = {"options.epochs": "why", "rate.peak": "no difference"}
    assert table.faults(NONE, ENTRY | {"deviations": reason}, ours) == [
        f"{NONE}: a reason for rate.peak, which is theirs"
    ]
    assert table.faults(NONE, ENTRY, {"rate.peak": 0.3}) == [f"{NONE}: no setting options.epochs"]
