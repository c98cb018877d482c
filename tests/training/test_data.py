"""The data module fits the backbone's channels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.batches import make_recipe, open_data, prepare

from se_search.errors import DataError
from se_search.training.data import make_data


def test_grey_images_are_repeated_for_a_backbone_with_three_channels(tmp_path: Path) -> None:
    prepared = prepare(tmp_path)
    grey = open_data(prepared)
    colour = make_data(prepared, make_recipe(), 0, in_channels=3)
    colour.setup("fit")
    for (one, _), (three, _) in zip(
        grey.train_dataloader(), colour.train_dataloader(), strict=True
    ):
        assert torch.equal(three, torch.cat((one, one, one), dim=1))
        assert three.is_contiguous(memory_format=torch.channels_last)


def test_coloured_images_are_refused_by_a_backbone_with_one_channel(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cifar10 has 3 channels, and the backbone takes 1"):
        make_data(prepare(tmp_path, "cifar10"), make_recipe(), 0, in_channels=1)
