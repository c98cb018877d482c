"""Plans a round of confirmation, and closes it with the result of its trainings."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from se_search.analysis.confirmation import Chosen, judge_candidates
from se_search.commands.confirm_candidates import fresh_seeds
from se_search.commands.options import ConfirmOptions
from se_search.record import TrialRecord
from se_search.run_config import RunConfig
from se_search.store.confirmations import Round
from se_search.store.replicates import replicates_by_key
from se_search.store.run_folder import RunFolder
from se_search.store.training_log import Training, TrainingId, read_log


def plan_round(
    run: RunConfig,
    chosen: Sequence[Chosen],
    records: Sequence[TrialRecord],
    options: ConfirmOptions,
) -> Round:
    """Return the round that trains the chosen candidates with seeds that no trial has had."""
    return Round(
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
        asked_for=options.candidates,
        chosen=tuple(chosen),
        seeds=fresh_seeds(run.seed, {record.seed for record in records}, options.seeds),
        epochs=run.epochs,
        num_trials=len(records),
        num_images=(run.data["validation"], run.data["test"]),
        reads_test=False,
        command=("se-search", *sys.argv[1:]),
    )


def begin_round(rounds: Sequence[Round], planned: Round) -> list[Round]:
    """Add the planned round to the run's rounds, unless it only continues the last one."""
    is_continued = bool(rounds) and rounds[-1].subject == planned.subject
    return list(rounds) if is_continued else [*rounds, planned]


def close_round(
    last: Round,
    trainings: Mapping[TrainingId, Training],
    costs: Sequence[str],
    failures: Sequence[str],
    before: Collection[TrainingId],
) -> Round:
    """Judge a round by all of its trainings, whichever round made them.

    Args:
        last: the round.
        trainings: all fresh trainings of the run.
        costs: ``params`` and/or ``macs``: the costs of the front.
        failures: why trainings of this round failed.
        before: the trainings that the run had when the round began.
    """
    keys = {c.key for c in last.chosen}
    own = {
        id_: training
        for id_, training in trainings.items()
        if training.key in keys and training.epochs == last.epochs and training.seed in last.seeds
    }
    result = judge_candidates(
        last.chosen,
        replicates_by_key(own.values(), "accuracy", last.num_images[0]),
        replicates_by_key(own.values(), "test_accuracy", last.num_images[1]),
        costs,
    )
    return replace(
        last,
        reads_test=last.reads_test or any(id_ not in before for id_ in own),
        failures=tuple(failures),
        seconds=round(sum(training.seconds for training in own.values()), 1),
        result=result,
    )


def read_trainings(folder: RunFolder) -> dict[TrainingId, Training]:
    """Return all trainings with fresh seeds that a run has had; empty if there are none."""
    path = folder.confirmation_log
    contents = read_log(path) if path.is_file() else None
    return {training.id: training for training in contents.trainings} if contents else {}
