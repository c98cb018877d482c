"""Measures what a trial takes more by Ray than by the executor of one machine.

    python benchmarks/ray_overhead.py [--pairs 12]

Short trainings of scikit-learn's digits, in turn by either executor, on one core: wall and CPU
seconds from the submission to the result, less what the training itself took on the wall. CPU
seconds are those of this process and all below it, with what Ray does meanwhile; medians of the
pairs are printed. The fork server is warm, the cluster has started, and both have trained before.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.child import warm_up
from se_search.execution.cluster import keep_to_loopback
from se_search.execution.local import local_executor
from se_search.execution.node_data import Parcel
from se_search.execution.node_pool import NodePool
from se_search.execution.remote import RemoteLauncher
from se_search.execution.retrying import RetryingExecutor
from se_search.execution.supervise import NodeSetup, Probe
from se_search.models.catalogue import describe_backbone
from se_search.recipe import read_recipe
from se_search.record import Assignment, EpochRow, Evaluation
from se_search.training.datasets import prepare_data
from se_search.training.task import PRELOAD, TrainingTask

DEVICE = Device("cpu", 0, 1, "32-true")
CANDIDATE = Candidate.plain(describe_backbone("resnet20_bottleneck", 1, 8, 10))
TICKS = os.sysconf("SC_CLK_TCK")
NUM_WARMING = 2  # trainings by either executor that are not counted


def make_ray_executor(task: TrainingTask, folder: Path) -> RetryingExecutor[Any, Any]:
    """Start a cluster of one core on this machine; return what trains on it."""
    keep_to_loopback(None)  # before Ray is imported, which reads it then
    from se_search.execution.ray_cluster import RayNodes, TrialResources, connect, open_office
    from se_search.execution.ray_engine import RayEngine

    connect(None, 1)
    resources = TrialResources(1, 0)
    nodes = RayNodes(resources, Probe(1, "cpu", False), print)
    nodes.find()
    engine = RayEngine(open_office(Parcel(task.data, None)), resources.options)
    launcher = RemoteLauncher(engine, task, NodeSetup(), folder / "ray.log")
    return RetryingExecutor(launcher, NodePool(nodes.list_places()), pauses=())


def measure_trial(executor: RetryingExecutor[Any, Any], number: int) -> tuple[float, float]:
    """Return the wall and the CPU seconds of a trial: the wall's without those of its training.

    Raises:
        RuntimeError: the training failed.
    """
    begun, cpu = time.perf_counter(), count_cpu_seconds()
    executor.submit(number, Assignment(CANDIDATE, number, 1))
    while True:
        for _, outcome in executor.wait(1.0):
            if isinstance(outcome, Evaluation):
                wall = time.perf_counter() - begun - outcome.seconds
                return wall, count_cpu_seconds() - cpu
            if not isinstance(outcome, EpochRow):
                raise RuntimeError(f"a training failed: {outcome}")


def count_cpu_seconds() -> float:
    """Return the CPU seconds of this process and of all below it, those that have ended too."""
    total = 0
    for pid in (os.getpid(), *list_below(os.getpid())):
        with suppress(OSError):  # it has ended
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime (man 5 proc)
    return total / TICKS


def list_below(pid: int) -> Iterator[int]:
    """Yield the processes below one, at any depth (Linux)."""
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in map(int, task.read_text().split()):
                yield child
                yield from list_below(child)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure what a trial takes more by Ray.")
    parser.add_argument("--pairs", type=int, default=12, help="trainings by either executor")
    num_pairs = parser.parse_args(arguments).pairs
    recipe = read_recipe("quick")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        task = TrainingTask(prepare_data("digits", None, None, recipe), recipe)
        warm_up(PRELOAD, threads=1)
        executors = {
            "local": local_executor(task, [DEVICE], folder / "local.log"),
            "ray": make_ray_executor(task, folder),
        }
        found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in executors}
        for number in range(NUM_WARMING + num_pairs):
            for kind, executor in executors.items():
                seconds = measure_trial(executor, number)
                if number >= NUM_WARMING:
                    found[kind].append(seconds)
                print(f"{kind} {number}: {seconds[0]:.2f} s, {seconds[1]:.2f} s", file=sys.stderr)
        from se_search.execution.ray_cluster import disconnect

        disconnect()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"Python {platform.python_version()}, PyTorch {version('torch')}, Ray {version('ray')}"
    )
    for at, what in enumerate(("wall beyond the training", "CPU with the training")):
        local, other = (statistics.median(each[at] for each in found[kind]) for kind in executors)
        more = statistics.median(
            theirs[at] - ours[at] for ours, theirs in zip(*found.values(), strict=True)
        )
        print(
            f"{what}, medians of {num_pairs} pairs: local {local:.2f} s, Ray {other:.2f} s; "
            f"Ray less local {more:.2f} s"
        )


if __name__ == "__main__":
    main()
