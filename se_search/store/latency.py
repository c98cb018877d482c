"""Keeps a run's latencies in its folder: they are measured once, before its first trial."""

from __future__ import annotations

import json

from se_search.errors import LatencyError, RunError
from se_search.latency.table import LatencyTable
from se_search.store.files import read_json, write_text
from se_search.store.run_folder import RunFolder


def read_latency(folder: RunFolder) -> LatencyTable | None:
    """Return what a run has measured; None: nothing.

    Raises:
        RunError: the file is broken, or latency is an objective and there is no file.
    """
    path = folder.latency_json
    if path.is_file():
        try:
            return LatencyTable.from_json(read_json(path))
        except LatencyError as cause:
            raise RunError(f"{path}: {cause}") from cause
    objectives = (folder.read_config().get("identity") or {}).get("objectives") or ()
    if "latency" in objectives:
        raise RunError(f"{path} is not there: it has the latencies that the run's trials are by")
    return None


def write_latency(folder: RunFolder, table: LatencyTable) -> None:
    """Write what a run has measured.

    Raises:
        RunError: the file can't be written.
    """
    write_text(folder.latency_json, json.dumps(table.to_json(), indent=1))
