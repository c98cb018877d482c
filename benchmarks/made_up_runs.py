"""Runs of any size whose truth is known: made-up accuracies, stored as a search stores them.

The space is the largest that is shipped, ``full`` (371,800 candidates of the default network). An
accuracy is the candidate's own, plus what its replicate does to all, plus how the replicate likes
each level of each slot, plus noise, all with the standard deviations that were measured. A quarter
of what candidates differ by are interactions of pairs of slots.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, create_trial

from benchmarks.calibration.worlds import AS_MEASURED
from se_search.candidate import Candidate
from se_search.cost import count_cost, find_allowed
from se_search.models.catalogue import describe_backbone
from se_search.recipe import read_recipe
from se_search.record import Assignment, Effort, Evaluation, RanOn
from se_search.run_config import RunConfig
from se_search.search.registry import Setup
from se_search.search.rotation import MOST_REPLICATES
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import write_backbone
from se_search.store.trial_attributes import ATTRIBUTE
from se_search.store.trials import TrialStore, describe_evaluation
from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

Codes = NDArray[np.int16]
Array = NDArray[np.float64]

OBJECTIVES = ("accuracy", "params")
EPOCHS = 3
PLAIN_ACCURACY = 0.82
PAIRS = 0.25  # share of interactions in the variance of candidates
NEAR_SHARE, REPEAT_SHARE = 0.35, 0.15  # of trials: neighbours of good candidates, repeats of them
HARDWARE = {"accelerator": "gpu", "name": "made up", "devices": 8, "cores": 64, "system": "Linux"}
RAN_ON = RanOn("a made-up GPU", "580", "13.0", "9.1", "32-true", "2.14.1", 2**30)


class MadeUpNetworks:
    """Candidates of the space ``full`` whose accuracies are known.

    Args:
        seed: of all draws.
        pairs: share of interactions in the variance of candidates.
    """

    def __init__(self, seed: int = 0, pairs: float = PAIRS) -> None:
        self.seed = seed
        self.space = BoundSpace(
            read_space("full"), describe_backbone("resnet20_bottleneck", 1, 28, 10)
        )
        self.allowed = find_allowed(self.space)
        self.control = Candidate.plain(self.space.backbone)
        self.factors = Factors(self.space.describe_levels()).with_empty_levels()
        rng = np.random.default_rng(derive_seed(seed, "networks"))
        sizes = [len(levels) for levels in self.space.levels]
        slots = range(len(sizes))
        self._main = [rng.normal(size=size) for size in sizes]
        self._pairs = {
            (one, other): rng.normal(size=(sizes[one], sizes[other]))
            for one in slots
            for other in range(one)
        }
        self._liked = [[rng.normal(size=size) for size in sizes] for _ in range(MOST_REPLICATES)]
        self._levels = rng.normal(0, AS_MEASURED.level, MOST_REPLICATES)
        reference = self.allowed.draw_codes(4_000, np.random.default_rng(0))
        spread = AS_MEASURED.networks
        own = _sum_slots(self._main, reference).std()
        paired = self._sum_pairs(reference).std()
        self._scales = spread * np.sqrt(1 - pairs) / own, spread * np.sqrt(pairs) / paired
        liked = np.std([_sum_slots(own, reference) for own in self._liked])
        self._liking_scale = AS_MEASURED.interaction / liked

    @cached_property
    def plain(self) -> Codes:
        """``(num_slots,)``: codes of the network without SE."""
        plain = self.factors.plain
        assert plain is not None  # each slot has an empty level
        return plain

    def gains(self, codes: Codes) -> Array:
        """Return true gains over the plain network, ``(n,)`` shares."""
        return self._values(codes) - self._values(self.plain[None])

    def train(self, codes: Codes, replicates: NDArray[np.int64], first: int = 0) -> Array:
        """Return accuracies of trainings, ``(n,)`` shares.

        Args:
            codes: ``(n, num_slots)``.
            replicates: ``(n,)``, from 0.
            first: number of the first training, of which its noise is a function.
        """
        found = PLAIN_ACCURACY + self.gains(codes)
        for replicate in np.unique(replicates):
            own = replicates == replicate
            at = int(replicate) % MOST_REPLICATES
            liked = self._liking_scale * _sum_slots(self._liked[at], codes[own])
            found[own] += (self._levels[at] + liked) / 100
        seeds = [derive_seed(self.seed, "noise", first + n) for n in range(len(codes))]
        noise = [np.random.default_rng(seed).normal(0, AS_MEASURED.training) for seed in seeds]
        return np.asarray(found + np.array(noise) / 100)

    def draw_trainings(self, count: int) -> Trainings:
        """Return trainings as a search makes them: controls, then random and good candidates."""
        rng = np.random.default_rng(derive_seed(self.seed, "trainings", count))
        codes = self.allowed.draw_codes(count, rng)
        seen = self.allowed.draw_codes(20_000, rng)
        looks = self.gains(seen) + rng.normal(0, AS_MEASURED.networks / 100, len(seen))
        good = seen[np.argsort(-looks)[: max(5, count // 40)]]
        kind = rng.random(count)
        is_repeat = kind < REPEAT_SHARE
        codes[is_repeat] = good[rng.integers(len(good), size=is_repeat.sum())]
        near = np.flatnonzero((kind >= REPEAT_SHARE) & (kind < REPEAT_SHARE + NEAR_SHARE))
        moved = good[rng.integers(len(good), size=len(near))].copy()
        slot = rng.integers(codes.shape[1], size=len(near))
        moved[np.arange(len(near)), slot] = codes[near, slot]
        codes[near] = np.where(self.allowed.keep(moved)[:, None], moved, codes[near])
        codes[:MOST_REPLICATES] = self.plain
        replicates = np.arange(count) % MOST_REPLICATES
        budgets = np.zeros(count, np.int64)
        return Trainings(codes, budgets, replicates, self.train(codes, replicates))

    def evaluate(self, assignment: Assignment[Candidate], number: int) -> Evaluation:
        """Return the made-up result of a trial."""
        candidate = assignment.candidate
        codes = self.plain if candidate == self.control else self.space.codes_of(candidate)
        seed = np.array([assignment.seed])
        return evaluation_of(float(self.train(codes[None], seed, number)[0]), assignment.seed)

    def make_setup(self) -> Setup[Candidate]:
        """Return what a sampler of the space is made of."""
        return Setup(
            *(self.space, self.allowed, 0, count_cost, OBJECTIVES, EPOCHS), control=self.control
        )

    def _values(self, codes: Codes) -> Array:
        of_levels, of_pairs = self._scales
        values = of_levels * _sum_slots(self._main, codes) + of_pairs * self._sum_pairs(codes)
        return np.asarray(values / 100)

    def _sum_pairs(self, codes: Codes) -> Array:
        found = [own[codes[:, one], codes[:, other]] for (one, other), own in self._pairs.items()]
        return np.asarray(sum(found, np.zeros(len(codes))))


def evaluation_of(accuracy: float, seed: int) -> Evaluation:
    """Return the evaluation of a training of an accuracy, with as many rows as a real one."""
    rows = [
        {"epoch": epoch, "train_loss": 0.5, "accuracy": accuracy, "loss": 0.5, "top5": 0.99}
        for epoch in range(1, EPOCHS + 1)
    ]
    digest = f"{derive_seed(seed, 'split'):012x}"[:12]
    effort = Effort(1, 900.0, 900.0)
    return Evaluation(accuracy, 0.5, tuple(rows), b"", 900.0, None, seed, digest, RAN_ON, effort)


def write_run(path: Path, networks: MadeUpNetworks, count: int) -> RunFolder:
    """Write a run with finished trials through the store of a search; return its folder."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    run = RunConfig(
        networks.space.space,
        networks.space.backbone,
        read_recipe("quick"),
        json.loads(DATA),
        *(OBJECTIVES, EPOCHS, 0, "32-true"),
    )
    search = {"space": "full", "sampler": "pareto", "promotion": "off", "workers": 8, "lag": 24}
    search |= {"data": "fashion_mnist", "recipe": "quick", "threads": 1, "max_failures": 5}
    search |= {"trials": count, "recipe_hash": run.recipe.hash, "arguments": ["--space", "full"]}
    folder.write_config(
        {
            "identity": run.identity,
            "hash": run.hash,
            "search": search,
            "versions": {"python": "3.11"},
            "hardware": HARDWARE,
            "command": ["se-search", "run"],
            "working_directory": str(path),
        }
    )
    write_backbone(folder, run.backbone)
    with TrialStore(folder.database, OBJECTIVES, run.directions) as store:
        store.optuna_study.add_trials(list_trials(networks, count))
    return folder


def list_trials(networks: MadeUpNetworks, count: int) -> Iterator[FrozenTrial]:
    """Yield finished trials with all that a search stores of each."""
    trainings = networks.draw_trainings(count)
    distributions = {
        parameter.name: CategoricalDistribution(parameter.choices)
        for parameter in networks.space.parameters
    }
    for codes, seed, accuracy in zip(
        trainings.codes, trainings.replicates, trainings.accuracies, strict=True
    ):
        is_plain = np.array_equal(codes, networks.plain)
        candidate = networks.control if is_plain else networks.space.with_codes(codes)
        params = networks.space.encode(candidate) if candidate in networks.space else {}
        cost = count_cost(candidate)
        known = {
            "key": candidate.key,
            "placement": candidate.placement,
            "seed": int(seed),
            "epochs": EPOCHS,
            "params": cost.params,
            "added_params": cost.added_params,
            "added_params_pct": round(cost.added_params_pct, 4),
            "macs": cost.macs,
            "added_macs": cost.added_macs,
            "role": "control" if is_plain else "proposal",
            "candidate": str(candidate),
            **describe_evaluation(evaluation_of(float(accuracy), int(seed))),
        }
        yield create_trial(
            values=[known[name] for name in OBJECTIVES],
            params=params,
            distributions={name: distributions[name] for name in params},
            user_attrs={ATTRIBUTE: known},
        )


def _sum_slots(terms: list[Array], codes: Codes) -> Array:
    found = [own[codes[:, slot]] for slot, own in enumerate(terms)]
    return np.asarray(sum(found, np.zeros(len(codes))))


DATA = """{"name": "fashion_mnist", "num_classes": 10, "channels": 1, "image_size": 28,
"train": 6000, "validation": 10000, "test": 10000, "validation_part": "train",
"pool_share": 0.27, "chance": 0.1, "fingerprint": "0f1e2d3c4b5a6978"}"""
