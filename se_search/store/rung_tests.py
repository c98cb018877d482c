"""What the trainings of a run say of its cheap scores, and the scores that are in use by it."""

from __future__ import annotations

from collections.abc import Sequence

from se_search.analysis.rung_test import RungTest, judge_scores
from se_search.record import TrialRecord
from se_search.score import Score
from se_search.space.bound import BoundSpace
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.supernets import SupernetFiles, read_supernet_scores, read_supernets


def read_rung_tests(
    folder: RunFolder, records: Sequence[TrialRecord], space: BoundSpace
) -> list[RungTest]:
    """Return the tests of a run's rungs; none without scores.

    Trainings that scores have had a part in choosing test none.

    Raises:
        RunError: a file of the run can't be read.
    """
    files = SupernetFiles(folder.path)
    supernets = read_supernets(files)
    scores = read_supernet_scores(files, supernets)
    untouched = supernets.list_untouched(records)
    return judge_scores(scores, untouched, space, {"supernet": supernets.train_seconds})


def read_used_scores(folder: RunFolder, records: Sequence[TrialRecord]) -> tuple[Score, ...]:
    """Return the scores of the rungs that some trials say are worth having.

    Raises:
        RunError: a file of the run can't be read.
    """
    files = SupernetFiles(folder.path)
    supernets = read_supernets(files)
    if not supernets.probes or not supernets.scored:
        return ()
    scores = read_supernet_scores(files, supernets)
    tests = judge_scores(scores, supernets.list_untouched(records), read_space(folder))
    used = {test.name for test in tests if test.is_used}
    return tuple(score for score in scores if score.rung in used)
