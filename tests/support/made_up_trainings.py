"""Trainings of an additive truth with noise, as arrays and as trials of a search."""

from dataclasses import replace

import numpy as np
from support.networks import bind
from support.records import make_record

from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

OBJECTIVES = ("accuracy", "params")
WIDTHS = (4, 8, 16)
SPACE = bind([64], [64], [64], width=[*WIDTHS])
LEVELS = ({}, *({"integration": "standard", "reduction": float(4 - i)} for i in range(3)))
FACTORS = Factors((LEVELS,) * 3)  # what SPACE says of its levels, as far as the levels differ


def make_trainings(seed, count, num_budgets=1, noise=0.004):
    """Return trainings of an additive truth with noise, the truth, and what they cost."""
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 0.004, (3, 4))
    codes = rng.integers(0, 4, (count, 3)).astype(np.int16)
    codes[-count // 5 :] = codes[: count // 5 + (count % 5 > 0)]
    budgets = rng.integers(0, num_budgets, count)
    budgets[0] = num_budgets - 1
    truth = 0.8 + effects[np.arange(3), codes].sum(axis=1)
    short = 0.05 * (num_budgets - 1 - budgets)
    accuracies = truth - short + rng.normal(0, noise, count)
    costs = 100.0 + codes @ [1.0, 4.0, 16.0]
    return Trainings(codes, budgets, accuracies), truth, costs[:, None]


def text_of(codes):
    carried = [f"/stage{s + 2}=standard:{WIDTHS[c - 1]}" for s, c in enumerate(codes) if c]
    return "net" + "".join(carried)


def record_of(number, accuracy, **options):
    """Return a trial of a candidate of ``SPACE``, given by its number; see ``make_record``."""
    text = str(SPACE.candidate_at(number))
    return replace(make_record(text, accuracy, **options), candidate=text)


def records_of(trainings, costs, epochs=(4,)):
    """Return the same trainings as trials of a search."""
    seeds = {}
    records = []
    for number, (codes, budget, accuracy, cost) in enumerate(
        zip(trainings.codes, trainings.budgets, trainings.accuracies, costs[:, 0], strict=True)
    ):
        text = text_of(codes)
        seeds[text, budget] = seeds.get((text, budget), -1) + 1
        state = "COMPLETE" if epochs[budget] == max(epochs) else "PRUNED"
        record = make_record(
            text,
            float(accuracy),
            params=int(cost),
            macs=1_000 + 7 * int(cost) % 50,
            state=state,
            seed=seeds[text, budget],
            epochs=epochs[budget],
        )
        records.append(replace(record, number=number, candidate=text))
    return records
