"""Formats the numbers of reports, in tables and in sentences."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from decimal import ROUND_CEILING, Decimal

from se_search.analysis.confirmation import EVERYWHERE, FRONT, PLAIN

UNKNOWN = "-"
FEWEST_HOURS = 0.1  # less is told in seconds
MAX_DECIMALS = 4  # of a point: an image in a million is told
ROLE_MARKS = {FRONT: "*", PLAIN: "b", EVERYWHERE: "e"}


def number(value: float | None, form: str = ".2f", unknown: str = UNKNOWN) -> str:
    """Format a number by a format specification of Python; None becomes ``unknown``."""
    return unknown if value is None else format(value, form)


def percent(share: float | None, error: float | None = None, unknown: str = UNKNOWN) -> str:
    """Format a share (0..1) in per cent, without the sign: ``93.12`` or ``93.12 ± 0.21``.

    An interval that would leave 0 to 100 per cent ends there, and is written by its ends.
    """
    if share is None or error is None:
        return unknown if share is None else f"{100 * share:.2f}"
    return percent_interval(share, max(0.0, share - error), min(1.0, share + error))


def percent_interval(share: float, low: float, high: float) -> str:
    """Format a share (0..1) with its interval in per cent: ``93.12 ± 0.21``.

    An interval that 0 or 100 per cent cuts off is written by its ends: ``99.80 (99.45 to 100.00)``.
    """
    text = f"{100 * share:.2f}"
    if low > 0 and high < 1:
        return f"{text} ± {50 * (high - low):.2f}"
    return f"{text} ({interval(100 * low, 100 * high, '.2f')})"


def points(difference: float | None, error: float | None = None, unknown: str = UNKNOWN) -> str:
    """Format a difference of shares in points: ``+0.31`` or ``+0.31 ± 0.12``."""
    return unknown if difference is None else f"{100 * difference:+z.2f}{_spread(error)}"


def gain(
    value: float, low: float | None, high: float | None, unit: str = "", decimals: int | None = None
) -> str:
    """Format a gain (a share) in points with its 95 % interval: ``+0.62 (0.31 to 0.93)``.

    Half of the interval's width has two significant digits. Both ends bear a sign where the
    interval holds 0.

    Args:
        value: the gain.
        low: lower end of its interval; None: not known.
        high: upper end of its interval; None: not known.
        unit: stands behind the gain, before the interval.
        decimals: how many there are, as in the other rows of a table; None: by the interval.
    """
    unit = unit and f" {unit}"
    if low is None or high is None:
        return f"{100 * value:+z.{2 if decimals is None else decimals}f}{unit}"
    if decimals is None:
        decimals = count_decimals(50 * (high - low))
    sign = "+" if low < 0 < high else ""
    ends = interval(100 * low, 100 * high, f"{sign}z.{decimals}f")
    return f"{100 * value:+z.{decimals}f}{unit} ({ends})"


def common_decimals(ends: Iterable[tuple[float | None, float | None]]) -> int:
    """Return how many decimals the gains of a table have: those of the widest interval.

    Args:
        ends: of the gains' intervals, in shares; None: not known.
    """
    halves = [50 * (high - low) for low, high in ends if low is not None and high is not None]
    return count_decimals(max(halves, default=0.0))


def count_decimals(value: float, digits: int = 2) -> int:
    """Return after how many decimals a positive number has as many significant digits.

    There are at most ``MAX_DECIMALS``. A number that is 0, or is 0 with these, gets two.
    """
    if value < 0.5 * 10.0**-MAX_DECIMALS:
        return 2
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded number
    return min(MAX_DECIMALS, max(0, digits - 1 - exponent))


def significant(value: float, digits: int = 2) -> str:
    """Format a number of at least 0 by its first digits: ``0.084``, ``0.2``, ``128``."""
    text = f"{value:,.{count_decimals(value, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_up(value: float, digits: int = 2) -> float:
    """Return the least number with as few significant digits that is not below ``value``."""
    if value <= 0:
        return 0.0
    exact = Decimal(f"{value:.9g}")  # 100 * 0.0031 is a little more than 0.31
    step = Decimal(1).scaleb(exact.adjusted() + 1 - digits)
    return float(exact.quantize(step, ROUND_CEILING))


def duration(seconds: float) -> str:
    """Format a time that is known roughly: ``40 s``, ``5 min``, ``3.5 h``, ``12 days``."""
    for limit, unit, noun in ((100, 1, "s"), (100 * 60, 60, "min")):
        if seconds < limit:
            return f"{max(1, round(seconds / unit))} {noun}"
    hours = seconds / 3600
    return f"{hours:.1f} h".replace(".0 h", " h") if hours < 48 else f"{hours / 24:.0f} days"


def interval(low: float, high: float, form: str = "+z.2f") -> str:
    """Format an interval by its ends, in their own unit: ``-0.10 to +0.42``."""
    return f"{low:{form}} to {high:{form}}"


def count(number: int, noun: str) -> str:
    """Format a count with its noun: ``1 epoch``, ``3 epochs``, ``1,000 epochs``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def magnitude(count: int) -> str:
    """Format a count of any size: exact below ten million, else as a power of ten."""
    return f"{count:,}" if count < 10**7 else f"about 10^{math.log10(count):.1f}"


def role_marks(roles: Collection[str]) -> str:
    """Return a confirmed candidate's marks after a space: * front, b plain, e SE everywhere."""
    marks = "".join(mark for role, mark in ROLE_MARKS.items() if role in roles)
    return f" {marks}" if marks else ""


def _spread(error: float | None) -> str:
    return "" if error is None else f" ± {100 * error:.2f}"
