"""What is asked for of a cluster: options that fit together, packages that are there, places."""

import math
import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.data_sets import make_recipe

from se_search.device import Hardware
from se_search.errors import RunError
from se_search.execution.cluster import find_elsewhere, refuse_missing_executor
from se_search.execution.options import ClusterOptions, read_cluster
from se_search.execution.request import SessionRequest
from se_search.execution.session import choose_devices

CARDS = Hardware("cuda", 2, 16, "a GPU", "bf16-mixed")


@dataclass
class Given:
    executor: str = "local"
    ray_address: str | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None
    trials_per_gpu: int | None = None
    submitit: str | None = None


def request(**options):
    recipe = make_recipe(epochs=1, batch_size=32)
    return SessionRequest("digits", recipe, "resnet50", Path("worker.log"), **options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Given(ray_address="auto"), "ray_address auto is for executor ray, and this one is local"),
        (Given("ray", submitit="a=b"), "submitit a=b is for executor submitit"),
        (Given("submitit", trials_per_gpu=2), "trials_per_gpu 2 is for executor local"),
        (Given(cpus_per_trial=2), "cpus_per_trial 2 is for executor ray or submitit"),
        (Given("ray", gpus_per_trial=1.5), "1.5: a training takes whole GPUs, or a share of one"),
        (Given(gpus_per_trial=0.5), "--trials-per-gpu has trainings share a GPU here"),
        (Given(gpus_per_trial=2, trials_per_gpu=2), "GPUs are shared, or joined"),
        (Given("ray", gpus_per_trial=math.inf), "gpus_per_trial inf is not finite"),
        (Given("ray", cpus_per_trial=math.inf), "cpus_per_trial inf is not finite"),
        (Given("submitit", submitit="slurm_partition"), "is not of the form NAME=VALUE"),
    ],
)
def test_an_option_of_another_executor_is_refused(given, words):
    with pytest.raises(RunError) as refused:
        read_cluster(given)
    assert words in str(refused.value)


def test_parameters_of_submitit_are_read():
    options = read_cluster(Given("submitit", submitit="slurm_partition=gpu, timeout_min=240"))
    assert options.submitit == {"slurm_partition": "gpu", "timeout_min": "240"}


def test_an_executor_whose_package_is_missing_names_the_extra():
    with pytest.raises(RunError, match=r"pip install 'se-search\[ray\]'"):
        refuse_missing_executor("ray", lambda _: None)


def test_without_an_executor_of_another_kind_no_other_package_is_imported():
    code = (
        "import sys, se_search.execution.session, se_search.commands.search; "
        "print({'ray', 'submitit', 'distributed', 'dask'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout == "set()\n"


def test_trials_per_gpu_packs_each_card():
    devices = choose_devices(CARDS, request(cluster=ClusterOptions(trials_per_gpu=3)))
    assert [device.name for device in devices] == ["cuda:0", "cuda:1"] * 3
    assert {device.num_loaders for device in devices} == {16 // 6 - 1}
    assert len(choose_devices(CARDS, request())) == 2


def test_trainings_do_not_share_a_gpu_where_there_is_none():
    machine = Hardware("cpu", 1, 4, "a CPU", "32-true")
    with pytest.raises(RunError, match="trials_per_gpu 3: trainings run on the CPU here"):
        choose_devices(machine, request(cluster=ClusterOptions(trials_per_gpu=3)))


def test_an_executor_of_python_needs_the_number_of_its_workers():
    with ThreadPoolExecutor(1) as pool, pytest.raises(RunError, match="workers=4"):
        find_elsewhere(request(), print, pool)


def test_processes_that_are_forked_are_refused():
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context) as pool, pytest.raises(RunError, match="forkserver"):
        find_elsewhere(request(workers=1), print, pool)
