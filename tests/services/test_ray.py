"""Trainings on a Ray cluster of two nodes, which are processes of this machine."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import data_sets
from support.commands import RUN, read_rows
from support.processes import PATIENCE, list_below, list_session, read_command, wait_for

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.execution.node_data import Parcel
from se_search.execution.node_pool import NodePool
from se_search.execution.remote import RemoteLauncher
from se_search.execution.retrying import RetryingExecutor
from se_search.execution.supervise import NodeSetup, Probe
from se_search.ground import Ground
from se_search.models.catalogue import describe_backbone
from se_search.record import Assignment, Evaluation, Failure, Fault
from se_search.store.trials import read_records
from se_search.training.checkpointing import Checkpointing
from se_search.training.datasets import prepare_data
from se_search.training.task import TrainingTask

ray = pytest.importorskip("ray", reason="NO RAY IS TESTED: the extra ray is not installed")
pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes by /proc"),
    pytest.mark.filterwarnings("default"),  # Ray's own
]

DEVICE = Device("cpu", 0, 1, "32-true")
DIFFERENT = ("seconds", "wall_seconds", "device_seconds", "peak_memory")  # from day to day


@pytest.fixture(scope="module")
def nodes_cache(tmp_path_factory):
    """Return the folder in which nodes keep what they are sent; no data are there."""
    return tmp_path_factory.mktemp("nodes")


@pytest.fixture(scope="module")
def cluster(environment, nodes_cache):
    """Start two nodes with a core each, and a head that trains nothing."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SE_SEARCH_CACHE", str(nodes_cache))
        patch.setenv("OMP_NUM_THREADS", environment["OMP_NUM_THREADS"])
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = {"num_cpus": 0, "include_dashboard": False}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            cluster.add_node(num_cpus=1, wait=False)
        cluster.wait_for_nodes()
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def has_begun(process, home, name):
    """Tell whether an epoch of a training has come to the coordinator."""
    assert process.poll() is None, process.stdout.read()
    return (home / "runs" / name / "progress.jsonl").exists()


def trainings_of(cluster):
    """Return the processes that the nodes have begun with a server of trainings."""
    nodes = [node.all_processes["raylet"][0].process.pid for node in cluster.worker_nodes]
    found = [pid for node in nodes for pid in list_below(node)]
    return [pid for pid in found if "forkserver" in read_command(pid)]


def test_a_run_on_two_nodes_has_the_numbers_of_this_machine(cluster, call, home):
    on_ray = ("--executor", "ray", "--ray-address", cluster.address)
    common = ("--trials", 4, "--workers", 2)
    call(*RUN, *common, "--name", "here")
    outcome = call(*RUN, *common, "--name", "there", *on_ray)
    here, there = (read_rows(home / "runs" / name / "trials.csv") for name in ("here", "there"))
    for row in (*here, *there):
        for name in DIFFERENT:
            assert float(row.pop(name)) > 0
    assert there == here
    bits = {
        name: {
            path.name: path.read_bytes() for path in (home / "runs" / name / "correct").iterdir()
        }
        for name in ("here", "there")
    }
    assert len(bits["here"]) == 4
    assert bits["there"] == bits["here"]
    (line,) = [line for line in outcome.stdout.splitlines() if line.startswith("Ray: 2 trainings")]
    assert line.count("/") == 2  # host/node, twice


def test_a_lost_node_costs_a_retry_that_goes_on_elsewhere(cluster, tmp_path, environment):
    """It goes on from the last state that came: none but its last epoch is made twice."""
    from se_search.execution.ray_cluster import RayNodes, TrialResources, connect, open_office
    from se_search.execution.ray_engine import RayEngine

    recipe = data_sets.make_recipe(epochs=12, batch_size=300, split={"validation": 200})
    data = prepare_data("digits", None, Path(environment["SE_SEARCH_CACHE"]), recipe)
    candidate = Candidate.plain(describe_backbone("resnet20_bottleneck", 1, 8, 10))
    assignment = Assignment(candidate, 0, recipe.epochs, tmp_path / "weights" / "some")
    checkpointing = Checkpointing(tmp_path / "states", seconds=0, max_share=1)
    task = TrainingTask(data, recipe, checkpointing=checkpointing)
    connect(cluster.address, None)
    resources, notes = TrialResources(1, 0), []
    nodes = RayNodes(resources, Probe(1, "cpu", False), notes.append)
    nodes.find()
    pool = NodePool(nodes.list_places())
    launcher = RemoteLauncher(
        RayEngine(open_office(Parcel(data, None)), resources.options),
        task,
        NodeSetup(),
        tmp_path / "worker.log",
        follow=lambda: nodes.follow(pool),
    )
    executor = RetryingExecutor(launcher, pool, note=notes.append, pauses=(0, 0))
    executor.submit(0, assignment)
    came, killed = [], None
    while not came or not isinstance(came[-1], Evaluation):
        came += [outcome for _, outcome in executor.wait(1)]
        steps = [int(path.stem) for path in checkpointing.folder.rglob("*.state")]
        if killed is None and max(steps, default=0) > 2 * 4:  # of 4 steps an epoch
            (running,) = executor._running.values()
            place = running.place
            killed = next(n for n in cluster.worker_nodes if n.node_id == place.node)
            cluster.remove_node(killed, allow_graceful=False)
    *rows, evaluation = came
    epochs = [row.epoch for row in rows]
    assert set(epochs) == set(range(1, 13))
    assert [epochs.count(epoch) for epoch in (1, 2)] == [1, 1]
    assert evaluation.effort.attempts == 2
    assert not checkpointing.folder.exists()
    assert any("gone. It is tried again" in note for note in notes)
    carried = assignment.weights_file.read_bytes()
    undisturbed = TrainingTask(data, recipe)(assignment, DEVICE)
    assert assignment.weights_file.read_bytes() == carried
    assert evaluation.history == undisturbed.history
    assert evaluation.correct == undisturbed.correct
    cluster.add_node(num_cpus=1)
    told = [f"The node {place.name} has left the cluster", " has joined the cluster"]
    wait_for(lambda: executor.wait(0.2) or all(any(t in n for n in notes) for t in told))
    assert pool.count_free() == 2
    ray.shutdown()


def test_data_that_no_node_has_are_sent_to_their_cache_once(
    cluster, nodes_cache, tmp_path, environment
):
    """Three trainings on two nodes whose disks do not have the command's folder of arrays."""
    from se_search.execution.ray_cluster import RayNodes, TrialResources, connect, open_office
    from se_search.execution.ray_engine import RayEngine

    recipe = data_sets.make_recipe(epochs=1, batch_size=300, split={"validation": 200})
    data = prepare_data("digits", None, Path(environment["SE_SEARCH_CACHE"]), recipe)
    candidate = Candidate.plain(describe_backbone("resnet20_bottleneck", 1, 8, 10))
    elsewhere = TrainingTask(replace(data, folder=Path("/nowhere/digits")), recipe)
    connect(cluster.address, None)
    resources, ended = TrialResources(1, 0), {}
    nodes = RayNodes(resources, Probe(1, "cpu", False), print)
    nodes.find()
    engine = RayEngine(open_office(Parcel(data, None)), resources.options)
    launcher = RemoteLauncher(engine, elsewhere, NodeSetup(), tmp_path / "worker.log")
    executor = RetryingExecutor(launcher, NodePool(nodes.list_places()), pauses=())
    for seed in range(3):
        wait_for(lambda: ended.update(executor.wait(0.2)) or executor.has_room())
        executor.submit(seed, Assignment(candidate, seed, 1))
    wait_for(lambda: ended.update(executor.wait(0.2)) or count_evaluations(ended) == 3)
    for seed, evaluation in ended.items():
        here = TrainingTask(data, recipe)(Assignment(candidate, seed, 1), DEVICE)
        assert (evaluation.history, evaluation.correct) == (here.history, here.correct)
    (received,) = [path for path in (nodes_cache / "received").iterdir() if path.is_dir()]
    arrays = sorted(path.name for path in data.folder.glob("*.npy"))
    assert sorted(path.name for path in received.glob("*.npy")) == arrays
    for name in arrays:
        assert (received / name).read_bytes() == (data.folder / name).read_bytes()
    ray.shutdown()


def count_evaluations(ended):
    assert not any(isinstance(outcome, Failure) for outcome in ended.values()), ended
    return sum(isinstance(outcome, Evaluation) for outcome in ended.values())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stop_carries_the_state_of_what_runs_on_a_node(cluster, home, start, number, code):
    on_ray = ("--executor", "ray", "--ray-address", cluster.address, "--trials", 1)
    name = f"stopped-{code}"
    process = start(*on_ray, "--name", name, "--epochs", 300, stderr=subprocess.STDOUT)
    wait_for(lambda: has_begun(process, home, name))
    trainings = trainings_of(cluster)
    assert trainings
    os.killpg(process.pid, number)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, printed
    folder = home / "runs" / name
    (record,) = read_records(folder / "trials.db")
    assert (record.state, record.attempts) == ("WAITING", 1)
    assert list((folder / "worker.states").rglob("*.state"))
    wait_for(lambda: not any(read_command(pid) for pid in trainings))


def test_a_coordinator_that_is_killed_leaves_no_training_on_the_nodes(cluster, home, start):
    on_ray = ("--executor", "ray", "--ray-address", cluster.address)
    process = start(*on_ray, "--name", "killed", "--epochs", 300, stderr=subprocess.STDOUT)
    wait_for(lambda: has_begun(process, home, "killed"))
    trainings = trainings_of(cluster)
    assert trainings
    process.kill()
    process.communicate()
    wait_for(lambda: not any(read_command(pid) for pid in trainings))


def test_a_cluster_of_its_own_ends_with_the_command(home, start):
    """Ctrl-C reaches the whole process group, in which the cluster is."""
    arguments = ("--executor", "ray", "--workers", 1, "--epochs", 300)
    process = start(*arguments, "--name", "own", stderr=subprocess.STDOUT)
    wait_for(lambda: has_begun(process, home, "own"))
    os.killpg(process.pid, signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 143, printed
    assert list((home / "runs" / "own" / "worker.states").rglob("*.state"))
    wait_for(lambda: not list_session(process.pid))
    process = start(*arguments, "--name", "own", stderr=subprocess.STDOUT)
    started = (home / "runs" / "own" / "progress.jsonl").stat().st_size
    progress = home / "runs" / "own" / "progress.jsonl"
    wait_for(lambda: progress.stat().st_size > started)
    process.kill()
    process.communicate()
    wait_for(lambda: not list_session(process.pid))


def test_an_address_at_which_no_cluster_answers_is_named(call):
    outcome = call(
        *RUN, "--executor", "ray", "--ray-address", "127.0.0.1:9", "--name", "no", expect=75
    )
    assert "no Ray cluster answers at " in outcome.stderr


def test_what_ray_loses_is_the_machines_fault_and_what_it_kills_for_memory_lacks_memory():
    from ray import exceptions

    from se_search.execution.ray_engine import explain_ray_error

    failure = explain_ray_error(exceptions.WorkerCrashedError())
    assert failure.fault == Fault.INFRASTRUCTURE
    assert explain_ray_error(exceptions.OutOfMemoryError("killed")).fault == Fault.RESOURCE
    error = exceptions.RayTaskError("f", "trace", ValueError("our own mistake"))
    assert explain_ray_error(error) == Failure("ValueError: our own mistake", Fault.INFRASTRUCTURE)


def test_a_node_has_a_place_for_each_share_of_what_it_has():
    from se_search.execution.ray_cluster import Node, TrialResources

    node = Node("id", "name", 16, 2)
    assert TrialResources(1, 1).count_places(node) == 2
    assert TrialResources(1, 0.25).count_places(node) == 8
    assert TrialResources(1, 1 / 3).count_places(node) == 6
    assert TrialResources(3, 0.25).count_places(node) == 5
    assert TrialResources(0.5, 0).count_places(node) == 32
    assert TrialResources(1, 1).count_places(Node("id", "name", 16, 0)) == 0


@pytest.mark.parametrize(
    ("options", "used"),
    [({}, ["a", "b"]), ({"preferred": ("old",)}, ["c"]), ({"mixes": True}, ["a", "b", "c"])],
)
def test_a_run_has_nodes_of_one_model_unless_it_mixes(options, used):
    """Two nodes of a new model and one of an old, on which the run may have been before."""
    from se_search.execution.ray_cluster import Node, RayNodes, TrialResources, _Known

    grounds = {
        name: Ground(name, "32-true", None, "2.14.1", "13.0", "9.19", "numpy 2.4.1")
        for name in ("new", "old")
    }
    options = {**options, "preferred": [grounds[n] for n in options.get("preferred", ())]}
    notes = []
    nodes = RayNodes(TrialResources(1, 0.5), Probe(1, "cuda", True), notes.append, **options)
    device = Device("cuda", 0, 1, "32-true")
    models = {"a": "new", "b": "new", "c": "old"}
    nodes._known = {
        name: _Known(Node(name, name, 8, 1), None, None, device, grounds[model])
        for name, model in models.items()
    }
    nodes._choose(list(nodes._known.values()))
    places = nodes.list_places()
    assert sorted({place.name for place in places}) == used
    assert [place.name for place in places[: len(used)]] == used  # in turn
    assert {(place.share, place.device.num_loaders) for place in places} == {(0.5, 3)}
    assert len(notes) == 3 - len(used)
    assert all("--mix-environments uses it, too" in note for note in notes)


def test_a_cluster_of_its_own_is_on_loopback_asks_for_a_token_and_sends_no_statistics(environment):
    code = """
import os
from se_search.execution.cluster import keep_to_loopback
keep_to_loopback(None)
import ray
from se_search.execution.ray_cluster import connect, list_nodes
connect(None, 1)
print(os.environ["RAY_AUTH_MODE"], os.environ["RAY_USAGE_STATS_ENABLED"])
print([node.cpus for node in list_nodes()], ray.nodes()[0]["NodeManagerAddress"])
"""
    printed = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert printed.stdout.split() == ["token", "0", "[1.0]", "127.0.0.1"], printed.stderr
