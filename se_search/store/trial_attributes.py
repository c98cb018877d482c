"""What a trial of Optuna's carries of a run: one attribute, a JSON object.

An attribute is a row of a table, and reading rows is what opening a run takes: one a trial instead
of two dozen. Runs of format 5 have an attribute for each field of the object.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from se_search.store.places import TrialsPlace

# Optuna's own reading of 10,000 trials takes six seconds, most of it for samplers' parameters.
_KNOWN = """
    SELECT trials.number, trials.state, attribute.key, attribute.value_json FROM trials
    LEFT JOIN trial_user_attributes AS attribute ON attribute.trial_id = trials.trial_id
    WHERE trials.study_id = (SELECT study_id FROM studies WHERE study_name = :study)
    ORDER BY trials.number
"""
Known = tuple[int, TrialState, dict[str, Any]]
"""A trial's number, its state, and what its attribute holds."""

ATTRIBUTE = "record"  # its fields are those of TrialRecord, and ``history``


def attributes_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """Return what is known of a trial, by the fields of TrialRecord and ``history``."""
    found: Mapping[str, Any] = trial.user_attrs.get(ATTRIBUTE, trial.user_attrs)
    return found


def is_assigned(trial: FrozenTrial) -> bool:
    """Tell whether a trial has been assigned a training."""
    return "candidate" in attributes_of(trial)


def read_known(place: TrialsPlace, busy_seconds: float) -> list[Known]:
    """Return what is known of all trials, by number; none if the Optuna study is not there.

    Args:
        place: where the trials are.
        busy_seconds: how long to wait while another process keeps a file locked.
    """
    states: dict[int, TrialState] = {}
    held: dict[int, dict[str, Any]] = {}
    for number, state, key, text in place.fetch(_KNOWN, busy_seconds):
        states[number] = TrialState[state]
        own = held.setdefault(number, {})
        if key is not None:
            own[key] = json.loads(text)
    return [(number, states[number], own.get(ATTRIBUTE, own)) for number, own in held.items()]
