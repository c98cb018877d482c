"""The real search loop on made-up accuracies: no training, no torch."""

import numpy as np
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.execution.serial import SerialExecutor
from se_search.record import Evaluation
from se_search.run_config import DIRECTIONS
from se_search.search.candidate_set import WholeSpace
from se_search.search.loop import Budget, run_search
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation, count_replicates
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace
from se_search.store.memory import MemoryStore
from se_search.store.trials import TrialStore

OBJECTIVES = ("accuracy", "params")
STAGES = {"choices": {"reduction": [4, 8]}}


def make_space(fields=STAGES, *stages):
    return BoundSpace(
        SearchSpace.model_validate(fields), make_backbone(*(stages or ([32], [64], [64])))
    )


class Only(WholeSpace):
    """The candidates of a space that a predicate allows; few, unless there is no predicate."""

    def __init__(self, space, is_allowed=None):
        super().__init__(space)
        self.is_allowed = is_allowed or (lambda candidate: True)
        self.few = None if is_allowed is None else self.list_codes(space.size)

    def __contains__(self, candidate):
        return candidate in self.space and self.is_allowed(candidate)

    def __iter__(self):
        return filter(self.is_allowed, self.space)

    def list_codes(self, at_most):
        codes = self.space.codes()
        return codes[self.keep(codes)]

    def keep(self, codes):
        return np.array([self.is_allowed(self.space.with_codes(row)) for row in codes], bool)


def made_up_accuracy(assignment):
    """Return an accuracy that depends on candidate and seed alone, all different."""
    return int(assignment.candidate.key, 16) % 9973 / 10_000 + assignment.seed * 1e-6


def evaluation(accuracy, loss=0.5):
    history = ({"epoch": 1, "accuracy": accuracy},)
    return Evaluation(
        accuracy, loss, history, b"\x80", 1.0, split_seed=7, split_hash="0123456789ab"
    )


def evaluate(assignment):
    return evaluation(made_up_accuracy(assignment))


def open_store(path, objectives=OBJECTIVES):
    """Open the store at ``path``; without a path, one in memory, which is ten times faster."""
    if path is None:
        return MemoryStore(objectives)
    return TrialStore(path, objectives, [DIRECTIONS[name] for name in objectives])


def search(
    path,
    num_trials,
    *,
    space=None,
    sampler="random",
    evaluate=evaluate,
    workers=1,
    lag=None,
    seed=0,
    objectives=OBJECTIVES,
    is_allowed=None,
    repeat_candidates=True,
    replicates=None,
    control=True,
    first=(),
    max_failures=5,
    rungs=(),
    **options,
):
    """Run the loop on the study at ``path``, or in a store; return its records and how it ended.

    The sampler is a name, or a function that makes one from a ``Setup``. The plain network is the
    control, unless ``control`` is false. The lag is the number of workers, if none is given: the
    executor ends trainings in the order in which they begin.
    """
    space = space or make_space()
    store = path if isinstance(path, MemoryStore) else open_store(path, objectives)
    plain = Candidate.plain(space.backbone) if control else None
    try:
        ending = run_search(
            space=space,
            store=store,
            sampler=SAMPLERS.get(sampler, sampler)(
                Setup(
                    *(space, Only(space, is_allowed), seed, count_cost, objectives, 4),
                    repeat_candidates=repeat_candidates,
                    control=plain,
                    first=first,
                )
            ),
            executor=options.pop("executor", None) or SerialExecutor(evaluate, workers),
            count_cost=count_cost,
            objectives=objectives,
            budget=Budget(num_trials, epochs=4, max_failures=max_failures, rungs=rungs),
            rotation=Rotation(replicates or count_replicates(num_trials), seed, plain),
            lag=lag or workers,
            **options,
        )
        return store.records, ending
    finally:
        store.close()
