"""Claims: their texts, what is refused, and in which region each puts the true difference."""

import math

import pytest

from se_search.analysis.claims import Claim, Region
from se_search.errors import RunError


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        ("se beats plain", Claim("se", "beats", "plain")),
        ("se beats plain by 0.2", Claim("se", "beats", "plain", 0.2)),
        (
            "a-1 is not worse than b.2 by more than .1",
            Claim("a-1", "is not worse than", "b.2", 0.1),
        ),
        ("stage_5 equals all within 0.1 in top-5", Claim("stage_5", "equals", "all", 0.1, 5)),
        ("by beats in by 2 in top-5", Claim("by", "beats", "in", 2.0, 5)),
        ("  A  beats\n B  in top-1 ", Claim("A", "beats", "B")),
        ("A beats B by 0", Claim("A", "beats", "B")),
    ],
)
def test_a_claim_is_read_and_its_text_reads_as_the_same_claim(text, claim):
    assert Claim.parse(text) == claim
    assert Claim.parse(str(claim)) == claim


@pytest.mark.parametrize("margin", [0.1, 1 / 3, 1e-5, 12.0, 99.9])
@pytest.mark.parametrize("top", [1, 5])
@pytest.mark.parametrize("kind", ["beats", "is not worse than", "equals"])
def test_any_margin_survives_its_text(kind, margin, top):
    claim = Claim("x", kind, "y", margin, top)
    assert Claim.parse(str(claim)) == claim


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A beats",
        "A > B",
        "A beats B by -0.2",
        "A beats B by 0.2 %",
        "A beats B by 1e-3",
        "A beats B in top-3",
        "A is not worse than B",
        "A equals B",
        "A equals B within",
        "A! beats B",
        "A beats B by 0.2 and more",
        "A BEATS B",
    ],
)
def test_other_texts_are_refused_with_what_is_allowed(text):
    with pytest.raises(RunError, match=r"can't be read; allowed is 'A beats B'.*top-5"):
        Claim.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A beats A", "compares A with itself"),
        ("A equals B within 0", "leaves nothing to show; say more than 0$"),
        ("A is not worse than B by more than 0.0", "say more than 0, or 'A beats B'"),
        ("A beats B by 100", "not from 0 to below 100"),
    ],
)
def test_claims_that_make_no_sense_are_refused(text, message):
    with pytest.raises(RunError, match=message):
        Claim.parse(text)


def test_claims_made_from_parts_are_checked_as_well():
    with pytest.raises(RunError, match="'a b' is no name"):
        Claim("a b", "beats", "c")
    with pytest.raises(RunError, match="top-3"):
        Claim("a", "beats", "c", top=3)
    with pytest.raises(RunError, match="margin is not"):
        Claim("a", "beats", "c", math.nan)


@pytest.mark.parametrize(
    ("text", "holding", "failing"),
    [
        ("A beats B", [0.01, 5], [-0.01, 0]),
        ("A beats B by 0.2", [0.21], [0.2, 0]),
        ("A is not worse than B by more than 0.1", [-0.09, 0, 3], [-0.1, -1]),
        ("A equals B within 0.1", [-0.09, 0.09], [-0.1, 0.1, 2]),
    ],
)
def test_a_claim_holds_where_its_region_does_and_nowhere_else(text, holding, failing):
    claim = Claim.parse(text)
    assert all(claim.region.holds(points / 100) for points in holding)
    assert not any(claim.region.holds(points / 100) for points in failing)


@pytest.mark.parametrize("text", ["A beats B by 0.2", "A equals B within 0.1"])
def test_what_is_outside_of_a_claim_is_all_but_its_region_and_the_margins(text):
    claim = Claim.parse(text)
    for points in (-3, -0.15, 0.05, 0.15, 0.25, 4):
        outside = any(region.holds(points / 100) for region in claim.outside)
        assert outside != claim.region.holds(points / 100)


def test_a_difference_within_rounding_of_a_margin_is_in_no_region():
    assert not Region(0.002, math.inf).holds(0.912 - 0.910)
