"""What the processes that train one network together share: its images, and what they find.

Each is a rank. Batches and the images of an evaluation are cut into as many consecutive parts as
there are ranks, as equal as can be; what ranks tell each other goes over the loopback interface.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch import Tensor, distributed, nn

from se_search.device import Device
from se_search.models.freezing import frozen_norms

ValueT = TypeVar("ValueT")
BACKENDS = {"cpu": "gloo", "cuda": "nccl"}  # by which gradients are averaged


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes that train a network together; the default trains alone.

    Attributes:
        index: from 0; rank 0 saves states, and hands back what has been found.
        count: how many ranks there are.
        talk: over which they tell each other values of Python, by the CPU.
    """

    index: int = 0
    count: int = 1
    talk: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this rank tells others what has been found."""
        return self.index == 0

    def part(self, number: int) -> slice:
        """Return which of a number of things are this rank's, in their order."""
        each, more = divmod(number, self.count)
        start = self.index * each + min(self.index, more)
        return slice(start, start + each + (self.index < more))

    def take(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return this rank's part of an array ``(n,)``."""
        return values[self.part(len(values))]

    def weigh(self, number: int, of: int) -> float:
        """Return what a mean over ``number`` of ``of`` things weighs in the mean over ranks."""
        return number * self.count / of

    def gather(self, value: ValueT) -> list[ValueT]:
        """Return the values of all ranks in their order; a tensor must lie on the CPU."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value, group=self.talk)
        return values

    def follow(self, value: ValueT) -> ValueT:
        """Return the value of rank 0."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0, group=self.talk)
        return values[0]

    def follow_flags(self, *flags: bool) -> list[bool]:
        """Return the flags of rank 0: ``follow`` for what is asked in each step."""
        if self.count == 1:
            return list(flags)
        told = torch.tensor(flags)
        distributed.broadcast(told, src=0, group=self.talk)
        return told.tolist()

    def average(self, values: Tensor) -> Tensor:
        """Return the mean over ranks of a tensor that lies on the training's device."""
        if self.count == 1:
            return values
        total = values.clone()
        distributed.all_reduce(total)
        return total / self.count

    def agree_on_buffers(self, model: nn.Module) -> None:
        """Give all ranks the same buffers, so that they evaluate one network.

        The running statistics of batch norms become their means over ranks, each of which has seen
        its own part of the batches; other buffers are those of rank 0.
        """
        if self.count == 1:
            return
        means = {id(buffer) for norm in _list_trained_norms(model) for buffer in _statistics(norm)}
        for buffer in model.buffers():
            if id(buffer) in means:
                buffer.copy_(self.average(buffer))
            else:
                distributed.broadcast(buffer, src=0)


ALONE = Rank()


class RankEnvironment(LightningEnvironment):  # type: ignore[misc]  # Lightning is skipped by mypy
    """Tells Lightning that no cluster is there, and which rank this process is.

    Under Slurm a Trainer would otherwise go on from foreign states; see ``make_trainer``.
    """

    def __init__(self, rank: Rank) -> None:
        super().__init__()
        self._rank = rank

    @property
    def creates_processes_externally(self) -> bool:
        """Whether Lightning shall start no ranks, for all of them run."""
        return self._rank.count > 1

    def local_rank(self) -> int:
        """Return the rank among those of this machine."""
        return self._rank.index


@contextmanager
def joined(index: int, count: int, device: Device, meeting: Path) -> Iterator[Rank]:
    """Join the ranks of a training, which all call this; the network and its data come later.

    Args:
        index: of this rank.
        count: how many ranks there are.
        device: the first of the devices that they train on.
        meeting: a file by which they find each other; nothing else uses it.
    """
    if sys.platform == "linux":  # they listen to no other machine
        os.environ.update(GLOO_SOCKET_IFNAME="lo", NCCL_SOCKET_IFNAME="lo")
    if device.accelerator == "cuda":
        torch.cuda.set_device(device.index + index)
    distributed.init_process_group(
        BACKENDS[device.accelerator],
        init_method=f"file://{meeting}",
        rank=index,
        world_size=count,
    )
    try:
        yield Rank(index, count, distributed.new_group(backend="gloo"))
    finally:
        distributed.destroy_process_group()


def read_statistics(model: nn.Module) -> list[Tensor]:
    """Return the running statistics of batch norms, which differ between ranks, on the CPU."""
    return [s.detach().cpu() for norm in _list_trained_norms(model) for s in _statistics(norm)]


def write_statistics(model: nn.Module, values: list[Tensor]) -> None:
    """Set what ``read_statistics`` has returned."""
    norms = _list_trained_norms(model)
    places = [place for norm in norms for place in _statistics(norm)]
    for place, value in zip(places, values, strict=True):
        place.copy_(value)


def _list_trained_norms(model: nn.Module) -> list[nn.Module]:
    frozen = set(map(id, frozen_norms(model)))
    kinds = (nn.modules.batchnorm._BatchNorm,)
    return [m for m in model.modules() if isinstance(m, kinds) and id(m) not in frozen]


def _statistics(norm: nn.Module) -> list[Tensor]:
    found = [getattr(norm, name, None) for name in ("running_mean", "running_var")]
    return [statistic for statistic in found if statistic is not None]
