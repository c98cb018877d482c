"""How far a run is: whether somebody works on it, it waits, or it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from se_search.record import ENDED_WELL
from se_search.store.holder import Holder
from se_search.store.trial_times import TrialTimes

State = Literal["running", "waiting", "finished", "settled", "failed", "broken"]


def judge_state(
    search: Mapping[str, Any],
    trials: Sequence[TrialTimes],
    holder: Holder | None,
    *,
    is_settled: bool,
) -> State:
    """Return how far a run is.

    ``running``: a process works on it; ``settled``: it has ended, and its front is settled;
    ``finished``: it has ended; ``failed``: all its trials have, or as many in a row as stop a
    search; ``waiting``: it was stopped, and the command that began it goes on.

    Args:
        search: that part of the run's ``config.yaml``.
        trials: of the run, by number.
        holder: the process that works on it; None: nobody does.
        is_settled: whether the front of all its trials is settled.
    """
    if holder is not None:
        return "running"
    ended = [trial.state for trial in trials if trial.state not in ("RUNNING", "WAITING")]
    has_failed = bool(ended) and not any(state in ENDED_WELL for state in ended)
    row = search.get("max_failures") or len(ended)
    if has_failed or (len(ended) >= row > 0 and all(state == "FAIL" for state in ended[-row:])):
        return "failed"
    if search.get("ending") is None:
        return "waiting"
    return "settled" if is_settled or search["ending"] == "settled" else "finished"


def describe_state(state: State, holder: Holder | None) -> str:
    """Say how far a run is, and who works on it: ``running (process 4711 on here)``."""
    if holder is None:
        return state
    return f"running ({holder})" if holder.is_sure else f"perhaps running ({holder})"
