"""What a study states before its first training, and keeps: its looks, claims and candidates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from se_search.analysis.sequential import LookPlan
from se_search.errors import RunError, explain
from se_search.reproduction.options import ReproduceOptions
from se_search.reproduction.plan import Plan
from se_search.store.files import read_yaml, write_yaml


@dataclass(frozen=True, slots=True)
class Statement:
    """What was stated.

    Attributes:
        stated: date and time (ISO 8601).
        looks: at how many replicates the claims are looked at.
        claims: their texts.
        candidates: text forms by name.
        log: name of the file of the trainings.
        num_before: how many trainings of these candidates were there when this was stated.
    """

    stated: str
    looks: LookPlan
    claims: tuple[str, ...]
    candidates: dict[str, str]
    log: str
    num_before: int

    @property
    def subject(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """What may not change while trainings are looked at, besides the looks."""
        return self.claims, self.candidates


def make_statement(plan: Plan, num_before: int) -> Statement:
    """State a plan now, when a number of trainings of its candidates are there already."""
    return Statement(
        stated=datetime.now(UTC).isoformat(timespec="seconds"),
        looks=plan.looks,
        claims=tuple(map(str, plan.claims)),
        candidates={name: str(candidate) for name, candidate in plan.candidates.items()},
        log=plan.log.name,
        num_before=num_before,
    )


def statement_file(plan: Plan, store: Path) -> Path:
    """Return where a study's statement lies."""
    return store / plan.name / plan.scale_name / "plan.yaml"


def read_statement(plan: Plan, store: Path) -> Statement | None:
    """Return what was stated about the trainings of a plan's log; None: nothing was.

    Raises:
        RunError: the file can't be read.
    """
    file = statement_file(plan, store)
    if not file.exists():
        return None
    row = read_yaml(file)
    try:
        found = Statement(
            **row | {"looks": LookPlan.from_json(row["looks"]), "claims": tuple(row["claims"])}
        )
    except (KeyError, TypeError) as cause:
        raise RunError(f"{file} can't be read as the plan of a study: {explain(cause)}") from cause
    return found if found.log == plan.log.name else None


def write_statement(plan: Plan, store: Path, statement: Statement) -> None:
    """Keep a statement.

    Raises:
        UnwritableError: the file can't be written.
    """
    row: dict[str, Any] = {
        "stated": statement.stated,
        "looks": statement.looks.to_json(),
        "claims": list(statement.claims),
        "candidates": statement.candidates,
        "log": statement.log,
        "num_before": statement.num_before,
    }
    write_yaml(statement_file(plan, store), row)


def keep_to_statement(plan: Plan, options: ReproduceOptions, note: Callable[[str], None]) -> Plan:
    """Return the plan with the looks that were stated for its trainings, if any were.

    Args:
        plan: as the study's file and the options have it now.
        options: of the command.
        note: told where the looks that were stated are not those of the study's file.

    Raises:
        RunError: the study's claims or candidates are others now, or other looks are asked for.
    """
    found = read_statement(plan, options.store)
    if found is None:
        return plan
    file = statement_file(plan, options.store)
    way_out = f"Another --store takes trainings for a new plan; {file} holds the old one"
    if found.subject != make_statement(plan, 0).subject:
        raise RunError(
            f"{plan.name}: claims or candidates are others than those that were stated on "
            f"{found.stated}, before the trainings were looked at. {way_out}"
        )
    if plan.looks == found.looks:
        return plan
    if options.replicates is not None:
        raise RunError(
            f"{plan.name}: replicates {options.replicates} is not the plan that was stated on "
            f"{found.stated}, {found.looks}: a plan that changes after a look proves nothing. "
            f"{way_out}"
        )
    note(
        f"{plan.name}: {found.looks}, as stated on {found.stated}; the {plan.looks.looks[-1]} "
        f"replicates of its study.yaml are for a new plan. {way_out}"
    )
    return replace(plan, looks=found.looks)
