"""Lays the weights of a network out in memory as its images are, which is faster."""

from __future__ import annotations

import torch
from torch import nn


def lay_channels_last(model: nn.Module) -> None:
    """Lay all weights of four axes out with channels last; others stay as they are.

    ``nn.Module.to(memory_format=...)`` fails for weights of five axes, as a Conv3d has.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
