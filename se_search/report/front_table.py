"""The front as a table: the candidates that are listed, with gains, probabilities and costs."""

from __future__ import annotations

from se_search.analysis.pareto import CandidateSummary
from se_search.report.format import UNKNOWN, common_decimals, count, gain, number
from se_search.report.table import Column, ResultTable
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront


def front_table(front: PosteriorFront) -> ResultTable:
    """Lay out the listed candidates for a terminal, cheapest first, with what is sure of each."""
    taken, is_timed = find_taken(front), has_latency(front)
    table = ResultTable(
        [
            Column("SE (stage:squeeze width)", is_number=False),
            Column("gain, points (95 %)"),
            Column("replicates", rank=3),
            Column("P(front)", rank=1),
            Column("params"),
            Column("added %", rank=4),
            Column("MACs", rank=2),
            *([Column("latency, ms"), Column("added ms, %", rank=1)] if is_timed else []),
            Column("", is_number=False),
        ],
        title=f"Front: {len(front.listed)} of {count(len(front.candidates), 'candidate')} trained",
        caption=_describe_unlisted(front),
    )
    decimals = find_decimals(front)
    for candidate in front.listed:
        summary = candidate.summary
        table.add_row(
            summary.placement,
            describe_gain(candidate, decimals),
            str(summary.num_replicates),
            number(candidate.probability_on_front),
            f"{summary.params:,}",
            f"{summary.added_params_pct:.2f}",
            f"{summary.macs:,}",
            *(describe_latency(summary) if is_timed else ()),
            "take it" if candidate is taken else "better" if candidate.is_better else "",
        )
    return table


def has_latency(front: PosteriorFront) -> bool:
    """Tell whether the run has measured latencies."""
    return any(each.summary.latency is not None for each in front.candidates)


def describe_latency(summary: CandidateSummary) -> tuple[str, str]:
    """Write the milliseconds of a batch, and what SE adds to them in per cent."""
    if summary.latency is None:
        return UNKNOWN, UNKNOWN
    return f"{summary.latency / 1e6:.3f}", number(summary.added_latency_pct)


def find_taken(front: PosteriorFront) -> PosteriorCandidate | None:
    """Return the candidate that the answer takes; None: it takes none."""
    if front.unproven is not None or front.decision.kind == "nothing":
        return None
    return front.recommended


def list_front(front: PosteriorFront) -> list[PosteriorCandidate]:
    """Return the rows of ``pareto.csv``: the front of expected gains and all that is listed."""
    rows = [each for each in front.candidates if each.on_front or each.is_listed]
    return sorted(rows, key=lambda each: (each.summary.params, each.summary.macs))


def find_decimals(front: PosteriorFront) -> int:
    """Return how many decimals the gains of all that is listed have."""
    return common_decimals((c.low, c.high) for c in front.listed if not c.is_plain)


def describe_gain(candidate: PosteriorCandidate, decimals: int) -> str:
    """Write a candidate's gain in points with its interval; the plain network's is 0."""
    if candidate.is_plain:
        return "0"
    return gain(candidate.gain, candidate.low, candidate.high, decimals=decimals)


def _describe_unlisted(front: PosteriorFront) -> str:
    num_others = sum(not candidate.is_listed for candidate in front.credible_set)
    others = (
        f"{count(num_others, 'more candidate')} may be on the front (P of 0.05 or more): "
        "candidates.csv has them. "
        if num_others
        else ""
    )
    area = front.hypervolume
    rise = (
        ""
        if area is None
        else "The best gain at a cost or less, averaged over the logarithm of the cost "
        f"(hypervolume): {gain(area.median, area.low, area.high, 'points')}."
    )
    return f"{others}{rise}".strip()
