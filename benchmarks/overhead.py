"""Measures the time of a trial beyond its training, and of a training beyond a plain loop.

    python benchmarks/overhead.py

Prints (1) the seconds that a trial takes beyond its training (ask, build, count, spawn, store) in a
search that has 200 trials, with the fork server warm, and (2) the ratio of a trial's training time
to that of a plain PyTorch loop that trains an equal network on equal batches; both are medians.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
import warnings
from pathlib import Path

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.device import Device
from se_search.execution.child import call_in_child, warm_up
from se_search.execution.executor import Executor
from se_search.execution.local import local_executor
from se_search.execution.serial import SerialExecutor
from se_search.models.catalogue import describe_backbone
from se_search.recipe import read_recipe
from se_search.record import Assignment, Evaluation, TrialRecord
from se_search.run_config import DIRECTIONS
from se_search.search.candidate_set import WholeSpace
from se_search.search.loop import Budget, Progress, run_search
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation, count_replicates
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space
from se_search.store.trials import TrialStore
from se_search.training.datasets import prepare_data
from se_search.training.task import PRELOAD, TrainingTask, probe_hardware

BACKBONE = describe_backbone("resnet20_bottleneck", 1, 28, 10)
RECIPE = read_recipe("quick")
OBJECTIVES = ("accuracy", "params")
DEVICE = Device("cpu", 0, 1, "32-true")
NUM_BEFORE, NUM_TIMED, NUM_REPEATS = 200, 12, 7


def make_up(assignment: Assignment) -> Evaluation:
    """Return an accuracy without a training, to fill the search."""
    return Evaluation(int(assignment.candidate.key, 16) % 997 / 997, 0.5, (), b"", 0.0)


def measure_overhead(folder: Path, sampler: str) -> float:
    """Return the median seconds that a trial takes beyond its training, after 200 trials."""
    data = prepare_data("fashion_mnist", None, None, RECIPE)
    space = BoundSpace(read_space("stages_ratio"), BACKBONE)
    plain = Candidate.plain(BACKBONE)
    store = TrialStore(folder / f"{sampler}.db", OBJECTIVES, [DIRECTIONS[o] for o in OBJECTIVES])
    ends: list[tuple[float, TrialRecord]] = []

    def note(progress: Progress) -> None:
        if progress.changed is not None and progress.changed.state == "COMPLETE":
            ends.append((time.monotonic(), progress.changed))

    def search(executor: Executor[Candidate], num_trials: int) -> None:
        run_search(
            space=space,
            store=store,
            sampler=SAMPLERS[sampler](
                Setup(
                    *(space, WholeSpace(space), 0, count_cost, OBJECTIVES, RECIPE.epochs),
                    control=plain,
                )
            ),
            executor=executor,
            count_cost=count_cost,
            objectives=OBJECTIVES,
            budget=Budget(num_trials, epochs=1, max_failures=1),
            rotation=Rotation(count_replicates(num_trials), 0, plain),
            lag=1,
            observe=note,
        )

    search(SerialExecutor(make_up), NUM_BEFORE)
    ends.clear()
    task = TrainingTask(data, RECIPE)
    search(local_executor(task, [DEVICE], folder / "log"), NUM_BEFORE + NUM_TIMED)
    store.close()
    return statistics.median(
        after - before - (record.seconds or 0)
        for (before, _), (after, record) in itertools.pairwise(ends)
    )


def measure_ratios() -> list[float]:
    """Return training times over those of a plain loop, for interleaved repeats in this process."""
    import torch
    from torch.nn import functional as F  # noqa: N812  # its customary name

    from se_search.models.surgery import build
    from se_search.training.data import make_data
    from se_search.training.evaluate import evaluate

    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    candidate = Candidate.parse("resnet20_bottleneck/all=standard:r16", BACKBONE)
    prepared = prepare_data("fashion_mnist", None, None, RECIPE)

    def train_plainly(seed: int) -> float:
        model = build(candidate, seed).to(memory_format=torch.channels_last)
        data = make_data(prepared, RECIPE, seed, in_channels=1)
        data.setup("fit")
        started = time.monotonic()
        config = RECIPE.optimizer
        optimizer = torch.optim.SGD(
            model.parameters(),
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.nesterov,
            fused=True,
        )
        batches = data.train_dataloader()
        for _ in range(RECIPE.epochs):
            for images, labels in batches:
                optimizer.zero_grad()
                F.cross_entropy(model(images), labels).backward()
                optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = [(model(x).argmax(1) == y).sum() for x, y in data.val_dataloader()]
        int(sum(right))
        return time.monotonic() - started

    ratios = []
    for seed in range(NUM_REPEATS):
        plain = train_plainly(seed)
        ours = evaluate(Assignment(candidate, seed, RECIPE.epochs), prepared, RECIPE, DEVICE)
        again = train_plainly(seed)
        ratios.append(ours.seconds / statistics.mean([plain, again]))
    return ratios


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        warm_up(PRELOAD, threads=1)
        hardware = call_in_child(probe_hardware, Path(folder) / "log")
        print(f"hardware: {hardware.name}, {hardware.num_cores} cores")
        print(f"fork server warm after {time.monotonic() - started:.1f} s")
        for sampler in SAMPLERS:
            seconds = measure_overhead(Path(folder), sampler)
            print(
                f"overhead of a trial beyond its training, {sampler}, at {NUM_BEFORE} trials: "
                f"{seconds:.2f} s (bound 0.5)"
            )
    ratios = measure_ratios()
    print(
        f"training / plain PyTorch loop: median {statistics.median(ratios):.3f} of "
        f"{len(ratios)} interleaved repeats, {min(ratios):.3f} to {max(ratios):.3f} (target 1.05)"
    )


if __name__ == "__main__":
    main()
