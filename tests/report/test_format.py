"""Numbers as reports print them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from se_search.analysis.confirmation import EVERYWHERE, FRONT, PLAIN
from se_search.report.format import (
    common_decimals,
    count,
    count_decimals,
    duration,
    gain,
    interval,
    magnitude,
    number,
    percent,
    percent_interval,
    points,
    role_marks,
    round_up,
    significant,
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
        (gain(0.0062, 0.0031, 0.0093), "+0.62 (0.31 to 0.93)"),
        (gain(0.0062, 0.0031, 0.0093, "points"), "+0.62 points (0.31 to 0.93)"),
        (gain(-0.01, -0.0201, 0.0004), "-1.0 (-2.0 to +0.0)"),
        (gain(-0.02, -0.03, -0.01), "-2.0 (-3.0 to -1.0)"),
        (gain(0.21, 0.09, 0.33), "+21 (9 to 33)"),
        (gain(0.00001, -0.00009, 0.00011), "+0.001 (-0.009 to +0.011)"),
        (gain(1.0, 0.9999, 1.0), "+100.0000 (99.9900 to 100.0000)"),
        (gain(0.0, 0.0, 0.0), "+0.00 (0.00 to 0.00)"),
        (gain(-0.00001, -0.01, 0.01), "+0.0 (-1.0 to +1.0)"),
        (gain(0.0312, None, None, "points"), "+3.12 points"),
        (gain(0.0062, 0.0031, 0.0093, decimals=1), "+0.6 (0.3 to 0.9)"),
        (str(common_decimals([(0.0, 0.001), (-0.01, 0.01), (None, None)])), "1"),
        (str(common_decimals([])), "2"),
        (significant(0.0842), "0.084"),
        (significant(0.2), "0.2"),
        (significant(4.04), "4"),
        (significant(0.0996), "0.1"),
        (significant(128.4), "128"),
        (significant(0.0), "0"),
        (significant(3.5e-8), "0"),
        (gain(0.0, -3.4e-10, 3.5e-10), "+0.00 (+0.00 to +0.00)"),
        (gain(0.0, -2e-6, 3e-6), "+0.0000 (-0.0002 to +0.0003)"),
        (duration(0.2), "1 s"),
        (duration(38.4), "38 s"),
        (duration(290), "5 min"),
        (duration(7_900), "2.2 h"),
        (duration(3 * 3600), "3 h"),
        (duration(1e6), "12 days"),
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


@given(st.floats(1e-6, 1e3))
def test_a_limit_that_is_rounded_up_is_no_lower_and_has_two_digits(value):
    rounded = round_up(value)
    assert rounded >= value * (1 - 1e-8)
    assert rounded <= value * 1.1
    assert float(f"{rounded:.1e}") == pytest.approx(rounded, rel=1e-9)


def test_a_limit_of_two_digits_stays_as_it_is():
    assert [round_up(100 * share) for share in (0.0031, 0.0029, 0.0)] == [0.31, 0.29, 0.0]


@given(st.floats(1e-3, 1e3))
def test_the_decimals_of_a_number_show_two_digits_of_it(value):
    digits = f"{value:.{count_decimals(value)}f}".replace(".", "").lstrip("0")
    assert len(digits) >= 2
    assert len(digits) == 2 or value >= 99.5
