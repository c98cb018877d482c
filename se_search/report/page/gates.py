"""The part of a run's page about the gates of a candidate."""

from __future__ import annotations

from dataclasses import dataclass

from se_search.report.figures.forest import Forest
from se_search.report.figures.gates import GatesFigure, prepare_gates
from se_search.report.gates import caution, describe_findings, gates_table, prepare_drops
from se_search.report.table import ResultTable
from se_search.store.gates_file import GatesFound


@dataclass(frozen=True, slots=True)
class GatesPart:
    """What a candidate's gates do.

    Attributes:
        placement: short text form of the candidate.
        sentences: what they say.
        table: a row a block.
        drops: figure of what is lost with constants for gates.
        lines: figure of mean gates by channel and class.
        caution: what the drops rest on.
    """

    placement: str
    sentences: tuple[str, ...]
    table: ResultTable
    drops: Forest
    lines: GatesFigure
    caution: str

    @property
    def panels(self) -> list[tuple[str, str, str]]:
        """The name of each panel's figure, its block, and what its gates do, in numbers."""
        return [
            (f"gates-{number}", panel.title, panel.detail)
            for number, panel in enumerate(self.lines.panels)
        ]


def prepare_gates_part(found: GatesFound | None) -> GatesPart | None:
    """Return what a page shows of gates; None: none have been looked at."""
    if found is None:
        return None
    return GatesPart(
        found.placement,
        tuple(describe_findings(found)),
        gates_table(found),
        prepare_drops(found),
        prepare_gates(found, ""),
        caution(found),
    )
