"""Checks what happens to trainings that really run out of memory.

On a GPU this program holds nearly all of the card's memory. In a rehearsal on a CPU the system
limits what the process of a training may allocate.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.gpu_check.drawings import NUM_CLASSES, draw_folder
from benchmarks.gpu_check.findings import Finding, require, tell
from benchmarks.gpu_check.setting import Setting, train_all
from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import MemoryLackingError
from se_search.execution.local import local_executor
from se_search.models.catalogue import describe_backbone
from se_search.recipe import Optimizer, Recipe, Split
from se_search.record import Assignment, Evaluation
from se_search.training.array_cache import CACHE_VARIABLE
from se_search.training.checkpointing import Until, never
from se_search.training.datasets import prepare_data
from se_search.training.task import TrainingTask

TOP = Path(__file__).parents[2]
NUM_BATCHES = 2  # that train in an epoch: fewer are refused
COMMAND_SECONDS = 150.0
NUM_PRINTED = 1500  # characters of a command's output that are told if it went wrong


class Shortage(Protocol):
    """A lack of memory that can be ended."""

    def begin(self) -> None:
        """Leave a training too little."""

    def end(self) -> None:
        """Give the memory back."""


class HeldMemory:
    """All of a card's memory but a few bytes, held by this process."""

    def __init__(self, left_bytes: int) -> None:
        self._left = left_bytes
        self._held: Tensor | None = None

    def begin(self) -> None:
        """Take the memory."""
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(0)
        if free <= self._left:
            raise RuntimeError(f"only {free:,} bytes of the card are free, of {self._left:,}")
        self._held = torch.empty(free - self._left, dtype=torch.uint8, device="cuda:0")

    def end(self) -> None:
        """Give it back to the card."""
        self._held = None
        torch.cuda.empty_cache()


class LimitFile:
    """A file; while it is there, ``LimitedTask`` limits its process."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin(self) -> None:
        """Write the file."""
        self._path.touch()

    def end(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class LimitedTask:
    """Trains in a process that may allocate little memory as long as a file is there."""

    task: TrainingTask
    limit: Path
    num_bytes: int

    def __call__(
        self, assignment: Assignment[Candidate], device: Device, until: Until = never
    ) -> Evaluation:
        """Limit this process, and train."""
        if self.limit.exists():
            limit_process(self.num_bytes)
        return self.task(assignment, device, until)


def limit_process(num_bytes: int) -> None:
    """Let this process, and those that it starts, allocate no more than some bytes of memory."""
    resource.setrlimit(resource.RLIMIT_DATA, (num_bytes, num_bytes))


def check_memory(setting: Setting) -> Iterator[Finding]:
    """Let trainings run out of memory once, and then each time."""
    amount = setting.amount
    recipe = Recipe(
        epochs=1,
        batch_size=amount.memory_batch,
        optimizer=Optimizer(lr=0.05),
        split=Split(validation=NUM_CLASSES),
        image_size=amount.memory_pixels,
        precision="float32",
    )
    count = NUM_BATCHES * amount.memory_batch + 5 * NUM_CLASSES
    size = (amount.memory_pixels + 8, amount.memory_pixels)
    folder = draw_folder(setting.folder / "memory_images", count, size)
    yield from _check_retry(setting, recipe, folder)
    yield from _check_stop(setting, recipe, folder)


def _check_retry(setting: Setting, recipe: Recipe, folder: Path) -> Iterator[Finding]:
    """Give the memory back once a training has lacked it."""
    amount = setting.amount
    backbone = describe_backbone(amount.memory_backbone, 3, amount.memory_pixels, NUM_CLASSES)
    data = prepare_data(f"folder:{folder}", None, setting.folder / "cache", recipe)
    task: Any = TrainingTask(data, recipe)
    limit = setting.folder / "limit"
    shortage: Shortage
    if setting.is_cuda:
        shortage = HeldMemory(amount.left_bytes)
    else:
        shortage = LimitFile(limit)
        task = LimitedTask(task, limit, amount.left_bytes)
    notes: list[str] = []

    def hear(text: str) -> None:
        notes.append(text)
        shortage.end()

    executor = local_executor(
        task, [setting.device()] * 2, setting.log, note=hear, images=recipe.images_at_a_time
    )
    assignments = [Assignment(Candidate.plain(backbone), seed, 1) for seed in (0, 1)]
    shortage.begin()
    try:
        outcomes, seconds = train_all(executor, assignments)
    finally:
        shortage.end()
    ended = [outcome for outcome in outcomes if isinstance(outcome, Evaluation)]
    for note in notes:
        yield tell("said of a training that lacked memory", note)
    yield require(
        "a lack of memory is told apart, and the training is tried again alone on its device",
        bool(notes)
        and all("out of memory" in text.lower() and "tried again alone" in text for text in notes),
    )
    yield require("its second attempt succeeds", len(ended) == len(outcomes))
    attempts = [outcome.effort.attempts for outcome in outcomes if outcome.effort is not None]
    yield require("a training that lacked memory took two attempts", max(attempts, default=0) == 2)
    peaks = [each.ran_on.peak_memory or 0 for each in ended if each.ran_on is not None]
    yield tell("the most that a training took", max(peaks, default=0) / 2**30, "GiB")
    yield tell("seconds of both trainings", seconds, "s")


def _check_stop(setting: Setting, recipe: Recipe, folder: Path) -> Iterator[Finding]:
    """Let each attempt of a search lack memory."""
    amount = setting.amount
    file = setting.folder / "memory.yaml"  # JSON is YAML
    file.write_text(json.dumps(recipe.model_dump(mode="json", exclude_defaults=True)))
    command = [
        *(sys.executable, "-m", "se_search", "run", "--data", f"folder:{folder}"),
        *("--recipe", str(file), "--backbone", amount.memory_backbone, "--space", "stages"),
        *("--trials", "2", "--workers", "1", "--accelerator", setting.accelerator),
        *("--runs-dir", str(setting.folder / "runs"), "--name", "memory"),
    ]
    shortage = HeldMemory(amount.left_bytes) if setting.is_cuda else None
    limit: Callable[[], None] | None = None
    if shortage is None:

        def limit() -> None:
            limit_process(amount.left_bytes)

    else:
        shortage.begin()
    try:
        ended = subprocess.run(
            command,
            cwd=setting.folder,
            env={**os.environ, CACHE_VARIABLE: str(setting.folder / "cache")},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            preexec_fn=limit,
        )
    finally:
        if shortage is not None:
            shortage.end()
    said = " ".join(f"{ended.stdout} {ended.stderr}".split())
    is_right = ended.returncode == MemoryLackingError.exit_code and "micro_batch: " in said
    yield require(
        f"the search ends with exit code {MemoryLackingError.exit_code}",
        ended.returncode == MemoryLackingError.exit_code,
    )
    yield require("the training was tried again alone before", "tried again alone" in said)
    yield require("the search proposes a micro_batch", "micro_batch: " in said)
    if is_right:
        begin = said.index("a training does not fit into memory")
        yield tell("the search said", said[begin:])
    else:
        yield tell(f"exit code {ended.returncode}; the search said", said[-NUM_PRINTED:])


def python_path(environment: Mapping[str, str]) -> str:
    """Return the ``PYTHONPATH`` with which a process finds this checkout first."""
    return os.pathsep.join(filter(None, (str(TOP), environment.get("PYTHONPATH"))))
