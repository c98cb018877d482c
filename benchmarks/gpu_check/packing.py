"""Checks trainings that share a device: the same bits as alone, and how many an hour."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_check.findings import Finding, at_least, require, tell
from benchmarks.gpu_check.setting import Setting, demand, is_same, train_all
from se_search.candidate import Candidate
from se_search.execution.child import without_main
from se_search.execution.options import ClusterOptions
from se_search.execution.request import SessionRequest
from se_search.execution.session import open_session
from se_search.record import Assignment, Evaluation

MIN_RATIO = 1.0  # of the trainings an hour: sharing must cost nothing


def check_packing(setting: Setting) -> Iterator[Finding]:
    """Train one at a time, then several at a time, by the product's own session and executor."""
    amount = setting.amount
    name = amount.backbones[-1]
    candidate = setting.candidate(name)
    assignments = [Assignment(candidate, seed, amount.short) for seed in range(amount.packed)]
    alone, hour_alone, _ = _train(setting, assignments[: amount.alone], 1)
    yield tell(f"{name}: trainings an hour, one at a time", hour_alone)
    packed, hour_packed, notes = _train(setting, assignments, amount.packed)
    for note in notes:
        if "MPS" in note or "multi-process" in note or "nvidia-cuda-mps-control" in note:
            yield tell("the multi-process service", note)
    yield tell(f"{name}: trainings an hour, {amount.packed} at a time", hour_packed)
    yield require(
        f"{name}: packed trainings have the bits of those alone",
        all(is_same(*pair) for pair in zip(alone, packed, strict=False)),  # not strict: fewer alone
    )
    each = sorted(evaluation.seconds for evaluation in packed)
    yield tell(f"{name}: seconds of a packed training, median", each[len(each) // 2], "s")
    each = sorted(evaluation.seconds for evaluation in alone)
    yield tell(f"{name}: seconds of a training alone, median", each[len(each) // 2], "s")
    what = f"{name}: trainings an hour, packed over alone"
    ratio = hour_packed / hour_alone
    yield at_least(what, ratio, MIN_RATIO) if setting.is_cuda else tell(what, ratio)


def _train(
    setting: Setting, assignments: list[Assignment[Candidate]], at_a_time: int
) -> tuple[list[Evaluation], float, list[str]]:
    """Return the results, trainings an hour with the start of their processes, and the notes."""
    notes: list[str] = []
    with without_main():
        session = open_session(
            SessionRequest(
                data=setting.data_name,
                recipe=setting.recipe,
                backbone=assignments[0].candidate.backbone.name,
                worker_log=setting.folder / f"packing-{at_a_time}.log",
                data_dir=setting.data_dir,
                workers=None if setting.is_cuda else at_a_time,
                accelerator=setting.accelerator,
                cluster=ClusterOptions(trials_per_gpu=at_a_time if setting.is_cuda else 1),
            ),
            notes.append,
        )
    places = [device for device in session.devices if device.index == 0]
    if len(places) < len(session.devices):
        raise RuntimeError("several GPUs are visible: let CUDA_VISIBLE_DEVICES name one")
    outcomes, seconds = train_all(session.executor(), assignments)
    return [demand(outcome) for outcome in outcomes], 3600 * len(assignments) / seconds, notes
