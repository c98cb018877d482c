"""What the processes do that train a network together, in tests: functions that can be sent."""

import os
import signal

import torch
from torch import nn

from se_search.record import Evaluation
from se_search.training.evaluate import train
from se_search.training.together import train_together

NOTHING = Evaluation(0.5, 1.0, (), b"", 0.1)


def make_plain_net():
    """Return a network without batch norm, always with the same weights."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def train_plain(assignment, data, recipe, device, *, tell, until, rank):
    return train(
        make_plain_net(),
        assignment,
        data,
        recipe,
        device,
        with_test=True,
        tell=tell,
        until=until,
        rank=rank,
    )


def die_second(*, tell, until, rank):
    """Have the second rank die while the first waits for it."""
    if rank.index == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    rank.gather(0)
    return NOTHING


def die_together(_assignment, device, until):
    return train_together(die_second, device, None, until)


def lack_memory_second(*, tell, until, rank):
    """Have the second rank raise while the first waits for it."""
    if rank.index == 1:
        raise RuntimeError("the batch does not fit") from MemoryError()
    rank.gather(0)
    return NOTHING
