"""The part of a run's page about its supernets: what they cost, and what trainings say of them."""

from __future__ import annotations

from dataclasses import dataclass

from se_search.report.ladder import (
    Evidence,
    bias_table,
    describe_ladder,
    ladder_table,
    order_table,
)
from se_search.report.table import ResultTable


@dataclass(frozen=True, slots=True)
class LadderPart:
    """What cheap scores of a run are worth.

    Attributes:
        sentences: verdicts, biases, and what the budget went for.
        tables: a row for each rung and for what is known before; biases by place; the order by
            scores, if no training tests them.
    """

    sentences: tuple[str, ...]
    tables: tuple[ResultTable, ...]


def prepare_ladder_part(evidence: Evidence | None) -> LadderPart | None:
    """Return what a page shows of supernets; None: the run was searched without them."""
    if evidence is None:
        return None
    tables = [ladder_table(evidence)] if evidence.tests and not evidence.is_untested else []
    tables += [bias_table(test) for test in evidence.tests if test.biases]
    if evidence.is_untested:
        tables.append(order_table(evidence))
    return LadderPart(tuple(describe_ladder(evidence)), tuple(tables))
