"""Writes what the comparison came to as Markdown, for docs/measured.md."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.comparison.arms import ARMS, NEAR, SINGLE_SEED
from benchmarks.comparison.results import TARGETS, Comparison, Ratio
from benchmarks.comparison.survival import Estimate, median_time
from se_search.report.format import count

BEGIN, END = "<!-- comparison: begin -->", "<!-- comparison: end -->"
AT = (24, 48, 96, 180)  # trainings at which mean losses are told
HEADS = {
    ("gap", "kept"): "gap",
    ("loss", "kept"): "loss",
    ("loss", "first"): "loss, first",
    ("placement", "kept"): "placement",
    ("placement", "first"): "placement, first",
}
COMPARED = ("gap", "loss", "placement")  # kept
ANSWERS = {"put": "put SE in", "leave": "leave SE out", "nothing": "nothing can be said"}


def make_section(comparison: Comparison) -> str:
    """Return the figures of a comparison: what all trainings say, the times, and their ratios."""
    parts = [
        _describe_world(comparison),
        _tabulate_times(comparison),
        _tabulate_ratios(comparison),
        _describe_targets(comparison),
        _describe_rungs(comparison),
        _describe_decisions(comparison),
        _describe_settled(comparison),
    ]
    return "\n\n".join(part for part in parts if part)


def _describe_world(comparison: Comparison) -> str:
    table, truth = comparison.table, comparison.truth
    networks, replicates = len(table.networks), len(table.replicates)
    text = (
        f"{networks} networks x {replicates} replicates, {networks * replicates} trainings; "
        f"{comparison.num_searches} searches of each kind, censored at {comparison.horizon} "
        f"trainings. All trainings together say *{ANSWERS[truth.decision]}*: their front has "
        f"{count(len(truth.whole.front), 'member')}, the best gain over the plain network is "
        f"{max(truth.whole.gains.values()):.2f} points, the hypervolume "
        f"{truth.whole.hypervolume:.3f} points, and the expected regret that they leave "
        f"{truth.whole.regret:.2f} points. Of the networks with SE the best is "
        f"{max(truth.placed.gains.values()):.2f} points over the plain one, their mean "
        f"{truth.placed.otherwise:.2f}."
    )
    if comparison.is_decided_at_once:
        text += (
            f" So the plain network alone is within {NEAR:g} points of the whole hypervolume: the "
            "gap says nothing about a search here, and loss and placement are to be read."
        )
    return text


def _tabulate_times(comparison: Comparison) -> str:
    moments = [at for at in AT if at <= comparison.horizon]
    lines = [
        "| trainings until near, median (95 % interval) "
        + "".join(f"| {head} " for head in HEADS.values())
        + "".join(f"| mean loss, placement after {at} " for at in moments)
        + f"| networks trained by {moments[-1]} |",
        "|---" * (len(HEADS) + len(moments) + 2) + "|",
    ]
    for arm in comparison.searches:
        means = comparison.mean_scores(arm)
        cells = [_write(comparison.median(arm, *key), comparison.horizon) for key in HEADS]
        cells += [f"{means[at].loss:.2f}, {means[at].placement:.2f}" for at in moments]
        cells.append(f"{means[moments[-1]].networks:.0f}")
        lines.append(f"| {_name(arm)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _tabulate_ratios(comparison: Comparison) -> str:
    others = [arm for arm in comparison.searches if arm != "pareto" and "rungs" not in arm]
    if "pareto" not in comparison.searches or not others:
        return ""
    keys = [(score, "kept") for score in COMPARED]
    lines = [
        "| trainings of `pareto` over those of | "
        + " | ".join(f"{HEADS[key]} | p" for key in keys)
        + " | wanted |",
        "|---" * (2 * len(keys) + 2) + "|",
    ]
    for other in others:
        ratios = [comparison.compare("pareto", other, *key) for key in keys]
        cells = [text for ratio in ratios for text in (_ratio(ratio), _p(ratio.p_value))]
        wanted = f"≤ {TARGETS[other]:.2f}" if other in TARGETS else ""
        lines.append(f"| {_name(other)} | {' | '.join(cells)} | {wanted} |")
    return "\n".join(lines)


def _describe_targets(comparison: Comparison) -> str:
    words = {
        "met": "met, by the whole interval",
        "open": "open: the interval holds it",
        "not met": "not met",
        "no data": "not decided: neither median was seen",
    }
    sentences = []
    for other, share in TARGETS.items():
        if "pareto" not in comparison.searches or other not in comparison.searches:
            continue
        found = []
        for score in COMPARED:
            ends = {comparison.median(arm, score, "kept").value for arm in ("pareto", other)}
            if ends == {comparison.first_checkpoint}:
                told = f"undecided, as both are near at {comparison.first_checkpoint} trainings"
            else:
                told = words[comparison.compare("pareto", other, score, "kept").verdict]
            found.append(f"{told} (by the {score})")
        sentences.append(
            f"The target of {share:.2f} of the trainings of {_name(other)}: {', '.join(found)}."
        )
    if SINGLE_SEED in comparison.searches:
        losses = comparison.single_seed_losses
        sentences.append(
            f"All {len(comparison.table.networks)} networks in one replicate, taken as they come, "
            f"lose {min(losses):.2f} to {max(losses):.2f} points, by replicate: so near does a "
            "single seed come at most."
        )
        sentences.append(_describe_level(comparison))
    return " ".join(sentence for sentence in sentences if sentence)


def _describe_level(comparison: Comparison) -> str:
    """Tell from when on other arms lose no more than TPE as it is does after many trainings."""
    at = max(at for at in AT if at <= comparison.horizon)
    level = comparison.mean_scores(SINGLE_SEED)[at].loss
    found = []
    for arm in comparison.searches:
        if arm != SINGLE_SEED:
            since = comparison.find_level(arm, level)
            found.append(f"{_name(arm)} " + ("never" if since is None else f"from {since} on"))
    return (
        f"{SINGLE_SEED} loses {level:.2f} points on average after {at} trainings; others lose no "
        f"more: {', '.join(found)}."
        if found
        else ""
    )


def _describe_rungs(comparison: Comparison) -> str:
    sentences = []
    for arm in ARMS:
        plain = arm.name.removesuffix(" with rungs")
        if not arm.has_rungs or not {arm.name, plain} <= set(comparison.searches):
            continue
        found = [comparison.compare(arm.name, plain, score, "kept") for score in COMPARED]
        sentences.append(
            f"With rungs `{plain}` takes {', '.join(map(_ratio, found))} of its trainings' worth "
            "of epochs, by gap, loss and placement."
        )
    return " ".join(sentences)


def _describe_decisions(comparison: Comparison) -> str:
    decision = comparison.truth.decision
    if decision == "nothing":
        return ""
    medians = {
        arm: _write(median_time(comparison.decided(arm)), comparison.horizon)
        for arm in comparison.searches
        if arm != SINGLE_SEED
    }
    told = ", ".join(f"{_name(arm)} {median}" for arm, median in medians.items())
    return f"Trainings until *{ANSWERS[decision]}* is said, kept: {told}." if told else ""


def _describe_settled(comparison: Comparison) -> str:
    """Tell how often the front is said to be settled by the last checkpoint, and how well."""
    sentences = []
    for arm in comparison.searches:
        if arm == SINGLE_SEED:
            continue
        found = [one for one in comparison.list_settled(arm) if one is not None]
        if found:
            true = sum(shortfall <= 100 * comparison.tolerance for _, shortfall in found)
            sentences.append(
                f"{_name(arm)} {len(found)} of {comparison.num_searches}, median "
                f"{np.median([trainings for trainings, _ in found]):.0f} trainings, true {true}"
            )
    if not sentences:
        return "No search is said to be settled at a checkpoint."
    return (
        f"Said to be settled (no network of any cost better by {100 * comparison.tolerance:g} "
        f"points, as all trainings have it): {'; '.join(sentences)}."
    )


def _write(found: Estimate, horizon: int) -> str:
    return f"{_time(found.value, horizon)} ({_time(found.low, horizon)} to {_end(found.high)})"


def _time(value: float, horizon: int) -> str:
    return f"{value:.0f}" if math.isfinite(value) else f"> {horizon}"


def _end(value: float) -> str:
    return f"{value:.0f}" if math.isfinite(value) else "∞"


def _ratio(found: Ratio) -> str:
    ends: Sequence[str] = [
        f"{value:.2f}" if math.isfinite(value) else "∞"
        for value in (found.ratio.low, found.ratio.high)
    ]
    value = found.ratio.value
    text = "?" if math.isnan(value) else f"{value:.2f}" if math.isfinite(value) else "∞"
    return f"{text} ({ends[0]} to {ends[1]})"


def _p(value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def _name(arm: str) -> str:
    """Return an arm's name, that of a sampler as code."""
    return arm if arm == SINGLE_SEED else f"`{arm}`" if " " not in arm else _with_rungs(arm)


def _with_rungs(arm: str) -> str:
    sampler, _, rest = arm.partition(" ")
    return f"`{sampler}` {rest}"
