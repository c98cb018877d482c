"""Lays out the costs of candidates: a table for people, plain objects for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.report.table import Column, ResultTable
from se_search.space.bound import BoundSpace
from se_search.store.files import write_table


def cost_rows(candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Return one plain object for each candidate, in which every number is exact."""
    rows = []
    for candidate in candidates:
        cost = count_cost(candidate)
        rows.append(
            {
                "candidate": str(candidate),
                "key": candidate.key,
                "placement": candidate.placement,
                "params": cost.params,
                "added_params": cost.added_params,
                "added_params_pct": cost.added_params_pct,
                "macs": cost.macs,
                "added_macs": cost.added_macs,
                "added_macs_pct": cost.added_macs_pct,
                "by_stage": {name: asdict(stage) for name, stage in cost.by_stage.items()},
                "by_operator": dict(cost.by_operator),
                "uncounted": list(cost.uncounted),
            }
        )
    return rows


def write_cost_csv(path: Path, bound: BoundSpace, codes: NDArray[np.int16]) -> None:
    """Write a row for each of some candidates; a hundred thousand candidates take seconds.

    Args:
        path: the CSV file.
        bound: the space on its backbone. Costs are added up slot by slot, not counted anew for
            each candidate.
        codes: ``(n, num_slots)``: the candidates.

    Raises:
        RunError: the file can't be written.
    """
    stages = [f"stage{stage}" for stage in bound.backbone.stages]
    plain = count_cost(Candidate.plain(bound.backbone))

    def price(candidate: Candidate) -> list[int]:
        cost = count_cost(candidate)
        added = [cost.by_stage[stage].added_params for stage in stages]
        return [cost.added_params, cost.added_macs, *added]

    columns = ["candidate", "params", "added_params", "added_params_pct", "macs", "added_macs"]
    columns += [f"added_params_{stage}" for stage in stages]
    rows = []
    prices = bound.price_codes(codes, price)
    for own, row in zip(codes, prices.tolist(), strict=True):
        candidate = bound.with_codes(own)
        added_params, added_macs, *by_stage = row
        percent = f"{100 * added_params / plain.params:.4f}"
        costs = [plain.params + added_params, added_params, percent]
        costs += [plain.macs + added_macs, added_macs]
        rows.append([str(candidate), *costs, *by_stage])
    write_table(path, columns, rows)


def cost_table(backbone: Backbone, candidates: Sequence[Candidate]) -> ResultTable:
    """Lay out total and added costs, and the parameters that SE adds in each stage."""
    uncounted = ", ".join(backbone.uncounted) or "none"
    table = ResultTable(
        [
            Column("SE placement (stage:squeeze width)", is_number=False),
            Column("params"),
            Column("added", rank=1),
            Column("added %", rank=2),
            Column("MACs", rank=1),
            Column("added MACs", rank=3),
            Column("MACs %", rank=4),
            *(Column(f"+ stage {stage}", rank=5) for stage in backbone.stages),
        ],
        title=f"{backbone.name}, {backbone.in_channels} x {backbone.image_size} x "
        f"{backbone.image_size} pixels, {backbone.num_classes} classes",
        caption="MACs as fvcore counts them (1 a multiply-add, 2 an element of batch norm), and 1 "
        f"an element for the SE blocks' pooling, gates and scaling. Not counted: {uncounted}.",
    )
    for candidate in candidates:
        cost = count_cost(candidate)
        table.add_row(
            candidate.placement,
            f"{cost.params:,}",
            f"{cost.added_params:+,}" if cost.added_params else "0",
            f"{cost.added_params_pct:.3f}",
            f"{cost.macs:,}",
            f"{cost.added_macs:+,}" if cost.added_macs else "0",
            f"{cost.added_macs_pct:.3f}",
            *(f"{cost.by_stage[f'stage{stage}'].added_params:,}" for stage in backbone.stages),
        )
    return table
