"""What a check finds: measured values, each with the bound that it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["PASS", "FAIL", "NOT RUN"]
LONGEST_CELL = 80  # signs of a table; the line of a finding has all of them

Value = float | int | bool | str | None


@dataclass(frozen=True)
class Finding:
    """One thing that a check has measured.

    Attributes:
        what: the quantity and what it is of.
        value: of the quantity.
        unit: of the value; empty: it has none.
        bound: what the value must be, in words; empty: it is only told.
        passed: whether it is so; None: there is no bound.
    """

    what: str
    value: Value
    unit: str = ""
    bound: str = ""
    passed: bool | None = None

    def __str__(self) -> str:
        if self.passed is None:
            return f"{self.what}: {self.measured}"
        verdict = "PASS" if self.passed else "FAIL"
        return f"{self.what}: {self.measured} (bound: {self.bound}) {verdict}"

    @property
    def measured(self) -> str:
        """The value as people read it, with its unit."""
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        text = f"{self.value:,.4g}" if isinstance(self.value, float) else str(self.value)
        return f"{text} {self.unit}".rstrip()


def tell(what: str, value: Value, unit: str = "") -> Finding:
    """Return a value that has no bound."""
    return Finding(what, _plain(value), unit)


def require(what: str, is_so: bool) -> Finding:
    """Return a claim that must be true."""
    return Finding(what, bool(is_so), "", "yes", bool(is_so))


def at_most(what: str, value: float, bound: float, unit: str = "") -> Finding:
    """Return a value that must not be above a bound."""
    return Finding(what, float(value), unit, f"at most {bound:g}", bool(value <= bound))


def at_least(what: str, value: float, bound: float, unit: str = "") -> Finding:
    """Return a value that must not be below a bound."""
    return Finding(what, float(value), unit, f"at least {bound:g}", bool(value >= bound))


def _plain(value: Any) -> Value:
    """Return a number of NumPy's or PyTorch's as one of Python's, which JSON has."""
    return value.item() if hasattr(value, "item") else value


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 3]}..."


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Attributes:
        name: of the check.
        verdict: FAIL: a bound is not kept, or the check broke; NOT RUN: there was no time for it.
        seconds: that it took.
        findings: what it measured, as far as it came.
        problem: the error that broke it, or why it was not run; None: it ended.
    """

    name: str
    verdict: Verdict
    seconds: float
    findings: tuple[Finding, ...] = ()
    problem: str | None = None

    def as_plain_data(self) -> dict[str, Any]:
        """Return all of it for a file of JSON."""
        return asdict(self)


def judge(findings: Sequence[Finding]) -> Verdict:
    """Return the verdict of a check that has ended: it must have kept at least one bound."""
    judged = [finding.passed for finding in findings if finding.passed is not None]
    return "PASS" if judged and all(judged) else "FAIL"


def format_table(outcomes: Sequence[Outcome]) -> str:
    """Return a table with a line for each finding, and one for each check that has a problem."""
    rows = [("check", "what", "measured", "bound", "verdict")]
    for outcome in outcomes:
        for finding in outcome.findings:
            verdict = {True: "PASS", False: "FAIL", None: ""}[finding.passed]
            rows.append((outcome.name, finding.what, finding.measured, finding.bound, verdict))
        if outcome.problem is not None:
            rows.append((outcome.name, outcome.problem, "", "", outcome.verdict))
        rows.append(
            (outcome.name, "the whole check", f"{outcome.seconds:.1f} s", "", outcome.verdict)
        )
    rows = [tuple(_shorten(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
