"""What a report is made of: a run's trials, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from se_search.analysis.rungs import RungFinding, judge_rungs
from se_search.latency.table import LatencyTable
from se_search.record import TrialRecord
from se_search.report.answer import Answer, make_answer
from se_search.report.run_facts import RunFacts, read_facts
from se_search.report.rungs import list_rungs
from se_search.store.confirmations import Round, read_fresh, read_rounds
from se_search.store.exports import ExportNote, read_exports
from se_search.store.front_cache import read_history, read_posterior_front
from se_search.store.gates_file import GatesFiles, GatesFound, read_gates
from se_search.store.kept_weights import KeptWeights, WeightsName
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.run_trials import find_trials
from se_search.store.training_log import LogContents
from se_search.store.trials import read_records
from se_search.surrogate.history import History
from se_search.surrogate.posterior_front import PosteriorFront


@dataclass(frozen=True, slots=True)
class Source:
    """What a report is made of.

    Attributes:
        config: the run's ``config.yaml``.
        records: all trials of the run.
        facts: what an answer says of the run besides its front.
        front: what the trials say of each candidate.
        answer: what follows.
        rounds: the confirmations, the oldest first.
        fresh: their trainings; None: there are none.
        rungs: a finding for each rung below the full training.
        history: how the run came to what it knows; None: it can't be told.
        weights: the files of trained weights that are kept, each with its size in bytes.
        exports: where candidates were exported to.
        gates: what has been seen of a candidate's gates; None: none have been looked at.
        latency: what SE takes in time; None: the run has measured none.
    """

    config: Mapping[str, Any]
    records: Sequence[TrialRecord]
    facts: RunFacts
    front: PosteriorFront
    answer: Answer
    rounds: Sequence[Round] = ()
    fresh: LogContents | None = None
    rungs: Sequence[RungFinding] = ()
    history: History | None = None
    weights: Mapping[WeightsName, int] = field(default_factory=dict)
    exports: Sequence[ExportNote] = ()
    gates: GatesFound | None = None
    latency: LatencyTable | None = None


def read_source(
    folder: RunFolder, records: Sequence[TrialRecord] | None = None, *, keeps: bool = True
) -> Source:
    """Return what a run's report is made of, from its trials so far.

    Args:
        folder: the run's.
        records: all trials of the run; None: they are read.
        keeps: whether what takes long to compute is written into the folder.

    Raises:
        RunError: the folder holds no trials, or a file can't be read.
    """
    config, space = folder.read_config(), read_space(folder)
    records = read_records(find_trials(folder)) if records is None else records
    front = read_posterior_front(folder, records, space, keeps=keeps)
    rounds = read_rounds(folder)
    fresh = read_fresh(folder)
    facts = read_facts(folder.path, config, records, space, fresh)
    return Source(
        config=config,
        records=records,
        facts=facts,
        front=front,
        answer=make_answer(front, facts, rounds[-1] if rounds else None),
        rounds=rounds,
        fresh=fresh,
        rungs=judge_rungs(records, list_rungs(config, records), space),
        history=read_history(folder, records, space, front, keeps=keeps),
        weights=KeptWeights(folder.path).list_names(),
        exports=read_exports(folder),
        gates=read_gates(GatesFiles(folder.path)),
        latency=facts.latency,
    )
