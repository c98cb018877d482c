"""Finds by running a user's network how many channels the images may have that it takes."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from se_search.errors import BackboneError
from se_search.models.backbones import construct
from se_search.models.own import takes_in_channels
from se_search.models.recording import evaluation_mode, image_for, run

USUAL = (3, 1, 4)  # channels of images: colours, grey, colours and transparency


def own_in_channels(name: str, image_channels: int, image_size: int, allow_code: bool) -> int:
    """Return the image channels that a user's network takes.

    They are the images' own if the network takes these; else the first of 3, 1, 4 and the channels
    of its convolutions that it takes.

    Args:
        name: ``module:callable``.
        image_channels: channels of the images.
        image_size: height and width of the images in pixels.
        allow_code: whether the user's code may be run.

    Raises:
        BackboneError: the network can't be made, or takes no image of this size.
    """
    is_asked = takes_in_channels(name, allow_code)
    model = construct(name, image_channels, 10, seed=0, allow_code=allow_code)
    first: BackboneError | None = None
    for channels in dict.fromkeys((image_channels, *USUAL, *_convolution_channels(model))):
        if is_asked and channels != image_channels:
            model = construct(name, channels, 10, seed=0, allow_code=allow_code)
        try:
            with evaluation_mode(model), torch.no_grad():
                run(model, image_for(model, channels, image_size))
        except BackboneError as error:
            first = first or error
        else:
            return channels
    assert first is not None
    raise first


def _convolution_channels(model: nn.Module) -> Iterable[int]:
    return [module.in_channels for module in model.modules() if isinstance(module, nn.Conv2d)]
