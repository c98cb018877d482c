"""Checks trainings: the same bits twice, accuracy against the CPU, and both kinds of AMP."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu_check.findings import Finding, at_most, require, tell
from benchmarks.gpu_check.setting import Setting, is_same
from se_search.device import Device
from se_search.record import Assignment
from se_search.training.evaluate import evaluate

MAX_POINTS = 3.0  # between two accuracies after so short a training


def check_repeatability(setting: Setting) -> Iterator[Finding]:
    """Train each network twice on the device and once on the CPU."""
    epochs = setting.epochs
    threads = setting.cores if setting.is_cuda else 1
    for name in setting.amount.backbones:
        assignment = Assignment(setting.candidate(name), 0, epochs)
        parts = (assignment, setting.data, setting.recipe)
        first, second = (evaluate(*parts, setting.device(), with_test=True) for _ in range(2))
        yield require(
            f"{name}: the same bits twice",
            is_same(first, second) and first.test_correct == second.test_correct,
        )
        assert first.ran_on is not None
        yield tell(f"{name}: operators without a repeatable version", first.ran_on.unrepeatable)
        cpu = evaluate(*parts, Device("cpu", 0, threads, "32-true"))
        yield tell(f"{name}: seconds of {epochs} epochs", second.seconds, "s")
        yield tell(f"{name}: seconds on the CPU, {threads} threads", cpu.seconds, "s")
        yield tell(f"{name}: accuracy", 100 * first.accuracy, "%")
        yield tell(f"{name}: accuracy on the CPU", 100 * cpu.accuracy, "%")
        points = 100 * abs(first.accuracy - cpu.accuracy)
        yield at_most(f"{name}: difference of the accuracies", points, MAX_POINTS, "points")


def check_amp(setting: Setting) -> Iterator[Finding]:
    """Train in float32, in bfloat16 and in float16, whose gradients are scaled."""
    name = setting.amount.backbones[-1]
    epochs = setting.epochs
    parts = (Assignment(setting.candidate(name), 0, epochs), setting.data, setting.recipe)
    whole = evaluate(*parts, setting.device())
    yield tell(f"{name}, 32-true: accuracy", 100 * whole.accuracy, "%")
    yield tell(f"{name}, 32-true: seconds of {epochs} epochs", whole.seconds, "s")
    for precision in list_mixed(setting):
        first, second = (evaluate(*parts, setting.device(precision)) for _ in range(2))
        assert first.ran_on is not None
        yield require(f"{name}, {precision}: the same bits twice", is_same(first, second))
        yield require(
            f"{name}, {precision}: recorded precision", first.ran_on.precision == precision
        )
        yield require(
            f"{name}, {precision}: other losses than in float32",
            first.history[-1]["train_loss"] != whole.history[-1]["train_loss"],
        )
        yield tell(f"{name}, {precision}: accuracy", 100 * first.accuracy, "%")
        points = 100 * abs(first.accuracy - whole.accuracy)
        what = f"{name}, {precision}: difference to float32's accuracy"
        yield at_most(what, points, MAX_POINTS, "points")
        yield tell(f"{name}, {precision}: seconds of {epochs} epochs", second.seconds, "s")
        ratio = second.seconds / whole.seconds
        yield tell(f"{name}, {precision}: seconds over float32's", ratio)


def list_mixed(setting: Setting) -> tuple[str, ...]:
    """Return the kinds of mixed precision that the device has; float16's is CUDA's alone."""
    return ("bf16-mixed", "16-mixed") if setting.is_cuda else ("bf16-mixed",)
