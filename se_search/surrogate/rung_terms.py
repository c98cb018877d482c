"""What a rung's score of a candidate is made of, beside what the candidate is worth.

A rung is a cheaper way of judging candidates than training them: supernets, scores without
training. The score of a candidate is

    slope x f(candidate) + level + bias(candidate) + (liking(candidate) + noise) / members

f is what the candidate is worth after a full training, standardised as accuracies are; the score
is standardised by itself. The slope is positive and near 0 for a rung that tells nothing. The level
is of no interest. The bias is what all members of the rung (supernets) get wrong alike: what each
slot's level adds (``main``), what a level adds wherever it stands (``shared``), and what sets the
network without SE apart (``plain``). Each member favours levels in a way of its own (``own``), as a
replicate does. Errors of several rungs are independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from se_search.surrogate.trainings import Array, Design

if TYPE_CHECKING:
    from se_search.surrogate.kernel import Kernel

# Variance of a rung's level, standardised score squared. Scores are centred, so that a level makes
# up for what the candidates scored are worth on average; much more only costs digits.
RUNG_LEVEL = 10.0
# Where levels are estimated freely: how many times as free their bias is, in units of f.
FREE_BIAS = 25.0


@dataclass(frozen=True, slots=True)
class RungPriors:
    """What is expected of a rung before any training: median, and sd of the logarithm.

    All but the slope are variances, as shares of the variance of the rung's scores.

    Attributes:
        slope: by how many standard deviations of its scores a score rises where f rises by a
            standard deviation of trainings within replicates.
        main: of the bias that each slot's level adds by itself.
        shared: of the bias that a level adds wherever it stands.
        plain: of the bias that sets the network without SE apart.
        own: of what one member favours, beside the others.
        noise: of one member's score about all that.
    """

    slope: tuple[float, float] = (0.5, 1.5)
    main: tuple[float, float] = (0.3, 1.5)
    shared: tuple[float, float] = (0.1, 1.5)
    plain: tuple[float, float] = (0.1, 1.5)
    own: tuple[float, float] = (0.3, 1.0)
    noise: tuple[float, float] = (0.1, 1.5)


TERMS = ("slope", "main", "shared", "plain", "own", "noise")


def list_rung_parameters(rungs: tuple[RungPriors, ...]) -> list[tuple[str, float, float]]:
    """Return name, median and sd of the logarithm of each hyper-parameter of rungs."""
    return [
        (f"rung_{term}_{number}", *getattr(priors, term))
        for term in TERMS
        for number, priors in enumerate(rungs)
    ]


def bias_of(kernel: Kernel, rung: int) -> Array:
    """Return the covariance between levels of what all members of a rung get wrong alike."""
    main, shared = kernel.main_and_shared
    bias = kernel.exp("rung_main_")[rung] * main + kernel.exp("rung_shared_")[rung] * shared
    if kernel.own_variances is not None:
        # Where levels are estimated freely, by trainings, their scores must not tell them.
        slope = kernel.exp("rung_slope_")[rung]
        bias = bias + FREE_BIAS * slope**2 * np.diag(kernel.own_variances)
    return np.asarray(bias)


def own_of(kernel: Kernel, rung: int) -> Array:
    """Return the covariance between levels of what one member of a rung favours."""
    return np.asarray(kernel.exp("rung_own_")[rung] * kernel.main_and_shared[0])


def score_errors(kernel: Kernel, left: Design, right: Design) -> Array:
    """Return the covariance of what is in scores beside f and noise, ``(n, m)``; else 0."""
    found = np.zeros((len(left), len(right)))
    for rung in range(len(kernel.rungs)):
        own = np.flatnonzero(left.list_rungs() == rung)
        other = np.flatnonzero(right.list_rungs() == rung)
        if not len(own) or not len(other):
            continue
        one, another = left.take(own), right.take(other)
        part = one.rows @ bias_of(kernel, rung) @ another.rows.T
        mark = kernel.factors.mark_plain
        part[np.ix_(mark(one.rows), mark(another.rows))] += kernel.exp("rung_plain_")[rung]
        liked = one.rows @ own_of(kernel, rung) @ another.rows.T / one.list_members()[:, None]
        part += share_members(one, another) * (liked + RUNG_LEVEL)
        found[np.ix_(own, other)] = part
    return found


def share_members(left: Design, right: Design) -> Array:
    """Return whether two scores of one rung are by the same members, ``(n, m)``."""
    return np.asarray(left.replicates[:, None] == right.replicates[None, :])


def score_noise(kernel: Kernel, design: Design) -> Array:
    """Return the variance of each score's noise, ``(n,)``; 0 of a training."""
    noise = np.append(kernel.exp("rung_noise_"), 0.0)  # position -1: a training's
    return np.asarray(noise[design.list_rungs()] / design.list_members())


def list_rung_gradients(
    kernel: Kernel, design: Design, slope: Array, between: Array
) -> tuple[dict[str, Array], Array]:
    """Return the derivatives of the negative log likelihood by the rungs' hyper-parameters.

    Args:
        kernel: with its hyper-parameters.
        design: trainings and scores.
        slope: ``(n, n)``: the derivative by each covariance.
        between: ``(n, n)``: their covariance by f.

    Returns:
        The derivatives by the prefix of their names, and ``(num_levels, num_levels)``: covariances
        of biases between levels times the derivatives by them, by which similarities move.
    """
    main, shared = kernel.main_and_shared
    gradients = {f"rung_{term}_": np.zeros(len(kernel.rungs)) for term in TERMS}
    moved = np.zeros_like(main)
    by_slope = 2.0 * (slope * between).sum(axis=1)
    by_noise = np.diag(slope) * score_noise(kernel, design)
    is_plain = kernel.factors.mark_plain(design.rows)
    for rung in range(len(kernel.rungs)):
        own = np.flatnonzero(design.list_rungs() == rung)
        some, part = design.take(own), slope[np.ix_(own, own)]
        common = some.rows.T @ part @ some.rows
        shares = share_members(some, some) / some.list_members()[:, None]
        single = some.rows.T @ (part * shares) @ some.rows
        bias, liking = bias_of(kernel, rung) * common, own_of(kernel, rung) * single
        moved += bias + liking
        plain = is_plain[own]
        found = {
            "slope": by_slope[own].sum(),
            "main": kernel.exp("rung_main_")[rung] * (main * common).sum(),
            "shared": kernel.exp("rung_shared_")[rung] * (shared * common).sum(),
            "plain": kernel.exp("rung_plain_")[rung] * part[np.ix_(plain, plain)].sum(),
            "own": liking.sum(),
            "noise": by_noise[own].sum(),
        }
        for term, value in found.items():
            gradients[f"rung_{term}_"][rung] = value
    return gradients, moved
