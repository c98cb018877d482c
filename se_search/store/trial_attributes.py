"""What a trial of Optuna's carries of a run: one attribute, a JSON object.

An attribute is a row of a table, and reading rows is what opening a run takes: one a trial instead
of two dozen. Runs of format 5 have an attribute for each field of the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

ATTRIBUTE = "record"  # its fields are those of TrialRecord, and ``history``


def attributes_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return what is known of a trial, by the fields of TrialRecord and ``history``."""
    found: Mapping[str, Any] = trial.user_attrs.get(ATTRIBUTE, trial.user_attrs)
    return found


def is_assigned(trial: FrozenTrial) -> bool:
    """Tell whether a trial has been assigned a training."""
    return "candidate" in attributes_of(trial)
