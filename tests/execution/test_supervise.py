"""A node supervises a training: data, child, messages, files, orders."""

import multiprocessing
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from support import node_tasks
from support.data_sets import make_recipe
from support.networks import make_backbone
from support.node_tasks import MadeUpTask

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import DataError
from se_search.execution.child import warm_up
from se_search.execution.posts import Began, Kept, Orders, Paused, Printed, Ran
from se_search.execution.supervise import FOLDERS, NodeJob, NodeSetup, Supervisor
from se_search.record import Assignment, EpochRow, Failure, Fault
from se_search.training.checkpointing import Checkpointing
from se_search.training.datasets import prepare_data

DEVICE = Device("cpu", 0, 1, "32-true")
RECIPE = make_recipe(epochs=1, batch_size=32, split={"validation": 100})


@pytest.fixture(scope="module", autouse=True)
def _server():
    warm_up([], threads=1)


class Post:
    """A post that keeps what it is sent, and may ask a training to end once it has begun."""

    def __init__(self, kept=(), order=None):
        self.sent = []
        self._order = order
        self.orders = Orders()
        self._kept = list(kept)

    def send(self, message):
        self.sent.append(message)
        if isinstance(message, Began) and self._order is not None:
            self.orders.take(1, self._order)

    def seconds_left(self):
        return self.orders.seconds_left()

    def fetch_kept(self):
        return self._kept

    def fetch_parts(self, name):
        raise DataError(f"no {name} here")

    def flush(self):
        self.sent.append("flushed")

    def of(self, kind):
        return [message for message in self.sent if isinstance(message, kind)]


@pytest.fixture
def make_job(tmp_path):
    """Return a function that makes a job of a function of ``node_tasks``."""

    def make(function, weights_file=None, **setup):
        task = MadeUpTask(
            prepare_data("digits", None, tmp_path / "cache", RECIPE),
            RECIPE,
            checkpointing=Checkpointing(tmp_path / "states"),
            tensorboard=tmp_path / "curves" / "trial-0000",
            function=function,
        )
        candidate = Candidate.plain(make_backbone([8]))
        assignment = Assignment(candidate, 7, 1, weights_file)
        return NodeJob(assignment, task, DEVICE, setup=NodeSetup(**setup))

    return make


def test_what_a_training_says_and_prints_comes_before_its_outcome(make_job):
    post = Post()
    outcome = Supervisor(make_job(node_tasks.succeed), post, "node1")()
    assert (outcome.accuracy, outcome.loss) == (0.5 + 7 / 100, 1.0)
    assert post.sent[0] == Began("node1")
    assert [row.epoch for row in post.of(EpochRow)] == [1]
    assert post.of(Printed) == [Printed("hello from the node\n")]
    assert 0 < post.of(Ran)[0].seconds < 30
    assert post.sent[-1] == "flushed"


def test_what_a_training_leaves_is_carried_and_its_folder_goes(make_job, tmp_path):
    post = Post([Kept("states", "1.state", b"1")])
    job = make_job(node_tasks.leave_files, tmp_path / "run" / "abc")
    with patch.object(tempfile, "tempdir", str(tmp_path)):  # other tests leave folders meanwhile
        outcome = Supervisor(job, post, "node1")()
    assert outcome.loss == 1  # it has found the state of the attempt before
    carried = post.of(Kept)
    assert carried[0] == Kept("states", "2.state", b"2")
    assert Kept("curves", "events", b"curve") in carried
    assert Kept("weights", "abc", b"weights") in carried
    gone = {kept.name for kept in carried if kept.content is None}
    assert gone == {"1.state", "2.state"}
    assert not list(tmp_path.glob(f"{FOLDERS}*"))
    assert not (tmp_path / "run").exists()


def test_a_training_that_is_killed_is_told_apart_as_it_is_here(make_job):
    outcome = Supervisor(make_job(node_tasks.be_killed), Post(), "node1")()
    assert "killed by SIGKILL" in outcome.reason
    assert outcome.fault == Fault.INFRASTRUCTURE


def test_an_order_to_end_reaches_the_training(make_job):
    post = Post(order=0.5)
    outcome = Supervisor(make_job(node_tasks.train_until_asked), post, "node1")()
    assert outcome == Failure("saved after 1.5 of 3 epochs", Fault.STOPPED)


def test_a_training_that_nobody_waits_for_any_more_is_killed(make_job):
    post = Post()
    post.orders.take(1, -10)
    started = time.monotonic()
    outcome = Supervisor(make_job(node_tasks.hang), post, "node1")()
    assert outcome == Failure("broken off", Fault.STOPPED)
    assert time.monotonic() - started < 20


def test_a_training_that_is_paused_saves_and_says_so(make_job):
    post = Post()
    supervisor = Supervisor(make_job(node_tasks.train_until_asked), post, "node1")
    ended = []
    thread = threading.Thread(target=lambda: ended.append(supervisor()))
    thread.start()
    while not post.of(Began):
        time.sleep(0.01)
    supervisor.pause()
    thread.join(20)
    assert ended[0].fault == Fault.STOPPED
    assert post.of(Paused)[0].seconds > 0
    assert post.of(Ran) == []


def test_what_fails_beside_a_training_is_the_machines_fault_and_names_the_node(make_job):
    job = make_job(node_tasks.succeed)
    info = replace(job.task.data.info, name="nonsense", fingerprint="0" * 16)
    lost = replace(job.task, data=replace(job.task.data, info=info, folder=Path("/nowhere")))
    outcome = Supervisor(replace(job, task=lost), Post(), "node1")()
    assert outcome == Failure("no data here (on node1)", Fault.INFRASTRUCTURE)


def test_a_worker_that_may_start_no_process_names_the_remedy(make_job, monkeypatch):
    process = multiprocessing.current_process()
    monkeypatch.setitem(process._config, "daemon", True)
    outcome = Supervisor(make_job(node_tasks.succeed), Post(), "node1")()
    assert "distributed.worker.daemon" in outcome.reason
    assert outcome.fault == Fault.INFRASTRUCTURE
