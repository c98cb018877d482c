"""Lays out latencies: what SE blocks add by place and width, and how well sums of it hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from se_search.latency.table import LatencyTable, WholeTiming
from se_search.report.format import count, number
from se_search.report.table import Column, ResultTable
from se_search.store.files import write_table

MEGABYTE = 1e6
LAUNCH_BOUND = 0.9  # share of a GPU's time from which the CPU's starts of kernels set it
COLUMNS = (
    *("place", "block", "blocks", "added_ms", "added_pct", "low_pct", "high_pct"),
    *("lower_quartile_pct", "upper_quartile_pct", "rounds"),
    *("block_added_ms", "block_added_pct", "added_macs_pct", "added_params_pct", "peak_bytes"),
)


def latency_table(table: LatencyTable) -> ResultTable:
    """Lay out what SE adds to the time of a batch, by place and block, MACs beside it."""
    found = ResultTable(
        [
            Column("SE at", is_number=False, is_name=True),
            Column("blocks", rank=1),
            Column("design", is_number=False, is_name=True),
            Column("+ ms"),
            Column("+ %"),
            Column("95 %, %", rank=1),
            Column("a block %", rank=3),
            Column("MACs %"),
            Column("params %", rank=4),
            Column("peak MB", rank=2),
        ],
        title=f"What SE adds to a batch through {table.backbone}: {table.plain_ms:.3f} ms without",
        caption=f"{table.ground.describe()}.",
    )
    place = None
    for each in table.deltas:
        if place is not None and each.places != place:
            found.add_section()
        place, timing = each.places, each.timing
        found.add_row(
            place,
            str(each.num_blocks),
            each.block,
            f"{timing.added_pct * table.plain_ms / 100:+z.3f}",
            f"{timing.added_pct:+z.2f}",
            f"{timing.low:.2f} to {timing.high:.2f}",
            f"{each.added_pct:+z.2f}",
            f"{each.added_macs_pct * each.num_blocks:.3f}",
            f"{each.added_params_pct * each.num_blocks:.3f}",
            f"{timing.peak_bytes / MEGABYTE:,.1f}",
        )
    return found


def whole_table(table: LatencyTable, whole: Sequence[WholeTiming]) -> ResultTable:
    """Lay out candidates that were measured whole, beside the sums for them."""
    found = ResultTable(
        [
            Column("SE placement (stage:squeeze width)", is_number=False),
            Column("ms", rank=1),
            Column("images/s", rank=2),
            Column("measured %"),
            Column("95 %, %", rank=1),
            Column("sum %"),
            Column("sum off by", rank=1),
            Column("peak MB", rank=3),
        ],
        title="Candidates measured whole: what SE adds to the time of a batch",
    )
    for each in whole:
        milliseconds = table.plain_ms * (1 + each.timing.added_pct / 100)
        found.add_row(
            each.placement,
            f"{milliseconds:.3f}",
            f"{1000 * table.batch / milliseconds:,.1f}",
            f"{each.timing.added_pct:+z.2f}",
            f"{each.timing.low:.2f} to {each.timing.high:.2f}",
            number(each.sum_pct, "+z.2f"),
            number(each.error_pct, "+z.2f"),
            f"{each.timing.peak_bytes / MEGABYTE:,.1f}",
        )
    return found


def describe_latency(table: LatencyTable) -> list[str]:
    """Say what the table's numbers are, what can't be told apart, and how well sums hold."""
    settings = table.ground.settings
    lines = [
        f"Plain network: {table.plain_ms:.3f} ms a batch of {table.batch} "
        f"({table.images_per_second:,.1f} images/s), peak memory "
        f"{table.plain_bytes / MEGABYTE:,.1f} MB.",
        f"Noise floor: {table.floor_pct:.2f} % ({table.floor_pct * table.plain_ms / 100:.4f} ms). "
        "Candidates that differ by less count as equal. It is the median of the farther ends of "
        f"the 95 % intervals of the plain network against itself, {len(table.same)} times.",
    ]
    error = table.sum_error
    if error is not None:
        rank = (
            ""
            if error.rank_correlation is None
            else f", and the rank correlation is {error.rank_correlation:.2f}"
        )
        lines.append(
            f"Sums against {count(error.count, 'candidate')} measured whole: off by "
            f"{error.median_pct:.2f} % of the plain network's time (median), in 95 % by at most "
            f"{error.quantile_pct:.2f} %, on average by {error.bias_pct:+z.2f} %{rank}."
        )
        if error.median_pct > table.floor_pct:
            lines.append(
                "The sums err by more than the noise floor: what candidates are chosen by is less "
                "sure than the floor says, and what was measured whole counts."
            )
    clock = "CPU time of the thread" if settings.counts_cpu_time else "wall time"
    lines.append(
        f"Untrained networks in eval mode without gradients, {clock}; batch norm is not folded "
        f"into convolutions. Medians of {table.same[0].rounds} rounds or more in turns with the "
        f"plain network, {count(table.number, 'run')} each; half of the plain network's times lie "
        f"within {table.spread_pct:.1f} % of their median."
    )
    if table.launch_share is not None and table.launch_share > LAUNCH_BOUND:
        lines.append(
            f"The CPU starts kernels for {100 * table.launch_share:.0f} % of the time: at this "
            "batch a block costs what its kernels take to start, whatever its width. A larger "
            "--batch or --compile reduce-overhead shows what its arithmetic takes."
        )
    below = sum(each.is_below_zero for each in table.deltas)
    if below:
        lines.append(
            f"{count(below, 'kind')} of SE blocks measured below zero; sums count them as 0."
        )
    return lines


def latency_to_json(table: LatencyTable) -> dict[str, Any]:
    """Return the table as plain data, with what is read off it."""
    error = table.sum_error
    return {
        **table.to_json(),
        "images_per_second": table.images_per_second,
        "floor_pct": table.floor_pct,
        "spread_pct": table.spread_pct,
        "sum_error": None
        if error is None
        else {
            "median_pct": error.median_pct,
            "quantile_pct": error.quantile_pct,
            "bias_pct": error.bias_pct,
            "rank_correlation": error.rank_correlation,
            "count": error.count,
        },
        "sums": {
            "plain_ns": table.sums.plain,
            "floor_ns": table.sums.floor,
            "added_ns": dict(table.sums.added),
        },
        "digest": table.digest,
    }


def write_latency_csv(path: Path, table: LatencyTable) -> None:
    """Write a row for each kind of SE block.

    Raises:
        RunError: the file can't be written.
    """
    rows = []
    for each in table.deltas:
        timing = each.timing
        rows.append(
            [
                *(each.places, each.block, each.num_blocks),
                *(timing.added_pct * table.plain_ms / 100, timing.added_pct),
                *(timing.low, timing.high, *timing.quartiles, timing.rounds),
                *(each.added_pct * table.plain_ms / 100, each.added_pct),
                each.added_macs_pct * each.num_blocks,
                each.added_params_pct * each.num_blocks,
                timing.peak_bytes,
            ]
        )
    write_table(path, list(COLUMNS), rows)
