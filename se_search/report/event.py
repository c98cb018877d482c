"""The report of a run as plain data, for programs: the structure that docs/commands.md promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from se_search.report.confirmation import confirmation_event
from se_search.report.effects import effect_rows
from se_search.report.front_table import list_front
from se_search.report.ladder import ladder_fields
from se_search.report.latency import latency_to_json
from se_search.report.run_report import (
    FRONT_FIELDS,
    Findings,
)
from se_search.report.rungs import RUNG_FIELDS, rung_row
from se_search.store.files import describe_unwritten
from se_search.store.run_folder import RunFolder
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

# The structure that docs/commands.md promises.
KEYS = (
    *("event", "run", "settings", "trials", "answer", "front", "credible_set", "decision"),
    *("settled", "recommended", "better_untrained", "replicates", "noise", "hypervolume"),
    *("plain_accuracy", "without_model", "unproven", "effects", "without_effects", "rungs"),
    *("confirmation", "latency", "ladder", "files", "unwritten"),
)

SEARCH_SETTINGS = ("space", "recipe", "evaluator", "sampler", "promotion", "trials")


def report_event(folder: RunFolder, findings: Findings) -> dict[str, Any]:
    """Return the findings of a run: settings, front, answer, effects, rungs, confirmation, files.

    The rows of ``front``, ``effects`` and ``rungs`` have the columns of ``pareto.csv``,
    ``effects.csv`` and ``rungs.csv``.
    """
    records = read_records(find_trials(folder))
    effects = findings.credible.effects
    return {
        "event": "report",
        "run": str(folder.path),
        "settings": _list_settings(folder.read_config()),
        "trials": dict(Counter(record.state for record in records)),
        "answer": findings.answer.to_json(),
        **front_fields(findings.credible),
        "effects": None if effects is None else effect_rows(effects),
        "without_effects": findings.credible.reason,
        "rungs": [dict(zip(RUNG_FIELDS, rung_row(each), strict=True)) for each in findings.rungs],
        "confirmation": (confirmation_event(folder, findings.rounds) if findings.rounds else None),
        "latency": None if findings.latency is None else latency_to_json(findings.latency),
        "ladder": None if findings.evidence is None else ladder_fields(findings.evidence),
        "files": [str(path) for path in findings.files],
        "unwritten": describe_unwritten(findings.unwritten),
    }


def front_fields(credible: PosteriorFront) -> dict[str, Any]:
    """Return the front as plain data, and what is known of it."""
    area, noise, better = credible.hypervolume, credible.noise, credible.better_untrained
    return {
        "front": [list_columns(candidate) for candidate in list_front(credible)],
        "credible_set": [candidate.summary.key for candidate in credible.credible_set],
        "decision": asdict(credible.decision),
        "settled": {**asdict(credible.settled), "is_settled": credible.settled.is_settled},
        "recommended": credible.recommended_key,
        "better_untrained": None if better is None else asdict(better),
        "replicates": credible.num_replicates,
        "noise": None if noise is None else asdict(noise),
        "hypervolume": None if area is None else asdict(area),
        "plain_accuracy": credible.plain_accuracy,
        "without_model": credible.reason,
        "unproven": credible.unproven,
    }


def list_columns(candidate: PosteriorCandidate) -> dict[str, Any]:
    """Return a candidate as a row of ``pareto.csv``."""
    row = candidate.flat()
    return {name: row[name] for name in FRONT_FIELDS}


def _list_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    identity, search = config["identity"], config["search"]
    return {
        "backbone": identity["backbone"]["name"],
        "data": identity["data"]["name"],
        **{name: identity.get(name) for name in ("objectives", "epochs", "seed", "precision")},
        **{name: search.get(name) for name in SEARCH_SETTINGS},
        "hash": config.get("hash"),
    }
