"""Supernets that nobody trains: an executor hands back made-up scores."""

import numpy as np

from se_search.record import Evaluation
from se_search.score import Score
from se_search.training.supernet_evaluation import SupernetEvaluation


def made_up_score(member, candidate, truth, slope=0.4, noise=0.0005):
    """Return what a supernet says of a candidate: a function of both alone."""
    stream = np.random.default_rng([member, int(candidate.key, 16)])
    value = slope * truth(candidate) + stream.normal(0, noise)
    return Score("supernet", member, str(candidate), candidate.key, value, 0.5, value, 0.25)


class MadeUpSupernets:
    """Takes the place of the task that trains supernets.

    Args:
        truth: from a candidate to its true accuracy.
        failing: from an assignment to an error that its supernet raises; None: it ends well.

    Attributes:
        made: the seeds in the order in which they were made, with how many candidates each scored.
    """

    def __init__(self, truth, failing=lambda assignment: None):
        self._truth = truth
        self._failing = failing
        self.made = []

    def evaluate(self, assignment, scored):
        error = self._failing(assignment)
        if error is not None:
            raise error
        self.made.append((assignment.seed, len(scored)))
        scores = tuple(made_up_score(assignment.seed, one, self._truth) for one in scored)
        known = Evaluation(0.7, 0.5, ({"epoch": 1, "train_loss": 0.5},), b"", 5.0)
        values = {name: getattr(known, name) for name in Evaluation.__slots__}
        return SupernetEvaluation(**values, scores=scores, train_seconds=4.0)
