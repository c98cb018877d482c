"""Freezes parameters of a network, so that training leaves them as they are."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def freeze(model: nn.Module, trained: Iterable[nn.Parameter]) -> None:
    """Set ``requires_grad`` of these parameters, and clear it for all others of a network."""
    keep = {id(parameter) for parameter in trained}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in keep)


def frozen_norms(model: nn.Module) -> list[nn.Module]:
    """Return the batch norms whose parameters are all frozen.

    Their running statistics must not change either. So after ``model.train()`` these modules must
    be set to evaluation mode.
    """
    return [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.affine
        and not any(parameter.requires_grad for parameter in module.parameters(recurse=False))
    ]
