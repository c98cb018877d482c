"""Checks that a training that was killed goes on from its last state to the same bits."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_check.findings import Finding, require, tell
from benchmarks.gpu_check.setting import Setting, demand, is_same
from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.child import Child, without_main
from se_search.record import Assignment, EpochRow, Evaluation, Failure
from se_search.store.checkpoint_files import SUFFIX
from se_search.training.checkpointing import Checkpointing
from se_search.training.task import TrainingTask

MAX_SECONDS = 120.0  # of one training
POLL_SECONDS = 0.01
EARLIEST, LATEST = 0.4, 0.7  # shares of all steps between which a training is killed


def check_resume(setting: Setting) -> Iterator[Finding]:
    """Kill trainings, let them go on in other processes, and compare with whole ones."""
    for precision in ("32-true", "16-mixed" if setting.is_cuda else "bf16-mixed"):
        yield from _check(setting, precision)


def _check(setting: Setting, precision: str) -> Iterator[Finding]:
    recipe = setting.drawing_recipe()
    folder = setting.folder / f"resume-{precision}"
    folder.mkdir()
    epochs = setting.epochs
    candidate = setting.candidate(setting.amount.resumed, "")
    whole = Assignment(candidate, 0, epochs, folder / "whole.safetensors")
    cut = replace(whole, weights_file=folder / "cut.safetensors")
    device = setting.device(precision)
    plain = TrainingTask(setting.data, recipe)
    uncut, _ = _finish(setting, plain, whole, device)
    saving = replace(plain, checkpointing=Checkpointing(folder / "states", 0.0, 1.0))
    states = saving.outputs(cut)["states"]
    steps = epochs * (setting.data.info.num_used // recipe.batch_size)
    target = random.randint(int(EARLIEST * steps), int(LATEST * steps))
    _kill_after(setting, saving, cut, device, states, target)
    state = _read_state(states)
    yield tell(f"{precision}: killed behind step", state["global_step"], f"of {steps}")
    scaler = state.get("MixedPrecision")
    if precision == "16-mixed":
        yield require(f"{precision}: the scale of the gradients is in the state", bool(scaler))
    resumed, rows = _finish(setting, saving, cut, device)
    first_row = rows[0].epoch
    reached = state["epoch"]  # epochs that had ended
    yield require(
        f"{precision}: it went on from epoch {reached + 1}, not from the first",
        first_row == reached + 1 and reached > 0,
    )
    yield require(f"{precision}: the numbers of a whole one", is_same(uncut, resumed))
    assert whole.weights_file is not None
    assert cut.weights_file is not None
    is_equal = whole.weights_file.read_bytes() == cut.weights_file.read_bytes()
    what = f"{precision}: the weights of a whole one, to the bit"
    # On a CPU, PyTorch's bfloat16 leaves unwritten the gradients of a convolution's taps that no
    # pixel of a map of 1 x 1 reaches: whole trainings differ in these weights, too.
    is_known = setting.is_cuda or precision == "32-true"
    yield require(what, is_equal) if is_known else tell(what, is_equal)
    yield require(f"{precision}: its states are gone", not states.exists())
    yield tell(f"{precision}: accuracy", 100 * resumed.accuracy, "%")


def _finish(
    setting: Setting, task: TrainingTask, assignment: Assignment[Candidate], device: Device
) -> tuple[Evaluation, list[EpochRow]]:
    """Train in a process of its own; return the result and the epochs that it told."""
    rows = []
    with without_main():
        child = Child.start(task, (assignment, device), setting.log, device.threads)
    try:
        end = time.monotonic() + MAX_SECONDS
        while time.monotonic() < end:
            connection.wait([child.receiver], 1.0)
            while child.has_message():
                message: Any = child.receive()
                if isinstance(message, EpochRow):
                    rows.append(message)
                if isinstance(message, Evaluation | Failure):
                    return demand(message), rows
    finally:
        child.kill()
    raise RuntimeError(f"a training of {assignment.epochs} epochs took over {MAX_SECONDS:g} s")


def _kill_after(
    setting: Setting,
    task: TrainingTask,
    assignment: Assignment[Candidate],
    device: Device,
    states: Path,
    step: int,
) -> None:
    """Train in a process, and end that by SIGKILL once a state of a step or later is there."""
    with without_main():
        child = Child.start(task, (assignment, device), setting.log, device.threads)
    try:
        end = time.monotonic() + MAX_SECONDS
        while _newest_step(states) < step:
            while child.has_message():
                message: Any = child.receive()
                if isinstance(message, Evaluation | Failure):
                    demand(message)
                    raise RuntimeError("the training ended before it could be killed")
            if time.monotonic() > end:
                raise RuntimeError(f"no state of step {step} within {MAX_SECONDS:g} s")
            time.sleep(POLL_SECONDS)
    finally:
        child.kill()  # SIGKILL


def _newest_step(states: Path) -> int:
    return max((int(path.stem) for path in states.glob(f"*{SUFFIX}")), default=0)


def _read_state(states: Path) -> dict[str, Any]:
    """Return the newest state, whose first line is its checksum."""
    newest = max(states.glob(f"*{SUFFIX}"))
    _, _, content = newest.read_bytes().partition(b"\n")
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state
