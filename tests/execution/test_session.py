"""The session: which devices are chosen, and what its executor and its environment are made of."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import pytest
from support.sessions import DEVICE, HARDWARE, MadeUpSessions

from se_search.candidate import SE
from se_search.device import Device, Hardware
from se_search.errors import RunError
from se_search.execution.options import ClusterOptions
from se_search.execution.rehearsal import rehearse_once
from se_search.execution.request import SessionRequest
from se_search.execution.session import choose_devices
from se_search.models.catalogue import describe_backbone
from se_search.recipe import read_recipe
from se_search.store.training_log import COMPARED
from se_search.training.task import Rehearsal

GPUS = Hardware("cuda", 2, 9, "a GPU", "bf16-mixed")
CPU = Hardware("cpu", 1, 8, "a CPU", "bf16-mixed")


@pytest.fixture
def request_for(tmp_path):
    def make(**options):
        return SessionRequest(
            data="digits",
            recipe=options.pop("recipe", read_recipe("quick")),
            backbone="resnet20_bottleneck",
            worker_log=tmp_path / "worker.log",
            **options,
        )

    return make


def test_a_cpu_is_split_into_workers_of_as_many_threads_as_were_asked_for(request_for):
    assert choose_devices(CPU, request_for(threads=3)) == [Device("cpu", 0, 3, "bf16-mixed")] * 2
    assert len(choose_devices(CPU, request_for(threads=9))) == 1


def test_trainings_take_turns_on_the_gpus_and_share_the_cores_that_load(request_for):
    devices = choose_devices(GPUS, request_for(workers=3))
    assert [device.index for device in devices] == [0, 1, 0]
    assert {device.num_loaders for device in devices} == {9 // 3 - 1}


def test_more_workers_than_gpus_pack_several_trainings_on_each(request_for):
    """Eight trainings on one GPU, and four on each of two."""
    one = choose_devices(replace(GPUS, num_devices=1, num_cores=16), request_for(workers=8))
    assert [device.index for device in one] == [0] * 8
    two = choose_devices(replace(GPUS, num_cores=16), request_for(workers=8))
    assert Counter(device.index for device in two) == {0: 4, 1: 4}


def test_each_gpu_has_one_training_unless_more_are_asked_for(request_for):
    assert [device.index for device in choose_devices(GPUS, request_for())] == [0, 1]


def test_several_gpus_train_one_network_together_and_are_shared_with_no_other(request_for):
    eight = replace(GPUS, num_devices=8, num_cores=32)
    together = ClusterOptions(gpus_per_trial=3)
    devices = choose_devices(eight, request_for(cluster=together))
    assert [device.name for device in devices] == ["cuda:0-2", "cuda:3-5"]
    assert {(device.num_devices, device.num_loaders) for device in devices} == {(3, 32 // 6 - 1)}
    (one,) = choose_devices(eight, request_for(cluster=together, workers=1))
    assert (one.name, one.num_loaders) == ("cuda:0-2", 32 // 3 - 1)


@pytest.mark.parametrize(
    ("hardware", "options", "words"),
    [
        (GPUS, {"gpus_per_trial": 3}, "gpus_per_trial 3: this machine has 2"),
        (CPU, {"gpus_per_trial": 2}, "several train one network on cuda, not on cpu"),
        (GPUS, {"gpus_per_trial": 2, "workers": 2}, "1 train at a time on 2"),
        (GPUS, {"gpus_per_trial": 2, "batch_size": 3}, "two images of a batch, of 3"),
    ],
)
def test_gpus_that_can_not_train_together_are_refused(request_for, hardware, options, words):
    cluster = ClusterOptions(gpus_per_trial=options["gpus_per_trial"])
    changes = {"batch_size": options.get("batch_size", 64)}
    recipe = read_recipe("quick").model_copy(update=changes)
    with pytest.raises(RunError, match=words):
        choose_devices(
            hardware, request_for(cluster=cluster, workers=options.get("workers"), recipe=recipe)
        )


def test_the_cpu_of_a_machine_with_gpus_computes_in_float32(request_for):
    devices = choose_devices(GPUS, request_for(accelerator="cpu"))
    assert {(d.accelerator, d.precision) for d in devices} == {("cpu", "32-true")}


def test_a_recipe_in_float32_is_trained_so_wherever_it_runs(request_for):
    recipe = read_recipe("quick").model_copy(update={"precision": "float32"})
    for hardware in (CPU, GPUS):
        devices = choose_devices(hardware, request_for(recipe=recipe))
        assert {device.precision for device in devices} == {"32-true"}


def test_an_accelerator_that_is_not_there_is_refused_with_the_one_that_is(request_for):
    with pytest.raises(RunError, match="accelerator 'cuda' is not there; 'cpu' is"):
        choose_devices(CPU, request_for(accelerator="cuda"))


def test_an_executor_is_made_of_the_sessions_task_with_what_is_asked_for(request_for):
    sessions = MadeUpSessions(lambda assignment: None)
    session = sessions(request_for(), print)
    session.executor()
    session.executor(with_test=True, validate_every=0)
    plain, confirming = sessions.tasks
    assert plain == session.task
    assert not plain.with_test
    assert confirming.with_test
    assert confirming.recipe.validate_every == 0
    assert confirming.recipe.epochs == plain.recipe.epochs


def test_the_environment_is_plain_data_with_all_that_a_log_compares(request_for):
    environment = MadeUpSessions(print, num_workers=2)(request_for(), print).environment
    assert environment.keys() >= set(COMPARED)
    assert environment["torch"] == metadata.version("torch")
    assert (environment["hardware"], environment["cores"]) == (HARDWARE.name, HARDWARE.num_cores)
    assert (environment["threads"], environment["workers"]) == (DEVICE.threads, 2)
    assert json.loads(json.dumps(environment)) == environment


@dataclass(frozen=True)
class Rehearse(Rehearsal):
    """Stands in for a rehearsal: leaves a mark each time it is carried out."""

    marks: Path | None = None

    def __call__(self):
        assert self.marks is not None
        with self.marks.open("a") as file:
            file.write("x")
        return 2


def test_a_rehearsal_that_passed_is_not_repeated_for_a_known_network(tmp_path):
    marks, notes = tmp_path / "marks", []
    backbone = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    blocks = ((SE("standard", 4),),) * len(backbone.sites)
    for designs in (blocks, blocks, ((),) * len(blocks)):
        one = Rehearse(backbone, designs, marks)
        rehearse_once(one, tmp_path / "log", notes.append, cache=tmp_path)
    assert marks.read_text() == "xx"
    assert notes == ["Rehearsed: 2 networks run, learn, and cost what is counted"] * 2


def test_a_network_of_ones_own_is_rehearsed_each_time(tmp_path):
    marks = tmp_path / "marks"
    known = describe_backbone("resnet20_bottleneck", 1, 28, 10)
    one = Rehearse(replace(known, allow_code=True), ((),) * len(known.sites), marks)
    for _ in range(2):
        rehearse_once(one, tmp_path / "log", lambda text: None, cache=tmp_path)
    assert marks.read_text() == "xx"
