"""Trainings of an additive truth in some replicates, as arrays and as trials of a search."""

from dataclasses import replace

import numpy as np
from support.networks import bind
from support.records import make_record

from se_search.cost import count_cost
from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

OBJECTIVES = ("accuracy", "params")
WIDTHS = (4, 8, 16)
CHANNELS = (16, 64, 256)
SPACE = bind(*[[channels] for channels in CHANNELS], width=[*WIDTHS])
# What SPACE says of its levels, as far as the levels differ.
FACTORS = Factors(
    tuple(
        ({}, *({"integration": "standard", "reduction": np.log2(c / w)} for w in WIDTHS))
        for c in CHANNELS
    )
)
PLAIN_ACCURACY = 0.8


def make_trainings(
    seed, count, num_budgets=1, noise=0.004, *, num_replicates=4, level=0.003, interaction=0.001
):
    """Return trainings in rotating replicates, their candidates' true accuracies, and costs.

    The first training of each replicate is the plain network's; the last fifth are of candidates
    that have been trained before. No candidate is trained twice in one replicate, unless there are
    more trainings than that allows.

    Args:
        seed: of the effects of levels, and of all draws.
        count: number of trainings.
        num_budgets: the last one is the full one; controls are full trainings.
        noise: standard deviation of a training about all else.
        num_replicates: in which they are.
        level: standard deviation of what a replicate does to all of its trainings.
        interaction: standard deviation of what a replicate does to one level of a slot.
    """
    rng = np.random.default_rng(seed)
    effects = rng.normal(0, 0.004, (3, 4))
    effects[:, 0] = 0.0
    num_repeats = count // 5
    num_new = count - num_repeats - num_replicates
    numbers = 1 + rng.choice(63, num_new, replace=num_new > 63)
    new = np.array(np.unravel_index(numbers, (4, 4, 4))).T
    codes = np.vstack([np.zeros((num_replicates, 3), int), new, new[:num_repeats]])
    codes = codes.astype(np.int16)
    budgets = rng.integers(0, num_budgets, count)
    budgets[:num_replicates] = num_budgets - 1
    replicates = rotate(codes, num_replicates)
    levels = rng.normal(0, level, (num_replicates, num_budgets))
    liked = rng.normal(0, interaction, (num_replicates, 3, 4))
    slots = np.arange(3)
    truth = PLAIN_ACCURACY + effects[slots, codes].sum(axis=1)
    short = 0.05 * (num_budgets - 1 - budgets)
    moved = levels[replicates, budgets] + liked[replicates[:, None], slots, codes].sum(axis=1)
    accuracies = truth - short + moved + rng.normal(0, noise, count)
    costs = SPACE.price_codes(codes, lambda candidate: [count_cost(candidate).params])
    return Trainings(codes, budgets, replicates, accuracies), truth, costs.astype(float)


def rotate(codes, num_replicates):
    """Return a replicate for each training: of those it has not had, the one of the fewest."""
    counts, had, found = [0] * num_replicates, {}, []
    for row in codes.tolist():
        own = had.setdefault(tuple(row), set())
        left = [number for number in range(num_replicates) if number not in own]
        found.append(min(left or range(num_replicates), key=counts.__getitem__))
        own.add(found[-1])
        counts[found[-1]] += 1
    return np.array(found, np.int64)


def text_of(codes):
    carried = [f"/stage{s + 2}=standard:{WIDTHS[c - 1]}" for s, c in enumerate(codes) if c]
    return "net" + "".join(carried)


def record_of(number, accuracy, **options):
    """Return a trial of a candidate of ``SPACE``, given by its number; see ``make_record``."""
    text = str(SPACE.candidate_at(number))
    return replace(make_record(text, accuracy, **options), candidate=text)


def records_of(trainings, costs, epochs=(4,)):
    """Return the same trainings as trials of a search; a replicate's number is its seed."""
    records = []
    for number, (codes, budget, seed, accuracy, cost) in enumerate(
        zip(
            trainings.codes,
            trainings.budgets,
            trainings.replicates,
            trainings.accuracies,
            costs[:, 0],
            strict=True,
        )
    ):
        text = text_of(codes)
        record = make_record(
            text,
            float(accuracy),
            params=int(cost),
            macs=count_cost(SPACE.with_codes(codes)).macs,
            state="COMPLETE" if epochs[budget] == max(epochs) else "PRUNED",
            seed=int(seed),
            epochs=epochs[budget],
        )
        records.append(replace(record, number=number, candidate=text))
    return records
