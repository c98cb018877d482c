"""Fixtures of the tests of networks."""

import pytest
import torch


@pytest.fixture
def file(tmp_path):
    """Return a function that saves tensors to a file and returns its path."""

    def save(content, name="weights.pth"):
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save
