"""Reads trial records from a run's SQLite file without Optuna, which takes half a second to load.

The tables are Optuna's (``trials``, ``trial_user_attributes``, ``studies``, unchanged since its
version 3); a test holds this reader against Optuna's own.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

from se_search.errors import RunError
from se_search.record import TrialRecord

STUDY_NAME = "se-search"
RECORD_FIELDS = tuple(field.name for field in fields(TrialRecord))

_QUERY = """
SELECT trials.number, trials.state, attribute.key, attribute.value_json
FROM trials
JOIN studies ON studies.study_id = trials.study_id
JOIN trial_user_attributes AS attribute ON attribute.trial_id = trials.trial_id
WHERE studies.study_name = ?
ORDER BY trials.number
"""


def read_records(path: Path) -> list[TrialRecord]:
    """Read all trials that were assigned, by number; a search may be writing meanwhile.

    Raises:
        RunError: there is no such file, or it is no Optuna storage.
    """
    if not path.is_file():
        raise RunError(f"{path} is not there: no trials have been stored")
    try:
        rows = _read_rows(path)
    except sqlite3.Error as cause:
        raise RunError(f"{path} can't be read as a study: {cause}") from cause
    states: dict[int, str] = {}
    attributes: dict[int, dict[str, Any]] = {}
    for number, state, key, value in rows:
        states[number] = state
        attributes.setdefault(number, {})[key] = json.loads(value)
    return [
        make_record(number, state, attributes[number])
        for number, state in states.items()
        if "candidate" in attributes[number]
    ]


def make_record(number: int, state: str, attributes: Mapping[str, Any]) -> TrialRecord:
    """Make a record of a trial's state and user attributes."""
    known = {name: attributes.get(name) for name in RECORD_FIELDS}
    known |= {"number": number, "state": state, "promoted": bool(attributes.get("promoted"))}
    return TrialRecord(**known)  # type: ignore[arg-type]  # the writer's types


def _read_rows(path: Path) -> list[tuple[int, str, str, str]]:
    # Opened for writing, although it is not written to: a read-only connection would leave the
    # files of SQLite's log behind. Where that is not allowed, nobody else can be writing.
    uri = path.absolute().as_uri()
    mode = "mode=rw" if os.access(path, os.W_OK) else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{uri}?{mode}", uri=True, timeout=60)) as connection:
        return connection.execute(_QUERY, (STUDY_NAME,)).fetchall()
