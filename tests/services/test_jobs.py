"""Trainings as jobs of submitit, on its local cluster and by a Slurm that is made up; and Dask."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support import node_tasks
from support.commands import RUN, read_rows
from support.data_sets import make_recipe
from support.networks import make_backbone
from support.node_tasks import MadeUpTask
from support.processes import PATIENCE, wait_for

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.futures_engine import FuturesEngine, NodeCall, submit_each
from se_search.execution.node_pool import NodePool
from se_search.execution.remote import NodePlace, RemoteLauncher
from se_search.execution.retrying import RetryingExecutor
from se_search.execution.supervise import NodeJob, NodeSetup, Probe
from se_search.ground import Ground
from se_search.record import Assignment, EpochRow, Evaluation
from se_search.training.datasets import prepare_data

DEVICE = Device("cpu", 0, 1, "32-true")
DIFFERENT = ("seconds", "wall_seconds", "device_seconds", "peak_memory")  # from day to day
SBATCH = """#!/bin/sh
# A batch system that runs nothing: it keeps what is submitted, and counts jobs.
for last; do :; done
cp "$last" "$SLURM_KEPT/$(ls "$SLURM_KEPT" | wc -l).sh"
echo Submitted batch job 1234
"""


@pytest.fixture
def submitit():
    return pytest.importorskip("submitit", reason="NO SLURM IS TESTED: submitit is not installed")


@pytest.fixture
def job(tmp_path):
    recipe = make_recipe(epochs=1, batch_size=32, split={"validation": 100})
    data = prepare_data("digits", None, tmp_path / "cache", recipe)
    assignment = Assignment(Candidate.plain(make_backbone([8])), 7, 1)
    setup = NodeSetup(carries=False, path=tuple(sys.path))
    return NodeJob(assignment, MadeUpTask(data, recipe), DEVICE, setup=setup)


def train(submit, job, tmp_path, count):
    """Train by an executor; return the evaluations."""
    engine = FuturesEngine(submit, tmp_path / "messages")
    launcher = RemoteLauncher(engine, job.task, job.setup, tmp_path / "worker.log")
    pool = NodePool([NodePlace("", "pool", DEVICE)] * 2)
    executor = RetryingExecutor(launcher, pool)
    ended, begun = [], 0
    while len(ended) < count:
        while executor.has_room() and begun < count:
            executor.submit(begun, replace(job.assignment, seed=begun))
            begun += 1
        ended += [each for each in executor.wait(0.2) if not isinstance(each[1], EpochRow)]
    return [outcome for _, outcome in sorted(ended)]


def test_jobs_of_submitit_have_the_numbers_of_this_machine(submitit, call, home):
    common = ("--trials", 3, "--workers", 2)
    on_jobs = ("--executor", "submitit", "--submitit", "cluster=local,timeout_min=5")
    call(*RUN, *common, "--name", "plain")
    call(*RUN, *common, "--name", "jobs", *on_jobs)
    plain, jobs = (read_rows(home / "runs" / name / "trials.csv") for name in ("plain", "jobs"))
    for row in (*plain, *jobs):
        for name in DIFFERENT:
            assert float(row.pop(name)) > 0
    assert jobs == plain
    folder = home / "runs" / "jobs" / "worker.jobs"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_job_that_is_warned_saves_its_state_and_goes_on_when_it_is_started_again(
    submitit, home, start
):
    on_jobs = ("--executor", "submitit", "--submitit", "cluster=local,timeout_min=30")
    process = start(
        *(*on_jobs, "--workers", 1, "--trials", 1, "--epochs", 20, "--name", "back"),
        stderr=subprocess.STDOUT,
    )
    folder = home / "runs" / "back"
    wait_for(lambda: (folder / "progress.jsonl").exists())
    names = [log.name for log in (folder / "worker.jobs").glob("*_log.err")]
    starters = [Path(f"/proc/{name.split('_')[0]}/task/{name.split('_')[0]}") for name in names]
    (starter,) = [path for path in starters if path.exists()]  # the job that asks has ended
    (job,) = (starter / "children").read_text().split()
    os.kill(int(job), signal.SIGUSR2)  # Slurm's warning, as submitit asks for it
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, printed
    (row,) = read_rows(folder / "trials.csv")
    assert (row["state"], row["attempts"]) == ("COMPLETE", "1")
    assert not (folder / "worker.states").exists()
    lines = (folder / "progress.jsonl").read_text().splitlines()
    epochs = [json.loads(line)["epoch"] for line in lines]
    assert set(epochs) == set(range(1, 21))
    assert len(epochs) <= 20 + 1  # it went on: at most one epoch is told twice


def test_what_is_submitted_to_slurm_is_one_array_with_a_warning(
    submitit, job, tmp_path, monkeypatch
):
    from se_search.execution.slurm import open_jobs, submit_as_array

    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "kept").mkdir()
    for name, text in {"sbatch": SBATCH, "srun": "", "sacct": ""}.items():
        (programs / name).write_text(text or "#!/bin/sh\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_KEPT", str(tmp_path / "kept"))
    given = {"slurm_partition": "gpu", "timeout_min": "240", "slurm_constraint": "a100"}
    jobs = open_jobs(tmp_path / "jobs", given, cpus=3.5, gpus=1)
    calls = [NodeCall(job, tmp_path / str(number)) for number in range(3)]
    assert [job.job_id for job in submit_as_array(jobs)(calls)] == ["1234_0", "1234_1", "1234_2"]
    (script,) = (tmp_path / "kept").iterdir()
    asked = {line.removeprefix("#SBATCH --") for line in script.read_text().splitlines()}
    assert "array=0-2%3" in asked
    assert "signal=USR2@90" in asked
    assert "requeue" in asked or "open-mode=append" in asked
    assert {"partition=gpu", "constraint=a100", "time=240", "cpus-per-task=4"} <= asked
    assert "gpus-per-node=1" in asked
    assert (tmp_path / "jobs").stat().st_mode & 0o777 == 0o700


def test_a_warned_job_goes_back_into_the_queue_of_slurm(submitit, job, tmp_path, monkeypatch):
    """The handler of submitit asks Slurm for it, by ``scontrol requeue``, after the state."""
    from se_search.execution.slurm import SlurmCall

    (tmp_path / "attempt").mkdir()
    task = replace(job.task, function=node_tasks.train_until_asked)
    call = SlurmCall(NodeCall(replace(job, task=task), tmp_path / "attempt"))
    again = []

    def warn(_number, _frame):
        again.append(call.checkpoint())

    before = signal.signal(signal.SIGUSR2, warn)
    messages = tmp_path / "attempt" / "messages.jsonl"
    code = "import os,sys,time\nwhile not os.path.exists(sys.argv[2]): time.sleep(.1)\n"
    code += "time.sleep(.5); os.kill(int(sys.argv[1]), 12)"
    try:
        with subprocess.Popen([sys.executable, "-c", code, str(os.getpid()), str(messages)]):
            outcome = call()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert outcome.reason.startswith("saved after")
    assert messages.read_text().splitlines()[-1].startswith('{"kind": "paused"')
    assert isinstance(again[0].function, SlurmCall)


def test_a_pool_of_processes_trains(job, tmp_path):
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        outcomes = train(submit_each(pool), job, tmp_path, 3)
    assert [outcome.accuracy for outcome in outcomes] == [0.5, 0.51, 0.52]


def test_dask_trains(job, tmp_path):
    distributed = pytest.importorskip("distributed", reason="NO DASK IS TESTED: not installed")
    import dask

    options = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
    with (
        dask.config.set({"distributed.worker.daemon": False}),
        distributed.LocalCluster(**options, local_directory=str(tmp_path / "dask")) as cluster,
        distributed.Client(cluster) as client,
    ):
        outcomes = train(submit_each(client.get_executor()), job, tmp_path, 3)
    assert [outcome.accuracy for outcome in outcomes] == [0.5, 0.51, 0.52]


def test_a_node_of_another_kind_than_the_probed_one_trains_nothing(job, tmp_path):
    from se_search.execution.supervise import Supervisor

    (tmp_path / "attempt").mkdir()
    _, _, ground = Probe(1, "cpu", False)()
    assert isinstance(ground, Ground)
    for kind, trains in ((ground, True), (replace(ground, device="another CPU"), False)):
        setup = replace(job.setup, ground=kind)
        call = NodeCall(replace(job, setup=setup), tmp_path / "attempt")
        assert isinstance(call.supervise(), Supervisor)
        outcome = call()
        assert isinstance(outcome, Evaluation) == trains
    assert "is of another kind than the run: device " in outcome.reason
