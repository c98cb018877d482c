"""Finds the nodes of a Ray cluster and what they are, or starts a cluster on this machine.

Imported only where Ray is installed.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from se_search.device import Device, Hardware
from se_search.errors import InfrastructureError, RunError, explain
from se_search.execution.node_data import Parcel
from se_search.execution.node_pool import NodePool, list_places
from se_search.execution.ray_office import Office
from se_search.execution.ray_watch import end_with_this_process
from se_search.execution.remote import NodePlace
from se_search.execution.signals import STOPPING
from se_search.execution.supervise import Probe
from se_search.ground import Ground, list_differences
from se_search.terminal import one_line

LOOPBACK = "127.0.0.1"
CONNECT_SECONDS = 10.0
LOOK_SECONDS = 5.0  # between two looks at which nodes there are
PATIENCE_SECONDS = 60.0  # for further nodes, once one has said what it is
OWN_STORE_BYTES = 256_000_000  # of Ray's object store where the cluster is this machine alone
CONCURRENCY = 100_000  # calls that wait at the office at a time: one a training


@dataclass(frozen=True, slots=True)
class TrialResources:
    """What a training takes of a node.

    Attributes:
        cpus: cores, or a share of one.
        gpus: GPUs, or a share of one; 0: it trains on the CPU.
    """

    cpus: float
    gpus: float

    @property
    def options(self) -> dict[str, float]:
        """As Ray's options."""
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}

    def count_places(self, node: Node) -> int:
        """Count the trainings that a node takes at a time."""
        shares = [(node.cpus, self.cpus), (node.gpus, self.gpus)]
        # A GPU that is shared by three has three places, though 3 x 0.33 is less than 1.
        places = [math.floor(total / each + 1e-9) for total, each in shares if each > 0]
        return min(places, default=0)


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster.

    Attributes:
        id: Ray's name of it.
        name: host and the first digits of ``id``: several nodes may be on one host.
        cpus: cores that Ray deals out.
        gpus: GPUs that Ray deals out.
    """

    id: str
    name: str
    cpus: float
    gpus: float


@dataclass(slots=True)
class _Known:
    """A node with what has been found out about it."""

    node: Node
    reference: Any = None  # of the call that asks it
    hardware: Hardware | None = None
    device: Device | None = None
    ground: Ground | None = None


def connect(address: str | None, num_cpus: float | None) -> bool:
    """Connect to a cluster, or start one that ends with this process and listens on loopback.

    Args:
        address: of the cluster, or ``auto`` for the one that runs on this machine; None: that of
            ``RAY_ADDRESS``, or else a cluster is started.
        num_cpus: cores of a cluster that is started; None: all.

    Returns:
        Whether the cluster was started.

    Raises:
        RunError: the address is one of Ray's client, whose machine is no node; or a cluster would
            listen in the network.
        InfrastructureError: no cluster answers.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    if address is not None and address.startswith("ray://"):
        raise RunError(
            f"--ray-address {address}: the command itself must run on a node of the cluster, for "
            "nodes send it what trainings leave; run it on the head node, with --ray-address auto"
        )
    if ray.is_initialized():
        return False
    is_own = address is None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if is_own:
        if ray.util.get_node_ip_address() != LOOPBACK:  # type: ignore[no-untyped-call]
            raise RunError(
                "a Ray cluster of this command would listen in the network, for Ray was imported "
                "before: start one by ray.init(), or name one by ray_address"
            )
        options |= {
            "address": "local",
            "num_cpus": None if num_cpus is None else math.ceil(num_cpus),
            "include_dashboard": False,
            "object_store_memory": OWN_STORE_BYTES,
            "_node_ip_address": LOOPBACK,
        }
    else:
        assert address is not None
        _refuse_silence(address)
        options["address"] = address
    # Signals that end a command reach its whole process group, in which the cluster would be.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    before = signal.getsignal(signal.SIGTERM)
    try:
        context: Any = ray.init(**options)
        if is_own and sys.platform == "linux":
            end_with_this_process(context.address_info["session_dir"])
    except Exception as error:  # Ray raises this very class where a node takes over 30 s to start
        text = one_line(str(error).strip().partition("\n")[0])
        where = "starts on this machine" if is_own else f"answers at {address}"
        raise InfrastructureError(f"no Ray cluster {where}: {text}") from error
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return is_own


def _refuse_silence(address: str) -> None:
    """Refuse an address at which nothing listens, for which Ray would wait for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():  # auto, or a name that Ray knows
        return
    if host in (LOOPBACK, "localhost"):  # Ray takes it for this machine's place in its network
        host = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise InfrastructureError(
            f"no Ray cluster answers at {host}:{port}: {explain(error)}"
        ) from error


def list_nodes() -> list[Node]:
    """Return the nodes of the cluster that live."""
    return [
        Node(
            each["NodeID"],
            f"{each['NodeManagerHostname']}/{each['NodeID'][:6]}",
            float(each["Resources"].get("CPU", 0)),
            float(each["Resources"].get("GPU", 0)),
        )
        for each in ray.nodes()  # type: ignore[no-untyped-call]
        if each["Alive"]
    ]


@dataclass(slots=True)
class RayNodes:
    """The nodes of a cluster on which a run trains: those of one kind, unless it mixes.

    Attributes:
        resources: what a training takes.
        probe: asks a node what it is.
        note: told of nodes that join, leave or are not used.
        preferred: grounds of the run's trainings so far, of which nodes shall be.
        mixes: whether nodes of any kind are used.
        loaders: processes that read images for a training on a GPU; None: by the cores of its node.
    """

    resources: TrialResources
    probe: Probe
    note: Callable[[str], None]
    preferred: Collection[Ground] = ()
    mixes: bool = False
    loaders: int | None = None
    _known: dict[str, _Known] = field(default_factory=dict)
    _used: list[Ground] = field(default_factory=list)
    _looked: float = 0.0

    def find(self) -> None:
        """Ask all nodes what they are, and choose the kind that the run trains on.

        Raises:
            RunError: no node has room for a training.
            InfrastructureError: none of those that have answers.
        """
        self._look()
        asked = [each for each in self._known.values() if each.reference is not None]
        if not asked:
            raise RunError(
                f"no node of the Ray cluster has {self.resources.cpus:g} cores and "
                f"{self.resources.gpus:g} GPUs for a training (--cpus-per-trial, "
                f"--gpus-per-trial): {_describe(list_nodes())}"
            )
        errors = self._wait_for(asked)
        answered = [each for each in asked if each.ground is not None]
        if not answered:
            raise InfrastructureError(f"no node of the Ray cluster can train: {errors[0]}")
        self._choose(answered)

    def follow(self, pool: NodePool) -> None:
        """Have a pool follow the cluster: nodes that have joined are asked, others are gone."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        before = {each.node.id for each in self._list_used()}
        self._look()
        for known in list(self._known.values()):
            if known.reference is not None and ray.wait([known.reference], timeout=0)[0]:
                self._read(known)
        used = self._list_used()
        if before != {each.node.id for each in used}:
            pool.follow(self.list_places())

    def list_places(self) -> list[NodePlace]:
        """Return the places of all nodes that are used."""
        return list_places([self._list_of(known) for known in self._list_used()])

    @property
    def grounds(self) -> tuple[Ground, ...]:
        """What the nodes are that are used, each kind once."""
        found = [known.ground for known in self._list_used() if known.ground is not None]
        return tuple(dict.fromkeys(found))

    @property
    def hardware(self) -> Hardware:
        """The hardware of the first node."""
        found = [known.hardware for known in self._list_used() if known.hardware is not None]
        return found[0]

    def _look(self) -> None:
        """See which nodes there are, and ask those that are new."""
        self._looked = time.monotonic()
        nodes = {node.id: node for node in list_nodes()}
        for gone in self._known.keys() - nodes.keys():
            known = self._known.pop(gone)
            if self._is_used(known):
                self.note(f"The node {known.node.name} has left the cluster")
        for node in nodes.values():
            if node.id in self._known:
                continue
            known = self._known[node.id] = _Known(node)
            if self.resources.count_places(node):
                strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
                call = ray.remote(_call).options(
                    max_retries=0, scheduling_strategy=strategy, **self.resources.options
                )
                known.reference = call.remote(self.probe)

    def _wait_for(self, asked: Sequence[_Known]) -> list[str]:
        """Wait until nodes have answered: for the first as long as it takes."""
        pending = {known.reference: known for known in asked}
        errors: list[str] = []
        end = math.inf
        while pending and time.monotonic() < end:
            left = None if end == math.inf else max(0.0, end - time.monotonic())
            ready, _ = ray.wait(list(pending), timeout=left)
            for reference in ready:
                known = pending.pop(reference)
                error = self._read(known, is_first=True)
                if error is not None:
                    errors.append(error)
                else:
                    end = min(end, time.monotonic() + PATIENCE_SECONDS)
        return errors

    def _read(self, known: _Known, *, is_first: bool = False) -> str | None:
        """Take what a node is; return why it can't train, if so."""
        reference, known.reference = known.reference, None
        try:
            known.hardware, known.device, known.ground = ray.get(reference)
        except exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            text = f"{known.node.name}: {one_line(str(cause).strip().partition(chr(10))[0])}"
            self.note(f"A node can't train and is not used: {text}")
            return text
        if not is_first:
            if self._is_used(known):
                self.note(f"The node {known.node.name} has joined the cluster")
            else:
                self._note_unused(known)
        return None

    def _choose(self, answered: Sequence[_Known]) -> None:
        counts: Counter[Ground] = Counter()
        for known in answered:
            assert known.ground is not None
            counts[known.ground] += len(self._list_of(known))
        if self.mixes:
            self._used = list(counts)
            return
        alike = [g for g in counts if any(not list_differences([g, p]) for p in self.preferred)]
        chosen = max(alike or counts, key=lambda ground: counts[ground])
        self._used = [chosen]
        for known in answered:
            if known.ground != chosen:
                self._note_unused(known)

    def _note_unused(self, known: _Known) -> None:
        assert known.ground is not None
        names = ", ".join(list_differences([*self._used, known.ground]))
        self.note(
            f"The node {known.node.name} is not used: {known.ground.device} differs from what the "
            f"others are ({names}); --mix-environments uses it, too"
        )

    def _is_used(self, known: _Known) -> bool:
        return known.ground is not None and (self.mixes or known.ground in self._used)

    def _list_used(self) -> list[_Known]:
        return [known for known in self._known.values() if self._is_used(known)]

    def _list_of(self, known: _Known) -> list[NodePlace]:
        """Return the places of one node."""
        assert known.device is not None
        number = self.resources.count_places(known.node)
        device = known.device
        if device.accelerator != "cpu":
            own = max(0, math.floor(known.node.cpus / (number * device.num_devices)) - 1)
            device = replace(device, num_loaders=own if self.loaders is None else self.loaders)
        share = self.resources.gpus or 1.0
        return [NodePlace(known.node.id, known.node.name, device, share)] * number


def open_office(parcel: Parcel) -> Any:
    """Start the actor through which nodes send messages, beside this process."""
    here = ray.get_runtime_context().get_node_id()
    return (
        ray.remote(Office)
        .options(
            num_cpus=0,
            max_restarts=0,
            max_concurrency=CONCURRENCY,
            scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=False),
        )
        .remote(parcel)
    )


def disconnect() -> None:
    """Let go of the cluster; one that was started here ends."""
    with suppress(exceptions.RayError):
        ray.shutdown()


def _call(function: Callable[[], Any]) -> Any:
    return function()


def _describe(nodes: Sequence[Node]) -> str:
    named = [f"{node.name} has {node.cpus:g} cores, {node.gpus:g} GPUs" for node in nodes]
    return "; ".join(named) or "it has no nodes"
