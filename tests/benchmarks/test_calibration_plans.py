"""Simulated claims, as ``benchmarks/calibration`` judges sequential plans by them."""

import numpy as np

from benchmarks.calibration.plans import boundary_cases, mark_supported
from se_search.analysis.claims import Claim
from se_search.analysis.sequential import LookPlan, read_looks


def test_at_the_boundary_no_claim_is_true():
    for claim, difference in boundary_cases():
        assert not claim.region.holds(difference / 100)
        inside = [claim.region.holds((difference + step) / 100) for step in (-0.01, 0.01)]
        assert sum(inside) == 1


def test_claims_that_are_read_at_once_end_as_those_read_one_by_one():
    claim, plan = Claim.parse("a beats b"), LookPlan((6, 9, 12))
    differences = np.random.default_rng(0).normal(0.3, 0.5, (40, 12))
    one_by_one = [read_looks(claim, row / 100, plan).outcome == "supported" for row in differences]
    assert 5 < sum(one_by_one) < 35
    assert mark_supported(claim, differences, plan).tolist() == one_by_one
