"""Finds where trainings run if not on this machine: on Ray, on Slurm, or by any executor."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor as PoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from multiprocessing.context import ForkContext
from typing import Any

from se_search.device import Device, Hardware
from se_search.errors import InfrastructureError, RunError
from se_search.execution.futures_engine import FuturesEngine, Submit, submit_each
from se_search.execution.node_data import Parcel, digest_file
from se_search.execution.node_pool import JobPool, NodePool
from se_search.execution.options import refuse_together
from se_search.execution.remote import Engine, NodePlace, RemoteLauncher
from se_search.execution.request import Note, SessionRequest, Trainers
from se_search.execution.retrying import RetryingExecutor
from se_search.execution.supervise import NodeSetup, Probe
from se_search.ground import Ground
from se_search.terminal import one_line
from se_search.training.task import TrainingTask

MESSAGES_SUFFIX = ".messages"  # of the folder over which nodes send messages
JOBS_SUFFIX = ".jobs"  # of the folder in which submitit keeps jobs
POLL_SECONDS = 0.5


def find_elsewhere(
    request: SessionRequest, note: Note, pool: PoolExecutor | None = None
) -> Trainers:
    """Return where the trainings of a command run if not on this machine.

    Args:
        request: what they need.
        note: told of nodes.
        pool: an executor that runs them; None: as the request says.

    Raises:
        RunError: what is asked for is not installed, or can't be done.
        InfrastructureError: no node answers.
    """
    if pool is not None:
        return _find_pool(request, note, pool)
    if request.accelerator == "mps":
        raise RunError("accelerator 'mps' is this machine's; nodes have cpu or cuda")
    refuse_missing_executor(request.cluster.executor)
    find = {"ray": _find_ray, "submitit": _find_jobs}[request.cluster.executor]
    return find(request, note)


def refuse_missing_executor(
    executor: str, find: Callable[[str], object | None] = find_spec
) -> None:
    """Refuse an executor whose package is not installed.

    Args:
        executor: ``ray`` or ``submitit``.
        find: returns None for the name of a package that is not there.

    Raises:
        RunError: the package is not there.
    """
    if find(executor) is None:
        raise RunError(
            f"executor {executor}: the package {executor} is not installed; "
            f"pip install 'se-search[{executor}]' installs it, on each node, too"
        )


def keep_to_loopback(address: str | None) -> None:
    """Have Ray listen on 127.0.0.1 alone, if it starts a cluster: called before it is imported.

    Ray has no other way: it takes 127.0.0.1 as an address for this machine's in its network, unless
    it takes this machine for one that can't be in a cluster.
    """
    if address is None and "RAY_ADDRESS" not in os.environ and "ray" not in sys.modules:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def _find_ray(request: SessionRequest, note: Note) -> Trainers:
    keep_to_loopback(request.cluster.ray_address)
    from se_search.execution.ray_cluster import (
        RayNodes,
        TrialResources,
        connect,
        list_nodes,
        open_office,
    )
    from se_search.execution.ray_engine import RayEngine

    cluster = request.cluster
    cpus = cluster.cpus_per_trial or float(request.threads)
    connect(cluster.ray_address, None if request.workers is None else request.workers * cpus)
    has_gpus = any(node.gpus for node in list_nodes())
    if request.accelerator == "cuda" and not has_gpus:
        raise RunError("accelerator 'cuda' is not there: no node of the Ray cluster has a GPU")
    usual = 1.0 if has_gpus and request.accelerator != "cpu" else 0.0
    gpus = usual if cluster.gpus_per_trial is None else cluster.gpus_per_trial
    nodes = RayNodes(
        TrialResources(cpus, gpus),
        _make_probe(request, "cuda" if gpus else "cpu"),
        note,
        request.ran_on,
        request.mix_environments,
        None if cluster.cpus_per_trial is None else max(0, int(cpus / max(1, gpus)) - 1),
    )
    nodes.find()
    places = nodes.list_places()[: request.workers]
    names = list(dict.fromkeys(place.name for place in places))
    note(f"Ray: {len(places)} trainings at a time on {', '.join(names)}")

    def make_executor(task: TrainingTask) -> RetryingExecutor[Any, Any]:
        pool = NodePool(nodes.list_places(), request.workers)
        engine = RayEngine(open_office(Parcel(task.data, task.weights)), nodes.resources.options)
        follow = lambda: nodes.follow(pool)  # noqa: E731  # it has no name
        return _make_executor(request, note, task, engine, pool, _make_setup(request, task), follow)

    devices = tuple(place.device for place in places)
    return Trainers(nodes.hardware, devices, nodes.grounds, make_executor)


def _find_jobs(request: SessionRequest, note: Note) -> Trainers:
    from se_search.execution.slurm import open_jobs, submit_as_array

    cluster = request.cluster
    if request.workers is None:
        raise RunError("executor submitit needs --workers: how many jobs there are at a time")
    folder = request.worker_log.with_suffix(JOBS_SUFFIX).absolute()
    cpus, gpus = cluster.cpus_per_trial or float(request.threads), cluster.gpus_per_trial or 0.0
    jobs = open_jobs(folder, cluster.submitit, cpus, gpus)
    note("A job asks its node what it is; trainings are submitted when it has run ...")
    submit = submit_as_array(jobs)
    return _find_by(request, note, submit, "submitit", "cuda" if gpus else "cpu", JobPool)


def _find_pool(request: SessionRequest, note: Note, pool: PoolExecutor) -> Trainers:
    if request.workers is None:
        raise RunError("an executor does not say how many trainings it takes at a time: workers=4")
    if isinstance(getattr(pool, "_mp_context", None), ForkContext):
        raise RunError(
            "processes of this executor are forked, and can't start others: "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('forkserver'))"
        )
    name = type(pool).__name__
    return _find_by(request, note, submit_each(pool), name, request.accelerator, NodePool)


def _find_by(
    request: SessionRequest,
    note: Note,
    submit: Submit,
    name: str,
    accelerator: str,
    make_pool: Callable[[list[NodePlace]], NodePool],
) -> Trainers:
    """Return what trains by calls that go anywhere; one of them tells what its machine is."""
    (answer,) = submit([_make_probe(request, accelerator)])
    while not answer.done():
        time.sleep(POLL_SECONDS)
    try:
        hardware, device, ground = answer.result()
    except Exception as error:  # whatever the executor and its machine have
        text = one_line(str(error).strip().rpartition("\n")[2])
        raise InfrastructureError(f"{name} can't train: {type(error).__name__}: {text}") from error
    assert isinstance(hardware, Hardware)
    assert isinstance(device, Device)
    assert isinstance(ground, Ground)
    places = [NodePlace("", name, device)] * (request.workers or 1)

    def make_executor(task: TrainingTask) -> RetryingExecutor[Any, Any]:
        setup = replace(
            _make_setup(request, task),
            carries=False,
            ground=None if request.mix_environments else ground,
        )
        folder = request.worker_log.with_suffix(MESSAGES_SUFFIX).absolute()
        engine = FuturesEngine(submit, folder)
        return _make_executor(request, note, task, engine, make_pool(places), setup)

    return Trainers(hardware, (device,) * len(places), (ground,), make_executor)


def _make_executor(
    request: SessionRequest,
    note: Note,
    task: TrainingTask,
    engine: Engine,
    pool: NodePool,
    setup: NodeSetup,
    follow: Callable[[], None] = lambda: None,
) -> RetryingExecutor[Any, Any]:
    launcher = RemoteLauncher(engine, task, setup, request.worker_log, request.timeout, follow)
    together = int(max(1, request.cluster.gpus_per_trial or 1))
    images = task.recipe.count_at_a_time(together)
    return RetryingExecutor(launcher, pool, request.timeout, note, images=images)


def _make_setup(request: SessionRequest, task: TrainingTask) -> NodeSetup:
    return NodeSetup(
        data_dir=None if request.data_dir is None else request.data_dir.absolute(),
        weights_digest=None if task.weights is None else digest_file(task.weights),
        path=tuple(sys.path),
        preload=request.preload,
    )


def _make_probe(request: SessionRequest, accelerator: str) -> Probe:
    is_auto = request.recipe.precision == "auto"
    together = int(max(1, request.cluster.gpus_per_trial or 1))
    if together > 1:
        refuse_together(together, accelerator, request.recipe.batch_size)
    path = tuple(sys.path)
    return Probe(request.threads, accelerator, is_auto, request.preload, path, together)
