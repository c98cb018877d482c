"""Numbers as reports print them."""

import pytest

from se_search.analysis.confirmation import EVERYWHERE, FRONT, PLAIN
from se_search.report.format import (
    count,
    interval,
    magnitude,
    number,
    percent,
    percent_interval,
    points,
    role_marks,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(0.125), "0.12"),
        (number(0.125, "+.3f"), "+0.125"),
        (number(None), "-"),
        (number(None, unknown="not known"), "not known"),
        (number(0.0), "0.00"),
        (percent(0.93125), "93.12"),
        (percent(0.99, 0.002), "99.00 ± 0.20"),
        (percent(1.0, 0.002), "100.00 (99.80 to 100.00)"),
        (percent(0.001, 0.002), "0.10 (0.00 to 0.30)"),
        (percent_interval(0.5, 0.4, 0.6), "50.00 ± 10.00"),
        (percent(0.5, 0.0), "50.00 ± 0.00"),
        (percent(None, 0.1), "-"),
        (percent(None, unknown=""), ""),
        (points(0.0031), "+0.31"),
        (points(-0.02, 0.0012), "-2.00 ± 0.12"),
        (points(None), "-"),
        (interval(-0.1, 0.424), "-0.10 to +0.42"),
        (interval(0.1, 1, ".3f"), "0.100 to 1.000"),
        (count(0, "epoch"), "0 epochs"),
        (count(1, "epoch"), "1 epoch"),
        (count(1_000, "fresh seed"), "1,000 fresh seeds"),
    ],
)
def test_a_number_is_printed_as(text, expected):
    assert text == expected


@pytest.mark.parametrize(
    ("roles", "expected"),
    [((), ""), ((FRONT,), " *"), ((EVERYWHERE, FRONT), " *e"), ((PLAIN, "other"), " b")],
)
def test_the_marks_of_a_candidate_say_its_roles_in_one_order(roles, expected):
    assert role_marks(roles) == expected


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (625, "625"),
        (371_800, "371,800"),
        (9_999_999, "9,999,999"),
        (10**7, "about 10^7.0"),
        (2**50, "about 10^15.1"),
        (10**400, "about 10^400.0"),
    ],
)
def test_a_large_count_is_written_in_powers_of_ten(count, text):
    assert magnitude(count) == text
