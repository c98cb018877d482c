"""Shows what the rungs of a search are worth: a table, warnings, and rows of ``rungs.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from se_search.analysis.least_squares import Contrast
from se_search.analysis.rungs import RungFinding
from se_search.record import Rung, TrialRecord
from se_search.report.format import interval, number
from se_search.report.table import Column, ResultTable

VERDICTS = {True: "earns its place", False: "has not earned its place", None: "too few to judge"}
RUNG_FIELDS = (
    *("epochs", "replicates", "candidates", "compared", "tau", "tau_low", "tau_high", "ceiling"),
    *("tau_star", "earns_its_place", "wrong_signs"),
)


def rungs_table(rungs: Sequence[RungFinding]) -> ResultTable:
    """Lay out how well each rung predicts the order of the candidates after full trainings."""
    table = ResultTable(
        [
            Column("epochs x replicates", is_number=False),
            Column("candidates", rank=4),
            Column("also in full", rank=3),
            Column("tau-b (95 %)"),
            Column("ceiling", rank=2),
            Column("tau / ceiling", rank=1),
            Column("so far", is_number=False),
        ],
        title="Rungs: do they foretell the order of the candidates after full trainings?",
    )
    for finding in rungs:
        table.add_row(
            str(finding.rung),
            str(finding.num_candidates),
            str(finding.num_compared),
            _describe_tau(finding),
            number(finding.ceiling, unknown="not known"),
            number(finding.tau_star),
            VERDICTS[finding.has_earned_its_place],
        )
    return table


def rung_warnings(rungs: Sequence[RungFinding], full_epochs: int) -> list[str]:
    """Return a sentence for each rung that sorts no better than chance or misleads."""
    lines = []
    for finding in rungs:
        if finding.has_earned_its_place is False:
            lines.append(
                f"Rung {finding.rung} has not earned its place: by the interval of its tau it may "
                "sort candidates no better than chance."
            )
        lines += [
            f"Rung {finding.rung} misleads about {wrong.slot}: there SE {_describe(wrong.here)} "
            f"points, and after {full_epochs} epochs it {_describe(wrong.full)}."
            for wrong in finding.wrong_signs
        ]
    return lines


def rung_row(finding: RungFinding) -> list[object]:
    """Return a finding as a row of ``rungs.csv``."""
    return [
        *(finding.rung.epochs, finding.rung.replicates),
        *(finding.num_candidates, finding.num_compared),
        *(finding.tau, finding.low, finding.high, finding.ceiling, finding.tau_star),
        finding.has_earned_its_place,
        " ".join(wrong.slot.replace(" ", "_") for wrong in finding.wrong_signs),
    ]


def _describe_tau(finding: RungFinding) -> str:
    if finding.low is None or finding.high is None:
        return number(finding.tau)
    return f"{number(finding.tau)} ({interval(finding.low, finding.high, '.2f')})"


def _describe(effect: Contrast) -> str:
    word = "gains" if effect.value > 0 else "loses"
    return f"{word} {100 * abs(effect.value):.2f} ± {100 * effect.error:.2f}"


def list_rungs(config: Mapping[str, Any], records: Iterable[TrialRecord]) -> list[Rung]:
    """List a run's rungs: the rungs last asked for, and those of earlier, shorter trainings."""
    full = Rung(config["identity"]["epochs"], 1)
    text = config["search"].get("promotion", "off")
    rungs = [full] if text == "off" else [Rung.parse(part) for part in text.split(",")]
    known = {rung.epochs for rung in rungs}
    shorter = {r.epochs for r in records if r.state == "PRUNED"} - known
    return sorted([*rungs, *(Rung(epochs, 1) for epochs in shorter)])
