"""Whether the sampler still proposes what a finished run trained, trial by trial, to the bit.

    python benchmarks/replay_proposals.py runs/stages_ratio

For each trial of a run that was searched with ``pareto``, the sampler is shown the trials before it
with the results up to the run's lag, and its proposal is compared with the candidate that was
trained. Controls, promoted trials and those proposed again after a failure are not the sampler's
and are skipped; a search that had nothing to propose for a while waited for more results. A change
to the accuracy model that is meant to change nothing passes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from se_search.candidate import Candidate
from se_search.cost import count_cost, find_allowed
from se_search.search.lag import hide_results
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.registry import SAMPLERS, Setup
from se_search.space.everywhere import nearest_everywhere
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trial_attributes import attributes_of


@dataclass(frozen=True)
class Past:
    """The trials of a study as they stood at a moment; a sampler asks for no more of a study."""

    trials: Sequence[FrozenTrial]

    def get_trials(self, deepcopy: bool = True, **_: Any) -> Sequence[FrozenTrial]:
        """Return the trials, by number."""
        return self.trials


def replay(
    sampler: ParetoSampler[Candidate],
    trials: Sequence[FrozenTrial],
    see: Callable[[FrozenTrial], Sequence[FrozenTrial]],
) -> list[tuple[int, str, str]]:
    """Return for each trial that the sampler proposed its number, what was trained, the proposal.

    Args:
        sampler: as the run had it.
        trials: of the run, by number.
        see: returns the trials before one as the sampler saw them, by number.
    """
    rows = []
    for trial in trials:
        if attributes_of(trial)["role"] in ("control", "promotion") or trial.datetime_start is None:
            continue
        past: Any = Past(see(trial))
        proposal = str(sampler.propose(past, trial))
        rows.append((trial.number, attributes_of(trial)["candidate"], proposal))
    return rows


def make_sampler(folder: RunFolder) -> ParetoSampler[Candidate]:
    """Return the sampler of a run that was searched with ``pareto``."""
    identity = folder.read_config()["identity"]
    space = read_space(folder)
    allowed = find_allowed(space)
    everywhere = nearest_everywhere(space)
    setup = Setup(
        *(space, allowed, identity["seed"], count_cost),
        *(tuple(identity["objectives"]), identity["epochs"]),
        control=Candidate.plain(space.backbone),
        first=(everywhere,) if everywhere in allowed else (),
    )
    sampler = SAMPLERS["pareto"](setup)
    assert isinstance(sampler, ParetoSampler)
    return sampler


def main(arguments: Sequence[str] | None = None) -> None:
    """Replay a run; exit with 1 if a proposal differs."""
    parser = argparse.ArgumentParser(description="Compare proposals with what a run trained.")
    parser.add_argument("run", type=Path, help="folder of a run that was searched with pareto")
    folder = RunFolder.existing(parser.parse_args(arguments).run)
    study = optuna.load_study(study_name="se-search", storage=f"sqlite:///{folder.database}")
    trials = study.get_trials(deepcopy=False)
    lag = folder.read_config()["search"]["lag"]

    def see(trial: FrozenTrial) -> Sequence[FrozenTrial]:
        return hide_results(trials[: trial.number], trial.number + 1 - lag)

    rows = replay(make_sampler(folder), trials, see)
    different = [row for row in rows if row[1] != row[2]]
    for number, trained, proposed in different:
        print(f"trial {number}: trained {trained}, proposed {proposed}")
    print(f"{len(rows) - len(different)} of {len(rows)} proposals are equal")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
