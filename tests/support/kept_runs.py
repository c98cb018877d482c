"""Run folders with made-up trials and the front that a report has kept: nothing is fitted."""

from dataclasses import replace

from support.made_up_fronts import SPACE, make_front
from support.records import make_record
from support.run_folders import begin_run, store_trials

from se_search.store.front_cache import read_posterior_front
from se_search.store.trials import read_records


def make_trial(placement, accuracy, seed=0, **known):
    """Return a trial of a candidate of ``SPACE``; its images are those of its replicate's seed."""
    candidate = SPACE.parse(placement)
    record = make_record("a", accuracy, seed=seed, **known)
    return replace(
        record,
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        split_hash=f"split of {seed}",
    )


def make_run(path, records=(), front=None, identity=(), **search):
    """Make a run's folder; return it.

    Args:
        path: of the folder.
        records: trials in any state; none: the run has no file of trials yet.
        front: what a report has found; None: there has been no report.
        identity: what else the configuration records.
        search: likewise, of how it is searched.
    """
    folder = begin_run(path, SPACE, **dict(identity))
    config = folder.read_config()
    config["search"] |= search
    folder.write_config(config)
    if records:
        store_trials(folder, records)
    if front is not None:
        found = read_records(folder.database)
        read_posterior_front(folder, found, SPACE, fit=lambda *_: front)
    return folder


__all__ = ["SPACE", "make_front", "make_run", "make_trial"]
