"""Plans a round of confirmation, finds what its next look needs, and judges its trainings."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from se_search.analysis.confirmation import Chosen
from se_search.analysis.confirming import count_wanted, judge_candidates, state_claims
from se_search.analysis.sequential import LookPlan
from se_search.backbone import Backbone
from se_search.candidate import Candidate
from se_search.commands.confirm_candidates import fresh_seeds
from se_search.commands.options import ConfirmOptions
from se_search.record import Assignment, TrialRecord
from se_search.run_config import RunConfig
from se_search.shell import mask_passwords
from se_search.store.confirmations import Round
from se_search.store.round_trainings import Trainings, list_own, pack_round
from se_search.store.training_log import TrainingId


def plan_round(
    run: RunConfig,
    chosen: Sequence[Chosen],
    records: Sequence[TrialRecord],
    options: ConfirmOptions,
    rounds: Sequence[Round],
    tolerance: float,
) -> Round:
    """Return the round that trains the chosen candidates in replicates that no trial has had.

    Rounds under one plan share their replicates, so that a candidate of two of them is trained
    once. Another plan has replicates that no earlier one has looked at.

    Args:
        run: the run.
        chosen: the candidates, the plain network among them.
        records: the run's trials.
        options: what is asked for; without a number of replicates the last round's plan holds.
        rounds: the earlier confirmations, the oldest first.
        tolerance: a difference in accuracy that does not matter, a share.
    """
    plan = LookPlan.until(options.replicates)
    if options.replicates is None and rounds:
        plan = rounds[-1].stated.plan
    alike = [each for each in rounds if each.stated.plan == plan and each.epochs == run.epochs]
    if alike:
        seeds = alike[-1].seeds
    else:
        used = {record.seed for record in records} | {s for each in rounds for s in each.seeds}
        seeds = fresh_seeds(run.seed, used, plan.looks[-1])
    return Round(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        asked_for=options.candidates,
        chosen=tuple(chosen),
        stated=state_claims(chosen, run.objectives[1:], tolerance, plan),
        seeds=seeds,
        epochs=run.epochs,
        num_trials=len(records),
        num_images=(run.data["validation"], run.data["test"]),
        reads_test=False,
        command=("se-search", *map(mask_passwords, sys.argv[1:])),
    )


def begin_round(rounds: Sequence[Round], planned: Round) -> list[Round]:
    """Add the planned round to the run's rounds, unless it only continues the last one."""
    is_continued = bool(rounds) and rounds[-1].subject == planned.subject
    return list(rounds) if is_continued else [*rounds, planned]


def list_new(rounds: Sequence[Round]) -> list[str]:
    """Return the placements that the last round trains and the one before did not; none at first.

    Only what was asked for in the same words counts: other words ask for other candidates.
    """
    if len(rounds) < 2 or rounds[-1].asked_for != rounds[-2].asked_for:
        return []
    before = {candidate.key for candidate in rounds[-2].chosen}
    return [c.placement for c in rounds[-1].chosen if c.key not in before]


def list_next_look(
    last: Round, backbone: Backbone, trainings: Trainings
) -> list[Assignment[Candidate]]:
    """Return the trainings that a round's next look needs, finished ones too, by replicates."""
    wanted = count_wanted(last.stated, pack_round(last, trainings, "test_accuracy"))
    candidates = {c.key: Candidate.parse(c.candidate, backbone) for c in last.chosen}
    return [
        Assignment(candidates[key], seed, last.epochs)
        for number, seed in enumerate(last.seeds)
        for key in candidates
        if number < wanted.get(key, 0)
    ]


def close_round(
    last: Round,
    trainings: Trainings,
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
    own = list_own(last, trainings)
    result = judge_candidates(
        last.chosen,
        pack_round(last, trainings, "accuracy"),
        pack_round(last, trainings, "test_accuracy"),
        costs,
        last.stated,
    )
    return replace(
        last,
        reads_test=last.reads_test or any(training.id not in before for training in own),
        failures=tuple(failures),
        seconds=round(sum(training.seconds for training in own), 1),
        result=result,
    )
